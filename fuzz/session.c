/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of sessions, and rows of the table: each has one encoding, and whatever lies in a log, two
 * replicas come to hold the same, one that goes through it at once and one that starts anew from its rows behind each
 * command. The first byte says which of both the rest is.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "session/machine.h"

enum { COMMANDS_MAX = 200, ROWS_MAX = 256 };

/* A program that keeps rows. */
struct program {
    lash_sessions *sessions;
    struct lash_session_row rows[ROWS_MAX];
    size_t count;
    uint64_t hash; /* of all that it applied */
};

static uint64_t mix(uint64_t hash, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3U;
    return hash;
}

static int apply(void *context, const struct lash_command *command, struct lash_reply *reply) {
    struct program *program = context;
    program->hash = mix(program->hash ^ command->index, command->data, command->size);
    int error = lash_reply_write(reply, &program->hash, sizeof program->hash);
    LASH_ASSERT(error == 0 || error == LASH_TOO_LARGE);
    return 0;
}

static void row_drop(struct program *program, size_t at) {
    mem_free((void *)(uintptr_t)program->rows[at].data);
    program->rows[at] = program->rows[--program->count];
}

static int commit(void *context, lash_index last, const struct lash_session_row *rows, size_t count) {
    struct program *program = context;
    (void)last;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = program->count; at-- > 0;)
            if (program->rows[at].id == rows[i].id)
                row_drop(program, at);
        if (!rows[i].data)
            continue;
        LASH_ASSERT(program->count < ROWS_MAX);
        program->rows[program->count] = rows[i];
        program->rows[program->count++].data = fuzz_copy(rows[i].data, rows[i].size);
    }
    return 0;
}

static void open_table(struct program *program) {
    const struct lash_session_machine machine = {.context = program, .apply = apply, .commit = commit};
    int error = lash_sessions_new(&machine, &program->sessions);
    LASH_ASSERT(!error);
    for (int tables = 1; tables >= 0; tables--)
        for (size_t i = 0; i < program->count; i++)
            if ((program->rows[i].id == 0) == tables) {
                error = lash_sessions_load(program->sessions, &program->rows[i]);
                LASH_ASSERT(!error);
            }
}

static void close_program(struct program *program) {
    lash_sessions_free(program->sessions);
    while (program->count > 0)
        row_drop(program, 0);
}

static int give(struct program *program, lash_index index, const uint8_t *data, size_t size,
                struct session_result *result) {
    struct lash_state_machine machine = lash_sessions_machine(program->sessions);
    struct lash_command command = {.index = index, .term = 1, .data = data, .size = size, .request = result};
    *result = (struct session_result){0};
    return machine.apply(machine.context, &command, 1, index);
}

static void same_results(const struct session_result *a, const struct session_result *b) {
    LASH_ASSERT(a->error == b->error && a->log_ms == b->log_ms && !a->reply == !b->reply);
    LASH_ASSERT(!a->reply ||
                (a->reply->size == b->reply->size && memcmp(a->reply->data, b->reply->data, a->reply->size) == 0));
}

static void check_bounds(const struct program *program) {
    const struct table *table = &program->sessions->table;
    LASH_ASSERT(table->count <= table->limits.sessions_max);
    for (size_t i = 0; i < table->count; i++) {
        LASH_ASSERT(i == 0 || table->by_id[i - 1]->id < table->by_id[i]->id);
        LASH_ASSERT(table->by_id[i]->count <= session_limits_most.outstanding_max);
    }
}

static void run_log(struct reader *input) {
    struct program whole = {0}, restarted = {0};
    open_table(&whole);
    open_table(&restarted);
    for (lash_index index = 1; index <= COMMANDS_MAX && reader_left(input) > 0; index++) {
        struct session_result a, b;
        size_t size;
        const uint8_t *data = fuzz_take_sized(input, &size);
        int error = give(&whole, index, data, size, &a);
        LASH_ASSERT(error == 0 || error == LASH_CORRUPT || error == LASH_VERSION);
        int other = give(&restarted, index, data, size, &b);
        LASH_ASSERT(other == error);
        if (error)
            break; /* the node stops, too */
        same_results(&a, &b);
        buf_unref(a.reply);
        buf_unref(b.reply);
        check_bounds(&whole);
        lash_sessions_free(restarted.sessions);
        open_table(&restarted);
    }
    LASH_ASSERT(whole.hash == restarted.hash);
    close_program(&whole);
    close_program(&restarted);
}

static void check_command(const uint8_t *data, size_t size) {
    struct session_command command;
    uint8_t again[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE];
    int error = command_decode(data, size, &command);
    LASH_ASSERT(error == 0 || error == LASH_CORRUPT || error == LASH_VERSION);
    if (error)
        return;
    size_t head = command_encode(&command, again);
    LASH_ASSERT(head + command.size == size && memcmp(again, data, head) == 0);
    LASH_ASSERT(command.size == 0 || command.data == data + head);
}

static void check_row(const uint8_t *data, size_t size) {
    struct table table;
    table_init(&table);
    table.log_ms = UINT64_MAX / 2;
    table.limits = session_limits_most;
    int error = row_decode(&table, data, size);
    LASH_ASSERT(error == 0 || error == LASH_CORRUPT || error == LASH_VERSION);
    LASH_ASSERT(table.count == (error ? 0 : 1));
    if (!error) {
        uint8_t *again = fuzz_copy(data, size);
        LASH_ASSERT(row_size(table.by_id[0]) == size);
        row_encode(table.by_id[0], again);
        LASH_ASSERT(memcmp(again, data, size) == 0);
        mem_free(again);
    }
    table_clear(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader input = reader_make(data, size);
    uint8_t kind = read_u8(&input);
    size_t rest;
    const uint8_t *bytes;
    if (kind % 3 == 0) {
        run_log(&input);
        return 0;
    }
    bytes = fuzz_take(&input, reader_left(&input), &rest);
    if (kind % 3 == 1)
        check_command(bytes, rest);
    else
        check_row(bytes, rest);
    return 0;
}
