/* SPDX-License-Identifier: Apache-2.0
 *
 * Leadership by preference. D§3.10 gives as a use of transfers that some servers are more
 * suitable to lead than others, and leaves to the program when to ask for one. Here
 * the leader decides, at its heartbeats, on what its members' answers say. Nothing is
 * done that a transfer which somebody asked for could not do at that moment, so safety is
 * not touched; what needs care is that the office comes to rest.
 */
#include "raft/priority.h"

#include "base/assert.h"
#include "raft/commit.h"
#include "raft/membership.h"
#include "raft/raft_state.h"
#include "raft/transfer.h"

/* In election timeouts. The pause doubles with each time that the office moves before it was settled: then the one who
 * should have it cannot keep it, and to depose another for that again and again would do harm. */
enum {
    PRIORITY_PAUSE_MIN = 4,
    PRIORITY_PAUSE_MAX = 64,
    PRIORITY_SETTLED = 128,
};

_Static_assert(PRIORITY_SETTLED > PRIORITY_PAUSE_MAX,
               "who tries in vain as seldom as it may does not count as having settled in between");

void priority_slow(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    raft->slow = event->slow.slow;
    /* From now on members are measured, or not any more. */
    if (raft->role == LASH_LEADER)
        membership_mark(raft, raft->commit);
}

bool priority_matters(const struct lash_raft *raft) {
    const struct configuration *configuration = &raft->configuration;
    bool differ = false;
    for (uint32_t slot = 1; slot < configuration->count; slot++)
        differ = differ || configuration->members[slot].priority != configuration->members[0].priority;
    return raft->slow || differ;
}

void priority_moved(struct lash_raft *raft) {
    bool settled = raft->pause_ms == 0 || raft->now_ms >= raft->moved_ms + PRIORITY_SETTLED * raft->election_ms;
    uint64_t most_ms = PRIORITY_PAUSE_MAX * raft->election_ms;
    raft->pause_ms = settled ? PRIORITY_PAUSE_MIN * raft->election_ms : 2 * raft->pause_ms;
    if (raft->pause_ms > most_ms)
        raft->pause_ms = most_ms;
    raft->moved_ms = raft->now_ms;
}

/* Whether this leader may hand over unasked. */
static bool priority_may_move(const struct lash_raft *raft) {
    /* A change of membership is under way, or the office is on its way already. A leader that has committed nothing in its term
     * does not know yet what is committed, and so not who keeps up. */
    if (raft->configuration.index > raft->commit || configuration_joint(&raft->configuration) || raft->retiring ||
        raft->transfer_to != 0 || !commit_in_term(raft))
        return false;
    return raft->now_ms >= raft->moved_ms + raft->pause_ms;
}

void priority_tick(struct lash_raft *raft) {
    LASH_ASSERT(raft->role == LASH_LEADER);
    uint32_t self = configuration_slot(&raft->configuration, raft->id);
    if (self == CONFIGURATION_NONE || !priority_matters(raft) || !priority_may_move(raft))
        return;
    uint64_t least = raft->slow ? 0 : raft->configuration.members[self].priority + 1;
    transfer_begin_to_fit(raft, least, raft->slow ? LASH_TRANSFER_SLOW : LASH_TRANSFER_PRIORITY);
}
