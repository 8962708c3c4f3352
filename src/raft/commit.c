/* SPDX-License-Identifier: Apache-2.0
 *
 * When entries count as committed (§5.3, §5.4.2).
 */
#include "raft/commit.h"

#include "base/assert.h"
#include "raft/membership.h"
#include "raft/quorum.h"
#include "raft/raft_state.h"

/* L5: commit <= last, and it never falls. */
static void commit_advance(struct lash_raft *raft, lash_index index) {
    LASH_ASSERT(index <= raft_terms(raft)->last_index);
    if (index > raft->commit) {
        raft->commit = index;
        membership_committed(raft);
    }
    LASH_ASSERT(raft->applied <= raft->commit);
}

void commit_settle(struct lash_raft *raft) {
    uint64_t durable[LASH_RAFT_MEMBERS_MAX] = {0};
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        /* D§10.2.1: the leader counts itself like any other, for what is on its own disk. */
        bool self = raft->configuration.members[slot].id == raft->id;
        durable[slot] = self ? raft->durable_index : raft_progress(raft, slot)->match;
    }
    lash_index held = quorum_reached(&raft->configuration, durable);
    /* §5.3, §5.4.2, Figure 2, leaders: if there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N,
     * and log[N].term == currentTerm: set commitIndex = N. Entries of earlier terms are never committed by counting. */
    if (held > raft->commit && terms_at(raft_terms(raft), held) == raft->term)
        commit_advance(raft, held);
}

void commit_learn(struct lash_raft *raft, lash_index leader_commit, lash_index matched) {
    /* §5.3, Figure 2, AppendEntries RPC 5: if leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of
     * last new entry). What lies behind the last new entry may not be the leader's. */
    commit_advance(raft, leader_commit < matched ? leader_commit : matched);
}

bool commit_in_term(const struct lash_raft *raft) {
    return raft->role == LASH_LEADER && terms_at(raft_terms_of(raft), raft->commit) == raft->term;
}

int commit_applied_check(const struct lash_raft *raft, const struct lash_event *event) {
    return event->applied.index <= raft->commit ? LASH_OK : LASH_INVALID;
}

void commit_applied(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    if (event->applied.index > raft->applied)
        raft->applied = event->applied.index;
}
