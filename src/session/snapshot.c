/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions in snapshots (§7: what is left out of one is lost).
 */
#include "session/snapshot.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { VIEW_SIZE_SIZE = 8, VIEW_COUNT_SIZE = 4 };

/* ---- Views ---------------------------------------------------------------------------------------- */

static struct table_session *view_copy(const struct table_session *session) {
    struct table_session *copy = session_new(session->id);
    if (!copy)
        return NULL;
    copy->used = session->used;
    copy->active_ms = session->active_ms;
    copy->lowest = session->lowest;
    copy->answers = mem_alloc((session->count + 1) * sizeof *copy->answers);
    if (!copy->answers) {
        session_free(copy);
        return NULL;
    }
    copy->capacity = session->count + 1;
    for (; copy->count < session->count; copy->count++) {
        copy->answers[copy->count] = session->answers[copy->count];
        buf_ref(copy->answers[copy->count].reply);
    }
    return copy;
}

int view_new(const struct table *table, struct table_view **view) {
    struct table_view *new = mem_calloc(1, sizeof *new + table->count * sizeof(struct table_session *));
    if (!new)
        return LASH_NOMEM;
    row_encode_table(table, new->head);
    struct list *at;
    for (at = table->recent.next; at != &table->recent; at = at->next) {
        struct table_session *copy = view_copy(list_entry(at, struct table_session, recent));
        if (!copy) {
            view_free(new);
            return LASH_NOMEM;
        }
        new->sessions[new->count++] = copy;
    }
    LASH_ASSERT(new->count == table->count);
    *view = new;
    return 0;
}

void view_free(struct table_view *view) {
    for (size_t i = 0; i < view->count; i++)
        session_free(view->sessions[i]);
    mem_free(view);
}

/* ---- Writing --------------------------------------------------------------------------------------- */

static int view_write_session(const struct table_session *session, const struct view_sink *sink) {
    size_t size = row_size(session);
    uint8_t *bytes = mem_alloc(VIEW_SIZE_SIZE + size);
    if (!bytes)
        return LASH_NOMEM;
    le64_put(bytes, size);
    row_encode(session, bytes + VIEW_SIZE_SIZE);
    int error = sink->write(sink->context, bytes, VIEW_SIZE_SIZE + size);
    mem_free(bytes);
    return error;
}

int view_write(const struct table_view *view, const struct view_sink *sink) {
    uint8_t head[ROW_TABLE_SIZE + VIEW_COUNT_SIZE];
    memcpy(head, view->head, ROW_TABLE_SIZE);
    le32_put(head + ROW_TABLE_SIZE, (uint32_t)view->count);
    int error = sink->write(sink->context, head, sizeof head);
    for (size_t i = 0; !error && i < view->count; i++)
        error = view_write_session(view->sessions[i], sink);
    return error;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

/* Errors: LASH_CORRUPT (it ends before), those of the source. */
static int view_read_bytes(const struct view_source *source, void *data, size_t size) {
    size_t got;
    int error = source->read(source->context, data, size, &got);
    return error || got == size ? error : LASH_CORRUPT;
}

static int view_read_session(struct table *table, const struct view_source *source) {
    const struct session_limits *most = &session_limits_most;
    uint8_t head[VIEW_SIZE_SIZE];
    int error = view_read_bytes(source, head, sizeof head);
    if (error)
        return error;
    uint64_t size = le64_get(head);
    if (size > (uint64_t)2 * most->outstanding_max * most->reply_bytes_max)
        return LASH_CORRUPT;
    uint8_t *bytes = mem_alloc(size + 1);
    if (!bytes)
        return LASH_NOMEM;
    error = view_read_bytes(source, bytes, size);
    if (!error)
        error = row_decode(table, bytes, size);
    mem_free(bytes);
    return error;
}

int view_read(struct table *table, const struct view_source *source) {
    uint8_t head[ROW_TABLE_SIZE + VIEW_COUNT_SIZE];
    LASH_ASSERT(table->count == 0);
    int error = view_read_bytes(source, head, sizeof head);
    if (!error)
        error = row_decode_table(table, head, ROW_TABLE_SIZE);
    uint32_t count = error ? 0 : le32_get(head + ROW_TABLE_SIZE);
    for (uint32_t i = 0; !error && i < count; i++)
        error = view_read_session(table, source);
    return error;
}
