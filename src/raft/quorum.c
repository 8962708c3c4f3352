/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of majorities, for plain and joint configurations.
 */
#include "raft/quorum.h"

#include "base/assert.h"

/* For the members that carry `flag`; UINT64_MAX when none does: a majority of nobody agrees to all. */
static uint64_t quorum_of(const struct configuration *configuration, uint64_t flag, const uint64_t *values) {
    uint64_t falling[LASH_RAFT_MEMBERS_MAX];
    uint32_t count = 0;
    LASH_ASSERT(configuration->count <= LASH_RAFT_MEMBERS_MAX);
    for (uint32_t slot = 0; slot < configuration->count; slot++) {
        if ((configuration->members[slot].flags & flag) == 0)
            continue;
        uint32_t at = count++;
        for (; at > 0 && falling[at - 1] < values[slot]; at--)
            falling[at] = falling[at - 1];
        falling[at] = values[slot];
    }
    /* count / 2 + 1 members are a majority, of even counts too, and as many have at least the value at count / 2. */
    return count == 0 ? UINT64_MAX : falling[count / 2];
}

uint64_t quorum_reached(const struct configuration *configuration, const uint64_t values[LASH_RAFT_MEMBERS_MAX]) {
    uint64_t incoming = quorum_of(configuration, LASH_MEMBER_VOTER, values);
    uint64_t outgoing = quorum_of(configuration, LASH_MEMBER_VOTER_OLD, values);
    return incoming < outgoing ? incoming : outgoing;
}
