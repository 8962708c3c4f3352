/* SPDX-License-Identifier: Apache-2.0
 *
 * The server on the client port: the etcd v3 API over gRPC (HTTP/2 cleartext),
 * and a few pages over HTTP/1.1, on the same sockets.
 *
 * Threads: a server runs loop threads of its own. The functions here belong to
 * the thread that opened it.
 */
#ifndef LASH_API_SERVER_H
#define LASH_API_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct server;

/* The API version that clients see; they gate features on it and parse it as three integers. */
#define SERVER_VERSION "3.5.21"
#define SERVER_CLUSTER_VERSION "3.5.0"
#define SERVER_CLUSTER_MINOR "3.5"

/* What the node is to announce to its peers (lash_node_options.features): a bit for each version of log and data that the
 * program knows beyond the first. Once all members announce the next one, the leader's server raises the cluster's. */
#define SERVER_FEATURES ((uint16_t)((1u << (STORE_VERSION_NEWEST - STORE_VERSION_FIRST)) - 1))

/* A numeric address to listen on. */
struct server_address {
    const char *host;
    uint16_t port; /* 0: any free port, see server_port */
};

/* Zero selects the default in brackets. Everything pointed to stays the caller's and valid until server_close. */
struct server_options {
    const struct server_address *addresses;
    size_t address_count;
    struct store *store;
    uint64_t cluster_id;
    uint64_t member_id;             /* this member's */
    const char *name;               /* this member's, which it publishes with its client URLs */
    const char *const *client_urls; /* as others reach it */
    size_t client_url_count;
    size_t learners_max;      /* [1] members without a vote at a time */
    bool reconfig_unchecked;  /* members may be changed however few of them are there */
    size_t ops_max;           /* [128] operations in a list of a transaction */
    size_t request_bytes_max; /* [1.5 MiB] a larger command is refused */
    size_t
        buffered_max; /* [256 MiB] of requests, with what each takes besides, and answers; once there, requests are refused */
    uint32_t connections_max; /* [8192] */
};

/* Bind and listen; nobody is answered yet. On success *server is the caller's; otherwise *failed is the address that
 * could not be listened on, or NULL when it was not about one.
 * Errors: LASH_NOMEM, LASH_BUSY (address in use), LASH_INVALID (not an address of this machine), LASH_IO. */
int server_open(const struct server_options *options, struct server **server, const struct server_address **failed);

/* The port that the address of this number is listened on. */
uint16_t server_port(const struct server *server, size_t address);

/* Begin to answer, from `node` and the store. The member's name and client URLs are published through the log; once
 * that is through, the line "ready to serve client requests" is logged. Errors: LASH_NOMEM. */
int server_start(struct server *server, lash_node *node);

/* To be called with each thing that the node observes, on any thread, from its opening to its closing. */
void server_observe(struct server *server, const struct lash_observation *observation);

/* Tell clients to go elsewhere, wait up to `timeout_ms` for requests under way, and let go of the node. */
void server_drain(struct server *server, uint64_t timeout_ms);

/* Close every connection and free. A server that was started has been drained, and its node closed after that, so that
 * no request waits for it any more. NULL is allowed. */
void server_close(struct server *server);

#endif
