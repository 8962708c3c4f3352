/* SPDX-License-Identifier: Apache-2.0
 *
 * One client's session without threads, clock or node: it numbers commands, tries
 * them, tries again, and keeps the session alive. Time comes in as a number, randomness from a seed,
 * and the way to a node is struct client_env; the library (runner.c) and the simulator
 * supply one each.
 *
 * After any number of events (client_propose, client_ended, client_close) client_turn does what is due; what has ended
 * by then is in `ended`.
 */
#ifndef LASH_SESSION_CLIENT_H
#define LASH_SESSION_CLIENT_H

#include "session/machine.h"

struct client;

/* A command of the program's, or one of the session's own. */
struct client_call {
    struct list link; /* client->calls, then client->ended */
    struct client *client;
    enum command_kind kind;
    uint64_t sequence;
    bool flying;                  /* an attempt is under way */
    bool unsure;                  /* of an earlier attempt nobody knows whether it is carried out */
    int error;                    /* of the latest attempt; at the end, what `done` is told */
    uint32_t attempts;            /* that failed so far */
    uint64_t try_ms;              /* the next one, or later */
    uint64_t deadline_ms;         /* no more attempts from then on */
    struct session_result result; /* of an attempt under way, and at the end the reply */
    lash_session_done_fn done;
    void *argument;
    size_t size;    /* of the program's bytes */
    uint8_t *bytes; /* COMMAND_HEAD_SIZE bytes and those */
};

struct client_env {
    void *context;
    /* Propose `size` bytes, with &call->result as the request; client_ended tells the end, and not from within this. Errors: as of
     * lash_node_propose, and then client_ended is not called. */
    int (*propose)(void *context, struct client_call *call, const void *data, size_t size);
};

/* Legal changes go down the list. */
enum client_state {
    CLIENT_OPENING, /* it is being registered */
    CLIENT_OPEN,
    CLIENT_EXPIRED, /* the session has ended in the log */
    CLIENT_LOST,    /* its node takes nothing any more */
    CLIENT_CLOSED,  /* client_close, and nothing is under way */
};

struct client {
    struct client_env env;
    struct session_limits limits;
    uint64_t retry_ms;
    uint64_t random;
    enum client_state state;
    bool closing; /* client_close was called */
    bool told;    /* and the log was told so */
    uint64_t id;
    uint64_t next_sequence;
    bool log_known; /* that the log's time was log_ms, or later, at log_seen_ms */
    uint64_t
        log_ms; /* so what is added to it since is no more than the log's time would be if all clients were heard */
    uint64_t log_seen_ms;
    struct list calls; /* that have not ended, by sequence */
    struct list ended; /* whose end is to be told: client_call_free is the receiver's */
    struct client_call own;
    uint8_t own_bytes[COMMAND_HEAD_SIZE + COMMAND_LIMITS_SIZE];
};

void client_init(struct client *client, const struct client_env *env, const struct session_limits *limits,
                 uint64_t retry_ms, uint64_t seed);

/* Errors: as of lash_session_propose, but LASH_TOO_LARGE. */
int client_propose(struct client *client, uint64_t now_ms, const void *data, size_t size, lash_session_done_fn done,
                   void *argument);

/* An attempt has ended, as lash_done_fn says. */
void client_ended(struct client_call *call, uint64_t now_ms, int error, lash_index index);

/* Do what is due. Returns when it is to be called again at the latest; UINT64_MAX: after the next event. */
uint64_t client_turn(struct client *client, uint64_t now_ms);

/* Begin to close: the state comes to be CLIENT_CLOSED. */
void client_close(struct client *client);

/* Free a client of which nothing is under way; what has not ended is not told. */
void client_free(struct client *client);

void client_call_free(struct client_call *call);

#endif
