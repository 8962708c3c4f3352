/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be written, what is on disk, and what must not leave before it is.
 */
#ifndef LASH_RAFT_DURABILITY_H
#define LASH_RAFT_DURABILITY_H

#include "lash/raft.h"

/* Let the step's write hold the present term and vote. */
void durability_save_vote(struct lash_raft *raft, struct lash_outputs *outputs);

/* Let the step's write hold the entries from `first` to the log's end, which were just appended. */
void durability_save_entries(struct lash_raft *raft, lash_index first, struct lash_outputs *outputs);

/* The log is being cut: its entries from `from` on are no more, on disk once the step's write is. */
void durability_cut(struct lash_raft *raft, lash_index from, struct lash_outputs *outputs);

/* Whether the present term and vote are on disk. */
bool durability_term_saved(const struct lash_raft *raft);

/* Hold back every message among the outputs until the term that it speaks for is on disk. */
void durability_hold_sends(const struct lash_raft *raft, struct lash_outputs *outputs);

/* LASH_EVENT_WRITTEN. */
int durability_written_check(const struct lash_raft *raft, const struct lash_event *event);
void durability_written(struct lash_raft *raft, const struct lash_event *event, struct lash_outputs *outputs);

#endif
