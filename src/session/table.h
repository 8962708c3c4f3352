/* SPDX-License-Identifier: Apache-2.0
 *
 * The replicated table of sessions: a function of the log's commands alone. Each
 * session has the replies of its commands that were applied and that its client may
 * still ask for; what else was applied lies below its `lowest`.
 *
 * Sessions stand in the order of their latest command. As the log's time never falls, those
 * that are silent for too long are at the front.
 */
#ifndef LASH_SESSION_TABLE_H
#define LASH_SESSION_TABLE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "lash/session.h"
#include "session/command.h"

/* A command that was applied, and its reply. */
struct session_answer {
    uint64_t sequence;
    struct buf *reply;
};

struct table_session {
    struct list recent;  /* table->recent, while it lives */
    struct list changed; /* table->changed, from a change to the next table_settle */
    uint64_t id;         /* index of the entry that registered it */
    bool ended;          /* it lives no more, and is kept until table_settle for its row to be removed */
    lash_index used;     /* of its latest command */
    uint64_t active_ms;  /* the log's time then */
    uint64_t lowest;     /* its client waits for no command with a lower sequence: none of those is applied any more */
    uint32_t count;
    uint32_t capacity;
    struct session_answer *answers; /* `count`, in the order of applying, sequences from `lowest` on */
};

/* What is counted; read by any thread. */
struct table_counts {
    _Atomic uint64_t sessions, replies, reply_bytes, log_ms, expired, evicted;
};

struct table {
    uint64_t log_ms;              /* the highest stamp of any command, within the bound of table_advance */
    struct session_limits limits; /* of the latest registration; all 0 before the first one */
    bool head_changed;            /* one of these two, since the latest table_settle */
    struct table_session **by_id; /* `count` that live, ascending */
    size_t count;
    size_t capacity;
    struct list recent;  /* the same, the longest silent first */
    struct list changed; /* whose rows are to be written; and those that have ended */
    struct table_counts counts;
};

void table_init(struct table *table);

/* Free all sessions; it is empty then, as after table_init, but for what was counted. */
void table_clear(struct table *table);

/* The log's time is at least `stamp_ms`, as far as one command may advance it: by half a timeout, so that one client whose clock
 * leaps does not end those who speak in time. Then end all sessions that were silent for too long. */
void table_advance(struct table *table, uint64_t stamp_ms);

/* A new session, whose id is the entry's index; the one silent for the longest makes room. These limits hold from now on.
 * Errors: LASH_NOMEM. */
int table_register(struct table *table, lash_index index, const struct session_limits *limits);

/* NULL: there is none, or no more. */
struct table_session *table_find(const struct table *table, uint64_t id);

/* Take over all sessions of `with`, limits and time, in place of the own; `with` is empty then. */
void table_replace(struct table *table, struct table *with);

/* A command of the session is at `index`: it is not silent, and waits for nothing below `lowest`. */
void table_touch(struct table *table, struct table_session *session, lash_index index, uint64_t lowest);

/* The reply to a command that was applied, or NULL. The session's. */
struct buf *table_reply(const struct table_session *session, uint64_t sequence);

/* A command was applied: keep its reply, of which the session takes a reference. Errors: LASH_NOMEM. */
int table_keep(struct table *table, struct table_session *session, uint64_t sequence, struct buf *reply);

/* End a session. */
void table_end(struct table *table, struct table_session *session);

/* All changes are where they belong. */
void table_settle(struct table *table);

/* ---- Rows (row.c): version 1 ----------------------------------------------------------------------------
 *
 * Of the table, with id 0: u8 version, u64 log_ms, the limits. Of a session: u8 version, u64 id, u64 used, u64 active_ms,
 * u64 lowest, u32 count, and for each answer u64 sequence, u32 size, bytes. */

enum { ROW_TABLE_SIZE = 9 + COMMAND_LIMITS_SIZE };

void row_encode_table(const struct table *table, uint8_t to[ROW_TABLE_SIZE]);
size_t row_size(const struct table_session *session);
void row_encode(const struct table_session *session, uint8_t *to);

/* Take a row into a table that is being loaded, the table's own first; nothing of it when that fails. Errors: LASH_CORRUPT, LASH_VERSION, LASH_NOMEM. */
int row_decode_table(struct table *table, const void *data, size_t size);
int row_decode(struct table *table, const void *data, size_t size);

/* Take in a session that was made elsewhere: by row_decode, or of a copy. Errors: LASH_CORRUPT (there is one of this id or with the
 * same latest command), LASH_NOMEM. */
int table_insert(struct table *table, struct table_session *session);

/* A session in no table. */
struct table_session *session_new(uint64_t id);
void session_free(struct table_session *session);

/* Room for one answer more. Errors: LASH_NOMEM. */
int session_reserve(struct table_session *session);

#endif
