/* SPDX-License-Identifier: Apache-2.0
 *
 * Since when each peer has been connected, as the node observes it: a change of the
 * membership is refused while too few members have been there for a while.
 *
 * Threads: any.
 */
#ifndef LASH_API_LINKS_H
#define LASH_API_LINKS_H

#include <uv.h>

#include "lash/node.h"

enum { LINKS_MAX = 2 * LASH_RAFT_MEMBERS_MAX }; /* members that leave and members that join at the same time */

struct links {
    uv_mutex_t lock;
    uint32_t count;
    struct {
        lash_id id;
        uint64_t since_ms;
    } peers[LINKS_MAX]; /* those that are connected */
};

void links_open(struct links *links);
void links_close(struct links *links);

/* Take note of CONNECTED and DISCONNECTED; nothing else matters here. */
void links_observe(struct links *links, const struct lash_observation *observation, uint64_t now_ms);

/* Whether the peer is connected now, and then since when; else *since_ms is UINT64_MAX. */
bool links_connected(struct links *links, lash_id peer, uint64_t *since_ms);

#endif
