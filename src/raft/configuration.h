/* SPDX-License-Identifier: Apache-2.0
 *
 * A membership as the core keeps it: words only, so that its bytes are its value.
 */
#ifndef LASH_RAFT_CONFIGURATION_H
#define LASH_RAFT_CONFIGURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

/* One member. */
struct configuration_member {
    uint64_t id;
    uint64_t flags; /* enum lash_member_flags */
    uint64_t priority;
};

/* A membership; a member's position is its slot in every table that the core keeps per member. Slots from `count` on
 * are zero. */
struct configuration {
    uint64_t index; /* of the entry that holds it; 0: given at creation */
    uint64_t count;
    struct configuration_member members[LASH_RAFT_MEMBERS_MAX];
};

/* No slot. */
#define CONFIGURATION_NONE LASH_RAFT_MEMBERS_MAX

/* Check `from` and copy it. Errors: LASH_INVALID (no voter, an id that is 0 or there twice, unknown or reserved flags,
 * too many members); then `*to` is unchanged. */
int configuration_load(struct configuration *to, const struct lash_configuration *from);

/* Copy into the public form. */
void configuration_store(const struct configuration *from, struct lash_configuration *to);

/* The slot of `id`, or CONFIGURATION_NONE. */
uint32_t configuration_slot(const struct configuration *configuration, lash_id id);

/* Whether `id` votes, in the configuration or in the outgoing one of a joint configuration. */
bool configuration_votes(const struct configuration *configuration, lash_id id);

#endif
