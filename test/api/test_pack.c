/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers packed by hand are, byte for byte, those that protobuf-c packs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/message.h"
#include "api/pack.h"

enum { ROUNDS = 20000, KVS_MAX = 5, BYTES_MAX = 40000 };

static uint64_t seed;

static uint64_t any(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t any_below(uint64_t bound) {
    return (any() >> 8) % bound;
}

/* Of any length in bits, 0 among them. */
static uint64_t any_number(void) {
    uint64_t bits = any_below(65);
    return bits ? any() >> (64 - bits) : 0;
}

static struct store_bytes any_bytes(void) {
    static uint8_t bytes[BYTES_MAX];
    static const size_t bounds[] = {1, 130, 20000}; /* lengths around 128 and 16384 take a byte more */
    size_t size = any_below(bounds[any_below(3)]);
    size_t at = any_below(BYTES_MAX - size);
    bytes[at] = (uint8_t)any();
    return (struct store_bytes){.data = bytes + at, .size = size};
}

static struct store_kv any_kv(void) {
    return (struct store_kv){.key = any_bytes(),
                             .value = any_bytes(),
                             .create_revision = (int64_t)any_number(),
                             .mod_revision = (int64_t)any_number(),
                             .version = (int64_t)any_number(),
                             .lease = (int64_t)any_number()};
}

static void assert_packed_alike(const struct store_result *result, const struct convert_header *header) {
    struct store_arena *arena = arena_new();
    assert_non_null(arena);
    struct buf *expected = message_encode(convert_answer(result, header, arena));
    struct buf *packed = pack_answer(result, header);
    assert_non_null(expected);
    assert_non_null(packed);
    assert_int_equal(packed->size, expected->size);
    assert_memory_equal(packed->data, expected->data, expected->size);
    buf_unref(packed);
    buf_unref(expected);
    store_arena_free(arena);
}

static void answers_are_packed_as_protobuf_has_it(void **state) {
    (void)state;
    seed = (uint64_t)time(NULL) * 2654435761u | 1;
    print_message("seed %" PRIu64 "\n", seed);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct store_kv kvs[KVS_MAX];
        struct convert_header header = {.cluster_id = any_number(),
                                        .member_id = any_number(),
                                        .revision = (int64_t)any_number(),
                                        .term = any_number()};
        size_t count = any_below(KVS_MAX + 1);
        for (size_t i = 0; i < count; i++)
            kvs[i] = any_kv();
        struct store_result result = {.error = STORE_OK};
        if (any_below(2)) {
            result.op.type = STORE_RANGE;
            result.op.range = (struct store_range_result){
                .kvs = kvs, .kv_count = count, .more = any_below(2), .count = (int64_t)any_number()};
        } else {
            result.op.type = STORE_PUT;
            result.op.put.prev_kv = count ? kvs : NULL;
        }
        assert_packed_alike(&result, &header);
    }
}

static void other_answers_are_left_to_protobuf(void **state) {
    (void)state;
    assert_true(pack_knows(STORE_RANGE));
    assert_true(pack_knows(STORE_PUT));
    for (int type = STORE_DELETE; type <= STORE_RAISE; type++)
        assert_false(pack_knows((enum store_op_type)type));
}

static void without_memory_nothing_is_packed(void **state) {
    (void)state;
    struct store_result result = {.error = STORE_OK, .op = {.type = STORE_RANGE}};
    struct convert_header header = {.revision = 1};
    mem_fail_after(1);
    assert_null(pack_answer(&result, &header));
    mem_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_packed_as_protobuf_has_it),
        cmocka_unit_test(other_answers_are_left_to_protobuf),
        cmocka_unit_test(without_memory_nothing_is_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
