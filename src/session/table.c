/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions.
 */
#include "session/table.h"

#include <string.h>

#include "base/assert.h"

/* ---- One session ----------------------------------------------------------------------------------- */

struct table_session *session_new(uint64_t id) {
    struct table_session *session = mem_calloc(1, sizeof *session);
    if (!session)
        return NULL;
    list_init(&session->recent);
    list_init(&session->changed);
    session->id = id;
    session->lowest = 1;
    return session;
}

void session_free(struct table_session *session) {
    LASH_ASSERT(list_empty(&session->recent) && list_empty(&session->changed));
    for (uint32_t i = 0; i < session->count; i++)
        buf_unref(session->answers[i].reply);
    mem_free(session->answers);
    mem_free(session);
}

int session_reserve(struct table_session *session) {
    if (session->count < session->capacity)
        return 0;
    uint32_t capacity = session->capacity ? session->capacity * 2 : 4;
    struct session_answer *answers = mem_realloc(session->answers, capacity * sizeof *answers);
    if (!answers)
        return LASH_NOMEM;
    session->answers = answers;
    session->capacity = capacity;
    return 0;
}

/* ---- The table -------------------------------------------------------------------------------------- */

void table_init(struct table *table) {
    *table = (struct table){0};
    list_init(&table->recent);
    list_init(&table->changed);
}

static void table_change(struct table *table, struct table_session *session) {
    list_remove(&session->changed);
    list_push(&table->changed, &session->changed);
}

/* The first position whose id is not below `id`. */
static size_t table_position(const struct table *table, uint64_t id) {
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->by_id[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct table_session *table_find(const struct table *table, uint64_t id) {
    size_t position = table_position(table, id);
    bool found = position < table->count && table->by_id[position]->id == id;
    return found ? table->by_id[position] : NULL;
}

/* Behind all whose latest command is older. Where one is registered that is its end; only loading needs to look. */
static struct list *table_place(struct table *table, lash_index used) {
    struct list *at = table->recent.prev;
    while (at != &table->recent && list_entry(at, struct table_session, recent)->used > used)
        at = at->prev;
    return at->next;
}

int table_insert(struct table *table, struct table_session *session) {
    size_t position = table_position(table, session->id);
    struct list *next = table_place(table, session->used);
    bool taken = position < table->count && table->by_id[position]->id == session->id;
    if (taken ||
        (next->prev != &table->recent && list_entry(next->prev, struct table_session, recent)->used == session->used))
        return LASH_CORRUPT;
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 16;
        struct table_session **by_id = mem_realloc(table->by_id, capacity * sizeof *by_id);
        if (!by_id)
            return LASH_NOMEM;
        table->by_id = by_id;
        table->capacity = capacity;
    }
    memmove(&table->by_id[position + 1], &table->by_id[position], (table->count - position) * sizeof *table->by_id);
    table->by_id[position] = session;
    table->count++;
    list_push(next, &session->recent); /* before `next` */
    table->counts.sessions = table->count;
    for (uint32_t i = 0; i < session->count; i++)
        table->counts.reply_bytes += session->answers[i].reply->size;
    table->counts.replies += session->count;
    return 0;
}

void table_end(struct table *table, struct table_session *session) {
    size_t position = table_position(table, session->id);
    LASH_ASSERT(position < table->count && table->by_id[position] == session);
    table->count--;
    memmove(&table->by_id[position], &table->by_id[position + 1], (table->count - position) * sizeof *table->by_id);
    list_remove(&session->recent);
    session->ended = true;
    table->counts.sessions = table->count;
    table->counts.replies -= session->count;
    for (uint32_t i = 0; i < session->count; i++)
        table->counts.reply_bytes -= session->answers[i].reply->size;
    table_change(table, session);
}

void table_clear(struct table *table) {
    while (table->count > 0)
        table_end(table, table->by_id[table->count - 1]);
    table_settle(table);
    mem_free(table->by_id);
    table->by_id = NULL;
    table->capacity = 0;
    table->log_ms = 0;
    table->limits = (struct session_limits){0};
    LASH_ASSERT(list_empty(&table->recent) && list_empty(&table->changed));
}

void table_replace(struct table *table, struct table *with) {
    table_clear(table);
    table_settle(with);
    list_splice(&table->recent, &with->recent);
    table->by_id = with->by_id;
    table->count = with->count;
    table->capacity = with->capacity;
    table->log_ms = with->log_ms;
    table->limits = with->limits;
    table->counts.sessions = with->counts.sessions;
    table->counts.replies = with->counts.replies;
    table->counts.reply_bytes = with->counts.reply_bytes;
    table->counts.log_ms = with->log_ms;
    table_init(with);
}

static struct table_session *table_oldest(const struct table *table) {
    LASH_ASSERT(!list_empty(&table->recent));
    return list_entry(table->recent.next, struct table_session, recent);
}

void table_advance(struct table *table, uint64_t stamp_ms) {
    uint64_t most = table->log_ms + (table->limits.timeout_ms + 1) / 2;
    uint64_t now_ms = stamp_ms < most ? stamp_ms : most;
    if (now_ms <= table->log_ms)
        return;
    table->log_ms = now_ms;
    table->counts.log_ms = now_ms;
    table->head_changed = true;
    while (table->count > 0 && now_ms - table_oldest(table)->active_ms >= table->limits.timeout_ms) {
        table_end(table, table_oldest(table));
        table->counts.expired++;
    }
}

int table_register(struct table *table, lash_index index, const struct session_limits *limits) {
    LASH_ASSERT(limits_valid(limits));
    struct table_session *session = session_new(index);
    if (!session)
        return LASH_NOMEM;
    session->used = index;
    session->active_ms = table->log_ms;
    int error = table_insert(table, session);
    if (error) {
        session_free(session);
        return error;
    }
    table->limits = *limits;
    table->head_changed = true;
    while (table->count > limits->sessions_max) {
        table_end(table, table_oldest(table));
        table->counts.evicted++;
    }
    table_change(table, session);
    return 0;
}

/* The client has the replies below `lowest`. */
static void table_acknowledge(struct table *table, struct table_session *session, uint64_t lowest) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < session->count; i++) {
        struct session_answer answer = session->answers[i];
        if (answer.sequence >= lowest) {
            session->answers[kept++] = answer;
            continue;
        }
        table->counts.replies--;
        table->counts.reply_bytes -= answer.reply->size;
        buf_unref(answer.reply);
    }
    session->count = kept;
    session->lowest = lowest;
}

void table_touch(struct table *table, struct table_session *session, lash_index index, uint64_t lowest) {
    LASH_ASSERT(!session->ended && index > session->used);
    session->used = index;
    session->active_ms = table->log_ms;
    list_remove(&session->recent);
    list_push(&table->recent, &session->recent);
    if (lowest > session->lowest)
        table_acknowledge(table, session, lowest);
    table_change(table, session);
}

struct buf *table_reply(const struct table_session *session, uint64_t sequence) {
    for (uint32_t i = 0; i < session->count; i++)
        if (session->answers[i].sequence == sequence)
            return session->answers[i].reply;
    return NULL;
}

int table_keep(struct table *table, struct table_session *session, uint64_t sequence, struct buf *reply) {
    LASH_ASSERT(sequence >= session->lowest && !table_reply(session, sequence));
    int error = session_reserve(session);
    if (error)
        return error;
    session->answers[session->count++] = (struct session_answer){sequence, buf_ref(reply)};
    table->counts.replies++;
    table->counts.reply_bytes += reply->size;
    table_change(table, session);
    return 0;
}

void table_settle(struct table *table) {
    struct list *at;
    table->head_changed = false;
    while ((at = list_pop(&table->changed))) {
        struct table_session *session = list_entry(at, struct table_session, changed);
        if (session->ended)
            session_free(session);
    }
}
