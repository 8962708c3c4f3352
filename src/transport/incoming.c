/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection that a peer dialled: its handshake is judged, then packets are
 * received. Whatever else comes closes it, and only it.
 */
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

/* Connections that have not shaken hands; beyond, the oldest gives way. Each costs a few hundred bytes. */
#define INCOMING_HANDSHAKES_MAX 256

/* Read at once, of a packet that may be larger by far: libuv reads up to 32 times before it looks after other connections. */
#define INCOMING_READ_MAX ((size_t)1 << 20)

struct incoming {
    uv_tcp_t tcp;
    struct list node; /* on transport->handshakes until it has a peer */
    struct transport *transport;
    struct peer *peer; /* NULL until it has shaken hands, and again when it closes */
    enum transport_lane lane;
    bool closing;
    uint64_t deadline_ms; /* for the handshake */
    size_t hello_filled;
    uint8_t hello[PACKET_HELLO_SIZE];
    struct receiver receiver;
    char address[ADDRESS_TEXT_MAX];
};

static void incoming_on_close(uv_handle_t *handle) {
    struct incoming *incoming = handle->data;
    struct transport *transport = incoming->transport;
    receiver_clear(&incoming->receiver);
    mem_free(incoming);
    transport_handle_closed(transport);
}

static void incoming_leave_handshakes(struct incoming *incoming) {
    if (list_empty(&incoming->node))
        return;
    list_remove(&incoming->node);
    LASH_ASSERT(incoming->transport->handshake_count > 0);
    incoming->transport->handshake_count--;
}

void incoming_close(struct incoming *incoming) {
    if (incoming->closing)
        return;
    incoming->closing = true;
    incoming_leave_handshakes(incoming);
    if (incoming->peer) {
        struct route *route = &incoming->peer->routes[incoming->lane];
        LASH_ASSERT(route->incoming == incoming);
        route->incoming = NULL;
        incoming->peer = NULL;
    }
    uv_close((uv_handle_t *)&incoming->tcp, incoming_on_close);
}

static void incoming_handshake_failed(struct incoming *incoming, const char *reason) {
    incoming->transport->counters.refused++;
    if (transport_notice(incoming->transport, NOTICE_HANDSHAKE, 0))
        log_warn("closed a connection that did not shake hands as a peer does; check what connects to the peer port",
                 F_STR("address", incoming->address), F_STR("reason", reason));
    incoming_close(incoming);
}

/* The reply is smaller than any socket's send buffer, and is the first that is written to it. */
static bool incoming_reply(struct incoming *incoming, const struct packet_hello *hello, uint16_t status) {
    const struct transport_options *options = &incoming->transport->options;
    bool accepted = status == PACKET_ACCEPTED;
    const struct packet_reply reply = {
        .status = status,
        .version = accepted ? packet_common_version(hello) : 0,
        .version_min = PACKET_VERSION_MIN,
        .version_max = PACKET_VERSION_MAX,
        .node_id = options->node_id,
        .cluster_id = options->cluster_id,
        .features = options->features & hello->features,
        .index = status == PACKET_UNKNOWN_PEER ? incoming->transport->configuration : 0,
    };
    uint8_t bytes[PACKET_REPLY_SIZE];
    packet_reply_encode(&reply, bytes);
    const uv_buf_t buffer = uv_buf_init((char *)bytes, sizeof bytes);
    return uv_try_write((uv_stream_t *)&incoming->tcp, &buffer, 1) == (int)sizeof bytes;
}

/* The peer that says hello; one that is not known yet while strangers are welcome, or when it goes by a later configuration
 * than is known here: it may be a member of that (D§4.1), perhaps the leader who is to say so. */
static struct peer *incoming_peer(struct incoming *incoming, const struct packet_hello *hello) {
    struct transport *transport = incoming->transport;
    struct peer *peer = transport_find(transport, hello->from);
    struct sockaddr_storage address;
    char host[ADDRESS_TEXT_MAX];
    bool welcome = transport->welcome || hello->index > transport->configuration;
    if (!peer && welcome && address_behind(&incoming->tcp, hello->port, &address, host))
        peer = peer_welcome(transport, hello->from, host, hello->port);
    if (peer)
        peer->index = hello->index;
    return peer;
}

static uint16_t incoming_judge(struct incoming *incoming, const struct packet_hello *hello) {
    const struct transport *transport = incoming->transport;
    if (hello->cluster_id != transport->options.cluster_id)
        return PACKET_OTHER_CLUSTER;
    if (hello->to != transport->options.node_id)
        return PACKET_OTHER_NODE;
    if (packet_common_version(hello) == 0)
        return PACKET_NO_COMMON_VERSION;
    const struct peer *peer = incoming_peer(incoming, hello);
    if (!peer)
        return PACKET_UNKNOWN_PEER;
    /* Whoever comes back with another disk has forgotten its vote and its entries: it is not who it says. */
    bool other = hello->disk != 0 && peer->disk_expected != 0 && hello->disk != peer->disk_expected;
    return other ? PACKET_OTHER_DISK : PACKET_ACCEPTED;
}

static void incoming_refuse(struct incoming *incoming, const struct packet_hello *hello, uint16_t status) {
    struct transport *transport = incoming->transport;
    transport->counters.refused++;
    if (transport_notice(transport, NOTICE_REFUSED + status, hello->from))
        log_warn("refused a peer's connection", F_STR("reason", notice_refusal_text(status)),
                 F_HEX("peer", hello->from), F_STR("address", incoming->address),
                 F_HEX("peer_cluster", hello->cluster_id), F_HEX("cluster", transport->options.cluster_id),
                 F_HEX("addressed_node", hello->to), F_HEX("node", transport->options.node_id),
                 F_U64("peer_version_min", hello->version_min), F_U64("peer_version_max", hello->version_max),
                 F_STR("advice", notice_refusal_advice(status)));
    /* Whether the reply arrives or not, the connection ends here. */
    (void)incoming_reply(incoming, hello, status);
    incoming_close(incoming);
}

static void incoming_admit(struct incoming *incoming, const struct packet_hello *hello) {
    struct transport *transport = incoming->transport;
    struct peer *peer = transport_find(transport, hello->from);
    LASH_ASSERT(peer && !incoming->peer);
    if (!incoming_reply(incoming, hello, PACKET_ACCEPTED)) {
        incoming_handshake_failed(incoming, "the reply could not be sent");
        return;
    }
    incoming_leave_handshakes(incoming);
    struct route *route = &peer->routes[hello->lane];
    /* A new control lane begins everything anew: what comes over other lanes until it is dialled there as well is stale. */
    if (hello->lane == TRANSPORT_CONTROL)
        peer_close_incoming(peer);
    else if (route->incoming)
        incoming_close(route->incoming);
    char host[ADDRESS_TEXT_MAX];
    if (hello->port == 0 || !address_behind(&incoming->tcp, hello->port, &peer->hint, host))
        peer->hint.ss_family = 0;
    peer->disk = hello->disk;
    route->incoming = incoming;
    incoming->peer = peer;
    incoming->lane = route->lane;
    log_debug("accepted a peer's connection", F_HEX("peer", peer->id), F_STR("address", incoming->address),
              F_U64("lane", hello->lane));
    dial_nudge(route);
}

/* The membership on its way to who asked for it. */
struct incoming_answer {
    uv_write_t write;
    struct incoming *incoming;
    uint8_t bytes[];
};

static void incoming_on_answered(uv_write_t *write, int status) {
    (void)status; /* whoever got nothing asks somebody else */
    struct incoming_answer *answer = write->data;
    struct incoming *incoming = answer->incoming;
    mem_free(answer);
    incoming_close(incoming);
}

/* A reply and one packet, whose head is `body`. */
static struct incoming_answer *incoming_answer_new(struct incoming *incoming, const struct buf *body, size_t *size) {
    const struct transport_options *options = &incoming->transport->options;
    const struct packet_reply reply = {.status = PACKET_ACCEPTED,
                                       .version = PACKET_VERSION_MAX,
                                       .version_min = PACKET_VERSION_MIN,
                                       .version_max = PACKET_VERSION_MAX,
                                       .node_id = options->node_id,
                                       .cluster_id = options->cluster_id,
                                       .features = options->features};
    *size = PACKET_REPLY_SIZE + PACKET_HEADER_SIZE + (size_t)packet_align(body->size);
    struct incoming_answer *answer = mem_calloc(1, sizeof *answer + *size);
    if (!answer)
        return NULL;
    packet_reply_encode(&reply, answer->bytes);
    packet_header_encode(body->data, (uint32_t)body->size, 0, answer->bytes + PACKET_REPLY_SIZE);
    memcpy(answer->bytes + PACKET_REPLY_SIZE + PACKET_HEADER_SIZE, body->data, body->size);
    answer->incoming = incoming;
    answer->write.data = answer;
    return answer;
}

static void incoming_asked(struct incoming *incoming, const struct packet_hello *hello) {
    const struct transport_options *options = &incoming->transport->options;
    bool ours = hello->cluster_id == 0 || hello->cluster_id == options->cluster_id;
    struct buf *body = ours && options->asked && packet_common_version(hello) ? options->asked(options->context) : NULL;
    size_t size = 0;
    struct incoming_answer *answer = body ? incoming_answer_new(incoming, body, &size) : NULL;
    buf_unref(body);
    (void)uv_read_stop((uv_stream_t *)&incoming->tcp);
    const uv_buf_t buffer = uv_buf_init(answer ? (char *)answer->bytes : NULL, (unsigned)size);
    if (!answer || uv_write(&answer->write, (uv_stream_t *)&incoming->tcp, &buffer, 1, incoming_on_answered) != 0) {
        mem_free(answer);
        incoming_close(incoming);
    }
}

static void incoming_greeted(struct incoming *incoming, size_t size) {
    incoming->hello_filled += size;
    LASH_ASSERT(incoming->hello_filled <= PACKET_HELLO_SIZE);
    if (!packet_hello_begins(incoming->hello, incoming->hello_filled)) {
        incoming_handshake_failed(incoming, "not the peer protocol");
        return;
    }
    if (incoming->hello_filled < PACKET_HELLO_SIZE)
        return;
    struct packet_hello hello;
    if (packet_hello_decode(incoming->hello, incoming->hello_filled, &hello) != LASH_OK) {
        incoming_handshake_failed(incoming, "damaged handshake");
        return;
    }
    if (hello.from == 0 && hello.to == 0) {
        incoming_asked(incoming, &hello);
        return;
    }
    if (!(hello.features & PACKET_FEATURE_LANES))
        hello.lane = TRANSPORT_CONTROL;
    if (hello.lane >= TRANSPORT_LANES) {
        incoming_handshake_failed(incoming, "of a lane that does not exist");
        return;
    }
    uint16_t status = incoming_judge(incoming, &hello);
    if (status == PACKET_ACCEPTED)
        incoming_admit(incoming, &hello);
    else
        incoming_refuse(incoming, &hello, status);
}

static void incoming_bad_packet(struct incoming *incoming, int error) {
    struct transport *transport = incoming->transport;
    transport->counters.bad_packets++;
    if (transport_notice(transport, NOTICE_BAD_PACKET, incoming->peer->id))
        log_error("closed a peer's connection: it sent bytes that are no packet; suspect its version or the network",
                  F_HEX("peer", incoming->peer->id), F_STR("address", incoming->address),
                  F_STR("reason", error == LASH_TOO_LARGE ? "longer than allowed"
                                  : error == LASH_VERSION ? "of an unknown version"
                                                          : "damaged"));
    incoming_close(incoming);
}

static void incoming_received(struct incoming *incoming, size_t size) {
    struct transport *transport = incoming->transport;
    transport->counters.bytes_received += size;
    incoming->peer->metrics.bytes_received += size;
    receiver_advance(&incoming->receiver, size);
    for (;;) {
        struct transport_packet packet;
        int got = receiver_next(&incoming->receiver, &packet);
        if (got == 0)
            return;
        if (got < 0) {
            incoming_bad_packet(incoming, got);
            return;
        }
        transport->counters.packets_received++;
        incoming->peer->metrics.packets_received++;
        packet.from = incoming->peer->id;
        int error = 0;
        if (packet.kind == PACKET_MESSAGE)
            error = transport->options.received(transport->options.context, &packet);
        else
            probe_received(incoming->peer, &packet);
        if (incoming->closing)
            return;
        if (error) {
            incoming_bad_packet(incoming, error);
            return;
        }
    }
}

static void incoming_ended(struct incoming *incoming, int status) {
    if (!incoming->peer) {
        incoming_handshake_failed(incoming, status == UV_EOF ? "it closed" : uv_strerror(status));
        return;
    }
    uint32_t kind = status == UV_ENOBUFS ? NOTICE_MEMORY : NOTICE_BROKEN;
    if (status != UV_EOF && transport_notice(incoming->transport, kind, incoming->peer->id))
        log_warn("closed a peer's connection", F_HEX("peer", incoming->peer->id), F_STR("address", incoming->address),
                 F_STR("reason", status == UV_ENOBUFS ? "out of memory" : uv_strerror(status)));
    incoming_close(incoming);
}

static void incoming_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    struct incoming *incoming = handle->data;
    size_t size = PACKET_HELLO_SIZE - incoming->hello_filled;
    uint8_t *room = incoming->hello + incoming->hello_filled;
    if (incoming->peer)
        room = receiver_room(&incoming->receiver, &size);
    /* libuv answers no room with UV_ENOBUFS, which ends the connection. */
    if (size > INCOMING_READ_MAX)
        size = INCOMING_READ_MAX;
    buffer->base = (char *)room;
    buffer->len = room ? size : 0;
}

static void incoming_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    (void)buffer;
    struct incoming *incoming = stream->data;
    if (incoming->closing || size == 0)
        return;
    if (size < 0)
        incoming_ended(incoming, (int)size);
    else if (incoming->peer)
        incoming_received(incoming, (size_t)size);
    else
        incoming_greeted(incoming, (size_t)size);
}

static void incoming_make_room(struct transport *transport) {
    if (transport->handshake_count <= INCOMING_HANDSHAKES_MAX)
        return;
    struct incoming *oldest = list_entry(transport->handshakes.next, struct incoming, node);
    incoming_handshake_failed(oldest, "too many connections that have not shaken hands");
}

/* Returns 0 or a libuv error, after which nothing more can be accepted from `server`. */
int incoming_accept(struct transport *transport, uv_stream_t *server) {
    struct incoming *incoming = mem_calloc(1, sizeof *incoming);
    if (!incoming)
        return UV_ENOMEM;
    int error = uv_tcp_init(transport->options.loop, &incoming->tcp);
    LASH_ASSERT(error == 0);
    incoming->tcp.data = incoming;
    incoming->transport = transport;
    incoming->deadline_ms = uv_now(transport->options.loop) + transport->options.handshake_ms;
    receiver_init(&incoming->receiver, transport->options.packet_bytes_max);
    list_init(&incoming->node);
    list_push(&transport->handshakes, &incoming->node);
    transport->handshake_count++;
    transport_handle_opened(transport);
    error = uv_accept(server, (uv_stream_t *)&incoming->tcp);
    if (error == 0) {
        address_of_peer(&incoming->tcp, incoming->address);
        address_tune(&incoming->tcp, transport->options.stall_ms);
        error = uv_read_start((uv_stream_t *)&incoming->tcp, incoming_on_alloc, incoming_on_read);
    }
    if (error) {
        incoming_close(incoming);
        return error;
    }
    incoming_make_room(transport);
    transport_watch(transport);
    return 0;
}

void incoming_close_handshakes(struct transport *transport) {
    while (!list_empty(&transport->handshakes))
        incoming_close(list_entry(transport->handshakes.next, struct incoming, node));
}

bool incoming_expire(struct transport *transport) {
    uint64_t now_ms = uv_now(transport->options.loop);
    while (!list_empty(&transport->handshakes)) {
        struct incoming *oldest = list_entry(transport->handshakes.next, struct incoming, node);
        if (oldest->deadline_ms > now_ms)
            return true;
        incoming_handshake_failed(oldest, "it said nothing in time");
    }
    return false;
}
