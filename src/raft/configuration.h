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

/* Check `from` and copy it. Errors: LASH_INVALID (no voter that holds data, among the outgoing ones of a joint one either, an id that is 0 or there twice, flags that make no sense,
 * too many members); then `*to` is unchanged. */
int configuration_load(struct configuration *to, const struct lash_configuration *from);

/* Copy into the public form. */
void configuration_store(const struct configuration *from, struct lash_configuration *to);

/* The slot of `id`, or CONFIGURATION_NONE. */
uint32_t configuration_slot(const struct configuration *configuration, lash_id id);

/* Whether `id` votes, in the configuration or in the outgoing one of a joint configuration. */
bool configuration_votes(const struct configuration *configuration, lash_id id);

/* Whether `id` is a witness: it votes, and keeps no data. */
bool configuration_witness(const struct configuration *configuration, lash_id id);

/* Whether two majorities decide (D§4.3). */
bool configuration_joint(const struct configuration *configuration);

/* The next configuration on the way from one plain configuration to another: that one itself when one step suffices, else the
 * joint one. Its index is that of `to`. Errors: LASH_INVALID (a member would become a witness, or a witness something else:
 * such a member's log lacks the data, or is no witness's), LASH_TOO_LARGE (the joint one would have too many members). */
int configuration_between(const struct configuration *from, const struct configuration *to, struct configuration *next);

/* The plain configuration that a joint one leads to, with index 0. */
void configuration_leave_joint(const struct configuration *joint, struct configuration *next);

#endif
