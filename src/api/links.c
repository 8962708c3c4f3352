/* SPDX-License-Identifier: Apache-2.0
 *
 * Since when each peer has been connected: see links.h.
 */
#include "api/links.h"

#include "base/assert.h"

void links_open(struct links *links) {
    links->count = 0;
    int failed = uv_mutex_init(&links->lock);
    LASH_ASSERT(failed == 0);
}

void links_close(struct links *links) {
    uv_mutex_destroy(&links->lock);
}

/* The place of a peer that is connected; `count` when it is not. */
static uint32_t links_find(const struct links *links, lash_id peer) {
    uint32_t at = 0;
    while (at < links->count && links->peers[at].id != peer)
        at++;
    return at;
}

void links_observe(struct links *links, const struct lash_observation *observation, uint64_t now_ms) {
    bool connected = observation->kind == LASH_OBSERVED_CONNECTED;
    if (!connected && observation->kind != LASH_OBSERVED_DISCONNECTED)
        return;
    uv_mutex_lock(&links->lock);
    uint32_t at = links_find(links, observation->peer);
    bool known = at < links->count;
    if (connected && !known && links->count < LINKS_MAX) {
        links->peers[links->count].id = observation->peer;
        links->peers[links->count].since_ms = now_ms;
        links->count++;
    } else if (!connected && known) {
        links->peers[at] = links->peers[--links->count];
    }
    uv_mutex_unlock(&links->lock);
}

bool links_connected(struct links *links, lash_id peer, uint64_t *since_ms) {
    uv_mutex_lock(&links->lock);
    uint32_t at = links_find(links, peer);
    bool known = at < links->count;
    *since_ms = known ? links->peers[at].since_ms : UINT64_MAX;
    uv_mutex_unlock(&links->lock);
    return known;
}
