/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps one lane to a peer up, for ever: resolve the peer's name, try its
 * addresses one after the other, shake hands, and when the connection breaks begin
 * again after a wait that doubles. The other lanes go where the control lane has got
 * through; the snapshot lane only while something is to be sent.
 *
 *   WAITING -> RESOLVING (only names) -> CONNECTING -> GREETING -> READY, and from each back to WAITING
 */
#include <netdb.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

#define DIAL_CONNECT_MS 2000 /* per address */

static const char *const dial_lane_names[] = {
    [TRANSPORT_CONTROL] = "control", [TRANSPORT_ENTRIES] = "entries", [TRANSPORT_SNAPSHOT] = "snapshot"};

static void dial_on_timer(uv_timer_t *timer);

static void dial_arm(struct route *route, uint64_t ms) {
    LASH_ASSERT(!route->peer->removed);
    (void)uv_timer_start(&route->timer, dial_on_timer, ms, 0);
}

static void dial_wait(struct route *route, uint64_t ms) {
    LASH_ASSERT(!route->outgoing);
    route->wanted = route->lane != TRANSPORT_SNAPSHOT;
    route->state = ROUTE_WAITING;
    dial_arm(route, ms);
}

/* Wait before the next try: between half of the back-off and all of it, so that nodes that lost each other at one
 * moment do not dial at one moment too. */
static void dial_back_off(struct route *route) {
    uint64_t max_ms = route->peer->transport->options.reconnect_ms_max;
    uint64_t half_ms = route->backoff_ms / 2;
    dial_wait(route, half_ms + transport_random(route->peer->transport, route->backoff_ms - half_ms + 1));
    route->backoff_ms = route->backoff_ms < max_ms / 2 ? route->backoff_ms * 2 : max_ms;
}

/* ---- The ways it ends --------------------------------------------------------------------------- */

static void dial_broken(struct route *route, const char *reason) {
    struct transport *transport = route->peer->transport;
    if (transport_notice(transport, NOTICE_BROKEN, route->peer->id))
        log_warn("lost the connection to a peer; dialling again", F_HEX("peer", route->peer->id),
                 F_STR("address", outgoing_address(route->outgoing)), F_STR("lane", dial_lane_names[route->lane]),
                 F_STR("reason", reason));
    /* Only a connection that held starts the back-off anew: a peer that accepts and breaks off at once waits longer. */
    if (uv_now(transport->options.loop) - route->ready_ms >= transport->options.reconnect_ms_max)
        route->backoff_ms = transport->options.reconnect_ms_min;
    outgoing_close(route->outgoing);
    dial_back_off(route);
    peer_route_lost(route, true);
}

/* No connection came about: the last address failed, or the handshake. */
static void dial_unreachable(struct route *route, const char *reason) {
    if (transport_notice(route->peer->transport, NOTICE_UNREACHABLE, route->peer->id))
        log_warn("cannot connect to a peer; trying again", F_HEX("peer", route->peer->id),
                 F_STR("host", route->peer->host), F_U64("port", route->peer->port), F_STR("reason", reason));
    if (route->outgoing)
        outgoing_close(route->outgoing);
    dial_back_off(route);
    peer_route_lost(route, false);
}

/* The connection, ready or not yet, came to its end. May call the user. */
void dial_failed(struct route *route, const char *reason) {
    LASH_ASSERT(route->outgoing);
    if (route->state == ROUTE_READY)
        dial_broken(route, reason);
    else
        dial_unreachable(route, reason);
}

void dial_refused(struct route *route, const struct packet_reply *reply) {
    struct transport *transport = route->peer->transport;
    LASH_ASSERT(route->state == ROUTE_GREETING);
    transport->counters.refused++;
    if (transport_notice(transport, NOTICE_REFUSED_US + reply->status, route->peer->id))
        log_warn("a peer refused our connection", F_STR("reason", notice_refusal_text(reply->status)),
                 F_HEX("peer", route->peer->id), F_STR("host", route->peer->host), F_U64("port", route->peer->port),
                 F_HEX("node_there", reply->node_id), F_HEX("cluster_there", reply->cluster_id),
                 F_HEX("cluster", transport->options.cluster_id), F_U64("version_min_there", reply->version_min),
                 F_U64("version_max_there", reply->version_max), F_STR("advice", notice_refusal_advice(reply->status)));
    const struct packet_reply refusal = *reply;
    uint64_t id = route->peer->id;
    outgoing_close(route->outgoing);
    route->backoff_ms = transport->options.reconnect_ms_max;
    dial_back_off(route);
    peer_route_lost(route, false);
    if (transport->options.refused && !transport->closing)
        transport->options.refused(transport->options.context, id, refusal.status, refusal.index);
}

/* ---- The way up --------------------------------------------------------------------------------- */

/* Connect to the next address that can be tried at all. */
static void dial_next_address(struct route *route, int error) {
    while (route->address_next < route->address_count) {
        route->outgoing = outgoing_connect(route, &route->addresses[route->address_next++], &error);
        if (route->outgoing) {
            route->state = ROUTE_CONNECTING;
            dial_arm(route, DIAL_CONNECT_MS);
            return;
        }
        route->refused = false;
    }
    bool refused = route->lane == TRANSPORT_CONTROL && route->refused && !peer_is_heard(route->peer);
    dial_unreachable(route, uv_strerror(error));
    struct transport_options *options = &route->peer->transport->options;
    if (refused && options->down && !route->peer->removed)
        options->down(options->context, route->peer->id);
}

/* The present address led nowhere. */
static void dial_skip_address(struct route *route, int error) {
    route->refused = route->refused && error == UV_ECONNREFUSED;
    outgoing_close(route->outgoing);
    dial_next_address(route, error);
}

void dial_connected(struct route *route, int status) {
    LASH_ASSERT(route->state == ROUTE_CONNECTING);
    if (status < 0) {
        dial_skip_address(route, status);
        return;
    }
    route->state = ROUTE_GREETING;
    dial_arm(route, route->peer->transport->options.handshake_ms);
}

void dial_ready(struct route *route, const struct packet_reply *reply) {
    struct route *control = &route->peer->routes[TRANSPORT_CONTROL];
    LASH_ASSERT(route->state == ROUTE_GREETING);
    if (route != control && !(outgoing_features(route->outgoing) & PACKET_FEATURE_LANES)) {
        /* It took this connection for the only one: a build without lanes has taken its place meanwhile. */
        dial_failed(control, "the peer knows no lanes any more");
        return;
    }
    (void)uv_timer_stop(&route->timer);
    route->state = ROUTE_READY;
    route->ready_ms = uv_now(route->peer->transport->options.loop);
    log_debug("lane ready", F_HEX("peer", route->peer->id), F_STR("address", outgoing_address(route->outgoing)),
              F_STR("lane", dial_lane_names[route->lane]), F_U64("version", reply->version));
    peer_route_ready(route);
}

/* The last that is tried: where the peer connects from, should it have moved without our having learnt of it. */
static void dial_add_hint(struct route *route) {
    const struct sockaddr_storage *hint = &route->peer->hint;
    if (hint->ss_family == 0 || route->address_count == TRANSPORT_ADDRESSES_MAX)
        return;
    for (size_t i = 0; i < route->address_count; i++)
        if (memcmp(&route->addresses[i], hint, address_size(hint)) == 0)
            return;
    route->addresses[route->address_count++] = *hint;
}

static void dial_keep_addresses(struct route *route, const struct addrinfo *found) {
    route->address_count = 0;
    for (; found && route->address_count < TRANSPORT_ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6)
            address_copy(found->ai_addr, route->peer->port, &route->addresses[route->address_count++]);
    dial_add_hint(route);
    route->address_next = 0;
    route->refused = route->address_count > 0;
}

static void dial_on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct route *route = request->data;
    struct peer *peer = route->peer;
    route->resolving = false;
    /* In any other state the answer is for a former name, or too late. */
    if (route->state == ROUTE_RESOLVING) {
        LASH_ASSERT(!route->peer->removed);
        dial_keep_addresses(route, found);
        dial_next_address(route, status < 0 ? status : UV_EAI_NONAME);
    }
    uv_freeaddrinfo(found);
    peer_handle_closed(peer);
}

static void dial_resolve(struct route *route) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    route->resolve.data = route;
    int error = uv_getaddrinfo(route->peer->transport->options.loop, &route->resolve, dial_on_resolved,
                               route->peer->host, NULL, &hints);
    if (error) {
        dial_unreachable(route, uv_strerror(error));
        return;
    }
    route->resolving = true;
    peer_handle_opened(route->peer);
    route->state = ROUTE_RESOLVING;
}

/* Where the control lane has got through. */
static void dial_follow(struct route *route) {
    const struct route *control = &route->peer->routes[TRANSPORT_CONTROL];
    LASH_ASSERT(control->state == ROUTE_READY && control->address_next > 0);
    route->addresses[0] = control->addresses[control->address_next - 1];
    route->address_count = 1;
    route->address_next = 0;
    dial_next_address(route, 0);
}

static void dial_try(struct route *route) {
    LASH_ASSERT(!route->outgoing);
    if (route->lane != TRANSPORT_CONTROL) {
        dial_follow(route);
        return;
    }
    /* An answer for a former name is still under way, in the one request that there is. */
    if (route->resolving) {
        dial_back_off(route);
        return;
    }
    if (!address_from_numbers(route->peer->host, route->peer->port, &route->addresses[0])) {
        dial_resolve(route);
        return;
    }
    route->address_count = 1;
    dial_add_hint(route);
    route->address_next = 0;
    route->refused = true;
    dial_next_address(route, 0);
}

static void dial_on_timer(uv_timer_t *timer) {
    struct route *route = timer->data;
    switch (route->state) {
    case ROUTE_WAITING:
        if (route->wanted)
            dial_try(route);
        else
            route->state = ROUTE_IDLE;
        break;
    case ROUTE_CONNECTING:
        dial_skip_address(route, UV_ETIMEDOUT);
        break;
    case ROUTE_GREETING:
        dial_failed(route, "no answer to the handshake in time");
        break;
    case ROUTE_IDLE:
    case ROUTE_RESOLVING: /* takes as long as the resolver allows */
    case ROUTE_READY:
        break;
    }
}

void dial_stop(struct route *route) {
    (void)uv_timer_stop(&route->timer);
    if (route->resolving)
        (void)uv_cancel((uv_req_t *)&route->resolve);
    if (route->outgoing)
        outgoing_close(route->outgoing);
    route->wanted = false;
    route->state = ROUTE_IDLE;
}

void dial_start(struct route *route) {
    dial_stop(route);
    route->backoff_ms = route->peer->transport->options.reconnect_ms_min;
    dial_wait(route, 0);
}

void dial_want(struct route *route) {
    LASH_ASSERT(route->lane == TRANSPORT_SNAPSHOT && route->state != ROUTE_READY);
    if (route->state == ROUTE_IDLE)
        dial_wait(route, 0);
    route->wanted = true;
}

void dial_nudge(struct route *route) {
    uint64_t min_ms = route->peer->transport->options.reconnect_ms_min;
    if (route->state == ROUTE_WAITING && uv_timer_get_due_in(&route->timer) > min_ms)
        dial_arm(route, min_ms);
}
