/* SPDX-License-Identifier: Apache-2.0
 *
 * Log replication as the leader does it (§5.3): what each follower is sent, and
 * what its answers say.
 */
#include "base/assert.h"
#include "raft/durability.h"
#include "raft/lease.h"
#include "raft/membership.h"
#include "raft/message.h"
#include "raft/priority.h"
#include "raft/quorum.h"
#include "raft/raft_state.h"
#include "raft/read.h"
#include "raft/replication.h"
#include "raft/transfer.h"

/* ---- Sending ----------------------------------------------------------------------------------- */

/* The commit index that a member learns when its log equals the leader's up to `matched`. */
static lash_index replication_commit_told(const struct lash_raft *raft, lash_index matched) {
    return raft->commit < matched ? raft->commit : matched;
}

static struct lash_message *replication_message(struct lash_raft *raft, uint32_t slot, lash_index prev_index,
                                                struct lash_outputs *outputs) {
    lash_id to = raft->configuration.members[slot].id;
    struct lash_message *message = message_send(raft, LASH_MSG_APPEND, to, outputs);
    message->append.prev_index = prev_index;
    message->append.prev_term = prev_index == 0 ? 0 : terms_at(raft_terms(raft), prev_index);
    message->append.commit = raft->commit;
    message->append.round = raft->round;
    message->append.promise = lease_wanted(raft);
    message->append.first = prev_index + 1;
    message->append.last = prev_index;
    return message;
}

/* A message that keeps the order of those with entries. */
static struct lash_message *replication_ordered(struct lash_raft *raft, uint32_t slot, struct lash_outputs *outputs) {
    struct lash_message *message = replication_message(raft, slot, raft_progress(raft, slot)->next - 1, outputs);
    outputs->sends[outputs->send_count - 1].ordered = true;
    return message;
}

static void replication_told(struct lash_raft *raft, struct progress *progress, lash_index matched) {
    lash_index told = replication_commit_told(raft, matched);
    if (progress->state == LASH_REPLICATE && told > progress->commit_sent)
        progress->commit_sent = told;
}

/* What a heartbeat says the logs have in common. In a pipeline that is what the member acknowledged: a heartbeat overtakes
 * entries, and must not be refused for that. A probe's asks for what the probe asks for; a member in need of a snapshot is
 * asked for the earliest entry that could do instead of one. */
static lash_index replication_common(const struct lash_raft *raft, const struct progress *progress) {
    lash_index earliest = raft_terms_of(raft)->first_index - 1;
    if (progress->state == LASH_SNAPSHOT)
        return earliest;
    if (progress->state == LASH_PROBE)
        return progress->next - 1;
    return progress->match >= earliest ? progress->match : 0;
}

/* A heartbeat: without entries, so that the driver never has to wait for a disk or a full queue to send it. Also how a
 * round of reads is told of: not with entries, which may take long on their way. */
static void replication_heartbeat(struct lash_raft *raft, uint32_t slot, struct lash_outputs *outputs) {
    struct progress *progress = raft_progress(raft, slot);
    lash_index prev_index = replication_common(raft, progress);
    replication_message(raft, slot, prev_index, outputs);
    progress->round_sent = raft->round;
    replication_told(raft, progress, prev_index);
}

/* Say behind the entries that were sent what precedes the next one: whoever lacks that refuses, and so what got lost is found
 * out, while what is merely slow is not taken for lost. */
static void replication_mark(struct lash_raft *raft, uint32_t slot, struct lash_outputs *outputs) {
    struct progress *progress = raft_progress(raft, slot);
    LASH_ASSERT(progress->state == LASH_REPLICATE);
    replication_ordered(raft, slot, outputs);
    replication_told(raft, progress, progress->next - 1);
}

/* How far the log is durable where its data stays: here, or, if this leader has no vote any more, at whoever of those that vote
 * and are no witnesses is furthest. */
static lash_index replication_kept(const struct lash_raft *raft) {
    lash_index kept = 0;
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        const struct configuration_member *member = &raft->configuration.members[slot];
        if ((member->flags & LASH_MEMBER_VOTER) == 0 || (member->flags & LASH_MEMBER_WITNESS) != 0)
            continue;
        if (member->id == raft->id)
            return raft->durable_index;
        lash_index match = raft_progress_of(raft, slot)->match;
        kept = match > kept ? match : kept;
    }
    return kept;
}

/* The last entry that a member may be sent. A witness gets none before it is durable at someone who could lead with it: else
 * that one could lose it in a crash, or go for good, and the witness would refuse its vote to all that are left (§5.4.1). */
static lash_index replication_last(const struct lash_raft *raft, uint32_t slot) {
    lash_index last = raft_terms_of(raft)->last_index;
    if ((raft->configuration.members[slot].flags & LASH_MEMBER_WITNESS) == 0)
        return last;
    lash_index kept = replication_kept(raft);
    return kept < last ? kept : last;
}

/* Offer the driver the entries that the member lacks, if some may be sent now. What of them was sent comes back as
 * LASH_EVENT_SENT. */
static bool replication_entries(struct lash_raft *raft, uint32_t slot, struct lash_outputs *outputs) {
    struct progress *progress = raft_progress(raft, slot);
    lash_index last = replication_last(raft, slot);
    bool leaving = raft->retiring && raft->transfer_to == 0;
    /* §5.3, Figure 2, leaders: if last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
     * starting at nextIndex. */
    if (leaving || last < progress->next ||
        !progress_ready(progress, raft->inflight_messages_max, raft->inflight_bytes_max))
        return false;
    uint64_t room = raft->inflight_bytes_max - progress->inflight_bytes;
    struct lash_message *message = replication_ordered(raft, slot, outputs);
    message->append.last = last;
    message->append.bytes_max = room < raft->message_bytes_max ? room : raft->message_bytes_max;
    return true;
}

/* Tell one member what it has yet to be told. */
static void replication_update(struct lash_raft *raft, uint32_t slot, struct lash_outputs *outputs) {
    struct progress *progress = raft_progress(raft, slot);
    if (progress->state != LASH_SNAPSHOT && progress->next < raft_terms(raft)->first_index)
        progress_become_snapshot(progress);
    if (progress->round_sent < raft->round)
        replication_heartbeat(raft, slot, outputs);
    if (replication_entries(raft, slot, outputs) || progress->state != LASH_REPLICATE)
        return;
    if (replication_commit_told(raft, progress->next - 1) <= progress->commit_sent)
        return;
    /* What is committed of what is under way can only be told behind it. */
    if (raft->commit > progress->match)
        replication_mark(raft, slot, outputs);
    else
        replication_heartbeat(raft, slot, outputs);
    outputs->sends[outputs->send_count - 1].notice = true;
}

void replication_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        if (raft->configuration.members[slot].id != raft->id)
            replication_update(raft, slot, outputs);
    }
}

void replication_tick(struct lash_raft *raft, struct lash_outputs *outputs) {
    if (raft->role != LASH_LEADER || raft->now_ms < raft->heartbeat_deadline_ms)
        return;
    raft->heartbeat_deadline_ms = raft->now_ms + raft->heartbeat_ms;
    priority_tick(raft);
    membership_mark(raft, raft->commit);
    /* §5.2, Figure 2, leaders: repeat heartbeats during idle periods to prevent election timeouts. A busy one sends
     * them too: they also stand in for a probe that got lost, and carry the read round. */
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        if (raft->configuration.members[slot].id == raft->id)
            continue;
        struct progress *progress = raft_progress(raft, slot);
        if (progress->state != LASH_SNAPSHOT && progress->next < raft_terms(raft)->first_index)
            progress_become_snapshot(progress);
        replication_heartbeat(raft, slot, outputs);
        if (progress->state == LASH_REPLICATE && progress->inflight_count > 0)
            replication_mark(raft, slot, outputs);
    }
}

/* ---- Proposals --------------------------------------------------------------------------------- */

bool replication_room_left(const struct lash_raft *raft) {
    uint64_t room[LASH_RAFT_MEMBERS_MAX] = {0};
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++)
        room[slot] = !raft_progress_of(raft, slot)->full;
    return !raft->full && quorum_reached(&raft->configuration, room) == 1;
}

int replication_propose_check(const struct lash_raft *raft, const struct lash_event *event) {
    uint32_t kind = event->propose.kind;
    bool proposed = kind == LASH_ENTRY_COMMAND || kind == LASH_ENTRY_BARRIER || kind == LASH_ENTRY_PART;
    if (event->propose.count == 0 || !proposed)
        return LASH_INVALID;
    if (raft->role != LASH_LEADER)
        return LASH_NOT_LEADER;
    /* D§3.10: the prior leader stops accepting new client requests. */
    if (raft->transfer_to != 0 || !replication_room_left(raft))
        return LASH_BUSY;
    return raft_terms_of(raft)->last_index + event->propose.count < RAFT_LIMIT ? LASH_OK : LASH_FULL;
}

void replication_propose(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    struct terms *terms = raft_terms(raft);
    lash_index first = terms->last_index + 1;
    LASH_ASSERT(terms_last(terms) == raft->term);
    /* §5.3, Figure 2, leaders: if command received from client: append entry to local log. The followers get it in
     * parallel with the own disk (D§10.2.1). */
    terms_append(terms, event->propose.count, raft->term);
    durability_save_entries(raft, first, outputs);
}

/* ---- What the driver tells --------------------------------------------------------------------- */

uint32_t replication_peer(const struct lash_raft *raft, lash_id id) {
    if (raft->role != LASH_LEADER || id == raft->id)
        return CONFIGURATION_NONE;
    return configuration_slot(&raft->configuration, id);
}

int replication_sent_check(const struct lash_raft *raft, const struct lash_event *event) {
    uint32_t slot = replication_peer(raft, event->sent.to);
    if (slot == CONFIGURATION_NONE)
        return LASH_INVALID;
    const struct progress *progress = raft_progress_of(raft, slot);
    lash_index last = event->sent.last;
    if (last >= RAFT_LIMIT || last + 1 < progress->next || last > raft_terms_of(raft)->last_index)
        return LASH_INVALID;
    if (event->sent.bytes >= RAFT_LIMIT)
        return LASH_INVALID;
    /* Only what was offered can have been sent. */
    return progress_ready(progress, raft->inflight_messages_max, raft->inflight_bytes_max) ? LASH_OK : LASH_INVALID;
}

void replication_sent(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    uint32_t slot = replication_peer(raft, event->sent.to);
    struct progress *progress = raft_progress(raft, slot);
    bool some = event->sent.last >= progress->next;
    progress_record_sent(progress, event->sent.last, event->sent.bytes);
    if (some)
        replication_told(raft, progress, progress->next - 1);
    replication_update(raft, slot, outputs);
}

void replication_unreachable(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    uint32_t slot = replication_peer(raft, event->peer.id);
    if (slot != CONFIGURATION_NONE && raft_progress(raft, slot)->state == LASH_REPLICATE) {
        struct progress *progress = raft_progress(raft, slot);
        progress_become_probe(progress, progress->match + 1);
        /* The next heartbeat is the probe: before it there is hardly anyone to hear. */
        progress->paused = PROGRESS_WAITS;
    }
    if (slot != CONFIGURATION_NONE && raft->transfer_to == event->peer.id)
        transfer_end(raft);
    /* What a follower asked its leader is lost as well; who asked may ask again at once. */
    if (raft->role == LASH_FOLLOWER && raft->leader == event->peer.id)
        read_refuse_all(raft, outputs);
}

void replication_ready(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    uint32_t slot = replication_peer(raft, event->peer.id);
    if (slot != CONFIGURATION_NONE && raft_progress(raft, slot)->paused == PROGRESS_UNSENT)
        raft_progress(raft, slot)->paused = PROGRESS_FREE;
}

void replication_room(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    raft->full = event->room.full;
}

/* ---- Answers ----------------------------------------------------------------------------------- */

static void replication_accepted(struct lash_raft *raft, struct progress *progress, lash_index match) {
    /* §5.3, Figure 2, leaders: if successful: update nextIndex and matchIndex for follower. An answer that was overtaken
     * by a later one changes nothing (L7). */
    progress_acknowledge(progress, match);
    bool meets = progress->match + 1 >= raft_terms(raft)->first_index;
    if (progress->state != LASH_REPLICATE && meets)
        progress_become_replicate(progress);
    progress->paused = PROGRESS_FREE;
}

static void replication_refused(struct lash_raft *raft, struct progress *progress, const struct lash_message *message) {
    lash_index rejected = message->append_reply.rejected;
    if (!progress_refusal_counts(progress, rejected))
        return;
    /* §5.3, Figure 2, leaders: if AppendEntries fails because of log inconsistency: decrement nextIndex and retry. §5.3
     * also lets the follower name the term of the conflicting entry: entries up to the hint with a later term than the
     * hint's cannot be the follower's, so all of them are passed over at once. */
    lash_index limit = message->append_reply.hint_index;
    if (limit >= rejected)
        limit = rejected - 1;
    const struct terms *terms = raft_terms(raft);
    lash_index meet = progress->match;
    bool known = limit >= meet && terms_find(terms, limit, message->append_reply.hint_term, &meet);
    if (!known && progress->match + 1 < terms->first_index) {
        progress_become_snapshot(progress);
        return;
    }
    progress_become_probe(progress, (meet > progress->match ? meet : progress->match) + 1);
}

void replication_append_reply(struct lash_raft *raft, const struct lash_message *message,
                              struct lash_outputs *outputs) {
    (void)outputs;
    uint32_t slot = replication_peer(raft, message->from);
    if (slot == CONFIGURATION_NONE || message->term < raft->term)
        return;
    lash_index last = raft_terms(raft)->last_index;
    bool success = message->append_reply.success;
    if (message->append_reply.round > raft->round || (success && message->append_reply.match > last))
        return;

    struct progress *progress = raft_progress(raft, slot);
    progress->contact_ms = raft->now_ms;
    progress->slow = message->append_reply.slow;
    /* D§6.4: an answer in this term, a refusal too, acknowledges that this node was still the leader when the round
     * that it echoes had begun. */
    if (message->append_reply.round > progress->round)
        progress->round = message->append_reply.round;
    lease_answered(raft, progress, message);
    if (success)
        replication_accepted(raft, progress, message->append_reply.match);
    else
        replication_refused(raft, progress, message);
    progress->full = message->append_reply.full;
    if (progress->full)
        progress_hold(progress);
    LASH_ASSERT(progress->match < progress->next);
}
