/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips: every so often each peer that answers probes gets one, unless the
 * one before is still unanswered; when that is answered late, it counts as late.
 * An answer may also be lost, since it travels on the peer's own connection: what
 * has not been answered for as long as a connection may stall is given up.
 */
#include "base/assert.h"
#include "base/bytes.h"
#include "transport/internal.h"

/* Queue a probe or the answer to one; what does not fit into the queue is left out. */
static int probe_send(struct peer *peer, enum packet_kind kind, uint64_t number) {
    uint8_t head[PACKET_PROBE_SIZE];
    le64_put(head, number);
    return outgoing_send(peer->routes[TRANSPORT_CONTROL].outgoing, kind, head, sizeof head, NULL, 0);
}

static void probe_peer(struct peer *peer) {
    struct transport *transport = peer->transport;
    uint64_t now_ns = uv_hrtime();
    if (peer->probe && (now_ns - peer->probe_sent_ns) / 1000000 >= transport->options.stall_ms)
        peer->probe = 0;
    const struct route *control = &peer->routes[TRANSPORT_CONTROL];
    if (control->state != ROUTE_READY || peer->probe || !(outgoing_features(control->outgoing) & PACKET_FEATURE_PROBES))
        return;
    uint64_t number = transport->probe_next;
    if (probe_send(peer, PACKET_PROBE, number) != LASH_OK)
        return;
    transport->probe_next++;
    peer->probe = number;
    peer->probe_sent_ns = now_ns;
}

static void probe_on_timer(uv_timer_t *timer) {
    struct transport *transport = timer->data;
    for (struct list *at = transport->peers.next; at != &transport->peers; at = at->next)
        probe_peer(list_entry(at, struct peer, node));
}

void probe_start(struct transport *transport) {
    uint64_t every_ms = transport->options.probe_ms;
    transport->probe_next = 1;
    if (every_ms)
        (void)uv_timer_start(&transport->probe, probe_on_timer, every_ms, every_ms);
}

void probe_received(struct peer *peer, const struct transport_packet *packet) {
    LASH_ASSERT(packet->head_size == PACKET_PROBE_SIZE && packet->tail_size == 0);
    uint64_t number = le64_get(packet->head);
    if (packet->kind == PACKET_PROBE) {
        if (peer->routes[TRANSPORT_CONTROL].state == ROUTE_READY)
            (void)probe_send(peer, PACKET_PROBE_REPLY, number);
        return;
    }
    if (number == 0 || number != peer->probe)
        return;
    uint64_t took_ns = uv_hrtime() - peer->probe_sent_ns;
    peer->probe = 0;
    peer->metrics.round_trip_ns = took_ns ? took_ns : 1;
    metric_observe(&peer->round_trip, took_ns, 1);
}
