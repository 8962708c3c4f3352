/* SPDX-License-Identifier: Apache-2.0
 *
 * Random requests over a small set of keys, among them empty-looking ones, prefixes of
 * each other, and long ones that are equal up to the bytes around each chunk's end.
 */
#include "generate.h"

#include "harness.h"
#include "store/index.h"

/* splitmix64 */
static uint64_t generate_next(struct generator *generator) {
    uint64_t z = generator->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t generate_below(struct generator *generator, uint64_t bound) {
    return generate_next(generator) % bound;
}

static bool generate_one_in(struct generator *generator, uint64_t n) {
    return generate_below(generator, n) == 0;
}

static uint8_t *generate_room(struct store_arena *arena, size_t size) {
    uint8_t *room = arena_calloc(arena, size, 1);
    assert_non_null(room);
    return room;
}

/* A long key: one letter over and over, and something else at its end. */
static struct store_bytes generate_long_key(struct generator *generator, struct store_arena *arena) {
    size_t chunks = 1 + generate_below(generator, 4);
    size_t size = chunks * INDEX_CHUNK - 2 + generate_below(generator, 5);
    uint8_t *key = generate_room(arena, size);
    memset(key, generate_one_in(generator, 4) ? 0xff : 'L', size);
    static const uint8_t ends[] = {0, 1, 'L', 0xff};
    key[size - 1] = ends[generate_below(generator, sizeof ends)];
    if (generate_one_in(generator, 3))
        key[INDEX_CHUNK / 2] = 'K';
    return bytes(key, size);
}

static struct store_bytes generate_key(struct generator *generator, struct store_arena *arena) {
    if (generate_one_in(generator, 4))
        return generate_long_key(generator, arena);
    static const uint8_t letters[] = {0, 'a', 'b', 0xff};
    size_t size = 1 + generate_below(generator, 3);
    uint8_t *key = generate_room(arena, size);
    for (size_t i = 0; i < size; i++)
        key[i] = letters[generate_below(generator, sizeof letters)];
    return bytes(key, size);
}

static struct store_bytes generate_end(struct generator *generator, struct store_arena *arena) {
    switch (generate_below(generator, 4)) {
    case 0:
        return everything_end;
    case 1:
        return generate_key(generator, arena);
    default:
        return (struct store_bytes){0};
    }
}

static struct store_bytes generate_value(struct generator *generator, struct store_arena *arena) {
    size_t size = generate_one_in(generator, 30) ? generate_below(generator, 10000) : generate_below(generator, 4);
    uint8_t *value = generate_room(arena, size);
    memset(value, (int)('0' + generate_below(generator, 4)), size);
    return bytes(value, size);
}

/* Mostly the present; sometimes a revision that was, was compacted, or is still to come. */
static int64_t generate_revision(struct generator *generator, int64_t revision) {
    return generate_one_in(generator, 2) ? 0 : (int64_t)generate_below(generator, (uint64_t)revision + 3) - 1;
}

struct store_op generate_range(struct generator *generator, struct store_arena *arena, int64_t revision) {
    struct store_op op = {.type = STORE_RANGE};
    struct store_range *range = &op.range;
    range->key = generate_key(generator, arena);
    range->range_end = generate_one_in(generator, 3) ? (struct store_bytes){0} : generate_end(generator, arena);
    range->limit = generate_one_in(generator, 2) ? (int64_t)generate_below(generator, 8) : 0;
    range->revision = generate_revision(generator, revision);
    range->sort_order = (int)generate_below(generator, 3);
    range->sort_target = (int)generate_below(generator, 5);
    range->keys_only = generate_one_in(generator, 4);
    range->count_only = generate_one_in(generator, 6);
    int64_t *filters[] = {&range->min_mod_revision, &range->max_mod_revision, &range->min_create_revision,
                          &range->max_create_revision};
    for (size_t i = 0; i < TXN_COUNT(filters); i++)
        *filters[i] = generate_one_in(generator, 10) ? (int64_t)generate_below(generator, (uint64_t)revision + 1) : 0;
    return op;
}

static struct store_op generate_put(struct generator *generator, struct store_arena *arena) {
    struct store_op op = {.type = STORE_PUT};
    op.put.key = generate_key(generator, arena);
    op.put.ignore_value = generate_one_in(generator, 10);
    op.put.ignore_lease = generate_one_in(generator, 10);
    op.put.prev_kv = generate_one_in(generator, 3);
    op.put.lease = !op.put.ignore_lease && generate_one_in(generator, 50) ? 7 : 0;
    if (!op.put.ignore_value)
        op.put.value = generate_value(generator, arena);
    return op;
}

static struct store_op generate_delete(struct generator *generator, struct store_arena *arena) {
    struct store_op op = {.type = STORE_DELETE};
    op.delete_range.key = generate_key(generator, arena);
    op.delete_range.range_end = generate_end(generator, arena);
    op.delete_range.prev_kv = generate_one_in(generator, 3);
    /* Not everything too often, or there is never much to look at. */
    if (op.delete_range.range_end.size == 1 && generate_one_in(generator, 2))
        op.delete_range.range_end = (struct store_bytes){0};
    return op;
}

static struct store_compare generate_compare(struct generator *generator, struct store_arena *arena, int64_t revision) {
    struct store_compare compare = {
        .result = (int)generate_below(generator, 4),
        .target = (int)generate_below(generator, 5),
        .key = generate_key(generator, arena),
        .range_end = generate_end(generator, arena),
    };
    if (compare.target == STORE_COMPARE_VALUE)
        compare.value = generate_value(generator, arena);
    else if (!generate_one_in(generator, 3))
        compare.number = (int64_t)generate_below(generator, (uint64_t)revision + 1);
    return compare;
}

static const struct store_op *generate_list(struct generator *generator, struct store_arena *arena, int64_t revision,
                                            int depth, size_t *count) {
    *count = generate_below(generator, 5);
    struct store_op *ops = arena_calloc(arena, *count, sizeof *ops);
    assert_non_null(ops);
    for (size_t i = 0; i < *count; i++) {
        uint64_t kind = generate_below(generator, 10);
        ops[i] = kind < 4                ? generate_put(generator, arena)
                 : kind < 6              ? generate_delete(generator, arena)
                 : kind < 8 || depth > 2 ? generate_range(generator, arena, revision)
                                         : generate_txn(generator, arena, revision, depth + 1);
        if (ops[i].type == STORE_RANGE && !generate_one_in(generator, 5))
            ops[i].range.revision = 0;
    }
    return ops;
}

struct store_op generate_txn(struct generator *generator, struct store_arena *arena, int64_t revision, int depth) {
    struct store_op op = {.type = STORE_TXN};
    op.txn.compare_count = generate_below(generator, 3);
    struct store_compare *compares = arena_calloc(arena, op.txn.compare_count, sizeof *compares);
    assert_non_null(compares);
    for (size_t i = 0; i < op.txn.compare_count; i++)
        compares[i] = generate_compare(generator, arena, revision);
    op.txn.compares = compares;
    op.txn.success = generate_list(generator, arena, revision, depth, &op.txn.success_count);
    op.txn.failure = generate_list(generator, arena, revision, depth, &op.txn.failure_count);
    return op;
}

struct store_op generate_command(struct generator *generator, struct store_arena *arena, int64_t revision) {
    uint64_t kind = generate_below(generator, 100);
    if (kind < 45)
        return generate_put(generator, arena);
    if (kind < 60)
        return generate_delete(generator, arena);
    if (kind < 63)
        return (struct store_op){.type = STORE_COMPACT,
                                 .compaction = {.revision = generate_revision(generator, revision),
                                                .physical = generate_one_in(generator, 3)}};
    struct store_op op;
    do
        op = generate_txn(generator, arena, revision, 0);
    while (store_check(&op, SIZE_MAX) != STORE_OK);
    return op;
}
