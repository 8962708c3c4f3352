/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions in snapshots (S1: sessions included).
 */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 4096 };

struct medium {
    uint8_t bytes[BYTES_MAX];
    size_t size;
    size_t at;
    int error; /* of the next write or read */
};

static int medium_write(void *context, const void *data, size_t size) {
    struct medium *medium = context;
    assert_true(medium->size + size <= sizeof medium->bytes);
    memcpy(medium->bytes + medium->size, data, size);
    medium->size += size;
    return medium->error;
}

static int medium_read(void *context, void *data, size_t size, size_t *got) {
    struct medium *medium = context;
    size_t left = medium->size - medium->at;
    *got = size < left ? size : left;
    memcpy(data, medium->bytes + medium->at, *got);
    medium->at += *got;
    return medium->error;
}

/* Three sessions with replies, in another order than their ids'. */
static void fill(struct program *program) {
    int64_t sum;
    uint64_t sessions[3];
    program_open(program, false);
    for (size_t i = 0; i < 3; i++)
        sessions[i] = program_register(program, 0);
    assert_int_equal(program_add(program, sessions[2], 1, 1, 100, 5, &sum), 0);
    assert_int_equal(program_add(program, sessions[0], 4, 2, 200, 6, &sum), 0);
    assert_int_equal(program_add(program, sessions[0], 3, 2, 300, 7, &sum), 0);
    assert_int_equal(program_keep_alive(program, sessions[1], 9, 300), 0);
}

static void put(const struct program *program, struct medium *medium) {
    struct table_view *view;
    *medium = (struct medium){0};
    assert_int_equal(view_new(&program->sessions->table, &view), 0);
    assert_int_equal(view_write(view, &(struct view_sink){medium, medium_write}), 0);
    view_free(view);
}

static void a_restored_table_is_the_one_that_was_written(void **state) {
    (void)state;
    struct program program, other;
    struct medium medium;
    int64_t sum;
    fill(&program);
    put(&program, &medium);
    program_open(&other, false);
    (void)program_register(&other, 0); /* what was there before is gone */
    struct table table;
    table_init(&table);
    assert_int_equal(view_read(&table, &(struct view_source){&medium, medium_read}), 0);
    assert_int_equal(medium.at, medium.size);
    table_replace(&other.sessions->table, &table);
    table_clear(&table);
    assert_int_equal(program_table(&other), program_table(&program));
    assert_int_equal(program_counts(&other).sessions, 3);
    assert_int_equal(program_counts(&other).replies, 3);
    assert_int_equal(program_counts(&other).log_ms, 300);
    other.state = program.state;
    assert_int_equal(program_add(&other, 1, 4, 2, 300, 6, &sum), 0);
    assert_int_equal(sum, 11);
    assert_int_equal(other.state.count, program.state.count);
    /* the one silent for the longest makes room here, too */
    (void)program_register(&other, 0);
    (void)program_register(&other, 0);
    assert_int_equal(program_keep_alive(&other, 3, 1, 300), LASH_EXPIRED);
    program_close(&other);
    program_close(&program);
}

static void a_view_stays_what_it_was_while_commands_go_on(void **state) {
    (void)state;
    struct program program;
    struct medium before, after;
    struct table_view *view;
    int64_t sum;
    fill(&program);
    put(&program, &before);
    assert_int_equal(view_new(&program.sessions->table, &view), 0);
    assert_int_equal(program_add(&program, 1, 5, 5, 400, 1, &sum), 0);
    struct session_command close = {.kind = COMMAND_CLOSE, .session = 3};
    struct session_result result;
    assert_int_equal(program_give(&program, &close, &result), 0);
    after = (struct medium){0};
    assert_int_equal(view_write(view, &(struct view_sink){&after, medium_write}), 0);
    program_close(&program);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.bytes, before.bytes, before.size);
    view_free(view);
}

static void a_snapshot_that_ends_early_is_corrupt_and_an_error_is_handed_on(void **state) {
    (void)state;
    struct program program;
    struct medium medium;
    fill(&program);
    put(&program, &medium);
    size_t whole = medium.size;
    for (medium.size = 0; medium.size < whole; medium.size++) {
        struct table table;
        table_init(&table);
        medium.at = 0;
        assert_int_equal(view_read(&table, &(struct view_source){&medium, medium_read}), LASH_CORRUPT);
        table_clear(&table);
    }
    struct table table;
    table_init(&table);
    medium.at = 0;
    medium.error = LASH_IO;
    assert_int_equal(view_read(&table, &(struct view_source){&medium, medium_read}), LASH_IO);
    table_clear(&table);
    struct table_view *view;
    assert_int_equal(view_new(&program.sessions->table, &view), 0);
    medium.size = 0;
    medium.error = LASH_FULL;
    assert_int_equal(view_write(view, &(struct view_sink){&medium, medium_write}), LASH_FULL);
    view_free(view);
    program_close(&program);
}

static void a_size_beyond_all_bounds_is_corrupt(void **state) {
    (void)state;
    struct program program;
    struct medium medium;
    fill(&program);
    put(&program, &medium);
    struct table table;
    table_init(&table);
    medium.bytes[ROW_TABLE_SIZE + 4 + 6] = 1;
    assert_int_equal(view_read(&table, &(struct view_source){&medium, medium_read}), LASH_CORRUPT);
    table_clear(&table);
    program_close(&program);
}

static void whatever_allocation_fails_nothing_is_half_done(void **state) {
    (void)state;
    struct program program;
    struct medium medium;
    fill(&program);
    put(&program, &medium);
    int error = LASH_NOMEM;
    uint64_t n = 0;
    while (error) {
        struct table_view *view;
        struct medium other = {0};
        mem_fail_after(++n);
        error = view_new(&program.sessions->table, &view);
        if (!error) {
            error = view_write(view, &(struct view_sink){&other, medium_write});
            view_free(view);
        }
        mem_fail_after(0);
        assert_true(error == 0 || error == LASH_NOMEM);
    }
    assert_int_equal(n, 11); /* the view, two for each session, and one to write each */
    for (error = LASH_NOMEM, n = 0; error;) {
        struct table table;
        table_init(&table);
        medium.at = 0;
        mem_fail_after(++n);
        error = view_read(&table, &(struct view_source){&medium, medium_read});
        mem_fail_after(0);
        assert_true(error == 0 || error == LASH_NOMEM);
        table_clear(&table);
    }
    assert_true(n > 9);
    program_close(&program);
}

static int nothing_begun(void *context, lash_index index, void **view) {
    (void)context;
    (void)index;
    *view = NULL;
    return 0;
}

static int nothing_applied(void *context, const struct lash_command *command, struct lash_reply *reply) {
    (void)context;
    (void)command;
    (void)reply;
    return 0;
}

static void snapshots_take_all_four_functions_or_none(void **state) {
    (void)state;
    lash_sessions *sessions;
    struct lash_session_machine machine = {.apply = nothing_applied, .snapshot_begin = nothing_begun};
    assert_int_equal(lash_sessions_new(&machine, &sessions), LASH_INVALID);
    machine.snapshot_begin = NULL;
    assert_int_equal(lash_sessions_new(&machine, &sessions), 0);
    struct lash_state_machine without = lash_sessions_machine(sessions);
    assert_true(!without.snapshot_begin && !without.snapshot_write && !without.snapshot_end && !without.restore);
    lash_sessions_free(sessions);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_table_is_the_one_that_was_written),
        cmocka_unit_test(a_view_stays_what_it_was_while_commands_go_on),
        cmocka_unit_test(a_snapshot_that_ends_early_is_corrupt_and_an_error_is_handed_on),
        cmocka_unit_test(a_size_beyond_all_bounds_is_corrupt),
        cmocka_unit_test(whatever_allocation_fails_nothing_is_half_done),
        cmocka_unit_test(snapshots_take_all_four_functions_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
