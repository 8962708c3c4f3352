/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of a simulated cluster: they add nodes, remove and promote members, move
 * them, put several changes into one, replace machines, ask for snapshots and run
 * other versions, at any moment. What they may not do, they do not: nobody comes back
 * under an id that has left, and a majority of voters is never gone by their doing.
 */
#ifndef LASH_SIM_OPERATOR_H
#define LASH_SIM_OPERATOR_H

#include "sim/fault.h"

/* The cluster begins with the world's first configuration, and is judged by what it makes of it. */
void operator_begin(struct world *world);

/* What a node has that its operator gives it. */
void operator_furnish(struct world_node *node);

/* C1 to C3: a leader's log got an entry with a configuration. */
void operator_judge(struct world_node *node, const struct frame *frame, const struct frame_entry *entry);

/* Its process has ended, and with it what was asked for there. */
void operator_abandon(struct world_node *node);

/* Whether a node whose process has ended is not to be started again, as it was removed. */
bool operator_retires(struct world_node *node);

/* Whether a node is a member by what is committed; in a world without operators, always. */
bool operator_counts(const struct world *world, size_t position);

/* Likewise: whether it has a vote, and how many members there are. */
bool operator_votes(const struct world *world, size_t position);
size_t operator_members(const struct world *world);

/* Whether this node, too, may be damaged or lost. */
bool operator_may_damage(const struct world *world, size_t position);

/* Whether too few voters are left, in a configuration that some running node goes by, for it to commit anything. */
bool operator_is_stuck(const struct world *world);

/* Faults are over: all run the present version from now on. */
void operator_heal(struct world *world);

/* What of the things that operators have begun has not come to its end; NULL: no configuration is joint, everyone's address is
 * known, and who was removed and reaches a member knows (P2). What they have to do for that, they do. */
const char *operator_lacks(struct world *world);

/* The handlers of faults. False: there was nothing to be done. */
bool operator_join(struct world *world, const struct fault_draw *draw);
bool operator_remove(struct world *world, const struct fault_draw *draw);
bool operator_promote(struct world *world, const struct fault_draw *draw);
bool operator_move(struct world *world, const struct fault_draw *draw);
bool operator_configure(struct world *world, const struct fault_draw *draw);
bool operator_replace(struct world *world, const struct fault_draw *draw);
bool operator_snapshot(struct world *world, const struct fault_draw *draw);
bool operator_upgrade(struct world *world, const struct fault_draw *draw);

#endif
