/* SPDX-License-Identifier: Apache-2.0
 *
 * The term table: changes of term along the log, searched by halves.
 */
#include "raft/terms.h"

#include <string.h>

#include "base/assert.h"

uint64_t terms_words(uint64_t max) {
    return (sizeof(struct terms) + max * sizeof(struct terms_run)) / sizeof(uint64_t);
}

void terms_init(struct terms *terms, uint64_t max, lash_index first_index, lash_term prev_term) {
    LASH_ASSERT(first_index > 0);
    LASH_ASSERT((first_index == 1) == (prev_term == 0));
    terms->first_index = first_index;
    terms->prev_term = prev_term;
    terms->last_index = first_index - 1;
    terms->count = 0;
    terms->max = max;
}

void terms_copy(const struct terms *from, struct terms *to, uint64_t max) {
    LASH_ASSERT(max >= from->max);
    memcpy(to, from, sizeof *from + from->count * sizeof from->runs[0]);
    to->max = max;
}

bool terms_known(const struct terms *terms, lash_index index) {
    return index + 1 >= terms->first_index && index <= terms->last_index;
}

/* How many runs begin at or before `index`. */
static uint64_t terms_runs_upto(const struct terms *terms, lash_index index) {
    uint64_t low = 0;
    uint64_t high = terms->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (terms->runs[middle].first <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many runs have a term of at most `term`. */
static uint64_t terms_runs_of(const struct terms *terms, lash_term term) {
    uint64_t low = 0;
    uint64_t high = terms->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (terms->runs[middle].term <= term)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last index of the run at `position`. */
static lash_index terms_end_of(const struct terms *terms, uint64_t position) {
    return position + 1 < terms->count ? terms->runs[position + 1].first - 1 : terms->last_index;
}

lash_term terms_at(const struct terms *terms, lash_index index) {
    LASH_ASSERT(terms_known(terms, index));
    uint64_t runs = terms_runs_upto(terms, index);
    return runs == 0 ? terms->prev_term : terms->runs[runs - 1].term;
}

lash_term terms_last(const struct terms *terms) {
    return terms->count == 0 ? terms->prev_term : terms->runs[terms->count - 1].term;
}

lash_index terms_run_end(const struct terms *terms, lash_index index) {
    LASH_ASSERT(index >= terms->first_index && index <= terms->last_index);
    return terms_end_of(terms, terms_runs_upto(terms, index) - 1);
}

bool terms_room(const struct terms *terms, uint64_t changes) {
    return changes <= terms->max - terms->count;
}

void terms_append(struct terms *terms, uint64_t count, lash_term term) {
    LASH_ASSERT(count > 0 && term > 0);
    LASH_ASSERT(term >= terms_last(terms));
    if (terms->count == 0 || term > terms->runs[terms->count - 1].term) {
        LASH_ASSERT(terms->count < terms->max);
        terms->runs[terms->count].first = terms->last_index + 1;
        terms->runs[terms->count].term = term;
        terms->count++;
    }
    terms->last_index += count;
}

void terms_truncate(struct terms *terms, lash_index last) {
    LASH_ASSERT(last + 1 >= terms->first_index && last <= terms->last_index);
    uint64_t keep = terms_runs_upto(terms, last);
    memset(&terms->runs[keep], 0, (terms->count - keep) * sizeof terms->runs[0]);
    terms->count = keep;
    terms->last_index = last;
}

void terms_compact(struct terms *terms, lash_index index) {
    LASH_ASSERT(terms_known(terms, index));
    lash_term prev_term = terms_at(terms, index);
    uint64_t drop = 0;
    while (drop < terms->count && terms_end_of(terms, drop) <= index)
        drop++;
    uint64_t keep = terms->count - drop;
    memmove(&terms->runs[0], &terms->runs[drop], keep * sizeof terms->runs[0]);
    memset(&terms->runs[keep], 0, drop * sizeof terms->runs[0]);
    terms->count = keep;
    terms->first_index = index + 1;
    terms->prev_term = prev_term;
    if (keep > 0 && terms->runs[0].first <= index)
        terms->runs[0].first = index + 1;
}

void terms_reset(struct terms *terms, lash_index index, lash_term term) {
    LASH_ASSERT(index > 0 && term > 0);
    memset(&terms->runs[0], 0, terms->count * sizeof terms->runs[0]);
    terms->count = 0;
    terms->first_index = index + 1;
    terms->prev_term = term;
    terms->last_index = index;
}

bool terms_find(const struct terms *terms, lash_index limit, lash_term term, lash_index *index) {
    LASH_ASSERT(limit <= terms->last_index);
    uint64_t runs = terms_runs_of(terms, term);
    lash_index found = terms->first_index - 1;
    if (runs > 0)
        found = terms_end_of(terms, runs - 1);
    else if (terms->prev_term > term)
        return false;
    if (limit < terms->first_index - 1)
        return false;
    *index = found < limit ? found : limit;
    return true;
}
