/* SPDX-License-Identifier: Apache-2.0
 *
 * The projection: which states of the core are one state of the model, and why
 * that is sound. See core_canonical.
 */
#include "check/core.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "check/hash.h"
#include "check/roster.h"
#include "raft/priority.h"
#include "raft/raft_state.h"

#define CORE_HEARTBEAT_MS ((uint64_t)100)
#define CORE_ELECTION_MS ((uint64_t)1000)
#define CORE_SEED 1

/* A word of the block that is not what a fresh node has there. */
struct core_word {
    uint16_t at;
    uint16_t reserved;
    uint32_t value;
};

struct cores {
    struct model_bounds bounds;
    uint32_t nodes;
    size_t size; /* of a block */
    struct lash_raft_options options;
    uint64_t *templates[MODEL_NODES_MAX + 1]; /* by id: the canonical block of a node with an empty disk */
    uint64_t *block;
    uint64_t *other; /* for permutations */
};

static void core_options(struct lash_raft_options *options, const struct model_bounds *bounds) {
    memset(options, 0, sizeof *options);
    options->seed = CORE_SEED;
    options->heartbeat_ms = CORE_HEARTBEAT_MS;
    options->election_ms = CORE_ELECTION_MS;
    options->no_pre_vote = !bounds->pre_vote;
    options->no_check_quorum = !bounds->check_quorum;
    options->inflight_messages_max = 2;
    /* A step is refused unless there is room for the log's changes of term and the message's. */
    options->terms_max = 2 * (MODEL_TERMS_MAX + 1);
    options->reads_max = MODEL_READS_MAX + MODEL_NODES_MAX;
}

/* ---- The canonical form -------------------------------------------------------------------------
 *
 * The core is a function of its block and an event, and compares times only with one another. Times: the model lets
 * any amount of time pass at any node between any two events, as in an asynchronous system; so whether a
 * deadline is reached, or somebody was heard of lately, is a choice at each event and not part of the state:
 * - Every event happens at CORE_NOW, before all deadlines, except the events that stand for time having passed: a
 *   TICK at the time of one deadline. They are always enabled, so every order of deadlines is tried, those too that clocks
 *   would not show. Hence deadlines need not be remembered, only whether there is one.
 * - A follower that heard from its leader lately ignores requests for votes. The model's never did: ignoring a message is
 *   what losing it is, and messages may always be lost.
 * - A pre-candidate that asked a moment ago refuses an equal of a lower id. The model's asked long ago: the refusal tells
 *   its receiver nothing (no vote, and no higher term, for the two have the same), so it is like losing the request.
 *   With it goes the only rule that orders ids, hence symmetry.
 * - A leader's members answered just now, except in the event CORE_QUORUM, which says that they did not.
 * - A transfer is given up when core_give_up has said so, before anything else is due.
 * The generator draws deadlines only. Write numbers are used only in comparison with one another: they are counted from
 * the last durable write. `released` is output of the last step. Read contexts start from a number that was not used
 * before (core_start), as their randomness makes (nearly) sure in production.
 * - There are no leases: they rest on clocks that run alike, and these run as they like.
 * - Nobody has a priority or a slow disk, so it makes no difference when the office last moved. A leader that hands over by
 *   itself does what it does when it is asked to (a TRANSFER, at any moment, to anybody), which is in the model.
 * All else of the block is the state: what the core comes to hold in later versions is taken for state until it is
 * named here. */
static uint64_t core_if(uint64_t value, uint64_t canonical) {
    return value == 0 ? 0 : canonical;
}

static void core_canonical(struct lash_raft *raft) {
    raft->now_ms = CORE_NOW;
    raft->random = 0;
    raft->election_deadline_ms = core_if(raft->election_deadline_ms, core_deadline(CORE_ELECTION));
    raft->asked_ms = core_if(raft->asked_ms, CORE_NOW - 2 * CORE_HEARTBEAT_MS);
    raft->contact_ms = core_if(raft->contact_ms, CORE_NOW - 2 * CORE_ELECTION_MS);
    LASH_ASSERT(raft->leases == 0 && raft->promised_ms == 0 && raft->round_ms == 0 && raft->lease_wanted_ms == 0);
    LASH_ASSERT(raft->slow == 0 && !priority_matters(raft));
    raft->moved_ms = 0;
    raft->pause_ms = 0;
    raft->heartbeat_deadline_ms = core_if(raft->heartbeat_deadline_ms, core_deadline(CORE_HEARTBEAT));
    raft->transfer_deadline_ms = core_if(raft->transfer_deadline_ms, core_deadline(CORE_QUORUM));
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        struct progress *progress = raft_progress(raft, slot);
        progress->contact_ms = core_if(progress->contact_ms, CORE_NOW);
    }
    struct raft_reads *reads = raft_reads(raft);
    reads->deadline_ms = core_if(reads->deadline_ms, core_deadline(CORE_READ));

    uint64_t durable = raft->writes_durable;
    raft->writes -= durable;
    raft->writes_durable = 0;
    raft->write_of_term = raft->write_of_term > durable ? raft->write_of_term - durable : 0;
    raft->write_of_cut = raft->write_of_cut > durable ? raft->write_of_cut - durable : 0;

    struct raft_released *released = raft_released(raft);
    memset(released->items, 0, released->count * sizeof released->items[0]);
    released->count = 0;
}

uint64_t core_deadline(enum core_deadline deadline) {
    switch (deadline) {
    case CORE_ELECTION:
        return CORE_NOW + 2 * CORE_ELECTION_MS;
    case CORE_HEARTBEAT:
        return CORE_NOW + CORE_HEARTBEAT_MS;
    case CORE_QUORUM:
    case CORE_READ:
        return CORE_NOW + CORE_ELECTION_MS;
    }
    LASH_UNREACHABLE("core_deadline");
}

void core_give_up(struct lash_raft *raft) {
    raft->transfer_deadline_ms = CORE_NOW;
}

/* ---- Making cores ------------------------------------------------------------------------------ */

/* What a disk says of the membership: the newest configuration and the one before it. */
static void core_configure(const struct cores *cores, lash_id id, const struct model_node *disk,
                           struct lash_raft_saved *saved) {
    uint8_t index = 0;
    for (uint32_t slot = 0; slot < cores->nodes && cores->bounds.changes == 0; slot++) {
        saved->configuration.count++;
        saved->configuration.members[slot].id = slot + 1;
        saved->configuration.members[slot].flags = roster_flags(&cores->bounds, slot + 1, LASH_MEMBER_VOTER);
    }
    if (cores->bounds.changes == 0)
        return;
    uint8_t newest = roster_newest(&cores->bounds, (uint8_t)id, disk->disk, disk->disk_count, &index);
    if (newest != ROSTER_NONE)
        roster_configuration(&cores->bounds, ROSTER_BYTE_FROM(newest), ROSTER_BYTE_TO(newest), index,
                             &saved->configuration);
    if (index == 0)
        return;
    uint8_t before = roster_newest(&cores->bounds, (uint8_t)id, disk->disk, index - 1u, &index);
    if (before != ROSTER_NONE)
        roster_configuration(&cores->bounds, ROSTER_BYTE_FROM(before), ROSTER_BYTE_TO(before), index, &saved->previous);
}

struct lash_raft *core_start(struct cores *cores, lash_id id, const struct model_node *disk, uint64_t read_context) {
    struct lash_run runs[MODEL_LOG_MAX];
    struct lash_raft_saved saved = {
        .term = disk->disk_term, .vote = disk->disk_vote, .first_index = disk->snapshot + 1u};
    saved.prev_term = disk->snapshot == 0 ? 0 : MODEL_ENTRY_TERM(disk->disk[disk->snapshot - 1]);
    saved.commit_floor = disk->commit;
    memset(runs, 0, sizeof runs);
    for (uint32_t i = disk->snapshot; i < disk->disk_count; i++) {
        struct lash_run *run = &runs[saved.run_count++];
        run->first = i + 1;
        run->term = MODEL_ENTRY_TERM(disk->disk[i]);
        run->kind = MODEL_ENTRY_KIND(disk->disk[i]);
        run->count = 1;
    }
    saved.runs = runs;
    core_configure(cores, id, disk, &saved);
    struct lash_raft_options options = cores->options;
    options.id = id;
    struct lash_raft *raft = NULL;
    int error = lash_raft_init(cores->block, &options, &saved, CORE_NOW, &raft);
    LASH_ASSERT(error == LASH_OK && raft == (struct lash_raft *)cores->block);
    raft->read_context = read_context;
    return raft;
}

struct cores *cores_new(const struct model_bounds *bounds) {
    struct cores *cores = mem_calloc(1, sizeof *cores);
    if (cores == NULL)
        return NULL;
    cores->bounds = *bounds;
    cores->nodes = bounds->nodes;
    core_options(&cores->options, bounds);
    cores->options.id = 1;
    cores->size = lash_raft_size(&cores->options);
    LASH_ASSERT(cores->size > 0 && cores->size / sizeof(uint64_t) < UINT16_MAX);
    cores->block = mem_calloc(1, cores->size);
    cores->other = mem_calloc(1, cores->size);
    bool failed = cores->block == NULL || cores->other == NULL;
    for (uint32_t id = 1; id <= cores->nodes && !failed; id++) {
        cores->templates[id] = mem_alloc(cores->size);
        failed = cores->templates[id] == NULL;
        if (failed)
            break;
        const struct model_node empty = {0};
        core_canonical(core_start(cores, id, &empty, 0));
        memcpy(cores->templates[id], cores->block, cores->size);
    }
    if (!failed)
        return cores;
    cores_free(cores);
    return NULL;
}

void cores_free(struct cores *cores) {
    if (cores == NULL)
        return;
    for (uint32_t id = 1; id <= MODEL_NODES_MAX; id++)
        mem_free(cores->templates[id]);
    mem_free(cores->block);
    mem_free(cores->other);
    mem_free(cores);
}

/* ---- Packing ----------------------------------------------------------------------------------- */

size_t cores_packed_max(const struct cores *cores) {
    return cores->size / sizeof(uint64_t) * sizeof(struct core_word);
}

size_t core_pack(struct cores *cores, struct lash_raft *raft, void *packed) {
    const uint64_t *words = (const uint64_t *)raft;
    const uint64_t *fresh = cores->templates[raft->id];
    struct core_word *to = packed;
    size_t count = 0;
    core_canonical(raft);
    for (size_t at = 0; at < cores->size / sizeof(uint64_t); at++) {
        if (words[at] == fresh[at])
            continue;
        LASH_ASSERT(words[at] <= UINT32_MAX);
        to[count++] = (struct core_word){.at = (uint16_t)at, .value = (uint32_t)words[at]};
    }
    return count * sizeof *to;
}

static void core_fill(const struct cores *cores, lash_id id, const void *packed, size_t size, uint64_t *block) {
    const struct core_word *words = packed;
    memcpy(block, cores->templates[id], cores->size);
    for (size_t i = 0; i < size / sizeof words[0]; i++)
        block[words[i].at] = words[i].value;
}

struct lash_raft *core_unpack(struct cores *cores, lash_id id, const void *packed, size_t size) {
    core_fill(cores, id, packed, size, cores->block);
    return (struct lash_raft *)cores->block;
}

void core_show(const struct lash_raft *raft, struct model_node *node) {
    struct lash_raft_status status;
    lash_raft_status(raft, &status);
    node->id = (uint8_t)status.id;
    node->role = (uint8_t)status.role;
    node->term = (uint8_t)status.term;
    node->vote = (uint8_t)status.vote;
    node->leader = (uint8_t)status.leader;
    node->commit = (uint8_t)status.commit;
    node->applied = (uint8_t)status.applied;
    node->last = (uint8_t)status.last_index;
    node->durable = (uint8_t)status.durable_index;
    node->round = (uint8_t)raft->round;
    node->transfer_to = (uint8_t)status.transfer_to;
    memset(node->match, 0, sizeof node->match);
    memset(node->next, 0, sizeof node->next);
    for (uint32_t slot = 0; slot < status.progress_count; slot++) {
        lash_id id = status.progress[slot].id;
        node->match[id - 1] = (uint8_t)status.progress[slot].match;
        node->next[id - 1] = (uint8_t)status.progress[slot].next;
    }
}

bool core_show_roster(const struct cores *cores, const struct lash_raft *raft, struct model_node *node) {
    struct lash_raft_status status;
    lash_raft_status(raft, &status);
    if (cores->bounds.changes == 0)
        return true;
    node->roster_index = (uint8_t)status.configuration.index;
    return roster_find(&cores->bounds, &status.configuration, &node->roster);
}

/* ---- Symmetry ----------------------------------------------------------------------------------
 *
 * Nothing in the core depends on which id a node has, but the rule on equal pre-candidates, which the canonical form
 * leaves out. So a cluster whose ids are exchanged has the same future, exchanged. Below is every place in the block
 * that holds an id or is kept per slot. Slot s is node s + 1, for the membership is fixed; where it changes, no ids are
 * exchanged, nor are a witness's with another's. */
uint64_t core_hash(struct cores *cores, lash_id id, const void *packed, size_t size, const uint8_t *to) {
    core_fill(cores, id, packed, size, cores->block);
    memcpy(cores->other, cores->block, cores->size);
    const struct lash_raft *from = (const struct lash_raft *)cores->block;
    struct lash_raft *raft = (struct lash_raft *)cores->other;
    raft->id = to[from->id];
    raft->vote = to[from->vote];
    raft->leader = to[from->leader];
    raft->transfer_to = to[from->transfer_to];
    for (uint32_t slot = 0; slot < cores->nodes; slot++) {
        uint32_t other = to[slot + 1] - 1u;
        raft->votes[other] = from->votes[slot];
        memcpy(raft_progress(raft, other), raft_progress_of(from, slot), from->progress_words * sizeof(uint64_t));
    }
    const struct raft_reads *reads = raft_reads_of(from);
    for (uint64_t i = 0; i < reads->count; i++)
        raft_reads(raft)->items[i].from = to[reads->items[i].from];

    uint64_t hash = 0;
    for (size_t at = 0; at < cores->size / sizeof(uint64_t); at++) {
        if (cores->other[at] != 0)
            hash = hash_word(hash, (uint64_t)at << 40 ^ cores->other[at]);
    }
    return hash;
}
