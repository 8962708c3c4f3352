/* SPDX-License-Identifier: Apache-2.0
 *
 * etcd's strict checks before a change of the membership: would a majority of the
 * voters be there afterwards? They keep an operator from a change that cannot be
 * committed, or from one after which nothing can. Safety does not rest on them.
 */
#ifndef LASH_API_RECONFIG_H
#define LASH_API_RECONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/errors.h"

/* How long a connection must have been there to count. */
enum { RECONFIG_HEALTHY_MS = 5000 };

/* A member, as the one that checks knows it. */
struct reconfig_member {
    uint64_t id;
    bool voter;
    bool started;   /* it has said its name */
    bool connected; /* it is this member itself, or there is a connection to it */
    bool healthy;   /* likewise, and the connection has been there for RECONFIG_HEALTHY_MS */
};

/* Whether a member may be added, as voter or learner; `id` may be removed, or promoted: API_OK, API_MEMBER_NOT_STARTED or
 * API_UNHEALTHY. `members` are all that there are. */
enum api_error reconfig_may_add(const struct reconfig_member *members, size_t count, bool voter);
enum api_error reconfig_may_remove(const struct reconfig_member *members, size_t count, uint64_t id);
enum api_error reconfig_may_promote(const struct reconfig_member *members, size_t count);

#endif
