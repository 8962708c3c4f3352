/* SPDX-License-Identifier: Apache-2.0
 *
 * Memberships by number.
 */
#include "check/roster.h"

#include <string.h>

#include "base/assert.h"

static unsigned roster_voters(const struct model_bounds *bounds, unsigned number) {
    LASH_ASSERT(number < MODEL_ROSTERS_MAX);
    return bounds->rosters[number];
}

uint32_t roster_flags(const struct model_bounds *bounds, unsigned id, uint32_t flags) {
    return bounds->witnesses >> id & 1 ? flags | (uint32_t)LASH_MEMBER_WITNESS : flags;
}

void roster_configuration(const struct model_bounds *bounds, unsigned from, unsigned to, lash_index index,
                          struct lash_configuration *configuration) {
    unsigned outgoing = from == to ? 0 : roster_voters(bounds, from);
    unsigned voters = roster_voters(bounds, to);
    memset(configuration, 0, sizeof *configuration);
    configuration->index = index;
    for (unsigned id = 1; id <= bounds->nodes; id++) {
        if (!(voters >> id & 1))
            continue;
        uint32_t flags = LASH_MEMBER_VOTER | (outgoing >> id & 1 ? (uint32_t)LASH_MEMBER_VOTER_OLD : 0);
        configuration->members[configuration->count++] =
            (struct lash_member){.id = id, .flags = roster_flags(bounds, id, flags)};
    }
    for (unsigned id = 1; id <= bounds->nodes; id++) {
        if ((outgoing & ~voters) >> id & 1)
            configuration->members[configuration->count++] = (struct lash_member){
                .id = id, .flags = roster_flags(bounds, id, LASH_MEMBER_VOTER_OLD | LASH_MEMBER_LEAVES)};
    }
}

bool roster_find(const struct model_bounds *bounds, const struct lash_configuration *configuration, uint8_t *byte) {
    struct lash_configuration candidate;
    for (unsigned from = 0; from < MODEL_ROSTERS_MAX && bounds->rosters[from] != 0; from++) {
        for (unsigned to = 0; to < MODEL_ROSTERS_MAX && bounds->rosters[to] != 0; to++) {
            roster_configuration(bounds, from, to, configuration->index, &candidate);
            if (memcmp(&candidate, configuration, sizeof candidate) != 0)
                continue;
            *byte = ROSTER_BYTE(from, to);
            return true;
        }
    }
    *byte = ROSTER_NONE;
    return configuration->count == 0;
}

uint8_t roster_newest(const struct model_bounds *bounds, uint8_t id, const model_entry *log, uint32_t count,
                      uint8_t *index) {
    while (count > 0 && MODEL_ENTRY_KIND(log[count - 1]) != LASH_ENTRY_CONFIGURATION)
        count--;
    *index = (uint8_t)count;
    if (count > 0)
        return ROSTER_BYTE(ROSTER_FROM(log[count - 1]), ROSTER_TO(log[count - 1]));
    return roster_voters(bounds, 0) >> id & 1 ? 0 : ROSTER_NONE;
}

bool roster_quorum(const struct model_bounds *bounds, uint8_t byte, unsigned agree) {
    unsigned outgoing = roster_voters(bounds, ROSTER_BYTE_FROM(byte));
    unsigned voters = roster_voters(bounds, ROSTER_BYTE_TO(byte));
    return 2 * __builtin_popcount(voters & agree) > __builtin_popcount(voters) &&
           2 * __builtin_popcount(outgoing & agree) > __builtin_popcount(outgoing);
}

bool roster_follows(const struct model_bounds *bounds, uint8_t before, uint8_t next) {
    unsigned to = ROSTER_BYTE_TO(before);
    if (ROSTER_BYTE_FROM(before) != to)
        return next == ROSTER_BYTE(to, to);
    if (ROSTER_BYTE_FROM(next) != ROSTER_BYTE_TO(next))
        return ROSTER_BYTE_FROM(next) == to;
    return __builtin_popcount(roster_voters(bounds, to) ^ roster_voters(bounds, ROSTER_BYTE_TO(next))) <= 1;
}
