/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection: bytes in, bytes out, and which protocol speaks on it.
 * Whatever goes wrong on a connection ends that connection and nothing else.
 *
 * Threads: the loop's.
 */
#ifndef LASH_API_CONNECTION_H
#define LASH_API_CONNECTION_H

#include "api/loop.h"

struct connection;

/* A protocol on a connection; `state` in the connection is its own. */
struct connection_protocol {
    /* Take bytes; 0, or a reason (static text) to close the connection at once. */
    const char *(*receive)(struct connection *connection, const uint8_t *data, size_t size);
    /* Produce output through connection_write until there is none or the connection is full. As above. */
    const char *(*flush)(struct connection *connection);
    /* The server is going down: finish what is under way, take nothing new. */
    void (*drain)(struct connection *connection);
    /* The connection is gone: free `state`. */
    void (*close)(struct connection *connection);
};

enum {
    CONNECTION_PREFACE_SIZE = 3, /* bytes that tell HTTP/2 ("PRI") from HTTP/1.1 ("PUT", "POST", ...) */
    CONNECTION_WRITE_MAX = 256 * 1024,
    CONNECTION_FIRST_MS = 30000, /* to say something */
    CONNECTION_STALL_MS = 30000, /* to take some of what is being sent */
    CONNECTION_LINGER_MS = 5000, /* to close its side once we closed ours */
    CONNECTION_KEEPALIVE_S = 30, /* of silence before TCP probes whether the client is still there */
};

struct connection {
    struct loop *loop;
    struct list in_loop;
    struct list in_dirty;
    uv_tcp_t tcp;
    uv_shutdown_t shutdown;
    const struct connection_protocol *protocol; /* NULL until enough bytes came to tell */
    void *state;
    uint8_t preface[CONNECTION_PREFACE_SIZE];
    size_t preface_size;
    size_t writing;    /* bytes queued for the socket */
    size_t stalled_at; /* the queue's size when it was last seen to shrink */
    uint64_t stalled_since;
    uint64_t deadline_ms; /* when to close it; 0: never */
    bool ending;          /* our side is finished once the queue is out; what comes in is dropped */
    bool shut;            /* our side is shut down */
    bool closed;
    char client[64]; /* address and port, for logs */
};

/* Accept one from `listener`. False when memory ran out: the client waits in the queue, and is to be accepted later. */
bool connection_accept(struct loop *loop, uv_stream_t *listener);

/* Have `flush` called before the loop waits next. */
void connection_dirty(struct connection *connection);

/* Whether more output is welcome now. */
bool connection_wants(const struct connection *connection);

/* Send a copy. False when memory ran out or the socket failed: then the protocol gives up. */
bool connection_write(struct connection *connection, const uint8_t *data, size_t size);

/* Our side is finished: send what is queued, shut down, and close when the client has, or after a while. */
void connection_end(struct connection *connection);

/* Close now. `reason` is for the log; NULL: nothing worth a line. */
void connection_close(struct connection *connection, const char *reason);

/* For the loop. */
void connection_flush(struct connection *connection);
void connection_drain(struct connection *connection);
void connection_sweep(struct connection *connection, uint64_t now_ms);

#endif
