/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC over HTTP/2 on a connection: streams become calls, answers become
 * messages and trailers.
 */
#ifndef LASH_API_HTTP2_H
#define LASH_API_HTTP2_H

#include "api/connection.h"

enum {
    HTTP2_STREAMS_MAX = 4096,                   /* at once, on a connection */
    HTTP2_STREAM_WINDOW = 1024 * 1024,          /* bytes that a client may send ahead on a stream */
    HTTP2_CONNECTION_WINDOW = 16 * 1024 * 1024, /* and on all of them */
    HTTP2_HEADERS_MAX = 64 * 1024,
    HTTP2_REQUEST_MS = 60000,         /* for a request to arrive whole */
    GRPC_OVERHEAD_BYTES = 512 * 1024, /* etcd's: a message may be this much larger than a command */
};

/* Speak HTTP/2 on a fresh connection. NULL, or why that failed. */
const char *http2_open(struct connection *connection);

#endif
