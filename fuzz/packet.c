/* SPDX-License-Identifier: Apache-2.0
 *
 * The peer protocol: handshakes survive being encoded again, and a stream of
 * packets gives the same packets and the same error in whatever pieces it comes.
 *
 * Input: a byte of choices (1: leave the checksums as they are; from 2 on: hello, reply or stream), a byte that the sizes
 * of the pieces follow from, the bytes.
 */
#include "transport/packet.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "lash/error.h"
#include "transport/receiver.h"

enum { CHOICE_RAW = 1, CHOICE_SHIFT = 1, KIND_HELLO = 0, KIND_REPLY = 1 };
enum { PACKET_BYTES_MAX = 200000, HEAD_CRC_AT = 24, HEADER_CRC_AT = 28 };

static void fix_end(uint8_t *bytes, size_t size, size_t whole) {
    if (size >= whole)
        le32_put(bytes + whole - 4, crc32c(0, bytes, whole - 4));
}

static void fix_stream(uint8_t *bytes, size_t size) {
    while (size >= PACKET_HEADER_SIZE) {
        uint64_t head = le32_get(bytes + 8), tail = le64_get(bytes + 16), left = size - PACKET_HEADER_SIZE;
        if (head <= left)
            le32_put(bytes + HEAD_CRC_AT, crc32c(0, bytes + PACKET_HEADER_SIZE, (size_t)head));
        le32_put(bytes + HEADER_CRC_AT, crc32c(0, bytes, HEADER_CRC_AT));
        if (tail > left || packet_align(head) + packet_align(tail) > left)
            return;
        size_t step = (size_t)(PACKET_HEADER_SIZE + packet_align(head) + packet_align(tail));
        bytes += step;
        size -= step;
    }
}

static void check_hello(const uint8_t *bytes, size_t size) {
    struct packet_hello hello, again;
    uint8_t encoded[PACKET_HELLO_SIZE];
    int rc = packet_hello_decode(bytes, size, &hello);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT);
    if (rc)
        return;
    for (size_t prefix = 0; prefix <= PACKET_HELLO_SIZE; prefix++)
        LASH_ASSERT(packet_hello_begins(bytes, prefix));
    uint16_t version = packet_common_version(&hello);
    LASH_ASSERT(version == 0 || (version >= hello.version_min && version <= hello.version_max));
    LASH_ASSERT(version == 0 || (version >= PACKET_VERSION_MIN && version <= PACKET_VERSION_MAX));
    packet_hello_encode(&hello, encoded);
    LASH_ASSERT(packet_hello_decode(encoded, sizeof encoded, &again) == LASH_OK);
    LASH_ASSERT(again.version_min == hello.version_min && again.version_max == hello.version_max &&
                again.lane == hello.lane);
    LASH_ASSERT(again.cluster_id == hello.cluster_id && again.from == hello.from && again.to == hello.to);
    LASH_ASSERT(again.features == hello.features);
}

static void check_reply(const uint8_t *bytes, size_t size) {
    struct packet_reply reply, again;
    uint8_t encoded[PACKET_REPLY_SIZE];
    int rc = packet_reply_decode(bytes, size, &reply);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT);
    if (rc)
        return;
    packet_reply_encode(&reply, encoded);
    LASH_ASSERT(packet_reply_decode(encoded, sizeof encoded, &again) == LASH_OK);
    LASH_ASSERT(again.status == reply.status && again.version == reply.version && again.node_id == reply.node_id);
    LASH_ASSERT(again.version_min == reply.version_min && again.version_max == reply.version_max);
    LASH_ASSERT(again.cluster_id == reply.cluster_id && again.features == reply.features);
}

/* What came out of a stream. */
struct outcome {
    size_t packets;
    uint32_t crc; /* of all heads and tails */
    int error;
};

static void take(struct outcome *outcome, const struct transport_packet *packet) {
    LASH_ASSERT((uintptr_t)packet->tail % PACKET_ALIGNMENT == 0);
    LASH_ASSERT(packet_align(packet->head_size) + packet_align(packet->tail_size) + PACKET_HEADER_SIZE <=
                PACKET_BYTES_MAX);
    LASH_ASSERT(le32_get(packet->head - PACKET_HEADER_SIZE + HEAD_CRC_AT) ==
                crc32c(0, packet->head, packet->head_size));
    outcome->packets++;
    outcome->crc = crc32c(outcome->crc, packet->head, packet->head_size);
    outcome->crc = crc32c(outcome->crc, packet->tail, packet->tail_size);
}

/* Feed it in pieces of at most `step` bytes, which changes with each; 0: in as large ones as the receiver takes. */
static struct outcome receive(const uint8_t *bytes, size_t size, uint32_t step) {
    struct outcome outcome = {0};
    struct receiver receiver;
    receiver_init(&receiver, PACKET_BYTES_MAX);
    uint32_t pace = step;
    while (size > 0 && !outcome.error) {
        size_t room;
        uint8_t *at = receiver_room(&receiver, &room);
        LASH_ASSERT(at && room > 0);
        pace = pace * 1664525 + 1013904223;
        size_t piece = step ? 1 + (pace >> 16) % (step * 4) : size;
        piece = piece < size ? piece : size;
        piece = piece < room ? piece : room;
        memcpy(at, bytes, piece);
        receiver_advance(&receiver, piece);
        bytes += piece;
        size -= piece;
        struct transport_packet packet;
        int rc;
        while ((rc = receiver_next(&receiver, &packet)) == 1)
            take(&outcome, &packet);
        LASH_ASSERT(rc == 0 || rc == LASH_CORRUPT || rc == LASH_TOO_LARGE);
        outcome.error = rc;
    }
    receiver_clear(&receiver);
    return outcome;
}

static void check_stream(const uint8_t *bytes, size_t size, uint8_t step) {
    struct outcome whole = receive(bytes, size, 0), pieces = receive(bytes, size, step + 1u);
    LASH_ASSERT(whole.packets == pieces.packets && whole.crc == pieces.crc && whole.error == pieces.error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    unsigned kind = (data[0] >> CHOICE_SHIFT) % 3;
    bool raw = data[0] & CHOICE_RAW;
    uint8_t step = data[1];
    size -= 2;
    uint8_t *bytes = fuzz_copy(data + 2, size);
    if (kind == KIND_HELLO) {
        if (!raw)
            fix_end(bytes, size, PACKET_HELLO_SIZE);
        check_hello(bytes, size);
    } else if (kind == KIND_REPLY) {
        if (!raw)
            fix_end(bytes, size, PACKET_REPLY_SIZE);
        check_reply(bytes, size);
    } else {
        if (!raw)
            fix_stream(bytes, size);
        check_stream(bytes, size, step);
    }
    mem_free(bytes);
    return 0;
}
