/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding of the peer protocol's handshake and packet headers.
 */
#include "transport/packet.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "lash/error.h"

#define PACKET_CRC_SIZE 4

static const uint8_t packet_magic_hello[PACKET_MAGIC_SIZE] = {'L', 'A', 'S', 'H'};
static const uint8_t packet_magic_reply[PACKET_MAGIC_SIZE] = {'L', 'A', 'S', 'R'};
static const uint8_t packet_magic_packet[PACKET_MAGIC_SIZE] = {'L', 'P', 'K', 'T'};

/* Begin a block of `size` zero bytes with its magic. */
static struct writer packet_begin(uint8_t *bytes, size_t size, const uint8_t *magic) {
    memset(bytes, 0, size);
    struct writer writer = writer_make(bytes, size - PACKET_CRC_SIZE);
    write_bytes(&writer, magic, PACKET_MAGIC_SIZE);
    return writer;
}

/* End it with the CRC of all before. */
static void packet_seal(const struct writer *writer, uint8_t *bytes, size_t size) {
    LASH_ASSERT(!writer->failed);
    le32_put(bytes + size - PACKET_CRC_SIZE, crc32c(0, bytes, size - PACKET_CRC_SIZE));
}

/* Whether `available` bytes hold a block of `size` with this magic and a right CRC in its last 4 bytes. */
static int packet_unseal(const uint8_t *bytes, size_t available, size_t size, const uint8_t *magic) {
    if (available < size || memcmp(bytes, magic, PACKET_MAGIC_SIZE) != 0)
        return LASH_CORRUPT;
    if (le32_get(bytes + size - PACKET_CRC_SIZE) != crc32c(0, bytes, size - PACKET_CRC_SIZE))
        return LASH_CORRUPT;
    return LASH_OK;
}

void packet_hello_encode(const struct packet_hello *hello, uint8_t bytes[PACKET_HELLO_SIZE]) {
    struct writer writer = packet_begin(bytes, PACKET_HELLO_SIZE, packet_magic_hello);
    write_u16(&writer, hello->version_min);
    write_u16(&writer, hello->version_max);
    write_u64(&writer, hello->cluster_id);
    write_u64(&writer, hello->from);
    write_u64(&writer, hello->to);
    write_u64(&writer, hello->features);
    write_u16(&writer, hello->lane);
    write_u16(&writer, hello->port);
    write_u32(&writer, (uint32_t)hello->index);
    write_u64(&writer, hello->disk);
    write_u32(&writer, (uint32_t)(hello->index >> 32));
    packet_seal(&writer, bytes, PACKET_HELLO_SIZE);
}

int packet_hello_decode(const uint8_t *bytes, size_t size, struct packet_hello *hello) {
    int error = packet_unseal(bytes, size, PACKET_HELLO_SIZE, packet_magic_hello);
    if (error)
        return error;
    struct reader reader = reader_make(bytes + PACKET_MAGIC_SIZE, PACKET_HELLO_SIZE - PACKET_MAGIC_SIZE);
    hello->version_min = read_u16(&reader);
    hello->version_max = read_u16(&reader);
    hello->cluster_id = read_u64(&reader);
    hello->from = read_u64(&reader);
    hello->to = read_u64(&reader);
    hello->features = read_u64(&reader);
    hello->lane = read_u16(&reader);
    hello->port = read_u16(&reader);
    hello->index = read_u32(&reader);
    hello->disk = read_u64(&reader);
    hello->index |= (uint64_t)read_u32(&reader) << 32;
    LASH_ASSERT(!reader.failed);
    return hello->version_min == 0 || hello->version_min > hello->version_max ? LASH_CORRUPT : LASH_OK;
}

bool packet_hello_begins(const uint8_t *bytes, size_t size) {
    size_t compare = size < PACKET_MAGIC_SIZE ? size : PACKET_MAGIC_SIZE;
    return memcmp(bytes, packet_magic_hello, compare) == 0;
}

void packet_reply_encode(const struct packet_reply *reply, uint8_t bytes[PACKET_REPLY_SIZE]) {
    struct writer writer = packet_begin(bytes, PACKET_REPLY_SIZE, packet_magic_reply);
    write_u16(&writer, reply->status);
    write_u16(&writer, reply->version);
    write_u16(&writer, reply->version_min);
    write_u16(&writer, reply->version_max);
    write_u32(&writer, (uint32_t)reply->index);
    write_u64(&writer, reply->node_id);
    write_u64(&writer, reply->cluster_id);
    write_u64(&writer, reply->features);
    write_u32(&writer, (uint32_t)(reply->index >> 32));
    packet_seal(&writer, bytes, PACKET_REPLY_SIZE);
}

int packet_reply_decode(const uint8_t *bytes, size_t size, struct packet_reply *reply) {
    int error = packet_unseal(bytes, size, PACKET_REPLY_SIZE, packet_magic_reply);
    if (error)
        return error;
    struct reader reader = reader_make(bytes + PACKET_MAGIC_SIZE, PACKET_REPLY_SIZE - PACKET_MAGIC_SIZE);
    reply->status = read_u16(&reader);
    reply->version = read_u16(&reader);
    reply->version_min = read_u16(&reader);
    reply->version_max = read_u16(&reader);
    uint32_t low = read_u32(&reader);
    reply->node_id = read_u64(&reader);
    reply->cluster_id = read_u64(&reader);
    reply->features = read_u64(&reader);
    reply->index = (uint64_t)read_u32(&reader) << 32 | low;
    LASH_ASSERT(!reader.failed);
    return LASH_OK;
}

uint16_t packet_common_version(const struct packet_hello *hello) {
    uint16_t highest = hello->version_max < PACKET_VERSION_MAX ? hello->version_max : PACKET_VERSION_MAX;
    uint16_t lowest = hello->version_min > PACKET_VERSION_MIN ? hello->version_min : PACKET_VERSION_MIN;
    return highest >= lowest ? highest : 0;
}

uint64_t packet_align(uint64_t value) {
    return (value + (PACKET_ALIGNMENT - 1)) / PACKET_ALIGNMENT * PACKET_ALIGNMENT;
}

uint64_t packet_size(const struct packet_header *header) {
    return PACKET_HEADER_SIZE + packet_align(header->head_size) + packet_align(header->tail_size);
}

void packet_header_encode_kind(enum packet_kind kind, const void *head, uint32_t head_size, uint64_t tail_size,
                               uint8_t bytes[PACKET_HEADER_SIZE]) {
    struct writer writer = packet_begin(bytes, PACKET_HEADER_SIZE, packet_magic_packet);
    write_u32(&writer, (uint32_t)kind);
    write_u32(&writer, head_size);
    write_u32(&writer, 0);
    write_u64(&writer, tail_size);
    write_u32(&writer, crc32c(0, head, head_size));
    packet_seal(&writer, bytes, PACKET_HEADER_SIZE);
}

void packet_header_encode(const void *head, uint32_t head_size, uint64_t tail_size, uint8_t bytes[PACKET_HEADER_SIZE]) {
    packet_header_encode_kind(PACKET_MESSAGE, head, head_size, tail_size, bytes);
}

/* Whether a packet of this kind may have these sizes. */
static bool packet_kind_fits(const struct packet_header *header) {
    if (header->kind == PACKET_MESSAGE)
        return true;
    return header->kind <= PACKET_PROBE_REPLY && header->head_size == PACKET_PROBE_SIZE && header->tail_size == 0;
}

int packet_header_decode(const uint8_t *bytes, size_t size, uint64_t bytes_max, struct packet_header *header) {
    int error = packet_unseal(bytes, size, PACKET_HEADER_SIZE, packet_magic_packet);
    if (error)
        return error;
    struct reader reader = reader_make(bytes + PACKET_MAGIC_SIZE, PACKET_HEADER_SIZE - PACKET_MAGIC_SIZE);
    header->kind = read_u32(&reader);
    header->head_size = read_u32(&reader);
    uint32_t reserved = read_u32(&reader);
    header->tail_size = read_u64(&reader);
    header->head_crc = read_u32(&reader);
    LASH_ASSERT(!reader.failed);
    if (reserved != 0 || !packet_kind_fits(header))
        return LASH_CORRUPT;
    /* The tail alone first: the sum of a huge tail and a head could wrap around. */
    if (header->tail_size > bytes_max || packet_size(header) > bytes_max)
        return LASH_TOO_LARGE;
    return LASH_OK;
}

/* Whether the bytes from `from` up to the next multiple of 8 are zero. */
static int packet_filling_check(const uint8_t *bytes, uint64_t from) {
    for (uint64_t at = from; at < packet_align(from); at++)
        if (bytes[at] != 0)
            return LASH_CORRUPT;
    return LASH_OK;
}

int packet_body_check(const struct packet_header *header, const uint8_t *bytes) {
    const uint8_t *head = bytes + PACKET_HEADER_SIZE;
    if (crc32c(0, head, header->head_size) != header->head_crc)
        return LASH_CORRUPT;
    int error = packet_filling_check(head, header->head_size);
    if (error)
        return error;
    return packet_filling_check(head + packet_align(header->head_size), header->tail_size);
}
