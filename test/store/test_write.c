/* SPDX-License-Identifier: Apache-2.0
 *
 * Put, DeleteRange and Txn: revisions, answers and refusals, as etcd gives them.
 */
#include "harness.h"

#include "base/buf.h"

static const struct store_kv *read_one(struct harness *harness, const char *key) {
    assert_int_equal(harness_read(harness, get(key, "")), STORE_OK);
    return harness->got.op.range.kv_count ? &harness->got.op.range.kvs[0] : NULL;
}

static struct store_compare compare_number(const char *key, int target, int result, int64_t number) {
    return (struct store_compare){.result = result, .target = target, .key = text(key), .number = number};
}

static struct store_compare compare_value(const char *key, int result, const char *value) {
    return (struct store_compare){
        .result = result, .target = STORE_COMPARE_VALUE, .key = text(key), .value = text(value)};
}

/* Whether a transaction of this one compare succeeds. */
static bool holds(struct harness *harness, struct store_compare compare) {
    assert_int_equal(harness_read(harness, txn(&compare, 1, NULL, 0, NULL, 0)), STORE_OK);
    return harness->got.op.txn.succeeded;
}

static void the_first_put_is_revision_two(void **state) {
    struct harness *harness = *state;
    assert_int_equal(harness_apply(harness, put("a", "1")), STORE_OK);
    assert_int_equal(harness->got.revision, 2);
    assert_int_equal(harness->got.op.revision, 2);
    assert_null(harness->got.op.put.prev_kv);
    assert_kv(read_one(harness, "a"), "a", "1", 2, 2, 1);
}

static void a_second_put_raises_version_and_keeps_creation(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_apply(harness, put("a", ""));
    assert_kv(read_one(harness, "a"), "a", "", 2, 3, 2);
}

static void a_key_that_comes_to_life_again_starts_over(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_apply(harness, put("a", "2"));
    harness_apply(harness, del("a", ""));
    assert_int_equal(harness->got.op.delete_range.deleted, 1);
    assert_int_equal(harness->got.op.revision, 4);
    assert_null(read_one(harness, "a"));
    harness_apply(harness, put("a", "3"));
    assert_kv(read_one(harness, "a"), "a", "3", 5, 5, 1);
}

static void prev_kv_is_what_was_before(void **state) {
    struct harness *harness = *state;
    struct store_op op = put("a", "1");
    op.put.prev_kv = true;
    harness_apply(harness, op);
    assert_null(harness->got.op.put.prev_kv);
    harness_apply(harness, op);
    assert_kv(harness->got.op.put.prev_kv, "a", "1", 2, 2, 1);
    harness_apply(harness, del("a", ""));
    harness_apply(harness, op);
    assert_null(harness->got.op.put.prev_kv);
}

static void ignore_value_keeps_the_value_and_needs_the_key(void **state) {
    struct harness *harness = *state;
    struct store_op op = put("a", "");
    op.put.ignore_value = true;
    assert_int_equal(harness_apply(harness, op), STORE_KEY_NOT_FOUND);
    assert_int_equal(harness->got.revision, 1);
    harness_apply(harness, put("a", "kept"));
    op.put.prev_kv = true;
    assert_int_equal(harness_apply(harness, op), STORE_OK);
    assert_kv(harness->got.op.put.prev_kv, "a", "kept", 2, 2, 1);
    assert_kv(read_one(harness, "a"), "a", "kept", 2, 3, 2);
    harness_apply(harness, del("a", ""));
    assert_int_equal(harness_apply(harness, op), STORE_KEY_NOT_FOUND);
}

static void ignore_lease_needs_the_key_and_takes_the_value(void **state) {
    struct harness *harness = *state;
    struct store_op op = put("a", "new");
    op.put.ignore_lease = true;
    assert_int_equal(harness_apply(harness, op), STORE_KEY_NOT_FOUND);
    harness_apply(harness, put("a", "old"));
    assert_int_equal(harness_apply(harness, op), STORE_OK);
    assert_kv(read_one(harness, "a"), "a", "new", 2, 3, 2);
}

static void an_unknown_lease_is_refused_before_the_key_in_a_put_and_after_it_in_a_transaction(void **state) {
    struct harness *harness = *state;
    struct store_op op = put("a", "");
    op.put.lease = 55;
    assert_int_equal(harness_apply(harness, op), STORE_LEASE_NOT_FOUND);
    assert_int_equal(harness_apply(harness, txn(NULL, 0, &op, 1, NULL, 0)), STORE_LEASE_NOT_FOUND);
    op.put.ignore_value = true;
    assert_int_equal(harness_apply(harness, op), STORE_LEASE_NOT_FOUND);
    assert_int_equal(harness_apply(harness, txn(NULL, 0, &op, 1, NULL, 0)), STORE_KEY_NOT_FOUND);
    assert_int_equal(harness->got.revision, 1);
}

static void a_delete_that_hits_nothing_leaves_the_revision(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    assert_int_equal(harness_apply(harness, del("b", "")), STORE_OK);
    assert_int_equal(harness->got.op.delete_range.deleted, 0);
    assert_int_equal(harness->got.revision, 2);
    harness_apply(harness, del("z", "a"));
    harness_apply(harness, del("a", "a"));
    assert_int_equal(harness->got.revision, 2);
    harness_apply(harness, del("a", ""));
    harness_apply(harness, del("a", ""));
    assert_int_equal(harness->got.op.delete_range.deleted, 0);
    assert_int_equal(harness->got.revision, 3);
}

static void a_range_is_deleted_in_one_revision_with_its_previous_pairs(void **state) {
    struct harness *harness = *state;
    for (int i = 0; i < 10; i++) {
        char key[2] = {(char)('a' + i), 0};
        harness_apply(harness, put(key, "v"));
    }
    struct store_op op = del("b", "h");
    op.delete_range.prev_kv = true;
    harness_apply(harness, op);
    const struct store_delete_result *result = &harness->got.op.delete_range;
    assert_int_equal(result->deleted, 6);
    assert_int_equal(result->prev_kv_count, 6);
    for (int i = 0; i < 6; i++) {
        char key[2] = {(char)('b' + i), 0};
        assert_kv(&result->prev_kvs[i], key, "v", 3 + i, 3 + i, 1);
    }
    assert_int_equal(harness->got.revision, 12);
    op = del("", "");
    op.delete_range.key = everything_key;
    op.delete_range.range_end = everything_end;
    harness_apply(harness, op);
    assert_int_equal(harness->got.op.delete_range.deleted, 4);
    assert_int_equal(harness->got.op.delete_range.prev_kv_count, 0);
    assert_int_equal(harness->got.revision, 13);
}

static void a_transaction_is_one_revision(void **state) {
    struct harness *harness = *state;
    struct store_op ops[] = {put("a", "1"), put("b", "2"), put("c", "3")};
    assert_int_equal(harness_apply(harness, txn(NULL, 0, ops, 3, NULL, 0)), STORE_OK);
    assert_int_equal(harness->got.revision, 2);
    assert_int_equal(harness->got.op.revision, 2);
    assert_int_equal(harness->got.op.txn.op_count, 3);
    assert_kv(read_one(harness, "c"), "c", "3", 2, 2, 1);
}

static void a_transaction_without_writes_leaves_the_revision(void **state) {
    struct harness *harness = *state;
    struct store_op ops[] = {get("a", ""), del("nothing", "")};
    harness_apply(harness, txn(NULL, 0, ops, 2, NULL, 0));
    assert_int_equal(harness->got.revision, 1);
    assert_int_equal(harness->got.op.txn.ops[1].revision, 1);
    harness_apply(harness, txn(NULL, 0, NULL, 0, NULL, 0));
    assert_true(harness->got.op.txn.succeeded);
    assert_int_equal(harness->got.op.txn.op_count, 0);
}

static void reads_in_a_transaction_see_its_earlier_writes_and_headers_follow(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "3"));
    struct store_op inner[] = {put("y", "1"), get("y", ""), del("nope", "")};
    struct store_op ops[] = {get("a", ""), put("x", "1"), get("x", ""), txn(NULL, 0, inner, 3, NULL, 0),
                             del("a", ""), get("a", "b")};
    ops[4].delete_range.prev_kv = true;
    harness_apply(harness, txn(NULL, 0, ops, 6, NULL, 0));
    const struct store_op_result *results = harness->got.op.txn.ops;
    const int64_t revisions[] = {2, 3, 3, 0, 3, 3};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(results[i].revision, revisions[i]);
    assert_kv(&results[2].range.kvs[0], "x", "1", 3, 3, 1);
    assert_kv(&results[3].txn.ops[1].range.kvs[0], "y", "1", 3, 3, 1);
    assert_int_equal(results[3].txn.ops[2].revision, 3);
    assert_kv(&results[4].delete_range.prev_kvs[0], "a", "3", 2, 2, 1);
    assert_int_equal(results[5].range.count, 0);
}

static void a_delete_that_hits_nothing_before_the_first_write_has_the_old_revision(void **state) {
    struct harness *harness = *state;
    struct store_op ops[] = {del("nope", ""), put("q", "1"), del("nope", "")};
    harness_apply(harness, txn(NULL, 0, ops, 3, NULL, 0));
    assert_int_equal(harness->got.op.txn.ops[0].revision, 1);
    assert_int_equal(harness->got.op.txn.ops[1].revision, 2);
    assert_int_equal(harness->got.op.txn.ops[2].revision, 2);
}

static void an_old_revision_can_be_read_in_a_transaction_that_writes(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("b", "old"));
    struct store_op ops[] = {put("b", "new"), get("b", "")};
    ops[1].range.revision = 2;
    harness_apply(harness, txn(NULL, 0, ops, 2, NULL, 0));
    assert_kv(&harness->got.op.txn.ops[1].range.kvs[0], "b", "old", 2, 2, 1);
    assert_int_equal(harness->got.op.txn.ops[1].revision, 3);
    /* What the transaction makes is not there when its ranges are checked. */
    ops[1].range.revision = 4;
    assert_int_equal(harness_apply(harness, txn(NULL, 0, ops, 2, NULL, 0)), STORE_FUTURE_REVISION);
}

static void any_refused_operation_refuses_the_whole_transaction(void **state) {
    struct harness *harness = *state;
    struct store_op ops[] = {put("a", "1"), get("a", "")};
    ops[1].range.revision = 99;
    assert_int_equal(harness_apply(harness, txn(NULL, 0, ops, 2, NULL, 0)), STORE_FUTURE_REVISION);
    assert_null(read_one(harness, "a"));
    assert_int_equal(harness->got.revision, 1);
    struct store_op inner[] = {put("missing", "")};
    inner[0].put.ignore_value = true;
    struct store_op outer[] = {put("a", "1"), txn(NULL, 0, inner, 1, NULL, 0), ops[1]};
    /* Puts are checked before ranges. */
    assert_int_equal(harness_apply(harness, txn(NULL, 0, outer, 3, NULL, 0)), STORE_KEY_NOT_FOUND);
    assert_null(read_one(harness, "a"));
    assert_int_equal(harness->got.revision, 1);
}

static void only_the_branch_taken_is_checked(void **state) {
    struct harness *harness = *state;
    struct store_op bad[] = {get("a", "")};
    bad[0].range.revision = 99;
    struct store_op good[] = {put("a", "1")};
    struct store_compare compare = compare_number("a", STORE_COMPARE_VERSION, STORE_EQUAL, 0);
    assert_int_equal(harness_apply(harness, txn(&compare, 1, good, 1, bad, 1)), STORE_OK);
    assert_int_equal(harness_apply(harness, txn(&compare, 1, good, 1, bad, 1)), STORE_FUTURE_REVISION);
}

/* A negative revision is "now" for a range, but the check of a transaction takes it as it stands. */
static void a_negative_revision_is_compacted_only_in_a_transaction(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "");
    op.range.revision = -5;
    assert_int_equal(harness_read(harness, op), STORE_OK);
    assert_int_equal(harness_read(harness, txn(NULL, 0, &op, 1, NULL, 0)), STORE_COMPACTED);
}

static void compares_judge_each_field(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_apply(harness, put("a", "m"));
    static const struct {
        int target;
        int64_t number;
    } fields[] = {
        {STORE_COMPARE_VERSION, 2}, {STORE_COMPARE_CREATE, 2}, {STORE_COMPARE_MOD, 3}, {STORE_COMPARE_LEASE, 0}};
    for (size_t i = 0; i < TXN_COUNT(fields); i++) {
        for (int result = STORE_EQUAL; result <= STORE_NOT_EQUAL; result++) {
            for (int delta = -1; delta <= 1; delta++) {
                bool expected = result == STORE_EQUAL     ? delta == 0
                                : result == STORE_GREATER ? delta < 0
                                : result == STORE_LESS    ? delta > 0
                                                          : delta != 0;
                assert_int_equal(
                    holds(harness, compare_number("a", fields[i].target, result, fields[i].number + delta)), expected);
            }
        }
    }
    assert_true(holds(harness, compare_value("a", STORE_EQUAL, "m")));
    assert_true(holds(harness, compare_value("a", STORE_GREATER, "l")));
    assert_true(holds(harness, compare_value("a", STORE_LESS, "ma")));
    assert_true(holds(harness, compare_value("a", STORE_NOT_EQUAL, "")));
    assert_false(holds(harness, compare_value("a", STORE_EQUAL, "")));
}

static void a_missing_key_compares_as_zero_and_its_value_never_holds(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("gone", "1"));
    harness_apply(harness, del("gone", ""));
    const char *keys[] = {"never", "gone"};
    for (size_t i = 0; i < 2; i++) {
        for (int target = STORE_COMPARE_VERSION; target <= STORE_COMPARE_MOD; target++) {
            assert_true(holds(harness, compare_number(keys[i], target, STORE_EQUAL, 0)));
            assert_true(holds(harness, compare_number(keys[i], target, STORE_LESS, 1)));
            assert_false(holds(harness, compare_number(keys[i], target, STORE_GREATER, 0)));
        }
        for (int result = STORE_EQUAL; result <= STORE_NOT_EQUAL; result++)
            assert_false(holds(harness, compare_value(keys[i], result, "x")));
        assert_false(holds(harness, compare_value(keys[i], STORE_EQUAL, "")));
    }
}

static void a_compare_over_a_range_holds_for_every_key_in_it(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    harness_apply(harness, put("b", "1"));
    harness_apply(harness, put("c", "2"));
    struct store_compare compare = compare_value("a", STORE_EQUAL, "1");
    compare.range_end = text("c");
    assert_true(holds(harness, compare));
    compare.range_end = text("d");
    assert_false(holds(harness, compare));
    compare.range_end = everything_end;
    assert_false(holds(harness, compare));
    compare = compare_number("x", STORE_COMPARE_VERSION, STORE_EQUAL, 0);
    compare.range_end = text("z");
    assert_true(holds(harness, compare));
    compare = compare_value("x", STORE_NOT_EQUAL, "q");
    compare.range_end = text("z");
    assert_false(holds(harness, compare));
}

static void all_compares_must_hold(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("a", "1"));
    struct store_compare compares[] = {compare_value("a", STORE_EQUAL, "1"),
                                       compare_number("a", STORE_COMPARE_VERSION, STORE_GREATER, 1)};
    struct store_op success[] = {put("s", "")}, failure[] = {put("f", "")};
    harness_apply(harness, txn(compares, 2, success, 1, failure, 1));
    assert_false(harness->got.op.txn.succeeded);
    assert_null(read_one(harness, "s"));
    assert_non_null(read_one(harness, "f"));
    compares[1].result = STORE_EQUAL;
    harness_apply(harness, txn(compares, 2, success, 1, failure, 1));
    assert_true(harness->got.op.txn.succeeded);
    assert_non_null(read_one(harness, "s"));
}

static void nested_compares_are_judged_before_anything_is_written(void **state) {
    struct harness *harness = *state;
    struct store_compare missing = compare_number("n", STORE_COMPARE_VERSION, STORE_EQUAL, 0);
    struct store_op good[] = {put("good", "1")}, bad[] = {put("bad", "1")};
    struct store_op ops[] = {put("n", "1"), txn(&missing, 1, good, 1, bad, 1)};
    harness_apply(harness, txn(NULL, 0, ops, 2, NULL, 0));
    assert_true(harness->got.op.txn.ops[1].txn.succeeded);
    assert_non_null(read_one(harness, "good"));
    assert_null(read_one(harness, "bad"));
}

static void a_failed_outer_branch_takes_its_nested_transactions_with_it(void **state) {
    struct harness *harness = *state;
    struct store_compare never = compare_number("n", STORE_COMPARE_VERSION, STORE_GREATER, 0);
    struct store_op a[] = {put("a", "1")}, b[] = {put("b", "1")}, c[] = {put("c", "1")};
    struct store_op taken[] = {txn(&never, 1, a, 1, b, 1), txn(NULL, 0, c, 1, NULL, 0)};
    struct store_op skipped[] = {txn(NULL, 0, a, 1, NULL, 0), txn(NULL, 0, a, 1, NULL, 0)};
    harness_apply(harness, txn(&never, 1, skipped, 2, taken, 2));
    assert_false(harness->got.op.txn.ops[0].txn.succeeded);
    assert_true(harness->got.op.txn.ops[1].txn.succeeded);
    assert_null(read_one(harness, "a"));
    assert_non_null(read_one(harness, "b"));
    assert_non_null(read_one(harness, "c"));
}

static void a_key_deleted_and_put_in_one_transaction_is_new(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, put("k", "1"));
    struct store_op ops[] = {del("k", ""), put("k", "2")};
    ops[0].delete_range.range_end = everything_end;
    harness_apply(harness, txn(NULL, 0, ops, 2, NULL, 0));
    assert_kv(read_one(harness, "k"), "k", "2", 3, 3, 1);
    struct store_op old = get("k", "");
    old.range.revision = 2;
    harness_read(harness, old);
    assert_kv(&harness->got.op.range.kvs[0], "k", "1", 2, 2, 1);
    /* And the other way round. */
    struct store_op reversed[] = {ops[1], ops[0]};
    harness_apply(harness, txn(NULL, 0, reversed, 2, NULL, 0));
    assert_null(read_one(harness, "k"));
    assert_int_equal(harness->got.revision, 4);
    old.range.revision = 3;
    harness_read(harness, old);
    assert_kv(&harness->got.op.range.kvs[0], "k", "2", 3, 3, 1);
}

static void a_batch_is_applied_in_order_with_one_applied_index(void **state) {
    struct harness *harness = *state;
    struct store_op ops[] = {put("a", "1"), put("a", "2"), del("a", ""), put("b", "1")};
    struct lash_command commands[TXN_COUNT(ops)];
    struct store_result results[TXN_COUNT(ops)] = {0};
    for (size_t i = 0; i < TXN_COUNT(ops); i++) {
        uint8_t *command;
        commands[i] = (struct lash_command){.index = 10 * (i + 1), .term = 1, .request = i % 2 ? &results[i] : NULL};
        assert_int_equal(store_encode(&ops[i], &command, &commands[i].size), LASH_OK);
        commands[i].data = command;
    }
    struct lash_state_machine machine = store_machine(harness->store);
    assert_int_equal(machine.apply(machine.context, commands, TXN_COUNT(ops), 99), LASH_OK);
    assert_int_equal(results[1].revision, 3);
    assert_int_equal(results[3].revision, 5);
    assert_null(results[0].arena);
    for (size_t i = 0; i < TXN_COUNT(ops); i++) {
        mem_free((void *)(uintptr_t)commands[i].data);
        store_result_free(&results[i]);
    }
    struct store_stats stats;
    store_stats(harness->store, &stats);
    assert_int_equal(stats.applied, 99);
    /* A batch without commands moves the index alone. */
    assert_int_equal(machine.apply(machine.context, NULL, 0, 120), LASH_OK);
    store_stats(harness->store, &stats);
    assert_int_equal(stats.applied, 120);
    assert_int_equal(stats.revision, 5);
}

static void an_unknown_command_stops_the_batch_before_anything_is_applied(void **state) {
    struct harness *harness = *state;
    struct store_op op = put("a", "1");
    uint8_t *good, unknown[] = {2, 1}, broken[] = {1, STORE_PUT, 9, 9};
    struct store_result results[2] = {0};
    struct lash_command commands[] = {{.index = 1, .request = &results[0]}, {.index = 2, .request = &results[1]}};
    assert_int_equal(store_encode(&op, &good, &commands[0].size), LASH_OK);
    commands[0].data = good;
    commands[1].data = unknown;
    commands[1].size = sizeof unknown;
    struct lash_state_machine machine = store_machine(harness->store);
    assert_int_equal(machine.apply(machine.context, commands, 2, 2), LASH_VERSION);
    assert_null(results[0].arena);
    commands[1].data = broken;
    commands[1].size = sizeof broken;
    assert_int_equal(machine.apply(machine.context, commands, 2, 2), LASH_CORRUPT);
    assert_null(results[0].arena);
    mem_free(good);
    assert_null(read_one(harness, "a"));
    struct store_stats stats;
    store_stats(harness->store, &stats);
    assert_int_equal(stats.applied, 0);
    assert_int_equal(harness_apply(harness, put("a", "2")), STORE_OK);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        fresh(the_first_put_is_revision_two),
        fresh(a_second_put_raises_version_and_keeps_creation),
        fresh(a_key_that_comes_to_life_again_starts_over),
        fresh(prev_kv_is_what_was_before),
        fresh(ignore_value_keeps_the_value_and_needs_the_key),
        fresh(ignore_lease_needs_the_key_and_takes_the_value),
        fresh(an_unknown_lease_is_refused_before_the_key_in_a_put_and_after_it_in_a_transaction),
        fresh(a_delete_that_hits_nothing_leaves_the_revision),
        fresh(a_range_is_deleted_in_one_revision_with_its_previous_pairs),
        fresh(a_transaction_is_one_revision),
        fresh(a_transaction_without_writes_leaves_the_revision),
        fresh(reads_in_a_transaction_see_its_earlier_writes_and_headers_follow),
        fresh(a_delete_that_hits_nothing_before_the_first_write_has_the_old_revision),
        fresh(an_old_revision_can_be_read_in_a_transaction_that_writes),
        fresh(any_refused_operation_refuses_the_whole_transaction),
        fresh(only_the_branch_taken_is_checked),
        fresh(a_negative_revision_is_compacted_only_in_a_transaction),
        fresh(compares_judge_each_field),
        fresh(a_missing_key_compares_as_zero_and_its_value_never_holds),
        fresh(a_compare_over_a_range_holds_for_every_key_in_it),
        fresh(all_compares_must_hold),
        fresh(nested_compares_are_judged_before_anything_is_written),
        fresh(a_failed_outer_branch_takes_its_nested_transactions_with_it),
        fresh(a_key_deleted_and_put_in_one_transaction_is_new),
        fresh(a_batch_is_applied_in_order_with_one_applied_index),
        fresh(an_unknown_command_stops_the_batch_before_anything_is_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
