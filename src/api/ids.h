/* SPDX-License-Identifier: Apache-2.0
 *
 * The ids of members and of the cluster, which etcd derives from peer URLs, so
 * that all members of a first configuration find the same ones.
 */
#ifndef LASH_API_IDS_H
#define LASH_API_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first 8 bytes, big-endian, of the SHA-1 over a member's peer URL (etcd: all of them, sorted), the cluster's token and,
 * of a member that is added later, the time in decimal digits (0: none). etcd takes seconds; nanoseconds keep an id from coming back when
 * a member is removed and added again within one. False when memory ran out. */
bool ids_member(const char *peer_url, const char *token, uint64_t time, uint64_t *id);

/* The same over the members' ids, which are sorted, 8 bytes big-endian each. */
bool ids_cluster(const uint64_t *members, size_t count, uint64_t *id);

#endif
