/* SPDX-License-Identifier: Apache-2.0
 *
 * Words that tests of the membership are made of.
 */
#ifndef LASH_TEST_RAFT_MEMBERS_H
#define LASH_TEST_RAFT_MEMBERS_H

#include "solo.h"

#define V LASH_MEMBER_VOTER
#define OLD LASH_MEMBER_VOTER_OLD
#define W LASH_MEMBER_WITNESS
#define LEAVES LASH_MEMBER_LEAVES
#define PROMOTE LASH_MEMBER_PROMOTE

/* Members from pairs of id and flags, ended by 0. */
struct lash_configuration members(const uint32_t *pairs);
#define MEMBERS(...) members((const uint32_t[]){__VA_ARGS__, 0})

/* Ask for a membership. */
int configure(struct solo *solo, struct lash_configuration to);

struct lash_configuration in_force(const struct solo *solo);
void assert_members(const struct lash_configuration *configuration, struct lash_configuration expected);

/* n1 of three voters leads term 2 with the log "1 2", which n2 holds. */
void lead_three(struct solo *solo);

/* One entry behind what the log of `from` holds, a configuration, which is valid as long as `held`. */
struct lash_message append_one(struct solo *solo, lash_id from, lash_term term, lash_index prev_index,
                               lash_term prev_term, struct lash_configuration *held);

#endif
