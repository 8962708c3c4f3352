/* SPDX-License-Identifier: Apache-2.0
 *
 * Raises the cluster's version: the leader looks each second whether all members
 * announce that they know the next one, and then says so through the log.
 *
 * Threads: the loop's.
 */
#ifndef LASH_API_UPGRADE_H
#define LASH_API_UPGRADE_H

#include "api/loop.h"

/* Whether all members of the configuration but this one are connected, and know `version`. */
bool upgrade_is_known(const struct lash_raft_status *raft, const struct lash_metrics *metrics, uint32_t version);

/* Raise the version, if it is time. Once the newest is in force nothing is left to do. */
void upgrade_look(struct loop *loop);

/* Give up, if it is not through yet. */
void upgrade_stop(struct upgrader *upgrader);

#endif
