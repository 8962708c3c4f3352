/* SPDX-License-Identifier: Apache-2.0
 *
 * Histories of clients' operations: whatever lines come, what is read is in order and
 * within its bounds, and judging it ends, with a window for what is wrong that is
 * itself wrong.
 *
 * Input: the history's text.
 */
#include <stdio.h>

#include "base/buf.h"
#include "fuzz.h"
#include "linear/linear.h"

enum { JUDGED_MAX = 40 };

static const struct linear_limits limits = {.deadline = 0, .cache_bytes = 1 << 20};

static void check_op(const struct history *history, size_t at) {
    const struct history_op *op = &history->ops[at];
    LASH_ASSERT(op->key < history->keys.count && op->value < history->values.count);
    LASH_ASSERT(op->expected < history->values.count && op->start <= op->end && op->line >= 1);
    if (at == 0)
        return;
    const struct history_op *before = &history->ops[at - 1];
    LASH_ASSERT(before->key <= op->key);
    LASH_ASSERT(before->key < op->key || before->start <= op->start);
}

static void judge(const struct history_op *ops, size_t count) {
    if (linear_check(ops, count, HISTORY_ABSENT, &limits) != LINEAR_NO)
        return;
    struct history_op window[JUDGED_MAX];
    uint32_t initial = 0;
    size_t used = linear_window(ops, count, &limits, window, &initial);
    LASH_ASSERT(used >= 1 && used <= count);
    LASH_ASSERT(linear_check(window, used, initial, &limits) != LINEAR_YES);
}

static void check(const struct history *history, FILE *out) {
    for (size_t at = 0; at < history->count; at++) {
        check_op(history, at);
        history_print(history, &history->ops[at], 0, out);
    }
    for (size_t first = 0, end = 0; first < history->count; first = end) {
        end = history_key_end(history, first);
        LASH_ASSERT(end > first);
        if (end - first <= JUDGED_MAX)
            judge(history->ops + first, end - first);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char problem[256] = "", *text = (char *)fuzz_copy(data, size);
    struct history history;
    FILE *file = fmemopen(text, size, "r"), *out = fopen("/dev/null", "we");
    LASH_ASSERT(file && out);
    if (history_read(file, &history, problem, sizeof problem)) {
        check(&history, out);
        history_free(&history);
    } else {
        LASH_ASSERT(strncmp(problem, "line ", 5) == 0);
    }
    (void)fclose(file);
    (void)fclose(out);
    mem_free(text);
    return 0;
}
