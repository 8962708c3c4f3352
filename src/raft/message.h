/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages in and out: what is worth looking at, and how one is sent.
 */
#ifndef LASH_RAFT_MESSAGE_H
#define LASH_RAFT_MESSAGE_H

#include "lash/raft.h"

/* Whether `message` can be meant for this node and be right. What is not is ignored. */
bool message_acceptable(const struct lash_raft *raft, const struct lash_message *message);

/* LASH_FULL when handling `message` might need more of the term table than there is, else LASH_OK. */
int message_room(const struct lash_raft *raft, const struct lash_message *message);

/* Hand an acceptable message to its one handler. */
void message_handle(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

/* A new message of the present term among the outputs, to be filled by the caller. */
struct lash_message *message_send(const struct lash_raft *raft, enum lash_message_type type, lash_id to,
                                  struct lash_outputs *outputs);

/* The same, to leave only once all writes up to `write` are durable. */
struct lash_message *message_send_after(const struct lash_raft *raft, enum lash_message_type type, lash_id to,
                                        uint64_t write, struct lash_outputs *outputs);

#endif
