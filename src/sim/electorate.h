/* SPDX-License-Identifier: Apache-2.0
 *
 * The memberships of a simulated cluster, as the judge keeps them: which
 * configurations there ever were, and which of them each node's log holds.
 */
#ifndef LASH_SIM_ELECTORATE_H
#define LASH_SIM_ELECTORATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

enum { ELECTORATE_NODES_MAX = 24 };

struct electorate;

/* Of a cluster of `nodes` nodes, which are voters, as far as there can be so many, unless electorate_begin says otherwise. */
struct electorate *electorate_new(uint32_t nodes);
void electorate_free(struct electorate *electorate);

/* The cluster begins with `initial`; those nodes for which `joins`, by id, says so begin with none. */
void electorate_begin(struct electorate *electorate, const struct lash_configuration *initial,
                      const bool joins[ELECTORATE_NODES_MAX + 1]);

/* A node that began with none has got to know what the cluster began with. */
void electorate_begun(struct electorate *electorate, lash_id id);

/* There is a new configuration, in an entry behind which logs hash to `chain`. */
void electorate_add(struct electorate *electorate, const struct lash_configuration *configuration, uint64_t chain);

/* A node's log loses its entries from `index` on. */
void electorate_cut(struct electorate *electorate, lash_id id, lash_index index);

/* A node's log gets an entry with a configuration, behind which it hashes to `chain`; false: there is no such. */
bool electorate_append(struct electorate *electorate, lash_id id, uint64_t chain);

/* The configuration in the entry behind which logs hash to `chain`; NULL: there is none. */
const struct lash_configuration *electorate_find(const struct electorate *electorate, uint64_t chain);

/* What the cluster began with. */
const struct lash_configuration *electorate_initial(const struct electorate *electorate);

/* The newest configuration in a node's log but for the last `skip` of them; what it began with when there is none. */
const struct lash_configuration *electorate_newest(const struct electorate *electorate, lash_id id, uint32_t skip);

/* Whether those who `has`, by id, are majorities of all voters that have to agree; learners never count. */
bool electorate_quorum(const struct lash_configuration *configuration, const bool has[ELECTORATE_NODES_MAX + 1]);

/* Whether one of those who `has` votes and keeps data. */
bool electorate_kept(const struct lash_configuration *configuration, const bool has[ELECTORATE_NODES_MAX + 1]);

/* C3: whether `next` may come after `before`. */
bool electorate_follow(const struct lash_configuration *before, const struct lash_configuration *next);

#endif
