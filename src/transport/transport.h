/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages between members over TCP. Every node dials each of its peers and
 * sends on the connection that it dialled; it receives on those that it accepted.
 *
 * A handshake comes first on every connection: cluster id, node ids, protocol range, features. Then packets:
 * a fixed 32-byte little-endian header (magic "LPKT", flags, head size, tail size, CRC32C of the head, CRC32C of the
 * header), the head (a few bytes that the node encodes), and the tail (frames, which carry checksums of their own).
 * Anything else closes that connection, is counted, and is logged with the peer.
 *
 * Threads: the loop thread only.
 */
#ifndef LASH_TRANSPORT_TRANSPORT_H
#define LASH_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "lash/error.h"

struct transport;

/* A packet received. `head` and `tail` lie in `owner`, valid during the call; take a reference to keep them. */
struct transport_packet {
    uint64_t from; /* the peer, as its handshake said */
    const uint8_t *head;
    size_t head_size;
    const uint8_t *tail;
    size_t tail_size;
    struct buf *owner;
};

struct transport_options {
    uv_loop_t *loop;
    uint64_t cluster_id;
    uint64_t node_id;
    uint64_t features; /* bits that this node has; both sides' are intersected */
    const char *listen_host;
    uint16_t listen_port;       /* 0: any free port, see transport_port */
    uint64_t packet_bytes_max;  /* [320 MiB] a longer packet closes the connection */
    uint64_t queue_bytes_max;   /* [64 MiB] per peer */
    uint32_t queue_packets_max; /* [4096] per peer */
    uint64_t reconnect_ms_min;  /* [20] back-off doubles from here, with jitter, */
    uint64_t reconnect_ms_max;  /* [1000] to here */
    uint64_t handshake_ms;      /* [3000] a connection that has not shaken hands by then is closed */
    uint64_t seed;              /* for jitter */
    void *context;
    void (*received)(void *context, const struct transport_packet *packet);
    void (*connected)(void *context, uint64_t peer);    /* the outgoing connection is ready */
    void (*disconnected)(void *context, uint64_t peer); /* it broke; what was queued is gone */
};

/* Listen and start. Errors: LASH_INVALID, LASH_NOMEM, LASH_BUSY (address in use), LASH_IO. */
int transport_open(const struct transport_options *options, struct transport **transport);

/* The port that is listened on. */
uint16_t transport_port(const struct transport *transport);

/* Dial `peer` from now on, for ever, with back-off; names are resolved anew at each try. A known peer gets the new
 * address. Errors: LASH_INVALID, LASH_NOMEM. */
int transport_add_peer(struct transport *transport, uint64_t peer, const char *host, uint16_t port);
void transport_remove_peer(struct transport *transport, uint64_t peer);

/* Queue a packet: a copy of `head` and references to `count` tail buffers, whole, in order. Packets queued in one loop
 * turn leave in one vectored write. Errors (nothing queued): LASH_BUSY (queue at its bound), LASH_NOT_FOUND (no such
 * peer, or not connected), LASH_NOMEM. */
int transport_send(struct transport *transport, uint64_t peer, const void *head, size_t head_size,
                   struct buf *const *tails, size_t count);

/* Whether the outgoing connection to `peer` is ready. */
bool transport_is_connected(const struct transport *transport, uint64_t peer);

/* Counters since the start. */
struct transport_counters {
    uint64_t packets_sent, packets_received, bytes_sent, bytes_received;
    uint64_t connects, disconnects, refused /* handshakes */, bad_packets;
};
void transport_counters(const struct transport *transport, struct transport_counters *counters);

/* Close every connection; `closed` is called from the loop when nothing is left, then the transport is gone. */
void transport_close(struct transport *transport, void (*closed)(void *context), void *context);

#endif
