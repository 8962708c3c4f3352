/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of commands, and limits, as bytes.
 */
#include "session/command.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "lash/error.h"

const struct session_limits session_limits_most = {.timeout_ms = (uint64_t)24 * 3600 * 1000,
                                                   .sessions_max = 65536,
                                                   .outstanding_max = 1024,
                                                   .reply_bytes_max = 16 << 20};

void limits_encode(const struct session_limits *limits, struct writer *writer) {
    write_u64(writer, limits->timeout_ms);
    write_u32(writer, limits->sessions_max);
    write_u32(writer, limits->outstanding_max);
    write_u32(writer, limits->reply_bytes_max);
}

static bool limits_within(uint64_t value, uint64_t most) {
    return value >= 1 && value <= most;
}

bool limits_valid(const struct session_limits *limits) {
    const struct session_limits *most = &session_limits_most;
    return limits_within(limits->timeout_ms, most->timeout_ms) &&
           limits_within(limits->sessions_max, most->sessions_max) &&
           limits_within(limits->outstanding_max, most->outstanding_max) &&
           limits_within(limits->reply_bytes_max, most->reply_bytes_max);
}

bool limits_decode(struct reader *reader, struct session_limits *limits) {
    limits->timeout_ms = read_u64(reader);
    limits->sessions_max = read_u32(reader);
    limits->outstanding_max = read_u32(reader);
    limits->reply_bytes_max = read_u32(reader);
    return !reader->failed && limits_valid(limits);
}

size_t command_encode(const struct session_command *command, uint8_t *to) {
    struct writer writer = writer_make(to, COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE);
    write_u8(&writer, COMMAND_VERSION);
    write_u8(&writer, (uint8_t)command->kind);
    write_u16(&writer, 0);
    write_u64(&writer, command->session);
    write_u64(&writer, command->sequence);
    write_u64(&writer, command->lowest);
    write_u64(&writer, command->stamp_ms);
    if (command->kind == COMMAND_REGISTER)
        limits_encode(&command->limits, &writer);
    LASH_ASSERT(!writer.failed);
    return (size_t)(writer.at - to);
}

/* Whether a kind of command says what it has to, and nothing else. */
static bool command_consistent(const struct session_command *command) {
    switch (command->kind) {
    case COMMAND_REGISTER:
        return command->session == 0 && command->sequence == 0 && command->lowest == 0;
    case COMMAND_APPLY:
        return command->session != 0 && command->lowest != 0 && command->sequence >= command->lowest;
    case COMMAND_KEEP_ALIVE:
        return command->session != 0 && command->sequence == 0 && command->lowest != 0;
    case COMMAND_CLOSE:
        return command->session != 0 && command->sequence == 0 && command->lowest == 0;
    }
    return false;
}

int command_decode(const void *data, size_t size, struct session_command *command) {
    struct reader reader = reader_make(data, size);
    *command = (struct session_command){0};
    uint8_t version = read_u8(&reader);
    uint8_t kind = read_u8(&reader);
    uint16_t zero = read_u16(&reader);
    command->kind = (enum command_kind)kind;
    command->session = read_u64(&reader);
    command->sequence = read_u64(&reader);
    command->lowest = read_u64(&reader);
    command->stamp_ms = read_u64(&reader);
    if (reader.failed)
        return LASH_CORRUPT;
    if (version != COMMAND_VERSION || kind < COMMAND_REGISTER || kind > COMMAND_CLOSE || zero != 0)
        return LASH_VERSION;
    bool limits = kind != COMMAND_REGISTER || limits_decode(&reader, &command->limits);
    if (!limits || !command_consistent(command))
        return LASH_CORRUPT;
    if (kind == COMMAND_APPLY) {
        command->size = reader_left(&reader);
        command->data = read_bytes(&reader, command->size);
    }
    return reader_left(&reader) == 0 ? 0 : LASH_CORRUPT;
}
