/* SPDX-License-Identifier: Apache-2.0
 *
 * Memberships: what a valid one is, and who is who in it.
 */
#include "raft/configuration.h"

#include <string.h>

#include "base/assert.h"

/* Witnesses are reserved: until one can do without data, a configuration with one must not be taken. */
#define CONFIGURATION_FLAGS ((uint32_t)LASH_MEMBER_VOTER | (uint32_t)LASH_MEMBER_VOTER_OLD)

static bool configuration_member_valid(const struct lash_configuration *from, uint32_t slot) {
    const struct lash_member *member = &from->members[slot];
    if (member->id == 0 || (member->flags & ~CONFIGURATION_FLAGS) != 0)
        return false;
    for (uint32_t other = 0; other < slot; other++) {
        if (from->members[other].id == member->id)
            return false;
    }
    return true;
}

int configuration_load(struct configuration *to, const struct lash_configuration *from) {
    if (from->count == 0 || from->count > LASH_RAFT_MEMBERS_MAX)
        return LASH_INVALID;
    uint32_t voters = 0;
    for (uint32_t slot = 0; slot < from->count; slot++) {
        if (!configuration_member_valid(from, slot))
            return LASH_INVALID;
        voters += (from->members[slot].flags & LASH_MEMBER_VOTER) != 0;
    }
    if (voters == 0)
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
    return slot != CONFIGURATION_NONE && (configuration->members[slot].flags & CONFIGURATION_FLAGS) != 0;
}
