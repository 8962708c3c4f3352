/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of spans behind log_read.
 */
#include "storage/log_index.h"

#include <string.h>

#include "base/assert.h"

void log_index_init(struct log_index *index) {
    *index = (struct log_index){.first_index = 1};
}

void log_index_free(struct log_index *index) {
    mem_free(index->spans);
    index->spans = NULL;
    index->count = 0;
}

int log_index_reserve(struct log_index *index, size_t count) {
    if (index->capacity - index->count >= count)
        return LASH_OK;
    size_t capacity = index->capacity ? 2 * index->capacity : 64;
    if (capacity < index->count + count)
        capacity = index->count + count;
    struct log_span *spans = mem_realloc(index->spans, capacity * sizeof *spans);
    if (!spans)
        return LASH_NOMEM;
    index->spans = spans;
    index->capacity = capacity;
    return LASH_OK;
}

static lash_index span_last(const struct log_span *span) {
    return span->first + span->count - 1;
}

lash_index log_index_last(const struct log_index *index) {
    return index->count ? span_last(&index->spans[index->count - 1]) : index->base_last;
}

lash_term log_index_last_term(const struct log_index *index) {
    return index->count ? index->spans[index->count - 1].term : index->base_last_term;
}

size_t log_index_find(const struct log_index *index, lash_index at) {
    size_t low = 0;
    size_t high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_last(&index->spans[middle]) < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < index->count && index->spans[low].first <= at ? low : index->count;
}

bool log_index_term(const struct log_index *index, lash_index at, lash_term *term) {
    if (at + 1 == index->first_index) {
        *term = index->prev_term;
        return true;
    }
    if (at == log_index_last(index)) {
        *term = log_index_last_term(index);
        return true;
    }
    size_t found = log_index_find(index, at);
    if (found == index->count)
        return false;
    *term = index->spans[found].term;
    return true;
}

/* Drop the last spans so that nothing from `first` on is left. A span of which only trimmed entries would be left holds
 * nothing that counts. */
static void drop_suffix(struct log_index *index, lash_index first) {
    while (index->count && index->spans[index->count - 1].first >= first)
        index->count--;
    if (!index->count || log_index_last(index) < first)
        return;
    if (first <= index->first_index) {
        index->count--;
        return;
    }
    struct log_span *last = &index->spans[index->count - 1];
    last->count = (uint32_t)(first - last->first);
}

void log_index_push(struct log_index *index, const struct log_span *span) {
    LASH_ASSERT(index->count < index->capacity);
    LASH_ASSERT(span->count >= 1 && span->first <= log_index_last(index) + 1);
    drop_suffix(index, span->first);
    index->spans[index->count++] = *span;
}

void log_index_trim(struct log_index *index, lash_index first_index, lash_term prev_term) {
    LASH_ASSERT(first_index >= index->first_index);
    size_t gone = 0;
    while (gone < index->count && span_last(&index->spans[gone]) < first_index)
        gone++;
    if (gone && gone == index->count) {
        index->base_last = first_index - 1;
        index->base_last_term = prev_term;
    }
    index->count -= gone;
    if (gone)
        memmove(index->spans, index->spans + gone, index->count * sizeof *index->spans);
    index->first_index = first_index;
    index->prev_term = prev_term;
}

void log_index_reset(struct log_index *index, lash_index first_index, lash_term prev_term) {
    LASH_ASSERT(first_index > index->first_index);
    index->count = 0;
    index->first_index = first_index;
    index->prev_term = prev_term;
    index->base_last = first_index - 1;
    index->base_last_term = prev_term;
}

size_t log_index_damaged(const struct log_index *index) {
    size_t found = 0;
    while (found < index->count && !index->spans[found].damaged)
        found++;
    return found;
}

bool log_index_complete(const struct log_index *index) {
    if (!index->count)
        return index->base_last + 1 == index->first_index;
    return index->spans[0].first <= index->first_index;
}

int log_index_runs(const struct log_index *index, struct lash_run **runs, size_t *count) {
    *runs = NULL;
    *count = 0;
    if (!index->count)
        return LASH_OK;
    struct lash_run *out = mem_alloc(index->count * sizeof *out);
    if (!out)
        return LASH_NOMEM;
    size_t used = 0;
    for (size_t i = 0; i < index->count; i++) {
        const struct log_span *span = &index->spans[i];
        uint32_t before = span->first < index->first_index ? (uint32_t)(index->first_index - span->first) : 0;
        uint32_t entries = span->count - before;
        struct lash_run *last = used ? &out[used - 1] : NULL;
        if (last && last->term == span->term && last->kind == span->kind && last->count <= UINT32_MAX - entries)
            last->count += entries;
        else
            out[used++] = (struct lash_run){span->first + before, span->term, entries, span->kind};
    }
    *runs = out;
    *count = used;
    return LASH_OK;
}
