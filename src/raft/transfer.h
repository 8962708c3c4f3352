/* SPDX-License-Identifier: Apache-2.0
 *
 * Leadership transfer (D§3.10): a leader hands its office to another voter.
 */
#ifndef LASH_RAFT_TRANSFER_H
#define LASH_RAFT_TRANSFER_H

#include "lash/raft.h"

/* LASH_EVENT_TRANSFER. */
int transfer_ask_check(const struct lash_raft *raft, const struct lash_event *event);
void transfer_ask(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* Leader, that has no vote any more: hand over to the best voter, if there is one that can take over. */
void transfer_begin_to_best(struct lash_raft *raft);

/* Leader: hand over because of `why` to the best of those with a priority of at least `least` that keep up and whose disk is not
 * slow, if there is one. No transfer is under way. */
void transfer_begin_to_fit(struct lash_raft *raft, uint64_t least, enum lash_transfer_reason why);

/* Leader: tell the target when it is ready, or give it up when it cannot be. */
void transfer_settle(struct lash_raft *raft, struct lash_outputs *outputs);

/* Leader: give a transfer up that takes too long. */
void transfer_tick(struct lash_raft *raft);

/* When transfer_tick is due. */
uint64_t transfer_deadline(const struct lash_raft *raft);

/* No transfer is under way any more. */
void transfer_end(struct lash_raft *raft);

/* LASH_MSG_TIMEOUT_NOW. */
void transfer_timeout_now(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

#endif
