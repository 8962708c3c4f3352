/* SPDX-License-Identifier: Apache-2.0
 *
 * Linearizable reads without the log: the read index (§8, D§6.4).
 */
#ifndef LASH_RAFT_READ_H
#define LASH_RAFT_READ_H

#include "lash/raft.h"

/* Release what the current batch confirms, and send the next batch on its way. */
void read_settle(struct lash_raft *raft, struct lash_outputs *outputs);

/* Refuse every read that waits: the leadership that it was handed to is over. */
void read_refuse_all(struct lash_raft *raft, struct lash_outputs *outputs);

/* Leader: forget the question of a follower that is no member any more. */
void read_drop(struct lash_raft *raft, lash_id from);

/* Follower: give up on an answer of the leader that does not come. */
void read_tick(struct lash_raft *raft, struct lash_outputs *outputs);

/* When read_tick is due. */
uint64_t read_deadline(const struct lash_raft *raft);

/* LASH_EVENT_READ. */
int read_ask_check(const struct lash_raft *raft, const struct lash_event *event);
void read_ask(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_MSG_READ, LASH_MSG_READ_REPLY. */
void read_request(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);
void read_reply(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

#endif
