/* SPDX-License-Identifier: Apache-2.0
 *
 * When entries count as committed (§5.3, §5.4.2).
 */
#ifndef LASH_RAFT_COMMIT_H
#define LASH_RAFT_COMMIT_H

#include "lash/raft.h"

/* Leader: commit what a quorum holds. */
void commit_settle(struct lash_raft *raft);

/* Follower: learn the leader's commit index; the log equals the leader's up to `matched`. */
void commit_learn(struct lash_raft *raft, lash_index leader_commit, lash_index matched);

/* Leader: whether an entry of the present term is committed. */
bool commit_in_term(const struct lash_raft *raft);

/* LASH_EVENT_APPLIED. */
int commit_applied_check(const struct lash_raft *raft, const struct lash_event *event);
void commit_applied(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

#endif
