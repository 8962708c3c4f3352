/* SPDX-License-Identifier: Apache-2.0
 *
 * Leadership transfer (D§3.10). The leader takes no proposals until the target
 * holds its whole log durably, then asks it to stand for election at once. From
 * then on it is an election like any other: the target needs a term of its own, an
 * up-to-date log and a majority's votes. Only the silence under a live leader is
 * lifted for it (§6). Whatever fails on the way, the leader goes on leading after an
 * election timeout.
 */
#include "raft/transfer.h"

#include "base/assert.h"
#include "raft/election.h"
#include "raft/lease.h"
#include "raft/message.h"
#include "raft/priority.h"
#include "raft/raft_state.h"

/* Whether `id` may lead: it votes, and will when a joint configuration is left, and is no witness. */
static bool transfer_may_lead(const struct lash_raft *raft, lash_id id) {
    uint32_t slot = configuration_slot(&raft->configuration, id);
    return slot != CONFIGURATION_NONE && (raft->configuration.members[slot].flags & LASH_MEMBER_VOTER) != 0 &&
           !configuration_witness(&raft->configuration, id);
}

/* Whether a member could take the office over at `now_ms`. */
static bool transfer_possible(const struct lash_raft *raft, uint32_t slot, uint64_t now_ms) {
    lash_id id = raft->configuration.members[slot].id;
    const struct progress *progress = raft_progress_of(raft, slot);
    return id != raft->id && transfer_may_lead(raft, id) && !progress->full &&
           now_ms < progress->contact_ms + raft->election_ms;
}

/* Whether a member could do so at once, and lead well: it answers every heartbeat, holds what was committed at the one
 * before, and its disk is not slow. */
static bool transfer_fit(const struct lash_raft *raft, uint32_t slot, uint64_t now_ms) {
    const struct progress *progress = raft_progress_of(raft, slot);
    return transfer_possible(raft, slot, now_ms) && !progress->slow && progress->state == LASH_REPLICATE &&
           progress->match >= raft->commit_mark && now_ms < progress->contact_ms + 2 * raft->heartbeat_ms;
}

/* Whether, of two who are both fit or both not, the one in `slot` is the better target: of those who are fit, priority comes
 * first. */
static bool transfer_better(const struct lash_raft *raft, uint32_t slot, uint32_t than, bool fit) {
    uint64_t priority = raft->configuration.members[slot].priority;
    uint64_t other = raft->configuration.members[than].priority;
    if (fit && priority != other)
        return priority > other;
    return raft_progress_of(raft, slot)->match > raft_progress_of(raft, than)->match;
}

/* The slot of the best target among all that could take over, or only among those that are fit and have a priority of at least
 * `least`; CONFIGURATION_NONE: there is none. */
static uint32_t transfer_best(const struct lash_raft *raft, bool fit, uint64_t least, uint64_t now_ms) {
    uint32_t target = CONFIGURATION_NONE;
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        bool candidate = fit ? transfer_fit(raft, slot, now_ms) && raft->configuration.members[slot].priority >= least
                             : transfer_possible(raft, slot, now_ms);
        if (candidate && (target == CONFIGURATION_NONE || transfer_better(raft, slot, target, fit)))
            target = slot;
    }
    return target;
}

/* The slot of `to`, or, when that is 0, of the best of all; CONFIGURATION_NONE: nobody could. */
static uint32_t transfer_target(const struct lash_raft *raft, lash_id to, uint64_t now_ms) {
    uint32_t target = transfer_best(raft, true, 0, now_ms);
    if (to == 0)
        return target != CONFIGURATION_NONE ? target : transfer_best(raft, false, 0, now_ms);
    target = configuration_slot(&raft->configuration, to);
    return target != CONFIGURATION_NONE && transfer_possible(raft, target, now_ms) ? target : CONFIGURATION_NONE;
}

int transfer_ask_check(const struct lash_raft *raft, const struct lash_event *event) {
    lash_id to = event->transfer.to;
    if (raft->role != LASH_LEADER)
        return LASH_NOT_LEADER;
    if (to != 0 && !transfer_may_lead(raft, to))
        return LASH_INVALID;
    if (raft->transfer_to != 0)
        return LASH_BUSY;
    /* The clock of the event, which the core takes over only once the event was checked. */
    uint64_t now_ms = event->now_ms > raft->now_ms ? event->now_ms : raft->now_ms;
    return to == raft->id || transfer_target(raft, to, now_ms) != CONFIGURATION_NONE ? LASH_OK : LASH_NOT_FOUND;
}

static void transfer_begin(struct lash_raft *raft, uint32_t target, enum lash_transfer_reason why) {
    LASH_ASSERT(raft->transfer_to == 0);
    raft->transfer_to = raft->configuration.members[target].id;
    raft->transfer_why = why;
    /* D§3.10: if leadership transfer does not complete after about an election timeout, the prior leader aborts the
     * transfer and resumes accepting client requests. */
    raft->transfer_deadline_ms = raft->now_ms + raft->election_ms;
}

void transfer_begin_to_best(struct lash_raft *raft) {
    uint32_t target = raft->transfer_to != 0 ? CONFIGURATION_NONE : transfer_target(raft, 0, raft->now_ms);
    if (target != CONFIGURATION_NONE)
        transfer_begin(raft, target, LASH_TRANSFER_LEAVING);
}

void transfer_begin_to_fit(struct lash_raft *raft, uint64_t least, enum lash_transfer_reason why) {
    uint32_t target = transfer_best(raft, true, least, raft->now_ms);
    if (target != CONFIGURATION_NONE)
        transfer_begin(raft, target, why);
}

void transfer_ask(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    if (event->transfer.to == raft->id)
        return;
    uint32_t target = transfer_target(raft, event->transfer.to, raft->now_ms);
    LASH_ASSERT(target != CONFIGURATION_NONE);
    transfer_begin(raft, target, LASH_TRANSFER_ASKED);
}

void transfer_end(struct lash_raft *raft) {
    bool unasked = raft->transfer_why == LASH_TRANSFER_PRIORITY || raft->transfer_why == LASH_TRANSFER_SLOW;
    if (unasked && raft->role == LASH_LEADER) /* in vain */
        priority_moved(raft);
    raft->transfer_why = LASH_TRANSFER_NONE;
    raft->transfer_to = 0;
    raft->transfer_deadline_ms = 0;
    raft->transfer_told = 0;
}

void transfer_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->transfer_to == 0 || raft->transfer_told)
        return;
    LASH_ASSERT(raft->role == LASH_LEADER);
    uint32_t slot = configuration_slot(&raft->configuration, raft->transfer_to);
    LASH_ASSERT(slot != CONFIGURATION_NONE);
    const struct progress *progress = raft_progress(raft, slot);
    lash_index last_index = raft_terms(raft)->last_index;
    if (progress->full) {
        transfer_end(raft);
    } else if (progress->match == last_index) {
        /* D§3.10: the leader fully updates the target server's log to match its own, and then sends a TimeoutNow request
         * to it. */
        message_send(raft, LASH_MSG_TIMEOUT_NOW, raft->transfer_to, outputs)->timeout_now.last_index = last_index;
        raft->transfer_told = 1;
        lease_release(raft, last_index);
    }
}

uint64_t transfer_deadline(const struct lash_raft *raft) {
    return raft->transfer_to == 0 ? UINT64_MAX : raft->transfer_deadline_ms;
}

void transfer_tick(struct lash_raft *raft) {
    if (raft->now_ms >= transfer_deadline(raft))
        transfer_end(raft);
    /* The request may have been lost: it is said again with each heartbeat. */
    if (raft->role == LASH_LEADER && raft->now_ms >= raft->heartbeat_deadline_ms)
        raft->transfer_told = 0;
}

void transfer_timeout_now(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    /* Only from the leader that this node follows, in its term: what comes later than that, or twice, is of an election
     * that has been. Should the leader have given up and appended since, its log has another end. */
    if (message->term != raft->term || raft->role != LASH_FOLLOWER || raft->leader != message->from)
        return;
    if (message->timeout_now.last_index != raft_terms(raft)->last_index)
        return;
    if (!raft_votes(raft) || !raft_stands(raft) || raft->full || raft->term + 1 >= RAFT_LIMIT)
        return;
    /* D§3.10: the target server starts a new election at once, without the pre-vote, which a live leader's followers would
     * not answer. */
    election_stand(raft, outputs);
}
