/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases (D§6.4.1): for how long a leader may answer reads without a round.
 */
#ifndef LASH_RAFT_LEASE_H
#define LASH_RAFT_LEASE_H

#include "lash/raft.h"

struct progress;

/* At the start: an earlier life may have promised to vote for nobody. */
void lease_start(struct lash_raft *raft);

/* Whether this node has promised its leader to vote for nobody yet, itself included. */
bool lease_promised(const struct lash_raft *raft);

/* Follower: promise what `message` of the present leader asks for; says for how long, 0: nothing was promised. */
uint64_t lease_promise(struct lash_raft *raft, const struct lash_message *message);

/* Leader: somebody reads by leases, so let there be one for some time. */
void lease_want(struct lash_raft *raft);

/* Leader: whether members are asked for promises. */
bool lease_wanted(const struct lash_raft *raft);

/* Leader: a member answered. */
void lease_answered(const struct lash_raft *raft, struct progress *progress, const struct lash_message *message);

/* Leader: whoever is asked to stand for election with a log that ends with `last_index` is released from its promise, and
 * whoever votes for it. */
void lease_release(struct lash_raft *raft, lash_index last_index);

/* Leader: until when nobody else can have become leader, by the own clock, the present time at the latest being before; 0: this
 * node holds no lease. */
uint64_t lease_until(const struct lash_raft *raft);

#endif
