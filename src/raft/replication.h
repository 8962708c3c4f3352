/* SPDX-License-Identifier: Apache-2.0
 *
 * Log replication (§5.3): AppendEntries at the leader and at the follower.
 */
#ifndef LASH_RAFT_REPLICATION_H
#define LASH_RAFT_REPLICATION_H

#include "lash/raft.h"

/* Leader: tell every other member what it has yet to be told: entries, a read round, a higher commit index. */
void replication_settle(struct lash_raft *raft, struct lash_outputs *outputs);

/* Leader: send heartbeats when they are due. */
void replication_tick(struct lash_raft *raft, struct lash_outputs *outputs);

/* Leader: whether this node and a majority have room for entries, as far as is known. */
bool replication_room_left(const struct lash_raft *raft);

/* Leader: the slot of the member that an event or an answer is about; CONFIGURATION_NONE: it is none, or this node. */
uint32_t replication_peer(const struct lash_raft *raft, lash_id id);

/* Whether `message` comes from the leader of this term, who is then followed and heard. Who leads an older term is told so by
 * an answer that refuses `rejected`. */
bool replication_hear(struct lash_raft *raft, const struct lash_message *message, lash_index rejected,
                      struct lash_outputs *outputs);

/* Begin an APPEND_REPLY with what it says of this node's disk, to be sent once `after_write` is durable. */
struct lash_message *replication_report(struct lash_raft *raft, lash_id to, uint64_t after_write,
                                        struct lash_outputs *outputs);

/* Begin an answer to the leader's `message`, to be sent once `after_write` is durable. */
struct lash_message *replication_answer(struct lash_raft *raft, const struct lash_message *message,
                                        uint64_t after_write, struct lash_outputs *outputs);

/* LASH_EVENT_PROPOSE. */
int replication_propose_check(const struct lash_raft *raft, const struct lash_event *event);
void replication_propose(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_EVENT_SENT. */
int replication_sent_check(const struct lash_raft *raft, const struct lash_event *event);
void replication_sent(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_EVENT_UNREACHABLE. */
void replication_unreachable(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_EVENT_READY. */
void replication_ready(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_EVENT_ROOM. */
void replication_room(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* LASH_MSG_APPEND_REPLY. */
void replication_append_reply(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

/* LASH_MSG_APPEND. */
bool replication_append_valid(const struct lash_raft *raft, const struct lash_message *message);
int replication_append_room(const struct lash_raft *raft, const struct lash_message *message);
void replication_append(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

#endif
