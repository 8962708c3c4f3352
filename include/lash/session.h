/* SPDX-License-Identifier: Apache-2.0
 *
 * Client sessions (§8, D§6.3): commands that take effect exactly once, however
 * often they have to be tried.
 *
 * A command whose outcome is not known (its leader died, its answer got lost)
 * must be tried again, and may then be carried out twice. So each command gets
 * a number within a session, the session's table is part of the replicated state,
 * and a number that was carried out already is answered with the reply of then.
 * Two parts do that together: lash_sessions stands between a node and the
 * program's state machine, on every replica; lash_session is one client's session, in
 * the process of any replica, which numbers, tries and tries again.
 *
 * What the table needs of time comes from the log, too, so that all replicas end
 * the same session at the same entry. See docs/protocol.md, "Sessions", and
 * examples/sessions.c for a whole program.
 *
 * All commands of a node whose state machine is made by lash_sessions_machine must be made by lash_session_propose: whatever
 * else lies in the log stops the node (LASH_CORRUPT, LASH_VERSION). lash_node_read and lash_node_barrier work as ever.
 */
#ifndef LASH_SESSION_H
#define LASH_SESSION_H

#include "lash/node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The replicated side ------------------------------------------------------------------------- */

/* The table of sessions in front of a program's state machine. Opaque. */
typedef struct lash_sessions lash_sessions;

/* What a command answers. Opaque. */
struct lash_reply;

/* Add bytes to a reply, during `apply` only. A reply depends on nothing but the state and the command, as the state does: it is
 * the same on all replicas.
 * Errors: LASH_TOO_LARGE (it would be larger than the sessions' reply_bytes_max; nothing of these bytes is added),
 * LASH_NOMEM (to be returned by `apply`). */
LASH_PUBLIC int lash_reply_write(struct lash_reply *reply, const void *data, size_t size);

/* A piece of the table that a program keeps with its own state. */
struct lash_session_row {
    uint64_t id;      /* rows are told apart by it */
    const void *data; /* NULL: there is no such row any more */
    size_t size;
};

/* What the program supplies. Each function runs on the node's apply thread. */
struct lash_session_machine {
    void *context;

    /* Apply one command, and write its reply. It is never called twice for one number of one session. `command` is valid only
     * during the call; its data is what the program proposed, its `request` is NULL. What struct lash_state_machine
     * says of `apply` holds here; LASH_FULL: nothing of this command was applied.
     * Returns 0 or an error as that one does. */
    int (*apply)(void *context, const struct lash_command *command, struct lash_reply *reply);

    /* For programs that keep their state on disk, and open their nodes with lash_node_options.applied != 0; NULL for those whose
     * state is gone with the process. Called once behind the commands of each batch (there may be none): what `apply` did since the last
     * commit, `last` as the index that was applied, and `count` rows to replace those of the same ids become the state in one
     * transaction, or nothing of them does. Without it a command could be applied a second time after a restart.
     * After LASH_FULL, from here or from `apply`, all of the batch is undone by the program, and is applied again, with the same
     * commands, when there is room. `rows` are valid only during the call. */
    int (*commit)(void *context, lash_index last, const struct lash_session_row *rows, size_t count);

    /* As in struct lash_state_machine. May be NULL. */
    int (*room)(void *context);

    /* Snapshots, as in struct lash_state_machine: all four or none. The table goes before the program's bytes, by itself. In `restore`
     * the program reads its own bytes, to the end; a program with `commit` puts `count` rows in place of all that it has, in the same transaction as
     * the state and `index`; others are given none. */
    int (*snapshot_begin)(void *context, lash_index index, void **view);
    int (*snapshot_write)(void *context, void *view, struct lash_snapshot_sink *sink);
    void (*snapshot_end)(void *context, void *view);
    int (*restore)(void *context, struct lash_snapshot_source *source, lash_index index,
                   const struct lash_session_row *rows, size_t count);
};

/* Make the table, empty. `machine` is copied.
 * Errors: LASH_INVALID (no `apply`, or some but not all that snapshots take), LASH_NOMEM. */
LASH_PUBLIC int lash_sessions_new(const struct lash_session_machine *machine, lash_sessions **sessions);

/* Give back a row that `commit` was given, each one that there is, that of id 0 first, before lash_node_open. `data` is copied.
 * Errors: LASH_CORRUPT, LASH_VERSION (nothing is loaded of it), LASH_NOMEM. */
LASH_PUBLIC int lash_sessions_load(lash_sessions *sessions, const struct lash_session_row *row);

/* The state machine for lash_node_open, which must not outlive `sessions`. */
LASH_PUBLIC struct lash_state_machine lash_sessions_machine(lash_sessions *sessions);

/* Free the table, once its node and all sessions opened with it are closed. NULL is allowed. */
LASH_PUBLIC void lash_sessions_free(lash_sessions *sessions);

/* What a table holds and has seen; numbers of this process, since lash_sessions_new. */
struct lash_sessions_counts {
    uint64_t sessions;    /* there are now */
    uint64_t replies;     /* kept now */
    uint64_t reply_bytes; /* of those */
    uint64_t log_ms;      /* the log's time */
    uint64_t applied;     /* commands that reached the program */
    uint64_t repeated;    /* commands that had been applied, and were answered with the reply of then */
    uint64_t refused;     /* commands of sessions that had ended */
    uint64_t expired;     /* sessions that ended for silence */
    uint64_t evicted;     /* sessions that made room for newer ones */
};

/* Any thread; the numbers may be of different moments. */
LASH_PUBLIC void lash_sessions_count(const lash_sessions *sessions, struct lash_sessions_counts *counts);

/* ---- One client's session ------------------------------------------------------------------------ */

/* A session. Opaque. */
typedef struct lash_session lash_session;

/* Zero selects the default in brackets. The first four are kept in the log: those of the session registered last hold for
 * all, so programs of one cluster should agree. A replica's memory for the table is bounded by sessions_max *
 * outstanding_max * reply_bytes_max. */
struct lash_session_options {
    uint64_t
        timeout_ms; /* [60000] a session ends when so much of the log's time passes without a word of it; at most a day */
    uint32_t sessions_max;    /* [1024] beyond, the one that was silent for the longest ends; at most 65536 */
    uint32_t outstanding_max; /* [32] commands of one session at a time, reckoned from the oldest one; at most 1024 */
    uint32_t reply_bytes_max; /* [16384] of one command; at most 16 MiB */
    uint64_t retry_ms;        /* [timeout_ms] a command is not tried again once it is so old */
    uint64_t seed; /* [from the operating system] of the random part of how long to wait before trying again */
};

/* A command's end, called exactly once for each that was accepted, on the node's loop thread or on a thread of `sessions`. It must
 * not block, nor close anything. `reply` is valid only during the call; NULL with an error. `error` is
 * 0: the command was carried out exactly once, and this is its reply;
 * LASH_EXPIRED (the session ended before), LASH_DROPPED, LASH_NO_LEADER, LASH_BUSY, LASH_BACKLOG, LASH_FULL, LASH_NOMEM, LASH_TOO_LARGE or another one:
 * it was not carried out, and never will be;
 * LASH_UNKNOWN or LASH_CLOSED: it was carried out once, or will be, or never. */
typedef void (*lash_session_done_fn)(void *argument, int error, const void *reply, size_t size);

/* Open a session at `node`, whose state machine need not be this one's, but must be made of lash_sessions. It is registered in the
 * log in the background; until then commands wait. Close it before the node.
 * Errors: LASH_INVALID, LASH_NOMEM, LASH_IO (no random numbers). */
LASH_PUBLIC int lash_session_open(lash_sessions *sessions, lash_node *node, const struct lash_session_options *options,
                                  lash_session **session);

/* Have a command carried out exactly once: `size` bytes at `data`, copied. It is tried, and tried again with growing pauses, until its
 * outcome is known or it is older than retry_ms; an attempt that is under way then still ends by itself, within the
 * node's request_timeout_ms. Commands of one session that are under way at the same time may be carried out in any order.
 * `done` may be called before this returns, on another thread. Any thread.
 * Errors (then `done` is not called): LASH_BUSY (outstanding_max), LASH_EXPIRED (the session has ended: open another one),
 * LASH_CLOSED (the node is closing, or takes no part any more), LASH_TOO_LARGE, LASH_NOMEM. */
LASH_PUBLIC int lash_session_propose(lash_session *session, const void *data, size_t size, lash_session_done_fn done,
                                     void *argument);

/* End the session, and free it: what waits to be tried again ends with LASH_CLOSED; then this waits for attempts under way,
 * and until the log was told once that the session is over (should that fail, it ends by its silence). Returns within about twice the node's
 * request_timeout_ms. Not from a callback. No call on this session may be under way or follow. NULL is allowed. */
LASH_PUBLIC void lash_session_close(lash_session *session);

#ifdef __cplusplus
}
#endif
#endif
