/* SPDX-License-Identifier: Apache-2.0
 *
 * The replica: events into the core, its outputs to the parts that carry them
 * out, in the order that lash/raft.h asks for: write, send, commit, release
 * reads, arm the deadline.
 */
#include "node/replica.h"

#include "base/assert.h"
#include "base/logger.h"
#include "base/names.h"
#include "node/repair.h"
#include "node/replica_state.h"

enum {
    REPLICA_TERMS_MIN = 256,     /* changes of term that a new core's block holds */
    REPLICA_HAND_OVER_MS = 1000, /* between a full leader's tries to hand over */
    REPLICA_NOMEM_PAUSE_MS = 10, /* before a deadline is tried again without memory */
};

bool replica_active(const struct replica *replica) {
    return !replica->error && !replica->stopping;
}

int replica_error(const struct replica *replica) {
    return replica->error;
}

uint64_t replica_number(struct replica *replica) {
    uint64_t number = replica->next_number++;
    if (replica->next_number == 0)
        replica->next_number = 1;
    return number;
}

void replica_fail(struct replica *replica, int error, const char *what) {
    if (replica->error)
        return;
    replica->error = error;
    log_error("node stopped taking part", F_STR("why", what), F_ERR(error), F_HEX("id", replica->options.id));
}

void replica_end(struct replica *replica, struct request *request, int error, lash_index index) {
    if (request->term != 0) {
        struct request *found = waiting_take(&replica->proposer.waiting, request->sequence);
        LASH_ASSERT(found == request);
    }
    request_end(request, error, index, &replica->ended);
}

/* A full leader hands its office to one with room. */
static void replica_hand_over(struct replica *replica) {
    const struct lash_raft_status *status = &replica->status;
    if (!replica->full || status->role != LASH_LEADER || status->transfer_to != 0 ||
        replica->now_ms < replica->hand_over_at_ms)
        return;
    replica->hand_over_at_ms = replica->now_ms + REPLICA_HAND_OVER_MS;
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    (void)replica_step(replica, &event, NULL, 0); /* nobody may have room; it is tried again */
}

void replica_note_room(struct replica *replica) {
    bool full = replica->journal.full || replica->applier.full || replica->applier.low || replica->restorer.full;
    if (full == replica->full || !replica_active(replica))
        return;
    replica->full = full;
    observer_tell(replica, full ? LASH_OBSERVED_FULL : LASH_OBSERVED_ROOM, replica->options.id);
    if (full)
        log_warn("disk full: writes stopped; reads and votes go on, and so will writes once there is room",
                 F_STR("what", replica->journal.full ? "log" : "state machine"), F_HEX("id", replica->options.id));
    else
        log_info("room again: writes go on", F_HEX("id", replica->options.id));
    struct lash_event event = {.type = LASH_EVENT_ROOM};
    event.room.full = full;
    replica_step_surely(replica, &event);
    replica->hand_over_at_ms = 0;
    replica_hand_over(replica);
}

/* ---- Stepping the core --------------------------------------------------------------------------- */

/* Move the core into a block with room for twice as many changes of term. */
static int replica_grow(struct replica *replica) {
    struct lash_raft_options options = replica->raft_options;
    options.terms_max *= 2;
    size_t size = lash_raft_size(&options);
    if (size == 0)
        return LASH_FULL; /* more than any core can hold */
    void *block = mem_alloc(size);
    if (!block)
        return LASH_NOMEM;
    struct lash_raft *raft;
    int error = lash_raft_grow(replica->raft, options.terms_max, block, &raft);
    LASH_ASSERT(!error);
    mem_free(replica->raft);
    replica->raft = raft;
    replica->raft_options = options;
    return 0;
}

/* Say in the log what changed, and let those know who wait for a leader. */
static void replica_changed(struct replica *replica, const struct lash_raft_status *before) {
    const struct lash_raft_status *now = &replica->status;
    if (now->role != before->role)
        log_info("role changed", F_STR("role", names_roles[now->role]), F_U64("term", now->term), F_HEX("id", now->id),
                 F_U64("last_index", now->last_index), F_U64("commit", now->commit));
    if (now->leader != before->leader && now->leader != 0)
        log_info("leader known", F_HEX("leader", now->leader), F_U64("term", now->term), F_HEX("id", now->id));
    else if (now->leader != before->leader)
        log_warn("leader lost", F_HEX("leader", before->leader), F_U64("term", now->term), F_HEX("id", now->id));
    if (now->role != LASH_LEADER)
        fetcher_clear_all(replica);
    proposer_leader_changed(replica);
    reads_leader_changed(replica);
    observer_changed(replica, before);
    if (replica->env->observe) {
        struct lash_status status;
        replica_status(replica, &status);
        replica->env->observe(replica->env->context, &status);
    }
}

static void replica_carry_out(struct replica *replica, const struct recent_frame *frames, size_t count) {
    const struct lash_outputs *outputs = &replica->outputs;
    struct lash_raft_status before = replica->status;
    lash_raft_status(replica->raft, &replica->status);
    replica->core_deadline_ms = outputs->deadline_ms;
    members_stepped(replica);
    if (outputs->write)
        journal_add(replica, frames, count);
    if (outputs->install)
        installer_offered(replica);
    for (uint32_t i = 0; i < outputs->send_count; i++)
        sender_add(replica, &outputs->sends[i]);
    for (uint32_t i = 0; i < outputs->reads_done_count; i++)
        reads_answered(replica, outputs->reads_done[i].context, outputs->reads_done[i].index);
    meter_stepped(&replica->meter, &before, &replica->status);
    handover_stepped(replica, &before);
    if (outputs->role_changed)
        replica_changed(replica, &before);
}

static int replica_reserve(struct replica *replica, size_t frames) {
    int error = journal_reserve(replica, frames + 1);
    if (!error)
        error = recent_reserve(&replica->recent, frames + 1);
    if (!error)
        error = sender_reserve(replica);
    if (!error)
        error = members_reserve(replica);
    return error;
}

int replica_step(struct replica *replica, struct lash_event *event, const struct recent_frame *frames, size_t count) {
    if (!replica_active(replica))
        return LASH_CLOSED;
    int error = replica_reserve(replica, count);
    if (error)
        return error;
    replica->now_ms = replica->env->now_ms(replica->env->context);
    event->now_ms = replica->now_ms;
    error = lash_raft_step(replica->raft, event, &replica->outputs);
    while (error == LASH_FULL) {
        error = replica_grow(replica);
        if (error)
            return error;
        error = lash_raft_step(replica->raft, event, &replica->outputs);
    }
    if (error)
        return error;
    replica_carry_out(replica, frames, count);
    if (replica->env->stepped)
        replica->env->stepped(replica->env->context);
    sender_drain(replica);
    return 0;
}

void replica_step_surely(struct replica *replica, struct lash_event *event) {
    int error = replica_step(replica, event, NULL, 0);
    if (error && error != LASH_CLOSED)
        replica_fail(replica, error, "the core could not be told what happened");
}

/* ---- Creation ------------------------------------------------------------------------------------ */

/* A log with room to spare for changes of term. */
static uint32_t replica_terms_max(const struct log_recovered *recovered) {
    size_t terms = REPLICA_TERMS_MIN / 2;
    for (size_t i = 1; i < recovered->run_count; i++)
        terms += recovered->runs[i].term != recovered->runs[i - 1].term;
    return (uint32_t)(terms * 2);
}

static int replica_init_raft(struct replica *replica, const struct log_recovered *recovered) {
    const struct replica_options *options = &replica->options;
    replica->raft_options = (struct lash_raft_options){.id = options->id,
                                                       .group = options->group,
                                                       .seed = options->seed,
                                                       .heartbeat_ms = options->heartbeat_ms,
                                                       .election_ms = options->election_ms,
                                                       .inflight_bytes_max = options->inflight_bytes_max,
                                                       .leases = options->leases,
                                                       .lease_drift = options->lease_drift,
                                                       .terms_max = replica_terms_max(recovered)};
    struct lash_raft_saved saved = {.term = recovered->term,
                                    .vote = recovered->vote,
                                    .first_index = recovered->first_index,
                                    .prev_term = recovered->prev_term,
                                    .commit_floor = options->applied,
                                    .runs = recovered->runs,
                                    .run_count = recovered->run_count};
    if (saved.commit_floor < recovered->first_index - 1)
        saved.commit_floor = recovered->first_index - 1;
    /* What a snapshot covers was applied somewhere. */
    lash_index covered = replica->taker.newest.index;
    if (saved.commit_floor < covered && covered <= recovered->last_index)
        saved.commit_floor = covered;
    int error = members_load(replica, recovered, &saved);
    if (error)
        return error;
    size_t size = lash_raft_size(&replica->raft_options);
    if (size == 0)
        return LASH_INVALID;
    void *block = mem_alloc(size);
    if (!block)
        return LASH_NOMEM;
    error = lash_raft_init(block, &replica->raft_options, &saved, replica->now_ms, &replica->raft);
    if (error)
        mem_free(block);
    return error;
}

static void replica_lent(void *owner) {
    fetcher_turn(owner);
}

int replica_new(const struct replica_options *options, const struct replica_env *env, struct log *log,
                const struct log_recovered *recovered, struct replica **replica) {
    if (options->applied > recovered->last_index)
        return LASH_MISMATCH;
    struct replica *new = mem_calloc(1, sizeof *new);
    if (!new)
        return LASH_NOMEM;
    new->options = *options;
    (void)roster_ref(options->first);
    (void)roster_ref(options->contacts);
    new->env = env;
    new->log = log;
    new->now_ms = env->now_ms(env->context);
    new->next_number = options->sequence ? options->sequence : 1;
    meter_init(&new->meter, env->now_ns, env->context);
    list_init(&new->ages);
    list_init(&new->ended);
    journal_init(new);
    fetcher_init(new);
    lender_init(&new->lender, env, log, options->group, replica_lent, new);
    reads_init(new);
    handover_init(new);
    changes_init(new);
    applier_init(new);
    taker_init(new);
    restorer_init(new);
    installer_init(new);
    streams_init(new);
    int error = proposer_init(new);
    if (!error)
        error = recent_init(&new->recent, options->recent_bytes_max, options->recent_bytes_kept);
    if (!error)
        error = replica_init_raft(new, recovered);
    if (error) {
        replica_free(new);
        return error;
    }
    lash_raft_status(new->raft, &new->status);
    *replica = new;
    return 0;
}

void replica_free(struct replica *replica) {
    LASH_ASSERT(list_empty(&replica->ages) && list_empty(&replica->ended) && !replica->copying);
    streams_free(replica);
    installer_free(replica);
    taker_free(replica);
    applier_free(replica);
    reads_free(replica);
    handover_free(replica);
    changes_free(replica);
    proposer_free(replica);
    sender_free(replica);
    fetcher_free(replica);
    lender_free(&replica->lender);
    journal_free(replica);
    recent_free(&replica->recent);
    members_free(replica);
    roster_unref(replica->options.first);
    roster_unref(replica->options.contacts);
    mem_free(replica->raft);
    mem_free(replica);
}

void replica_abandon(struct replica *replica) {
    replica->journal.busy = false;
    replica->applier.busy = false;
    replica->fetcher.busy = false;
    replica->copying = false;
    replica->installer.busy = false;
    replica->streams.streams[replica->streams.position].busy = false;
    replica->lender.busy = false;
    struct list *at;
    list_splice(&replica->applier.claimed, &replica->ended);
    list_splice(&replica->applier.claimed, &replica->taker.queue);
    list_splice(&replica->applier.claimed, &replica->taker.served);
    while ((at = list_pop(&replica->applier.claimed)))
        request_free(list_entry(at, struct request, link));
    while ((at = list_pop(&replica->ages))) {
        struct request *request = list_entry(at, struct request, age);
        list_remove(&request->link);
        request_free(request);
    }
    replica->proposer.waiting.count = 0;
    replica_free(replica);
}

/* ---- Events -------------------------------------------------------------------------------------- */

void replica_submit(struct replica *replica, struct list *requests) {
    uint64_t now_ms = replica->env->now_ms(replica->env->context);
    struct list *at;
    while ((at = list_pop(requests))) {
        struct request *request = list_entry(at, struct request, link);
        request_received(request);
        if (!replica_active(replica)) {
            request_end(request, LASH_CLOSED, 0, &replica->ended);
            continue;
        }
        if (witness_refuses(replica, request)) {
            request_end(request, LASH_WITNESS, 0, &replica->ended);
            continue;
        }
        if (request->kind == REQUEST_SNAPSHOT) { /* takes as long as it takes */
            taker_submit(replica, request);
            continue;
        }
        request->deadline_ms = now_ms + replica->options.request_timeout_ms;
        list_push(&replica->ages, &request->age);
        if (request->kind == REQUEST_READ)
            reads_submit(replica, request);
        else if (request->kind == REQUEST_TRANSFER)
            handover_submit(replica, request);
        else if (request->kind == REQUEST_CHANGE)
            changes_submit(replica, request);
        else
            proposer_submit(replica, request);
    }
}

int replica_receive(struct replica *replica, lash_id from, const uint8_t *head, size_t head_size, const uint8_t *tail,
                    size_t tail_size) {
    struct wire_head decoded;
    int error = wire_decode(head, head_size, &decoded);
    if (!error && decoded.group != replica->options.group)
        error = LASH_CORRUPT;
    if (error)
        return error;
    if (decoded.kind == WIRE_MESSAGE)
        return receiver_message(replica, from, &decoded, tail, tail_size);
    if (decoded.kind == WIRE_FORWARD)
        return proposer_forwarded(replica, from, &decoded, tail, tail_size);
    if (decoded.kind == WIRE_SNAPSHOT_CHUNK)
        return installer_chunk(replica, from, &decoded, tail, tail_size);
    if (decoded.kind == WIRE_SNAPSHOT_ACK && !tail_size) {
        if (replica_active(replica))
            streams_acked(replica, from, &decoded);
        return 0;
    }
    if (decoded.kind == WIRE_REPAIR_REPLY) /* what it answers is repaired by now */
        return repair_check_reply(tail, tail_size);
    if (decoded.kind == WIRE_REPAIR_ASK && !tail_size) {
        lender_ask(&replica->lender, from, &decoded);
        fetcher_turn(replica);
        return 0;
    }
    if (tail_size || decoded.kind != WIRE_FORWARD_REPLY)
        return LASH_CORRUPT;
    if (replica_active(replica))
        proposer_refused(replica, decoded.forward_reply.batch, decoded.forward_reply.error);
    return 0;
}

bool replica_is_connected(const struct replica *replica, lash_id peer) {
    for (size_t i = 0; peer != 0 && i < REPLICA_PEERS_MAX; i++)
        if (replica->connected[i] == peer)
            return true;
    return false;
}

void replica_connected(struct replica *replica, lash_id peer) {
    LASH_ASSERT(peer != 0);
    if (replica_is_connected(replica, peer))
        return;
    for (size_t i = 0; i < REPLICA_PEERS_MAX; i++) {
        if (replica->connected[i] == 0) {
            replica->connected[i] = peer;
            replica->connected_count++;
            observer_tell(replica, LASH_OBSERVED_CONNECTED, peer);
            streams_connected(replica, peer);
            return;
        }
    }
}

void replica_disconnected(struct replica *replica, lash_id peer) {
    for (size_t i = 0; i < REPLICA_PEERS_MAX; i++) {
        if (replica->connected[i] == peer) {
            replica->connected[i] = 0;
            replica->connected_count--;
            observer_tell(replica, LASH_OBSERVED_DISCONNECTED, peer);
        }
    }
    fetcher_forget(replica, peer);
    streams_forget(replica, peer);
    cutter_disconnected(replica, peer);
    struct lash_event event = {.type = LASH_EVENT_UNREACHABLE};
    event.peer.id = peer;
    replica_step_surely(replica, &event);
}

void replica_lane(struct replica *replica, lash_id peer, bool ready) {
    streams_lane(replica, peer, ready);
}

void replica_down(struct replica *replica, lash_id peer) {
    struct lash_event event = {.type = LASH_EVENT_DOWN};
    event.peer.id = peer;
    replica_step_surely(replica, &event);
}

void replica_stop(struct replica *replica) {
    replica->stopping = true;
}

bool replica_stopped(const struct replica *replica) {
    return replica->stopping && journal_idle(replica) && !replica->applier.busy && !replica->fetcher.busy &&
           !replica->lender.busy && !replica->copying && replica->taker.state == TAKER_IDLE &&
           list_empty(&replica->ages) && list_empty(&replica->ended);
}

/* ---- Turns --------------------------------------------------------------------------------------- */

static void replica_tick(struct replica *replica) {
    if (replica->now_ms < replica->core_deadline_ms)
        return;
    struct lash_event event = {.type = LASH_EVENT_TICK};
    int error = replica_step(replica, &event, NULL, 0);
    if (error == LASH_NOMEM)
        replica->core_deadline_ms = replica->now_ms + REPLICA_NOMEM_PAUSE_MS;
    else if (error && error != LASH_CLOSED)
        replica_fail(replica, error, "the core could not be told the time");
}

/* What a request that has waited too long ends with. A proposal that was not sent although there is whom to send it to had to
 * wait behind others. */
static int replica_expiry(const struct replica *replica, const struct request *request) {
    const struct lash_raft_status *status = &replica->status;
    if (request->kind == REQUEST_TRANSFER)
        return LASH_TIMEOUT;
    if (request->kind == REQUEST_READ)
        return status->leader ? LASH_TIMEOUT : LASH_NO_LEADER;
    if (request->term || request->index)
        return LASH_TIMEOUT;
    bool reachable = status->role == LASH_LEADER || replica_is_connected(replica, status->leader);
    return reachable ? LASH_BUSY : LASH_NO_LEADER;
}

static void replica_expire(struct replica *replica) {
    while (!list_empty(&replica->ages)) {
        struct request *oldest = list_entry(replica->ages.next, struct request, age);
        if (oldest->deadline_ms > replica->now_ms)
            return;
        replica_end(replica, oldest, replica_expiry(replica, oldest), 0);
    }
}

static void replica_end_all(struct replica *replica) {
    while (!list_empty(&replica->ages))
        replica_end(replica, list_entry(replica->ages.next, struct request, age), LASH_CLOSED, 0);
}

static uint64_t replica_sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t replica_deadline(const struct replica *replica) {
    uint64_t deadline = journal_deadline(replica);
    if (!replica_active(replica))
        return deadline;
    deadline = replica_sooner(deadline, replica->core_deadline_ms);
    deadline = replica_sooner(deadline, slowness_deadline(replica));
    deadline = replica_sooner(deadline, sender_deadline(replica));
    deadline = replica_sooner(deadline, proposer_deadline(replica));
    deadline = replica_sooner(deadline, reads_deadline(replica));
    deadline = replica_sooner(deadline, changes_deadline(replica));
    deadline = replica_sooner(deadline, members_deadline(replica));
    deadline = replica_sooner(deadline, applier_deadline(replica));
    deadline = replica_sooner(deadline, taker_deadline(replica));
    deadline = replica_sooner(deadline, restorer_deadline(replica));
    deadline = replica_sooner(deadline, installer_deadline(replica));
    deadline = replica_sooner(deadline, streams_deadline(replica));
    if (replica->full && replica->status.role == LASH_LEADER && replica->status.transfer_to == 0)
        deadline = replica_sooner(deadline, replica->hand_over_at_ms);
    if (!list_empty(&replica->ages))
        deadline = replica_sooner(deadline, list_entry(replica->ages.next, struct request, age)->deadline_ms);
    return deadline;
}

/* Let go of what is in memory of entries that the state machine has and, on a leader, each follower that is there. One that is not
 * is served from the log when it comes back. */
static void replica_settle(struct replica *replica) {
    const struct lash_raft_status *status = &replica->status;
    lash_index settled = replica->applier.reached;
    for (uint32_t i = 0; status->role == LASH_LEADER && i < status->progress_count; i++) {
        const struct lash_progress *progress = &status->progress[i];
        if (progress->active && progress->match < settled)
            settled = progress->match;
    }
    recent_settled(&replica->recent, settled);
}

void replica_turn(struct replica *replica) {
    replica->now_ms = replica->env->now_ms(replica->env->context);
    if (replica_active(replica)) {
        replica_tick(replica);
        slowness_turn(replica);
        replica_hand_over(replica);
        proposer_turn(replica);
        reads_turn(replica);
        handover_turn(replica);
        changes_turn(replica);
        members_turn(replica);
        installer_turn(replica);
        restorer_turn(replica);
        taker_turn(replica);
        applier_turn(replica);
        streams_turn(replica);
        replica_settle(replica);
        replica_expire(replica);
    }
    replica_notify(replica);
    if (!replica_active(replica)) {
        applier_stop(replica);
        taker_stop(replica);
        replica_end_all(replica);
    }
    observer_turn(replica);
    journal_turn(replica);
    replica->env->arm(replica->env->context, replica_deadline(replica));
}

bool replica_deliver(struct replica *replica) {
    bool some = !list_empty(&replica->ended);
    request_deliver(&replica->ended, SIZE_MAX);
    return some;
}

bool replica_has_ended(const struct replica *replica) {
    return !list_empty(&replica->ended);
}

void replica_ended(struct replica *replica, struct list *ended) {
    list_splice(ended, &replica->ended);
}

void replica_notify(struct replica *replica) {
    if (replica_active(replica))
        sender_notify(replica);
}

/* ---- Observation --------------------------------------------------------------------------------- */

static void replica_snapshot_status(const struct replica *replica, struct lash_snapshot_status *status) {
    const struct taker *taker = &replica->taker;
    const struct installer *installer = &replica->installer;
    status->index = taker->newest.index;
    status->term = taker->newest.term;
    status->bytes = taker->newest.bytes;
    status->taking = taker->state == TAKER_IDLE ? 0 : taker->index;
    status->taken = taker->state == TAKER_IDLE ? 0 : taker->written;
    if (installer->state == INSTALLER_FETCHING) {
        status->receiving = installer->index;
        status->receiving_from = installer->from;
        status->received = installer->received;
        status->receiving_bytes = installer->bytes;
    }
    status->restoring = restorer_due(replica);
    streams_status(replica, status);
}

struct roster *replica_roster(const struct replica *replica) {
    return members_newest(replica);
}

struct roster *replica_committed_roster(const struct replica *replica) {
    return members_at(replica, replica->status.commit);
}

void replica_status(const struct replica *replica, struct lash_status *status) {
    *status = (struct lash_status){.raft = replica->status,
                                   .cluster_id = replica->options.cluster_id,
                                   .error = replica->error,
                                   .peers_connected = replica->connected_count,
                                   .log_bytes = log_size(replica->log),
                                   .pending_requests = request_count(replica->options.gauge)};
    replica_snapshot_status(replica, &status->snapshot);
}

void replica_metrics(const struct replica *replica, struct lash_metrics *metrics) {
    meter_read(&replica->meter, metrics);
    request_metrics(replica->options.gauge, metrics);
}

void replica_queues(const struct replica *replica, struct lash_metrics *metrics) {
    const struct journal *journal = &replica->journal;
    metrics->proposals_sent = replica->proposer.waiting.count;
    metrics->log_queued_frames = journal->queued.count + journal->writing.count;
    metrics->log_queued_bytes = journal->queued.bytes + journal->writing.bytes;
    metrics->uncommitted_bytes = proposer_uncommitted(replica);
    metrics->parts_bytes = replica->applier.parts.cursor.total + replica->proposer.cutter.guest.cursor.total;
    metrics->write_ns = replica->slowness.smoothed_us * 1000;
    metrics->messages_held = replica->sender.held.count - replica->sender.held.head;
    metrics->apply_lag_ns = meter_apply_lag(&replica->meter);
}
