/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking a node for the membership of its cluster, without being a member: one
 * connection, blocking.
 */
#ifndef LASH_TRANSPORT_ASK_H
#define LASH_TRANSPORT_ASK_H

#include <stddef.h>
#include <stdint.h>

/* Ask the node at an address. On success the answer's `*size` bytes at *answer, of nobody knows whom, are the caller's
 * (mem_free), and *cluster_id is that of the cluster. Blocks for at most `timeout_ms`, and however long a name's resolution takes.
 * Errors: LASH_INVALID (no host or port), LASH_NOT_FOUND (nobody there answers the question), LASH_TIMEOUT, LASH_CORRUPT (the
 * answer is none), LASH_VERSION (an older node: it does not know the question), LASH_NOMEM. */
int transport_ask(const char *host, uint16_t port, uint64_t timeout_ms, uint64_t *cluster_id, uint8_t **answer,
                  size_t *size);

#endif
