/* SPDX-License-Identifier: Apache-2.0
 *
 * Which appends a stray write hit: the one that it was a part of, and those on which
 * it landed; and which appends claim which.
 */
#include "sim/stray.h"

#include "node/replica_state.h"
#include "storage/log_state.h"

static enum memfs_fault stray_write(void *context, enum memfs_kind kind, const char *path) {
    struct world_node *node = context;
    struct world_stray *stray = &node->stray;
    if (kind != MEMFS_PWRITE || --stray->after)
        return MEMFS_FINE;
    memfs_set_hook(node->disk, NULL, NULL);
    stray->now = true;
    TRACE(node->world, "n%u's write to %s goes astray", (unsigned)node->id, path);
    return MEMFS_ASTRAY;
}

void stray_plan(struct world_node *node, uint64_t n, const char *path, uint64_t offset, uint64_t position) {
    node->stray.planned = true;
    node->stray.was_damaged = node->damaged;
    node->damaged = true;
    node->stray.after = n;
    node->stray.position = position;
    memfs_aim(node->disk, path, offset);
    memfs_set_hook(node->disk, stray_write, node);
}

void stray_cancel(struct world_node *node) {
    if (!node->stray.after)
        return;
    memfs_set_hook(node->disk, NULL, NULL);
    node->stray.after = 0;
    node->stray.planned = false;
    node->damaged = node->stray.was_damaged;
}

static struct world_append *stray_append(struct world_stray *stray, uint64_t number) {
    return &stray->appends[number % WORLD_APPENDS];
}

/* The number of the oldest append that is still known. */
static uint64_t stray_oldest(const struct world_stray *stray) {
    return stray->count > WORLD_APPENDS ? stray->count - WORLD_APPENDS : 0;
}

void stray_before(struct world_node *node) {
    struct world_append *append = &node->stray.next;
    const struct judge_log *disk = judge_disk(node->world->judge, node->id);
    append->begin = node->log->position;
    append->claim = node->log->durable;
    append->mark = node->replica->journal.writing.write == 0 && node->replica->journal.trimming == 0;
    append->before.count = disk->count;
    append->before.chain = judge_log_chain(disk, disk->count);
    judge_disk_vote(node->world->judge, node->id, &append->before.term, &append->before.vote);
}

bool stray_landed(struct world_node *node) {
    struct world_stray *stray = &node->stray;
    uint64_t to = stray->position + memfs_stray_bytes(node->disk);
    if (!stray->now)
        return false;
    stray->now = false;
    for (uint64_t i = stray->count; stray->position != UINT64_MAX && i > stray_oldest(stray); i--) {
        struct world_append *append = stray_append(stray, i - 1);
        append->hit |= append->begin < to && stray->position < append->end;
    }
    return true;
}

void stray_after(struct world_node *node, bool kept) {
    struct world_stray *stray = &node->stray;
    uint64_t first = log_current(node->log)->first_position;
    stray->next.hit = stray_landed(node);
    stray->next.end =
        node->log->position + node->log->begun.bytes; /* of what was handed over, the log hears only later */
    /* It may have begun the segment that it is in. */
    if (stray->next.begin < first)
        stray->next.begin = first;
    stray->floor = first;
    if (kept && stray->next.end > stray->next.begin)
        *stray_append(stray, stray->count++) = stray->next;
}

void stray_started(struct world_node *node, bool survived) {
    struct world_stray *stray = &node->stray;
    stray->next.end = node->log->position;
    if (survived)
        *stray_append(stray, stray->count++) = stray->next;
    while (stray->count && stray_append(stray, stray->count - 1)->begin >= node->log->position)
        stray->count--;
}

bool stray_excuses(const struct world_node *node, const struct world_state *found) {
    const struct world_stray *stray = &node->stray;
    uint64_t claim = stray->floor;
    bool durable = false;
    for (uint64_t i = stray->count; i > stray_oldest(stray); i--) {
        const struct world_append *append = &stray->appends[(i - 1) % WORLD_APPENDS];
        if (append->begin < claim)
            return false;
        if (append->hit && append->before.count == found->count && append->before.chain == found->chain &&
            append->before.term == found->term && append->before.vote == found->vote)
            return true;
        durable |= !append->mark;
        if (durable && !append->hit && append->claim > claim)
            claim = append->claim;
    }
    return false;
}
