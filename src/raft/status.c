/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be seen of a core from outside.
 */
#include <string.h>

#include "base/assert.h"
#include "raft/lease.h"
#include "raft/raft_state.h"
#include "raft/replication.h"

static void status_progress(const struct lash_raft *raft, uint32_t slot, struct lash_progress *to) {
    const struct progress *progress = raft_progress_of(raft, slot);
    const struct configuration_member *member = &raft->configuration.members[slot];
    to->id = member->id;
    to->flags = (uint32_t)member->flags;
    to->priority = (uint32_t)member->priority;
    if (member->id == raft->id) {
        to->state = LASH_REPLICATE;
        to->match = raft->durable_index;
        to->next = raft_terms_of(raft)->last_index + 1;
        to->active = 1;
        to->full = (uint32_t)raft->full;
        to->slow = (uint32_t)raft->slow;
        return;
    }
    to->state = (uint32_t)progress->state;
    to->match = progress->match;
    to->next = progress->next;
    to->slow = (uint32_t)progress->slow;
    to->inflight_messages = (uint32_t)progress->inflight_count;
    to->inflight_bytes = progress->inflight_bytes;
    to->full = (uint32_t)progress->full;
    to->snapshot = progress->offer == PROGRESS_OFFERED;
    to->active = raft->now_ms < progress->contact_ms + raft->election_ms;
}

void lash_raft_status(const struct lash_raft *raft, struct lash_raft_status *status) {
    const struct terms *terms = raft_terms_of(raft);
    memset(status, 0, sizeof *status);
    status->id = raft->id;
    status->leader = raft->leader;
    status->vote = raft->vote;
    status->term = raft->term;
    status->role = (uint32_t)raft->role;
    status->first_index = terms->first_index;
    status->last_index = terms->last_index;
    status->last_term = terms_last(terms);
    status->durable_index = raft->durable_index;
    status->commit = raft->commit;
    status->applied = raft->applied;
    status->transfer_to = raft->transfer_to;
    status->transfer_why = (uint32_t)raft->transfer_why;
    status->full = (uint32_t)raft->full;
    status->slow = (uint32_t)raft->slow;
    configuration_store(&raft->configuration, &status->configuration);
    if (raft->role != LASH_LEADER)
        return;
    LASH_ASSERT(raft->configuration.count <= LASH_RAFT_MEMBERS_MAX);
    status->no_room = !replication_room_left(raft);
    status->lease_until_ms = lease_until(raft);
    status->progress_count = (uint32_t)raft->configuration.count;
    for (uint32_t slot = 0; slot < status->progress_count; slot++)
        status_progress(raft, slot, &status->progress[slot]);
}

bool lash_raft_term_at(const struct lash_raft *raft, lash_index index, lash_term *term) {
    const struct terms *terms = raft_terms_of(raft);
    if (!terms_known(terms, index))
        return false;
    *term = terms_at(terms, index);
    return true;
}

uint64_t lash_raft_hash(const struct lash_raft *raft) {
    /* Words, not bytes: the same on machines of either byte order. */
    const uint64_t *words = (const uint64_t *)raft;
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < raft->released_at; i++) {
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}
