/* SPDX-License-Identifier: Apache-2.0
 *
 * Leader election (§5.2, §5.4.1), pre-vote (D§9.6) and check-quorum (D§6.2).
 */
#include "raft/election.h"

#include "base/assert.h"
#include "raft/durability.h"
#include "raft/lease.h"
#include "raft/message.h"
#include "raft/quorum.h"
#include "raft/raft_state.h"
#include "raft/random.h"
#include "raft/role.h"

/* ---- Timeouts ---------------------------------------------------------------------------------- */

void election_reset_timeout(struct lash_raft *raft) {
    /* §5.2: election timeouts are chosen randomly from a fixed interval, anew each time, so that split votes are rare
     * and are resolved quickly. */
    raft->election_deadline_ms = raft->now_ms + random_between(&raft->random, raft->election_ms, raft->election_ms);
    /* Who had better not lead lets those who had go first when a leader falls silent, and stands if none does. From then on it is as
     * quick as they: one who can never win may be a term ahead each time (docs/protocol.md), and nobody else be left. */
    if (raft->slow && raft->leader != 0)
        raft->election_deadline_ms += raft->election_ms;
}

void election_begin(struct lash_raft *raft) {
    uint64_t self[LASH_RAFT_MEMBERS_MAX] = {0};
    uint32_t slot = configuration_slot(&raft->configuration, raft->id);
    election_reset_timeout(raft);
    if (slot == CONFIGURATION_NONE)
        return;
    self[slot] = 1;
    /* Whoever is a majority alone has nobody to wait for. */
    if (quorum_reached(&raft->configuration, self) == 1)
        raft->election_deadline_ms = raft->now_ms;
}

/* The last moment at which a leader had heard from a quorum, itself included. */
static uint64_t election_quorum_contact(const struct lash_raft *raft) {
    uint64_t contacts[LASH_RAFT_MEMBERS_MAX] = {0};
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        bool self = raft->configuration.members[slot].id == raft->id;
        contacts[slot] = self ? raft->now_ms : raft_progress_of(raft, slot)->contact_ms;
    }
    return quorum_reached(&raft->configuration, contacts);
}

uint64_t election_deadline(const struct lash_raft *raft) {
    if (raft->role != LASH_LEADER)
        return raft->election_deadline_ms;
    return raft->check_quorum ? election_quorum_contact(raft) + raft->election_ms : UINT64_MAX;
}

/* What an election is asked for with. */
enum election_kind { ELECTION_PRE_VOTE, ELECTION_VOTE, ELECTION_TRANSFER };

static void election_send_requests(struct lash_raft *raft, enum election_kind kind, struct lash_outputs *outputs) {
    const struct terms *terms = raft_terms(raft);
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        lash_id id = raft->configuration.members[slot].id;
        if (id == raft->id || !configuration_votes(&raft->configuration, id))
            continue;
        struct lash_message *message = message_send(raft, LASH_MSG_VOTE, id, outputs);
        message->term = kind == ELECTION_PRE_VOTE ? raft->term + 1 : raft->term;
        message->vote.last_index = terms->last_index;
        message->vote.last_term = terms_last(terms);
        message->vote.pre = kind == ELECTION_PRE_VOTE;
        message->vote.transfer = kind == ELECTION_TRANSFER;
    }
}

/* Count a vote, if its owner has one: a candidate may not (D§4.2.2). */
static void election_count(struct lash_raft *raft, lash_id voter) {
    uint32_t slot = configuration_slot(&raft->configuration, voter);
    if (slot != CONFIGURATION_NONE)
        raft->votes[slot] = 1;
}

static void election_campaign(struct lash_raft *raft, enum election_kind kind, struct lash_outputs *outputs) {
    /* §5.2, Figure 2, candidates: on conversion to candidate, start election: increment currentTerm, vote for self,
     * reset election timer, send RequestVote RPCs to all other servers. The own vote counts once it is on disk, and
     * the requests wait for that. */
    role_become_candidate(raft, outputs);
    election_reset_timeout(raft);
    election_send_requests(raft, kind, outputs);
}

void election_stand(struct lash_raft *raft, struct lash_outputs *outputs) {
    election_campaign(raft, ELECTION_TRANSFER, outputs);
}

static void election_ask(struct lash_raft *raft, struct lash_outputs *outputs) {
    /* D§9.6: a candidate first asks other servers whether its log would be up-to-date enough to get their votes, and
     * only increments its term if it believes that it can win. */
    role_become_pre_candidate(raft, outputs);
    election_reset_timeout(raft);
    raft->asked_ms = raft->now_ms;
    election_count(raft, raft->id);
    election_send_requests(raft, ELECTION_PRE_VOTE, outputs);
    election_settle(raft, outputs);
}

void election_tick(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->now_ms < election_deadline(raft))
        return;
    LASH_ASSERT(raft->role == LASH_LEADER || !lease_promised(raft));
    if (raft->role == LASH_LEADER) {
        /* D§6.2: a leader steps down if an election timeout elapses without a successful round of heartbeats to a
         * majority of its cluster. */
        role_become_follower(raft, raft->term, 0, outputs);
    } else if (!raft_stands(raft) || raft->full || raft->term + 1 >= RAFT_LIMIT) {
        /* D§4.2.1: a server without a vote never stands for election, nor does a witness; it only takes note that the leader
         * is gone. So does one whose disk is full: every majority without it has a member with all that is committed (§5.4.3). */
        role_become_follower(raft, raft->term, 0, outputs);
        election_reset_timeout(raft);
    } else if (raft->pre_vote) {
        /* §5.2, Figure 2, followers: if election timeout elapses without receiving AppendEntries RPC from current
         * leader or granting vote to candidate: convert to candidate. Candidates: if election timeout elapses: start
         * new election. Each of them asks first. */
        election_ask(raft, outputs);
    } else {
        election_campaign(raft, ELECTION_VOTE, outputs);
    }
}

void election_peer_down(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    if (raft->role != LASH_FOLLOWER || raft->leader != event->peer.id || raft->leader == 0)
        return;
    role_become_follower(raft, raft->term, 0, outputs);
    /* §5.2 has a follower wait for an election timeout because silence proves nothing. An ended process is proof; what is left to
     * wait for is that the others notice as well, at slightly different moments, so that one asks first. */
    uint64_t soon = raft->now_ms + random_between(&raft->random, raft->heartbeat_ms / 2, raft->heartbeat_ms);
    if (raft->slow)
        soon += raft->heartbeat_ms;
    /* D§6.4.1: the hint may be wrong, and a leader that lives may count on this node's promise. */
    if (soon < raft->promised_ms)
        soon = raft->promised_ms + (soon - raft->now_ms);
    if (soon < raft->election_deadline_ms)
        raft->election_deadline_ms = soon;
}

/* ---- Requests ---------------------------------------------------------------------------------- */

bool election_vote_valid(const struct lash_raft *raft, const struct lash_message *message) {
    (void)raft;
    return message->term > 0 && message->vote.last_term <= message->term &&
           !(message->vote.pre && message->vote.transfer);
}

/* Whether a leader is at work as far as this node can know, when `asker` stands for election. */
static bool election_leader_is_alive(const struct lash_raft *raft, lash_id asker) {
    /* Without check-quorum a leader may be one of nobody, and hears those who vote. Not others: one that it has removed is
     * deaf to it and will ask for ever (D§4.2.3), and what it may have missed itself it learns from its members' answers. */
    if (raft->role == LASH_LEADER)
        return raft->check_quorum || !configuration_votes(&raft->configuration, asker);
    return raft->leader != 0 && raft->now_ms < raft->contact_ms + raft->election_ms;
}

/* Whether this node would vote for the sender in the term that it names. */
static bool election_would_grant(const struct lash_raft *raft, const struct lash_message *message) {
    /* §5.1, Figure 2, RequestVote RPC 1: reply false if term < currentTerm. */
    if (message->term < raft->term)
        return false;
    /* §5.2, Figure 2, RequestVote RPC 2: grant only if votedFor is null or candidateId ... */
    if (message->term == raft->term && raft->vote != 0 && raft->vote != message->from)
        return false;
    /* §5.4.1: ... and the candidate's log is at least as up-to-date: the later last term is, and with equal last terms
     * the longer log. */
    const struct terms *terms = raft_terms_of(raft);
    if (message->vote.last_term != terms_last(terms))
        return message->vote.last_term > terms_last(terms);
    return message->vote.last_index >= terms->last_index;
}

/* Whether the sender gives way to this node. Two that ask for the same term with the same log at the same moment would grant
 * one another, campaign both, and split the vote (§5.2); so of two equals the one with the higher id goes on. Only for the
 * moment: one that asks in vain, because it reaches no majority, must not hold up one that would. */
static bool election_sender_gives_way(const struct lash_raft *raft, const struct lash_message *message) {
    const struct terms *terms = raft_terms_of(raft);
    bool equals = message->term == raft->term + 1 && message->vote.last_term == terms_last(terms) &&
                  message->vote.last_index == terms->last_index;
    return message->vote.pre && raft->role == LASH_PRE_CANDIDATE && equals && message->from < raft->id &&
           raft->now_ms < raft->asked_ms + raft->heartbeat_ms;
}

void election_vote(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    bool pre = message->vote.pre;
    /* D§4.2.3, §6: a server that hears RequestVote within the minimum election timeout of hearing from a current leader
     * does not update its term or grant its vote; so no server that cannot hear the leader deposes it. */
    if (!message->vote.transfer && election_leader_is_alive(raft, message->from))
        return;
    /* D§6.4.1: nor does one that has promised its leader so, whatever it came to know since. */
    if (!message->vote.transfer && lease_promised(raft))
        return;
    /* D§9.6: a pre-vote changes no state here. */
    if (!pre && message->term > raft->term)
        role_become_follower(raft, message->term, 0, outputs);

    bool granted = election_would_grant(raft, message) && !election_sender_gives_way(raft, message);
    if (granted && !pre) {
        if (raft->vote == 0) {
            LASH_ASSERT(raft->role == LASH_FOLLOWER || raft->role == LASH_PRE_CANDIDATE);
            raft->vote = message->from;
            durability_save_vote(raft, outputs);
        }
        /* Whoever voted for another no longer asks for itself. */
        if (raft->role == LASH_PRE_CANDIDATE)
            role_become_follower(raft, raft->term, 0, outputs);
        /* §5.2: granting a vote restarts the election timeout; rejecting one does not. */
        election_reset_timeout(raft);
    }
    struct lash_message *reply = message_send(raft, LASH_MSG_VOTE_REPLY, message->from, outputs);
    reply->vote_reply.granted = granted;
    reply->vote_reply.pre = pre;
    /* A pre-vote granted speaks of the term asked about. A refusal carries the own term, by which an asker that lags
     * catches up: else one with the longest log and an old term could neither win nor let others win. */
    if (granted && pre)
        reply->term = message->term;
}

/* ---- Answers ----------------------------------------------------------------------------------- */

int election_win_room(const struct lash_raft *raft) {
    bool may_win = raft->role == LASH_CANDIDATE;
    return may_win && !terms_room(raft_terms_of(raft), 1) ? LASH_FULL : LASH_OK;
}

int election_vote_reply_room(const struct lash_raft *raft, const struct lash_message *message) {
    (void)message;
    return election_win_room(raft);
}

void election_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->role == LASH_CANDIDATE && durability_term_saved(raft))
        election_count(raft, raft->id);
    bool won = quorum_reached(&raft->configuration, raft->votes) == 1;
    if (raft->role == LASH_PRE_CANDIDATE && won) {
        election_campaign(raft, ELECTION_VOTE, outputs);
    } else if (raft->role == LASH_CANDIDATE && won && durability_term_saved(raft)) {
        /* §5.2, Figure 2, candidates: if votes received from majority of servers: become leader. */
        role_become_leader(raft, outputs);
    }
}

void election_vote_reply(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    bool pre = message->vote_reply.pre;
    bool granted = message->vote_reply.granted;
    /* §5.1: a higher term makes a follower; but not the term that a pre-vote granted was about. */
    if (message->term > raft->term && !(pre && granted)) {
        role_become_follower(raft, message->term, 0, outputs);
        return;
    }
    /* An answer counts in the election that it was asked in and no other, and only from a voter, once. */
    bool counts = pre ? raft->role == LASH_PRE_CANDIDATE && message->term == raft->term + 1
                      : raft->role == LASH_CANDIDATE && message->term == raft->term;
    if (!counts || !granted)
        return;
    election_count(raft, message->from);
    election_settle(raft, outputs);
}
