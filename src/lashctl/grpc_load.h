/* SPDX-License-Identifier: Apache-2.0
 *
 * A load generator for gRPC servers: several cleartext HTTP/2 connections with many
 * unary calls outstanding, driven by one thread. Each client has one call
 * outstanding at a time, and begins the next when it is answered.
 *
 * Threads: the caller's only.
 */
#ifndef LASH_LASHCTL_GRPC_LOAD_H
#define LASH_LASHCTL_GRPC_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lashctl/histogram.h"

struct grpc_load;

/* What clients ask for. */
struct grpc_work {
    const char *path;    /* "/package.Service/Method" */
    size_t request_max;  /* bytes, with the prefix */
    size_t response_min; /* bytes, with the prefix: a shorter answer does not say what it should, and is a failure */
    void *context;
    /* Write the next request, a gRPC message with its prefix, to `to`, of request_max bytes. Returns its size; 0: there
     * are no more. */
    size_t (*next)(void *context, uint8_t *to);
};

struct grpc_load_result {
    uint64_t operations; /* answered well while it was measured */
    uint64_t failures;   /* at any time */
    uint64_t measured_ns;
    struct histogram latency; /* nanoseconds, of those operations */
    char failure[256];        /* the first one's text */
};

/* How long, and who is told. */
struct grpc_load_plan {
    double warm_up_seconds; /* before it is measured */
    double seconds;         /* measured; 0: until there are no more requests */
    void *context;
    /* Called about ten times a second while it is measured; false ends the run. May be NULL. */
    bool (*tick)(void *context, const struct grpc_load_result *so_far, double elapsed_seconds);
};

/* Connect `connections` times, to the endpoints in turn, for `clients` clients. NULL with the reason in `problem`. */
struct grpc_load *grpc_load_open(const char *const *endpoints, size_t endpoint_count, size_t connections,
                                 size_t clients, char *problem, size_t problem_size);

/* Do the work as planned; `result` is filled. Returns false when a connection broke, the answers did not come, or tick
 * ended the run, with the reason in `problem` (empty for the last). A load that has failed can only be closed. */
bool grpc_load_run(struct grpc_load *load, const struct grpc_work *work, const struct grpc_load_plan *plan,
                   struct grpc_load_result *result, char *problem, size_t problem_size);

/* NULL is allowed. */
void grpc_load_close(struct grpc_load *load);

#endif
