/* SPDX-License-Identifier: Apache-2.0
 *
 * The replica's writes: what the core wants durable gathers while one job is out,
 * and becomes the next job: one write, one sync (group commit). A small one is handed
 * to the world, where that can write it without a thread (lash_node_options.no_io_uring).
 */
#include "base/assert.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum {
    JOURNAL_IDLE_MS = 100,            /* without writes, after which the durable position is noted in the log */
    JOURNAL_RETRY_MS = 20,            /* after which a write that lacked memory is tried again */
    JOURNAL_ROOM_MS = 1000,           /* after which a full disk is tried again */
    JOURNAL_BYTES_MAX = 8 << 20,      /* waiting to be written, beyond which no proposals are taken, */
    JOURNAL_FORWARDED_MAX = 64 << 20, /* and beyond which not even those that were forwarded */
};

/* On the log thread. */
static int journal_append(struct log *log, struct journal_batch *batch) {
    int error = batch->reset ? log_install(log, batch->reset, batch->reset_term, NULL) : 0;
    if (error)
        return error;
    batch->reset = 0; /* it is not done again, should the rest have to wait */
    return log_append(log, batch->items, batch->count);
}

/* On the log thread. Trimming syncs: what is true of a failed sync is true here. */
static void journal_trim(struct journal *journal, struct log *log) {
    journal->trim_error = log_trim(log, journal->trimming);
    if (journal->trim_error == LASH_IO)
        journal->sync_error = log_sync(log); /* which fails, if it was a sync */
}

/* On the log thread. */
static void journal_work(struct job *job) {
    struct journal *journal = list_entry(job, struct journal, job);
    struct log *log = journal->replica->log;
    journal->sync_error = 0;
    journal->append_error = 0;
    journal->trim_error = 0;
    if (journal->writing.count == 0 && journal->writing.write == 0) {
        (void)log_mark(log); /* without it nothing is lost; what ails the disk, the next write will meet */
    } else {
        journal->append_error = journal_append(log, &journal->writing);
        /* An append that ends a segment syncs as well. Should that have failed, the log is dead, and says so here. */
        uint64_t since_ns = meter_now(&journal->replica->meter);
        journal->sync_error = log_sync(log);
        if (!journal->sync_error)
            meter_synced(&journal->replica->meter, since_ns);
    }
    bool may_trim = journal->append_error == LASH_OK || journal->append_error == LASH_FULL;
    if (journal->trimming && !journal->sync_error && may_trim)
        journal_trim(journal, log);
    journal->room_error = journal->sync_error ? LASH_OK : log_prepare(log);
}

static void journal_clear(struct journal_batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        buf_unref(batch->items[i].frame);
    batch->count = 0;
    batch->bytes = 0;
    batch->write = 0;
    batch->index = 0;
    batch->term = 0;
    batch->reset = 0;
}

/* The batch is durable: tell the core, and let go what waited for it. */
static void journal_written(struct replica *replica) {
    struct journal *journal = &replica->journal;
    struct lash_event event = {.type = LASH_EVENT_WRITTEN};
    event.written.write = journal->writing.write;
    event.written.index = journal->writing.index;
    event.written.term = journal->writing.term;
    meter_written(&replica->meter, journal->writing.bytes);
    journal_clear(&journal->writing);

    journal->durable = event.written.write;
    journal->mark_at_ms = replica->env->now_ms(replica->env->context) + JOURNAL_IDLE_MS;
    recent_written(&replica->recent, event.written.write);
    if (!replica_active(replica))
        return;
    sender_release(replica, event.written.write);
    replica_step_surely(replica, &event);
}

/* Whether the batch that was tried is to be tried again. */
static bool journal_waits(const struct journal *journal) {
    return journal->append_error == LASH_NOMEM || journal->append_error == LASH_FULL;
}

/* Whether nothing is to be written any more. */
static bool journal_over(const struct replica *replica) {
    const struct journal *journal = &replica->journal;
    if (journal->append_error == LASH_FULL && !replica_active(replica))
        return true; /* nobody will wait for room, and nothing of it was acknowledged */
    return journal->sync_error || (journal->append_error && !journal_waits(journal));
}

/* Whether there is room for more, and when to look again if there is not. */
static void journal_see_room(struct replica *replica) {
    struct journal *journal = &replica->journal;
    journal->full = journal->append_error == LASH_FULL || journal->room_error == LASH_FULL;
    if (journal->full || journal_waits(journal))
        journal->retry_at_ms =
            replica->env->now_ms(replica->env->context) + (journal->full ? JOURNAL_ROOM_MS : JOURNAL_RETRY_MS);
    replica_note_room(replica);
}

/* What could not be trimmed is tried again; what is left until then takes space and no harm. */
static void journal_trimmed(struct replica *replica) {
    struct journal *journal = &replica->journal;
    bool again = journal->trim_error == LASH_NOMEM || journal->trim_error == LASH_FULL;
    journal->trim_at_ms = again ? replica->env->now_ms(replica->env->context) + JOURNAL_ROOM_MS : 0;
    if (again && journal->trim == 0)
        journal->trim = journal->trimming;
    journal->trimming = 0;
    journal->trim_error = 0;
}

static void journal_done(struct job *job) {
    struct journal *journal = list_entry(job, struct journal, job);
    struct replica *replica = journal->replica;
    LASH_ASSERT(journal->busy);
    journal->busy = false;
    slowness_end(replica, journal->writing.count > 0 && !journal->append_error && !journal->sync_error);
    journal_trimmed(replica);
    if (journal->sync_error) {
        journal_clear(&journal->queued);
        replica_fail(replica, journal->sync_error, "the log could not be synced; what was written may be lost");
        replica->env->halt(replica->env->context, journal->sync_error);
    } else if (journal_waits(journal)) {
        /* Nothing of it counts, says the log. What comes meanwhile stays behind it. */
        journal_see_room(replica);
        return;
    } else if (journal->append_error) {
        journal_clear(&journal->queued);
        replica_fail(replica, journal->append_error, "the log could not be written; check the disk and restart");
    } else if (journal->writing.write) {
        journal_written(replica);
    }
    journal_clear(&journal->writing);
    journal_see_room(replica);
}

/* ---- Written by the world ------------------------------------------------------------------------ */

/* On the log thread: end what had to wait for something, or begin again as if it had never been handed over. */
static void journal_end_work(struct job *job) {
    struct journal *journal = list_entry(job, struct journal, job);
    if (log_append_end(journal->replica->log, &journal->write, true) != LASH_OK)
        journal_work(job);
}

static void journal_write_done(struct job *job) {
    struct journal *journal = list_entry(job, struct journal, job);
    struct replica *replica = journal->replica;
    job->done = journal_done;
    if (journal->write.result == (ssize_t)journal->write.size)
        meter_synced(&replica->meter, journal->since_ns);
    if (log_append_end(replica->log, &journal->write, false) == LASH_OK) {
        journal_done(job);
        return;
    }
    job->work = journal_end_work;
    replica->env->submit(replica->env->context, REPLICA_LOG, job);
}

/* Whether the batch that is to be written was handed over. */
static bool journal_hand_over(struct replica *replica) {
    struct journal *journal = &replica->journal;
    if (!replica->env->write || journal->writing.write == 0 || journal->writing.reset || journal->trimming ||
        journal_waits(journal) || journal->full)
        return false;
    if (log_append_begin(replica->log, journal->writing.items, journal->writing.count, &journal->write) != LASH_OK)
        return false;
    journal->since_ns = meter_now(&replica->meter);
    journal->job.done = journal_write_done;
    replica->env->write(replica->env->context, &journal->write, &journal->job);
    return true;
}

/* ---- The journal --------------------------------------------------------------------------------- */

void journal_init(struct replica *replica) {
    replica->journal.replica = replica;
    replica->journal.mark_at_ms = UINT64_MAX;
    list_init(&replica->journal.job.link);
}

void journal_free(struct replica *replica) {
    struct journal *journal = &replica->journal;
    LASH_ASSERT(!journal->busy);
    journal_clear(&journal->queued);
    journal_clear(&journal->writing);
    mem_free(journal->queued.items);
    mem_free(journal->writing.items);
}

int journal_reserve(struct replica *replica, size_t frames) {
    struct journal_batch *batch = &replica->journal.queued;
    size_t needed = batch->count + frames + 1;
    if (needed <= batch->capacity)
        return 0;
    size_t capacity = needed * 2;
    struct log_item *items = mem_realloc(batch->items, capacity * sizeof *items);
    if (!items)
        return LASH_NOMEM;
    batch->items = items;
    batch->capacity = capacity;
    return 0;
}

/* One item more, with the write's term and vote if they are not in an item yet. */
static void journal_push(struct replica *replica, bool save_vote, const struct recent_frame *frame) {
    struct journal_batch *batch = &replica->journal.queued;
    const struct lash_outputs *outputs = &replica->outputs;
    LASH_ASSERT(batch->count < batch->capacity);
    struct log_item item = {.save_vote = save_vote, .term = outputs->term, .vote = outputs->vote};
    if (frame) {
        item.frame = buf_ref(frame->frame);
        item.first = frame->first;
        batch->index = frame->last;
        batch->term = frame->term;
        batch->bytes += frame->frame->size;
        recent_push(&replica->recent, frame);
    }
    batch->items[batch->count++] = item;
}

/* The one entry of a leader's that nobody proposed: it is made here. */
static void journal_add_own(struct replica *replica, uint32_t kind, const struct frame_input *input) {
    const struct lash_outputs *outputs = &replica->outputs;
    struct recent_frame frame = {.first = outputs->append_first,
                                 .last = outputs->append_first,
                                 .term = outputs->append_term,
                                 .kind = kind,
                                 .write = outputs->write};
    int error = frame_encode(replica->options.group, frame.first, frame.term, frame.kind, input, 1, &frame.frame);
    if (error) {
        replica_fail(replica, error, "no memory for an entry of the leader's own");
        return;
    }
    journal_push(replica, outputs->save_vote, &frame);
    buf_unref(frame.frame);
}

/* Nothing that waits is worth writing any more, but for the newest term and vote. */
static void journal_forget_items(struct journal_batch *batch) {
    struct log_item newest = {.save_vote = false};
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->items[i].save_vote)
            newest = batch->items[i];
        buf_unref(batch->items[i].frame);
    }
    newest.frame = NULL;
    newest.first = 0;
    batch->count = 0;
    batch->bytes = 0;
    if (newest.save_vote)
        batch->items[batch->count++] = newest;
}

/* The log goes on behind a snapshot (§7). What is being written is dropped by it like all the rest. */
static void journal_add_reset(struct replica *replica) {
    struct journal_batch *batch = &replica->journal.queued;
    const struct lash_outputs *outputs = &replica->outputs;
    journal_forget_items(batch);
    batch->reset = outputs->snapshot_index;
    batch->reset_term = outputs->snapshot_term;
    batch->index = outputs->snapshot_index;
    batch->term = outputs->snapshot_term;
    recent_reset(&replica->recent);
    if (outputs->save_vote)
        journal_push(replica, true, NULL);
}

/* The no-op with which a leader's term begins (§8). */
static void journal_add_noop(struct replica *replica) {
    const struct frame_input input = {.origin = replica->options.id};
    journal_add_own(replica, LASH_ENTRY_NOOP, &input);
}

/* The configuration that the leader's core has decided upon (D§4). */
static void journal_add_configuration(struct replica *replica) {
    const struct roster *roster = members_newest(replica);
    uint8_t data[ROSTER_BYTES_MAX];
    if (!replica_active(replica)) /* there was no memory for it */
        return;
    LASH_ASSERT(roster && roster->index == replica->outputs.append_first);
    roster_encode(roster, data);
    const struct frame_input input = {.origin = replica->members.origin,
                                      .sequence = replica->members.sequence,
                                      .data = data,
                                      .size = roster_size(roster)};
    journal_add_own(replica, LASH_ENTRY_CONFIGURATION, &input);
}

void journal_add(struct replica *replica, const struct recent_frame *frames, size_t count) {
    const struct lash_outputs *outputs = &replica->outputs;
    struct journal_batch *batch = &replica->journal.queued;
    LASH_ASSERT(outputs->write > batch->write);
    if (outputs->reset) {
        journal_add_reset(replica);
    } else if (outputs->append && outputs->noop) {
        journal_add_noop(replica);
    } else if (outputs->append && outputs->configure) {
        journal_add_configuration(replica);
    } else if (outputs->append) {
        bool save_vote = outputs->save_vote;
        for (size_t i = 0; i < count; i++) {
            struct recent_frame frame = frames[i];
            if (frame.last < outputs->append_first)
                continue;
            if (frame.first > outputs->append_last) /* which a full disk does not take */
                break;
            if (frame.first < outputs->append_first)
                frame.first = outputs->append_first;
            frame.write = outputs->write;
            journal_push(replica, save_vote, &frame);
            save_vote = false;
        }
        LASH_ASSERT(batch->index == outputs->append_last && batch->term == outputs->append_term);
    } else {
        LASH_ASSERT(outputs->save_vote);
        journal_push(replica, true, NULL);
    }
    batch->write = outputs->write;
}

/* A write that changes nothing, for a slow disk that nobody writes to: term and vote once more, as all that was to be written is
 * durable. */
static bool journal_add_probe(struct replica *replica) {
    struct journal_batch *batch = &replica->journal.queued;
    const struct lash_raft_status *status = &replica->status;
    LASH_ASSERT(batch->write == 0 && batch->count == 0);
    if (!slowness_probe(replica) || replica->journal.full || status->term == 0 || journal_reserve(replica, 0))
        return false;
    batch->items[batch->count++] = (struct log_item){.save_vote = true, .term = status->term, .vote = status->vote};
    return true;
}

void journal_turn(struct replica *replica) {
    struct journal *journal = &replica->journal;
    if (journal->busy)
        return;
    if (journal_over(replica)) {
        journal_clear(&journal->writing);
        journal_clear(&journal->queued);
        return;
    }
    bool again = journal_waits(journal);
    bool look = journal->full && replica->now_ms >= journal->retry_at_ms;
    if (again && replica->now_ms < journal->retry_at_ms)
        return;
    bool trim = journal->trim && replica->now_ms >= journal->trim_at_ms;
    if (!again && (journal->queued.write || journal_add_probe(replica))) {
        struct journal_batch batch = journal->writing;
        journal->writing = journal->queued;
        journal->queued = batch;
    } else if (!again && !look && !trim && replica->now_ms < journal->mark_at_ms) {
        return;
    }
    if (trim) {
        journal->trimming = journal->trim;
        journal->trim = 0;
    }
    journal->mark_at_ms = UINT64_MAX;
    journal->busy = true;
    slowness_begin(replica);
    if (journal_hand_over(replica))
        return;
    journal->job.work = journal_work;
    journal->job.done = journal_done;
    replica->env->submit(replica->env->context, REPLICA_LOG, &journal->job);
}

uint64_t journal_deadline(const struct replica *replica) {
    const struct journal *journal = &replica->journal;
    if (journal->busy || journal_over(replica))
        return UINT64_MAX;
    if (journal_waits(journal))
        return journal->retry_at_ms;
    if (journal->trim && journal->trim_at_ms < journal->mark_at_ms)
        return journal->trim_at_ms;
    return journal->full && journal->retry_at_ms < journal->mark_at_ms ? journal->retry_at_ms : journal->mark_at_ms;
}

bool journal_crowded(const struct replica *replica) {
    return replica->journal.queued.bytes >= JOURNAL_BYTES_MAX;
}

bool journal_overcrowded(const struct replica *replica) {
    return replica->journal.queued.bytes >= JOURNAL_FORWARDED_MAX;
}

bool journal_idle(const struct replica *replica) {
    const struct journal *journal = &replica->journal;
    return !journal->busy && journal->queued.write == 0 && journal->writing.write == 0;
}
