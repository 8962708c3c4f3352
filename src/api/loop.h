/* SPDX-License-Identifier: Apache-2.0
 *
 * One loop thread of the server: its connections, its calls under way, and the
 * calls that the node has finished with. Loops share nothing but the options, so
 * that a server can have several.
 *
 * Threads: all of it belongs to the loop's thread, except where a function says
 * otherwise.
 */
#ifndef LASH_API_LOOP_H
#define LASH_API_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "api/links.h"
#include "api/server.h"
#include "api/tally.h"
#include "base/list.h"

struct call;
struct store_reader;

/* Something that another thread is done with, and that goes on on the loop's. */
struct completion {
    struct list link; /* loop->completed */
    void (*deliver)(struct completion *completion);
};

enum {
    LOOP_LISTENERS_MAX = 16,
    LOOP_INPUT_SIZE = 64 * 1024,
    LOOP_OUTPUT_SIZE = 64 * 1024,
};

/* At most `LOOP_LOG_LINES` lines about clients' misbehaviour per `LOOP_LOG_PERIOD_MS`. */
enum { LOOP_LOG_LINES = 10, LOOP_LOG_PERIOD_MS = 10000 };

/* Tries to publish the member's attributes until it is through. */
struct publisher {
    uv_timer_t timer; /* of the next try */
    struct call *call;
};

/* Raises the cluster's version when it is time. */
struct upgrader {
    struct call *call;           /* the proposal that is under way */
    bool done;                   /* the newest that this program knows is in force */
    struct lash_metrics metrics; /* as of the last look */
};

struct loop {
    const struct server_options *options; /* with the defaults put in */
    lash_node *node;                      /* NULL before it starts, and once it is about to close */
    uint64_t term;                        /* the node's, if it was asked for in this turn */
    bool term_known;
    uv_loop_t uv;
    uv_thread_t thread;
    uv_async_t wake;      /* something in the guarded fields changed */
    uv_prepare_t flush;   /* before each wait: send what the turn has produced */
    uv_timer_t sweep;     /* each second: what got stuck */
    uv_timer_t deadlines; /* the earliest deadline among `calls` */
    uint64_t deadline_armed;
    uv_tcp_t listeners[LOOP_LISTENERS_MAX];
    bool accept_later[LOOP_LISTENERS_MAX]; /* a client waits there for memory */
    size_t listener_count;

    struct list calls;         /* struct call.in_loop: not answered yet */
    struct list readers[2];    /* struct call.in_reading: to ask the node for, LASH_READ_INDEX and LASH_READ_LEASE */
    struct store_reader *view; /* of reads while the loop delivers, once there was one */
    bool delivering;           /* what the node is done with */
    struct list connections;   /* struct connection.in_loop */
    struct list dirty;         /* struct connection.in_dirty: may have something to send */
    uint32_t connection_count;
    uint32_t snapshots;      /* being sent to clients */
    _Atomic size_t buffered; /* bytes of requests and answers held; workers look at it, */
    _Atomic size_t encoded;  /* and count here those of answers that the loop has yet to take from them */
    bool draining;
    bool started; /* the thread runs */
    struct publisher publisher;
    struct upgrader upgrader;
    struct tally tally;
    struct links links;                    /* as the node observes them */
    _Atomic lash_index configuration_told; /* the configuration in force, as the node observed last */
    lash_index configuration_known;        /* the one that these are of: */
    bool learner;                          /* this member is one, */
    bool witness;                          /* or it is one of these */

    uint64_t log_since;
    uint32_t log_lines;
    uint32_t log_dropped;

    uint8_t input[LOOP_INPUT_SIZE];   /* what was just read */
    uint8_t output[LOOP_OUTPUT_SIZE]; /* what is about to be written */

    uv_mutex_t lock; /* guards the rest */
    uv_cond_t drained;
    struct list completed; /* struct completion.link: the node is done with them */
    bool drain_wanted;
    bool sever_wanted;
    bool stop_wanted;
    bool severed;              /* `node` is not used any more */
    uint32_t connections_left; /* while draining */
};

/* Make a loop, without a thread yet. Errors: LASH_NOMEM. */
int loop_open(struct loop *loop, const struct server_options *options);

/* Start the thread. Errors: LASH_NOMEM. */
int loop_start(struct loop *loop, lash_node *node);

/* From another thread: tell clients to go, wait up to `timeout_ms` until the connections are gone, and let go of the
 * node: once this returns, the loop does not call it any more. */
void loop_drain(struct loop *loop, uint64_t timeout_ms);

/* From another thread: close everything and join. A loop that was started has been drained, and its node closed. */
void loop_close(struct loop *loop);

/* A client waits at this listener. */
void loop_accept(struct loop *loop, size_t listener);

/* From any thread: the node observed something. */
void loop_observe(struct loop *loop, const struct lash_observation *observation);

/* Whether this member is a learner now, as far as its node has told. */
bool loop_is_learner(struct loop *loop);

/* Likewise whether it is a witness. */
bool loop_is_witness(struct loop *loop);

/* What a loop does before it waits: ask the node for the turn's reads, and send what the turn has produced. */
void loop_end_turn(struct loop *loop);

/* From any thread: `completion` is to be delivered on the loop. */
void loop_complete(struct loop *loop, struct completion *completion);

/* The node's term, as of this turn; 0 once the node is closing. */
uint64_t loop_term(struct loop *loop);

/* See to it that the calls' deadlines are looked at by `deadline_ms`. */
void loop_arm(struct loop *loop, uint64_t deadline_ms);

/* Whether requests and answers take all the memory that they may. Any thread. */
bool loop_is_full(const struct loop *loop);

/* Hold `size` bytes more, whether that is within the bound or not; and give them back. */
void loop_hold(struct loop *loop, size_t size);
void loop_release(struct loop *loop, size_t size);

/* One line about a client, unless there have been too many. */
void loop_log_client(struct loop *loop, const char *message, const char *client, const char *reason);

#endif
