/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions in front of a program: what is applied, what is answered
 * with a reply of before, and what is refused (D§6.3).
 */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void a_command_that_comes_twice_is_applied_once_and_answered_the_same(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 5, &sum), 0);
    assert_int_equal(program_add(&program, session, 2, 1, 0, 7, &sum), 0);
    assert_int_equal(sum, 12);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 5, &sum), 0);
    assert_int_equal(sum, 5);
    assert_int_equal(program.state.count, 2);
    assert_int_equal(program_counts(&program).repeated, 1);
    assert_int_equal(program_counts(&program).applied, 2);
    program_close(&program);
}

static void commands_of_one_session_may_come_in_any_order(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    for (uint64_t sequence = 8; sequence >= 1; sequence--)
        assert_int_equal(program_add(&program, session, sequence, 1, 0, 1, &sum), 0);
    assert_int_equal(sum, 8);
    for (uint64_t sequence = 1; sequence <= 8; sequence++) {
        assert_int_equal(program_add(&program, session, sequence, 1, 0, 1, &sum), 0);
        assert_int_equal(sum, 9 - sequence);
    }
    assert_int_equal(program.state.count, 8);
    program_close(&program);
}

static void sessions_do_not_take_one_anothers_numbers_for_theirs(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t first = program_register(&program, 0);
    uint64_t second = program_register(&program, 0);
    assert_int_not_equal(first, second);
    assert_int_equal(program_add(&program, first, 1, 1, 0, 1, &sum), 0);
    assert_int_equal(program_add(&program, second, 1, 1, 0, 10, &sum), 0);
    assert_int_equal(sum, 11);
    program_close(&program);
}

/* The schedule that breaks it otherwise: an attempt is held up in the log of a leader that lost its office; a second one is answered, and the
 * client says so; then the first one is committed after all. */
static void an_attempt_that_comes_after_its_reply_was_let_go_of_is_refused(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 5, &sum), 0);
    assert_int_equal(program_counts(&program).replies, 1);
    assert_int_equal(program_counts(&program).reply_bytes, 8);
    assert_int_equal(program_keep_alive(&program, session, 2, 0), 0);
    assert_int_equal(program_counts(&program).replies, 0);
    assert_int_equal(program_counts(&program).reply_bytes, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 5, &sum), LASH_EXPIRED);
    assert_int_equal(program.state.count, 1);
    program_close(&program);
}

static void what_a_client_no_longer_waits_for_never_comes_back(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 5, 5, 0, 1, &sum), 0);
    /* one that never was applied, and a lower number that an older attempt still waited for */
    assert_int_equal(program_add(&program, session, 3, 3, 0, 1, &sum), LASH_EXPIRED);
    assert_int_equal(program_add(&program, session, 4, 1, 0, 1, &sum), LASH_EXPIRED);
    assert_int_equal(program_add(&program, session, 5, 5, 0, 1, &sum), 0);
    assert_int_equal(program.state.count, 1);
    program_close(&program);
}

static void commands_beyond_the_window_wait(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 8, 1, 0, 1, &sum), 0);
    assert_int_equal(program_add(&program, session, 9, 1, 0, 1, &sum), LASH_BUSY);
    assert_int_equal(program_add(&program, session, UINT64_MAX, 1, 0, 1, &sum), LASH_BUSY);
    assert_int_equal(program_add(&program, session, 9, 2, 0, 1, &sum), 0);
    assert_int_equal(program.state.count, 2);
    program_close(&program);
}

static void a_reply_that_is_too_large_is_refused_and_not_cut(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    program.reply_size = 100;
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 1, &sum), 0);
    assert_int_equal(program.reply_error, LASH_TOO_LARGE);
    assert_int_equal(program_counts(&program).reply_bytes, program_limits.reply_bytes_max);
    program_close(&program);
}

/* ---- Ends of sessions ---------------------------------------------------------------------------------- */

static void a_session_that_was_never_registered_is_refused(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session + 1, 1, 1, 0, 1, &sum), LASH_EXPIRED);
    assert_int_equal(program_keep_alive(&program, session - 1 ? session - 1 : 77, 1, 0), LASH_EXPIRED);
    assert_int_equal(program.state.count, 0);
    assert_int_equal(program_counts(&program).refused, 1);
    program_close(&program);
}

static void a_closed_session_is_refused(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 1, &sum), 0);
    struct session_command command = {.kind = COMMAND_CLOSE, .session = session};
    struct session_result result;
    assert_int_equal(program_give(&program, &command, &result), 0);
    assert_int_equal(result.error, 0);
    assert_int_equal(program_counts(&program).sessions, 0);
    assert_int_equal(program_counts(&program).replies, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 0, 1, &sum), LASH_EXPIRED);
    assert_int_equal(program.state.count, 1);
    program_close(&program);
}

static void a_session_ends_when_the_log_says_that_its_time_is_over(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t silent = program_register(&program, 0);
    uint64_t speaker = program_register(&program, 0);
    assert_int_equal(program_add(&program, silent, 1, 1, 100, 1, &sum), 0);
    for (uint64_t ms = 400; ms <= 1000; ms += 300)
        assert_int_equal(program_keep_alive(&program, speaker, 1, ms), 0);
    assert_int_equal(program_keep_alive(&program, speaker, 1, 1099), 0);
    assert_int_equal(program_counts(&program).sessions, 2);
    assert_int_equal(program_keep_alive(&program, speaker, 1, 1100), 0);
    assert_int_equal(program_counts(&program).sessions, 1);
    assert_int_equal(program_counts(&program).expired, 1);
    assert_int_equal(program_add(&program, silent, 1, 1, 1100, 1, &sum), LASH_EXPIRED);
    assert_int_equal(program.state.count, 1);
    program_close(&program);
}

static void every_word_of_a_session_keeps_it_alive(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, false);
    uint64_t speaker = program_register(&program, 0);
    uint64_t repeater = program_register(&program, 0);
    for (uint64_t ms = 100; ms <= 5000; ms += 300) {
        assert_int_equal(program_keep_alive(&program, speaker, 1, ms), 0);
        assert_int_equal(program_add(&program, repeater, 1, 1, ms, 1, &sum), 0);
    }
    assert_int_equal(program.state.count, 1);
    program_close(&program);
}

static void one_stamp_that_leaps_ends_nobody_who_speaks_in_time(void **state) {
    (void)state;
    struct program program;
    program_open(&program, false);
    uint64_t first = program_register(&program, 0);
    uint64_t second = program_register(&program, 0);
    assert_int_equal(program_keep_alive(&program, first, 1, UINT64_MAX), 0);
    assert_int_equal(program_counts(&program).log_ms, program_limits.timeout_ms / 2);
    assert_int_equal(program_keep_alive(&program, second, 1, 10), 0);
    assert_int_equal(program_keep_alive(&program, first, 1, UINT64_MAX), 0);
    assert_int_equal(program_keep_alive(&program, second, 1, 20), 0);
    assert_int_equal(program_counts(&program).sessions, 2);
    program_close(&program);
}

static void the_logs_time_never_falls(void **state) {
    (void)state;
    struct program program;
    program_open(&program, false);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_keep_alive(&program, session, 1, 400), 0);
    assert_int_equal(program_keep_alive(&program, session, 1, 300), 0);
    assert_int_equal(program_counts(&program).log_ms, 400);
    program_close(&program);
}

static void the_one_silent_for_the_longest_makes_room(void **state) {
    (void)state;
    struct program program;
    uint64_t sessions[5];
    program_open(&program, false);
    for (size_t i = 0; i < 4; i++)
        sessions[i] = program_register(&program, 0);
    assert_int_equal(program_keep_alive(&program, sessions[0], 1, 0), 0);
    sessions[4] = program_register(&program, 0);
    assert_int_equal(program_counts(&program).sessions, program_limits.sessions_max);
    assert_int_equal(program_counts(&program).evicted, 1);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(program_keep_alive(&program, sessions[i], 1, 0), i == 1 ? LASH_EXPIRED : 0);
    program_close(&program);
}

static void the_limits_of_the_latest_registration_hold(void **state) {
    (void)state;
    struct program program;
    program_open(&program, false);
    for (size_t i = 0; i < 4; i++)
        (void)program_register(&program, 0);
    struct session_command command = {.kind = COMMAND_REGISTER, .limits = program_limits};
    struct session_result result;
    command.limits.sessions_max = 2;
    assert_int_equal(program_give(&program, &command, &result), 0);
    assert_int_equal(program_counts(&program).sessions, 2);
    assert_int_equal(program_counts(&program).evicted, 3);
    program_close(&program);
}

/* ---- Errors --------------------------------------------------------------------------------------------- */

static void what_is_no_command_of_sessions_stops_the_machine(void **state) {
    (void)state;
    struct program program;
    program_open(&program, false);
    struct lash_state_machine machine = lash_sessions_machine(program.sessions);
    struct lash_command raw = {.index = 1, .data = "12345678", .size = 8};
    assert_int_equal(machine.apply(machine.context, &raw, 1, 1), LASH_CORRUPT);
    uint8_t newer[COMMAND_HEAD_SIZE] = {COMMAND_VERSION + 1};
    raw = (struct lash_command){.index = 1, .data = newer, .size = sizeof newer};
    assert_int_equal(machine.apply(machine.context, &raw, 1, 1), LASH_VERSION);
    program_close(&program);
}

static void a_machine_without_apply_is_refused(void **state) {
    (void)state;
    lash_sessions *sessions;
    const struct lash_session_machine nothing = {0};
    assert_int_equal(lash_sessions_new(&nothing, &sessions), LASH_INVALID);
    assert_int_equal(lash_sessions_new(NULL, &sessions), LASH_INVALID);
    lash_sessions_free(NULL);
}

/* Whatever allocation fails, the machine says so, and nothing leaks. */
static void a_command_without_memory_stops_the_machine(void **state) {
    (void)state;
    int error = LASH_NOMEM;
    for (uint64_t n = 1; error; n++) {
        struct program program;
        program_open(&program, true);
        program.reply_size = 40;
        uint64_t session = program_register(&program, 0);
        int64_t number = 4;
        struct session_command command = {.kind = COMMAND_APPLY,
                                          .session = session,
                                          .sequence = 1,
                                          .lowest = 1,
                                          .data = (const uint8_t *)&number,
                                          .size = sizeof number};
        struct session_result result;
        mem_fail_after(n);
        error = program_give(&program, &command, &result);
        mem_fail_after(0);
        assert_true(error == 0 || error == LASH_NOMEM);
        assert_true(error != 0 || n > 4); /* the reply, twice, its place in the session, and two for rows */
        buf_unref(result.reply);
        program_close(&program);
    }
}

/* ---- Batches that have to wait for room ------------------------------------------------------------------- */

enum { BATCH = 6 };

struct batch {
    uint8_t bytes[BATCH][COMMAND_HEAD_SIZE + sizeof(int64_t)];
    struct session_result results[BATCH];
    struct lash_command commands[BATCH];
};

/* Six additions of a session, of which the fourth repeats the second. */
static void batch_make(struct batch *batch, uint64_t session, lash_index first) {
    static const uint64_t sequences[BATCH] = {1, 2, 3, 2, 4, 5};
    memset(batch, 0, sizeof *batch);
    for (size_t i = 0; i < BATCH; i++) {
        int64_t number = 1 << sequences[i];
        struct session_command command = {
            .kind = COMMAND_APPLY, .session = session, .sequence = sequences[i], .lowest = 1, .stamp_ms = 10 * i};
        size_t size = command_encode(&command, batch->bytes[i]);
        memcpy(batch->bytes[i] + size, &number, sizeof number);
        batch->commands[i] = (struct lash_command){
            .index = first + i, .data = batch->bytes[i], .size = sizeof batch->bytes[i], .request = &batch->results[i]};
    }
}

static int64_t batch_sum(const struct batch *batch, size_t i) {
    int64_t sum;
    assert_non_null(batch->results[i].reply);
    memcpy(&sum, batch->results[i].reply->data, sizeof sum);
    return sum;
}

static void batch_free(struct batch *batch) {
    for (size_t i = 0; i < BATCH; i++)
        buf_unref(batch->results[i].reply);
}

/* The batch meets with a full disk once, in the apply after `fail_at` or in the commit; brought again it gives the same table and state
 * as without. */
static void batch_meets_a_full_disk(bool on_disk, uint64_t fail_at) {
    uint64_t tables[2];
    for (int full = 0; full < 2; full++) {
        struct program program;
        struct batch batch;
        program_open(&program, on_disk);
        uint64_t session = program_register(&program, 0);
        program.saved = program.state;
        batch_make(&batch, session, program.state.applied + 1);
        struct lash_state_machine machine = lash_sessions_machine(program.sessions);
        if (full) {
            program.fail_at = fail_at;
            program.fail_with = LASH_FULL;
            program.commit_error = fail_at ? 0 : LASH_FULL;
            assert_int_equal(machine.apply(machine.context, batch.commands, BATCH, 20), LASH_FULL);
            if (on_disk)
                program.state = program.saved;
            for (size_t i = 0; i < BATCH; i++)
                batch.commands[i].request = NULL;
        }
        assert_int_equal(machine.apply(machine.context, batch.commands, BATCH, 20), 0);
        assert_int_equal(program.state.sum, 2 + 4 + 8 + 16 + 32);
        assert_int_equal(program.state.count, 5);
        if (!full) {
            assert_int_equal(batch_sum(&batch, 3), batch_sum(&batch, 1));
            assert_int_equal(batch_sum(&batch, 5), 62);
        }
        tables[full] = program_table(&program);
        if (on_disk) {
            program_restart(&program);
            assert_int_equal(program_table(&program), tables[full]);
        }
        int64_t sum;
        program.state.applied = 20;
        assert_int_equal(program_add(&program, session, 3, 1, 100, 8, &sum), 0);
        assert_int_equal(sum, 14);
        batch_free(&batch);
        program_close(&program);
    }
    assert_int_equal(tables[0], tables[1]);
}

static void a_batch_that_waits_for_room_is_applied_once(void **state) {
    (void)state;
    for (uint64_t fail_at = 1; fail_at <= 5; fail_at++) {
        batch_meets_a_full_disk(false, fail_at);
        batch_meets_a_full_disk(true, fail_at);
    }
    batch_meets_a_full_disk(true, 0);
}

/* ---- Rows -------------------------------------------------------------------------------------------------- */

static void a_program_on_disk_knows_after_a_restart_what_it_applied(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, true);
    uint64_t first = program_register(&program, 0);
    uint64_t second = program_register(&program, 0);
    uint64_t third = program_register(&program, 0);
    assert_int_equal(program_add(&program, first, 1, 1, 300, 5, &sum), 0);
    assert_int_equal(program_add(&program, second, 2, 1, 300, 6, &sum), 0);
    assert_int_equal(program_add(&program, second, 1, 1, 300, 7, &sum), 0);
    assert_int_equal(program_keep_alive(&program, first, 1, 700), 0);
    assert_int_equal(program_keep_alive(&program, first, 1, 1050), 0);
    assert_int_equal(program.row_count, 3); /* the table's, and those of two sessions: the third is over */
    uint64_t table = program_table(&program);
    program_restart(&program);
    assert_int_equal(program_table(&program), table);
    assert_int_equal(program_add(&program, first, 1, 1, 1050, 5, &sum), 0);
    assert_int_equal(sum, 5);
    assert_int_equal(program_add(&program, second, 2, 1, 1050, 6, &sum), 0);
    assert_int_equal(sum, 11);
    assert_int_equal(program_keep_alive(&program, third, 1, 1050), LASH_EXPIRED);
    assert_int_equal(program.state.sum, 18);
    program_close(&program);
}

static void the_order_of_silence_survives_a_restart(void **state) {
    (void)state;
    struct program program;
    uint64_t sessions[4];
    program_open(&program, true);
    for (size_t i = 0; i < 4; i++)
        sessions[i] = program_register(&program, 0);
    for (size_t i = 4; i-- > 0;)
        assert_int_equal(program_keep_alive(&program, sessions[i], 1, 0), 0);
    program_restart(&program);
    (void)program_register(&program, 0);
    assert_int_equal(program_keep_alive(&program, sessions[3], 1, 0), LASH_EXPIRED);
    assert_int_equal(program_keep_alive(&program, sessions[0], 1, 0), 0);
    program_close(&program);
}

static void a_table_that_nobody_has_used_can_be_stored(void **state) {
    (void)state;
    struct program program;
    program_open(&program, true);
    struct lash_state_machine machine = lash_sessions_machine(program.sessions);
    assert_int_equal(machine.apply(machine.context, NULL, 0, 3), 0);
    assert_int_equal(program.saved.applied, 3);
    program_restart(&program);
    program.state.applied = 3;
    assert_int_equal(program_register(&program, 0), 4);
    program_close(&program);
}

/* Every change of one byte of a row, and every end cut off, is refused, or gives a row that is encoded just so. */
static void damaged_rows_are_refused_or_mean_something_else(void **state) {
    (void)state;
    struct program program;
    int64_t sum = 0;
    program_open(&program, true);
    uint64_t session = program_register(&program, 0);
    assert_int_equal(program_add(&program, session, 1, 1, 300, 5, &sum), 0);
    assert_int_equal(program_add(&program, session, 2, 1, 300, 5, &sum), 0);
    for (size_t i = 0; i < program.row_count; i++) {
        struct lash_session_row row = program.rows[i];
        for (size_t at = 0; at < row.size * 2; at++) {
            struct program other;
            program_open(&other, false);
            uint8_t copy[256];
            assert_true(row.size <= sizeof copy);
            memcpy(copy, row.data, row.size);
            if (row.id != 0)
                assert_int_equal(lash_sessions_load(other.sessions, &program.rows[program.rows[0].id == 0 ? 0 : 1]), 0);
            struct lash_session_row damaged = {.id = row.id, .data = copy, .size = at < row.size ? at : row.size};
            if (at >= row.size)
                copy[at - row.size] ^= 0x81;
            int error = lash_sessions_load(other.sessions, &damaged);
            assert_true(error == LASH_CORRUPT || error == LASH_VERSION || (error == 0 && at >= row.size));
            if (!error && row.id != 0) {
                uint8_t again[256];
                assert_int_equal(row_size(other.sessions->table.by_id[0]), row.size);
                row_encode(other.sessions->table.by_id[0], again);
                assert_memory_equal(again, copy, row.size);
            }
            program_close(&other);
        }
    }
    program_close(&program);
}

static void a_row_that_comes_twice_or_before_the_tables_is_refused(void **state) {
    (void)state;
    struct program program;
    program_open(&program, true);
    (void)program_register(&program, 0);
    const struct lash_session_row *table = &program.rows[program.rows[0].id == 0 ? 0 : 1];
    const struct lash_session_row *session = &program.rows[program.rows[0].id == 0 ? 1 : 0];
    struct program other;
    program_open(&other, false);
    assert_int_equal(lash_sessions_load(other.sessions, session), LASH_CORRUPT);
    assert_int_equal(lash_sessions_load(other.sessions, table), 0);
    assert_int_equal(lash_sessions_load(other.sessions, session), 0);
    assert_int_equal(lash_sessions_load(other.sessions, session), LASH_CORRUPT);
    program_close(&other);
    program_close(&program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_that_comes_twice_is_applied_once_and_answered_the_same),
        cmocka_unit_test(commands_of_one_session_may_come_in_any_order),
        cmocka_unit_test(sessions_do_not_take_one_anothers_numbers_for_theirs),
        cmocka_unit_test(an_attempt_that_comes_after_its_reply_was_let_go_of_is_refused),
        cmocka_unit_test(what_a_client_no_longer_waits_for_never_comes_back),
        cmocka_unit_test(commands_beyond_the_window_wait),
        cmocka_unit_test(a_reply_that_is_too_large_is_refused_and_not_cut),
        cmocka_unit_test(a_session_that_was_never_registered_is_refused),
        cmocka_unit_test(a_closed_session_is_refused),
        cmocka_unit_test(a_session_ends_when_the_log_says_that_its_time_is_over),
        cmocka_unit_test(every_word_of_a_session_keeps_it_alive),
        cmocka_unit_test(one_stamp_that_leaps_ends_nobody_who_speaks_in_time),
        cmocka_unit_test(the_logs_time_never_falls),
        cmocka_unit_test(the_one_silent_for_the_longest_makes_room),
        cmocka_unit_test(the_limits_of_the_latest_registration_hold),
        cmocka_unit_test(what_is_no_command_of_sessions_stops_the_machine),
        cmocka_unit_test(a_machine_without_apply_is_refused),
        cmocka_unit_test(a_command_without_memory_stops_the_machine),
        cmocka_unit_test(a_batch_that_waits_for_room_is_applied_once),
        cmocka_unit_test(a_program_on_disk_knows_after_a_restart_what_it_applied),
        cmocka_unit_test(the_order_of_silence_survives_a_restart),
        cmocka_unit_test(a_table_that_nobody_has_used_can_be_stored),
        cmocka_unit_test(damaged_rows_are_refused_or_mean_something_else),
        cmocka_unit_test(a_row_that_comes_twice_or_before_the_tables_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
