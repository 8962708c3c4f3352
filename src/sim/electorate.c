/* SPDX-License-Identifier: Apache-2.0
 *
 * Which configurations there ever were, and which of them each node's log holds.
 */
#include "sim/electorate.h"

#include <string.h>

#include "base/assert.h"
#include "sim/memory.h"

struct electorate_known {
    uint64_t chain;
    struct lash_configuration configuration;
};

struct electorate_log {
    bool joins;
    uint32_t *known; /* positions of those in the log, oldest first */
    uint64_t count;
    uint64_t capacity;
};

struct electorate {
    struct lash_configuration initial;
    struct lash_configuration none;
    struct electorate_known *known;
    uint64_t count;
    uint64_t capacity;
    struct electorate_log logs[ELECTORATE_NODES_MAX + 1]; /* by node */
};

struct electorate *electorate_new(uint32_t nodes) {
    LASH_ASSERT(nodes >= 1 && nodes <= ELECTORATE_NODES_MAX);
    struct electorate *electorate = memory_new(1, sizeof *electorate);
    electorate->initial.count = nodes < LASH_RAFT_MEMBERS_MAX ? nodes : LASH_RAFT_MEMBERS_MAX;
    for (uint32_t i = 0; i < electorate->initial.count; i++)
        electorate->initial.members[i] = (struct lash_member){.id = i + 1, .flags = LASH_MEMBER_VOTER};
    return electorate;
}

void electorate_free(struct electorate *electorate) {
    for (lash_id id = 1; id <= ELECTORATE_NODES_MAX; id++)
        memory_free(electorate->logs[id].known);
    memory_free(electorate->known);
    memory_free(electorate);
}

void electorate_begin(struct electorate *electorate, const struct lash_configuration *initial,
                      const bool joins[ELECTORATE_NODES_MAX + 1]) {
    electorate->initial = *initial;
    for (lash_id id = 1; id <= ELECTORATE_NODES_MAX; id++)
        electorate->logs[id].joins = joins[id];
}

void electorate_begun(struct electorate *electorate, lash_id id) {
    electorate->logs[id].joins = false;
}

void electorate_add(struct electorate *electorate, const struct lash_configuration *configuration, uint64_t chain) {
    electorate->known =
        memory_room(electorate->known, &electorate->capacity, electorate->count + 1, sizeof electorate->known[0]);
    electorate->known[electorate->count++] = (struct electorate_known){chain, *configuration};
}

void electorate_cut(struct electorate *electorate, lash_id id, lash_index index) {
    struct electorate_log *log = &electorate->logs[id];
    while (log->count > 0 && electorate->known[log->known[log->count - 1]].configuration.index >= index)
        log->count--;
}

/* The position behind it; 0: there is none. */
static uint64_t electorate_position(const struct electorate *electorate, uint64_t chain) {
    uint64_t position = electorate->count;
    while (position > 0 && electorate->known[position - 1].chain != chain)
        position--;
    return position;
}

const struct lash_configuration *electorate_find(const struct electorate *electorate, uint64_t chain) {
    uint64_t position = electorate_position(electorate, chain);
    return position ? &electorate->known[position - 1].configuration : NULL;
}

const struct lash_configuration *electorate_initial(const struct electorate *electorate) {
    return &electorate->initial;
}

bool electorate_append(struct electorate *electorate, lash_id id, uint64_t chain) {
    struct electorate_log *log = &electorate->logs[id];
    uint64_t position = electorate_position(electorate, chain);
    if (position == 0)
        return false;
    log->known = memory_room(log->known, &log->capacity, log->count + 1, sizeof log->known[0]);
    log->known[log->count++] = (uint32_t)(position - 1);
    return true;
}

const struct lash_configuration *electorate_newest(const struct electorate *electorate, lash_id id, uint32_t skip) {
    const struct electorate_log *log = &electorate->logs[id];
    if (log->count > skip)
        return &electorate->known[log->known[log->count - 1 - skip]].configuration;
    return log->joins ? &electorate->none : &electorate->initial;
}

/* Whether more than half of those that carry `flag` are among `has`. */
static bool electorate_majority(const struct lash_configuration *configuration, uint32_t flag, const bool *has) {
    uint32_t voters = 0;
    uint32_t agree = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        bool votes = (configuration->members[i].flags & flag) != 0;
        voters += votes;
        agree += votes && has[configuration->members[i].id];
    }
    return 2 * agree > voters;
}

/* Who carries `flag`, as a set of bits by id. */
static uint32_t electorate_set(const struct lash_configuration *configuration, uint32_t flag) {
    uint32_t set = 0;
    for (uint32_t i = 0; i < configuration->count; i++)
        set |= (configuration->members[i].flags & flag) != 0 ? (uint32_t)1 << configuration->members[i].id : 0;
    return set;
}

bool electorate_quorum(const struct lash_configuration *configuration, const bool has[ELECTORATE_NODES_MAX + 1]) {
    bool joint = electorate_set(configuration, LASH_MEMBER_VOTER_OLD) != 0;
    return electorate_majority(configuration, LASH_MEMBER_VOTER, has) &&
           (!joint || electorate_majority(configuration, LASH_MEMBER_VOTER_OLD, has));
}

bool electorate_kept(const struct lash_configuration *configuration, const bool has[ELECTORATE_NODES_MAX + 1]) {
    bool kept = false;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        bool votes = (member->flags & (LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD)) != 0;
        kept |= votes && (member->flags & LASH_MEMBER_WITNESS) == 0 && has[member->id];
    }
    return kept;
}

bool electorate_follow(const struct lash_configuration *before, const struct lash_configuration *next) {
    uint32_t voters = electorate_set(before, LASH_MEMBER_VOTER);
    uint32_t wanted = electorate_set(next, LASH_MEMBER_VOTER);
    uint32_t outgoing = electorate_set(next, LASH_MEMBER_VOTER_OLD);
    if (electorate_set(before, LASH_MEMBER_VOTER_OLD) != 0)
        return outgoing == 0 && wanted == voters;
    return outgoing != 0 ? outgoing == voters : __builtin_popcount(voters ^ wanted) <= 1;
}
