/* SPDX-License-Identifier: Apache-2.0
 *
 * The core from outside: making one, stepping it, growing and compacting it.
 */
#include <string.h>

#include "base/assert.h"
#include "raft/commit.h"
#include "raft/durability.h"
#include "raft/election.h"
#include "raft/lease.h"
#include "raft/membership.h"
#include "raft/message.h"
#include "raft/priority.h"
#include "raft/raft_state.h"
#include "raft/random.h"
#include "raft/read.h"
#include "raft/replication.h"
#include "raft/snapshot.h"
#include "raft/transfer.h"

/* The most that a table of the block may hold: sizes then fit any platform's size_t. */
#define RAFT_TABLE_MAX ((uint32_t)1 << 22)

_Static_assert(sizeof(struct lash_raft) % sizeof(uint64_t) == 0, "the block is made of words");
_Static_assert(sizeof(struct lash_read_done) == 2 * sizeof(uint64_t), "reads released are words too");

/* ---- Creation ---------------------------------------------------------------------------------- */

static uint64_t raft_or(uint64_t value, uint64_t otherwise) {
    return value == 0 ? otherwise : value;
}

/* Fill what the options fix, the layout too. Errors: LASH_INVALID. */
static int raft_configure(struct lash_raft *raft, const struct lash_raft_options *options, uint64_t *terms_max,
                          uint64_t *words) {
    raft->id = options->id;
    raft->group = options->group;
    raft->heartbeat_ms = raft_or(options->heartbeat_ms, 100);
    raft->election_ms = raft_or(options->election_ms, 1000);
    raft->pre_vote = !options->no_pre_vote;
    raft->check_quorum = !options->no_check_quorum;
    raft->leases = options->leases;
    raft->lease_drift = raft_or(options->lease_drift, 100);
    raft->inflight_messages_max = raft_or(options->inflight_messages_max, 128);
    raft->inflight_bytes_max = raft_or(options->inflight_bytes_max, (uint64_t)8 << 20);
    raft->message_bytes_max = raft_or(options->message_bytes_max, (uint64_t)1 << 20);
    raft->reads_max = raft_or(options->reads_max, 4096);
    *terms_max = raft_or(options->terms_max, 256);
    if (options->id == 0 || raft->heartbeat_ms >= raft->election_ms || raft->election_ms >= UINT32_MAX)
        return LASH_INVALID;
    if (raft->lease_drift >= 1000)
        return LASH_INVALID;
    if (raft->inflight_messages_max > RAFT_TABLE_MAX / LASH_RAFT_MEMBERS_MAX || raft->reads_max > RAFT_TABLE_MAX ||
        *terms_max > RAFT_TABLE_MAX)
        return LASH_INVALID;
    if (raft->inflight_bytes_max >= RAFT_LIMIT || raft->message_bytes_max >= RAFT_LIMIT)
        return LASH_INVALID;

    uint64_t word = sizeof(uint64_t);
    raft->progress_words = progress_words(raft->inflight_messages_max);
    raft->progress_at = sizeof *raft / word;
    raft->reads_at = raft->progress_at + LASH_RAFT_MEMBERS_MAX * raft->progress_words;
    raft->terms_at = raft->reads_at + (sizeof(struct raft_reads) + raft->reads_max * sizeof(struct raft_read)) / word;
    raft->released_at = raft->terms_at + terms_words(*terms_max);
    *words =
        raft->released_at + (sizeof(struct raft_released) + raft->reads_max * sizeof(struct lash_read_done)) / word;
    return LASH_OK;
}

size_t lash_raft_size(const struct lash_raft_options *options) {
    struct lash_raft raft;
    uint64_t terms_max = 0;
    uint64_t words = 0;
    if (options == NULL || raft_configure(&raft, options, &terms_max, &words) != LASH_OK)
        return 0;
    return (size_t)(words * sizeof(uint64_t));
}

/* Whether what the disk held can be a log with its term and vote. `*changes` is its number of changes of term. */
static bool raft_saved_valid(const struct lash_raft_saved *saved, uint64_t *changes) {
    if (saved->first_index == 0 || saved->first_index >= RAFT_LIMIT || saved->term >= RAFT_LIMIT)
        return false;
    if ((saved->first_index == 1) != (saved->prev_term == 0) || (saved->term == 0 && saved->vote != 0))
        return false;
    lash_index next = saved->first_index;
    lash_term term = saved->prev_term;
    *changes = 0;
    for (size_t i = 0; i < saved->run_count; i++) {
        const struct lash_run *run = &saved->runs[i];
        if (run->first != next || run->count == 0 || run->term == 0 || run->term < term || next >= RAFT_LIMIT)
            return false;
        *changes += i == 0 || run->term != term;
        next = run->first + run->count;
        term = run->term;
    }
    if (term > saved->term || next >= RAFT_LIMIT || saved->configuration.index >= next)
        return false;
    return saved->commit_floor + 1 >= saved->first_index && saved->commit_floor < next;
}

static void raft_start(struct lash_raft *raft, const struct lash_raft_saved *saved, uint64_t seed, uint64_t now_ms) {
    struct terms *terms = raft_terms(raft);
    for (size_t i = 0; i < saved->run_count; i++)
        terms_append(terms, saved->runs[i].count, saved->runs[i].term);
    raft->term = saved->term;
    raft->vote = saved->vote;
    /* A configuration behind another proves that the other is committed (C1). */
    raft->commit = saved->commit_floor > raft->previous.index ? saved->commit_floor : raft->previous.index;
    raft->applied = saved->commit_floor;
    raft->durable_index = terms->last_index;
    membership_committed(raft);
    raft->now_ms = now_ms;
    /* The id goes in as well, so that nodes with one seed by mistake still do not move in step. */
    raft->random = random_mix(seed ^ random_mix(raft->id));
    /* Contexts of an earlier life must not come back: its late answers would be taken for answers to this one. */
    uint64_t life = random_mix(terms->last_index ^ random_mix(raft->term ^ random_mix(now_ms)));
    raft->read_context = random_mix(raft->random ^ life) >> 2;
    /* §5.2: when servers start up, they begin as followers. */
    raft->role = LASH_FOLLOWER;
    election_begin(raft);
    lease_start(raft);
}

int lash_raft_init(void *block, const struct lash_raft_options *options, const struct lash_raft_saved *saved,
                   uint64_t now_ms, struct lash_raft **raft) {
    struct lash_raft made;
    uint64_t terms_max = 0;
    uint64_t words = 0;
    uint64_t changes = 0;
    memset(&made, 0, sizeof made);
    if (block == NULL || (uintptr_t)block % sizeof(uint64_t) != 0 || options == NULL || saved == NULL || raft == NULL)
        return LASH_INVALID;
    if (raft_configure(&made, options, &terms_max, &words) != LASH_OK || now_ms >= RAFT_LIMIT)
        return LASH_INVALID;
    if (!raft_saved_valid(saved, &changes) || membership_load(&made, saved) != LASH_OK)
        return LASH_INVALID;
    if (changes > terms_max)
        return LASH_FULL;

    memset(block, 0, (size_t)(words * sizeof(uint64_t)));
    memcpy(block, &made, sizeof made);
    struct lash_raft *started = block;
    terms_init(raft_terms(started), terms_max, saved->first_index, saved->prev_term);
    raft_start(started, saved, options->seed, now_ms);
    *raft = started;
    return LASH_OK;
}

int lash_raft_grow(const struct lash_raft *raft, uint32_t terms_max, void *block, struct lash_raft **grown) {
    const struct terms *terms = raft_terms_of(raft);
    if (block == NULL || (uintptr_t)block % sizeof(uint64_t) != 0 || grown == NULL)
        return LASH_INVALID;
    if (terms_max < terms->max || terms_max > RAFT_TABLE_MAX)
        return LASH_INVALID;
    /* Only what lies behind the term table moves. */
    uint64_t before = raft->terms_at * sizeof(uint64_t);
    uint64_t released = sizeof(struct raft_released) + raft->reads_max * sizeof(struct lash_read_done);
    memcpy(block, raft, (size_t)before);
    struct lash_raft *to = block;
    to->released_at = to->terms_at + terms_words(terms_max);
    memset((uint64_t *)block + to->terms_at, 0, (size_t)(terms_words(terms_max) * sizeof(uint64_t)));
    terms_copy(terms, raft_terms(to), terms_max);
    memcpy(raft_released(to), (const uint64_t *)raft + raft->released_at, (size_t)released);
    *grown = to;
    return LASH_OK;
}

int lash_raft_compact(struct lash_raft *raft, lash_index index) {
    struct terms *terms = raft_terms(raft);
    if (index > raft->applied || index + 1 < terms->first_index)
        return LASH_INVALID;
    terms_compact(terms, index);
    /* The snapshot that covers it is durable, even if the entries themselves are yet to be. */
    if (raft->durable_index < index)
        raft->durable_index = index;
    return LASH_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static void raft_tick(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)event;
    read_tick(raft, outputs);
    election_tick(raft, outputs);
    transfer_tick(raft);
    membership_retire(raft, outputs);
    snapshot_tick(raft);
    replication_tick(raft, outputs);
}

static int raft_message_check(const struct lash_raft *raft, const struct lash_event *event) {
    return message_acceptable(raft, &event->message) ? message_room(raft, &event->message) : LASH_OK;
}

static void raft_message(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    if (message_acceptable(raft, &event->message))
        message_handle(raft, &event->message, outputs);
}

struct event_handler {
    /* LASH_OK, or why the event cannot be taken; NULL: it always can. Changes nothing. */
    int (*check)(const struct lash_raft *raft, const struct lash_event *event);
    void (*handle)(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);
    /* Whether what follows from the new state is said to all members after it, and the reads of the step before are
     * done with. Not after LASH_EVENT_SENT, which belongs to the step before: one per offer is still to come. */
    bool settles;
};

static const struct event_handler event_handlers[] = {
    [LASH_EVENT_TICK] = {NULL, raft_tick, true},
    [LASH_EVENT_MESSAGE] = {raft_message_check, raft_message, true},
    [LASH_EVENT_PROPOSE] = {replication_propose_check, replication_propose, true},
    [LASH_EVENT_WRITTEN] = {durability_written_check, durability_written, true},
    [LASH_EVENT_SENT] = {replication_sent_check, replication_sent, false},
    [LASH_EVENT_APPLIED] = {commit_applied_check, commit_applied, true},
    [LASH_EVENT_READ] = {read_ask_check, read_ask, true},
    [LASH_EVENT_UNREACHABLE] = {NULL, replication_unreachable, true},
    [LASH_EVENT_TRANSFER] = {transfer_ask_check, transfer_ask, true},
    [LASH_EVENT_READY] = {NULL, replication_ready, true},
    [LASH_EVENT_ROOM] = {NULL, replication_room, true},
    [LASH_EVENT_DOWN] = {NULL, election_peer_down, true},
    [LASH_EVENT_CONFIGURE] = {membership_configure_check, membership_configure, true},
    [LASH_EVENT_INSTALLED] = {snapshot_installed_check, snapshot_installed, true},
    [LASH_EVENT_SNAPSHOT_ENDED] = {NULL, snapshot_ended, true},
    [LASH_EVENT_SLOW] = {NULL, priority_slow, true},
};

#define EVENT_HANDLERS (sizeof event_handlers / sizeof event_handlers[0])

static int raft_check(const struct lash_raft *raft, const struct lash_event *event) {
    if (event->type >= EVENT_HANDLERS || event_handlers[event->type].handle == NULL || event->now_ms >= RAFT_LIMIT)
        return LASH_INVALID;
    const struct event_handler *handler = &event_handlers[event->type];
    return handler->check == NULL ? LASH_OK : handler->check(raft, event);
}

/* Draw the conclusions: what is committed, which reads are released, who is to be told. */
static void raft_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->role == LASH_LEADER)
        commit_settle(raft);
    read_settle(raft, outputs);
    if (raft->role == LASH_LEADER) {
        membership_settle(raft, outputs);
        replication_settle(raft, outputs);
        snapshot_settle(raft, outputs);
        transfer_settle(raft, outputs);
        membership_retire(raft, outputs);
    }
}

static uint64_t raft_deadline(const struct lash_raft *raft) {
    uint64_t deadline = election_deadline(raft);
    uint64_t read = read_deadline(raft);
    if (read < deadline)
        deadline = read;
    if (raft->role == LASH_LEADER && raft->heartbeat_deadline_ms < deadline)
        deadline = raft->heartbeat_deadline_ms;
    uint64_t transfer = transfer_deadline(raft);
    return transfer < deadline ? transfer : deadline;
}

static void raft_clear_released(struct lash_raft *raft) {
    struct raft_released *released = raft_released(raft);
    memset(released->items, 0, released->count * sizeof released->items[0]);
    released->count = 0;
}

/* All but the room for messages, which would be more than half of the work of a step. */
static void raft_clear_outputs(struct lash_outputs *outputs) {
    const size_t behind = offsetof(struct lash_outputs, commit);
    _Static_assert(offsetof(struct lash_outputs, commit) >=
                       offsetof(struct lash_outputs, sends) + sizeof outputs->sends,
                   "what follows the messages is cleared");
    memset(outputs, 0, offsetof(struct lash_outputs, sends));
    memset(&outputs->commit, 0, sizeof *outputs - behind);
}

int lash_raft_step(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    raft_clear_outputs(outputs);
    int error = raft_check(raft, event);
    if (error == LASH_OK) {
        uint64_t role = raft->role;
        uint64_t term = raft->term;
        uint64_t leader = raft->leader;
        lash_index commit = raft->commit;
        if (event->now_ms > raft->now_ms)
            raft->now_ms = event->now_ms;
        const struct event_handler *handler = &event_handlers[event->type];
        if (handler->settles)
            raft_clear_released(raft);
        handler->handle(raft, event, outputs);
        if (handler->settles)
            raft_settle(raft, outputs);
        durability_hold_sends(raft, outputs);
        LASH_ASSERT(raft->term >= term && raft->commit >= commit);
        outputs->role_changed = role != raft->role || term != raft->term || leader != raft->leader;
        outputs->commit_advanced = raft->commit != commit;
        outputs->reads_done_count = handler->settles ? (uint32_t)raft_released(raft)->count : 0;
        outputs->reads_done = raft_released(raft)->items;
    }
    outputs->commit = raft->commit;
    outputs->deadline_ms = raft_deadline(raft);
    return error;
}
