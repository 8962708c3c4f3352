/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes snapshots of the state machine. Pinning the state is a job between two applies;
 * writing it down is one of a thread of its own, while applying goes on. Once it is
 * durable, the log is trimmed as far as the snapshot before it and the bytes
 * that are kept for peers that lag behind allow.
 *
 * A snapshot that cannot be written costs nothing but the log's space: it is given
 * up, and tried again later.
 */
#include "base/assert.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum {
    TAKER_PAUSE_BEATS = 100,      /* heartbeats after a failure */
    TAKER_WITNESS_BYTES = 1 << 20 /* of log after which a witness, whose snapshots hold nothing, takes one */
};

struct lash_snapshot_sink {
    struct taker *taker;
    struct snapshot_writer *writer;
    int error;
};

int lash_snapshot_write(struct lash_snapshot_sink *sink, const void *data, size_t size) {
    if (!sink->error && sink->taker->cancelled)
        sink->error = LASH_CLOSED;
    if (!sink->error)
        sink->error = snapshot_write(sink->writer, data, size);
    if (!sink->error)
        sink->taker->written += size;
    return sink->error;
}

/* ---- On its thread --------------------------------------------------------------------------------- */

/* How far the log may be trimmed: the snapshot before the newest must stay as good as the newest (S2). */
static lash_index taker_trim_index(struct replica *replica, lash_index newest) {
    lash_index floor = snapshots_floor(replica->options.snapshots);
    if (replica->taker.hollow) /* nobody is served from here */
        return floor;
    lash_index kept = log_index_before(replica->log, newest, replica->options.trailing_bytes);
    return floor < kept ? floor : kept;
}

static int taker_write(struct taker *taker) {
    struct replica *replica = taker->replica;
    const struct lash_state_machine *machine = &replica->options.machine;
    struct snapshot_head head = {.index = taker->index,
                                 .term = taker->term,
                                 .configuration = taker->configuration,
                                 .configuration_size = taker->configuration_size,
                                 .hollow = taker->hollow};
    struct lash_snapshot_sink sink = {.taker = taker};
    int error = snapshot_begin(replica->options.snapshots, &head, &sink.writer);
    if (error)
        return error;
    if (!taker->hollow)
        error = machine->snapshot_write(machine->context, taker->view, &sink);
    if (!error)
        error = sink.error; /* which the machine has overlooked */
    if (!error && taker->cancelled)
        error = LASH_CLOSED;
    if (error) {
        snapshot_abandon(sink.writer);
        return error;
    }
    return snapshot_commit(sink.writer);
}

static void taker_write_work(struct job *job) {
    struct taker *taker = list_entry(job, struct taker, job);
    const struct lash_state_machine *machine = &taker->replica->options.machine;
    taker->error = taker_write(taker);
    if (!taker->hollow)
        machine->snapshot_end(machine->context, taker->view);
    taker->view = NULL;
    taker->trim = taker->error ? 0 : taker_trim_index(taker->replica, taker->index);
}

/* ---- The end --------------------------------------------------------------------------------------- */

static void taker_end_requests(struct replica *replica, struct list *requests, int error, lash_index index) {
    struct list *at;
    while ((at = list_pop(requests)))
        request_end(list_entry(at, struct request, link), error, index, &replica->ended);
}

void taker_look(struct replica *replica) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    bool any = replica->options.snapshots && snapshots_list(replica->options.snapshots, infos) > 0;
    replica->taker.newest = any ? infos[0] : (struct snapshot_info){0};
}

/* Forget what the snapshots cover. The log's part of it is the journal's next job. */
static void taker_trim(struct replica *replica, lash_index index) {
    const struct lash_raft_status *status = &replica->status;
    if (index < status->first_index || index > status->applied || index > replica->applier.applied)
        return;
    int error = lash_raft_compact(replica->raft, index);
    LASH_ASSERT(!error);
    lash_raft_status(replica->raft, &replica->status);
    replica->journal.trim = index;
    log_info("log trimmed", F_U64("up_to", index), F_U64("last_index", status->last_index),
             F_HEX("id", replica->options.id));
}

static void taker_taken(struct replica *replica) {
    struct taker *taker = &replica->taker;
    taker_look(replica);
    taker->bytes -= taker->bytes_before;
    taker->not_before_ms = 0;
    meter_snapshot_taken(&replica->meter, taker->since_ns);
    log_info("snapshot taken", F_U64("index", taker->index), F_U64("term", taker->term),
             F_U64("bytes", taker->newest.bytes), F_HEX("id", replica->options.id));
    observer_tell_snapshot(replica, LASH_OBSERVED_SNAPSHOT_TAKEN, replica->options.id, taker->index);
    if (replica_active(replica))
        taker_trim(replica, taker->trim);
}

static void taker_failed(struct replica *replica, int error) {
    struct taker *taker = &replica->taker;
    taker->not_before_ms =
        replica->env->now_ms(replica->env->context) + TAKER_PAUSE_BEATS * replica->options.heartbeat_ms;
    if (error == LASH_CLOSED)
        return;
    metric_add(&replica->meter.snapshots_failed, 1);
    log_warn("no snapshot could be taken; the log grows on, and it is tried again", F_ERR(error),
             F_U64("index", taker->index), F_HEX("id", replica->options.id));
}

/* What came of it. One that came from a peer meanwhile and reaches further is as good. */
static void taker_finish(struct replica *replica, int error) {
    struct taker *taker = &replica->taker;
    mem_free(taker->configuration);
    taker->configuration = NULL;
    taker->state = TAKER_IDLE;
    if (!error)
        taker_taken(replica);
    else if (error == LASH_EXISTS)
        taker_look(replica);
    else
        taker_failed(replica, error);
    bool done = !error || error == LASH_EXISTS;
    taker_end_requests(replica, &taker->served, done ? 0 : error, done ? taker->newest.index : 0);
}

static void taker_write_done(struct job *job) {
    struct taker *taker = list_entry(job, struct taker, job);
    taker_finish(taker->replica, taker->error);
}

/* ---- The begin ------------------------------------------------------------------------------------- */

/* On the apply thread. */
static void taker_begin_work(struct job *job) {
    struct taker *taker = list_entry(job, struct taker, job);
    const struct lash_state_machine *machine = &taker->replica->options.machine;
    taker->error = machine->snapshot_begin(machine->context, taker->index, &taker->view);
}

static void taker_submit_write(struct replica *replica) {
    struct taker *taker = &replica->taker;
    taker->state = TAKER_WRITING;
    taker->job.work = taker_write_work;
    taker->job.done = taker_write_done;
    replica->env->submit(replica->env->context, REPLICA_SNAPSHOT, &taker->job);
}

static void taker_begin_done(struct job *job) {
    struct taker *taker = list_entry(job, struct taker, job);
    struct replica *replica = taker->replica;
    replica->applier.busy = false;
    if (taker->error) {
        taker_finish(replica, taker->error);
        return;
    }
    /* A replica that takes no part any more lets the view go, which is done there. */
    taker_submit_write(replica);
}

/* The membership as of what is applied, as bytes. Errors: LASH_NOMEM. */
static int taker_encode(struct replica *replica) {
    struct taker *taker = &replica->taker;
    const struct roster *roster = members_at(replica, taker->index);
    if (!roster)
        return 0;
    taker->configuration_size = roster_size(roster);
    taker->configuration = mem_alloc(taker->configuration_size);
    if (!taker->configuration)
        return LASH_NOMEM;
    roster_encode(roster, taker->configuration);
    return 0;
}

static void taker_begin(struct replica *replica) {
    struct taker *taker = &replica->taker;
    taker->index = replica->applier.applied;
    taker->configuration_size = 0;
    taker->written = 0;
    taker->wanted = false;
    taker->bytes_before = taker->bytes;
    taker->since_ns = meter_now(&replica->meter);
    list_splice(&taker->served, &taker->queue);
    bool known = lash_raft_term_at(replica->raft, taker->index, &taker->term);
    LASH_ASSERT(known);
    int error = taker_encode(replica);
    if (error) {
        taker_finish(replica, error);
        return;
    }
    taker->hollow = witness_here(replica);
    if (taker->hollow) { /* there is nothing to pin */
        taker_submit_write(replica);
        return;
    }
    taker->state = TAKER_BEGINNING;
    taker->job.work = taker_begin_work;
    taker->job.done = taker_begin_done;
    replica->applier.busy = true;
    replica->env->submit(replica->env->context, REPLICA_APPLY, &taker->job);
}

/* ---- When ------------------------------------------------------------------------------------------ */

void taker_init(struct replica *replica) {
    struct taker *taker = &replica->taker;
    taker->replica = replica;
    list_init(&taker->job.link);
    list_init(&taker->queue);
    list_init(&taker->served);
    taker_look(replica);
    taker->bytes = log_bytes_behind(replica->log, taker->newest.index);
}

void taker_free(struct replica *replica) {
    struct taker *taker = &replica->taker;
    LASH_ASSERT(list_empty(&taker->queue) && list_empty(&taker->served));
    /* A simulated process can die with a view pinned. */
    if (taker->view)
        replica->options.machine.snapshot_end(replica->options.machine.context, taker->view);
    mem_free(taker->configuration);
}

void taker_submit(struct replica *replica, struct request *request) {
    list_push(&replica->taker.queue, &request->link);
}

void taker_applied(struct replica *replica, uint64_t bytes) {
    replica->taker.bytes += bytes;
}

/* The log has grown to the size of the data: then what taking one costs is in proportion to what was written. */
static bool taker_due(const struct replica *replica) {
    const struct taker *taker = &replica->taker;
    uint64_t least = replica->options.snapshot_bytes_min;
    if (witness_here(replica) && least > TAKER_WITNESS_BYTES)
        least = TAKER_WITNESS_BYTES;
    if (least < taker->newest.bytes)
        least = taker->newest.bytes;
    return taker->wanted || !list_empty(&taker->queue) || taker->bytes >= least;
}

/* Whether the state machine can be asked now. A membership beyond what is applied is not the snapshot's, and which one was before
 * it is not worth knowing: soon it is applied. Who knows of no membership, as its log begins behind its snapshots, must not make one
 * that says that there is none. */
static bool taker_ready(const struct replica *replica) {
    const struct applier *applier = &replica->applier;
    return replica->options.snapshots && replica->options.machine.snapshot_begin && !applier->busy && !applier->full &&
           !restorer_due(replica) && applier->applied > replica->taker.newest.index &&
           replica->status.configuration.count > 0 && replica->status.configuration.index <= applier->applied;
}

void taker_turn(struct replica *replica) {
    struct taker *taker = &replica->taker;
    if (taker->state != TAKER_IDLE)
        return;
    if (!list_empty(&taker->queue) && replica->applier.applied == taker->newest.index && taker->newest.index != 0)
        taker_end_requests(replica, &taker->queue, 0, taker->newest.index);
    bool pause = replica->now_ms < taker->not_before_ms && list_empty(&taker->queue);
    if (!pause && taker_due(replica) && taker_ready(replica))
        taker_begin(replica);
}

uint64_t taker_deadline(const struct replica *replica) {
    const struct taker *taker = &replica->taker;
    bool pause = taker->state == TAKER_IDLE && replica->now_ms < taker->not_before_ms && taker_due(replica);
    return pause ? taker->not_before_ms : UINT64_MAX;
}

void taker_stop(struct replica *replica) {
    struct taker *taker = &replica->taker;
    taker->cancelled = true;
    taker_end_requests(replica, &taker->queue, LASH_CLOSED, 0);
}
