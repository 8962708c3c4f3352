/* SPDX-License-Identifier: Apache-2.0
 *
 * Lash's own service, Observation: Status.
 */
#include <stdlib.h>

#include "api/answer.h"
#include "api/membership.h"
#include "api/methods.h"
#include "base/assert.h"
#include "base/names.h"
#include "lash.pb-c.h"

/* All that the answer points into. */
struct observation {
    struct lash_status status;
    struct lash_metrics metrics;
    struct membership membership;
    Lash__StatusResponse answer;
    Lash__Durations sync;
    Lash__Durations commitment;
    Lash__Durations application;
    Lash__Peer peers[LASH_RAFT_MEMBERS_MAX];
    Lash__Progress progress[LASH_RAFT_MEMBERS_MAX];
    Lash__Peer *list[LASH_RAFT_MEMBERS_MAX];
};

/* protobuf-c wants texts that may be written to; nobody does. */
static char *observation_text(const char *text) {
    union {
        const char *constant;
        char *plain;
    } copy = {.constant = text};
    return copy.plain;
}

static char *observation_name(const struct observation *observation, lash_id id) {
    const Etcdserverpb__Member *member = membership_find(&observation->membership, id);
    return member ? member->name : observation_text("");
}

/* The bound that 99 % do not exceed. */
static uint64_t observation_p99(const struct lash_histogram *histogram, uint64_t total) {
    uint64_t seen = 0;
    for (uint32_t i = 0; i < histogram->bucket_count; i++) {
        seen += histogram->counts[i];
        if (total > 0 && seen >= total - total / 100)
            return histogram->bound_ns << i;
    }
    return 0;
}

static Lash__Durations *observation_durations(Lash__Durations *durations, const struct lash_histogram *histogram) {
    lash__durations__init(durations);
    durations->count = metric_total(histogram);
    durations->sum_ns = histogram->sum_ns;
    durations->p99_ns = observation_p99(histogram, durations->count);
    return durations;
}

/* How far this leader is with `peer`; NULL when it does not lead, or not that one. */
static Lash__Progress *observation_progress(const struct lash_raft_status *raft, lash_id peer,
                                            Lash__Progress *progress) {
    for (uint32_t i = 0; i < raft->progress_count; i++) {
        const struct lash_progress *from = &raft->progress[i];
        if (from->id != peer)
            continue;
        LASH_ASSERT(from->state < NAMES_STATES);
        lash__progress__init(progress);
        progress->state = observation_text(names_states[from->state]);
        progress->match = from->match;
        progress->next = from->next;
        progress->lag = raft->last_index > from->match ? raft->last_index - from->match : 0;
        progress->active = from->active != 0;
        progress->disk_full = from->full != 0;
        progress->disk_slow = from->slow != 0;
        progress->voter = (from->flags & LASH_MEMBER_VOTER) != 0;
        progress->inflight_messages = from->inflight_messages;
        progress->inflight_bytes = from->inflight_bytes;
        return progress;
    }
    return NULL;
}

static int observation_by_id(const void *a, const void *b) {
    const Lash__Peer *const *left = a;
    const Lash__Peer *const *right = b;
    return ((*left)->id > (*right)->id) - ((*left)->id < (*right)->id);
}

static void observation_fill_peers(struct observation *observation) {
    const struct lash_metrics *metrics = &observation->metrics;
    LASH_ASSERT(metrics->peer_count <= LASH_RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < metrics->peer_count; i++) {
        const struct lash_peer_metrics *from = &metrics->peers[i];
        Lash__Peer *peer = &observation->peers[i];
        lash__peer__init(peer);
        peer->id = from->id;
        peer->name = observation_name(observation, from->id);
        peer->connected = from->connected;
        peer->round_trip_ns = from->round_trip_ns;
        peer->sent_bytes = from->bytes_sent;
        peer->received_bytes = from->bytes_received;
        peer->queued_bytes = from->queued_bytes;
        peer->send_failures = from->send_failures;
        peer->disconnects = from->disconnects;
        peer->progress = observation_progress(&observation->status.raft, from->id, &observation->progress[i]);
        observation->list[i] = peer;
    }
    qsort(observation->list, metrics->peer_count, sizeof *observation->list, observation_by_id);
    observation->answer.peers = observation->list;
    observation->answer.n_peers = metrics->peer_count;
}

static void observation_fill_metrics(struct observation *observation) {
    const struct lash_metrics *metrics = &observation->metrics;
    Lash__StatusResponse *answer = &observation->answer;
    answer->elections = metrics->elections;
    answer->elections_won = metrics->elections_won;
    answer->leader_changes = metrics->leader_changes;
    answer->proposals_failed = metrics->proposals_failed;
    answer->reads_failed = metrics->reads_failed;
    answer->sync = observation_durations(&observation->sync, &metrics->sync);
    answer->commitment = observation_durations(&observation->commitment, &metrics->commit);
    answer->application = observation_durations(&observation->application, &metrics->apply);
    answer->proposals_pending = metrics->proposals_pending;
    answer->reads_pending = metrics->reads_pending;
    answer->pending_bytes = metrics->pending_bytes;
    answer->log_queued_frames = metrics->log_queued_frames;
    answer->log_queued_bytes = metrics->log_queued_bytes;
    answer->messages_held = metrics->messages_held;
    answer->apply_lag_ns = metrics->apply_lag_ns;
}

static void observation_fill_status(const struct call *call, struct observation *observation) {
    const struct lash_status *status = &observation->status;
    Lash__StatusResponse *answer = &observation->answer;
    struct store_stats stats;
    LASH_ASSERT(status->raft.role < NAMES_ROLES);
    answer->cluster_id = call->loop->options->cluster_id;
    answer->member_id = call->loop->options->member_id;
    answer->name = observation_text(call->loop->options->name);
    answer->role = observation_text(names_roles[status->raft.role]);
    answer->term = status->raft.term;
    answer->vote = status->raft.vote;
    answer->leader = status->raft.leader;
    answer->transfer_to = status->raft.transfer_to;
    answer->error = observation_text(status->error ? lash_strerror(status->error) : "");
    answer->log_first = status->raft.first_index;
    answer->log_last = status->raft.last_index;
    answer->log_durable = status->raft.durable_index;
    answer->commit = status->raft.commit;
    answer->applied = status->raft.applied;
    answer->log_bytes = status->log_bytes;
    answer->disk_full = status->raft.full != 0;
    answer->disk_slow = status->raft.slow != 0;
    answer->learner = membership_is_learner(&status->raft);
    store_stats(call->loop->options->store, &stats);
    answer->cluster_version = stats.version;
    answer->version = STORE_VERSION_NEWEST;
}

void observation_status(struct call *call) {
    struct observation *observation = arena_calloc(call->arena, 1, sizeof *observation);
    if (!observation) {
        call_fail(call, API_NO_MEMORY);
        return;
    }
    if (!call_status(call, &observation->status) || !call_metrics(call, &observation->metrics)) {
        call_fail(call, API_STOPPED);
        return;
    }
    enum api_error failed = membership_read(call, &observation->membership);
    if (failed) {
        call_fail(call, failed);
        return;
    }
    lash__status_response__init(&observation->answer);
    observation_fill_status(call, observation);
    observation_fill_metrics(observation);
    observation_fill_peers(observation);
    answer_with(call, &observation->answer.base);
    membership_free(&observation->membership);
}
