/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of requests that were appended or forwarded and wait for their entry
 * to be applied, by sequence.
 */
#ifndef LASH_NODE_WAITING_H
#define LASH_NODE_WAITING_H

#include "node/request.h"

struct waiting {
    struct request **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

/* Errors: LASH_NOMEM. */
int waiting_init(struct waiting *waiting);

/* The table must be empty. */
void waiting_free(struct waiting *waiting);

/* Add a request whose sequence is not in the table. Never fails: without memory to grow, the buckets get longer. */
void waiting_add(struct waiting *waiting, struct request *request);

/* Take the request with `sequence` out, or NULL. */
struct request *waiting_take(struct waiting *waiting, uint64_t sequence);

#endif
