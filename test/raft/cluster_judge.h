/* SPDX-License-Identifier: Apache-2.0
 *
 * The judging of a cluster's nodes, step by step; see cluster.h.
 */
#ifndef LASH_TEST_RAFT_CLUSTER_JUDGE_H
#define LASH_TEST_RAFT_CLUSTER_JUDGE_H

#include "cluster.h"

/* C4: the newest configuration among the first `count` entries of a node's log, else what it began with. */
struct lash_configuration cluster_newest(const struct cluster *cluster, const struct cluster_node *node,
                                         uint64_t count);

/* Take note of a node's state. */
void cluster_observe_state(struct cluster_node *node);

/* Judge a node's state after a step, and take note of it. */
void cluster_check(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                   const struct lash_outputs *outputs);

/* C1 to C3, when the step's entry is a configuration. */
void cluster_check_configured(const struct cluster *cluster, const struct cluster_node *node,
                              const struct lash_outputs *outputs);

/* W2: of what is sent to a witness a voter that is none holds all durably. */
void cluster_check_witness(const struct cluster *cluster, const struct cluster_node *node,
                           const struct lash_message *message);

#endif
