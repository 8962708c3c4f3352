/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of the peer protocol: handshake and packet headers, encoded and
 * decoded without any I/O. All numbers are little-endian.
 *
 *   hello (64 bytes)          reply (48 bytes)            packet header (32 bytes)
 *    0 magic "LASH"            0 magic "LASR"              0 magic "LPKT"
 *    4 u16 version min         4 u16 status                4 u32 kind
 *    6 u16 version max         6 u16 version chosen        8 u32 size of the head
 *    8 u64 cluster id          8 u16 version min          12 u32 reserved, 0
 *   16 u64 from node          10 u16 version max          16 u64 size of the tail
 *   24 u64 to node            12 u32 index, low half      24 u32 CRC32C of the head
 *   32 u64 features           16 u64 answering node       28 u32 CRC32C of bytes 0..27
 *   40 u16 lane               24 u64 its cluster id
 *   42 u16 port               32 u64 features of both
 *   44 u32 index, low half    40 u32 index, high half
 *   48 u64 disk               44 u32 CRC32C of 0..43
 *   56 u32 index, high half
 *   60 u32 CRC32C of 0..59
 *
 * Head and tail follow a packet's header, each filled up with zero bytes to a multiple of 8, so that in a buffer the
 * tail is aligned. The kind is 0, or that of a probe, whose head is a number of 8 bytes, and which goes only to those whose
 * handshake says that they answer it, with the same number. Reserved bytes of the handshake are sent as 0 and ignored on arrival: the layout of the handshake
 * never changes, whatever the versions. The lane is 0 (control) unless the answer to an earlier hello named the feature LANES: who
 * does not know lanes sends and sees a reserved 0 there. Likewise the port on which the dialler listens, the identity of its
 * disk, and the index of the committed configuration: of a dialler that takes itself for a member, and, in the refusal of a
 * stranger, of the one that lacks it. 0 is none.
 *
 * A hello from node 0 to node 0 asks for the membership, whatever the lane; its cluster id may be 0, for any. The answer is
 * an accepting reply and one packet, whose head is the encoded membership; then the connection is closed.
 */
#ifndef LASH_TRANSPORT_PACKET_H
#define LASH_TRANSPORT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_VERSION_MIN 1
#define PACKET_VERSION_MAX 1

#define PACKET_MAGIC_SIZE 4
#define PACKET_HELLO_SIZE 64
#define PACKET_REPLY_SIZE 48
#define PACKET_HEADER_SIZE 32
#define PACKET_ALIGNMENT 8

/* What the dialler says first. */
struct packet_hello {
    uint16_t version_min;
    uint16_t version_max;
    uint64_t cluster_id;
    uint64_t from;
    uint64_t to;
    uint64_t features;
    uint16_t lane;  /* enum transport_lane, or a newer one */
    uint16_t port;  /* where the dialler listens; 0: it does not say */
    uint64_t disk;  /* identity of its data directory; 0: it does not say */
    uint64_t index; /* of the committed configuration, by which it is a member; 0: it does not say */
};

/* An acceptor's verdict. Numbers are stable. */
enum packet_status {
    PACKET_ACCEPTED = 0,
    PACKET_OTHER_CLUSTER = 1,
    PACKET_OTHER_NODE = 2,
    PACKET_NO_COMMON_VERSION = 3,
    PACKET_UNKNOWN_PEER = 4,
    PACKET_OTHER_DISK = 5,
};

/* What the acceptor answers. `version` is 0 in a refusal. */
struct packet_reply {
    uint16_t status; /* enum packet_status, or a newer one */
    uint16_t version;
    uint16_t version_min;
    uint16_t version_max;
    uint64_t node_id;
    uint64_t cluster_id;
    uint64_t features;
    uint64_t
        index; /* with UNKNOWN_PEER: of the committed configuration that the dialler is not in; 0: it does not say */
};

enum packet_kind {
    PACKET_MESSAGE = 0,
    PACKET_PROBE = 1,
    PACKET_PROBE_REPLY = 2,
};

/* Bits of the handshake's features. The others are the transport's user's. */
#define PACKET_FEATURE_PROBES ((uint64_t)1 << 63) /* answers probes */
#define PACKET_FEATURE_LANES ((uint64_t)1 << 62)  /* takes a connection for each lane */
#define PACKET_FEATURES (PACKET_FEATURE_PROBES | PACKET_FEATURE_LANES)

#define PACKET_PROBE_SIZE 8

struct packet_header {
    uint32_t kind; /* enum packet_kind */
    uint32_t head_size;
    uint64_t tail_size;
    uint32_t head_crc;
};

void packet_hello_encode(const struct packet_hello *hello, uint8_t bytes[PACKET_HELLO_SIZE]);

/* Errors: LASH_CORRUPT (too short, magic, checksum, or a version range that is none). */
int packet_hello_decode(const uint8_t *bytes, size_t size, struct packet_hello *hello);

/* Whether the first `size` bytes of a connection can begin a hello; lets garbage be told before 64 bytes of it came. */
bool packet_hello_begins(const uint8_t *bytes, size_t size);

void packet_reply_encode(const struct packet_reply *reply, uint8_t bytes[PACKET_REPLY_SIZE]);

/* Errors: LASH_CORRUPT. */
int packet_reply_decode(const uint8_t *bytes, size_t size, struct packet_reply *reply);

/* The highest version in both ranges; 0 when they do not overlap. */
uint16_t packet_common_version(const struct packet_hello *hello);

/* `value` rounded up to a multiple of 8. */
uint64_t packet_align(uint64_t value);

/* Bytes on the wire of a packet with this head and tail, header and filling included. */
uint64_t packet_size(const struct packet_header *header);

/* Encode the header of a message for `head`; head_crc is computed. */
void packet_header_encode(const void *head, uint32_t head_size, uint64_t tail_size, uint8_t bytes[PACKET_HEADER_SIZE]);

/* The same for any kind. */
void packet_header_encode_kind(enum packet_kind kind, const void *head, uint32_t head_size, uint64_t tail_size,
                               uint8_t bytes[PACKET_HEADER_SIZE]);

/* Decode and check a header. `size` bytes are there. `bytes_max` bounds packet_size().
 * Errors: LASH_CORRUPT (too short, magic, checksum, unknown kind, a probe of another size), LASH_TOO_LARGE. */
int packet_header_decode(const uint8_t *bytes, size_t size, uint64_t bytes_max, struct packet_header *header);

/* Check what follows the header of the whole packet at `bytes`: the head's checksum, and that all filling is zero.
 * Errors: LASH_CORRUPT. */
int packet_body_check(const struct packet_header *header, const uint8_t *bytes);

#endif
