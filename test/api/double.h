/* SPDX-License-Identifier: Apache-2.0
 *
 * A node for tests of the API: lash_node_* as far as the API calls them, on one
 * thread of its own, which applies commands to the real state machine at once, or
 * fails them, or holds them back, as the test says. One exists at a time.
 */
#ifndef LASH_TEST_API_DOUBLE_H
#define LASH_TEST_API_DOUBLE_H

#include "lash/metrics.h"

enum { DOUBLE_ID = 0x11, DOUBLE_OTHER_ID = 0x33, DOUBLE_TERM = 7 };

lash_node *double_open(struct lash_state_machine machine, lash_index applied);

/* What lash_node_status says: the leader (0: none), whether this member's disk is full, or, of a leader, that of the one
 * other member, and the error that the node stopped with (0: none). */
void double_set_leader(lash_node *node, lash_id leader);
void double_set_full(lash_node *node, bool full, bool other_full);
void double_set_error(lash_node *node, int error);

/* From now on requests are refused at once with `refuse`, or end with `fail`; 0: they succeed. */
void double_set_refusal(lash_node *node, int refuse);
void double_set_failure(lash_node *node, int fail);

/* The membership: changes that are asked for take place at once. At first it is this member at 127.0.0.1 port 1, and the other one at
 * port 2. A flag set here is LASH_MEMBER_VOTER or 0. Returns the configuration's index. */
lash_index double_set_member(lash_node *node, lash_id id, uint32_t flags);

/* From now on changes of the membership end with `fail`; 0: they succeed. */
void double_set_failure_of_changes(lash_node *node, int fail);

/* Have this member be one that joins, and knows no membership. */
void double_join(lash_node *node);

/* What lash_node_metrics says; all zeros before. */
void double_set_metrics(lash_node *node, const struct lash_metrics *metrics);

/* Hold requests back from now on, or let them go. */
void double_hold(lash_node *node, bool hold);

/* Wait until `count` commands have been applied. */
void double_await_applied(lash_node *node, size_t count);

/* Wait until `count` requests are held. */
void double_await_held(lash_node *node, size_t count);

#endif
