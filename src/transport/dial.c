/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps one connection to a peer up, for ever: resolve its name, try its
 * addresses one after the other, shake hands, and when it breaks begin again
 * after a wait that doubles.
 *
 *   WAITING -> RESOLVING (only names) -> CONNECTING -> GREETING -> READY, and from each back to WAITING
 */
#include <netdb.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

#define DIAL_CONNECT_MS 2000 /* per address */

static void dial_on_timer(uv_timer_t *timer);

static void dial_arm(struct peer *peer, uint64_t ms) {
    LASH_ASSERT(!peer->removed);
    (void)uv_timer_start(&peer->timer, dial_on_timer, ms, 0);
}

static void dial_wait(struct peer *peer, uint64_t ms) {
    LASH_ASSERT(!peer->outgoing);
    peer->state = PEER_WAITING;
    dial_arm(peer, ms);
}

/* Wait before the next try: between half of the back-off and all of it, so that nodes that lost each other at one
 * moment do not dial at one moment too. */
static void dial_back_off(struct peer *peer) {
    uint64_t max_ms = peer->transport->options.reconnect_ms_max;
    uint64_t half_ms = peer->backoff_ms / 2;
    dial_wait(peer, half_ms + transport_random(peer->transport, peer->backoff_ms - half_ms + 1));
    peer->backoff_ms = peer->backoff_ms < max_ms / 2 ? peer->backoff_ms * 2 : max_ms;
}

/* ---- The ways it ends --------------------------------------------------------------------------- */

static void dial_broken(struct peer *peer, const char *reason) {
    struct transport *transport = peer->transport;
    transport->counters.disconnects++;
    peer->metrics.disconnects++;
    if (transport_notice(transport, NOTICE_BROKEN, peer->id))
        log_warn("lost the connection to a peer; dialling again", F_HEX("peer", peer->id),
                 F_STR("address", outgoing_address(peer->outgoing)), F_STR("reason", reason));
    /* Only a connection that held starts the back-off anew: a peer that accepts and breaks off at once waits longer. */
    if (uv_now(transport->options.loop) - peer->ready_ms >= transport->options.reconnect_ms_max)
        peer->backoff_ms = transport->options.reconnect_ms_min;
    outgoing_close(peer->outgoing);
    dial_back_off(peer);
    if (transport->options.disconnected)
        transport->options.disconnected(transport->options.context, peer->id);
}

/* No connection came about: the last address failed, or the handshake. */
static void dial_unreachable(struct peer *peer, const char *reason) {
    if (transport_notice(peer->transport, NOTICE_UNREACHABLE, peer->id))
        log_warn("cannot connect to a peer; trying again", F_HEX("peer", peer->id), F_STR("host", peer->host),
                 F_U64("port", peer->port), F_STR("reason", reason));
    if (peer->outgoing)
        outgoing_close(peer->outgoing);
    dial_back_off(peer);
}

/* The connection, ready or not yet, came to its end. May call the user. */
void dial_failed(struct peer *peer, const char *reason) {
    LASH_ASSERT(peer->outgoing);
    if (peer->state == PEER_READY)
        dial_broken(peer, reason);
    else
        dial_unreachable(peer, reason);
}

void dial_refused(struct peer *peer, const struct packet_reply *reply) {
    struct transport *transport = peer->transport;
    LASH_ASSERT(peer->state == PEER_GREETING);
    transport->counters.refused++;
    if (transport_notice(transport, NOTICE_REFUSED_US + reply->status, peer->id))
        log_warn("a peer refused our connection", F_STR("reason", notice_refusal_text(reply->status)),
                 F_HEX("peer", peer->id), F_STR("host", peer->host), F_U64("port", peer->port),
                 F_HEX("node_there", reply->node_id), F_HEX("cluster_there", reply->cluster_id),
                 F_HEX("cluster", transport->options.cluster_id), F_U64("version_min_there", reply->version_min),
                 F_U64("version_max_there", reply->version_max), F_STR("advice", notice_refusal_advice(reply->status)));
    outgoing_close(peer->outgoing);
    peer->backoff_ms = transport->options.reconnect_ms_max;
    dial_back_off(peer);
}

/* ---- The way up --------------------------------------------------------------------------------- */

/* Connect to the next address that can be tried at all. */
static void dial_next_address(struct peer *peer, int error) {
    while (peer->address_next < peer->address_count) {
        peer->outgoing = outgoing_connect(peer, &peer->addresses[peer->address_next++], &error);
        if (peer->outgoing) {
            peer->state = PEER_CONNECTING;
            dial_arm(peer, DIAL_CONNECT_MS);
            return;
        }
        peer->refused = false;
    }
    dial_unreachable(peer, uv_strerror(error));
    struct transport_options *options = &peer->transport->options;
    if (peer->refused && !peer->incoming && options->down)
        options->down(options->context, peer->id);
}

/* The present address led nowhere. */
static void dial_skip_address(struct peer *peer, int error) {
    peer->refused = peer->refused && error == UV_ECONNREFUSED;
    outgoing_close(peer->outgoing);
    dial_next_address(peer, error);
}

void dial_connected(struct peer *peer, int status) {
    LASH_ASSERT(peer->state == PEER_CONNECTING);
    if (status < 0) {
        dial_skip_address(peer, status);
        return;
    }
    peer->state = PEER_GREETING;
    dial_arm(peer, peer->transport->options.handshake_ms);
}

void dial_ready(struct peer *peer, const struct packet_reply *reply) {
    struct transport *transport = peer->transport;
    LASH_ASSERT(peer->state == PEER_GREETING);
    (void)uv_timer_stop(&peer->timer);
    peer->state = PEER_READY;
    peer->ready_ms = uv_now(transport->options.loop);
    transport->counters.connects++;
    peer->metrics.connects++;
    peer->probe = 0; /* what was under way on the former connection is lost */
    log_info("connected to a peer", F_HEX("peer", peer->id), F_STR("address", outgoing_address(peer->outgoing)),
             F_U64("version", reply->version));
    if (transport->options.connected)
        transport->options.connected(transport->options.context, peer->id);
}

static void dial_keep_addresses(struct peer *peer, const struct addrinfo *found) {
    peer->address_count = 0;
    for (; found && peer->address_count < TRANSPORT_ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6)
            address_copy(found->ai_addr, peer->port, &peer->addresses[peer->address_count++]);
    peer->address_next = 0;
    peer->refused = peer->address_count > 0;
}

static void dial_on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct peer *peer = request->data;
    peer->resolving = false;
    /* In any other state the answer is for a former name, or too late. */
    if (peer->state == PEER_RESOLVING) {
        LASH_ASSERT(!peer->removed);
        dial_keep_addresses(peer, found);
        dial_next_address(peer, status < 0 ? status : UV_EAI_NONAME);
    }
    uv_freeaddrinfo(found);
    transport_peer_handle_closed(peer);
}

static void dial_resolve(struct peer *peer) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    peer->resolve.data = peer;
    int error =
        uv_getaddrinfo(peer->transport->options.loop, &peer->resolve, dial_on_resolved, peer->host, NULL, &hints);
    if (error) {
        dial_unreachable(peer, uv_strerror(error));
        return;
    }
    peer->resolving = true;
    transport_peer_handle_opened(peer);
    peer->state = PEER_RESOLVING;
}

static void dial_try(struct peer *peer) {
    LASH_ASSERT(!peer->outgoing);
    /* An answer for a former name is still under way, in the one request that there is. */
    if (peer->resolving) {
        dial_back_off(peer);
        return;
    }
    if (!address_from_numbers(peer->host, peer->port, &peer->addresses[0])) {
        dial_resolve(peer);
        return;
    }
    peer->address_count = 1;
    peer->address_next = 0;
    peer->refused = true;
    dial_next_address(peer, 0);
}

static void dial_on_timer(uv_timer_t *timer) {
    struct peer *peer = timer->data;
    switch (peer->state) {
    case PEER_WAITING:
        dial_try(peer);
        break;
    case PEER_CONNECTING:
        dial_skip_address(peer, UV_ETIMEDOUT);
        break;
    case PEER_GREETING:
        dial_failed(peer, "no answer to the handshake in time");
        break;
    case PEER_RESOLVING: /* takes as long as the resolver allows */
    case PEER_READY:
        break;
    }
}

void dial_stop(struct peer *peer) {
    (void)uv_timer_stop(&peer->timer);
    if (peer->resolving)
        (void)uv_cancel((uv_req_t *)&peer->resolve);
    if (peer->outgoing)
        outgoing_close(peer->outgoing);
    peer->state = PEER_WAITING;
}

void dial_start(struct peer *peer) {
    dial_stop(peer);
    peer->backoff_ms = peer->transport->options.reconnect_ms_min;
    dial_wait(peer, 0);
}

void dial_nudge(struct peer *peer) {
    uint64_t min_ms = peer->transport->options.reconnect_ms_min;
    if (peer->state == PEER_WAITING && uv_timer_get_due_in(&peer->timer) > min_ms)
        dial_arm(peer, min_ms);
}
