/* SPDX-License-Identifier: Apache-2.0
 *
 * The ids of members and of the cluster, which etcd derives from the first
 * configuration, so that every member finds the same ones.
 */
#ifndef LASH_LASHD_IDS_H
#define LASH_LASHD_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first 8 bytes, big-endian, of the SHA-1 over a member's peer URL (etcd: all of them, sorted) and the cluster's token.
 * False when memory ran out. */
bool ids_member(const char *peer_url, const char *token, uint64_t *id);

/* The same over the members' ids, which are sorted, 8 bytes big-endian each. */
bool ids_cluster(const uint64_t *members, size_t count, uint64_t *id);

#endif
