/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on the client port: GET /health and GET /version, keep-alive, and
 * nothing that a request could make large or long.
 */
#ifndef LASH_API_HTTP1_H
#define LASH_API_HTTP1_H

#include "api/connection.h"

/* Speak HTTP/1.1 on a fresh connection. NULL, or why that failed. */
const char *http1_open(struct connection *connection);

/* A request's head, for the parser and its tests. Pointers point into the text given. */
struct http1_request {
    const char *method;
    size_t method_size;
    const char *target; /* path and query */
    size_t target_size;
    bool keep_alive; /* the connection may be used again */
    bool has_body;   /* which is not read: the connection ends after the answer */
};

/* Parse a whole head of `size` bytes, the empty line included. False if it is not HTTP/1.x. */
bool http1_parse(const char *head, size_t size, struct http1_request *request);

#endif
