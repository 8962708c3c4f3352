/* SPDX-License-Identifier: Apache-2.0
 *
 * Range. The index is walked once, without reading values: `count` needs all keys in
 * range. What may be part of the answer is remembered as small items; only the items
 * that are left after sorting and limiting are read and copied.
 */
#include "store/range.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/arena.h"
#include "store/order.h"

/* A key that may be part of the answer. */
struct range_item {
    struct revision revision;
    int64_t create_revision;
    int64_t version;
    struct store_bytes value; /* only when sorting by value */
    size_t position;          /* in key order; makes every order a total one */
};

enum { RANGE_FEW = 2, RANGE_MORE = 16 };

struct range_items {
    struct range_item *at; /* `few`, while they do */
    size_t count;
    size_t capacity;
    struct range_item few[RANGE_FEW];
};

enum store_error range_check_revision(const struct view_state *state, int64_t revision) {
    if (revision > state->revision)
        return STORE_FUTURE_REVISION;
    return revision < state->compacted ? STORE_COMPACTED : STORE_OK;
}

static int range_push(struct range_items *items, struct range_item item) {
    if (items->count == items->capacity) {
        bool few = items->at == items->few;
        size_t capacity = few ? RANGE_MORE : 2 * items->capacity;
        struct range_item *at = mem_realloc(few ? NULL : items->at, capacity * sizeof *at);
        if (!at)
            return LASH_NOMEM;
        if (few)
            memcpy(at, items->few, sizeof items->few);
        items->at = at;
        items->capacity = capacity;
    }
    item.position = items->count;
    items->at[items->count++] = item;
    return LASH_OK;
}

/* The key's revision as of `at`. LASH_NOT_FOUND: the key did not exist then. */
static int range_resolve(struct view *view, const struct index_entry *entry, int64_t at, struct range_item *item) {
    if (entry->revision.main <= at) {
        *item = (struct range_item){
            .revision = entry->revision, .create_revision = entry->create_revision, .version = entry->version};
        return entry->tombstone ? LASH_NOT_FOUND : LASH_OK;
    }
    struct revision revision;
    struct record record;
    int rc = record_find(view, entry->revision, at, &revision);
    if (rc == 0)
        rc = record_get_old(view, revision, &record);
    if (rc)
        return rc;
    *item =
        (struct range_item){.revision = revision, .create_revision = record.create_revision, .version = record.version};
    return record.tombstone ? LASH_NOT_FOUND : LASH_OK;
}

static bool range_filtered(const struct store_range *range) {
    return range->min_mod_revision || range->max_mod_revision || range->min_create_revision ||
           range->max_create_revision;
}

static bool range_passes(const struct store_range *range, const struct range_item *item) {
    int64_t mod = item->revision.main, create = item->create_revision;
    return !(range->max_mod_revision && mod > range->max_mod_revision) &&
           !(range->min_mod_revision && mod < range->min_mod_revision) &&
           !(range->max_create_revision && create > range->max_create_revision) &&
           !(range->min_create_revision && create < range->min_create_revision);
}

/* How many items can matter, in key order. One more than the limit is enough to know `more`; filters and an explicit order
 * need all. A target without an order sorts only what the limit left, as etcd does. */
static size_t range_items_max(const struct store_range *range) {
    if (range->count_only)
        return 0;
    if (range->limit <= 0 || range->sort_order != STORE_SORT_NONE || range_filtered(range))
        return SIZE_MAX;
    return (uint64_t)range->limit < SIZE_MAX ? (size_t)range->limit + 1 : SIZE_MAX;
}

/* Walk the keys: count all, and gather the items. */
static int range_gather(struct view *view, const struct store_range *range, int64_t at, struct range_items *items,
                        int64_t *count) {
    size_t items_max = range_items_max(range);
    struct index_entry entry;
    int rc = index_first(&view->index, range->key, range->range_end, &entry);
    for (; rc == 0; rc = index_next(&view->index, &entry)) {
        struct range_item item;
        bool wanted = items->count < items_max;
        rc = range_resolve(view, &entry, at, &item);
        if (rc == LASH_NOT_FOUND)
            continue;
        if (rc)
            return rc;
        ++*count;
        if (!wanted || !range_passes(range, &item))
            continue;
        rc = range_push(items, item);
        if (rc)
            return rc;
    }
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

static int range_compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int range_compare_key(const struct range_item *a, const struct range_item *b) {
    return (a->position > b->position) - (a->position < b->position);
}

static int range_compare_version(const struct range_item *a, const struct range_item *b) {
    return range_compare_numbers(a->version, b->version);
}

static int range_compare_create(const struct range_item *a, const struct range_item *b) {
    return range_compare_numbers(a->create_revision, b->create_revision);
}

static int range_compare_mod(const struct range_item *a, const struct range_item *b) {
    return range_compare_numbers(a->revision.main, b->revision.main);
}

static int range_compare_value(const struct range_item *a, const struct range_item *b) {
    return bytes_compare(a->value, b->value);
}

typedef int (*range_compare_fn)(const struct range_item *a, const struct range_item *b);

static const range_compare_fn range_compares[] = {
    [STORE_SORT_KEY] = range_compare_key,       [STORE_SORT_VERSION] = range_compare_version,
    [STORE_SORT_CREATE] = range_compare_create, [STORE_SORT_MOD] = range_compare_mod,
    [STORE_SORT_VALUE] = range_compare_value,
};

struct range_order {
    range_compare_fn compare;
    bool descending;
};

/* Keys that are equal in this order stay in key order, whichever way it goes. */
static int range_compare(const void *a, const void *b, void *context) {
    const struct range_order *order = context;
    int result = order->compare(a, b);
    if (order->descending)
        result = -result;
    return result ? result : range_compare_key(a, b);
}

static int range_sort(struct view *view, const struct store_range *range, struct range_items *items) {
    bool by_key = range->sort_target == STORE_SORT_KEY;
    if (items->count < 2 || (by_key && range->sort_order != STORE_SORT_DESCEND))
        return LASH_OK;
    for (size_t i = 0; i < items->count && range->sort_target == STORE_SORT_VALUE; i++) {
        struct record record;
        int rc = record_get(view, items->at[i].revision, &record);
        if (rc)
            return rc;
        items->at[i].value = record.value;
    }
    struct range_order order = {.compare = range_compares[range->sort_target],
                                .descending = range->sort_order == STORE_SORT_DESCEND};
    qsort_r(items->at, items->count, sizeof *items->at, range_compare, &order);
    return LASH_OK;
}

int range_copy(struct store_arena *arena, const struct record *record, bool with_value, struct store_kv *kv) {
    *kv = record_kv(record);
    kv->value = (struct store_bytes){0};
    int rc = arena_copy(arena, record->key, &kv->key);
    return rc || !with_value ? rc : arena_copy(arena, record->value, &kv->value);
}

/* Likewise without copying. */
static int range_lend(const struct record *record, bool with_value, struct store_kv *kv) {
    *kv = record_kv(record);
    if (!with_value)
        kv->value = (struct store_bytes){0};
    return LASH_OK;
}

/* Read the first `count` items. */
static int range_collect(struct view *view, const struct range_items *items, size_t count, bool with_value,
                         struct store_arena *arena, struct store_range_result *result) {
    struct store_kv *kvs = arena_alloc(arena, count, sizeof *kvs);
    if (!kvs)
        return LASH_NOMEM;
    for (size_t i = 0; i < count; i++) {
        struct record record;
        int rc = record_get(view, items->at[i].revision, &record);
        if (rc == 0)
            rc = view->lends ? range_lend(&record, with_value, &kvs[i])
                             : range_copy(arena, &record, with_value, &kvs[i]);
        if (rc)
            return rc;
    }
    result->kvs = kvs;
    result->kv_count = count;
    return LASH_OK;
}

int range_run(struct view *view, const struct store_range *range, int64_t now, struct store_arena *arena,
              struct store_range_result *result) {
    struct range_items items;
    int64_t at = range->revision > 0 ? range->revision : now;
    *result = (struct store_range_result){0};
    items.at = items.few;
    items.count = 0;
    items.capacity = RANGE_FEW;
    int rc = range_gather(view, range, at, &items, &result->count);
    if (rc == 0)
        rc = range_sort(view, range, &items);
    size_t count = items.count;
    if (range->limit > 0 && count > (uint64_t)range->limit) {
        count = (size_t)range->limit;
        result->more = true;
    }
    if (rc == 0 && count > 0)
        rc = range_collect(view, &items, count, !range->keys_only, arena, result);
    if (items.at != items.few)
        mem_free(items.at);
    return rc;
}
