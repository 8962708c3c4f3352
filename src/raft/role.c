/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of role. Which are legal is a table; whatever belongs to a role is
 * cleared when the role ends.
 */
#include "raft/role.h"

#include <string.h>

#include "base/assert.h"
#include "raft/durability.h"
#include "raft/election.h"
#include "raft/membership.h"
#include "raft/priority.h"
#include "raft/raft_state.h"
#include "raft/read.h"
#include "raft/transfer.h"

/* Figure 4, with the pre-candidate of D§9.6 between follower and candidate. */
static const bool role_legal[4][4] = {
    /* from                 to follower, pre-candidate, candidate, leader */
    [LASH_FOLLOWER] = {true, true, true, false},
    [LASH_PRE_CANDIDATE] = {true, true, true, false},
    [LASH_CANDIDATE] = {true, true, true, true},
    [LASH_LEADER] = {true, false, false, false},
};

static void role_change(struct lash_raft *raft, enum lash_role role) {
    LASH_ASSERT(raft->role <= LASH_LEADER);
    LASH_ASSERT(role_legal[raft->role][role]);
    raft->role = role;
    raft->asked_ms = 0;
    memset(raft->votes, 0, sizeof raft->votes);
}

/* Everything that only a leader has. */
static void role_clear_leadership(struct lash_raft *raft) {
    memset(raft_progress(raft, 0), 0, LASH_RAFT_MEMBERS_MAX * raft->progress_words * sizeof(uint64_t));
    raft->heartbeat_deadline_ms = 0;
    raft->round = 0;
    raft->round_ms = 0;
    raft->lease_wanted_ms = 0;
    raft->lease_behind = 0;
    raft->retiring = 0;
    raft->commit_mark = 0;
    transfer_end(raft);
}

static void role_enter_term(struct lash_raft *raft, lash_term term, lash_id vote, struct lash_outputs *outputs) {
    LASH_ASSERT(term > raft->term && term < RAFT_LIMIT);
    raft->term = term;
    raft->vote = vote;
    durability_save_vote(raft, outputs);
}

void role_become_follower(struct lash_raft *raft, lash_term term, lash_id leader, struct lash_outputs *outputs) {
    LASH_ASSERT(term >= raft->term);
    LASH_ASSERT(leader != raft->id);
    bool led = raft->role == LASH_LEADER;
    bool same_leader = leader != 0 && leader == raft->leader && term == raft->term;
    if (term > raft->term)
        role_enter_term(raft, term, 0, outputs);
    /* A read may only be answered under the leadership that it was handed to (D§6.4). */
    if (!same_leader)
        read_refuse_all(raft, outputs);
    role_change(raft, LASH_FOLLOWER);
    raft->leader = leader;
    if (leader == 0)
        raft->contact_ms = 0;
    else if (!same_leader)
        priority_moved(raft);
    if (led) {
        role_clear_leadership(raft);
        election_reset_timeout(raft);
    }
}

void role_become_pre_candidate(struct lash_raft *raft, struct lash_outputs *outputs) {
    LASH_ASSERT(raft_stands(raft));
    read_refuse_all(raft, outputs);
    role_change(raft, LASH_PRE_CANDIDATE);
    raft->leader = 0;
    raft->contact_ms = 0;
}

void role_become_candidate(struct lash_raft *raft, struct lash_outputs *outputs) {
    LASH_ASSERT(raft_stands(raft));
    read_refuse_all(raft, outputs);
    role_change(raft, LASH_CANDIDATE);
    raft->leader = 0;
    raft->contact_ms = 0;
    /* §5.2, Figure 2, candidates: increment currentTerm, vote for self. */
    role_enter_term(raft, raft->term + 1, raft->id, outputs);
}

void role_become_leader(struct lash_raft *raft, struct lash_outputs *outputs) {
    LASH_ASSERT(raft->vote == raft->id);
    LASH_ASSERT(durability_term_saved(raft));
    role_change(raft, LASH_LEADER);
    raft->leader = raft->id;
    priority_moved(raft);
    raft->election_deadline_ms = 0;
    raft->heartbeat_deadline_ms = raft->now_ms + raft->heartbeat_ms;

    struct terms *terms = raft_terms(raft);
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++)
        progress_init(raft_progress(raft, slot), terms->last_index + 1, raft->now_ms);
    /* §8, D§6.4: a leader commits a no-op at the start of its term, and so learns what is committed. */
    terms_append(terms, 1, raft->term);
    durability_save_entries(raft, terms->last_index, outputs);
    outputs->noop = true;
    membership_mark(raft, terms->last_index);
}
