/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's records read in the plainest way: from the first on, whole appends only,
 * into an array of terms. It judges nothing; where recovery succeeds, this is
 * what it must have found.
 */
#ifndef LASH_FUZZ_LOG_PLAIN_H
#define LASH_FUZZ_LOG_PLAIN_H

#include <stdbool.h>

#include "lash/raft.h"
#include "sim/memfs.h"

/* A term that no entry has: where the log does not say. */
#define LOG_PLAIN_UNKNOWN UINT64_C(0xfeedfeedfeedfeed)

struct log_plain {
    size_t segments; /* files found */
    lash_term term;
    lash_id vote;
    lash_index first;
    lash_term prev_term;
    lash_index last;
    lash_index base; /* entries from here on are in `terms`: base + i */
    lash_term *terms;
    size_t capacity;
    bool claims_beyond; /* a record behind the end says that the log was durable beyond it */
};

/* Read the files that are there, in the order of `names`. */
void log_plain_read(struct log_plain *plain, struct memfs *fs, const char *const *names, size_t count);
void log_plain_free(struct log_plain *plain);

/* The term of an entry that the log has. */
lash_term log_plain_term(const struct log_plain *plain, lash_index index);

#endif
