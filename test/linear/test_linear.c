/* SPDX-License-Identifier: Apache-2.0
 *
 * The linearizability checker on histories known good and known bad, and against
 * a judge too simple to be wrong: every order of a small random history.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "linear/cache.h"
#include "linear/linear.h"

static const struct linear_limits generous = {.deadline = 0, .cache_bytes = 256 << 20};

/* ---- Histories as tables -------------------------------------------------------------------------- */

#define PUT(start, end, value)                                                                                         \
    { 0, HISTORY_PUT, HISTORY_OK, false, 0, value, 0, 0, 0, start, end }
#define GET(start, end, value)                                                                                         \
    { 0, HISTORY_GET, HISTORY_OK, false, 0, value, 0, 0, 0, start, end }
#define CAS(start, end, expected, value)                                                                               \
    { 0, HISTORY_CAS, HISTORY_OK, true, 0, value, expected, 0, 0, start, end }
#define CAS_SAW(start, end, expected, seen)                                                                            \
    { 0, HISTORY_CAS, HISTORY_OK, false, 0, seen, expected, 0, 0, start, end }
#define PUT_UNKNOWN(start, value)                                                                                      \
    { 0, HISTORY_PUT, HISTORY_UNKNOWN, false, 0, value, 0, 0, 0, start, start }
#define CAS_UNKNOWN(start, expected, value)                                                                            \
    { 0, HISTORY_CAS, HISTORY_UNKNOWN, false, 0, value, expected, 0, 0, start, start }
#define PUT_FAILED(start, value)                                                                                       \
    { 0, HISTORY_PUT, HISTORY_FAIL, false, 0, value, 0, 0, 0, start, start }

#define JUDGE(...) linear_check((const struct history_op[]){__VA_ARGS__}, COUNT(__VA_ARGS__), HISTORY_ABSENT, &generous)
#define COUNT(...) (sizeof((const struct history_op[]){__VA_ARGS__}) / sizeof(struct history_op))

static void good_histories_are_linearizable(void **state) {
    (void)state;
    assert_int_equal(JUDGE(GET(0, 1, 0)), LINEAR_YES);
    assert_int_equal(JUDGE(PUT(0, 1, 1), GET(2, 3, 1)), LINEAR_YES);
    assert_int_equal(JUDGE(PUT(0, 10, 1), GET(2, 3, 0), GET(4, 5, 1)), LINEAR_YES);
    assert_int_equal(JUDGE(PUT(0, 10, 1), PUT(1, 9, 2), GET(11, 12, 1), GET(13, 14, 1)), LINEAR_YES);
    assert_int_equal(JUDGE(CAS(0, 1, 0, 1), CAS(2, 3, 1, 2), CAS_SAW(4, 5, 1, 2), GET(6, 7, 2)), LINEAR_YES);
    /* one instant: concurrent, so either order will do */
    assert_int_equal(JUDGE(PUT(0, 5, 1), GET(5, 6, 0)), LINEAR_YES);
}

static void bad_histories_are_not(void **state) {
    (void)state;
    assert_int_equal(JUDGE(GET(0, 1, 7)), LINEAR_NO);                              /* from nowhere */
    assert_int_equal(JUDGE(PUT(0, 1, 1), GET(2, 3, 0)), LINEAR_NO);                /* a lost write */
    assert_int_equal(JUDGE(PUT(0, 1, 1), PUT(2, 3, 2), GET(4, 5, 1)), LINEAR_NO);  /* a stale read */
    assert_int_equal(JUDGE(PUT(0, 10, 1), GET(2, 3, 1), GET(4, 5, 0)), LINEAR_NO); /* back in time */
    assert_int_equal(JUDGE(PUT(0, 10, 1), PUT(0, 10, 2), GET(11, 12, 1), GET(13, 14, 2)), LINEAR_NO);
    assert_int_equal(JUDGE(CAS(0, 1, 0, 1), CAS(2, 3, 0, 2)), LINEAR_NO);             /* both found nothing */
    assert_int_equal(JUDGE(PUT(0, 1, 1), CAS_SAW(2, 3, 1, 1)), LINEAR_NO);            /* it should have happened */
    assert_int_equal(JUDGE(PUT(0, 1, 1), PUT_FAILED(2, 2), GET(3, 4, 2)), LINEAR_NO); /* failed, yet there */
}

static void an_unknown_write_may_happen_late_or_never_but_not_before_its_start(void **state) {
    (void)state;
    assert_int_equal(JUDGE(PUT(0, 1, 1), PUT_UNKNOWN(2, 2), GET(1000, 1001, 1)), LINEAR_YES);
    assert_int_equal(JUDGE(PUT(0, 1, 1), PUT_UNKNOWN(2, 2), GET(1000, 1001, 2)), LINEAR_YES);
    assert_int_equal(JUDGE(PUT(0, 1, 1), PUT_UNKNOWN(2, 2), GET(900, 901, 1), PUT(902, 903, 3), GET(904, 905, 3),
                           GET(1000, 1001, 2)),
                     LINEAR_YES);
    assert_int_equal(JUDGE(PUT_UNKNOWN(10, 2), GET(0, 1, 2)), LINEAR_NO);
    /* once, not twice */
    assert_int_equal(JUDGE(PUT_UNKNOWN(0, 2), GET(1, 2, 2), PUT(3, 4, 3), GET(5, 6, 3), GET(7, 8, 2)), LINEAR_NO);
    assert_int_equal(JUDGE(PUT(0, 1, 1), CAS_UNKNOWN(2, 1, 2), GET(5, 6, 2)), LINEAR_YES);
    assert_int_equal(JUDGE(PUT(0, 1, 1), CAS_UNKNOWN(2, 9, 2), GET(5, 6, 2)), LINEAR_NO);
    /* a chain of unknowns: the second needs the first, of which nothing else was seen */
    assert_int_equal(JUDGE(PUT_UNKNOWN(0, 1), CAS_UNKNOWN(1, 1, 2), GET(5, 6, 2)), LINEAR_YES);
}

/* ---- A judge too simple to be wrong --------------------------------------------------------------- */

#define SMALL 6

static uint32_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Whether what remains (bits of `left`) can follow a register that holds `value`. */
static bool simple_judge(const struct history_op *ops, size_t count, unsigned left, uint32_t value) {
    bool complete = true;
    for (size_t at = 0; at < count; at++)
        complete = complete && !((left >> at & 1) && ops[at].outcome == HISTORY_OK);
    if (complete)
        return true;
    for (size_t at = 0; at < count; at++) {
        const struct history_op *op = &ops[at];
        bool allowed = (left >> at & 1) && op->outcome != HISTORY_FAIL;
        for (size_t other = 0; other < count && allowed; other++)
            if (other != at && (left >> other & 1) && ops[other].outcome == HISTORY_OK && ops[other].end < op->start)
                allowed = false;
        uint32_t after = value;
        if (op->kind == HISTORY_PUT)
            after = op->value;
        else if (op->kind == HISTORY_GET)
            allowed = allowed && (op->outcome != HISTORY_OK || op->value == value);
        else if (op->outcome == HISTORY_OK && !op->swapped)
            allowed = allowed && value == op->value && value != op->expected;
        else
            allowed = allowed && value == op->expected;
        if (op->kind == HISTORY_CAS && (op->outcome != HISTORY_OK || op->swapped))
            after = op->value;
        if (allowed && simple_judge(ops, count, left & ~(1u << at), after))
            return true;
    }
    return false;
}

static struct history_op random_op(uint64_t *seed, uint64_t start) {
    struct history_op op = {.kind = (enum history_kind)(random_next(seed) % 3)};
    uint32_t luck = random_next(seed) % 10;
    op.outcome = luck < 7 ? HISTORY_OK : luck < 9 ? HISTORY_UNKNOWN : HISTORY_FAIL;
    op.swapped = op.kind == HISTORY_CAS && op.outcome == HISTORY_OK && random_next(seed) % 2;
    bool reads = op.kind == HISTORY_GET || (op.kind == HISTORY_CAS && op.outcome == HISTORY_OK && !op.swapped);
    op.value = random_next(seed) % 4 + !reads;
    op.expected = op.kind == HISTORY_CAS ? random_next(seed) % 4 : 0;
    op.start = start;
    op.end = start + random_next(seed) % 8;
    return op;
}

static void random_small_histories_are_judged_as_by_trying_every_order(void **state) {
    (void)state;
    uint64_t seed = 20261122;
    print_message("seed %llu\n", (unsigned long long)seed);
    size_t good = 0, bad = 0;
    for (int round = 0; round < 60000; round++) {
        struct history_op ops[SMALL], window[SMALL];
        uint64_t start = 0;
        size_t count = 2 + random_next(&seed) % (SMALL - 1);
        for (size_t at = 0; at < count; at++) {
            start += random_next(&seed) % 4;
            ops[at] = random_op(&seed, start);
        }
        bool expected = simple_judge(ops, count, (1u << count) - 1, HISTORY_ABSENT);
        enum linear_verdict verdict = linear_check(ops, count, HISTORY_ABSENT, &generous);
        assert_int_equal(verdict, expected ? LINEAR_YES : LINEAR_NO);
        good += expected;
        bad += !expected;
        if (expected)
            continue;
        /* What the window shows must be wrong by itself. */
        uint32_t initial = 0;
        size_t used = linear_window(ops, count, &generous, window, &initial);
        assert_true(used >= 1 && used <= count);
        if (initial == HISTORY_ABSENT) {
            assert_false(simple_judge(window, used, (1u << used) - 1, HISTORY_ABSENT));
            continue;
        }
        for (uint32_t value = 0; value < 6; value++)
            assert_false(simple_judge(window, used, (1u << used) - 1, value));
    }
    assert_true(good > 5000 && bad > 5000);
}

/* ---- Long histories ------------------------------------------------------------------------------- */

#define LONG 20000

/* Clients that take turns in overlapping operations on a true register, with unknown writes throughout. */
static struct history_op *long_history(uint64_t seed) {
    struct history_op *ops = mem_calloc(LONG, sizeof *ops);
    assert_non_null(ops);
    uint32_t value = 0;
    for (uint32_t at = 0; at < LONG; at++) {
        uint64_t moment = 100 * ((uint64_t)at + 10);
        struct history_op *op = &ops[at];
        bool write = random_next(&seed) % 2;
        bool unknown = write && random_next(&seed) % 20 == 0;
        bool happens = write && !(unknown && random_next(&seed) % 2);
        if (happens)
            value = at + 1;
        *op = (struct history_op){.kind = write ? HISTORY_PUT : HISTORY_GET,
                                  .outcome = unknown ? HISTORY_UNKNOWN : HISTORY_OK,
                                  .value = write ? at + 1 : value,
                                  .line = at + 1,
                                  .start = moment - random_next(&seed) % 400,
                                  .end = moment + random_next(&seed) % 400};
    }
    /* sorted by start, as the checker takes them; they are nearly so */
    for (size_t at = 1; at < LONG; at++) {
        struct history_op op = ops[at];
        size_t to = at;
        for (; to > 0 && ops[to - 1].start > op.start; to--)
            ops[to] = ops[to - 1];
        ops[to] = op;
    }
    return ops;
}

static void a_long_history_with_a_thousand_unknown_writes_is_judged_in_time(void **state) {
    (void)state;
    struct history_op *ops = long_history(7);
    assert_int_equal(linear_check(ops, LONG, HISTORY_ABSENT, &generous), LINEAR_YES);
    mem_free(ops);
}

static void one_stale_read_in_a_long_history_is_found_and_shown_in_a_small_window(void **state) {
    (void)state;
    struct history_op *ops = long_history(8);
    struct history_op *window = mem_calloc(LONG, sizeof *window);
    assert_non_null(window);
    size_t victim = LONG / 2;
    while (ops[victim].kind != HISTORY_GET)
        victim++;
    ops[victim].value = ops[0].kind == HISTORY_PUT ? ops[0].value : 1;
    assert_int_equal(linear_check(ops, LONG, HISTORY_ABSENT, &generous), LINEAR_NO);
    uint32_t initial = 0;
    size_t used = linear_window(ops, LONG, &generous, window, &initial);
    bool shown = false;
    for (size_t at = 0; at < used; at++)
        shown = shown || window[at].line == ops[victim].line;
    assert_true(shown);
    assert_true(used < 40);
    mem_free(window);
    mem_free(ops);
}

static void time_and_memory_that_run_out_are_never_a_success(void **state) {
    (void)state;
    struct history_op *ops = long_history(9);
    const struct linear_limits hasty = {.deadline = 1, .cache_bytes = 256 << 20};
    const struct linear_limits narrow = {.deadline = 0, .cache_bytes = 64 << 10};
    assert_int_equal(linear_check(ops, LONG, HISTORY_ABSENT, &hasty), LINEAR_UNDECIDED);
    assert_int_equal(linear_check(ops, LONG, HISTORY_ABSENT, &narrow), LINEAR_UNDECIDED);
    mem_free(ops);
}

static void every_failed_allocation_leaves_the_verdict_open(void **state) {
    (void)state;
    const struct history_op ops[] = {PUT(0, 1, 1), GET(2, 3, 1), CAS(4, 5, 1, 2), GET(6, 7, 2)};
    for (uint64_t nth = 1; nth < 100; nth++) {
        mem_fail_after(nth);
        enum linear_verdict verdict = linear_check(ops, 4, HISTORY_ABSENT, &generous);
        mem_fail_after(0);
        assert_true(verdict == LINEAR_UNDECIDED || verdict == LINEAR_YES);
        assert_true(verdict == LINEAR_UNDECIDED || nth > 5);
    }
}

/* ---- The cache ------------------------------------------------------------------------------------ */

static void the_cache_knows_exactly_what_was_put_into_it(void **state) {
    (void)state;
    struct cache cache = {.bytes_max = 1 << 20};
    const uint64_t full[3] = {UINT64_MAX, UINT64_MAX, 5};
    const uint64_t other[3] = {UINT64_MAX, UINT64_MAX, 4};
    const uint64_t zero[3] = {0, 0, 0};
    const uint64_t shifted[3] = {UINT64_MAX, 5, 0};
    assert_int_equal(cache_insert(&cache, full, 3, (struct cache_state){{1}}), CACHE_NEW);
    assert_int_equal(cache_insert(&cache, full, 3, (struct cache_state){{1}}), CACHE_KNOWN);
    assert_int_equal(cache_insert(&cache, full, 3, (struct cache_state){{2}}), CACHE_NEW);
    assert_int_equal(cache_insert(&cache, other, 3, (struct cache_state){{1}}), CACHE_NEW);
    assert_int_equal(cache_insert(&cache, zero, 3, (struct cache_state){{1}}), CACHE_NEW);
    assert_int_equal(cache_insert(&cache, shifted, 3, (struct cache_state){{1}}), CACHE_NEW);
    assert_int_equal(cache_insert(&cache, shifted, 3, (struct cache_state){{1}}), CACHE_KNOWN);
    cache_free(&cache);
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static bool read_text(const char *text, struct history *history, char problem[128]) {
    char copy[2048];
    (void)snprintf(copy, sizeof copy, "%s", text);
    FILE *file = fmemopen(copy, strlen(copy), "r");
    assert_non_null(file);
    bool good = history_read(file, history, problem, 128);
    assert_int_equal(fclose(file), 0);
    return good;
}

static void a_history_is_read_key_by_key_in_the_order_of_starts(void **state) {
    (void)state;
    char problem[128];
    struct history history;
    const char *text =
        "{\"client\":1,\"op\":\"put\",\"key\":\"a\",\"value\":\"x\",\"start_ns\":5,\"end_ns\":9,\"outcome\":\"ok\","
        "\"revision\":2}\n"
        "{\"client\":2,\"op\":\"get\",\"key\":\"b\",\"value\":null,\"start_ns\":1,\"end_ns\":2,\"outcome\":\"ok\"}\n"
        "\n"
        "{\"client\":2,\"op\":\"cas\",\"key\":\"a\",\"expected\":null,\"value\":\"y\",\"seen\":\"x\",\"swapped\":false,"
        "\"start_ns\":3,\"end_ns\":4,\"outcome\":\"ok\"}\n"
        "{\"client\":2,\"op\":\"get\",\"key\":\"b\",\"start_ns\":3,\"end_ns\":4,\"outcome\":\"unknown\"}\n";
    assert_true(read_text(text, &history, problem));
    assert_int_equal(history.count, 4);
    assert_int_equal(history.keys.count, 2);
    assert_int_equal(history_key_end(&history, 0), 2);
    assert_int_equal(history_key_end(&history, 2), 4);
    assert_int_equal(history.ops[0].line, 4);
    assert_int_equal(history.ops[0].kind, HISTORY_CAS);
    assert_string_equal(history.values.list[history.ops[0].value], "x");
    assert_int_equal(history.ops[0].expected, HISTORY_ABSENT);
    assert_int_equal(history.ops[1].revision, 2);
    assert_int_equal(history.ops[2].value, HISTORY_ABSENT);
    assert_int_equal(history.ops[3].outcome, HISTORY_UNKNOWN);
    history_free(&history);
}

static void a_history_that_cannot_be_understood_is_refused_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"{\"client\":1}\n", "line 1: \"op\" is not put, get or cas"},
        {"\n[]\n", "line 2: it is not a JSON object"},
        {"{", "line 1: the line is cut off, or too long"},
        {"{\n", "line 1: it is not a JSON object"},
        {"{\"client\":1,\"op\":\"put\",\"key\":\"a\",\"start_ns\":1,\"end_ns\":2,\"outcome\":\"ok\"}\n",
         "line 1: \"value\", or \"seen\", is missing or not a string"},
        {"{\"client\":1,\"op\":\"put\",\"key\":\"a\",\"value\":null,\"start_ns\":1,\"end_ns\":2,\"outcome\":\"ok\"}\n",
         "line 1: a write has no value"},
        {"{\"client\":1,\"op\":\"get\",\"key\":\"a\",\"value\":null,\"start_ns\":3,\"end_ns\":2,\"outcome\":\"ok\"}\n",
         "line 1: \"start_ns\" and \"end_ns\" are not two rising numbers"},
        {"{\"client\":1,\"op\":\"get\",\"key\":\"a\",\"value\":null,\"start_ns\":1,\"end_ns\":2,\"outcome\":\"so\"}\n",
         "line 1: \"outcome\" is not ok, fail or unknown"},
    };
    for (size_t at = 0; at < sizeof cases / sizeof cases[0]; at++) {
        char problem[128];
        struct history history;
        assert_false(read_text(cases[at].text, &history, problem));
        assert_string_equal(problem, cases[at].problem);
        assert_null(history.ops);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_histories_are_linearizable),
        cmocka_unit_test(bad_histories_are_not),
        cmocka_unit_test(an_unknown_write_may_happen_late_or_never_but_not_before_its_start),
        cmocka_unit_test(random_small_histories_are_judged_as_by_trying_every_order),
        cmocka_unit_test(a_long_history_with_a_thousand_unknown_writes_is_judged_in_time),
        cmocka_unit_test(one_stale_read_in_a_long_history_is_found_and_shown_in_a_small_window),
        cmocka_unit_test(time_and_memory_that_run_out_are_never_a_success),
        cmocka_unit_test(every_failed_allocation_leaves_the_verdict_open),
        cmocka_unit_test(the_cache_knows_exactly_what_was_put_into_it),
        cmocka_unit_test(a_history_is_read_key_by_key_in_the_order_of_starts),
        cmocka_unit_test(a_history_that_cannot_be_understood_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
