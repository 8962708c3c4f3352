/* SPDX-License-Identifier: Apache-2.0
 *
 * All that the core knows of the log: where it begins and ends, and at which
 * indexes the term changes. Terms never fall along the log, so a few runs
 * describe millions of entries.
 */
#ifndef LASH_RAFT_TERMS_H
#define LASH_RAFT_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

/* Entries of one term, from `first` to the next run's first - 1, or to the end of the log. */
struct terms_run {
    uint64_t first;
    uint64_t term;
};

/* The table. Runs from `count` on are zero; firsts and terms of runs rise. */
struct terms {
    uint64_t first_index; /* of the first entry present or to come; at least 1 */
    uint64_t prev_term;   /* of first_index - 1; 0 only when first_index is 1 */
    uint64_t last_index;  /* first_index - 1 when the log is empty */
    uint64_t count;
    uint64_t max;
    struct terms_run runs[];
};

/* Words that a table of `max` runs takes. */
uint64_t terms_words(uint64_t max);

/* An empty log that begins at `first_index`, in zeroed memory. */
void terms_init(struct terms *terms, uint64_t max, lash_index first_index, lash_term prev_term);

/* Copy `from` into zeroed memory for `max` runs, which is not below from's. */
void terms_copy(const struct terms *from, struct terms *to, uint64_t max);

/* Whether the term at `index` is known. */
bool terms_known(const struct terms *terms, lash_index index);

/* The term at `index`, which is known. */
lash_term terms_at(const struct terms *terms, lash_index index);

/* The term of the last entry. */
lash_term terms_last(const struct terms *terms);

/* The last index of the run that `index`, an entry of the log, belongs to. */
lash_index terms_run_end(const struct terms *terms, lash_index index);

/* Whether `changes` more changes of term fit. */
bool terms_room(const struct terms *terms, uint64_t changes);

/* Append `count` entries of `term`, which is not below the last; there is room. */
void terms_append(struct terms *terms, uint64_t count, lash_term term);

/* Drop all entries behind `last`. */
void terms_truncate(struct terms *terms, lash_index last);

/* Drop all entries up to `index`, whose term is known. */
void terms_compact(struct terms *terms, lash_index index);

/* Drop everything: the log is empty, and goes on behind `index`, whose entry is of `term`. */
void terms_reset(struct terms *terms, lash_index index, lash_term term);

/* Find the last index at or before `limit` whose term is at most `term` (§5.3's fast back-tracking). `limit` is not
 * behind the log's end. False when there is none that is known. */
bool terms_find(const struct terms *terms, lash_index limit, lash_term term, lash_index *index);

#endif
