/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of any length and any bytes, in the order of their bytes.
 */
#include "harness.h"

#include <stdlib.h>

#include "store/index.h"
#include "store/order.h"

enum { KEYS = 14 };

/* Keys around the ends of chunks, in their order. */
static struct store_bytes keys[KEYS];
static uint8_t room[KEYS][4 * INDEX_CHUNK];

static void key_make(size_t at, size_t size, const char *end) {
    size_t end_size = strlen(end) + (strcmp(end, "") == 0);
    memset(room[at], 'm', size);
    memcpy(room[at] + size - end_size, end, end_size);
    keys[at] = bytes(room[at], size);
}

static int setup(void **state) {
    key_make(0, INDEX_CHUNK - 1, "a");
    key_make(1, INDEX_CHUNK, "a");
    key_make(2, INDEX_CHUNK - 1, "m");
    key_make(3, INDEX_CHUNK, ""); /* ends with \0 */
    key_make(4, INDEX_CHUNK, "m");
    key_make(5, INDEX_CHUNK + 1, "");
    key_make(6, 2 * INDEX_CHUNK + 1, "mma");
    key_make(7, 2 * INDEX_CHUNK, "m");
    key_make(8, 2 * INDEX_CHUNK + 1, "");
    key_make(9, 3 * INDEX_CHUNK, "m");
    key_make(10, 3 * INDEX_CHUNK + 5, "m");
    key_make(11, 3 * INDEX_CHUNK, "z");
    key_make(12, INDEX_CHUNK + 1, "z");
    key_make(13, INDEX_CHUNK, "z");
    for (size_t i = 1; i < KEYS; i++) {
        for (size_t j = i; j > 0 && bytes_compare(keys[j - 1], keys[j]) > 0; j--) {
            struct store_bytes swap = keys[j];
            keys[j] = keys[j - 1];
            keys[j - 1] = swap;
        }
    }
    return harness_setup(state);
}

static void put_all(struct harness *harness) {
    for (size_t i = 0; i < KEYS; i++) {
        /* Not in their order. */
        struct store_op op = put("", "v");
        op.put.key = keys[(i * 5 + 3) % KEYS];
        assert_int_equal(harness_apply(harness, op), STORE_OK);
    }
}

static void each_is_found_alone(void **state) {
    struct harness *harness = *state;
    put_all(harness);
    for (size_t i = 0; i < KEYS; i++) {
        struct store_op op = get("", "");
        op.range.key = keys[i];
        assert_int_equal(harness_read(harness, op), STORE_OK);
        assert_int_equal(harness->got.op.range.count, 1);
        assert_bytes(harness->got.op.range.kvs[0].key, keys[i]);
        /* Neither one byte less nor one more is there unless it is one of ours. */
        op.range.key.size--;
        harness_read(harness, op);
        bool ours = false;
        for (size_t j = 0; j < KEYS; j++)
            ours |= bytes_compare(keys[j], op.range.key) == 0;
        assert_int_equal(harness->got.op.range.count, ours);
    }
}

static void every_range_between_two_is_in_order(void **state) {
    struct harness *harness = *state;
    put_all(harness);
    for (size_t from = 0; from < KEYS; from++) {
        for (size_t to = 0; to <= KEYS; to++) {
            struct store_op op = get("", "");
            op.range.key = keys[from];
            op.range.range_end = to < KEYS ? keys[to] : everything_end;
            assert_int_equal(harness_read(harness, op), STORE_OK);
            const struct store_range_result *result = &harness->got.op.range;
            assert_int_equal(result->kv_count, to > from ? to - from : 0);
            for (size_t i = 0; i < result->kv_count; i++)
                assert_bytes(result->kvs[i].key, keys[from + i]);
        }
    }
}

static void removing_them_in_any_order_leaves_nothing_behind(void **state) {
    struct harness *harness = *state;
    for (size_t stride = 1; stride < KEYS; stride += 2) {
        if (KEYS % stride == 0 && stride > 1)
            continue;
        put_all(harness);
        for (size_t i = 0; i < KEYS; i++) {
            struct store_op op = del("", "");
            op.delete_range.key = keys[i * stride % KEYS];
            harness_apply(harness, op);
            assert_int_equal(harness->got.op.delete_range.deleted, 1);
            harness_apply(harness, put("other", ""));
            assert_int_equal(harness_apply(harness, compact_physical(harness->got.revision)), STORE_OK);
            audit(harness);
        }
        harness_read(harness, get_all());
        assert_int_equal(harness->got.op.range.count, 1);
        assert_int_equal(audit_records(harness), 1);
    }
}

static void a_key_as_long_as_a_request_works(void **state) {
    struct harness *harness = *state;
    enum { LONG = 3 << 19 }; /* 1.5 MiB */
    uint8_t *key = malloc(LONG);
    assert_non_null(key);
    for (size_t i = 0; i < LONG; i++)
        key[i] = (uint8_t)(i * 31 >> 8);
    struct store_op op = put("", "v");
    op.put.key = bytes(key, LONG);
    assert_int_equal(harness_apply(harness, op), STORE_OK);
    op.put.key.size--;
    assert_int_equal(harness_apply(harness, op), STORE_OK);
    assert_int_equal(harness_apply(harness, put("\xff\xff", "v")), STORE_OK);
    harness_read(harness, get_all());
    const struct store_range_result *result = &harness->got.op.range;
    assert_int_equal(result->count, 3);
    assert_bytes(result->kvs[0].key, bytes(key, LONG - 1));
    assert_bytes(result->kvs[1].key, bytes(key, LONG));
    assert_bytes(result->kvs[2].key, text("\xff\xff"));
    struct store_op gone = del("", "");
    gone.delete_range.key = bytes(key, LONG);
    harness_apply(harness, gone);
    gone.delete_range.key.size--;
    harness_apply(harness, gone);
    harness_apply(harness, put("\xff\xff", "w"));
    harness_apply(harness, compact_physical(harness->got.revision));
    assert_int_equal(audit_records(harness), 1);
    free(key);
}

static void zero_bytes_and_prefixes_of_each_other_are_keys_of_their_own(void **state) {
    struct harness *harness = *state;
    static const struct {
        const char *data;
        size_t size;
    } small[] = {{"\0", 1},    {"\0\0", 2}, {"\0\1", 2}, {"a", 1},    {"a\0", 2},
                 {"a\0\0", 3}, {"a\0b", 3}, {"aa", 2},   {"\xff", 1}, {"\xff\0", 2}};
    for (size_t i = 0; i < TXN_COUNT(small); i++) {
        struct store_op op = put("", "v");
        op.put.key = bytes(small[(i * 7) % TXN_COUNT(small)].data, small[(i * 7) % TXN_COUNT(small)].size);
        assert_int_equal(harness_apply(harness, op), STORE_OK);
    }
    harness_read(harness, get_all());
    assert_int_equal(harness->got.op.range.kv_count, TXN_COUNT(small));
    for (size_t i = 0; i < TXN_COUNT(small); i++)
        assert_bytes(harness->got.op.range.kvs[i].key, bytes(small[i].data, small[i].size));
    struct store_op prefix = get("a", "b");
    harness_read(harness, prefix);
    assert_int_equal(harness->got.op.range.count, 5);
}

static void many_long_keys_with_one_prefix_stay_apart(void **state) {
    struct harness *harness = *state;
    static uint8_t key[2000];
    memset(key, 'p', sizeof key);
    for (int i = 0; i < 500; i++) {
        struct store_op op = put("", "v");
        op.put.key = bytes(key, 1500 + (size_t)(i * 37 % 500));
        assert_int_equal(harness_apply(harness, op), STORE_OK);
    }
    struct store_op op = get_all();
    op.range.limit = 10;
    harness_read(harness, op);
    assert_int_equal(harness->got.op.range.count, 500);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(harness->got.op.range.kvs[i].key.size, 1500 + i);
}

#define with_keys(test) cmocka_unit_test_setup_teardown(test, setup, harness_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        with_keys(each_is_found_alone),
        with_keys(every_range_between_two_is_in_order),
        with_keys(removing_them_in_any_order_leaves_nothing_behind),
        with_keys(a_key_as_long_as_a_request_works),
        with_keys(zero_bytes_and_prefixes_of_each_other_are_keys_of_their_own),
        with_keys(many_long_keys_with_one_prefix_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
