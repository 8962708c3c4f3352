/* SPDX-License-Identifier: Apache-2.0
 *
 * Leader election (§5.2, §5.4.1), pre-vote (D§9.6) and check-quorum (D§6.2).
 */
#ifndef LASH_RAFT_ELECTION_H
#define LASH_RAFT_ELECTION_H

#include "lash/raft.h"

/* Begin to wait for a leader, at creation. */
void election_begin(struct lash_raft *raft);

/* Draw a new election timeout, from now on. */
void election_reset_timeout(struct lash_raft *raft);

/* Act on an election timeout, or a leader on having lost its quorum, if it has come to that. */
void election_tick(struct lash_raft *raft, struct lash_outputs *outputs);

/* Stand for election at once, because the leader asked for it (D§3.10). */
void election_stand(struct lash_raft *raft, struct lash_outputs *outputs);

/* LASH_EVENT_DOWN. */
void election_peer_down(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

/* When election_tick is due. */
uint64_t election_deadline(const struct lash_raft *raft);

/* Move on if enough votes are here. */
void election_settle(struct lash_raft *raft, struct lash_outputs *outputs);

/* LASH_FULL when an election won now would not find room for its no-op in the term table. */
int election_win_room(const struct lash_raft *raft);

/* LASH_MSG_VOTE. */
bool election_vote_valid(const struct lash_raft *raft, const struct lash_message *message);
void election_vote(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

/* LASH_MSG_VOTE_REPLY. */
int election_vote_reply_room(const struct lash_raft *raft, const struct lash_message *message);
void election_vote_reply(struct lash_raft *raft, const struct lash_message *message, struct lash_outputs *outputs);

#endif
