/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing of packets in place, and the choice of the buffer to read into next.
 */
#include "transport/receiver.h"

#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "lash/error.h"
#include "transport/packet.h"

/* With less room than this a chunk is given up between packets: reads would become tiny. */
#define RECEIVER_ROOM_MIN ((size_t)4096)

_Static_assert(RECEIVER_CHUNK_SIZE % PACKET_ALIGNMENT == 0, "packets stay aligned up to a chunk's end");
_Static_assert(offsetof(struct buf, data) % PACKET_ALIGNMENT == 0, "an aligned offset is an aligned address");
_Static_assert(RECEIVER_ROOM_MIN >= PACKET_HEADER_SIZE, "a new header always fits into the room left");

void receiver_init(struct receiver *receiver, uint64_t packet_bytes_max) {
    *receiver = (struct receiver){.wanted = RECEIVER_ROOM_MIN, .packet_bytes_max = packet_bytes_max};
}

void receiver_clear(struct receiver *receiver) {
    buf_unref(receiver->buf);
    receiver->buf = NULL;
    receiver->start = 0;
    receiver->filled = 0;
}

/* Whether no packet that was handed out keeps the buffer. */
static bool receiver_is_sole_owner(const struct receiver *receiver) {
    return atomic_load_explicit(&receiver->buf->references, memory_order_acquire) == 1;
}

/* Change to a new buffer that the wanted bytes fit into, and take along what was read of them. */
static int receiver_renew(struct receiver *receiver) {
    size_t capacity = receiver->wanted > RECEIVER_CHUNK_SIZE ? receiver->wanted : RECEIVER_CHUNK_SIZE;
    struct buf *buf = buf_new(capacity);
    if (!buf)
        return LASH_NOMEM;
    /* Set once and for all: whoever keeps a packet may look at it from another thread. */
    buf->size = capacity;
    size_t left = receiver->filled - receiver->start;
    LASH_ASSERT(left < receiver->wanted);
    if (receiver->buf)
        memcpy(buf->data, receiver->buf->data + receiver->start, left);
    receiver_clear(receiver);
    receiver->buf = buf;
    receiver->filled = left;
    return LASH_OK;
}

uint8_t *receiver_room(struct receiver *receiver, size_t *size) {
    bool empty = receiver->buf && receiver->start == receiver->filled;
    if (empty && receiver->buf->size == RECEIVER_CHUNK_SIZE && receiver_is_sole_owner(receiver)) {
        receiver->start = 0;
        receiver->filled = 0;
    }
    bool fits = receiver->buf && receiver->buf->size - receiver->start >= receiver->wanted;
    if (!fits && receiver_renew(receiver) != LASH_OK)
        return NULL;
    LASH_ASSERT(receiver->start % PACKET_ALIGNMENT == 0);
    LASH_ASSERT(receiver->filled < receiver->buf->size);
    *size = receiver->buf->size - receiver->filled;
    return receiver->buf->data + receiver->filled;
}

void receiver_advance(struct receiver *receiver, size_t size) {
    LASH_ASSERT(receiver->buf && size <= receiver->buf->size - receiver->filled);
    receiver->filled += size;
}

int receiver_next(struct receiver *receiver, struct transport_packet *packet) {
    LASH_ASSERT(receiver->start <= receiver->filled);
    size_t left = receiver->filled - receiver->start;
    receiver->wanted = RECEIVER_ROOM_MIN;
    if (left < PACKET_HEADER_SIZE)
        return 0;
    const uint8_t *bytes = receiver->buf->data + receiver->start;
    struct packet_header header;
    int error = packet_header_decode(bytes, left, receiver->packet_bytes_max, &header);
    if (error)
        return error;
    size_t size = (size_t)packet_size(&header);
    if (left < size) {
        receiver->wanted = size;
        return 0;
    }
    error = packet_body_check(&header, bytes);
    if (error)
        return error;
    packet->kind = header.kind;
    packet->head = bytes + PACKET_HEADER_SIZE;
    packet->head_size = header.head_size;
    packet->tail = packet->head + packet_align(header.head_size);
    packet->tail_size = (size_t)header.tail_size;
    packet->owner = receiver->buf;
    receiver->start += size;
    return 1;
}
