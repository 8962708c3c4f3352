/* SPDX-License-Identifier: Apache-2.0
 *
 * A program behind sessions, for tests.
 */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

const struct session_limits program_limits = {
    .timeout_ms = 1000, .sessions_max = 4, .outstanding_max = 8, .reply_bytes_max = 64};

static int program_apply(void *context, const struct lash_command *command, struct lash_reply *reply) {
    struct program *program = context;
    int64_t number;
    assert_null(command->request);
    assert_int_equal(command->size, sizeof number);
    if (program->fail_at > 0 && --program->fail_at == 0)
        return program->fail_with;
    memcpy(&number, command->data, sizeof number);
    program->state.sum += number;
    int error = lash_reply_write(reply, &program->state.sum, sizeof program->state.sum);
    if (error == LASH_NOMEM)
        return error;
    assert_int_equal(error, 0);
    for (size_t i = 0; i < program->reply_size && !program->reply_error; i++)
        program->reply_error = lash_reply_write(reply, "x", 1);
    if (program->reply_error == LASH_NOMEM)
        return LASH_NOMEM;
    program->state.count++;
    return 0;
}

static void program_put(struct program *program, const struct lash_session_row *row) {
    size_t at = 0;
    while (at < program->row_count && program->rows[at].id != row->id)
        at++;
    if (at < program->row_count)
        free((void *)(uintptr_t)program->rows[at].data);
    else
        program->row_count++;
    assert_true(at < PROGRAM_ROWS_MAX);
    if (!row->data) {
        program->rows[at] = program->rows[--program->row_count];
        return;
    }
    void *copy = malloc(row->size);
    assert_non_null(copy);
    memcpy(copy, row->data, row->size);
    program->rows[at] = (struct lash_session_row){.id = row->id, .data = copy, .size = row->size};
}

static int program_commit(void *context, lash_index last, const struct lash_session_row *rows, size_t count) {
    struct program *program = context;
    int error = program->commit_error;
    program->commit_error = 0;
    if (error) {
        program->state = program->saved;
        return error;
    }
    program->state.applied = last;
    program->saved = program->state;
    for (size_t i = 0; i < count; i++)
        program_put(program, &rows[i]);
    return 0;
}

void program_open(struct program *program, bool on_disk) {
    const struct lash_session_machine machine = {
        .context = program, .apply = program_apply, .commit = on_disk ? program_commit : NULL};
    *program = (struct program){.on_disk = on_disk};
    assert_int_equal(lash_sessions_new(&machine, &program->sessions), 0);
}

void program_restart(struct program *program) {
    const struct lash_session_machine machine = {
        .context = program, .apply = program_apply, .commit = program->on_disk ? program_commit : NULL};
    lash_sessions_free(program->sessions);
    assert_int_equal(lash_sessions_new(&machine, &program->sessions), 0);
    program->state = program->saved;
    for (size_t i = 0; i < program->row_count; i++)
        if (program->rows[i].id == 0)
            assert_int_equal(lash_sessions_load(program->sessions, &program->rows[i]), 0);
    for (size_t i = 0; i < program->row_count; i++)
        if (program->rows[i].id != 0)
            assert_int_equal(lash_sessions_load(program->sessions, &program->rows[i]), 0);
}

void program_close(struct program *program) {
    lash_sessions_free(program->sessions);
    for (size_t i = 0; i < program->row_count; i++)
        free((void *)(uintptr_t)program->rows[i].data);
}

int program_give(struct program *program, const struct session_command *command, struct session_result *result) {
    uint8_t bytes[COMMAND_HEAD_SIZE + 64];
    size_t size = command_encode(command, bytes);
    struct lash_state_machine machine = lash_sessions_machine(program->sessions);
    *result = (struct session_result){0};
    if (command->size > 0)
        memcpy(bytes + size, command->data, command->size);
    struct lash_command entry = {
        .index = program->state.applied + 1, .term = 1, .data = bytes, .size = size + command->size, .request = result};
    int error = machine.apply(machine.context, &entry, 1, entry.index);
    if (!error)
        program->state.applied = entry.index;
    return error;
}

uint64_t program_register(struct program *program, uint64_t stamp_ms) {
    struct session_command command = {.kind = COMMAND_REGISTER, .stamp_ms = stamp_ms, .limits = program_limits};
    struct session_result result;
    assert_int_equal(program_give(program, &command, &result), 0);
    assert_int_equal(result.error, 0);
    return program->state.applied;
}

int program_add(struct program *program, uint64_t session, uint64_t sequence, uint64_t lowest, uint64_t stamp_ms,
                int64_t number, int64_t *sum) {
    struct session_command command = {.kind = COMMAND_APPLY,
                                      .session = session,
                                      .sequence = sequence,
                                      .lowest = lowest,
                                      .stamp_ms = stamp_ms,
                                      .data = (const uint8_t *)&number,
                                      .size = sizeof number};
    struct session_result result;
    assert_int_equal(program_give(program, &command, &result), 0);
    assert_int_equal(result.error == 0, result.reply != NULL);
    if (result.reply) {
        assert_true(result.reply->size >= sizeof *sum);
        memcpy(sum, result.reply->data, sizeof *sum);
        buf_unref(result.reply);
    }
    return result.error;
}

int program_keep_alive(struct program *program, uint64_t session, uint64_t lowest, uint64_t stamp_ms) {
    struct session_command command = {
        .kind = COMMAND_KEEP_ALIVE, .session = session, .lowest = lowest, .stamp_ms = stamp_ms};
    struct session_result result;
    assert_int_equal(program_give(program, &command, &result), 0);
    assert_null(result.reply);
    return result.error;
}

struct lash_sessions_counts program_counts(const struct program *program) {
    struct lash_sessions_counts counts;
    lash_sessions_count(program->sessions, &counts);
    return counts;
}

uint64_t program_table(const struct program *program) {
    const struct table *table = &program->sessions->table;
    uint8_t head[ROW_TABLE_SIZE];
    row_encode_table(table, head);
    uint64_t hash = crc32c(0, head, sizeof head);
    for (size_t i = 0; i < table->count; i++) {
        size_t size = row_size(table->by_id[i]);
        uint8_t *row = malloc(size);
        assert_non_null(row);
        row_encode(table->by_id[i], row);
        hash = hash * 31 + crc32c(0, row, size);
        free(row);
    }
    return hash;
}
