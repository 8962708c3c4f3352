/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's side of one HTTP/2 connection with many unary gRPC calls on it: bytes
 * in, bytes out, no sockets. All calls have the same headers, so that a block of
 * them is packed once. It is what a load generator needs, and costs a tenth of
 * what a whole HTTP/2 library does; headers are unpacked by nghttp2.
 *
 * Threads: the caller's only.
 */
#ifndef LASH_LASHCTL_GRPC_CHANNEL_H
#define LASH_LASHCTL_GRPC_CHANNEL_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct grpc_channel;

/* A call, in memory of the caller's, who looks at none of it. */
struct grpc_channel_call {
    struct list link;               /* among those that wait to send */
    struct grpc_channel_call *next; /* in its bucket */
    uint32_t id;                    /* 0: not begun */
    const uint8_t *body;            /* not copied */
    size_t body_size;
    size_t body_at;     /* sent */
    int64_t window;     /* bytes that the server lets the call send */
    size_t unconfirmed; /* bytes received that the server was not told to be taken */
};

/* What happens to calls; from within grpc_channel_receive. */
struct grpc_channel_events {
    void (*header)(void *context, struct grpc_channel_call *call, const nghttp2_nv *header);
    void (*data)(void *context, struct grpc_channel_call *call, size_t size);
    /* The call is over, and its memory the caller's again; `error` is an HTTP/2 error code, 0: the server has sent all. */
    void (*end)(void *context, struct grpc_channel_call *call, uint32_t error);
};

/* NULL when memory ran out. `events` and `context` are to live as long as the channel. */
struct grpc_channel *grpc_channel_new(const struct grpc_channel_events *events, void *context);
void grpc_channel_free(struct grpc_channel *channel); /* NULL is allowed */

/* The headers of the calls that begin from now on. They are not copied. */
void grpc_channel_headers(struct grpc_channel *channel, const nghttp2_nv *headers, size_t count);

/* Begin a call with a message of `size` > 0 bytes, prefix included, which stays where it is until the end. */
void grpc_channel_begin(struct grpc_channel *channel, struct grpc_channel_call *call, const uint8_t *message,
                        size_t size);

/* Take bytes from the server. NULL, or what is wrong: then the channel can only be freed. */
const char *grpc_channel_receive(struct grpc_channel *channel, const uint8_t *data, size_t size);

/* Gather what there is to be sent. Returns its size; 0: nothing, for now. */
size_t grpc_channel_output(struct grpc_channel *channel, const uint8_t **data);

/* The first `size` bytes of that are sent. */
void grpc_channel_sent(struct grpc_channel *channel, size_t size);

/* What went wrong while calls began or output was gathered; NULL: nothing. */
const char *grpc_channel_trouble(const struct grpc_channel *channel);

#endif
