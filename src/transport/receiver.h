/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns the bytes of one connection, which come in pieces of any size, into
 * packets. The bytes are read where they stay: the caller reads from its socket into
 * receiver_room(), and packets point into that same buffer.
 */
#ifndef LASH_TRANSPORT_RECEIVER_H
#define LASH_TRANSPORT_RECEIVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "transport/transport.h"

/* Small packets are read many at a time into a buffer of this size; a larger packet gets one of its own. */
#define RECEIVER_CHUNK_SIZE ((size_t)64 * 1024)

struct receiver {
    struct buf *buf; /* what is read into; NULL when nothing is waiting in it */
    size_t start;    /* of the first byte of buf that no packet has taken; a multiple of 8 */
    size_t filled;   /* bytes of buf that were read */
    size_t wanted;   /* bytes from `start` that the next step needs: a header or a whole packet */
    uint64_t packet_bytes_max;
};

/* Begin at a packet's first byte. */
void receiver_init(struct receiver *receiver, uint64_t packet_bytes_max);

/* Let go of the buffer. */
void receiver_clear(struct receiver *receiver);

/* Where to read to, at least one byte: *size of them. NULL when memory ran out. */
uint8_t *receiver_room(struct receiver *receiver, size_t *size);

/* `size` bytes were put into the room. Then call receiver_next until it returns 0. */
void receiver_advance(struct receiver *receiver, size_t size);

/* The next packet, all but `from`, valid until the receiver's next call. Returns 1 with a packet, 0 when more bytes are
 * needed. Errors, after which the stream is lost: LASH_CORRUPT, LASH_TOO_LARGE. */
int receiver_next(struct receiver *receiver, struct transport_packet *packet);

#endif
