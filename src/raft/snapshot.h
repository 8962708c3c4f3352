/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots (§7, D§5): a leader offers one to a member that lacks what was compacted, and
 * a follower whose driver has installed one goes on behind it. The bytes are the
 * drivers' affair.
 */
#ifndef LASH_RAFT_SNAPSHOT_H
#define LASH_RAFT_SNAPSHOT_H

#include "lash/raft.h"

/* Leader: a heartbeat that is due ends what offers wait for. Before replication_tick. */
void snapshot_tick(struct lash_raft *raft);

/* Leader: offer a snapshot to each member that needs one. */
void snapshot_settle(struct lash_raft *raft, struct lash_outputs *outputs);

/* LASH_EVENT_SNAPSHOT_ENDED. */
void snapshot_ended(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_MSG_SNAPSHOT. */
bool snapshot_offered_valid(const struct lash_raft *raft, const struct lash_message *message);
void snapshot_offered(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

/* LASH_EVENT_INSTALLED. */
int snapshot_installed_check(const struct lash_raft *raft, const struct lash_event *event);
void snapshot_installed(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

#endif
