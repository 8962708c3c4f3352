/* SPDX-License-Identifier: Apache-2.0
 *
 * What is refused before it is proposed, and which refusal comes first.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

enum { OPS_MAX = 128 };

static enum store_error check(struct store_op op) {
    return store_check(&op, OPS_MAX);
}

static enum store_error check_list(const struct store_op *ops, size_t count) {
    enum store_error success = check(txn(NULL, 0, ops, count, NULL, 0));
    enum store_error failure = check(txn(NULL, 0, NULL, 0, ops, count));
    assert_int_equal(success, failure);
    return success;
}

static struct store_op from(const char *key) {
    struct store_op op = del(key, "");
    op.delete_range.range_end = everything_end;
    return op;
}

/* A transaction whose success puts `success` and whose failure puts `failure`, where not NULL. */
static struct store_op *branches(struct store_op *room, const char *success, const char *failure) {
    room[1] = put(success ? success : "", "");
    room[2] = put(failure ? failure : "", "");
    room[0] = txn(NULL, 0, &room[1], success != NULL, &room[2], failure != NULL);
    return room;
}

static void sound_requests_pass(void **state) {
    (void)state;
    assert_int_equal(check(put("a", "1")), STORE_OK);
    assert_int_equal(check(get("a", "b")), STORE_OK);
    assert_int_equal(check(del("a", "")), STORE_OK);
    assert_int_equal(check(compact(-4)), STORE_OK);
    assert_int_equal(check(txn(NULL, 0, NULL, 0, NULL, 0)), STORE_OK);
}

static void an_empty_key_is_refused_everywhere(void **state) {
    (void)state;
    struct store_op ops[] = {put("", "1"), get("", "b"), del("", "b")};
    for (size_t i = 0; i < TXN_COUNT(ops); i++) {
        assert_int_equal(check(ops[i]), STORE_EMPTY_KEY);
        assert_int_equal(check_list(&ops[i], 1), STORE_EMPTY_KEY);
    }
    struct store_compare compare = {.key = text("")};
    assert_int_equal(check(txn(&compare, 1, NULL, 0, NULL, 0)), STORE_EMPTY_KEY);
}

static void a_put_may_not_give_what_it_ignores(void **state) {
    (void)state;
    struct store_op op = put("a", "1");
    op.put.ignore_value = true;
    op.put.ignore_lease = true;
    op.put.lease = 1;
    assert_int_equal(check(op), STORE_VALUE_PROVIDED);
    op.put.value = text("");
    assert_int_equal(check(op), STORE_LEASE_PROVIDED);
    op.put.lease = 0;
    assert_int_equal(check(op), STORE_OK);
    op.put.key = text("");
    op.put.value = text("1");
    assert_int_equal(check(op), STORE_EMPTY_KEY);
}

static void unknown_numbers_are_refused(void **state) {
    (void)state;
    struct store_op op = get("a", "");
    op.range.sort_order = 3;
    assert_int_equal(check(op), STORE_INVALID_SORT);
    op.range.sort_order = -1;
    assert_int_equal(check(op), STORE_INVALID_SORT);
    op.range.sort_order = 0;
    op.range.sort_target = 5;
    assert_int_equal(check(op), STORE_INVALID_SORT);
    struct store_compare compare = {.key = text("a"), .result = 4};
    assert_int_equal(check(txn(&compare, 1, NULL, 0, NULL, 0)), STORE_INVALID_REQUEST);
    compare.result = 0;
    compare.target = 5;
    assert_int_equal(check(txn(&compare, 1, NULL, 0, NULL, 0)), STORE_INVALID_REQUEST);
    struct store_op nothing = {0}, compaction = compact(1);
    assert_int_equal(check(nothing), STORE_INVALID_REQUEST);
    assert_int_equal(check_list(&nothing, 1), STORE_KEY_NOT_FOUND);
    assert_int_equal(check_list(&compaction, 1), STORE_INVALID_REQUEST);
}

static void the_widest_list_counts_and_nested_ones_share_the_budget(void **state) {
    (void)state;
    struct store_op ops[OPS_MAX + 1];
    struct store_compare compares[OPS_MAX + 1];
    for (size_t i = 0; i <= OPS_MAX; i++) {
        ops[i] = get("a", "");
        compares[i] = (struct store_compare){.key = text("a")};
    }
    assert_int_equal(check_list(ops, OPS_MAX), STORE_OK);
    assert_int_equal(check_list(ops, OPS_MAX + 1), STORE_TOO_MANY_OPS);
    assert_int_equal(check(txn(compares, OPS_MAX, ops, OPS_MAX, ops, OPS_MAX)), STORE_OK);
    assert_int_equal(check(txn(compares, OPS_MAX + 1, NULL, 0, NULL, 0)), STORE_TOO_MANY_OPS);
    ops[0] = txn(NULL, 0, ops + 1, 64, NULL, 0);
    assert_int_equal(check_list(ops, 64), STORE_OK);
    assert_int_equal(check_list(ops, 65), STORE_TOO_MANY_OPS);
    assert_int_equal(check(txn(compares, 65, ops, 1, NULL, 0)), STORE_TOO_MANY_OPS);
}

static void transactions_nest_as_deep_as_the_budget_and_no_deeper_than_the_log_allows(void **state) {
    (void)state;
    struct store_op ops[1000] = {txn(NULL, 0, NULL, 0, NULL, 0)};
    for (size_t i = 1; i < TXN_COUNT(ops); i++)
        ops[i] = txn(NULL, 0, &ops[i - 1], 1, NULL, 0);
    assert_int_equal(store_check(&ops[OPS_MAX], OPS_MAX), STORE_OK);
    assert_int_equal(store_check(&ops[OPS_MAX + 1], OPS_MAX), STORE_TOO_MANY_OPS);
    /* Whatever passes can be encoded, and decoded again. */
    for (size_t i = 0; i < TXN_COUNT(ops); i++) {
        if (store_check(&ops[i], SIZE_MAX))
            break;
        uint8_t *command;
        size_t size;
        struct store_op op;
        struct store_arena *arena;
        assert_int_equal(store_encode(&ops[i], &command, &size), LASH_OK);
        assert_int_equal(store_decode(command, size, &op, &arena), LASH_OK);
        store_arena_free(arena);
        mem_free(command);
    }
    assert_int_equal(store_check(&ops[999], SIZE_MAX), STORE_TOO_MANY_OPS);
}

static void the_first_fault_in_order_is_reported(void **state) {
    (void)state;
    struct store_compare empty = {.key = text("")};
    struct store_op value = put("x", "v");
    value.put.ignore_value = true;
    struct store_op ops[] = {value, put("", "")};
    assert_int_equal(check(txn(&empty, 1, ops, 1, NULL, 0)), STORE_EMPTY_KEY);
    assert_int_equal(check_list(ops, 2), STORE_VALUE_PROVIDED);
    struct store_op swapped[] = {ops[1], ops[0]};
    assert_int_equal(check_list(swapped, 2), STORE_EMPTY_KEY);
    assert_int_equal(check(txn(NULL, 0, ops, 1, swapped, 1)), STORE_VALUE_PROVIDED);
    struct store_op twice[] = {put("a", ""), put("a", ""), put("", "")};
    assert_int_equal(check_list(twice, 3), STORE_EMPTY_KEY);
    assert_int_equal(check_list(twice, 2), STORE_DUPLICATE_KEY);
}

static void a_key_is_put_once_in_a_list(void **state) {
    (void)state;
    struct store_op ops[] = {put("a", ""), put("b", ""), put("ab", ""), put("a", "")};
    assert_int_equal(check_list(ops, 3), STORE_OK);
    assert_int_equal(check_list(ops, 4), STORE_DUPLICATE_KEY);
    /* Both branches may put it. */
    assert_int_equal(check(txn(NULL, 0, ops, 1, ops, 1)), STORE_OK);
}

static void a_put_into_what_the_list_deletes_is_refused_in_either_order(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *put;
        enum store_error error;
    } cases[] = {
        {"b", "", "b", STORE_DUPLICATE_KEY},
        {"b", "", "bb", STORE_OK},
        {"b", "", "a", STORE_OK},
        {"b", "d", "b", STORE_DUPLICATE_KEY},
        {"b", "d", "c", STORE_DUPLICATE_KEY},
        {"b", "d", "d", STORE_OK},
        {"b", "d", "az", STORE_OK},
        {"d", "b", "c", STORE_OK},
        {"d", "d", "d", STORE_OK},
    };
    for (size_t i = 0; i < TXN_COUNT(cases); i++) {
        struct store_op ops[] = {del(cases[i].from, cases[i].to), put(cases[i].put, ""), del("z", ""), del("aa", "")};
        assert_int_equal(check_list(ops, 4), cases[i].error);
        struct store_op reversed[] = {ops[1], ops[2], ops[3], ops[0]};
        assert_int_equal(check_list(reversed, 4), cases[i].error);
    }
}

static void deletes_may_overlap_each_other(void **state) {
    (void)state;
    struct store_op ops[] = {del("b", "f"), del("c", ""), del("b", "d"), del("e", "h"), del("h", ""),
                             del("h", ""),  del("i", ""), del("i", "k"), put("a", "")};
    assert_int_equal(check_list(ops, 9), STORE_OK);
    static const char *const deleted[] = {"b", "c", "cc", "d", "e", "f", "gz", "h", "i", "jz"};
    for (size_t i = 0; i < TXN_COUNT(deleted); i++) {
        ops[8] = put(deleted[i], "");
        assert_int_equal(check_list(ops, 9), STORE_DUPLICATE_KEY);
    }
    static const char *const kept[] = {"a", "ab", "ha", "k"};
    for (size_t i = 0; i < TXN_COUNT(kept); i++) {
        ops[8] = put(kept[i], "");
        assert_int_equal(check_list(ops, 9), STORE_OK);
    }
}

/* etcd lets these pass; a put that needs what is deleted before it would have nothing to keep. */
static void a_delete_to_the_end_bars_only_puts_that_keep_something(void **state) {
    (void)state;
    struct store_op ops[] = {from("k"), put("kk", "")};
    assert_int_equal(check_list(ops, 2), STORE_OK);
    ops[1].put.ignore_value = true;
    assert_int_equal(check_list(ops, 2), STORE_DUPLICATE_KEY);
    ops[1].put = put("a", "").put;
    ops[1].put.ignore_lease = true;
    assert_int_equal(check_list(ops, 2), STORE_OK);
}

static void nested_puts_count_with_their_list_but_branches_exclude_each_other(void **state) {
    (void)state;
    struct store_op a[3], b[3];
    struct store_op ops[] = {*branches(a, "n", "n"), put("m", "")};
    assert_int_equal(check_list(ops, 2), STORE_OK);
    ops[1] = put("n", "");
    assert_int_equal(check_list(ops, 2), STORE_DUPLICATE_KEY);
    ops[0] = *branches(a, "x", "m");
    ops[1] = put("m", "");
    assert_int_equal(check_list(ops, 2), STORE_DUPLICATE_KEY);
    ops[1] = *branches(b, "m", NULL);
    assert_int_equal(check_list(ops, 2), STORE_DUPLICATE_KEY);
    ops[1] = *branches(b, NULL, "x");
    assert_int_equal(check_list(ops, 2), STORE_DUPLICATE_KEY);
    ops[1] = *branches(b, "o", "p");
    assert_int_equal(check_list(ops, 2), STORE_OK);
}

static void nested_deletes_bar_later_puts_only(void **state) {
    (void)state;
    struct store_op delete = del("n", ""), write = put("n", "");
    struct store_op deletes = txn(NULL, 0, &delete, 1, NULL, 0), puts = txn(NULL, 0, &write, 1, NULL, 0);
    struct store_op ops[] = {puts, deletes};
    assert_int_equal(check_list(ops, 2), STORE_OK);
    struct store_op reversed[] = {deletes, puts};
    assert_int_equal(check_list(reversed, 2), STORE_DUPLICATE_KEY);
    struct store_op own[] = {write, deletes};
    assert_int_equal(check_list(own, 2), STORE_DUPLICATE_KEY);
    struct store_op under[] = {puts, delete};
    assert_int_equal(check_list(under, 2), STORE_DUPLICATE_KEY);
    struct store_op exclusive = txn(NULL, 0, &delete, 1, &write, 1);
    assert_int_equal(check_list(&exclusive, 1), STORE_OK);
}

/* Wide and deep at once, as large as a request can be: it must not take long. */
static void a_very_large_transaction_is_checked_quickly(void **state) {
    (void)state;
    enum { WIDE = 40, COUNT = WIDE * WIDE * WIDE };
    struct store_op *leaves = calloc(COUNT, sizeof *leaves), *middles = calloc(WIDE * WIDE, sizeof *middles);
    struct store_op outer[WIDE];
    char(*names)[16] = calloc(COUNT, sizeof *names);
    assert_true(leaves && middles && names);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%08zu", (i * 7919) % COUNT);
        leaves[i] = i % 2 ? put(names[i], "") : del(names[i], "");
    }
    for (size_t i = 0; i < WIDE * WIDE; i++)
        middles[i] = txn(NULL, 0, leaves + i * WIDE, WIDE, NULL, 0);
    for (size_t i = 0; i < WIDE; i++)
        outer[i] = txn(NULL, 0, middles + i * WIDE, WIDE, NULL, 0);
    assert_int_equal(check_list(outer, WIDE), STORE_OK);
    leaves[COUNT - 1].put.key = leaves[1].put.key;
    assert_int_equal(check_list(outer, WIDE), STORE_DUPLICATE_KEY);
    free(leaves);
    free(middles);
    free(names);
}

static void memory_that_runs_out_is_no_verdict(void **state) {
    (void)state;
    struct store_op a[3], b[3];
    struct store_op ops[] = {*branches(a, "a", "b"), *branches(b, "c", "d"), put("e", ""), del("f", "h"), del("i", "")};
    struct store_op nested[] = {txn(NULL, 0, ops, TXN_COUNT(ops), ops + 2, 3), put("z", ""), del("y", "")};
    struct store_op op = txn(NULL, 0, nested, 3, nested, 3);
    enum store_error error = STORE_FAILED;
    uint64_t n = 0;
    while (error == STORE_FAILED) {
        mem_fail_after(++n);
        error = check(op);
        mem_fail_after(0);
    }
    assert_int_equal(error, STORE_OK);
    assert_true(n > 10);
}

static void every_refusal_has_words(void **state) {
    (void)state;
    for (int error = STORE_OK; error <= STORE_FAILED; error++)
        assert_string_not_equal(store_strerror((enum store_error)error), "unknown error");
    assert_string_equal(store_strerror((enum store_error)(STORE_FAILED + 1)), "unknown error");
    assert_string_equal(store_strerror((enum store_error) - 1), "unknown error");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_requests_pass),
        cmocka_unit_test(an_empty_key_is_refused_everywhere),
        cmocka_unit_test(a_put_may_not_give_what_it_ignores),
        cmocka_unit_test(unknown_numbers_are_refused),
        cmocka_unit_test(the_widest_list_counts_and_nested_ones_share_the_budget),
        cmocka_unit_test(transactions_nest_as_deep_as_the_budget_and_no_deeper_than_the_log_allows),
        cmocka_unit_test(the_first_fault_in_order_is_reported),
        cmocka_unit_test(a_key_is_put_once_in_a_list),
        cmocka_unit_test(a_put_into_what_the_list_deletes_is_refused_in_either_order),
        cmocka_unit_test(deletes_may_overlap_each_other),
        cmocka_unit_test(a_delete_to_the_end_bars_only_puts_that_keep_something),
        cmocka_unit_test(nested_puts_count_with_their_list_but_branches_exclude_each_other),
        cmocka_unit_test(nested_deletes_bar_later_puts_only),
        cmocka_unit_test(a_very_large_transaction_is_checked_quickly),
        cmocka_unit_test(memory_that_runs_out_is_no_verdict),
        cmocka_unit_test(every_refusal_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
