/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages between members over TCP. Every node dials each of its peers and
 * sends on the connections that it dialled; it receives on those that it accepted.
 *
 * Packets travel in lanes, each a connection of its own, so that what is small and urgent never waits behind what is large:
 * a heartbeat behind entries, entries behind a snapshot. Order is kept within a lane, not between lanes. With a peer whose
 * handshake does not name the feature all lanes are one connection. The control lane is dialled first and carries the
 * others: with it they all end, while an end of one of them is its own.
 *
 * A handshake comes first on every connection: cluster id, node ids, protocol range, features. Then packets:
 * a fixed 32-byte little-endian header (magic "LPKT", kind, head size, tail size, CRC32C of the head, CRC32C of the
 * header), the head (a few bytes that the node encodes), and the tail (frames, which carry checksums of their own).
 * Anything else closes that connection, is counted, and is logged with the peer. See packet.h for the bytes.
 *
 * A probe, a packet of 8 bytes that is answered at once, measures the round trip on the very connections that messages use.
 *
 * Threads: the loop thread only. Callbacks may call any function here, transport_close too.
 */
#ifndef LASH_TRANSPORT_TRANSPORT_H
#define LASH_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "lash/error.h"
#include "lash/metrics.h"
#include "transport/lane.h"

struct transport;

/* A packet received. `head` and `tail` are 8-aligned and lie in `owner`, valid during the call; take a reference to keep
 * them. Small packets share an owner of 64 KiB: to keep a few bytes for long, copy them. */
struct transport_packet {
    uint64_t from; /* the peer, as its handshake said */
    uint32_t kind; /* enum packet_kind; only messages reach the transport's user */
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
    uint64_t features; /* bits that this node has; both sides' are intersected. The two highest are the transport's */
    uint64_t disk;     /* identity of this node's data directory, told to peers; 0: none */
    const char *listen_host;
    uint16_t listen_port;       /* 0: any free port, see transport_port */
    uint64_t packet_bytes_max;  /* [320 MiB] header and all; a longer packet closes the connection */
    uint64_t queue_bytes_max;   /* [64 MiB] per lane and peer; a longer packet is taken only by an empty queue */
    uint32_t queue_packets_max; /* [4096] per lane and peer */
    uint64_t reconnect_ms_min;  /* [20] back-off doubles from here, with jitter, */
    uint64_t reconnect_ms_max;  /* [1000] to here */
    uint64_t handshake_ms;      /* [3000] a connection that has not shaken hands by then is closed */
    uint64_t stall_ms; /* [10000] a connection whose far end takes or acknowledges nothing for so long is closed */
    uint64_t probe_ms; /* between two measurements of a peer's round trip; 0: none */
    uint64_t seed;     /* for jitter */
    void *context;     /* handed back to the callbacks, of which only `received` is needed */
    /* A packet came. Returns 0, or LASH_CORRUPT or LASH_VERSION when its contents cannot come from a right peer: then its
     * connection is closed like one that sent no packet at all. */
    int (*received)(void *context, const struct transport_packet *packet);
    void (*connected)(void *context, uint64_t peer);    /* the lanes for control and entries are ready */
    void (*disconnected)(void *context, uint64_t peer); /* one of them broke; what was queued there is gone */
    /* The snapshot lane to a peer that has lanes: what transport_send refused with LASH_BUSY can be sent; or it could not be
     * dialled, or broke, and what was queued is gone. It is dialled again when there is something to send. */
    void (*lane_ready)(void *context, uint64_t peer);
    void (*lane_lost)(void *context, uint64_t peer);
    /* The peer did not take our connection, because of `status` (enum packet_status, or a newer one); when that is that it
     * does not know us, `index` is that of its committed configuration, if it says so. May be NULL. */
    void (*refused)(void *context, uint64_t peer, uint16_t status, uint64_t index);
    /* Somebody asks for the membership: a reference to its bytes, or NULL: none is told. May be NULL. */
    struct buf *(*asked)(void *context);
    /* Nobody listens where the peer did, and no connection from it is left: its process has ended. At each try again. */
    void (*down)(void *context, uint64_t peer);
};

/* Listen and start. Errors, logged but for LASH_NOMEM: LASH_INVALID (options, or a listen host that does not resolve),
 * LASH_NOMEM, LASH_BUSY (address in use), LASH_IO. */
int transport_open(const struct transport_options *options, struct transport **transport);

/* The port that is listened on. */
uint16_t transport_port(const struct transport *transport);

/* Dial `peer` from now on, for ever, with back-off; names are resolved anew at each try. A known peer gets the new
 * address: when it differs, the connection to the former one is closed, with `disconnected` called from in here if it
 * was ready. Errors: LASH_INVALID (id 0 or the node's own, no host, port 0), LASH_NOMEM, LASH_CLOSED (closing). */
int transport_add_peer(struct transport *transport, uint64_t peer, const char *host, uint16_t port);

/* The disk with which `peer` is a member; 0: any. From now on it is refused with another one. Old builds do not say. */
void transport_expect(struct transport *transport, uint64_t peer, uint64_t disk);

/* The identity of the disk of a peer from which there is a connection, as it says; 0: not known. */
uint64_t transport_disk(const struct transport *transport, uint64_t peer);

/* What strangers and peers are told: the index of the committed configuration. While strangers are `welcome`, as to a node that
 * waits to be added to a cluster, and those who go by a later one always, they are taken for peers all the same, found where
 * they connect from; the others leave, `disconnected` being called from in here, unless they have been added. */
void transport_configured(struct transport *transport, uint64_t index, bool welcome);

/* Close the connections to and from `peer` and refuse new ones; `disconnected` is not called. Unknown: nothing. */
void transport_remove_peer(struct transport *transport, uint64_t peer);

/* Queue a packet: a copy of `head` and references to `count` tail buffers, whole, in order. Packets queued in one loop
 * turn leave in one vectored write per lane. Errors (nothing queued): LASH_BUSY (queue at its bound, or the snapshot lane is
 * now being dialled), LASH_NOT_FOUND (no such peer, or that lane not connected), LASH_NOMEM, LASH_TOO_LARGE
 * (packet_bytes_max). */
int transport_send(struct transport *transport, uint64_t peer, enum transport_lane lane, const void *head,
                   size_t head_size, struct buf *const *tails, size_t count);

/* Let what is queued leave now, and not only at the end of this turn of the loop. */
void transport_flush(struct transport *transport);

/* Whether the lanes to `peer` for control and entries are ready. */
bool transport_is_connected(const struct transport *transport, uint64_t peer);

/* The features that both this node and `peer` have; 0 while not connected. */
uint64_t transport_features(const struct transport *transport, uint64_t peer);

/* Counters since the start. */
struct transport_counters {
    uint64_t packets_sent; /* given to the kernel whole */
    uint64_t packets_received;
    uint64_t bytes_sent; /* packets with headers, without handshakes */
    uint64_t bytes_received;
    uint64_t connects;    /* peers that became connected */
    uint64_t disconnects; /* and were not any more */
    uint64_t refused;     /* handshakes that failed: refused by us or by a peer, garbage from a dialler, or late */
    uint64_t bad_packets; /* which closed their connection */
};
void transport_counters(const struct transport *transport, struct transport_counters *counters);

/* What there is to say about each peer: fills up to `max` of `peers`, and returns how many. Those of a peer that was removed
 * are gone with it. */
size_t transport_peers(const struct transport *transport, struct lash_peer_metrics *peers, size_t max);

/* Close every connection; `closed` is called once from the loop when nothing is left and the transport is gone. No other
 * callback follows this call. What is queued is dropped. */
void transport_close(struct transport *transport, void (*closed)(void *context), void *context);

#endif
