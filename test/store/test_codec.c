/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands as bytes: what goes in comes out, and what is broken is refused.
 */
#include "harness.h"

#include <stdlib.h>

#include "base/buf.h"

static void encode(const struct store_op *op, uint8_t **command, size_t *size) {
    assert_int_equal(store_encode(op, command, size), LASH_OK);
}

/* Decode what was encoded, and encode it again: the bytes must be the same. */
static void assert_round_trip(const struct store_op *op) {
    uint8_t *command, *again;
    size_t size, size_again;
    struct store_op decoded;
    struct store_arena *arena;
    encode(op, &command, &size);
    assert_int_equal(store_decode(command, size, &decoded, &arena), LASH_OK);
    assert_int_equal(decoded.type, op->type);
    encode(&decoded, &again, &size_again);
    assert_bytes(bytes(again, size_again), bytes(command, size));
    store_arena_free(arena);
    mem_free(command);
    mem_free(again);
}

/* One of everything, with every field set to something of its own. */
struct sample {
    struct store_compare compares[2];
    struct store_op inner[1];
    struct store_op success[4];
    struct store_op failure[1];
    struct store_op op;
};

static void sample_make(struct sample *sample) {
    sample->compares[0] = (struct store_compare){.result = STORE_NOT_EQUAL,
                                                 .target = STORE_COMPARE_VALUE,
                                                 .key = bytes("k\0y", 3),
                                                 .range_end = text("z"),
                                                 .value = bytes("\0", 1)};
    sample->compares[1] = (struct store_compare){
        .result = STORE_LESS, .target = STORE_COMPARE_LEASE, .key = text("a"), .number = INT64_MIN};
    sample->inner[0] = put("inner", "");
    struct store_range range = {.key = text("r"),
                                .range_end = everything_end,
                                .limit = 1,
                                .revision = -2,
                                .sort_order = STORE_SORT_DESCEND,
                                .sort_target = STORE_SORT_VALUE,
                                .keys_only = true,
                                .min_mod_revision = 3,
                                .max_mod_revision = 4,
                                .min_create_revision = 5,
                                .max_create_revision = INT64_MAX};
    sample->success[0] = (struct store_op){.type = STORE_RANGE, .range = range};
    sample->success[1] = put("key", "value");
    sample->success[1].put.lease = 7;
    sample->success[1].put.prev_kv = true;
    sample->success[2] = del("from", "to");
    sample->success[2].delete_range.prev_kv = true;
    sample->success[3] = txn(NULL, 0, NULL, 0, sample->inner, 1);
    sample->failure[0] = put("f", "");
    sample->failure[0].put.ignore_value = true;
    sample->failure[0].put.ignore_lease = true;
    sample->op = txn(sample->compares, 2, sample->success, 4, sample->failure, 1);
}

static void each_request_comes_out_as_it_went_in(void **state) {
    (void)state;
    struct sample sample;
    sample_make(&sample);
    assert_round_trip(&sample.op);
    assert_round_trip(&sample.success[1]);
    assert_round_trip(&sample.success[2]);
    assert_round_trip(&sample.failure[0]);
    struct store_op compaction = compact_physical(-1);
    assert_round_trip(&compaction);
    compaction = compact(INT64_MAX);
    assert_round_trip(&compaction);
}

static void a_transaction_keeps_every_field(void **state) {
    (void)state;
    struct sample sample;
    sample_make(&sample);
    uint8_t *command;
    size_t size;
    struct store_op op;
    struct store_arena *arena;
    encode(&sample.op, &command, &size);
    assert_int_equal(store_decode(command, size, &op, &arena), LASH_OK);
    assert_int_equal(op.txn.compare_count, 2);
    assert_int_equal(op.txn.compares[0].result, STORE_NOT_EQUAL);
    assert_int_equal(op.txn.compares[0].target, STORE_COMPARE_VALUE);
    assert_bytes(op.txn.compares[0].key, bytes("k\0y", 3));
    assert_bytes(op.txn.compares[0].range_end, text("z"));
    assert_bytes(op.txn.compares[0].value, bytes("\0", 1));
    assert_true(op.txn.compares[1].number == INT64_MIN);
    const struct store_range *range = &op.txn.success[0].range;
    assert_true(range->limit == 1 && range->revision == -2 && range->keys_only && !range->count_only);
    assert_true(range->sort_order == STORE_SORT_DESCEND && range->sort_target == STORE_SORT_VALUE);
    assert_true(range->min_mod_revision == 3 && range->max_mod_revision == 4);
    assert_true(range->min_create_revision == 5 && range->max_create_revision == INT64_MAX);
    const struct store_put *first = &op.txn.success[1].put, *second = &op.txn.failure[0].put;
    assert_true(first->lease == 7 && first->prev_kv && !first->ignore_value && !first->ignore_lease);
    assert_true(!second->prev_kv && second->ignore_value && second->ignore_lease);
    assert_bytes(first->value, text("value"));
    assert_true(op.txn.success[2].delete_range.prev_kv);
    assert_bytes(op.txn.success[2].delete_range.range_end, text("to"));
    assert_bytes(op.txn.success[3].txn.failure[0].put.key, text("inner"));
    store_arena_free(arena);
    mem_free(command);
}

/* Decode a copy that ends where its block ends, so that a sanitizer sees any read behind it. */
static int decode_copy(const uint8_t *command, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, command, size);
    struct store_op op;
    struct store_arena *arena;
    int rc = store_decode(copy, size, &op, &arena);
    assert_true(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_VERSION);
    assert_true((rc == LASH_OK) == (arena != NULL));
    if (rc == LASH_OK) {
        uint8_t *again;
        size_t again_size;
        encode(&op, &again, &again_size);
        assert_bytes(bytes(again, again_size), bytes(copy, size));
        mem_free(again);
    }
    store_arena_free(arena);
    free(copy);
    return rc;
}

static void every_truncation_is_corrupt(void **state) {
    (void)state;
    struct sample sample;
    sample_make(&sample);
    uint8_t *command;
    size_t size;
    encode(&sample.op, &command, &size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(decode_copy(command, i), LASH_CORRUPT);
    assert_int_equal(decode_copy(command, size), LASH_OK);
    mem_free(command);
}

static void bytes_behind_the_end_are_corrupt(void **state) {
    (void)state;
    struct store_op op = put("a", "b");
    uint8_t *command, longer[64] = {0};
    size_t size;
    encode(&op, &command, &size);
    memcpy(longer, command, size);
    assert_int_equal(decode_copy(longer, size + 1), LASH_CORRUPT);
    mem_free(command);
}

static void flipped_bits_never_give_what_cannot_be_encoded(void **state) {
    (void)state;
    struct sample sample;
    sample_make(&sample);
    uint8_t *command;
    size_t size;
    encode(&sample.op, &command, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        command[bit / 8] ^= (uint8_t)(1 << bit % 8);
        decode_copy(command, size);
        command[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    mem_free(command);
}

static void random_bytes_and_many_flips_are_survived(void **state) {
    (void)state;
    const uint64_t seed = 20260801;
    print_message("seed %llu\n", (unsigned long long)seed);
    uint64_t random = seed;
    struct sample sample;
    sample_make(&sample);
    uint8_t *command;
    size_t size;
    encode(&sample.op, &command, &size);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    for (int round = 0; round < 50000; round++) {
        memcpy(copy, command, size);
        for (int flips = round % 7; flips >= 0; flips--) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            copy[(random >> 33) % size] = (uint8_t)(random >> 56);
        }
        decode_copy(copy, size);
        for (size_t i = 0; i < size && round % 10 == 0; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            copy[i] = i == 0 ? 1 : i == 1 ? (uint8_t)(1 + (random >> 40) % 5) : (uint8_t)((random >> 40) % 7);
        }
        decode_copy(copy, size);
    }
    free(copy);
    mem_free(command);
}

static void what_a_newer_version_wrote_is_told_apart(void **state) {
    (void)state;
    const uint8_t newer[] = {2, STORE_COMPACT, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const uint8_t unknown_type[] = {1, 9}, unknown_flag[] = {1, STORE_COMPACT, 0, 0, 0, 0, 0, 0, 0, 0, 2};
    const uint8_t no_version[] = {0, STORE_COMPACT, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(decode_copy(newer, sizeof newer), LASH_VERSION);
    assert_int_equal(decode_copy(unknown_type, sizeof unknown_type), LASH_VERSION);
    assert_int_equal(decode_copy(unknown_flag, sizeof unknown_flag), LASH_VERSION);
    assert_int_equal(decode_copy(no_version, sizeof no_version), LASH_CORRUPT);
    assert_int_equal(decode_copy(NULL, 0), LASH_CORRUPT);
}

/* Each level claims as many operations as there are bytes left for: the claims of all levels together are bounded. */
static void counts_cannot_claim_memory_over_and_over(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    uint8_t *command = calloc(1, SIZE);
    assert_non_null(command);
    command[0] = 1;
    for (size_t at = 1; at + 13 < 150 * 13; at += 13) {
        uint32_t count = SIZE / 20;
        command[at] = STORE_TXN;
        memcpy(command + at + 5, &count, sizeof count);
    }
    assert_int_equal(decode_copy(command, SIZE), LASH_CORRUPT);
    free(command);
}

static void a_nesting_without_end_is_refused(void **state) {
    (void)state;
    enum { LEVELS = 100000 };
    uint8_t *command = calloc(LEVELS, 13);
    assert_non_null(command);
    command[0] = 1;
    for (size_t i = 0; i < LEVELS - 1; i++) {
        command[1 + 13 * i] = STORE_TXN;
        command[1 + 13 * i + 5] = 1;
    }
    assert_int_equal(decode_copy(command, (size_t)LEVELS * 13), LASH_CORRUPT);
    free(command);
}

static void memory_that_runs_out_is_reported(void **state) {
    (void)state;
    struct sample sample;
    sample_make(&sample);
    uint8_t *command;
    size_t size;
    mem_fail_after(1);
    assert_int_equal(store_encode(&sample.op, &command, &size), LASH_NOMEM);
    encode(&sample.op, &command, &size);
    int rc = LASH_NOMEM;
    uint64_t n = 0;
    while (rc == LASH_NOMEM) {
        struct store_op op;
        struct store_arena *arena;
        mem_fail_after(++n);
        rc = store_decode(command, size, &op, &arena);
        mem_fail_after(0);
        assert_true(rc == LASH_OK ? arena != NULL : rc == LASH_NOMEM && arena == NULL);
        store_arena_free(arena);
    }
    assert_true(n > 2);
    mem_free(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_comes_out_as_it_went_in),
        cmocka_unit_test(a_transaction_keeps_every_field),
        cmocka_unit_test(every_truncation_is_corrupt),
        cmocka_unit_test(bytes_behind_the_end_are_corrupt),
        cmocka_unit_test(flipped_bits_never_give_what_cannot_be_encoded),
        cmocka_unit_test(random_bytes_and_many_flips_are_survived),
        cmocka_unit_test(what_a_newer_version_wrote_is_told_apart),
        cmocka_unit_test(counts_cannot_claim_memory_over_and_over),
        cmocka_unit_test(a_nesting_without_end_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
