/* SPDX-License-Identifier: Apache-2.0
 *
 * The four roles (§5.1, Figure 4; D§9.6) and what each begins with.
 */
#ifndef LASH_RAFT_ROLE_H
#define LASH_RAFT_ROLE_H

#include "lash/raft.h"

/* Follow `leader` (0: unknown) in `term`, which is not below the present one. */
void role_become_follower(struct lash_raft *raft, lash_term term, lash_id leader, struct lash_outputs *outputs);

/* Ask whether an election could be won, without raising the term (D§9.6). */
void role_become_pre_candidate(struct lash_raft *raft, struct lash_outputs *outputs);

/* Stand for election in the next term (§5.2). */
void role_become_candidate(struct lash_raft *raft, struct lash_outputs *outputs);

/* Lead the present term (§5.2). */
void role_become_leader(struct lash_raft *raft, struct lash_outputs *outputs);

#endif
