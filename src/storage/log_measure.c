/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of the log lies where: by the positions of records, so without reading any.
 */
#include "storage/log_state.h"

/* Where the records of a span and of those behind it begin. */
static uint64_t span_position(const struct log_index *index, size_t span) {
    return index->spans[span].segment->first_position + index->spans[span].offset;
}

/* Where the last entry's record ends; 0 without entries. */
static uint64_t end_position(const struct log_index *index) {
    return index->count ? span_position(index, index->count - 1) + index->spans[index->count - 1].size : 0;
}

/* The first span that holds anything behind `at`; index->count when none does. */
static size_t span_behind(const struct log_index *index, lash_index at) {
    size_t found = log_index_find(index, at + 1);
    return at + 1 < index->first_index ? 0 : found;
}

uint64_t log_bytes_behind(struct log *log, lash_index at) {
    pthread_mutex_lock(&log->mutex);
    size_t span = span_behind(&log->index, at);
    uint64_t bytes = span < log->index.count ? end_position(&log->index) - span_position(&log->index, span) : 0;
    pthread_mutex_unlock(&log->mutex);
    return bytes;
}

lash_index log_index_before(struct log *log, lash_index at, uint64_t bytes) {
    const struct log_index *index = &log->index;
    lash_index found = 0;
    pthread_mutex_lock(&log->mutex);
    size_t high = span_behind(index, at);
    uint64_t end = high < index->count ? span_position(index, high) : end_position(index);
    for (size_t low = 0; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (end - span_position(index, middle) >= bytes) {
            found = index->spans[middle].first - 1;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    pthread_mutex_unlock(&log->mutex);
    return found;
}
