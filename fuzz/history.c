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
#include "linear/revision_linear.h"

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

/* ---- The whole store ----------------------------------------------------------------------------- */

static void check_range(const struct revision_history *history, const struct revision_range *keys) {
    LASH_ASSERT(keys->first <= keys->end && keys->end <= history->keys.count);
    LASH_ASSERT(!keys->single || keys->end == keys->first + 1);
}

static void check_request(const struct revision_history *history, const struct revision_request *request) {
    if (request->kind != REVISION_TXN)
        check_range(history, &request->keys);
    LASH_ASSERT(request->value < history->values.count || request->kind != REVISION_PUT);
    for (size_t at = 0; at < request->compare_count; at++)
        check_range(history, &request->compares[at].keys);
    for (size_t at = 0; at < request->success_count; at++)
        check_request(history, &request->success[at]);
    for (size_t at = 0; at < request->failure_count; at++)
        check_request(history, &request->failure[at]);
}

static void check_store(const struct revision_history *history, FILE *out) {
    for (size_t at = 0; at < history->keys.count; at++)
        LASH_ASSERT(at == 0 || strcmp(history->keys.list[at - 1], history->keys.list[at]) < 0);
    for (size_t at = 0; at < history->count; at++) {
        const struct revision_op *op = &history->ops[at];
        LASH_ASSERT(op->start <= op->end && (at == 0 || history->ops[at - 1].start <= op->start));
        LASH_ASSERT(!revision_op_wrote(op) || revision_request_writes(&op->request));
        check_request(history, &op->request);
        revision_op_print(history, op, 0, out);
    }
    struct revision_trouble trouble;
    if (history->count <= JUDGED_MAX && revision_check(history, 1, &limits, &trouble) == LINEAR_NO)
        LASH_ASSERT(trouble.done < trouble.judged && trouble.judged <= history->count);
}

static void judge_store(char *text, size_t size, FILE *out) {
    char problem[256] = "";
    struct revision_history history;
    FILE *file = fmemopen(text, size, "r");
    LASH_ASSERT(file);
    if (revision_history_read(file, &history, problem, sizeof problem)) {
        check_store(&history, out);
        revision_history_free(&history);
    } else {
        LASH_ASSERT(strncmp(problem, "line ", 5) == 0);
    }
    (void)fclose(file);
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
    judge_store(text, size, out);
    (void)fclose(out);
    mem_free(text);
    return 0;
}
