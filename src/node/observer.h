/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells the program what happened (struct lash_observation). Role and leader are told
 * at each step; what else can change is compared once a turn.
 */
#ifndef LASH_NODE_OBSERVER_H
#define LASH_NODE_OBSERVER_H

#include <stdbool.h>

#include "lash/node.h"

struct replica;

/* What was told last. Zero at the start. */
struct observer {
    lash_term term;  /* of the leadership in which the members were looked at; 0: none */
    uint32_t silent; /* members, by slot, that were told to be silent */
    uint32_t full;   /* likewise */
    uint32_t slow;
    lash_index configuration; /* index of the one in force */
    bool failed;              /* the error was told */
};

/* Tell at once. */
void observer_tell(const struct replica *replica, enum lash_observation_kind kind, lash_id peer);

/* Tell of a snapshot at `index`. */
void observer_tell_snapshot(const struct replica *replica, enum lash_observation_kind kind, lash_id peer,
                            lash_index index);

/* Role, term or leader changed in a step. */
void observer_changed(const struct replica *replica, const struct lash_raft_status *before);

/* Tell what changed since the last turn. */
void observer_turn(struct replica *replica);

#endif
