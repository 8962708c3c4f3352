/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a history that is not linearizable down to where it goes wrong.
 *
 * Both ends are found by bisection. The later: a prefix (in the order of ends) of a
 * linearizable history is linearizable when what ends behind it counts as unknown. The
 * earlier: drop what ended before some moment, keep dropped writes that overlap with
 * what stays as unknown, and let the register hold anything at first; what is left of a
 * linearizable history is linearizable, for all that is gone came first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "linear/linear.h"

/* The earliest start of an operation that completed at `since` or later. */
static uint64_t earliest_start(const struct history_op *ops, size_t count, uint64_t since) {
    uint64_t start = UINT64_MAX;
    for (size_t at = 0; at < count; at++)
        if (ops[at].outcome == HISTORY_OK && ops[at].end >= since && ops[at].start < start)
            start = ops[at].start;
    return start;
}

/* What matters between the moments `since` and `until`. */
static size_t window_cut(const struct history_op *ops, size_t count, uint64_t since, uint64_t until,
                         struct history_op *window) {
    uint64_t overlap = earliest_start(ops, count, since);
    size_t used = 0;
    for (size_t at = 0; at < count; at++) {
        struct history_op op = ops[at];
        bool reads = op.kind == HISTORY_GET || (op.kind == HISTORY_CAS && !op.swapped);
        bool early = op.outcome == HISTORY_OK && op.end < since;
        if (op.outcome == HISTORY_FAIL || op.start > until || (early && (reads || op.end < overlap)))
            continue;
        if (early || (op.outcome == HISTORY_OK && op.end > until))
            op.outcome = HISTORY_UNKNOWN;
        window[used++] = op;
    }
    return used;
}

static int time_order(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Leave out writes of unknown outcome that nothing in the window tells of, and reads without an answer. */
static size_t window_sift(struct history_op *window, size_t count) {
    size_t kept = 0;
    for (size_t at = 0; at < count; at++) {
        bool wanted = window[at].outcome == HISTORY_OK;
        for (size_t other = 0; other < count && !wanted && window[at].kind != HISTORY_GET; other++) {
            const struct history_op *op = &window[other];
            bool seen = op->outcome == HISTORY_OK && op->kind != HISTORY_PUT && op->value == window[at].value;
            bool expected = op->kind == HISTORY_CAS && op->expected == window[at].value;
            wanted = other != at && (seen || expected);
        }
        window[kept] = window[at];
        kept += wanted;
    }
    return kept;
}

size_t linear_window(const struct history_op *ops, size_t count, const struct linear_limits *limits,
                     struct history_op *window, uint32_t *initial) {
    uint64_t *times = mem_alloc((count + 1) * sizeof *times);
    size_t ends = 0;
    *initial = HISTORY_ABSENT;
    size_t used = window_cut(ops, count, 0, UINT64_MAX, window);
    if (!times)
        return used;
    for (size_t at = 0; at < count; at++)
        if (ops[at].outcome == HISTORY_OK)
            times[ends++] = ops[at].end;
    LASH_ASSERT(ends > 0);
    qsort(times, ends, sizeof *times, time_order);

    /* The earliest end up to which it is wrong. What cannot be decided counts as right, which only widens the window. */
    size_t right = 0, wrong = ends - 1;
    while (right < wrong) {
        size_t middle = right + (wrong - right) / 2;
        used = window_cut(ops, count, 0, times[middle], window);
        if (linear_check(window, used, HISTORY_ABSENT, limits) == LINEAR_NO)
            wrong = middle;
        else
            right = middle + 1;
    }
    uint64_t until = times[wrong];

    /* The latest end before which nothing matters. */
    size_t low = 0, high = wrong + 1;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        used = window_cut(ops, count, times[middle], until, window);
        if (linear_check(window, used, LINEAR_ANY, limits) == LINEAR_NO)
            low = middle;
        else
            high = middle;
    }
    used = window_cut(ops, count, times[low], until, window);
    if (low > 0 || linear_check(window, used, LINEAR_ANY, limits) == LINEAR_NO)
        *initial = LINEAR_ANY;
    else
        used = window_cut(ops, count, 0, until, window);
    mem_free(times);
    return window_sift(window, used);
}
