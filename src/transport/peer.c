/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers: adding, moving and removing them, and when one counts as connected. The
 * control lane comes first; its handshake says whether there are others.
 */
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

/* The first bound of the histogram of round trips. */
#define PEER_ROUND_TRIP_NS 100000

/* ---- Lifetimes ---------------------------------------------------------------------------------- */

void peer_handle_opened(struct peer *peer) {
    peer->handles++;
    transport_handle_opened(peer->transport);
}

void peer_handle_closed(struct peer *peer) {
    struct transport *transport = peer->transport;
    LASH_ASSERT(peer->handles > 0);
    if (--peer->handles == 0) {
        LASH_ASSERT(peer->removed && !peer_is_heard(peer));
        mem_free(peer->host);
        mem_free(peer);
    }
    transport_handle_closed(transport);
}

static void peer_on_timer_close(uv_handle_t *handle) {
    const struct route *route = handle->data;
    peer_handle_closed(route->peer);
}

/* ---- Lanes -------------------------------------------------------------------------------------- */

bool peer_has_lanes(const struct peer *peer) {
    const struct route *control = &peer->routes[TRANSPORT_CONTROL];
    return control->state == ROUTE_READY && (outgoing_features(control->outgoing) & PACKET_FEATURE_LANES);
}

struct route *peer_route(struct peer *peer, enum transport_lane lane) {
    LASH_ASSERT(lane < TRANSPORT_LANES);
    struct route *control = &peer->routes[TRANSPORT_CONTROL];
    if (control->state != ROUTE_READY)
        return NULL;
    return peer_has_lanes(peer) ? &peer->routes[lane] : control;
}

bool peer_is_heard(const struct peer *peer) {
    for (size_t i = 0; i < TRANSPORT_LANES; i++)
        if (peer->routes[i].incoming)
            return true;
    return false;
}

void peer_close_incoming(struct peer *peer) {
    for (size_t i = 0; i < TRANSPORT_LANES; i++)
        if (peer->routes[i].incoming)
            incoming_close(peer->routes[i].incoming);
}

static void peer_connected(struct peer *peer) {
    struct transport *transport = peer->transport;
    LASH_ASSERT(!peer->connected);
    peer->connected = true;
    transport->counters.connects++;
    peer->metrics.connects++;
    log_info("connected to a peer", F_HEX("peer", peer->id),
             F_STR("address", outgoing_address(peer->routes[TRANSPORT_CONTROL].outgoing)),
             F_U64("connections", peer_has_lanes(peer) ? TRANSPORT_LANES - 1 : 1));
    if (transport->options.connected)
        transport->options.connected(transport->options.context, peer->id);
}

static void peer_disconnected(struct peer *peer) {
    struct transport *transport = peer->transport;
    if (!peer->connected)
        return;
    peer->connected = false;
    transport->counters.disconnects++;
    peer->metrics.disconnects++;
    if (transport->options.disconnected)
        transport->options.disconnected(transport->options.context, peer->id);
}

void peer_route_ready(struct route *route) {
    struct peer *peer = route->peer;
    const struct transport_options *options = &peer->transport->options;
    if (route->lane == TRANSPORT_CONTROL)
        peer->probe = 0; /* what was under way on the former connection is lost */
    if (route->lane == TRANSPORT_CONTROL && peer_has_lanes(peer))
        dial_start(&peer->routes[TRANSPORT_ENTRIES]);
    else if (route->lane != TRANSPORT_SNAPSHOT)
        peer_connected(peer);
    else if (options->lane_ready)
        options->lane_ready(options->context, peer->id);
}

static void peer_snapshot_lost(struct peer *peer) {
    const struct transport_options *options = &peer->transport->options;
    if (!peer->removed && options->lane_lost)
        options->lane_lost(options->context, peer->id);
}

/* The control lane is gone, and the others with it. */
static void peer_lost(struct peer *peer) {
    struct route *snapshot = &peer->routes[TRANSPORT_SNAPSHOT];
    bool snapshot_lost = snapshot->state == ROUTE_READY || snapshot->wanted;
    dial_stop(&peer->routes[TRANSPORT_ENTRIES]);
    dial_stop(snapshot);
    peer_disconnected(peer);
    if (snapshot_lost)
        peer_snapshot_lost(peer);
}

void peer_route_lost(struct route *route, bool was_ready) {
    if (route->lane == TRANSPORT_SNAPSHOT)
        peer_snapshot_lost(route->peer);
    else if (was_ready && route->lane == TRANSPORT_ENTRIES)
        peer_disconnected(route->peer);
    else if (was_ready)
        peer_lost(route->peer);
}

/* ---- Adding and removing ------------------------------------------------------------------------ */

/* Takes `host`. */
static int peer_new(struct transport *transport, uint64_t id, char *host, uint16_t port) {
    struct peer *peer = mem_calloc(1, sizeof *peer);
    if (!peer) {
        mem_free(host);
        return LASH_NOMEM;
    }
    peer->transport = transport;
    peer->id = id;
    peer->host = host;
    peer->port = port;
    peer->metrics.id = id;
    metric_histogram(&peer->round_trip, PEER_ROUND_TRIP_NS, LASH_HISTOGRAM_BUCKETS_MAX);
    for (size_t i = 0; i < TRANSPORT_LANES; i++) {
        struct route *route = &peer->routes[i];
        route->peer = peer;
        route->lane = (enum transport_lane)i;
        route->backoff_ms = transport->options.reconnect_ms_min;
        int error = uv_timer_init(transport->options.loop, &route->timer);
        LASH_ASSERT(error == 0);
        route->timer.data = route;
        peer_handle_opened(peer);
    }
    list_push(&transport->peers, &peer->node);
    dial_start(&peer->routes[TRANSPORT_CONTROL]);
    return LASH_OK;
}

/* Takes `host`. */
static void peer_move(struct peer *peer, char *host, uint16_t port) {
    mem_free(peer->host);
    peer->host = host;
    peer->port = port;
    dial_start(&peer->routes[TRANSPORT_CONTROL]);
    peer_lost(peer);
}

int transport_add_peer(struct transport *transport, uint64_t peer, const char *host, uint16_t port) {
    if (peer == 0 || peer == transport->options.node_id || !host || !*host || port == 0)
        return LASH_INVALID;
    if (transport->closing)
        return LASH_CLOSED;
    struct peer *known = transport_find(transport, peer);
    if (known)
        known->guest = false;
    if (known && known->port == port && strcmp(known->host, host) == 0)
        return LASH_OK;
    char *copy = mem_strdup(host);
    if (!copy)
        return LASH_NOMEM;
    if (!known)
        return peer_new(transport, peer, copy, port);
    peer_move(known, copy, port);
    return LASH_OK;
}

void peer_drop(struct peer *peer) {
    LASH_ASSERT(!peer->removed);
    list_remove(&peer->node);
    peer->removed = true;
    peer->connected = false;
    peer_close_incoming(peer);
    for (size_t i = 0; i < TRANSPORT_LANES; i++) {
        dial_stop(&peer->routes[i]);
        uv_close((uv_handle_t *)&peer->routes[i].timer, peer_on_timer_close);
    }
}

struct peer *peer_welcome(struct transport *transport, uint64_t id, const char *host, uint16_t port) {
    char *copy = id != 0 && id != transport->options.node_id && port != 0 ? mem_strdup(host) : NULL;
    if (!copy || peer_new(transport, id, copy, port) != LASH_OK)
        return NULL;
    struct peer *peer = transport_find(transport, id);
    peer->guest = true;
    return peer;
}

void transport_expect(struct transport *transport, uint64_t peer, uint64_t disk) {
    struct peer *known = transport_find(transport, peer);
    if (!known)
        return;
    known->disk_expected = disk;
    if (disk != 0 && known->disk != 0 && known->disk != disk)
        peer_close_incoming(known); /* and refused when it tries again */
}

uint64_t transport_disk(const struct transport *transport, uint64_t peer) {
    const struct peer *known = transport_find(transport, peer);
    return known && peer_is_heard(known) ? known->disk : 0;
}

void transport_configured(struct transport *transport, uint64_t index, bool welcome) {
    transport->configuration = index;
    transport->welcome = welcome;
    struct list *at = transport->peers.next;
    while (!welcome && at != &transport->peers) {
        struct peer *peer = list_entry(at, struct peer, node);
        at = at->next;
        if (!peer->guest || peer->index > index)
            continue;
        bool was_connected = peer->connected;
        uint64_t id = peer->id;
        peer_drop(peer);
        if (was_connected && transport->options.disconnected)
            transport->options.disconnected(transport->options.context, id);
    }
}

void transport_remove_peer(struct transport *transport, uint64_t peer) {
    struct peer *known = transport_find(transport, peer);
    if (known)
        peer_drop(known);
}

/* ---- Sending and observing ---------------------------------------------------------------------- */

/* Why nothing can be sent over `route`, or 0. */
static int peer_route_error(struct route *route) {
    if (!route)
        return LASH_NOT_FOUND;
    if (route->state == ROUTE_READY)
        return LASH_OK;
    if (route->lane != TRANSPORT_SNAPSHOT)
        return LASH_NOT_FOUND;
    dial_want(route);
    return LASH_BUSY;
}

int transport_send(struct transport *transport, uint64_t peer, enum transport_lane lane, const void *head,
                   size_t head_size, struct buf *const *tails, size_t count) {
    struct peer *known = transport_find(transport, peer);
    if (!known)
        return LASH_NOT_FOUND;
    struct route *route = peer_route(known, lane);
    int error = peer_route_error(route);
    if (!error)
        error = outgoing_send(route->outgoing, PACKET_MESSAGE, head, head_size, tails, count);
    known->metrics.send_failures += error != 0;
    return error;
}

bool transport_is_connected(const struct transport *transport, uint64_t peer) {
    const struct peer *known = transport_find(transport, peer);
    return known && known->connected;
}

uint64_t transport_features(const struct transport *transport, uint64_t peer) {
    const struct peer *known = transport_find(transport, peer);
    if (!known || !known->connected)
        return 0;
    return outgoing_features(known->routes[TRANSPORT_CONTROL].outgoing) & ~PACKET_FEATURES;
}

size_t transport_peers(const struct transport *transport, struct lash_peer_metrics *peers, size_t max) {
    size_t count = 0;
    for (struct list *at = transport->peers.next; at != &transport->peers && count < max; at = at->next) {
        const struct peer *peer = list_entry(at, struct peer, node);
        struct lash_peer_metrics *to = &peers[count++];
        *to = peer->metrics;
        to->connected = peer->connected;
        for (size_t i = 0; i < TRANSPORT_LANES; i++)
            if (peer->routes[i].outgoing)
                outgoing_queue(peer->routes[i].outgoing, &to->queued_packets, &to->queued_bytes);
        metric_copy(&peer->round_trip, &to->round_trip);
    }
    return count;
}
