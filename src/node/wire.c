/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet heads; the format is described in the header. Each message type has a
 * row with its encoder and its decoder.
 */
#include "node/wire.h"

#include "base/assert.h"
#include "base/bytes.h"

typedef void (*wire_put_fn)(struct writer *writer, const struct lash_message *message);
typedef void (*wire_get_fn)(struct reader *reader, uint16_t flags, struct lash_message *message);

struct wire_type {
    uint16_t flags; /* that may be set */
    uint16_t (*flags_of)(const struct lash_message *message);
    wire_put_fn put;
    wire_get_fn get;
};

static uint16_t wire_no_flags(const struct lash_message *message) {
    (void)message;
    return 0;
}

static uint16_t wire_vote_flags(const struct lash_message *message) {
    return (uint16_t)((message->vote.pre ? 1 : 0) | (message->vote.transfer ? 2 : 0));
}

static void wire_put_vote(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->vote.last_index);
    write_u64(writer, message->vote.last_term);
}

static void wire_get_vote(struct reader *reader, uint16_t flags, struct lash_message *message) {
    message->vote.pre = (flags & 1) != 0;
    message->vote.transfer = (flags & 2) != 0;
    message->vote.last_index = read_u64(reader);
    message->vote.last_term = read_u64(reader);
}

static uint16_t wire_vote_reply_flags(const struct lash_message *message) {
    return (uint16_t)((message->vote_reply.pre ? 1 : 0) | (message->vote_reply.granted ? 2 : 0));
}

static void wire_put_vote_reply(struct writer *writer, const struct lash_message *message) {
    (void)writer;
    (void)message;
}

static void wire_get_vote_reply(struct reader *reader, uint16_t flags, struct lash_message *message) {
    (void)reader;
    message->vote_reply.pre = (flags & 1) != 0;
    message->vote_reply.granted = (flags & 2) != 0;
}

static uint16_t wire_append_flags(const struct lash_message *message) {
    return message->append.promise ? 1 : 0;
}

static void wire_put_append(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->append.prev_index);
    write_u64(writer, message->append.prev_term);
    write_u64(writer, message->append.commit);
    write_u64(writer, message->append.round);
}

static void wire_get_append(struct reader *reader, uint16_t flags, struct lash_message *message) {
    message->append.promise = (flags & 1) != 0;
    message->append.prev_index = read_u64(reader);
    message->append.prev_term = read_u64(reader);
    message->append.commit = read_u64(reader);
    message->append.round = read_u64(reader);
}

static uint16_t wire_append_reply_flags(const struct lash_message *message) {
    return (uint16_t)((message->append_reply.success ? 1 : 0) | (message->append_reply.full ? 2 : 0) |
                      (message->append_reply.promise_ms ? 4 : 0) | (message->append_reply.slow ? 8 : 0));
}

static void wire_put_append_reply(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->append_reply.match);
    write_u64(writer, message->append_reply.rejected);
    write_u64(writer, message->append_reply.hint_index);
    write_u64(writer, message->append_reply.hint_term);
    write_u64(writer, message->append_reply.round);
    if (message->append_reply.promise_ms)
        write_u32(writer, (uint32_t)message->append_reply.promise_ms);
}

static void wire_get_append_reply(struct reader *reader, uint16_t flags, struct lash_message *message) {
    message->append_reply.success = (flags & 1) != 0;
    message->append_reply.full = (flags & 2) != 0;
    message->append_reply.slow = (flags & 8) != 0;
    message->append_reply.match = read_u64(reader);
    message->append_reply.rejected = read_u64(reader);
    message->append_reply.hint_index = read_u64(reader);
    message->append_reply.hint_term = read_u64(reader);
    message->append_reply.round = read_u64(reader);
    if (flags & 4)
        message->append_reply.promise_ms = read_u32(reader);
}

static uint16_t wire_read_flags(const struct lash_message *message) {
    return message->read.lease ? 1 : 0;
}

static void wire_put_read(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->read.context);
}

static void wire_get_read(struct reader *reader, uint16_t flags, struct lash_message *message) {
    message->read.lease = (flags & 1) != 0;
    message->read.context = read_u64(reader);
}

static void wire_put_read_reply(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->read_reply.context);
    write_u64(writer, message->read_reply.index);
}

static void wire_get_read_reply(struct reader *reader, uint16_t flags, struct lash_message *message) {
    (void)flags;
    message->read_reply.context = read_u64(reader);
    message->read_reply.index = read_u64(reader);
}

static void wire_put_timeout_now(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->timeout_now.last_index);
}

static void wire_get_timeout_now(struct reader *reader, uint16_t flags, struct lash_message *message) {
    (void)flags;
    message->timeout_now.last_index = read_u64(reader);
}

static void wire_put_snapshot(struct writer *writer, const struct lash_message *message) {
    write_u64(writer, message->snapshot.last_index);
    write_u64(writer, message->snapshot.last_term);
}

static void wire_get_snapshot(struct reader *reader, uint16_t flags, struct lash_message *message) {
    (void)flags;
    message->snapshot.last_index = read_u64(reader);
    message->snapshot.last_term = read_u64(reader);
}

static const struct wire_type wire_types[] = {
    [LASH_MSG_VOTE] = {3, wire_vote_flags, wire_put_vote, wire_get_vote},
    [LASH_MSG_VOTE_REPLY] = {3, wire_vote_reply_flags, wire_put_vote_reply, wire_get_vote_reply},
    [LASH_MSG_APPEND] = {1, wire_append_flags, wire_put_append, wire_get_append},
    [LASH_MSG_APPEND_REPLY] = {15, wire_append_reply_flags, wire_put_append_reply, wire_get_append_reply},
    [LASH_MSG_READ] = {1, wire_read_flags, wire_put_read, wire_get_read},
    [LASH_MSG_READ_REPLY] = {0, wire_no_flags, wire_put_read_reply, wire_get_read_reply},
    [LASH_MSG_TIMEOUT_NOW] = {0, wire_no_flags, wire_put_timeout_now, wire_get_timeout_now},
    [LASH_MSG_SNAPSHOT] = {0, wire_no_flags, wire_put_snapshot, wire_get_snapshot},
};

/* The row of a message type, or NULL when there is none. */
static const struct wire_type *wire_type_of(uint32_t type) {
    if (type >= sizeof wire_types / sizeof wire_types[0] || !wire_types[type].put)
        return NULL;
    return &wire_types[type];
}

static void wire_put_message(struct writer *writer, const struct lash_message *message) {
    const struct wire_type *type = wire_type_of(message->type);
    LASH_ASSERT(type != NULL);
    write_u16(writer, (uint16_t)message->type);
    write_u16(writer, type->flags_of(message));
    write_u64(writer, message->term);
    type->put(writer, message);
}

static int wire_get_message(struct reader *reader, struct lash_message *message) {
    message->type = read_u16(reader);
    uint16_t flags = read_u16(reader);
    message->term = read_u64(reader);
    const struct wire_type *type = wire_type_of(message->type);
    if (!type || (flags & ~type->flags) != 0)
        return LASH_CORRUPT;
    type->get(reader, flags, message);
    return 0;
}

/* ---- Kinds --------------------------------------------------------------------------------------- */

static void wire_put_core(struct writer *writer, const struct wire_head *head) {
    wire_put_message(writer, &head->message);
}

static int wire_get_core(struct reader *reader, struct wire_head *head) {
    return wire_get_message(reader, &head->message);
}

static void wire_put_forward(struct writer *writer, const struct wire_head *head) {
    write_u64(writer, head->forward.term);
    write_u64(writer, head->forward.batch);
}

static int wire_get_forward(struct reader *reader, struct wire_head *head) {
    head->forward.term = read_u64(reader);
    head->forward.batch = read_u64(reader);
    return 0;
}

static void wire_put_forward_reply(struct writer *writer, const struct wire_head *head) {
    LASH_ASSERT(head->forward_reply.error < 0);
    write_u64(writer, head->forward_reply.batch);
    write_u32(writer, (uint32_t)-head->forward_reply.error);
}

static int wire_get_forward_reply(struct reader *reader, struct wire_head *head) {
    head->forward_reply.batch = read_u64(reader);
    uint32_t error = read_u32(reader);
    if (error == 0 || error > 1000)
        return LASH_CORRUPT;
    head->forward_reply.error = -(int)error;
    return 0;
}

static void wire_put_chunk(struct writer *writer, const struct wire_head *head) {
    write_u64(writer, head->chunk.index);
    write_u64(writer, head->chunk.term);
    write_u64(writer, head->chunk.bytes);
    write_u64(writer, head->chunk.offset);
    write_u32(writer, head->chunk.crc);
}

static int wire_get_chunk(struct reader *reader, struct wire_head *head) {
    head->chunk.index = read_u64(reader);
    head->chunk.term = read_u64(reader);
    head->chunk.bytes = read_u64(reader);
    head->chunk.offset = read_u64(reader);
    head->chunk.crc = read_u32(reader);
    bool sound = head->chunk.index != 0 && head->chunk.term != 0 && head->chunk.offset < head->chunk.bytes;
    return sound ? 0 : LASH_CORRUPT;
}

static void wire_put_ack(struct writer *writer, const struct wire_head *head) {
    write_u64(writer, head->ack.index);
    write_u64(writer, head->ack.term);
    write_u64(writer, head->ack.offset);
    write_u32(writer, head->ack.answer);
}

static int wire_get_ack(struct reader *reader, struct wire_head *head) {
    head->ack.index = read_u64(reader);
    head->ack.term = read_u64(reader);
    head->ack.offset = read_u64(reader);
    head->ack.answer = read_u32(reader);
    return head->ack.answer < WIRE_SNAPSHOT_ANSWERS ? 0 : LASH_CORRUPT;
}

static void wire_put_repair(struct writer *writer, const struct wire_head *head) {
    write_u64(writer, head->repair.index);
    write_u64(writer, head->repair.size);
    write_u32(writer, head->repair.crc);
}

static int wire_get_repair(struct reader *reader, struct wire_head *head) {
    head->repair.index = read_u64(reader);
    head->repair.size = read_u64(reader);
    head->repair.crc = read_u32(reader);
    bool sound = head->repair.index != 0 && (head->repair.size != 0 || head->repair.crc == 0);
    return sound ? 0 : LASH_CORRUPT;
}

struct wire_row {
    void (*put)(struct writer *writer, const struct wire_head *head);
    int (*get)(struct reader *reader, struct wire_head *head);
};

static const struct wire_row wire_rows[] = {
    [WIRE_MESSAGE] = {wire_put_core, wire_get_core},
    [WIRE_FORWARD] = {wire_put_forward, wire_get_forward},
    [WIRE_FORWARD_REPLY] = {wire_put_forward_reply, wire_get_forward_reply},
    [WIRE_SNAPSHOT_CHUNK] = {wire_put_chunk, wire_get_chunk},
    [WIRE_SNAPSHOT_ACK] = {wire_put_ack, wire_get_ack},
    [WIRE_REPAIR_ASK] = {wire_put_repair, wire_get_repair},
    [WIRE_REPAIR_REPLY] = {wire_put_repair, wire_get_repair},
};

/* The row of a kind, or NULL when there is none. */
static const struct wire_row *wire_row_of(uint16_t kind) {
    return kind < sizeof wire_rows / sizeof wire_rows[0] && wire_rows[kind].put ? &wire_rows[kind] : NULL;
}

void wire_without_leases(struct lash_message *message) {
    if (message->type == LASH_MSG_APPEND) {
        message->append.promise = false;
    } else if (message->type == LASH_MSG_APPEND_REPLY) {
        message->append_reply.promise_ms = 0;
    } else if (message->type == LASH_MSG_READ) {
        message->read.lease = false;
    }
}

void wire_without_slow(struct lash_message *message) {
    if (message->type == LASH_MSG_APPEND_REPLY)
        message->append_reply.slow = false;
}

size_t wire_encode(const struct wire_head *head, uint8_t data[WIRE_HEAD_MAX]) {
    struct writer writer = writer_make(data, WIRE_HEAD_MAX);
    const struct wire_row *row = wire_row_of(head->kind);
    LASH_ASSERT(row != NULL);
    write_u64(&writer, head->group);
    write_u32(&writer, WIRE_VERSION | (uint32_t)head->kind << 16); /* two u16 */
    row->put(&writer, head);
    LASH_ASSERT(!writer.failed);
    return (size_t)(writer.at - data);
}

int wire_decode(const uint8_t *data, size_t size, struct wire_head *head) {
    struct reader reader = reader_make(data, size);
    memset(head, 0, sizeof *head);
    head->group = read_u64(&reader);
    uint16_t version = read_u16(&reader);
    head->kind = read_u16(&reader);
    if (reader.failed)
        return LASH_CORRUPT;
    if (version != WIRE_VERSION)
        return LASH_VERSION;
    const struct wire_row *row = wire_row_of(head->kind);
    int error = row ? row->get(&reader, head) : LASH_CORRUPT;
    if (!error && (reader.failed || reader_left(&reader) != 0))
        error = LASH_CORRUPT;
    return error;
}
