/* SPDX-License-Identifier: Apache-2.0
 *
 * Gives the state machine a snapshot when it lacks what the log does not hold any more:
 * at a start, and once a peer's snapshot was installed. Of those in the folder the newest
 * that is intact serves; when there is none, peers are asked, one after another.
 * Until then nothing is applied.
 */
#include "base/assert.h"
#include "base/logger.h"
#include "node/replica_state.h"

enum {
    RESTORER_PAUSE_BEATS = 10, /* heartbeats between two tries */
    RESTORER_ASK_BEATS = 50,   /* heartbeats for a peer to begin */
};

struct lash_snapshot_source {
    struct snapshot_reader *reader;
    int error;
};

int lash_snapshot_read(struct lash_snapshot_source *source, void *data, size_t size, size_t *got) {
    *got = 0;
    if (!source->error)
        source->error = snapshot_read(source->reader, data, size, got);
    return source->error;
}

void restorer_init(struct replica *replica) {
    struct restorer *restorer = &replica->restorer;
    restorer->replica = replica;
    list_init(&restorer->job.link);
    restorer->wanted = replica->applier.applied == 0 && replica->options.machine.restore;
}

bool restorer_due(const struct replica *replica) {
    return replica->applier.applied + 1 < replica->status.first_index;
}

/* ---- From the folder ------------------------------------------------------------------------------- */

/* On the apply thread. */
static void restorer_work(struct job *job) {
    struct restorer *restorer = list_entry(job, struct restorer, job);
    struct replica *replica = restorer->replica;
    const struct lash_state_machine *machine = &replica->options.machine;
    struct lash_snapshot_source source = {0};
    source.error = snapshot_open(replica->options.snapshots, restorer->index, &source.reader);
    restorer->error = source.error;
    restorer->hollow = !restorer->error && snapshot_head_of(source.reader)->hollow;
    if (!restorer->error && !restorer->hollow)
        restorer->error = machine->restore(machine->context, &source, restorer->index);
    snapshot_close(source.reader);
    restorer->damaged = restorer->error && (source.error == LASH_CORRUPT || source.error == LASH_IO);
    if (source.error == LASH_CORRUPT) /* it is set aside, and the one before it is the newest */
        (void)snapshots_check(replica->options.snapshots, restorer->index);
}

static void restorer_restored(struct replica *replica) {
    struct restorer *restorer = &replica->restorer;
    log_info("state machine restored from a snapshot", F_U64("index", restorer->index), F_U64("term", restorer->term),
             F_U64("had_applied", replica->applier.applied), F_HEX("id", replica->options.id));
    meter_snapshot_restored(&replica->meter, restorer->since_ns);
    replica->applier.hollow |= restorer->hollow;
    applier_restored(replica, restorer->index, restorer->term);
    proposer_skip(replica, restorer->term);
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = restorer->index;
    replica_step_surely(replica, &event);
}

static void restorer_failed(struct replica *replica) {
    struct restorer *restorer = &replica->restorer;
    bool again = restorer->error == LASH_FULL || restorer->error == LASH_NOMEM || restorer->damaged;
    log_warn("the state machine could not be restored from a snapshot", F_ERR(restorer->error),
             F_U64("index", restorer->index), F_HEX("id", replica->options.id));
    taker_look(replica);
    restorer->not_before_ms =
        replica->env->now_ms(replica->env->context) + RESTORER_PAUSE_BEATS * replica->options.heartbeat_ms;
    if (!again)
        replica_fail(replica, restorer->error, "the state machine could not be restored from a snapshot");
}

static void restorer_done(struct job *job) {
    struct restorer *restorer = list_entry(job, struct restorer, job);
    struct replica *replica = restorer->replica;
    replica->applier.busy = false;
    restorer->wanted = restorer->wanted && restorer->error == LASH_FULL;
    restorer->full = restorer->error == LASH_FULL;
    replica_note_room(replica);
    if (restorer->error)
        restorer_failed(replica);
    else if (restorer->hollow && witness_contradicted(replica))
        replica_fail(replica, LASH_MISMATCH, "the snapshot is a witness's, and this node is to keep data");
    else
        restorer_restored(replica);
}

static void restorer_start(struct replica *replica, const struct snapshot_info *info) {
    struct restorer *restorer = &replica->restorer;
    restorer->index = info->index;
    restorer->term = info->term;
    restorer->since_ns = meter_now(&replica->meter);
    restorer->job.work = restorer_work;
    restorer->job.done = restorer_done;
    replica->applier.busy = true;
    replica->env->submit(replica->env->context, REPLICA_APPLY, &restorer->job);
}

/* ---- From a peer ----------------------------------------------------------------------------------- */

/* The connected peer that comes after the one that was asked last; 0: nobody can be asked. */
static lash_id restorer_next_peer(const struct replica *replica) {
    lash_id first = 0;
    lash_id next = 0;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++) {
        lash_id peer = replica->connected[i];
        if (peer == 0)
            continue;
        if (first == 0 || peer < first)
            first = peer;
        if (peer > replica->restorer.asked && (next == 0 || peer < next))
            next = peer;
    }
    return next ? next : first;
}

static void restorer_ask(struct replica *replica) {
    struct restorer *restorer = &replica->restorer;
    lash_id peer = restorer_next_peer(replica);
    uint64_t beats = RESTORER_PAUSE_BEATS;
    if (peer != 0 && installer_ask(replica, peer, replica->status.first_index - 1))
        beats = RESTORER_ASK_BEATS;
    if (peer != 0)
        restorer->asked = peer;
    restorer->not_before_ms = replica->now_ms + beats * replica->options.heartbeat_ms;
}

/* ---- When ------------------------------------------------------------------------------------------ */

void restorer_turn(struct replica *replica) {
    struct restorer *restorer = &replica->restorer;
    const struct snapshot_info *newest = &replica->taker.newest;
    if (newest->index <= replica->applier.applied)
        restorer->wanted = false;
    bool due = restorer_due(replica);
    if ((!due && !restorer->wanted) || replica->applier.busy || replica->now_ms < restorer->not_before_ms)
        return;
    if (newest->index + 1 >= replica->status.first_index && newest->index > replica->applier.applied &&
        newest->index <= replica->status.commit)
        restorer_start(replica, newest);
    else if (due)
        restorer_ask(replica);
}

uint64_t restorer_deadline(const struct replica *replica) {
    const struct restorer *restorer = &replica->restorer;
    bool waits = (restorer_due(replica) || restorer->wanted) && !replica->applier.busy;
    return waits && replica->now_ms < restorer->not_before_ms ? restorer->not_before_ms : UINT64_MAX;
}
