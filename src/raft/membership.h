/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership changes (D§4): a configuration is an entry, in force from the moment
 * that it is in the log.
 */
#ifndef LASH_RAFT_MEMBERSHIP_H
#define LASH_RAFT_MEMBERSHIP_H

#include "lash/raft.h"

/* Take what the disk held at start. Errors: LASH_INVALID. */
int membership_load(struct lash_raft *raft, const struct lash_raft_saved *saved);

/* LASH_EVENT_CONFIGURE. */
int membership_configure_check(const struct lash_raft *raft, const struct lash_event *event);
void membership_configure(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* Whether the message brings what each CONFIGURATION entry of `run` behind `after` holds. */
bool membership_run_valid(const struct lash_message *message, const struct lash_run *run, lash_index after);

/* Follower: the entries first..last of `message` were appended. */
void membership_learn(struct lash_raft *raft, const struct lash_message *message, lash_index first, lash_index last);

/* Follower: the log was cut, its entries from `from` on are no more. */
void membership_cut(struct lash_raft *raft, lash_index from);

/* Follower: the log gave way to a snapshot at `index` with this membership; NULL: that of the log up to there. */
void membership_reset(struct lash_raft *raft, const struct lash_configuration *installed, lash_index index);

/* Follower: there is a snapshot with this membership (NULL: unknown) of what the log holds as well. */
void membership_installed(struct lash_raft *raft, const struct lash_configuration *installed);

/* The commit index has risen. */
void membership_committed(struct lash_raft *raft);

/* Leader: how far a learner must have come is measured from now on. */
void membership_mark(struct lash_raft *raft, lash_index index);

/* Leader: go on with what was begun: leave a joint configuration, promote a learner, hand over before retiring. */
void membership_settle(struct lash_raft *raft, struct lash_outputs *outputs);

/* Leader: step down if this node is no voter any more, and has handed over or cannot. */
void membership_retire(struct lash_raft *raft, struct lash_outputs *outputs);

#endif
