/* SPDX-License-Identifier: Apache-2.0
 *
 * The table as rows of bytes.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "session/table.h"

enum { ROW_VERSION = 1, ROW_SESSION_SIZE = 37, ROW_ANSWER_SIZE = 12 };

void row_encode_table(const struct table *table, uint8_t to[ROW_TABLE_SIZE]) {
    struct writer writer = writer_make(to, ROW_TABLE_SIZE);
    write_u8(&writer, ROW_VERSION);
    write_u64(&writer, table->log_ms);
    limits_encode(&table->limits, &writer);
    LASH_ASSERT(!writer.failed && writer.at == writer.end);
}

size_t row_size(const struct table_session *session) {
    size_t size = ROW_SESSION_SIZE;
    for (uint32_t i = 0; i < session->count; i++)
        size += ROW_ANSWER_SIZE + session->answers[i].reply->size;
    return size;
}

void row_encode(const struct table_session *session, uint8_t *to) {
    struct writer writer = writer_make(to, row_size(session));
    write_u8(&writer, ROW_VERSION);
    write_u64(&writer, session->id);
    write_u64(&writer, session->used);
    write_u64(&writer, session->active_ms);
    write_u64(&writer, session->lowest);
    write_u32(&writer, session->count);
    for (uint32_t i = 0; i < session->count; i++) {
        const struct session_answer *answer = &session->answers[i];
        write_u64(&writer, answer->sequence);
        write_u32(&writer, (uint32_t)answer->reply->size);
        write_bytes(&writer, answer->reply->data, answer->reply->size);
    }
    LASH_ASSERT(!writer.failed && writer.at == writer.end);
}

int row_decode_table(struct table *table, const void *data, size_t size) {
    struct reader reader = reader_make(data, size);
    if (read_u8(&reader) != ROW_VERSION)
        return reader.failed ? LASH_CORRUPT : LASH_VERSION;
    uint64_t log_ms = read_u64(&reader);
    struct session_limits limits;
    bool valid = limits_decode(&reader, &limits);
    /* before the first registration there are no limits, and no time */
    bool blank =
        !(log_ms || limits.timeout_ms || limits.sessions_max || limits.outstanding_max || limits.reply_bytes_max);
    if (reader.failed || reader_left(&reader) > 0 || (!valid && !blank))
        return LASH_CORRUPT;
    table->log_ms = log_ms;
    table->limits = limits;
    table->counts.log_ms = log_ms;
    return 0;
}

static int row_decode_answer(struct reader *reader, struct table_session *session) {
    uint64_t sequence = read_u64(reader);
    size_t size = read_u32(reader);
    const uint8_t *bytes = read_bytes(reader, size);
    if (!bytes || size > session_limits_most.reply_bytes_max || sequence < session->lowest ||
        table_reply(session, sequence))
        return LASH_CORRUPT;
    int error = session_reserve(session);
    if (error)
        return error;
    struct buf *reply = buf_new(size);
    if (!reply)
        return LASH_NOMEM;
    if (size > 0)
        memcpy(reply->data, bytes, size);
    reply->size = size;
    session->answers[session->count++] = (struct session_answer){sequence, reply};
    return 0;
}

static int row_decode_session(const struct table *table, struct reader *reader, struct table_session *session) {
    session->used = read_u64(reader);
    session->active_ms = read_u64(reader);
    session->lowest = read_u64(reader);
    uint32_t count = read_u32(reader);
    if (reader->failed || session->id == 0 || session->used < session->id || session->lowest == 0 ||
        session->active_ms > table->log_ms || table->limits.timeout_ms == 0 ||
        count > session_limits_most.outstanding_max)
        return LASH_CORRUPT;
    int error = 0;
    for (uint32_t i = 0; !error && i < count; i++)
        error = row_decode_answer(reader, session);
    return error || reader_left(reader) == 0 ? error : LASH_CORRUPT;
}

int row_decode(struct table *table, const void *data, size_t size) {
    struct reader reader = reader_make(data, size);
    if (read_u8(&reader) != ROW_VERSION)
        return reader.failed ? LASH_CORRUPT : LASH_VERSION;
    struct table_session *session = session_new(read_u64(&reader));
    if (!session)
        return LASH_NOMEM;
    int error = row_decode_session(table, &reader, session);
    if (!error)
        error = table_insert(table, session);
    if (error)
        session_free(session);
    return error;
}
