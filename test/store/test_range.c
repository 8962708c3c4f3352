/* SPDX-License-Identifier: Apache-2.0
 *
 * Range: ranges, limits, revisions, filters and orders, as etcd answers them.
 */
#include "harness.h"

/* Check the keys of the last answer, given as one letter each. */
static void assert_keys(const struct harness *harness, const char *keys) {
    const struct store_range_result *range = &harness->got.op.range;
    assert_int_equal(range->kv_count, strlen(keys));
    for (size_t i = 0; keys[i]; i++)
        assert_bytes(range->kvs[i].key, bytes(&keys[i], 1));
}

static void expect_keys(struct harness *harness, struct store_op op, const char *keys, bool more, int64_t count) {
    assert_int_equal(harness_read(harness, op), STORE_OK);
    assert_keys(harness, keys);
    assert_int_equal(harness->got.op.range.more, more);
    assert_int_equal(harness->got.op.range.count, count);
}

/* a=3 at 2, b=2 at 3, c=1 at 4, then b=2 again at 5. */
static int setup_abc(void **state) {
    harness_setup(state);
    struct harness *harness = *state;
    harness_apply(harness, put("a", "3"));
    harness_apply(harness, put("b", "2"));
    harness_apply(harness, put("c", "1"));
    harness_apply(harness, put("b", "2"));
    return 0;
}

static void an_empty_store_is_at_revision_one(void **state) {
    struct harness *harness = *state;
    expect_keys(harness, get_all(), "", false, 0);
    assert_int_equal(harness->got.revision, 1);
    assert_int_equal(harness->got.op.revision, 1);
    assert_int_equal(harness->got.compact_revision, -1);
    assert_int_equal(harness->got.op.type, STORE_RANGE);
}

static void one_key_has_all_its_fields(void **state) {
    struct harness *harness = *state;
    expect_keys(harness, get("b", ""), "b", false, 1);
    assert_kv(&harness->got.op.range.kvs[0], "b", "2", 3, 5, 2);
    assert_int_equal(harness->got.op.revision, 5);
    expect_keys(harness, get("bb", ""), "", false, 0);
}

static void a_range_ends_before_its_end(void **state) {
    struct harness *harness = *state;
    expect_keys(harness, get("a", "c"), "ab", false, 2);
    expect_keys(harness, get("a", "d"), "abc", false, 3);
    expect_keys(harness, get("aa", "b~"), "b", false, 1);
    expect_keys(harness, get("d", "z"), "", false, 0);
}

static void a_range_whose_end_is_not_behind_its_key_is_empty(void **state) {
    struct harness *harness = *state;
    expect_keys(harness, get("b", "b"), "", false, 0);
    expect_keys(harness, get("c", "a"), "", false, 0);
}

static void an_end_of_zero_means_all_from_the_key_on(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("b", "");
    op.range.range_end = everything_end;
    expect_keys(harness, op, "bc", false, 2);
    expect_keys(harness, get_all(), "abc", false, 3);
}

static void a_limit_cuts_and_says_so_and_counts_all(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "d");
    op.range.limit = 2;
    expect_keys(harness, op, "ab", true, 3);
    op.range.limit = 3;
    expect_keys(harness, op, "abc", false, 3);
    op.range.limit = INT64_MAX;
    expect_keys(harness, op, "abc", false, 3);
    op.range.limit = -1;
    expect_keys(harness, op, "abc", false, 3);
}

static void an_old_revision_shows_what_was(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "d");
    op.range.revision = 3;
    expect_keys(harness, op, "ab", false, 2);
    assert_kv(&harness->got.op.range.kvs[1], "b", "2", 3, 3, 1);
    assert_int_equal(harness->got.op.revision, 5);
    op.range.revision = 1;
    expect_keys(harness, op, "", false, 0);
    op.range.revision = 5;
    expect_keys(harness, op, "abc", false, 3);
    op.range.revision = -7;
    expect_keys(harness, op, "abc", false, 3);
}

static void an_old_revision_shows_keys_deleted_since(void **state) {
    struct harness *harness = *state;
    harness_apply(harness, del("a", "d"));
    expect_keys(harness, get_all(), "", false, 0);
    struct store_op op = get_all();
    op.range.revision = 5;
    expect_keys(harness, op, "abc", false, 3);
    assert_kv(&harness->got.op.range.kvs[1], "b", "2", 3, 5, 2);
    op.range.count_only = true;
    expect_keys(harness, op, "", false, 3);
    op.range.revision = 6;
    expect_keys(harness, op, "", false, 0);
}

static void a_future_revision_is_refused(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "");
    op.range.revision = 6;
    assert_int_equal(harness_read(harness, op), STORE_FUTURE_REVISION);
    assert_int_equal(harness->got.revision, 5);
}

static void a_compacted_revision_is_refused(void **state) {
    struct harness *harness = *state;
    assert_int_equal(harness_apply(harness, compact(4)), STORE_OK);
    struct store_op op = get("a", "d");
    op.range.revision = 3;
    assert_int_equal(harness_read(harness, op), STORE_COMPACTED);
    assert_int_equal(harness->got.compact_revision, 4);
    op.range.revision = 4;
    expect_keys(harness, op, "abc", false, 3);
    assert_kv(&harness->got.op.range.kvs[1], "b", "2", 3, 3, 1);
}

static void keys_only_leaves_out_nothing_but_values(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "d");
    op.range.keys_only = true;
    expect_keys(harness, op, "abc", false, 3);
    assert_kv(&harness->got.op.range.kvs[1], "b", "", 3, 5, 2);
    op.range.sort_target = STORE_SORT_VALUE;
    op.range.sort_order = STORE_SORT_ASCEND;
    expect_keys(harness, op, "cba", false, 3);
    assert_int_equal(harness->got.op.range.kvs[0].value.size, 0);
}

static void count_only_gives_no_keys_and_ignores_limit_and_filters(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "d");
    op.range.count_only = true;
    op.range.limit = 1;
    op.range.min_mod_revision = 4;
    expect_keys(harness, op, "", false, 3);
}

static void filters_apply_before_the_limit_and_not_to_the_count(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "d");
    op.range.min_mod_revision = 4;
    expect_keys(harness, op, "bc", false, 3);
    op.range.limit = 1;
    expect_keys(harness, op, "b", true, 3);
    op.range.limit = 0;
    op.range.max_mod_revision = 4;
    expect_keys(harness, op, "c", false, 3);
    op = get("a", "d");
    op.range.min_create_revision = 3;
    op.range.max_create_revision = 3;
    expect_keys(harness, op, "b", false, 3);
    op.range.revision = 4;
    op.range.max_mod_revision = 3;
    expect_keys(harness, op, "b", false, 3);
}

static void each_target_sorts_both_ways(void **state) {
    struct harness *harness = *state;
    static const struct {
        int target;
        const char *ascending, *descending;
    } cases[] = {
        {STORE_SORT_KEY, "abc", "cba"}, {STORE_SORT_VERSION, "acb", "bac"}, {STORE_SORT_CREATE, "abc", "cba"},
        {STORE_SORT_MOD, "acb", "bca"}, {STORE_SORT_VALUE, "cba", "abc"},
    };
    for (size_t i = 0; i < TXN_COUNT(cases); i++) {
        struct store_op op = get("a", "d");
        op.range.sort_target = cases[i].target;
        expect_keys(harness, op, cases[i].ascending, false, 3);
        op.range.sort_order = STORE_SORT_ASCEND;
        expect_keys(harness, op, cases[i].ascending, false, 3);
        op.range.sort_order = STORE_SORT_DESCEND;
        expect_keys(harness, op, cases[i].descending, false, 3);
        op.range.limit = 2;
        char first_two[3] = {cases[i].descending[0], cases[i].descending[1], 0};
        expect_keys(harness, op, first_two, true, 3);
    }
}

/* etcd reads one key more than the limit, in key order, before it sorts. */
static void a_target_without_an_order_sorts_only_what_the_limit_left(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "d");
    op.range.sort_target = STORE_SORT_VALUE;
    op.range.limit = 1;
    expect_keys(harness, op, "b", true, 3);
    op.range.sort_order = STORE_SORT_ASCEND;
    expect_keys(harness, op, "c", true, 3);
}

static void a_read_that_writes_is_refused(void **state) {
    struct harness *harness = *state;
    assert_int_equal(harness_read(harness, put("a", "1")), STORE_INVALID_REQUEST);
    struct store_op inner[] = {put("a", "1")};
    assert_int_equal(harness_read(harness, txn(NULL, 0, inner, 1, NULL, 0)), STORE_INVALID_REQUEST);
    assert_int_equal(harness_read(harness, txn(NULL, 0, NULL, 0, inner, 1)), STORE_INVALID_REQUEST);
    assert_int_equal(harness_read(harness, compact(1)), STORE_INVALID_REQUEST);
}

static void a_read_transaction_answers_with_all_its_ranges(void **state) {
    struct harness *harness = *state;
    struct store_op inner[] = {get("a", ""), get("b", "d")};
    struct store_compare compare = {.result = STORE_EQUAL, .target = STORE_COMPARE_MOD, .key = text("a"), .number = 2};
    assert_int_equal(harness_read(harness, txn(&compare, 1, inner, 2, NULL, 0)), STORE_OK);
    const struct store_txn_result *result = &harness->got.op.txn;
    assert_true(result->succeeded);
    assert_int_equal(result->op_count, 2);
    assert_int_equal(result->ops[0].range.count, 1);
    assert_int_equal(result->ops[1].range.count, 2);
    assert_int_equal(harness->got.op.revision, 5);
    inner[1].range.revision = 9;
    assert_int_equal(harness_read(harness, txn(&compare, 1, inner, 2, NULL, 0)), STORE_FUTURE_REVISION);
    assert_int_equal(harness_read(harness, txn(&compare, 1, NULL, 0, inner, 2)), STORE_OK);
}

static void a_reader_goes_on_with_one_state_and_copies_nothing_of_it(void **state) {
    struct harness *harness = *state;
    struct store_op op = get("a", "");
    struct store_result first = {0}, second = {0}, after = {0};
    struct store_reader *reader, *later;
    assert_int_equal(store_reader_begin(harness->store, &reader), LASH_OK);
    store_reader_read(reader, &op, &first);
    assert_int_equal(first.error, STORE_OK);
    harness_apply(harness, put("a", "4"));
    store_reader_read(reader, &op, &second);
    assert_int_equal(second.revision, first.revision);
    assert_kv(&second.op.range.kvs[0], "a", "3", 2, 2, 1);
    assert_ptr_equal(second.op.range.kvs[0].value.data, first.op.range.kvs[0].value.data);
    assert_int_equal(store_reader_begin(harness->store, &later), LASH_OK);
    store_reader_read(later, &op, &after);
    assert_kv(&after.op.range.kvs[0], "a", "4", 2, after.revision, 2);
    struct store_op write = put("a", "5");
    store_reader_read(reader, &write, &second);
    assert_int_equal(second.error, STORE_INVALID_REQUEST);
    store_result_free(&first);
    store_result_free(&after);
    store_reader_end(later);
    store_reader_end(reader);
    store_reader_end(NULL);
}

static void stats_tell_revisions_and_sizes(void **state) {
    struct harness *harness = *state;
    struct store_stats before, after;
    store_stats(harness->store, &before);
    assert_int_equal(before.revision, 5);
    assert_int_equal(before.compact_revision, -1);
    assert_int_equal(before.applied, 4);
    static char value[100001];
    memset(value, 'v', sizeof value - 1);
    harness_apply(harness, put("large", value));
    store_stats(harness->store, &after);
    assert_int_equal(after.revision, 6);
    assert_int_equal(after.applied, 5);
    assert_true(after.size_in_use >= before.size_in_use + sizeof value - 1);
    assert_true(after.size >= after.size_in_use);
}

#define abc(test) cmocka_unit_test_setup_teardown(test, setup_abc, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_store_is_at_revision_one, harness_setup, harness_teardown),
        abc(one_key_has_all_its_fields),
        abc(a_range_ends_before_its_end),
        abc(a_range_whose_end_is_not_behind_its_key_is_empty),
        abc(an_end_of_zero_means_all_from_the_key_on),
        abc(a_limit_cuts_and_says_so_and_counts_all),
        abc(an_old_revision_shows_what_was),
        abc(an_old_revision_shows_keys_deleted_since),
        abc(a_future_revision_is_refused),
        abc(a_compacted_revision_is_refused),
        abc(keys_only_leaves_out_nothing_but_values),
        abc(count_only_gives_no_keys_and_ignores_limit_and_filters),
        abc(filters_apply_before_the_limit_and_not_to_the_count),
        abc(each_target_sorts_both_ways),
        abc(a_target_without_an_order_sorts_only_what_the_limit_left),
        abc(a_read_that_writes_is_refused),
        abc(a_read_transaction_answers_with_all_its_ranges),
        abc(a_reader_goes_on_with_one_state_and_copies_nothing_of_it),
        abc(stats_tell_revisions_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
