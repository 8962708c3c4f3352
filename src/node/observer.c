/* SPDX-License-Identifier: Apache-2.0
 *
 * Observations: see observer.h.
 */
#include "node/observer.h"

#include "base/assert.h"
#include "node/replica_state.h"

_Static_assert(LASH_RAFT_MEMBERS_MAX <= 32, "an observer has a bit for each member");

void observer_tell(const struct replica *replica, enum lash_observation_kind kind, lash_id peer) {
    observer_tell_snapshot(replica, kind, peer, 0);
}

void observer_tell_snapshot(const struct replica *replica, enum lash_observation_kind kind, lash_id peer,
                            lash_index index) {
    const struct lash_raft_status *status = &replica->status;
    if (!replica->env->happened)
        return;
    struct lash_observation observation = {.kind = (uint32_t)kind,
                                           .role = status->role,
                                           .term = status->term,
                                           .leader = status->leader,
                                           .peer = peer,
                                           .configuration = status->configuration.index,
                                           .index = index,
                                           .error = replica->error};
    replica->env->happened(replica->env->context, &observation);
}

void observer_changed(const struct replica *replica, const struct lash_raft_status *before) {
    const struct lash_raft_status *now = &replica->status;
    if (now->role != before->role || (now->role != LASH_FOLLOWER && now->term != before->term))
        observer_tell(replica, LASH_OBSERVED_ROLE, now->id);
    if (now->leader != before->leader)
        observer_tell(replica, LASH_OBSERVED_LEADER, now->leader);
}

/* One member's bit in `told` follows `is`, and what that means is told. */
static void observer_follow(const struct replica *replica, uint32_t *told, uint32_t slot, bool is,
                            enum lash_observation_kind begins, enum lash_observation_kind ends) {
    uint32_t bit = 1u << slot;
    if (((*told & bit) != 0) == is)
        return;
    *told ^= bit;
    observer_tell(replica, is ? begins : ends, replica->status.progress[slot].id);
}

/* A leader looks at its members. A new one has heard of nobody, and gives everyone an election timeout. */
static void observer_look(struct replica *replica) {
    struct observer *observer = &replica->observer;
    const struct lash_raft_status *status = &replica->status;
    if (status->role != LASH_LEADER) {
        observer->term = 0;
        return;
    }
    if (observer->term != status->term) {
        observer->term = status->term;
        observer->silent = 0;
        observer->full = 0;
        observer->slow = 0;
    }
    for (uint32_t slot = 0; slot < status->progress_count; slot++) {
        const struct lash_progress *progress = &status->progress[slot];
        if (progress->id == status->id) /* it knows of itself at once */
            continue;
        observer_follow(replica, &observer->silent, slot, !progress->active, LASH_OBSERVED_SILENT,
                        LASH_OBSERVED_ANSWERING);
        observer_follow(replica, &observer->full, slot, progress->full, LASH_OBSERVED_FULL, LASH_OBSERVED_ROOM);
        observer_follow(replica, &observer->slow, slot, progress->slow, LASH_OBSERVED_SLOW, LASH_OBSERVED_SLOW_ENDED);
    }
}

void observer_turn(struct replica *replica) {
    struct observer *observer = &replica->observer;
    if (!replica->env->happened)
        return;
    if (observer->configuration != replica->status.configuration.index) {
        observer->configuration = replica->status.configuration.index;
        observer->silent = 0; /* slots may be others' now */
        observer->full = 0;
        observer->slow = 0;
        observer_tell(replica, LASH_OBSERVED_CONFIGURATION, replica->options.id);
    }
    observer_look(replica);
    if (replica->error && !observer->failed) {
        observer->failed = true;
        if (replica->error == LASH_REMOVED)
            observer_tell(replica, LASH_OBSERVED_REMOVED, replica->options.id);
        observer_tell(replica, LASH_OBSERVED_ERROR, replica->options.id);
    }
}
