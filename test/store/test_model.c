/* SPDX-License-Identifier: Apache-2.0
 *
 * Thousands of random requests, to the store and to a plain model of it: every answer
 * must be the same, through compactions, restarts and any cut into batches.
 *
 *   test_store_model [SEED [STEPS]]   repeats one seed
 */
#include "harness.h"

#include <stdlib.h>

#include "base/buf.h"
#include "generate.h"
#include "images.h"
#include "model.h"

enum { STEPS = 1500, BATCH_MAX = 8, COMPARE_READS = 4 };

static uint64_t only_seed;
static uint64_t steps = STEPS;

struct run {
    struct generator generator;
    struct harness harness;
    struct model model;
};

/* Apply a few commands as one batch and compare what those that ask are told. */
static void run_batch(struct run *run) {
    struct store_arena *arena = arena_new();
    assert_non_null(arena);
    size_t count = 1 + generate_below(&run->generator, BATCH_MAX);
    struct lash_command commands[BATCH_MAX];
    struct store_result expected[BATCH_MAX], actual[BATCH_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        uint8_t *encoded;
        struct store_op op = generate_command(&run->generator, arena, run->model.revision);
        model_run(&run->model, &op, arena, &expected[i]);
        commands[i] = (struct lash_command){.index = run->harness.next++, .term = 1};
        commands[i].request = generate_below(&run->generator, 5) ? &actual[i] : NULL;
        assert_int_equal(store_encode(&op, &encoded, &commands[i].size), LASH_OK);
        commands[i].data = encoded;
    }
    struct lash_state_machine machine = store_machine(run->harness.store);
    assert_int_equal(machine.apply(machine.context, commands, count, run->harness.next - 1), LASH_OK);
    for (size_t i = 0; i < count; i++) {
        if (commands[i].request)
            model_compare(&actual[i], &expected[i]);
        store_result_free(&actual[i]);
        mem_free((void *)(uintptr_t)commands[i].data);
    }
    store_arena_free(arena);
}

static void run_read(struct run *run) {
    struct store_arena *arena = arena_new();
    assert_non_null(arena);
    struct store_op op = generate_range(&run->generator, arena, run->model.revision);
    struct store_result expected;
    model_run(&run->model, &op, arena, &expected);
    harness_read(&run->harness, op);
    model_compare(&run->harness.got, &expected);
    store_arena_free(arena);
}

static void run_reopen(struct run *run) {
    lash_index applied = run->harness.next - 1;
    harness_close(&run->harness);
    harness_open(&run->harness);
    assert_int_equal(run->harness.applied, applied);
}

/* Go on with what a snapshot holds, as a replica that was sent it does. */
static void run_restore(struct run *run) {
    struct image_bytes bytes;
    image_bytes_init(&bytes);
    assert_int_equal(image_save(&run->harness, &bytes), LASH_OK);
    assert_int_equal(image_load(&run->harness, &bytes, run->harness.next - 1), LASH_OK);
    image_bytes_free(&bytes);
}

/* Remove all that is compacted: exactly what the model would keep must be left. */
static void run_settle(struct run *run) {
    struct store_arena *arena = arena_new();
    assert_non_null(arena);
    struct store_op op = compact_physical(run->model.revision);
    struct store_result expected;
    model_run(&run->model, &op, arena, &expected);
    harness_apply(&run->harness, op);
    model_compare(&run->harness.got, &expected);
    store_arena_free(arena);
    audit(&run->harness);
    if (!run->harness.got.error)
        assert_int_equal(audit_records(&run->harness), model_records(&run->model));
}

static void run_seed(uint64_t seed) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct run run = {.generator = {.state = seed}};
    model_init(&run.model);
    harness_make(&run.harness);
    harness_open(&run.harness);
    for (uint64_t step = 0; step < steps; step++) {
        run_batch(&run);
        for (int i = 0; i < COMPARE_READS; i++)
            run_read(&run);
        uint64_t event = generate_below(&run.generator, 300);
        if (event == 0)
            run_reopen(&run);
        else if (event == 1)
            run_settle(&run);
        else if (event < 5)
            audit(&run.harness);
        else if (event < 9)
            run_restore(&run);
    }
    run_settle(&run);
    harness_close(&run.harness);
    harness_remove(&run.harness);
    model_free(&run.model);
}

static void the_store_answers_as_the_model_does(void **state) {
    (void)state;
    if (only_seed) {
        run_seed(only_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_seed(seed);
}

/* The quick check of the store against every pair of operations. */
static void overlaps_are_found_as_by_comparing_all_pairs(void **state) {
    (void)state;
    struct generator generator = {.state = only_seed ? only_seed : 11};
    print_message("seed %llu\n", (unsigned long long)generator.state);
    size_t refused = 0;
    for (int i = 0; i < 3000; i++) {
        struct store_arena *arena = arena_new();
        assert_non_null(arena);
        struct store_op op = generate_txn(&generator, arena, 10, 0);
        enum store_error error = store_check(&op, SIZE_MAX);
        assert_int_equal(error, model_overlaps(&op.txn) ? STORE_DUPLICATE_KEY : STORE_OK);
        refused += error != STORE_OK;
        store_arena_free(arena);
    }
    assert_in_range(refused, 100, 2900);
}

int main(int argc, char **argv) {
    only_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
    steps = argc > 2 ? strtoull(argv[2], NULL, 0) : STEPS;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_answers_as_the_model_does),
        cmocka_unit_test(overlaps_are_found_as_by_comparing_all_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
