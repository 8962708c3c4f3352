/* SPDX-License-Identifier: Apache-2.0
 *
 * Overlaps within a transaction, by etcd's rule: within one list of operations
 *
 *   - no key is put twice, wherever the puts are nested; but the two branches of a nested
 *     transaction exclude each other, so that both may put it;
 *   - no key is put that the list itself deletes, nor, in a nested transaction, one that
 *     an earlier nested one deletes.
 *
 * A deletion with the range end "\0" counts only against puts that would keep the value or
 * lease that it removes: etcd takes that range end by its letter here.
 *
 * What a list writes is kept as sorted arrays, so that the work grows with the request's
 * size and not with its square.
 */
#include "store/overlap.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/order.h"

struct overlap_put {
    struct store_bytes key;
    bool keeps; /* ignore_value or ignore_lease: needs what is there */
};

/* Keys from `from` to before `to`, or `from` alone when `point`. */
struct overlap_span {
    struct store_bytes from;
    struct store_bytes to;
    bool point;
};

/* What a list of operations, or a branch, writes. */
struct overlap_set {
    struct overlap_put *puts; /* sorted by key */
    size_t put_count;
    struct overlap_span *spans; /* deleted; sorted, and no two overlap */
    size_t span_count;
    bool open; /* something deletes all keys from open_from on */
    struct store_bytes open_from;
};

static void overlap_set_free(struct overlap_set *set) {
    mem_free(set->puts);
    mem_free(set->spans);
    *set = (struct overlap_set){0};
}

static int overlap_compare_puts(const void *a, const void *b) {
    const struct overlap_put *left = a, *right = b;
    return bytes_compare(left->key, right->key);
}

static int overlap_compare_spans(const void *a, const void *b) {
    const struct overlap_span *left = a, *right = b;
    return bytes_compare(left->from, right->from);
}

/* Whether `key` is before the end of `span`. */
static bool overlap_before_end(const struct overlap_span *span, struct store_bytes key) {
    return bytes_compare(key, span->point ? span->from : span->to) < (span->point ? 1 : 0);
}

/* Whether `left` ends behind `right`; both hold right's start. */
static bool overlap_ends_behind(const struct overlap_span *left, const struct overlap_span *right) {
    if (right->point)
        return !left->point;
    return !left->point && bytes_compare(left->to, right->to) > 0;
}

/* Join spans, sorted by their start, that overlap. */
static size_t overlap_join(struct overlap_span *spans, size_t count) {
    size_t joined = 0;
    for (size_t i = 0; i < count; i++) {
        struct overlap_span *last = joined ? &spans[joined - 1] : NULL;
        if (!last || !overlap_before_end(last, spans[i].from))
            spans[joined++] = spans[i];
        else if (!overlap_ends_behind(last, &spans[i]))
            *last = (struct overlap_span){.from = last->from, .to = spans[i].to, .point = spans[i].point};
    }
    return joined;
}

/* Whether the deletions in `set` remove the key of `put`. */
static bool overlap_deleted(const struct overlap_set *set, const struct overlap_put *put) {
    if (put->keeps && set->open && bytes_compare(put->key, set->open_from) >= 0)
        return true;
    size_t low = 0, high = set->span_count; /* spans before `low` start at or before the key */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(set->spans[middle].from, put->key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && overlap_before_end(&set->spans[low - 1], put->key);
}

static bool overlap_any_deleted(const struct overlap_set *set, const struct overlap_set *puts) {
    for (size_t i = 0; i < puts->put_count; i++) {
        if (overlap_deleted(set, &puts->puts[i]))
            return true;
    }
    return false;
}

/* Add the puts of `from` to `set`; each key once. *common tells whether there was one in both. */
static bool overlap_merge_puts(struct overlap_set *set, const struct overlap_set *from, bool *common) {
    *common = false;
    if (from->put_count == 0)
        return true;
    struct overlap_put *merged = mem_alloc((set->put_count + from->put_count) * sizeof *merged);
    if (!merged)
        return false;
    size_t a = 0, b = 0, count = 0;
    while (a < set->put_count || b < from->put_count) {
        int order = a == set->put_count    ? 1
                    : b == from->put_count ? -1
                                           : overlap_compare_puts(&set->puts[a], &from->puts[b]);
        *common |= order == 0;
        merged[count] = order <= 0 ? set->puts[a] : from->puts[b];
        merged[count++].keeps |= order == 0 && from->puts[b].keeps;
        a += order <= 0;
        b += order >= 0;
    }
    mem_free(set->puts);
    set->puts = merged;
    set->put_count = count;
    return true;
}

/* Add the deletions of `from` to `set`. */
static bool overlap_merge_spans(struct overlap_set *set, const struct overlap_set *from) {
    if (from->open && (!set->open || bytes_compare(from->open_from, set->open_from) < 0)) {
        set->open = true;
        set->open_from = from->open_from;
    }
    if (from->span_count == 0)
        return true;
    struct overlap_span *merged = mem_alloc((set->span_count + from->span_count) * sizeof *merged);
    if (!merged)
        return false;
    size_t a = 0, b = 0, count = 0;
    while (a < set->span_count || b < from->span_count) {
        bool first = b == from->span_count ||
                     (a < set->span_count && overlap_compare_spans(&set->spans[a], &from->spans[b]) <= 0);
        merged[count++] = first ? set->spans[a++] : from->spans[b++];
    }
    mem_free(set->spans);
    set->spans = merged;
    set->span_count = overlap_join(merged, count);
    return true;
}

/* The list's own deletions. */
static enum store_error overlap_own_deletes(const struct store_op *ops, size_t count, struct overlap_set *set) {
    struct overlap_set own = {.spans = mem_alloc(count * sizeof *own.spans)};
    if (!own.spans)
        return STORE_FAILED;
    for (size_t i = 0; i < count; i++) {
        const struct store_delete *request = &ops[i].delete_range;
        if (ops[i].type != STORE_DELETE)
            continue;
        bool point = request->range_end.size == 0;
        if (!point && bytes_open_ended(request->range_end)) {
            if (!own.open || bytes_compare(request->key, own.open_from) < 0)
                own.open_from = request->key;
            own.open = true;
        } else if (point || bytes_compare(request->key, request->range_end) < 0) {
            own.spans[own.span_count++] =
                (struct overlap_span){.from = request->key, .to = request->range_end, .point = point};
        }
    }
    qsort(own.spans, own.span_count, sizeof *own.spans, overlap_compare_spans);
    own.span_count = overlap_join(own.spans, own.span_count);
    bool merged = overlap_merge_spans(set, &own);
    overlap_set_free(&own);
    return merged ? STORE_OK : STORE_FAILED;
}

/* The list's own puts. */
static enum store_error overlap_own_puts(const struct store_op *ops, size_t count, struct overlap_set *set) {
    struct overlap_set own = {.puts = mem_alloc(count * sizeof *own.puts)};
    if (!own.puts)
        return STORE_FAILED;
    for (size_t i = 0; i < count; i++) {
        const struct store_put *put = &ops[i].put;
        if (ops[i].type == STORE_PUT)
            own.puts[own.put_count++] =
                (struct overlap_put){.key = put->key, .keeps = put->ignore_value || put->ignore_lease};
    }
    qsort(own.puts, own.put_count, sizeof *own.puts, overlap_compare_puts);
    bool twice = overlap_any_deleted(set, &own);
    for (size_t i = 1; i < own.put_count; i++)
        twice |= overlap_compare_puts(&own.puts[i - 1], &own.puts[i]) == 0;
    bool common = false;
    bool merged = twice || overlap_merge_puts(set, &own, &common);
    overlap_set_free(&own);
    if (!merged)
        return STORE_FAILED;
    return twice || common ? STORE_DUPLICATE_KEY : STORE_OK;
}

static enum store_error overlap_list(const struct store_op *ops, size_t count, struct overlap_set *set);

/* Add what a nested transaction writes to its list's set. */
static enum store_error overlap_nested(const struct store_txn *txn, struct overlap_set *set) {
    struct overlap_set success = {0}, failure = {0};
    bool common = false, unused;
    enum store_error error = overlap_list(txn->success, txn->success_count, &success);
    if (!error)
        error = overlap_list(txn->failure, txn->failure_count, &failure);
    if (!error && (overlap_any_deleted(set, &success) || overlap_any_deleted(set, &failure)))
        error = STORE_DUPLICATE_KEY;
    /* The branches' puts become one set first: a key in both of them is no duplicate. */
    if (!error && !overlap_merge_puts(&success, &failure, &unused))
        error = STORE_FAILED;
    if (!error && !overlap_merge_puts(set, &success, &common))
        error = STORE_FAILED;
    if (!error && (!overlap_merge_spans(set, &success) || !overlap_merge_spans(set, &failure)))
        error = STORE_FAILED;
    overlap_set_free(&success);
    overlap_set_free(&failure);
    return error || !common ? error : STORE_DUPLICATE_KEY;
}

/* Fill `set`, which is empty, with what the list writes. The set is the caller's to free whatever is returned. */
static enum store_error overlap_list(const struct store_op *ops, size_t count, struct overlap_set *set) {
    if (count == 0)
        return STORE_OK;
    enum store_error error = overlap_own_deletes(ops, count, set);
    for (size_t i = 0; i < count && !error; i++) {
        if (ops[i].type == STORE_TXN)
            error = overlap_nested(&ops[i].txn, set);
    }
    return error ? error : overlap_own_puts(ops, count, set);
}

enum store_error overlap_check(const struct store_txn *txn) {
    struct overlap_set set = {0};
    enum store_error error = overlap_list(txn->success, txn->success_count, &set);
    overlap_set_free(&set);
    if (!error)
        error = overlap_list(txn->failure, txn->failure_count, &set);
    overlap_set_free(&set);
    return error;
}
