/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands on their way to the program: the table judges each one first.
 */
#include "session/machine.h"

#include <string.h>

#include "base/assert.h"

enum { MACHINE_ANSWERED = 0, MACHINE_SNAPSHOT_CALLS = 4 };

/* ---- Replies ------------------------------------------------------------------------------------------ */

struct lash_reply {
    struct buf *buf; /* NULL: nothing yet */
    size_t bytes_max;
};

int lash_reply_write(struct lash_reply *reply, const void *data, size_t size) {
    size_t used = reply->buf ? reply->buf->size : 0;
    if (size > reply->bytes_max - used)
        return LASH_TOO_LARGE;
    if (!reply->buf || size > reply->buf->capacity - used) {
        size_t capacity = 2 * (used + size) < reply->bytes_max ? 2 * (used + size) : reply->bytes_max;
        struct buf *larger = buf_new(capacity);
        if (!larger)
            return LASH_NOMEM;
        if (used > 0)
            memcpy(larger->data, reply->buf->data, used);
        larger->size = used;
        buf_unref(reply->buf);
        reply->buf = larger;
    }
    if (size > 0)
        memcpy(reply->buf->data + used, data, size);
    reply->buf->size += size;
    return 0;
}

/* Let the program apply a command, with its reply in *reply, which may not be kept. Errors: the program's, LASH_NOMEM. */
static int machine_run(lash_sessions *sessions, const struct lash_command *command, const struct session_command *head,
                       size_t bytes_max, struct buf **reply) {
    struct lash_reply writer = {.bytes_max = bytes_max};
    const struct lash_command stripped = {
        .index = command->index, .term = command->term, .data = head->data, .size = head->size};
    int error = sessions->machine.apply(sessions->machine.context, &stripped, &writer);
    if (!error && !writer.buf) {
        writer.buf = buf_new(0);
        error = writer.buf ? 0 : LASH_NOMEM;
    }
    if (error) {
        buf_unref(writer.buf);
        return error;
    }
    *reply = writer.buf;
    return 0;
}

/* ---- Judging ------------------------------------------------------------------------------------------- */

/* What becomes of a command of a session that lives: a reply of before, or (with *apply) the program is to be asked. */
static int machine_judge_apply(lash_sessions *sessions, const struct table_session *session,
                               const struct session_command *head, struct session_result *result, bool *apply) {
    /* its reply was let go of because nobody waits for it any more, and so this is an attempt that came late */
    if (head->sequence < session->lowest)
        return LASH_EXPIRED;
    struct buf *reply = table_reply(session, head->sequence);
    if (reply) {
        result->reply = reply;
        sessions->repeated++;
        return 0;
    }
    if (head->sequence - session->lowest >= sessions->table.limits.outstanding_max)
        return LASH_BUSY;
    *apply = true;
    return 0;
}

/* The table sees a command. Errors: LASH_NOMEM. */
static int machine_judge(lash_sessions *sessions, const struct lash_command *command,
                         const struct session_command *head, struct session_result *result, bool *apply) {
    struct table *table = &sessions->table;
    table_advance(table, head->stamp_ms);
    result->log_ms = table->log_ms;
    if (head->kind == COMMAND_REGISTER)
        return table_register(table, command->index, &head->limits);
    struct table_session *session = table_find(table, head->session);
    if (!session) {
        sessions->refused += head->kind == COMMAND_APPLY;
        result->error = LASH_EXPIRED;
        return 0;
    }
    table_touch(table, session, command->index, head->lowest);
    if (head->kind == COMMAND_CLOSE)
        table_end(table, session);
    if (head->kind == COMMAND_APPLY)
        result->error = machine_judge_apply(sessions, session, head, result, apply);
    return 0;
}

/* ---- Batches ------------------------------------------------------------------------------------------- */

static void machine_tell(const struct lash_command *command, const struct session_result *result) {
    struct session_result *waiting = command->request;
    if (!waiting)
        return;
    *waiting = *result;
    if (result->reply)
        buf_ref(result->reply);
}

/* The program applies a command that was judged to be new; its reply is kept. */
static int machine_apply_new(lash_sessions *sessions, const struct lash_command *command,
                             const struct session_command *head, size_t bytes_max, struct session_result *result) {
    struct table_session *session = table_find(&sessions->table, head->session);
    LASH_ASSERT(session);
    struct buf *reply;
    int error = machine_run(sessions, command, head, bytes_max, &reply);
    if (error)
        return error;
    error = table_keep(&sessions->table, session, head->sequence, reply);
    buf_unref(reply); /* the table's reference keeps it */
    result->reply = reply;
    sessions->applied++;
    return error;
}

/* A command of a batch that is brought anew, and that had been applied: the program has undone it if it could. */
static int machine_apply_again(lash_sessions *sessions, const struct lash_command *command,
                               const struct session_command *head, size_t bytes_max) {
    struct buf *reply;
    if (bytes_max == MACHINE_ANSWERED || !sessions->machine.commit)
        return 0;
    int error = machine_run(sessions, command, head, bytes_max, &reply);
    if (!error)
        buf_unref(reply);
    return error;
}

static int machine_command(lash_sessions *sessions, size_t i, const struct lash_command *command) {
    struct machine_pass *pass = &sessions->pass;
    struct session_result result = {.log_ms = sessions->table.log_ms};
    struct session_command head;
    int error = command_decode(command->data, command->size, &head);
    if (error)
        return error;
    if (i < pass->applied)
        return machine_apply_again(sessions, command, &head, pass->replies_max[i]);
    if (i == pass->judged) {
        bool apply = false;
        error = machine_judge(sessions, command, &head, &result, &apply);
        if (error)
            return error;
        pass->replies_max[i] = apply ? sessions->table.limits.reply_bytes_max : MACHINE_ANSWERED;
        pass->judged++;
    }
    if (pass->replies_max[i] != MACHINE_ANSWERED)
        error = machine_apply_new(sessions, command, &head, pass->replies_max[i], &result);
    if (error)
        return error;
    pass->applied++;
    machine_tell(command, &result);
    return 0;
}

/* Begin a batch, or go on with one that met with LASH_FULL. Errors: LASH_NOMEM. */
static int machine_begin(struct machine_pass *pass, size_t count, lash_index last) {
    if (pass->under_way) {
        LASH_ASSERT(pass->last == last && pass->judged <= count);
        return 0;
    }
    if (count > pass->capacity) {
        uint32_t *larger = mem_realloc(pass->replies_max, count * sizeof *larger);
        if (!larger)
            return LASH_NOMEM;
        pass->replies_max = larger;
        pass->capacity = count;
    }
    pass->last = last;
    pass->judged = 0;
    pass->applied = 0;
    pass->under_way = true;
    return 0;
}

/* ---- Rows for the program -------------------------------------------------------------------------------- */

struct machine_rows {
    struct lash_session_row *rows;
    size_t count;
    uint8_t *bytes;
};

/* Encode what has changed since the last commit. Errors: LASH_NOMEM. */
static int machine_encode(const struct table *table, struct machine_rows *rows) {
    size_t size = ROW_TABLE_SIZE;
    size_t count = 1;
    struct list *at;
    for (at = table->changed.next; at != &table->changed; at = at->next, count++) {
        const struct table_session *session = list_entry(at, struct table_session, changed);
        size += session->ended ? 0 : row_size(session);
    }
    rows->rows = mem_calloc(count, sizeof *rows->rows);
    rows->bytes = mem_alloc(size);
    if (!rows->rows || !rows->bytes)
        return LASH_NOMEM;
    uint8_t *to = rows->bytes;
    if (table->head_changed) {
        row_encode_table(table, to);
        rows->rows[rows->count++] = (struct lash_session_row){.id = 0, .data = to, .size = ROW_TABLE_SIZE};
        to += ROW_TABLE_SIZE;
    }
    for (at = table->changed.next; at != &table->changed; at = at->next) {
        const struct table_session *session = list_entry(at, struct table_session, changed);
        struct lash_session_row *row = &rows->rows[rows->count++];
        *row = (struct lash_session_row){.id = session->id};
        if (session->ended)
            continue;
        row->data = to;
        row->size = row_size(session);
        row_encode(session, to);
        to += row->size;
    }
    return 0;
}

static int machine_commit(lash_sessions *sessions, lash_index last) {
    struct machine_rows rows = {0};
    int error = machine_encode(&sessions->table, &rows);
    if (!error)
        error = sessions->machine.commit(sessions->machine.context, last, rows.rows, rows.count);
    mem_free(rows.rows);
    mem_free(rows.bytes);
    return error;
}

/* ---- Snapshots ----------------------------------------------------------------------------------------------- */

static int machine_snapshot_begin(void *context, lash_index index, void **view) {
    lash_sessions *sessions = context;
    /* the table has seen commands that the program is yet to apply */
    if (sessions->pass.under_way)
        return LASH_FULL;
    struct machine_view *new = mem_calloc(1, sizeof *new);
    if (!new)
        return LASH_NOMEM;
    int error = view_new(&sessions->table, &new->table);
    if (!error)
        error = sessions->machine.snapshot_begin(sessions->machine.context, index, &new->program);
    if (error) {
        if (new->table)
            view_free(new->table);
        mem_free(new);
        return error;
    }
    *view = new;
    return 0;
}

static int machine_sink(void *context, const void *data, size_t size) {
    return lash_snapshot_write(context, data, size);
}

static int machine_source(void *context, void *data, size_t size, size_t *got) {
    return lash_snapshot_read(context, data, size, got);
}

static int machine_snapshot_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    const lash_sessions *sessions = context;
    const struct machine_view *both = view;
    int error = view_write(both->table, &(struct view_sink){sink, machine_sink});
    return error ? error : sessions->machine.snapshot_write(sessions->machine.context, both->program, sink);
}

static void machine_snapshot_end(void *context, void *view) {
    const lash_sessions *sessions = context;
    struct machine_view *both = view;
    sessions->machine.snapshot_end(sessions->machine.context, both->program);
    view_free(both->table);
    mem_free(both);
}

/* The table has been read: the program reads what is its, and takes the table's rows if it stores them. */
static int machine_restore_program(lash_sessions *sessions, struct lash_snapshot_source *source, lash_index index,
                                   struct table *table) {
    const struct lash_session_machine *machine = &sessions->machine;
    struct machine_rows rows = {0};
    int error = 0;
    table->head_changed = true;
    for (size_t i = 0; i < table->count; i++)
        list_push(&table->changed, &table->by_id[i]->changed);
    if (machine->commit)
        error = machine_encode(table, &rows);
    if (!error)
        error = machine->restore(machine->context, source, index, rows.rows, rows.count);
    mem_free(rows.rows);
    mem_free(rows.bytes);
    return error;
}

static int machine_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    lash_sessions *sessions = context;
    struct table table;
    table_init(&table);
    int error = view_read(&table, &(struct view_source){source, machine_source});
    if (!error)
        error = machine_restore_program(sessions, source, index, &table);
    if (!error) {
        table_replace(&sessions->table, &table);
        sessions->pass.under_way = false;
    }
    table_clear(&table);
    return error;
}

/* ---- The state machine ------------------------------------------------------------------------------------ */

static int machine_apply(void *context, const struct lash_command *commands, size_t count, lash_index last) {
    lash_sessions *sessions = context;
    int error = machine_begin(&sessions->pass, count, last);
    for (size_t i = 0; !error && i < count; i++)
        error = machine_command(sessions, i, &commands[i]);
    if (!error && sessions->machine.commit)
        error = machine_commit(sessions, last);
    if (error)
        return error;
    table_settle(&sessions->table);
    sessions->pass.under_way = false;
    return 0;
}

static int machine_room(void *context) {
    lash_sessions *sessions = context;
    return sessions->machine.room(sessions->machine.context);
}

int lash_sessions_new(const struct lash_session_machine *machine, lash_sessions **sessions) {
    if (!machine || !machine->apply || !sessions)
        return LASH_INVALID;
    int snapshots =
        !!machine->snapshot_begin + !!machine->snapshot_write + !!machine->snapshot_end + !!machine->restore;
    if (snapshots % MACHINE_SNAPSHOT_CALLS != 0)
        return LASH_INVALID;
    lash_sessions *new = mem_calloc(1, sizeof *new);
    if (!new)
        return LASH_NOMEM;
    int error = runner_open(&new->runner);
    if (error) {
        mem_free(new);
        return error;
    }
    new->machine = *machine;
    table_init(&new->table);
    *sessions = new;
    return 0;
}

int lash_sessions_load(lash_sessions *sessions, const struct lash_session_row *row) {
    struct table *table = &sessions->table;
    return row->id == 0 ? row_decode_table(table, row->data, row->size) : row_decode(table, row->data, row->size);
}

struct lash_state_machine lash_sessions_machine(lash_sessions *sessions) {
    struct lash_state_machine machine = {.context = sessions, .apply = machine_apply};
    if (sessions->machine.room)
        machine.room = machine_room;
    if (sessions->machine.restore) {
        machine.snapshot_begin = machine_snapshot_begin;
        machine.snapshot_write = machine_snapshot_write;
        machine.snapshot_end = machine_snapshot_end;
        machine.restore = machine_restore;
    }
    return machine;
}

void lash_sessions_count(const lash_sessions *sessions, struct lash_sessions_counts *counts) {
    const struct table_counts *table = &sessions->table.counts;
    *counts = (struct lash_sessions_counts){.sessions = table->sessions,
                                            .replies = table->replies,
                                            .reply_bytes = table->reply_bytes,
                                            .log_ms = table->log_ms,
                                            .applied = sessions->applied,
                                            .repeated = sessions->repeated,
                                            .refused = sessions->refused,
                                            .expired = table->expired,
                                            .evicted = table->evicted};
}

void lash_sessions_free(lash_sessions *sessions) {
    if (!sessions)
        return;
    runner_close(&sessions->runner);
    table_clear(&sessions->table);
    mem_free(sessions->pass.replies_max);
    mem_free(sessions);
}
