/* SPDX-License-Identifier: Apache-2.0
 *
 * Who had better lead: members of a higher priority, and those whose disk is not slow.
 * A leader looks at its heartbeats, and hands over by itself.
 */
#ifndef LASH_RAFT_PRIORITY_H
#define LASH_RAFT_PRIORITY_H

#include <stdbool.h>

#include "lash/raft.h"

/* LASH_EVENT_SLOW. */
void priority_slow(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* Whether it makes a difference to this node who leads. */
bool priority_matters(const struct lash_raft *raft);

/* The office went to somebody, or was offered in vain: it stays where it is for a while. */
void priority_moved(struct lash_raft *raft);

/* Leader, at a heartbeat, before it is noted what is committed: hand over to who had better lead. */
void priority_tick(struct lash_raft *raft);

#endif
