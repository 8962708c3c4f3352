/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's progress: probe, then replicate in a pipeline of bounded length.
 */
#include "raft/progress.h"

#include <string.h>

#include "base/assert.h"

uint64_t progress_words(uint64_t inflight_max) {
    return (sizeof(struct progress) + inflight_max * sizeof(struct progress_sent)) / sizeof(uint64_t);
}

void progress_init(struct progress *progress, lash_index next, uint64_t now_ms) {
    LASH_ASSERT(next > 0);
    progress->state = LASH_PROBE;
    progress->next = next;
    progress->contact_ms = now_ms;
}

/* What was under way is forgotten, bytes included. */
static void progress_forget(struct progress *progress) {
    memset(progress->inflight, 0, progress->inflight_count * sizeof progress->inflight[0]);
    progress->inflight_count = 0;
    progress->inflight_bytes = 0;
}

static void progress_change(struct progress *progress, enum lash_progress_state state) {
    progress_forget(progress);
    progress->commit_sent = 0;
    progress->paused = PROGRESS_FREE;
    progress->state = state;
}

static void progress_push(struct progress *progress, struct progress_sent sent) {
    progress->inflight[progress->inflight_count++] = sent;
    progress->inflight_bytes += sent.bytes;
    if (progress->state == LASH_REPLICATE)
        progress->next = sent.last + 1;
}

void progress_become_probe(struct progress *progress, lash_index next) {
    LASH_ASSERT(next > progress->match);
    progress_change(progress, LASH_PROBE);
    progress->next = next;
}

void progress_become_replicate(struct progress *progress) {
    /* A heartbeat was answered before the probe's entries: they are under way still, and not to be sent again. */
    bool follows = progress->state == LASH_PROBE && progress->next == progress->match + 1;
    struct progress_sent probe = follows ? progress->inflight[0] : (struct progress_sent){0};
    progress_change(progress, LASH_REPLICATE);
    progress->next = progress->match + 1;
    if (probe.last > progress->match)
        progress_push(progress, probe);
}

void progress_become_snapshot(struct progress *progress) {
    progress_change(progress, LASH_SNAPSHOT);
}

bool progress_ready(const struct progress *progress, uint64_t inflight_max, uint64_t bytes_max) {
    if (progress->paused != PROGRESS_FREE || progress->state == LASH_SNAPSHOT)
        return false;
    return progress->inflight_count < inflight_max && progress->inflight_bytes < bytes_max;
}

void progress_record_sent(struct progress *progress, lash_index last, uint64_t bytes) {
    LASH_ASSERT(last + 1 >= progress->next);
    if (last < progress->next) {
        progress->paused = PROGRESS_UNSENT;
        return;
    }
    if (progress->state != LASH_REPLICATE) {
        progress_forget(progress);
        progress->paused = PROGRESS_WAITS;
    }
    progress_push(progress, (struct progress_sent){.last = last, .bytes = bytes});
}

void progress_acknowledge(struct progress *progress, lash_index match) {
    if (match > progress->match)
        progress->match = match;
    if (progress->next <= progress->match)
        progress->next = progress->match + 1;

    uint64_t done = 0;
    while (done < progress->inflight_count && progress->inflight[done].last <= progress->match) {
        LASH_ASSERT(progress->inflight_bytes >= progress->inflight[done].bytes);
        progress->inflight_bytes -= progress->inflight[done].bytes;
        done++;
    }
    uint64_t keep = progress->inflight_count - done;
    memmove(&progress->inflight[0], &progress->inflight[done], keep * sizeof progress->inflight[0]);
    memset(&progress->inflight[keep], 0, done * sizeof progress->inflight[0]);
    progress->inflight_count = keep;
    LASH_ASSERT(progress->match < progress->next);
}

void progress_hold(struct progress *progress) {
    if (progress->state != LASH_SNAPSHOT)
        progress_become_probe(progress, progress->state == LASH_REPLICATE ? progress->match + 1 : progress->next);
    progress->paused = PROGRESS_WAITS;
}

bool progress_refusal_counts(const struct progress *progress, lash_index rejected) {
    if (rejected <= progress->match || rejected >= progress->next)
        return false;
    return progress->state == LASH_REPLICATE || (progress->state == LASH_PROBE && rejected == progress->next - 1);
}
