/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of majorities. One question answers all others of the protocol:
 * which value has a majority of voters reached? With match indexes it is the
 * commit index, with votes the election, with acknowledged rounds the read round,
 * with times of contact the last moment at which a quorum was known to be there.
 */
#ifndef LASH_RAFT_QUORUM_H
#define LASH_RAFT_QUORUM_H

#include <stdint.h>

#include "raft/configuration.h"

/* The highest value that a majority of the voters has reached: values[slot] is the member's in that slot. In a joint
 * configuration a majority of both the new and the outgoing one must have reached it (D§4.3). Learners never count. */
uint64_t quorum_reached(const struct configuration *configuration, const uint64_t values[LASH_RAFT_MEMBERS_MAX]);

#endif
