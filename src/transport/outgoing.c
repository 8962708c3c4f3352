/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection that this node dialled: hello and reply, then the queue of
 * packets. What is queued in one turn of the loop leaves in one vectored write;
 * what the socket does not take at once is left to libuv, and packets that come
 * meanwhile wait for the next write.
 */
#include <limits.h>
#include <string.h>

#include "base/assert.h"
#include "base/logger.h"
#include "transport/internal.h"

/* A packet in the queue: in one piece `prefix`, its header and head; then its tails. */
struct outgoing_packet {
    struct list node;
    size_t size;     /* on the wire */
    size_t filling;  /* zero bytes behind the tails */
    uint8_t *prefix; /* behind `tails` in this same allocation */
    size_t prefix_size;
    size_t tail_count;
    struct buf *tails[]; /* a reference to each */
};

struct outgoing {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct transport *transport;
    struct route *route; /* NULL when it closes */
    struct list dirty;   /* on transport->dirty when the queue is to be written */
    struct list queue;   /* struct outgoing_packet, oldest first */
    size_t written;      /* bytes of the oldest packet that have left */
    uint64_t queued_bytes;
    uint32_t queued_packets;
    size_t writing;            /* bytes that uv_write is busy with; 0: it is idle */
    size_t progress_left;      /* of them, when they last became fewer, */
    uint64_t progress_ms;      /* which was then */
    struct packet_reply reply; /* once complete */
    size_t reply_filled;
    uint8_t reply_bytes[PACKET_REPLY_SIZE];
    char address[ADDRESS_TEXT_MAX];
};

static const uint8_t outgoing_zeros[PACKET_ALIGNMENT];

/* ---- The queue ---------------------------------------------------------------------------------- */

static void outgoing_packet_free(struct outgoing_packet *packet) {
    for (size_t i = 0; i < packet->tail_count; i++)
        buf_unref(packet->tails[i]);
    mem_free(packet);
}

/* Make a packet; NULL when memory ran out. */
static struct outgoing_packet *outgoing_packet_new(const void *head, const struct packet_header *header,
                                                   struct buf *const *tails, size_t count) {
    size_t prefix_size = PACKET_HEADER_SIZE + (size_t)packet_align(header->head_size);
    if (count > (SIZE_MAX - prefix_size - sizeof(struct outgoing_packet)) / sizeof(struct buf *))
        return NULL;
    struct outgoing_packet *packet = mem_alloc(sizeof *packet + count * sizeof(struct buf *) + prefix_size);
    if (!packet)
        return NULL;
    list_init(&packet->node);
    packet->size = (size_t)packet_size(header);
    packet->filling = (size_t)(packet_align(header->tail_size) - header->tail_size);
    packet->prefix = (uint8_t *)&packet->tails[count];
    packet->prefix_size = prefix_size;
    packet->tail_count = count;
    for (size_t i = 0; i < count; i++)
        packet->tails[i] = buf_ref(tails[i]);
    packet_header_encode_kind(header->kind, head, header->head_size, header->tail_size, packet->prefix);
    uint8_t *at = packet->prefix + PACKET_HEADER_SIZE;
    if (header->head_size > 0)
        memcpy(at, head, header->head_size);
    memset(at + header->head_size, 0, prefix_size - PACKET_HEADER_SIZE - header->head_size);
    return packet;
}

int outgoing_send(struct outgoing *outgoing, enum packet_kind kind, const void *head, size_t head_size,
                  struct buf *const *tails, size_t count) {
    const struct transport_options *options = &outgoing->transport->options;
    if (head_size > options->packet_bytes_max || head_size > UINT32_MAX)
        return LASH_TOO_LARGE;
    struct packet_header header = {.kind = kind, .head_size = (uint32_t)head_size};
    for (size_t i = 0; i < count; i++) {
        header.tail_size += tails[i]->size;
        if (packet_size(&header) > options->packet_bytes_max)
            return LASH_TOO_LARGE;
    }
    /* A packet may be longer than the queue's bound, and then goes alone; else it could never be sent. */
    uint64_t size = packet_size(&header);
    if (size > options->packet_bytes_max)
        return LASH_TOO_LARGE;
    if (outgoing->queued_packets >= options->queue_packets_max)
        return LASH_BUSY;
    if (outgoing->queued_packets > 0 && outgoing->queued_bytes + size > options->queue_bytes_max)
        return LASH_BUSY;
    struct outgoing_packet *packet = outgoing_packet_new(head, &header, tails, count);
    if (!packet)
        return LASH_NOMEM;
    list_push(&outgoing->queue, &packet->node);
    outgoing->queued_bytes += size;
    outgoing->queued_packets++;
    if (outgoing->writing == 0)
        transport_dirty(outgoing->transport, &outgoing->dirty);
    return LASH_OK;
}

void outgoing_queue(const struct outgoing *outgoing, uint64_t *packets, uint64_t *bytes) {
    *packets += outgoing->queued_packets;
    *bytes += outgoing->queued_bytes;
}

/* `size` bytes from the queue's front have left. */
static void outgoing_consume(struct outgoing *outgoing, size_t size) {
    struct transport_counters *counters = &outgoing->transport->counters;
    struct lash_peer_metrics *metrics = &outgoing->route->peer->metrics;
    counters->bytes_sent += size;
    metrics->bytes_sent += size;
    outgoing->written += size;
    while (!list_empty(&outgoing->queue)) {
        struct outgoing_packet *packet = list_entry(outgoing->queue.next, struct outgoing_packet, node);
        if (outgoing->written < packet->size)
            return;
        outgoing->written -= packet->size;
        outgoing->queued_bytes -= packet->size;
        outgoing->queued_packets--;
        counters->packets_sent++;
        metrics->packets_sent++;
        list_remove(&packet->node);
        outgoing_packet_free(packet);
    }
    LASH_ASSERT(outgoing->written == 0 && outgoing->queued_bytes == 0 && outgoing->queued_packets == 0);
}

/* ---- Writing ------------------------------------------------------------------------------------ */

/* Buffers being gathered for one write. */
struct outgoing_gather {
    uv_buf_t *iov;
    unsigned count;
    size_t skip;  /* bytes to leave out first: they have left already */
    size_t bytes; /* gathered */
};

/* A write takes at most INT_MAX bytes, what uv_try_write can report. */
static void outgoing_gather_piece(struct outgoing_gather *gather, const void *data, size_t size) {
    size_t skip = gather->skip < size ? gather->skip : size;
    gather->skip -= skip;
    size -= skip;
    if (size > INT_MAX - gather->bytes)
        size = INT_MAX - gather->bytes;
    if (size == 0 || gather->count == TRANSPORT_IOV_MAX)
        return;
    gather->iov[gather->count].base = (char *)(uintptr_t)data + skip;
    gather->iov[gather->count].len = size;
    gather->count++;
    gather->bytes += size;
}

/* The queue from its front, as much as one write takes. */
static struct outgoing_gather outgoing_gather(const struct outgoing *outgoing) {
    struct outgoing_gather gather = {.iov = outgoing->transport->iov, .skip = outgoing->written};
    struct list *at = outgoing->queue.next;
    while (at != &outgoing->queue && gather.count < TRANSPORT_IOV_MAX && gather.bytes < INT_MAX) {
        const struct outgoing_packet *packet = list_entry(at, struct outgoing_packet, node);
        outgoing_gather_piece(&gather, packet->prefix, packet->prefix_size);
        for (size_t i = 0; i < packet->tail_count; i++)
            outgoing_gather_piece(&gather, packet->tails[i]->data, packet->tails[i]->size);
        outgoing_gather_piece(&gather, outgoing_zeros, packet->filling);
        at = at->next;
    }
    return gather;
}

static void outgoing_on_write(uv_write_t *request, int status) {
    struct outgoing *outgoing = request->data;
    if (!outgoing->route)
        return;
    if (status < 0) {
        dial_failed(outgoing->route, uv_strerror(status));
        return;
    }
    size_t size = outgoing->writing;
    outgoing->writing = 0;
    outgoing_consume(outgoing, size);
    if (!list_empty(&outgoing->queue))
        transport_dirty(outgoing->transport, &outgoing->dirty);
}

/* The socket is full: let libuv write on when it has room. */
static int outgoing_write_later(struct outgoing *outgoing) {
    const struct outgoing_gather gather = outgoing_gather(outgoing);
    outgoing->write.data = outgoing;
    int error = uv_write(&outgoing->write, (uv_stream_t *)&outgoing->tcp, gather.iov, gather.count, outgoing_on_write);
    if (error)
        return error;
    outgoing->writing = gather.bytes;
    outgoing->progress_left = gather.bytes;
    outgoing->progress_ms = uv_now(outgoing->transport->options.loop);
    transport_watch(outgoing->transport);
    return 0;
}

void outgoing_flush(struct list *dirty_node) {
    struct outgoing *outgoing = list_entry(dirty_node, struct outgoing, dirty);
    LASH_ASSERT(outgoing->route && outgoing->route->state == ROUTE_READY);
    LASH_ASSERT(outgoing->writing == 0);
    while (!list_empty(&outgoing->queue)) {
        const struct outgoing_gather gather = outgoing_gather(outgoing);
        int written = uv_try_write((uv_stream_t *)&outgoing->tcp, gather.iov, gather.count);
        if (written >= 0)
            outgoing_consume(outgoing, (size_t)written);
        if (written == (int)gather.bytes)
            continue;
        int error = written >= 0 || written == UV_EAGAIN ? outgoing_write_later(outgoing) : written;
        if (error)
            dial_failed(outgoing->route, uv_strerror(error));
        return;
    }
}

bool outgoing_is_writing(const struct outgoing *outgoing) {
    return outgoing->writing > 0;
}

/* Whether the peer has taken nothing of what is being written for too long. */
bool outgoing_is_stalled(struct outgoing *outgoing) {
    const struct transport_options *options = &outgoing->transport->options;
    LASH_ASSERT(outgoing->writing > 0);
    size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&outgoing->tcp);
    uint64_t now_ms = uv_now(options->loop);
    if (left != outgoing->progress_left) {
        outgoing->progress_left = left;
        outgoing->progress_ms = now_ms;
    }
    return now_ms - outgoing->progress_ms >= options->stall_ms;
}

/* ---- Connecting --------------------------------------------------------------------------------- */

static void outgoing_on_close(uv_handle_t *handle) {
    struct outgoing *outgoing = handle->data;
    struct transport *transport = outgoing->transport;
    struct list *node;
    while ((node = list_pop(&outgoing->queue)))
        outgoing_packet_free(list_entry(node, struct outgoing_packet, node));
    mem_free(outgoing);
    transport_handle_closed(transport);
}

void outgoing_close(struct outgoing *outgoing) {
    LASH_ASSERT(outgoing->route && outgoing->route->outgoing == outgoing);
    outgoing->route->outgoing = NULL;
    outgoing->route = NULL;
    list_remove(&outgoing->dirty);
    uv_close((uv_handle_t *)&outgoing->tcp, outgoing_on_close);
}

const char *outgoing_address(const struct outgoing *outgoing) {
    return outgoing->address;
}

uint64_t outgoing_features(const struct outgoing *outgoing) {
    return outgoing->reply.features & outgoing->transport->options.features;
}

static void outgoing_judge(struct outgoing *outgoing) {
    struct route *route = outgoing->route;
    struct packet_reply *reply = &outgoing->reply;
    if (packet_reply_decode(outgoing->reply_bytes, outgoing->reply_filled, reply) != LASH_OK)
        dial_failed(route, "its answer is not the peer protocol's");
    else if (reply->status != PACKET_ACCEPTED)
        dial_refused(route, reply);
    else if (reply->node_id != route->peer->id || reply->version < PACKET_VERSION_MIN ||
             reply->version > PACKET_VERSION_MAX)
        dial_failed(route, "its answer contradicts what was asked");
    else
        dial_ready(route, reply);
}

static void outgoing_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    struct outgoing *outgoing = handle->data;
    /* After the reply nothing may come; the room that is then offered only serves to notice it. */
    size_t at = outgoing->reply_filled < PACKET_REPLY_SIZE ? outgoing->reply_filled : 0;
    *buffer = uv_buf_init((char *)outgoing->reply_bytes + at, (unsigned)(PACKET_REPLY_SIZE - at));
}

static void outgoing_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer) {
    (void)buffer;
    struct outgoing *outgoing = stream->data;
    if (!outgoing->route || size == 0)
        return;
    if (size < 0) {
        dial_failed(outgoing->route, size == UV_EOF ? "the peer closed it" : uv_strerror((int)size));
    } else if (outgoing->route->state == ROUTE_READY) {
        dial_failed(outgoing->route, "the peer sent bytes where none may come");
    } else {
        outgoing->reply_filled += (size_t)size;
        if (outgoing->reply_filled == PACKET_REPLY_SIZE)
            outgoing_judge(outgoing);
    }
}

/* The hello is the first that the socket is given, and smaller than any send buffer. */
static int outgoing_greet(struct outgoing *outgoing) {
    const struct transport_options *options = &outgoing->transport->options;
    const struct packet_hello hello = {
        .version_min = PACKET_VERSION_MIN,
        .version_max = PACKET_VERSION_MAX,
        .cluster_id = options->cluster_id,
        .from = options->node_id,
        .to = outgoing->route->peer->id,
        .features = options->features,
        .lane = (uint16_t)outgoing->route->lane,
        .port = address_port(&outgoing->transport->listen_address),
        .disk = options->disk,
        .index = outgoing->transport->welcome ? 0 : outgoing->transport->configuration,
    };
    uint8_t bytes[PACKET_HELLO_SIZE];
    packet_hello_encode(&hello, bytes);
    const uv_buf_t buffer = uv_buf_init((char *)bytes, sizeof bytes);
    int written = uv_try_write((uv_stream_t *)&outgoing->tcp, &buffer, 1);
    if (written != (int)sizeof bytes)
        return written < 0 ? written : UV_EAGAIN;
    return uv_read_start((uv_stream_t *)&outgoing->tcp, outgoing_on_alloc, outgoing_on_read);
}

static void outgoing_on_connect(uv_connect_t *request, int status) {
    struct outgoing *outgoing = request->data;
    if (!outgoing->route)
        return;
    if (status == 0) {
        address_tune(&outgoing->tcp, outgoing->transport->options.stall_ms);
        status = outgoing_greet(outgoing);
    }
    dial_connected(outgoing->route, status);
}

/* Begin to connect: dial_connected is called when that is done. NULL with a libuv error in *error on failure. */
struct outgoing *outgoing_connect(struct route *route, const struct sockaddr_storage *address, int *error) {
    struct transport *transport = route->peer->transport;
    struct outgoing *outgoing = mem_calloc(1, sizeof *outgoing);
    if (!outgoing) {
        *error = UV_ENOMEM;
        return NULL;
    }
    *error = uv_tcp_init(transport->options.loop, &outgoing->tcp);
    LASH_ASSERT(*error == 0);
    outgoing->tcp.data = outgoing;
    outgoing->connect.data = outgoing;
    outgoing->transport = transport;
    list_init(&outgoing->dirty);
    list_init(&outgoing->queue);
    address_to_text(address, outgoing->address);
    transport_handle_opened(transport);
    *error = uv_tcp_connect(&outgoing->connect, &outgoing->tcp, (const struct sockaddr *)address, outgoing_on_connect);
    if (*error) {
        uv_close((uv_handle_t *)&outgoing->tcp, outgoing_on_close);
        return NULL;
    }
    outgoing->route = route;
    return outgoing;
}
