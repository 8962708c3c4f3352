/* SPDX-License-Identifier: Apache-2.0
 *
 * Linearizable reads without the log: the read index (§8, D§6.4). Reads go in
 * batches. At the leader a batch waits for a round of heartbeats that begins
 * after all of the batch was asked; at a follower it waits for the leader's answer
 * to one question. While a batch is on its way, later reads form the next.
 */
#include "raft/read.h"

#include <string.h>

#include "base/assert.h"
#include "raft/commit.h"
#include "raft/lease.h"
#include "raft/message.h"
#include "raft/quorum.h"
#include "raft/raft_state.h"

/* ---- The queue --------------------------------------------------------------------------------- */

static void read_push(struct lash_raft *raft, uint64_t context, lash_id from, bool lease) {
    struct raft_reads *reads = raft_reads(raft);
    LASH_ASSERT(reads->count < raft->reads_max);
    reads->items[reads->count++] = (struct raft_read){.context = context, .from = from, .lease = lease};
    if (lease && raft->role == LASH_LEADER)
        lease_want(raft);
}

/* Take out `count` reads from `position` on. */
static void read_remove(struct lash_raft *raft, uint64_t position, uint64_t count) {
    struct raft_reads *reads = raft_reads(raft);
    LASH_ASSERT(position + count <= reads->count);
    uint64_t behind = reads->count - position - count;
    uint64_t on_their_way = reads->joined > position ? reads->joined - position : 0;
    memmove(&reads->items[position], &reads->items[position + count], behind * sizeof reads->items[0]);
    memset(&reads->items[position + behind], 0, count * sizeof reads->items[0]);
    reads->count -= count;
    reads->joined -= on_their_way < count ? on_their_way : count;
    if (reads->joined == 0) {
        reads->index = 0;
        reads->deadline_ms = 0;
    }
}

static void read_answer_local(struct lash_raft *raft, uint64_t context, lash_index index) {
    struct raft_released *released = raft_released(raft);
    LASH_ASSERT(released->count < raft->reads_max);
    released->items[released->count].context = context;
    released->items[released->count].index = index;
    released->count++;
}

static void read_answer_remote(const struct lash_raft *raft, lash_id to, uint64_t context, lash_index index,
                               struct lash_outputs *outputs) {
    struct lash_message *reply = message_send(raft, LASH_MSG_READ_REPLY, to, outputs);
    reply->read_reply.context = context;
    reply->read_reply.index = index;
}

static void read_answer_one(struct lash_raft *raft, const struct raft_read *read, lash_index index,
                            struct lash_outputs *outputs) {
    if (read->from == 0)
        read_answer_local(raft, read->context, index);
    else
        read_answer_remote(raft, read->from, read->context, index, outputs);
}

/* Answer the first `count` reads, all with the same index; 0 refuses them. */
static void read_answer(struct lash_raft *raft, uint64_t count, lash_index index, struct lash_outputs *outputs) {
    for (uint64_t i = 0; i < count; i++)
        read_answer_one(raft, &raft_reads(raft)->items[i], index, outputs);
    read_remove(raft, 0, count);
}

void read_refuse_all(struct lash_raft *raft, struct lash_outputs *outputs) {
    read_answer(raft, raft_reads(raft)->count, 0, outputs);
    LASH_ASSERT(raft_reads(raft)->joined == 0);
}

/* ---- Leader: rounds ---------------------------------------------------------------------------- */

/* The last round that a quorum acknowledged: up to its begin this node was the leader for certain. */
static uint64_t read_round_confirmed(struct lash_raft *raft) {
    uint64_t rounds[LASH_RAFT_MEMBERS_MAX] = {0};
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        bool self = raft->configuration.members[slot].id == raft->id;
        rounds[slot] = self ? raft->round : raft_progress(raft, slot)->round;
    }
    return quorum_reached(&raft->configuration, rounds);
}

static void read_begin_round(struct lash_raft *raft) {
    raft->round++;
    if (raft->leases)
        raft->round_ms = raft->now_ms;
}

/* D§6.4.1: within its lease a leader need not ask whether it still is one. Nobody else led at the time of this event, which
 * came after each of the reads was asked for; so what is committed now is all that they can be expected to see. */
static void read_answer_by_lease(struct lash_raft *raft, struct lash_outputs *outputs) {
    struct raft_reads *reads = raft_reads(raft);
    if (!lease_wanted(raft) || lease_until(raft) == 0)
        return;
    uint64_t kept = 0;
    uint64_t joined = 0;
    for (uint64_t i = 0; i < reads->count; i++) {
        if (reads->items[i].lease) {
            read_answer_one(raft, &reads->items[i], raft->commit, outputs);
            continue;
        }
        joined += i < reads->joined;
        reads->items[kept++] = reads->items[i];
    }
    reads->joined = joined;
    read_remove(raft, kept, reads->count - kept);
}

static void read_settle_leader(struct lash_raft *raft, struct lash_outputs *outputs) {
    struct raft_reads *reads = raft_reads(raft);
    /* D§6.4: the leader issues a new round of heartbeats and waits for their acknowledgments from a majority; then the
     * read index is good. */
    if (reads->joined > 0 && read_round_confirmed(raft) >= raft->round)
        read_answer(raft, reads->joined, reads->index, outputs);
    read_answer_by_lease(raft, outputs);
    /* D§6.4: a leader that has not yet committed an entry of its current term waits until it has; then it saves its
     * commit index as the read index. */
    if (reads->joined > 0 || reads->count == 0 || !commit_in_term(raft))
        return;
    read_begin_round(raft);
    reads->joined = reads->count;
    reads->index = raft->commit;
    /* A leader that is a quorum by itself need not ask anyone. */
    if (read_round_confirmed(raft) >= raft->round)
        read_answer(raft, reads->joined, reads->index, outputs);
}

/* The position of the question of `from`, of which there is at most one; the count of reads when there is none. */
static uint64_t read_question(const struct lash_raft *raft, lash_id from) {
    const struct raft_reads *reads = raft_reads_of(raft);
    uint64_t position = 0;
    while (position < reads->count && reads->items[position].from != from)
        position++;
    return position;
}

void read_drop(struct lash_raft *raft, lash_id from) {
    uint64_t position = read_question(raft, from);
    if (position < raft_reads(raft)->count)
        read_remove(raft, position, 1);
}

void read_request(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    const struct raft_reads *reads = raft_reads(raft);
    uint64_t context = message->read.context;
    if (raft->role != LASH_LEADER || message->term < raft->term) {
        read_answer_remote(raft, message->from, context, 0, outputs);
        return;
    }
    uint64_t position = read_question(raft, message->from);
    if (position < reads->count) {
        if (reads->items[position].context == context)
            return;
        /* A follower has one question open at a time: it has given up on this one. */
        read_remove(raft, position, 1);
    }
    if (reads->count == raft->reads_max)
        read_answer_remote(raft, message->from, context, 0, outputs);
    else
        read_push(raft, context, message->from, message->read.lease);
}

/* ---- Follower: forwarding ---------------------------------------------------------------------- */

static void read_settle_follower(struct lash_raft *raft, struct lash_outputs *outputs) {
    struct raft_reads *reads = raft_reads(raft);
    if (reads->joined > 0 || reads->count == 0)
        return;
    LASH_ASSERT(raft->leader != 0);
    reads->joined = reads->count;
    reads->deadline_ms = raft->now_ms + raft->election_ms;
    raft->read_context++;
    struct lash_message *message = message_send(raft, LASH_MSG_READ, raft->leader, outputs);
    message->read.context = raft->read_context;
    message->read.lease = true;
    for (uint64_t i = 0; i < reads->count; i++)
        message->read.lease = message->read.lease && reads->items[i].lease;
}

void read_reply(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    const struct raft_reads *reads = raft_reads(raft);
    /* Contexts are used once: an answer that comes twice or late never releases a later batch, which may have been
     * asked after the index in it was taken. */
    if (raft->role != LASH_FOLLOWER || message->term != raft->term || message->from != raft->leader)
        return;
    if (reads->joined == 0 || message->read_reply.context != raft->read_context)
        return;
    read_answer(raft, reads->joined, message->read_reply.index, outputs);
}

uint64_t read_deadline(const struct lash_raft *raft) {
    const struct raft_reads *reads = raft_reads_of(raft);
    return raft->role == LASH_FOLLOWER && reads->joined > 0 ? reads->deadline_ms : UINT64_MAX;
}

void read_tick(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->now_ms >= read_deadline(raft))
        read_refuse_all(raft, outputs);
    /* D§6.4.1: a lease is kept up with a round for each heartbeat, or, where the way there and back takes longer, as soon as
     * the one before has come back. */
    bool beats = raft->role == LASH_LEADER && raft->now_ms >= raft->heartbeat_deadline_ms;
    if (beats && lease_wanted(raft) && raft_reads(raft)->joined == 0 && read_round_confirmed(raft) >= raft->round)
        read_begin_round(raft);
}

/* ---- Both -------------------------------------------------------------------------------------- */

int read_ask_check(const struct lash_raft *raft, const struct lash_event *event) {
    if (event->read.context == 0)
        return LASH_INVALID;
    return raft_reads_of(raft)->count == raft->reads_max ? LASH_BUSY : LASH_OK;
}

void read_ask(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    if (raft->leader == 0)
        read_answer_local(raft, event->read.context, 0);
    else
        read_push(raft, event->read.context, 0, event->read.lease);
}

void read_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->role == LASH_LEADER)
        read_settle_leader(raft, outputs);
    else
        read_settle_follower(raft, outputs);
}
