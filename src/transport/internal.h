/* SPDX-License-Identifier: Apache-2.0
 *
 * What the transport's files share. transport.c holds the whole together,
 * listener.c listens, incoming.c is a connection that was accepted, peer.c puts the
 * lanes to a peer together, dial.c keeps one of them up, and outgoing.c is its
 * connection with its queue; probe.c measures round trips.
 *
 * Lifetimes: everything that libuv knows of is counted in transport->handles and freed by its last libuv callback.
 * A connection that is closing has no peer any more, and its callbacks do nothing but let go.
 * After a callback of the user a connection, peer or the whole transport may be closing, but never freed.
 */
#ifndef LASH_TRANSPORT_INTERNAL_H
#define LASH_TRANSPORT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "base/metric.h"
#include "transport/address.h"
#include "transport/notice.h"
#include "transport/packet.h"
#include "transport/receiver.h"
#include "transport/transport.h"

#define TRANSPORT_IOV_MAX 1024 /* what Linux takes in one writev */
#define TRANSPORT_ADDRESSES_MAX 8

struct listener;

struct transport {
    struct transport_options options; /* defaults filled in; listen_host is not kept */
    struct transport_counters counters;
    struct notices notices;
    uint64_t random; /* the jitter's generator */

    struct list peers;      /* struct peer */
    uint64_t configuration; /* index of the committed one, which strangers are told */
    bool welcome;           /* strangers are */
    struct list handshakes; /* struct incoming that have not shaken hands, oldest first */
    uint32_t handshake_count;
    struct list dirty; /* struct outgoing with packets to write in this loop turn */

    struct sockaddr_storage listen_address;
    struct listener *listener; /* NULL while it waits to be opened again */

    uv_prepare_t prepare; /* writes what was queued, before the loop waits */
    uv_idle_t idle;       /* runs while `dirty` holds something, so that the loop does not wait */
    uv_timer_t watch;     /* runs while a handshake or a write may be late */
    uv_timer_t reopen;    /* until the listener is opened again */
    uv_timer_t probe;     /* when peers are probed next */
    uint64_t probe_next;  /* number of the next probe */
    size_t handles;       /* that libuv still knows of */

    bool closing;
    void (*closed)(void *context);
    void *closed_context;

    uv_buf_t iov[TRANSPORT_IOV_MAX]; /* scratch of outgoing_flush */
};

enum route_state {
    ROUTE_IDLE,       /* not dialled */
    ROUTE_WAITING,    /* for the next try */
    ROUTE_RESOLVING,  /* the peer's name */
    ROUTE_CONNECTING, /* `outgoing` is */
    ROUTE_GREETING,   /* hello is sent, the reply is awaited */
    ROUTE_READY,      /* packets can be sent */
};

/* One lane between this node and a peer. The control lane's state is never IDLE while it has its peer; the others' is as long as
 * the control lane is not READY with the feature LANES. */
struct route {
    struct peer *peer;
    enum transport_lane lane;
    uv_timer_t timer; /* by state: until the next try, or how long the present step may take */
    uv_getaddrinfo_t resolve;
    bool resolving; /* `resolve` is under way, which a change of state does not end */
    bool wanted;    /* snapshot lane: something is to be sent, so it is to be dialled */
    enum route_state state;
    uint64_t backoff_ms; /* the next wait */
    uint64_t ready_ms;   /* when READY began */
    struct sockaddr_storage addresses[TRANSPORT_ADDRESSES_MAX];
    size_t address_count;
    size_t address_next;
    bool refused;              /* so far, every address of this try refused the connection */
    struct outgoing *outgoing; /* in states CONNECTING to READY */
    struct incoming *incoming; /* the newest that shook hands, or NULL */
};

struct peer {
    struct list node; /* on transport->peers, or on none once removed */
    struct transport *transport;
    uint64_t id;
    char *host;
    uint16_t port;
    bool removed;                 /* waits for its last libuv callback */
    bool guest;                   /* a stranger that was welcome */
    uint64_t index;               /* of the committed configuration, as it said last */
    uint64_t disk_expected;       /* 0: any */
    uint64_t disk;                /* as it said last; 0: it did not */
    struct sockaddr_storage hint; /* where it may be found if not at its address: where it connected from last */
    bool connected;               /* as the user knows it */
    size_t handles;               /* timers, and a name being resolved */
    struct route routes[TRANSPORT_LANES];

    struct lash_peer_metrics metrics; /* but for what transport_peers looks up */
    struct metric_histogram round_trip;
    uint64_t probe;         /* number of the one that is not answered yet; 0: none */
    uint64_t probe_sent_ns; /* when it was queued */
};

/* transport.c */
void transport_handle_opened(struct transport *transport);
void transport_handle_closed(struct transport *transport); /* the transport may be gone after */
struct peer *transport_find(const struct transport *transport, uint64_t id);
uint64_t transport_random(struct transport *transport, uint64_t below); /* 0 .. below - 1 */
bool transport_notice(struct transport *transport, uint32_t kind, uint64_t peer);
void transport_watch(struct transport *transport); /* look after handshakes and writes until none is under way */
void transport_dirty(struct transport *transport, struct list *node); /* to be flushed in this loop turn */

/* peer.c */
void peer_handle_opened(struct peer *peer);
void peer_handle_closed(struct peer *peer);   /* the peer may be gone after, and the transport */
bool peer_has_lanes(const struct peer *peer); /* its control lane is ready, and there can be others */
struct route *peer_route(struct peer *peer, enum transport_lane lane); /* that packets of the lane take; NULL: none */
bool peer_is_heard(const struct peer *peer);                           /* there is a connection from it */
void peer_close_incoming(struct peer *peer);
void peer_route_ready(struct route *route);
void peer_route_lost(struct route *route,
                     bool was_ready); /* its connection ended, or could not be made. May call the user */
void peer_drop(struct peer *peer);
struct peer *peer_welcome(struct transport *transport, uint64_t id, const char *host, uint16_t port); /* or NULL */

/* probe.c */
void probe_start(struct transport *transport);
void probe_received(struct peer *peer, const struct transport_packet *packet);

/* listener.c */
int listener_resolve(const char *host, uint16_t port, struct sockaddr_storage *address);
int listener_open(struct transport *transport);
void listener_close(struct transport *transport);
void listener_reopen(uv_timer_t *timer);

/* incoming.c */
int incoming_accept(struct transport *transport, uv_stream_t *server);
void incoming_close(struct incoming *incoming);
void incoming_close_handshakes(struct transport *transport); /* all that have not shaken hands */
bool incoming_expire(struct transport *transport);           /* close late handshakes; whether others are under way */

/* dial.c */
void dial_start(struct route *route); /* drop what there is, and dial anew from the loop */
void dial_stop(struct route *route);
void dial_want(struct route *route);  /* the snapshot lane: dial unless that is under way */
void dial_nudge(struct route *route); /* the peer is alive: do not wait out the back-off */
void dial_connected(struct route *route, int status);
void dial_ready(struct route *route, const struct packet_reply *reply);
void dial_failed(struct route *route, const char *reason);
void dial_refused(struct route *route, const struct packet_reply *reply);

/* outgoing.c */
struct outgoing *outgoing_connect(struct route *route, const struct sockaddr_storage *address, int *error);
void outgoing_close(struct outgoing *outgoing);
const char *outgoing_address(const struct outgoing *outgoing);
uint64_t outgoing_features(const struct outgoing *outgoing);
void outgoing_flush(struct list *dirty_node);
bool outgoing_is_writing(const struct outgoing *outgoing);
bool outgoing_is_stalled(struct outgoing *outgoing);
int outgoing_send(struct outgoing *outgoing, enum packet_kind kind, const void *head, size_t head_size,
                  struct buf *const *tails, size_t count);
void outgoing_queue(const struct outgoing *outgoing, uint64_t *packets, uint64_t *bytes); /* adds to them */

#endif
