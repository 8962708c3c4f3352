/* SPDX-License-Identifier: Apache-2.0
 *
 * One gRPC call on an HTTP/2 stream: its request headers and message in, its
 * answer or error out.
 */
#ifndef LASH_API_STREAM_H
#define LASH_API_STREAM_H

#include <nghttp2/nghttp2.h>

#include "api/call.h"
#include "api/grpc.h"

/* Lives in its call's arena. */
struct stream {
    struct connection *connection;
    struct list in_http2; /* all of the connection's */
    nghttp2_session *session;
    int32_t id;
    struct call *call;         /* from the first header to the stream's end */
    struct grpc_reader reader; /* the request message */
    size_t sent;               /* bytes of the answer handed to HTTP/2 */
    bool streaming;            /* the headers of a stream of answers are on their way */
    bool dispatched;           /* the call was started, or answered without */
    bool ended;                /* the client has sent all */
    bool started;              /* counted as a call that its method was started for */

    /* Request headers, as far as they matter; texts are in the call's arena. */
    char *path;
    char *encoding; /* of messages, unless it is identity */
    bool path_cut;
    bool exhausted; /* memory ran out for one of them */
    bool is_post;
    bool is_grpc;
    bool bad_timeout;
    bool bad_read;
    uint64_t timeout_ms; /* UINT64_MAX: none */
};

/* The stream of a request that begins; NULL when memory ran out. */
struct stream *stream_open(struct connection *connection, nghttp2_session *session, int32_t id);

/* The stream is closed: forget it and its call. */
void stream_close(struct stream *stream);

/* A request header; all have come; bytes of the body; the body's end. */
void stream_header(struct stream *stream, const char *name, size_t name_size, const char *value, size_t value_size);
void stream_headers_end(struct stream *stream);
void stream_data(struct stream *stream, const uint8_t *data, size_t size);
void stream_end(struct stream *stream);

#endif
