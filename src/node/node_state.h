/* SPDX-License-Identifier: Apache-2.0
 *
 * The insides of a node in production, shared by the files that implement
 * lash/node.h: node.c (threads and loop), node_log.c (opening the log), node_requests.c (what programs ask for), and node_members.c
 * (the membership).
 */
#ifndef LASH_NODE_NODE_STATE_H
#define LASH_NODE_NODE_STATE_H

#include <uv.h>

#include "node/executor.h"
#include "node/repair.h"
#include "node/replica.h"
#include "node/ring.h"
#include "node/settings.h"
#include "transport/transport.h"

struct lash_node {
    struct lash_node_options options;
    struct lash_state_machine machine;
    struct request_gauge gauge;
    struct log *log;
    struct snapshots *snapshots; /* NULL: the state machine takes none */
    struct replica *replica;     /* NULL while the log is being repaired, */
    struct repair *repair;       /* by this; or NULL */
    struct replica_env env;
    struct executor executors[REPLICA_EXECUTORS]; /* by enum replica_executor */
    struct ring ring;                             /* open where the kernel has one, and the options do not forbid it */
    struct transport *transport;
    struct settings_identity identity; /* what the log says of itself */
    struct roster *contacts;           /* the options' peers */
    struct roster *latest;             /* while the log is not whole, the newest that it or a snapshot shows; or NULL */
    bool removal_noted;

    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t wake;
    uv_timer_t timer;
    uv_check_t check;
    struct list quick;       /* jobs of the apply thread that are to be done on this one: one at most */
    bool quick_done;         /* in this turn: what else is to be applied goes to the apply thread */
    uint32_t executor_count; /* running */
    bool loop_open;
    bool tearing_down; /* handles are being closed */
    bool stopping;     /* `closing`, as of the latest look */
    struct list asked; /* requests that callbacks made, on this thread */

    uv_mutex_t mutex; /* guards what follows */
    struct list incoming;
    bool looks_again; /* the loop thread will take from `incoming` before it sleeps, without being woken for it */
    bool closing;
    bool begun; /* there is a replica, and will be as long as there is the node */
    struct lash_status status;
    struct roster *roster;       /* in force; NULL: none is known */
    struct lash_metrics metrics; /* queues and peers, as of the latest turn */
};

/* The node whose callbacks this thread is calling, for whose requests it will look before it sleeps; or NULL. */
extern _Thread_local const struct lash_node *node_telling;

/* Make a request, counted, if there is room. Errors: LASH_BUSY, LASH_NOMEM. */
int node_make_request(lash_node *node, enum request_kind kind, const void *data, size_t size, lash_done_fn done,
                      void *argument, struct request **request);

/* The roster as a membership of that cluster, for lash_members_free; NULL when memory ran out. */
struct lash_members *node_copy_members(const struct roster *roster, uint64_t cluster_id);

/* Open the node's log in its data directory, which is made when there is none. LASH_DAMAGED: it is open, and to be repaired from peers.
 * Errors besides: those of log_open, LASH_REMOVED, LASH_INVALID. */
int node_open_log(struct lash_node *node, struct log_recovered *recovered);

/* Hand a request to the loop thread; on an error it is freed. Errors: LASH_CLOSED. */
int node_enqueue(lash_node *node, struct request *request);

#endif
