/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases (D§6.4.1). A leader that is read from by lease asks its members, with
 * every message that brings a round, for a promise: to vote for nobody, themselves
 * included, for an election timeout from when they hear it. A majority's promises
 * exclude another leader until the first of them may have run out; each is
 * counted from the begin of the round that the answer echoes, which came before
 * the promise, by the leader's clock, and shortened by what two clocks may drift.
 *
 * A promise is a follower's own state. Neither a new term, nor the loss of its
 * leader, nor a hint that the leader is gone ends it, and after a restart it is
 * assumed. Only the leader itself can lift it, by handing over.
 */
#include "raft/lease.h"

#include "base/assert.h"
#include "raft/commit.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/raft_state.h"

/* Election timeouts after the last read by lease for which one is kept up. */
#define LEASE_KEPT 8

/* ---- Follower: promises ------------------------------------------------------------------------ */

void lease_start(struct lash_raft *raft) {
    /* Who never had a term never had a leader. Who is all of a group, for certain, promises nobody anything. */
    bool alone = raft->election_deadline_ms <= raft->now_ms && raft->previous.count == 0;
    if (raft->leases && raft->term > 0 && !alone)
        raft->promised_ms = raft->now_ms + raft->election_ms;
    if (raft->election_deadline_ms < raft->promised_ms)
        raft->election_deadline_ms = raft->promised_ms;
}

bool lease_promised(const struct lash_raft *raft) {
    return raft->now_ms < raft->promised_ms;
}

uint64_t lease_promise(struct lash_raft *raft, const struct lash_message *message) {
    if (!raft->leases || !message->append.promise)
        return 0;
    LASH_ASSERT(message->term == raft->term && message->from == raft->leader);
    raft->promised_ms = raft->now_ms + raft->election_ms;
    return raft->election_ms;
}

/* ---- Leader ------------------------------------------------------------------------------------ */

void lease_want(struct lash_raft *raft) {
    if (raft->leases)
        raft->lease_wanted_ms = raft->now_ms + LEASE_KEPT * raft->election_ms;
}

bool lease_wanted(const struct lash_raft *raft) {
    return raft->now_ms < raft->lease_wanted_ms;
}

/* How much of a promise counts. Of two clocks that are off by at most `lease_drift` each the leader's may be as slow, and the
 * member's as fast, as that. Both count whole milliseconds, so that each may be wrong by one. */
static uint64_t lease_length(const struct lash_raft *raft, uint64_t promise_ms) {
    uint64_t most = promise_ms < raft->election_ms ? promise_ms : raft->election_ms;
    uint64_t length = most * (1000 - raft->lease_drift) / (1000 + raft->lease_drift);
    return length > 2 ? length - 2 : 0;
}

void lease_answered(const struct lash_raft *raft, struct progress *progress, const struct lash_message *message) {
    uint64_t promise_ms = message->append_reply.promise_ms;
    /* Only of the round that runs is it known when it began. A leadership's first rounds are numbered from 1. */
    if (promise_ms == 0 || raft->round == 0 || message->append_reply.round != raft->round)
        return;
    uint64_t until_ms = raft->round_ms + lease_length(raft, promise_ms);
    if (until_ms > progress->lease_ms)
        progress->lease_ms = until_ms;
}

void lease_release(struct lash_raft *raft, lash_index last_index) {
    LASH_ASSERT(last_index >= raft->lease_behind);
    if (raft->leases)
        raft->lease_behind = last_index;
}

uint64_t lease_until(const struct lash_raft *raft) {
    uint64_t until_ms[LASH_RAFT_MEMBERS_MAX] = {0};
    /* Whoever was asked to take over may have got that late, or be heard of late, and its voters are released from their
     * promises. It can win no more once something behind its log's end is committed (§5.4.1, §5.4.3). */
    if (!raft->leases || !commit_in_term(raft) || raft->commit <= raft->lease_behind)
        return 0;
    /* D§4.2.2: who leads without a vote of its own is not among those who decide that nobody else does. */
    if (!raft_votes(raft))
        return 0;
    /* By the configuration in force (D§4.1, D§4.3): any that another could be elected by overlaps with it. */
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        bool self = raft->configuration.members[slot].id == raft->id;
        until_ms[slot] = self ? RAFT_LIMIT : raft_progress_of(raft, slot)->lease_ms;
    }
    uint64_t reached_ms = quorum_reached(&raft->configuration, until_ms);
    return raft->now_ms < reached_ms ? reached_ms : 0;
}
