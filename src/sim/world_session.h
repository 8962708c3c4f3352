/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions in a simulated world: the table in front of each node's state machine,
 * and clients, as the library has them, that may turn to any node. X1 is judged here: a command
 * whose client is told of success was applied exactly once, any other at most once, and its reply is
 * the same on all nodes.
 */
#ifndef LASH_SIM_WORLD_SESSION_H
#define LASH_SIM_WORLD_SESSION_H

#include "lash/session.h"
#include "sim/world.h"

/* What the seed says of sessions; before any node is started. */
void world_session_begin(struct world *world);
void world_session_free(struct world *world);

/* Make the table of a node that starts, from what is on its disk if it keeps its state there. */
void world_session_open(struct world_node *node);

/* Let a node's state machine have the table in its snapshots. */
void world_session_snapshots(struct lash_state_machine *machine);

/* Its process has died, or its machine has lost power: attempts that were under way there are. */
void world_session_die(struct world_node *node, bool power);

/* Apply a batch. Errors: those of lash_sessions; LASH_FULL now and then, while the disk is full. */
int world_session_apply(struct world_node *node, const struct lash_command *commands, size_t count, lash_index last);

/* The table of a node that runs, and a hash of it. */
lash_sessions *world_session_table(const struct world_node *node);
uint64_t world_session_hash(const struct world_node *node);

/* Something is due at a session, or a client thinks of something. */
void world_session_event(struct world *world, const struct event *event);

/* A command in a session of its own, at one node; its number. */
uint64_t world_session_propose(struct world *world, size_t position);

/* No more commands; sessions are closed once they have nothing under way. */
void world_session_heal(struct world *world);

#endif
