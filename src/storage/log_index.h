/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the log's entries lie: one span for each frame record that still counts,
 * ordered by index. The owner locks.
 */
#ifndef LASH_STORAGE_LOG_INDEX_H
#define LASH_STORAGE_LOG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "lash/raft.h"

struct log_segment;

/* The part of one frame that counts. */
struct log_span {
    lash_index first; /* entries first .. first + count - 1 are this frame's */
    lash_term term;
    uint32_t count;
    uint32_t skip;  /* entries at the frame's begin that an earlier span holds, or that were trimmed */
    uint32_t total; /* entries of the frame; skip + count < total when a later frame replaced its end */
    uint32_t kind;
    struct log_segment *segment;
    uint64_t offset; /* of the frame in the segment's file */
    uint32_t size;   /* of the frame in bytes */
    uint32_t crc;    /* CRC32C over the frame */
    bool damaged;    /* what lies there is not the frame: it is to be repaired before anything else happens */
};

struct log_index {
    struct log_span *spans; /* without gaps or overlaps */
    size_t count;
    size_t capacity;
    lash_index first_index; /* the log holds first_index .. log_index_last */
    lash_term prev_term;    /* of first_index - 1 */
    lash_index base_last;   /* the last index and its term when there are no spans */
    lash_term base_last_term;
};

/* An empty log that begins at index 1. */
void log_index_init(struct log_index *index);
void log_index_free(struct log_index *index);

/* Make room for `count` spans more. Errors: LASH_NOMEM. */
int log_index_reserve(struct log_index *index, size_t count);

lash_index log_index_last(const struct log_index *index);
lash_term log_index_last_term(const struct log_index *index);

/* The term of the entry at `at`; false when the log does not know it. */
bool log_index_term(const struct log_index *index, lash_index at, lash_term *term);

/* The span that holds the entry at `at`; index->count when none does. */
size_t log_index_find(const struct log_index *index, lash_index at);

/* Append a span, for which there is room, replacing everything from span->first on (§5.3). */
void log_index_push(struct log_index *index, const struct log_span *span);

/* Forget what is before `first_index`. */
void log_index_trim(struct log_index *index, lash_index first_index, lash_term prev_term);

/* Forget everything: the log is empty and begins at `first_index`. */
void log_index_reset(struct log_index *index, lash_index first_index, lash_term prev_term);

/* The first span whose frame is damaged; index->count when none is. */
size_t log_index_damaged(const struct log_index *index);

/* Whether every entry from first_index on is known. */
bool log_index_complete(const struct log_index *index);

/* The entries as runs of one term and kind. The array is the caller's (mem_free). Errors: LASH_NOMEM. */
int log_index_runs(const struct log_index *index, struct lash_run **runs, size_t *count);

#endif
