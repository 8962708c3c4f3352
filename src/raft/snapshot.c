/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots as leader and follower see them (§7, D§5.1). What a snapshot covers is
 * applied, so committed, so held by every later leader (Leader Completeness,
 * §5.4.3): on that rests each step here.
 */
#include "raft/snapshot.h"

#include "base/assert.h"
#include "raft/commit.h"
#include "raft/durability.h"
#include "raft/membership.h"
#include "raft/message.h"
#include "raft/raft_state.h"
#include "raft/replication.h"
#include "raft/role.h"

/* ---- Leader ------------------------------------------------------------------------------------ */

void snapshot_tick(struct lash_raft *raft) {
    if (raft->role != LASH_LEADER || raft->now_ms < raft->heartbeat_deadline_ms)
        return;
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        struct progress *progress = raft_progress(raft, slot);
        if (progress->offer == PROGRESS_NEXT_BEAT)
            progress->offer = PROGRESS_MAY_OFFER;
        else if (progress->offer == PROGRESS_SECOND_BEAT)
            progress->offer = PROGRESS_NEXT_BEAT;
    }
}

/* Whether the member is to be offered a snapshot: it needs one, answers, has room, and is not being sent one. */
static bool snapshot_due(const struct lash_raft *raft, const struct progress *progress) {
    bool answers = raft->now_ms < progress->contact_ms + raft->election_ms;
    return progress->state == LASH_SNAPSHOT && progress->offer == PROGRESS_MAY_OFFER && answers && !progress->full;
}

void snapshot_settle(struct lash_raft *raft, struct lash_outputs *outputs) {
    const struct terms *terms = raft_terms(raft);
    for (uint32_t slot = 0; slot < raft->configuration.count; slot++) {
        struct progress *progress = raft_progress(raft, slot);
        lash_id id = raft->configuration.members[slot].id;
        if (id == raft->id || !snapshot_due(raft, progress))
            continue;
        LASH_ASSERT(terms->first_index > 1);
        /* §7: the leader must occasionally send snapshots to followers that lag behind: it has discarded the next log
         * entry that it would send. Heartbeats go on meanwhile. */
        struct lash_message *message = message_send(raft, LASH_MSG_SNAPSHOT, id, outputs);
        message->snapshot.last_index = terms->first_index - 1;
        message->snapshot.last_term = terms->prev_term;
        progress->offer = PROGRESS_OFFERED;
    }
}

void snapshot_ended(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    (void)outputs;
    uint32_t slot = replication_peer(raft, event->snapshot_ended.id);
    if (slot == CONFIGURATION_NONE || raft_progress(raft, slot)->offer != PROGRESS_OFFERED)
        return;
    raft_progress(raft, slot)->offer = event->snapshot_ended.ok ? PROGRESS_SECOND_BEAT : PROGRESS_NEXT_BEAT;
}

/* ---- Follower ---------------------------------------------------------------------------------- */

/* Whether the log holds the snapshot's last entry, and so all that the snapshot covers (Log Matching, §5.3). */
static bool snapshot_held(const struct lash_raft *raft, lash_index index, lash_term term) {
    const struct terms *terms = raft_terms_of(raft);
    return terms_known(terms, index) && terms_at(terms, index) == term;
}

/* An answer that says what this node has for certain: committed, so the leader's as well, and durable. */
static void snapshot_acknowledge(const struct lash_raft *raft, struct lash_message *reply) {
    reply->append_reply.success = true;
    reply->append_reply.match = raft->commit < raft->durable_index ? raft->commit : raft->durable_index;
}

bool snapshot_offered_valid(const struct lash_raft *raft, const struct lash_message *message) {
    (void)raft;
    lash_index index = message->snapshot.last_index;
    lash_term term = message->snapshot.last_term;
    return index > 0 && index < RAFT_LIMIT && term > 0 && term <= message->term;
}

void snapshot_offered(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs) {
    lash_index index = message->snapshot.last_index;
    lash_term term = message->snapshot.last_term;
    /* §7, Figure 13, InstallSnapshot RPC 1: reply immediately if term < currentTerm. */
    if (!replication_hear(raft, message, index, outputs))
        return;
    /* S3: what this node knows to be committed reaches as far, or its log does: nothing is fetched for that. */
    if (index > raft->commit && snapshot_held(raft, index, term))
        commit_learn(raft, index, index);
    if (index <= raft->commit || raft->full) {
        snapshot_acknowledge(raft, replication_answer(raft, message, 0, outputs));
        return;
    }
    outputs->install = true;
    outputs->install_from = message->from;
    outputs->snapshot_index = index;
    outputs->snapshot_term = term;
}

/* ---- The snapshot is there --------------------------------------------------------------------- */

int snapshot_installed_check(const struct lash_raft *raft, const struct lash_event *event) {
    lash_index index = event->installed.index;
    lash_term term = event->installed.term;
    struct configuration loaded;
    if (index == 0 || index >= RAFT_LIMIT || term == 0 || term > raft->term)
        return LASH_INVALID;
    const struct lash_configuration *configuration = event->installed.configuration;
    if (configuration != NULL &&
        (configuration->index > index || configuration_load(&loaded, configuration) != LASH_OK))
        return LASH_INVALID;
    bool held = snapshot_held(raft, index, term);
    bool committed = index <= raft->commit;
    /* No two entries are committed at one index, and a leader holds all that is committed. */
    if ((committed && !held && terms_known(raft_terms_of(raft), index)) ||
        (!committed && !held && raft->role == LASH_LEADER))
        return LASH_INVALID;
    return LASH_OK;
}

/* §7, Figure 13, InstallSnapshot RPC 7: discard the entire log. */
static void snapshot_reset(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    lash_index index = event->installed.index;
    lash_term term = event->installed.term;
    /* It stood for election with the log that is about to go. */
    if (raft->role != LASH_FOLLOWER)
        role_become_follower(raft, raft->term, 0, outputs);
    durability_cut(raft, index + 1, outputs);
    terms_reset(raft_terms(raft), index, term);
    raft->durable_index = index;
    membership_reset(raft, event->installed.configuration, index);
    outputs->reset = true;
    outputs->snapshot_index = index;
    outputs->snapshot_term = term;
}

void snapshot_installed(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs) {
    lash_index index = event->installed.index;
    /* Asked for before the office was won: a leader holds all of it, and commits by counting (§5.4.2). */
    if (raft->role == LASH_LEADER)
        return;
    /* §7, Figure 13, InstallSnapshot RPC 6: if existing log entry has same index and term as snapshot's last included
     * entry, retain log entries following it and reply. */
    if (index > raft->commit && !snapshot_held(raft, index, event->installed.term))
        snapshot_reset(raft, event, outputs);
    else
        membership_installed(raft, event->installed.configuration);
    /* RPC 8: reset state machine using snapshot contents (and load snapshot's cluster configuration). It covers what was
     * applied, and it is durable, even if the log's own entries are yet to be. */
    commit_learn(raft, index, index);
    if (raft->applied < index)
        raft->applied = index;
    if (raft->durable_index < index)
        raft->durable_index = index;
    /* D§4.2.2: it may have learnt just now that its own removal is committed. */
    if (raft->role != LASH_FOLLOWER && !raft_stands(raft))
        role_become_follower(raft, raft->term, 0, outputs);
    if (raft->role != LASH_FOLLOWER || raft->leader == 0)
        return;
    snapshot_acknowledge(raft, replication_report(raft, raft->leader, 0, outputs));
}
