/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames for followers that are so far behind that memory no longer holds what
 * they need: read from the log on a thread of their own, one read at a time, and
 * kept per follower until they are sent. Meanwhile the core is told that nothing could be
 * sent, and, when the frames are there, that now something can. So neither
 * the loop nor the writing of the log ever waits for a read, and one follower's
 * old entries delay nothing but that follower.
 *
 * By then the log may be another: cut, written anew, led by somebody else. What
 * was read is used only where the core's log has its last entry's term at its
 * last index; then all of it is the same (Log Matching, §5.3).
 */
#include "base/assert.h"
#include "node/replica_state.h"

void fetcher_init(struct replica *replica) {
    replica->fetcher.replica = replica;
    list_init(&replica->fetcher.job.link);
}

static void fetcher_drop(struct fetch *fetch) {
    for (size_t i = 0; i < fetch->count; i++)
        buf_unref(fetch->frames[i]);
    mem_free(fetch->frames);
    fetch->frames = NULL;
    fetch->count = 0;
}

/* Forget what was read and what is wanted; a read that is under way comes to nothing. */
static void fetcher_clear(struct fetch *fetch) {
    fetcher_drop(fetch);
    *fetch = (struct fetch){.peer = 0};
}

void fetcher_clear_all(struct replica *replica) {
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++)
        fetcher_clear(&replica->fetcher.fetches[i]);
}

void fetcher_free(struct replica *replica) {
    struct fetcher *fetcher = &replica->fetcher;
    LASH_ASSERT(!fetcher->busy);
    fetcher_clear_all(replica);
    /* A simulated process can die between a read and its end. */
    struct fetch untaken = {.frames = fetcher->frames, .count = fetcher->count};
    fetcher_drop(&untaken);
}

/* The place of a peer, or, with `make`, a free one that becomes it; NULL when there is none. */
static struct fetch *fetcher_of(struct fetcher *fetcher, lash_id peer, bool make) {
    struct fetch *unused = NULL;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++) {
        struct fetch *fetch = &fetcher->fetches[i];
        if (fetch->peer == peer)
            return fetch;
        if (fetch->peer == 0)
            unused = fetch;
    }
    if (!make || !unused)
        return NULL;
    unused->peer = peer;
    return unused;
}

void fetcher_forget(struct replica *replica, lash_id peer) {
    struct fetch *fetch = fetcher_of(&replica->fetcher, peer, false);
    if (fetch)
        fetcher_clear(fetch);
}

/* On the reading thread. */
static void fetcher_work(struct job *job) {
    struct fetcher *fetcher = list_entry(job, struct fetcher, job);
    fetcher->error = log_read(fetcher->replica->log, fetcher->first, fetcher->last, fetcher->bytes_max,
                              &fetcher->frames, &fetcher->count);
}

static void fetcher_done(struct job *job);

/* Begin the next read: peers take turns. */
static void fetcher_start(struct fetcher *fetcher) {
    bool may = replica_active(fetcher->replica) && !fetcher->replica->lender.busy;
    for (size_t i = 1; may && !fetcher->busy && i <= LASH_RAFT_MEMBERS_MAX; i++) {
        size_t position = (fetcher->position + i) % LASH_RAFT_MEMBERS_MAX;
        struct fetch *fetch = &fetcher->fetches[position];
        if (!fetch->wanted)
            continue;
        fetch->wanted = false;
        fetcher->position = position;
        fetcher->peer = fetch->peer;
        fetcher->first = fetch->first;
        fetcher->last = fetch->last;
        fetcher->bytes_max = fetch->bytes_max;
        fetcher->busy = true;
        fetcher->job.work = fetcher_work;
        fetcher->job.done = fetcher_done;
        fetcher->replica->env->submit(fetcher->replica->env->context, REPLICA_READ, &fetcher->job);
    }
}

void fetcher_turn(struct replica *replica) {
    fetcher_start(&replica->fetcher);
    if (!replica->fetcher.busy && replica_active(replica))
        lender_start(&replica->lender, REPLICA_READ);
}

/* The read is done: keep it for its peer, if that still has a place, and let the core offer entries again. */
static void fetcher_done(struct job *job) {
    struct fetcher *fetcher = list_entry(job, struct fetcher, job);
    struct replica *replica = fetcher->replica;
    struct fetch result = {.peer = fetcher->peer, .frames = fetcher->frames, .count = fetcher->count};
    int error = fetcher->error;
    fetcher->busy = false;
    fetcher->frames = NULL;
    fetcher->count = 0;
    struct fetch *fetch = fetcher_of(fetcher, result.peer, false);
    bool awaited = fetch && !fetch->wanted && fetch->count == 0;
    if (!error && awaited)
        *fetch = result;
    else
        fetcher_drop(&result);
    /* Cut off or let go meanwhile, or no memory: the follower's next answer brings another try. */
    if (error && error != LASH_NOT_FOUND && error != LASH_NOMEM)
        replica_fail(replica, error, "the log could not be read");
    if (replica_active(replica))
        lender_start(&replica->lender, REPLICA_READ); /* so that it has its turn */
    fetcher_start(fetcher);
    if (error || !awaited || !replica_active(replica))
        return;
    struct lash_event event = {.type = LASH_EVENT_READY};
    event.peer.id = result.peer;
    replica_step_surely(replica, &event);
}

void fetcher_want(struct replica *replica, const struct lash_message *message) {
    struct fetcher *fetcher = &replica->fetcher;
    struct fetch *fetch = fetcher_of(fetcher, message->to, true);
    bool reading = fetcher->busy && fetcher->peer == message->to;
    if (!fetch || fetch->wanted || reading)
        return;
    fetcher_drop(fetch);
    fetch->wanted = true;
    fetch->first = message->append.first;
    fetch->last = message->append.last;
    fetch->bytes_max = message->append.bytes_max;
    if (fetch->last >= recent_first(&replica->recent))
        fetch->last = recent_first(&replica->recent) - 1;
    fetcher_start(fetcher);
}

/* Let go the frames that end before `first`, which have been sent. */
static void fetcher_skip(struct fetch *fetch, lash_index first) {
    size_t gone = 0;
    struct frame frame;
    while (gone < fetch->count && frame_header(fetch->frames[gone]->data, &frame) == 0 &&
           frame.first + frame.count <= first)
        buf_unref(fetch->frames[gone++]);
    fetch->count -= gone;
    for (size_t i = 0; i < fetch->count; i++)
        fetch->frames[i] = fetch->frames[i + gone];
    if (fetch->count == 0)
        fetcher_drop(fetch);
}

/* Whether the log holds what the frame does, from `first` on. */
static bool fetcher_matches(const struct replica *replica, const struct frame *frame, lash_index first) {
    lash_term term;
    return frame->first <= first && first < frame->first + frame->count &&
           lash_raft_term_at(replica->raft, frame->first + frame->count - 1, &term) && term == frame->term;
}

void fetcher_take(struct replica *replica, const struct lash_message *message, struct sender_frames *found) {
    struct fetch *fetch = fetcher_of(&replica->fetcher, message->to, false);
    if (!fetch || fetch->wanted)
        return;
    fetcher_skip(fetch, message->append.first);
    lash_index first = message->append.first;
    for (size_t i = 0; i < fetch->count; i++) {
        struct frame frame;
        if (frame_header(fetch->frames[i]->data, &frame) != 0 || !fetcher_matches(replica, &frame, first) ||
            !sender_fits(found, fetch->frames[i], message->append.bytes_max))
            break;
        first = frame.first + frame.count;
        sender_take(found, fetch->frames[i], first - 1);
    }
}
