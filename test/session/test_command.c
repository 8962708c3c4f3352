/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of sessions as bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lash/error.h"
#include "session/command.h"

static const struct session_limits some_limits = {60000, 1024, 32, 16384};

static void each_kind_comes_back_as_it_went(void **state) {
    (void)state;
    const struct session_command commands[] = {
        {.kind = COMMAND_REGISTER, .stamp_ms = 7, .limits = some_limits},
        {.kind = COMMAND_APPLY, .session = 9, .sequence = UINT64_MAX, .lowest = 4, .stamp_ms = 1},
        {.kind = COMMAND_KEEP_ALIVE, .session = 9, .lowest = 4, .stamp_ms = UINT64_MAX},
        {.kind = COMMAND_CLOSE, .session = 9},
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        uint8_t bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE];
        struct session_command found;
        size_t size = command_encode(&commands[i], bytes);
        assert_int_equal(size, COMMAND_HEAD_SIZE + (i == 0 ? COMMAND_LIMITS_SIZE : 0));
        assert_int_equal(command_decode(bytes, size, &found), 0);
        assert_int_equal(found.kind, commands[i].kind);
        assert_int_equal(found.session, commands[i].session);
        assert_int_equal(found.sequence, commands[i].sequence);
        assert_int_equal(found.lowest, commands[i].lowest);
        assert_int_equal(found.stamp_ms, commands[i].stamp_ms);
        assert_int_equal(found.limits.timeout_ms, commands[i].limits.timeout_ms);
        assert_int_equal(found.limits.reply_bytes_max, commands[i].limits.reply_bytes_max);
        for (size_t less = 0; less < size; less++)
            assert_int_equal(command_decode(bytes, less, &found), LASH_CORRUPT);
    }
}

static void the_programs_bytes_stand_behind_the_head(void **state) {
    (void)state;
    const struct session_command command = {.kind = COMMAND_APPLY, .session = 9, .sequence = 5, .lowest = 5};
    uint8_t bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE];
    struct session_command found;
    size_t size = command_encode(&command, bytes);
    memcpy(bytes + size, "abc", 3);
    assert_int_equal(command_decode(bytes, size + 3, &found), 0);
    assert_int_equal(found.size, 3);
    assert_memory_equal(found.data, "abc", 3);
}

static void what_contradicts_itself_is_corrupt(void **state) {
    (void)state;
    const struct session_command commands[] = {
        {.kind = COMMAND_REGISTER, .session = 1, .limits = some_limits},
        {.kind = COMMAND_REGISTER, .sequence = 1, .limits = some_limits},
        {.kind = COMMAND_REGISTER, .lowest = 1, .limits = some_limits},
        {.kind = COMMAND_REGISTER},
        {.kind = COMMAND_REGISTER, .limits = {0, 1, 1, 1}},
        {.kind = COMMAND_REGISTER, .limits = {1, 0, 1, 1}},
        {.kind = COMMAND_REGISTER, .limits = {1, 1, 0, 1}},
        {.kind = COMMAND_REGISTER, .limits = {1, 1, 1, 0}},
        {.kind = COMMAND_REGISTER, .limits = {86400001, 1, 1, 1}},
        {.kind = COMMAND_REGISTER, .limits = {1, 65537, 1, 1}},
        {.kind = COMMAND_REGISTER, .limits = {1, 1, 1025, 1}},
        {.kind = COMMAND_REGISTER, .limits = {1, 1, 1, (16 << 20) + 1}},
        {.kind = COMMAND_APPLY, .sequence = 1, .lowest = 1},
        {.kind = COMMAND_APPLY, .session = 1, .sequence = 1},
        {.kind = COMMAND_APPLY, .session = 1, .sequence = 1, .lowest = 2},
        {.kind = COMMAND_KEEP_ALIVE, .session = 1, .sequence = 1, .lowest = 1},
        {.kind = COMMAND_KEEP_ALIVE, .session = 1},
        {.kind = COMMAND_KEEP_ALIVE, .lowest = 1},
        {.kind = COMMAND_CLOSE},
        {.kind = COMMAND_CLOSE, .session = 1, .sequence = 1},
        {.kind = COMMAND_CLOSE, .session = 1, .lowest = 1},
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        uint8_t bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE];
        struct session_command found;
        assert_int_equal(command_decode(bytes, command_encode(&commands[i], bytes), &found), LASH_CORRUPT);
    }
}

static void what_stands_behind_a_whole_command_is_corrupt(void **state) {
    (void)state;
    const struct session_command commands[] = {{.kind = COMMAND_REGISTER, .limits = some_limits},
                                               {.kind = COMMAND_KEEP_ALIVE, .session = 1, .lowest = 1},
                                               {.kind = COMMAND_CLOSE, .session = 1}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        uint8_t bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE + 1] = {0};
        struct session_command found;
        size_t size = command_encode(&commands[i], bytes);
        assert_int_equal(command_decode(bytes, size + 1, &found), LASH_CORRUPT);
    }
}

static void what_is_unknown_is_of_a_newer_version(void **state) {
    (void)state;
    const struct session_command command = {.kind = COMMAND_CLOSE, .session = 1};
    const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 0}, {0, 2}, {1, 0}, {1, 5}, {2, 1}, {3, 1}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        uint8_t bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE];
        struct session_command found;
        size_t size = command_encode(&command, bytes);
        bytes[changes[i].at] = changes[i].value;
        assert_int_equal(command_decode(bytes, size, &found), LASH_VERSION);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_comes_back_as_it_went),
        cmocka_unit_test(the_programs_bytes_stand_behind_the_head),
        cmocka_unit_test(what_contradicts_itself_is_corrupt),
        cmocka_unit_test(what_stands_behind_a_whole_command_is_corrupt),
        cmocka_unit_test(what_is_unknown_is_of_a_newer_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
