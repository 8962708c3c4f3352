/* SPDX-License-Identifier: Apache-2.0
 *
 * Log replication as a follower does it (§5.3): the five rules of the
 * AppendEntries RPC in Figure 2, over runs of entries instead of single ones.
 */
#include "base/assert.h"
#include "raft/commit.h"
#include "raft/durability.h"
#include "raft/election.h"
#include "raft/lease.h"
#include "raft/membership.h"
#include "raft/message.h"
#include "raft/raft_state.h"
#include "raft/replication.h"
#include "raft/role.h"

/* Entries of one term that a message brings: from..last, none when last < from. */
struct piece {
    lash_index from;
    lash_index last;
    lash_term term;
};

/* The part of `run` that lies behind `after`. */
static struct piece replication_piece(const struct lash_run *run, lash_index after) {
    struct piece piece = {.from = run->first, .last = run->first + run->count - 1, .term = run->term};
    if (piece.from <= after)
        piece.from = after + 1;
    return piece;
}

/* The last entry that the message brings, or the one before the first when it brings none. */
static lash_index replication_matched(const struct lash_message *message) {
    lash_index last = message->append.prev_index;
    if (message->append.run_count > 0) {
        const struct lash_run *run = &message->append.runs[message->append.run_count - 1];
        if (run->first + run->count - 1 > last)
            last = run->first + run->count - 1;
    }
    return last;
}

/* The first index of `piece` that the log lacks or holds with another term; piece->last + 1 when there is none. */
static lash_index replication_differs(const struct terms *terms, const struct piece *piece) {
    lash_index index = piece->from < terms->first_index ? terms->first_index : piece->from;
    while (index <= piece->last && index <= terms->last_index) {
        if (terms_at(terms, index) != piece->term)
            return index;
        index = terms_run_end(terms, index) + 1;
    }
    return index <= piece->last ? index : piece->last + 1;
}

/* How far a node with a full disk goes along with the message: as far as its log holds what the message brings, and one
 * no-op further. That one is no larger than a vote, and without it no new leader could commit anything or serve a read
 * while a majority is full (§8). */
static lash_index replication_limit(const struct lash_raft *raft, const struct lash_message *message) {
    for (uint32_t i = 0; i < message->append.run_count; i++) {
        struct piece piece = replication_piece(&message->append.runs[i], message->append.prev_index);
        lash_index differs = piece.from > piece.last ? 0 : replication_differs(raft_terms_of(raft), &piece);
        if (piece.from > piece.last || differs > piece.last)
            continue;
        bool noop = message->append.runs[i].kind == LASH_ENTRY_NOOP && piece.from == piece.last;
        return noop ? piece.last : differs - 1;
    }
    return replication_matched(message);
}

/* Whether what is committed stays as it is when `piece` is taken. */
static bool replication_keeps_committed(const struct lash_raft *raft, const struct piece *piece) {
    const struct terms *terms = raft_terms_of(raft);
    lash_index compacted = terms->first_index - 1;
    /* Of what was compacted the last term is known. */
    if (piece->from <= compacted && piece->last >= compacted && piece->term != terms->prev_term)
        return false;
    struct piece committed = *piece;
    if (committed.last > raft->commit)
        committed.last = raft->commit;
    return committed.last < committed.from || replication_differs(terms, &committed) > committed.last;
}

bool replication_append_valid(const struct lash_raft *raft, const struct lash_message *message) {
    lash_index prev_index = message->append.prev_index;
    lash_term term = message->append.prev_term;
    if (message->term == 0 || prev_index >= RAFT_LIMIT || term > message->term || (prev_index == 0) != (term == 0))
        return false;
    if (message->append.run_count > 0 && message->append.runs == NULL)
        return false;
    lash_index next = 0;
    for (uint32_t i = 0; i < message->append.run_count; i++) {
        const struct lash_run *run = &message->append.runs[i];
        bool follows = i == 0 ? run->first > 0 && run->first <= prev_index + 1 : run->first == next;
        if (!follows || run->count == 0 || run->first >= RAFT_LIMIT)
            return false;
        next = run->first + run->count;
        if (next - 1 <= prev_index)
            continue;
        if (run->term == 0 || run->term < term || run->term > message->term ||
            !membership_run_valid(message, run, prev_index))
            return false;
        /* §5.4.3, Leader Completeness: a leader of this term or a later one holds every entry that is committed here. A
         * former leader may not, and is answered so that it steps down. */
        struct piece piece = replication_piece(run, prev_index);
        if (message->term >= raft->term && !replication_keeps_committed(raft, &piece))
            return false;
        term = run->term;
    }
    return next < RAFT_LIMIT;
}

int replication_append_room(const struct lash_raft *raft, const struct lash_message *message) {
    uint64_t changes = 0;
    lash_term term = 0;
    for (uint32_t i = 0; i < message->append.run_count; i++) {
        struct piece piece = replication_piece(&message->append.runs[i], message->append.prev_index);
        if (piece.from > piece.last || piece.term == term)
            continue;
        term = piece.term;
        changes++;
    }
    bool stale = message->term < raft->term;
    return stale || terms_room(raft_terms_of(raft), changes) ? LASH_OK : LASH_FULL;
}

/* Bring the log to what the message says, up to `last`; what it holds already is left alone. */
static void replication_take(struct lash_raft *raft, const struct lash_message *message, lash_index last,
                             struct lash_outputs *outputs) {
    struct terms *terms = raft_terms(raft);
    lash_index first = 0;
    for (uint32_t i = 0; i < message->append.run_count; i++) {
        struct piece piece = replication_piece(&message->append.runs[i], message->append.prev_index);
        if (piece.last > last)
            piece.last = last;
        if (piece.from > piece.last)
            continue;
        if (first == 0) {
            lash_index differs = replication_differs(terms, &piece);
            if (differs > piece.last)
                continue;
            first = piece.from = differs;
        }
        /* §5.3, Figure 2, AppendEntries RPC 3: if an existing entry conflicts with a new one (same index but different
         * terms), delete the existing entry and all that follow it. Entries that merely lie behind those of the message
         * stay: it may be a late one. */
        if (piece.from <= terms->last_index) {
            LASH_ASSERT(raft->role != LASH_LEADER);
            LASH_ASSERT(piece.from > raft->commit);
            durability_cut(raft, piece.from, outputs);
            terms_truncate(terms, piece.from - 1);
            membership_cut(raft, piece.from);
        }
        /* §5.3, Figure 2, AppendEntries RPC 4: append any new entries not already in the log. */
        terms_append(terms, piece.last - piece.from + 1, piece.term);
    }
    if (first != 0) {
        durability_save_entries(raft, first, outputs);
        membership_learn(raft, message, first, terms->last_index);
    }
}

/* Whether the log holds what the leader's holds at prev_index. */
static bool replication_meets(const struct lash_raft *raft, const struct lash_message *message) {
    const struct terms *terms = raft_terms_of(raft);
    lash_index prev_index = message->append.prev_index;
    /* What was compacted was committed, and every later leader holds it (Leader Completeness, §5.4.3). */
    if (prev_index + 1 < terms->first_index)
        return true;
    return prev_index <= terms->last_index && terms_at(terms, prev_index) == message->append.prev_term;
}

struct lash_message *replication_report(struct lash_raft *raft, lash_id to, uint64_t after_write,
                                        struct lash_outputs *outputs) {
    struct lash_message *reply = message_send_after(raft, LASH_MSG_APPEND_REPLY, to, after_write, outputs);
    reply->append_reply.full = raft->full != 0;
    reply->append_reply.slow = raft->slow != 0;
    return reply;
}

struct lash_message *replication_answer(struct lash_raft *raft, const struct lash_message *message,
                                        uint64_t after_write, struct lash_outputs *outputs) {
    struct lash_message *reply = replication_report(raft, message->from, after_write, outputs);
    if (message->type == LASH_MSG_APPEND && message->term == raft->term) {
        /* Rounds count from the begin of a leadership (D§6.4). That of an earlier one says nothing of the present leader,
         * who may be the same node and have begun a round of that number since. */
        reply->append_reply.round = message->append.round;
        reply->append_reply.promise_ms = lease_promise(raft, message);
    }
    return reply;
}

static void replication_refuse(struct lash_raft *raft, const struct lash_message *message,
                               struct lash_outputs *outputs) {
    const struct terms *terms = raft_terms(raft);
    struct lash_message *reply = replication_answer(raft, message, 0, outputs);
    reply->append_reply.rejected = message->append.prev_index;
    /* §5.3: what has a later term than the leader's entry at prev_index cannot be the leader's: pass over all of it. */
    lash_index limit = message->append.prev_index;
    if (limit > terms->last_index)
        limit = terms->last_index;
    lash_index hint = terms->first_index - 1;
    if (terms_find(terms, limit, message->append.prev_term, &hint))
        reply->append_reply.hint_term = terms_at(terms, hint);
    reply->append_reply.hint_index = hint;
}

static void replication_accept(struct lash_raft *raft, const struct lash_message *message,
                               struct lash_outputs *outputs) {
    lash_index matched = raft->full ? replication_limit(raft, message) : replication_matched(message);
    replication_take(raft, message, matched, outputs);
    commit_learn(raft, message->append.commit, matched);

    /* §5.3: an answer speaks of what this message matched, not of what the log holds behind it, and only of what is on
     * disk: with entries to write it waits for them; without, it goes at once for what is there, so that no
     * heartbeat waits for a disk. */
    struct lash_message *reply = replication_answer(raft, message, outputs->append ? outputs->write : 0, outputs);
    reply->append_reply.success = true;
    reply->append_reply.match = matched;
    if (!outputs->append && matched > raft->durable_index)
        reply->append_reply.match = raft->durable_index;
}

bool replication_hear(struct lash_raft *raft, const struct lash_message *message, lash_index rejected,
                      struct lash_outputs *outputs) {
    /* §5.1, Figure 2, AppendEntries RPC 1: reply false if term < currentTerm. The term in the answer makes the sender step
     * down, so that a node that got ahead of its group's term alone cannot stay outside for ever. */
    if (message->term < raft->term) {
        struct lash_message *reply = replication_answer(raft, message, 0, outputs);
        reply->append_reply.rejected = rejected;
        return false;
    }
    /* A term has one leader (E1): a second can only be one that lost its disk, and is not heard. */
    if (raft->leader != 0 && raft->leader != message->from)
        return false;
    /* §5.2, Figure 2, candidates: if AppendEntries RPC received from new leader: convert to follower. */
    if (raft->role != LASH_FOLLOWER || raft->leader == 0)
        role_become_follower(raft, raft->term, message->from, outputs);
    raft->contact_ms = raft->now_ms;
    election_reset_timeout(raft);
    return true;
}

void replication_append(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    if (!replication_hear(raft, message, message->append.prev_index, outputs))
        return;
    /* §5.3, Figure 2, AppendEntries RPC 2: reply false if log doesn't contain an entry at prevLogIndex whose term matches
     * prevLogTerm. */
    if (replication_meets(raft, message))
        replication_accept(raft, message, outputs);
    else
        replication_refuse(raft, message, outputs);
}
