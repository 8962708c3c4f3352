/* SPDX-License-Identifier: Apache-2.0
 *
 * Memberships: what a valid one is, and who is who in it.
 */
#include "raft/configuration.h"

#include <string.h>

#include "base/assert.h"

#define CONFIGURATION_VOTES ((uint32_t)LASH_MEMBER_VOTER | (uint32_t)LASH_MEMBER_VOTER_OLD)

/* Each set of flags that makes sense. A witness votes: what else would it be for? */
static const bool configuration_flags[32] = {
    [0] = true,
    [LASH_MEMBER_PROMOTE] = true,
    [LASH_MEMBER_VOTER] = true,
    [LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD] = true,
    [LASH_MEMBER_VOTER_OLD] = true,
    [LASH_MEMBER_VOTER_OLD | LASH_MEMBER_PROMOTE] = true,
    [LASH_MEMBER_VOTER_OLD | LASH_MEMBER_LEAVES] = true,
    [LASH_MEMBER_WITNESS | LASH_MEMBER_VOTER] = true,
    [LASH_MEMBER_WITNESS | LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD] = true,
    [LASH_MEMBER_WITNESS | LASH_MEMBER_VOTER_OLD | LASH_MEMBER_LEAVES] = true,
};

static bool configuration_member_valid(const struct lash_configuration *from, uint32_t slot) {
    const struct lash_member *member = &from->members[slot];
    if (member->id == 0 || member->priority > LASH_RAFT_PRIORITY_MAX ||
        member->flags >= sizeof configuration_flags / sizeof configuration_flags[0] ||
        !configuration_flags[member->flags])
        return false;
    for (uint32_t other = 0; other < slot; other++) {
        if (from->members[other].id == member->id)
            return false;
    }
    return true;
}

/* Whether somebody of those that carry `flag` could lead: with witnesses alone there would be no data. Nobody carries the flag
 * of outgoing voters in a plain configuration. */
static bool configuration_led(const struct lash_configuration *from, uint32_t flag) {
    bool any = false;
    for (uint32_t slot = 0; slot < from->count; slot++) {
        uint32_t flags = from->members[slot].flags;
        if ((flags & flag) != 0 && (flags & LASH_MEMBER_WITNESS) == 0)
            return true;
        any |= (flags & flag) != 0;
    }
    return flag == LASH_MEMBER_VOTER_OLD && !any;
}

int configuration_load(struct configuration *to, const struct lash_configuration *from) {
    if (from->count == 0 || from->count > LASH_RAFT_MEMBERS_MAX)
        return LASH_INVALID;
    for (uint32_t slot = 0; slot < from->count; slot++) {
        if (!configuration_member_valid(from, slot))
            return LASH_INVALID;
    }
    if (!configuration_led(from, LASH_MEMBER_VOTER) || !configuration_led(from, LASH_MEMBER_VOTER_OLD))
        return LASH_INVALID;

    memset(to, 0, sizeof *to);
    to->index = from->index;
    to->count = from->count;
    for (uint32_t slot = 0; slot < from->count; slot++) {
        to->members[slot].id = from->members[slot].id;
        to->members[slot].flags = from->members[slot].flags;
        to->members[slot].priority = from->members[slot].priority;
    }
    return LASH_OK;
}

void configuration_store(const struct configuration *from, struct lash_configuration *to) {
    LASH_ASSERT(from->count <= LASH_RAFT_MEMBERS_MAX);
    memset(to, 0, sizeof *to);
    to->index = from->index;
    to->count = (uint32_t)from->count;
    for (uint32_t slot = 0; slot < to->count; slot++) {
        to->members[slot].id = from->members[slot].id;
        to->members[slot].flags = (uint32_t)from->members[slot].flags;
        to->members[slot].priority = (uint32_t)from->members[slot].priority;
    }
}

uint32_t configuration_slot(const struct configuration *configuration, lash_id id) {
    for (uint32_t slot = 0; slot < configuration->count; slot++) {
        if (configuration->members[slot].id == id)
            return slot;
    }
    return CONFIGURATION_NONE;
}

bool configuration_votes(const struct configuration *configuration, lash_id id) {
    uint32_t slot = configuration_slot(configuration, id);
    return slot != CONFIGURATION_NONE && (configuration->members[slot].flags & CONFIGURATION_VOTES) != 0;
}

bool configuration_witness(const struct configuration *configuration, lash_id id) {
    uint32_t slot = configuration_slot(configuration, id);
    return slot != CONFIGURATION_NONE && (configuration->members[slot].flags & LASH_MEMBER_WITNESS) != 0;
}

bool configuration_joint(const struct configuration *configuration) {
    for (uint32_t slot = 0; slot < configuration->count; slot++) {
        if ((configuration->members[slot].flags & LASH_MEMBER_VOTER_OLD) != 0)
            return true;
    }
    return false;
}

/* Whether `id` is a voter, of the new configuration in a joint one. */
static bool configuration_elects(const struct configuration *configuration, lash_id id) {
    uint32_t slot = configuration_slot(configuration, id);
    return slot != CONFIGURATION_NONE && (configuration->members[slot].flags & LASH_MEMBER_VOTER) != 0;
}

/* How many voters `of` has that `in` lacks. */
static uint32_t configuration_voters_beyond(const struct configuration *of, const struct configuration *in) {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < of->count; slot++) {
        lash_id id = of->members[slot].id;
        count += configuration_elects(of, id) && !configuration_elects(in, id);
    }
    return count;
}

/* Whether who is in both is a witness in both or in neither. */
static bool configuration_witnesses_stay(const struct configuration *from, const struct configuration *to) {
    for (uint32_t slot = 0; slot < to->count; slot++) {
        lash_id id = to->members[slot].id;
        if (configuration_slot(from, id) != CONFIGURATION_NONE &&
            configuration_witness(from, id) != configuration_witness(to, id))
            return false;
    }
    return true;
}

int configuration_between(const struct configuration *from, const struct configuration *to,
                          struct configuration *next) {
    LASH_ASSERT(!configuration_joint(from) && !configuration_joint(to));
    if (!configuration_witnesses_stay(from, to))
        return LASH_INVALID;
    *next = *to;
    /* D§4.1: when one server is added or removed at a time, any majority of the old configuration overlaps with any of the
     * new one. */
    if (configuration_voters_beyond(to, from) + configuration_voters_beyond(from, to) <= 1)
        return LASH_OK;
    /* D§4.3: otherwise decisions need majorities of both until the joint configuration is committed. */
    for (uint32_t slot = 0; slot < from->count; slot++) {
        const struct configuration_member *member = &from->members[slot];
        if ((member->flags & LASH_MEMBER_VOTER) == 0)
            continue;
        uint32_t at = configuration_slot(next, member->id);
        if (at != CONFIGURATION_NONE) {
            next->members[at].flags |= LASH_MEMBER_VOTER_OLD;
            continue;
        }
        if (next->count == LASH_RAFT_MEMBERS_MAX)
            return LASH_TOO_LARGE;
        next->members[next->count] = *member;
        next->members[next->count++].flags =
            LASH_MEMBER_VOTER_OLD | LASH_MEMBER_LEAVES | (member->flags & LASH_MEMBER_WITNESS);
    }
    return LASH_OK;
}

void configuration_leave_joint(const struct configuration *joint, struct configuration *next) {
    LASH_ASSERT(configuration_joint(joint));
    memset(next, 0, sizeof *next);
    for (uint32_t slot = 0; slot < joint->count; slot++) {
        if ((joint->members[slot].flags & LASH_MEMBER_LEAVES) != 0)
            continue;
        next->members[next->count] = joint->members[slot];
        next->members[next->count++].flags &= ~(uint64_t)LASH_MEMBER_VOTER_OLD;
    }
}
