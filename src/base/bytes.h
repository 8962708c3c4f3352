/* SPDX-License-Identifier: Apache-2.0
 *
 * Little-endian byte readers and writers. A reader past its end yields zeros
 * and remembers: check `failed` once at the end. A writer past its end likewise.
 */
#ifndef LASH_BASE_BYTES_H
#define LASH_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void le16_put(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void le32_put(uint8_t *at, uint32_t value) {
    le16_put(at, (uint16_t)value);
    le16_put(at + 2, (uint16_t)(value >> 16));
}

static inline void le64_put(uint8_t *at, uint64_t value) {
    le32_put(at, (uint32_t)value);
    le32_put(at + 4, (uint32_t)(value >> 32));
}

static inline uint16_t le16_get(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t le32_get(const uint8_t *at) {
    return (uint32_t)le16_get(at) | (uint32_t)le16_get(at + 2) << 16;
}

static inline uint64_t le64_get(const uint8_t *at) {
    return (uint64_t)le32_get(at) | (uint64_t)le32_get(at + 4) << 32;
}

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* something was read past the end */
};

static inline struct reader reader_make(const void *data, size_t size) {
    /* no bytes may come without a place, and C has no sum of NULL and 0 */
    const uint8_t *at = data;
    return (struct reader){.at = at, .end = size > 0 ? at + size : at, .failed = false};
}

static inline size_t reader_left(const struct reader *reader) {
    return (size_t)(reader->end - reader->at);
}

/* The next `size` bytes, or NULL (and failed) when there are fewer. */
static inline const uint8_t *read_bytes(struct reader *reader, size_t size) {
    if (reader->failed || reader_left(reader) < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    if (size > 0)
        reader->at += size;
    return at;
}

static inline uint8_t read_u8(struct reader *reader) {
    const uint8_t *at = read_bytes(reader, 1);
    return at ? *at : 0;
}

static inline uint16_t read_u16(struct reader *reader) {
    const uint8_t *at = read_bytes(reader, 2);
    return at ? le16_get(at) : 0;
}

static inline uint32_t read_u32(struct reader *reader) {
    const uint8_t *at = read_bytes(reader, 4);
    return at ? le32_get(at) : 0;
}

static inline uint64_t read_u64(struct reader *reader) {
    const uint8_t *at = read_bytes(reader, 8);
    return at ? le64_get(at) : 0;
}

enum { VARINT_MAX = 10 }; /* bytes of the largest */

/* A number in as few bytes as it needs, as protobuf writes it: seven bits in each, the lowest first, and the eighth says that another
 * byte follows. */
static inline uint64_t read_varint(struct reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX; shift += 7) {
        uint8_t byte = read_u8(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

struct writer {
    uint8_t *at;
    uint8_t *end;
    bool failed; /* something did not fit */
};

static inline struct writer writer_make(void *data, size_t size) {
    uint8_t *at = data;
    return (struct writer){.at = at, .end = size > 0 ? at + size : at, .failed = false};
}

/* Room for `size` bytes, which the caller fills; NULL (and failed) when there is none. */
static inline uint8_t *write_room(struct writer *writer, size_t size) {
    if (writer->failed || (size_t)(writer->end - writer->at) < size) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *at = writer->at;
    if (size > 0)
        writer->at += size;
    return at;
}

static inline void write_bytes(struct writer *writer, const void *data, size_t size) {
    uint8_t *at = write_room(writer, size);
    if (at && size)
        memcpy(at, data, size);
}

static inline void write_u8(struct writer *writer, uint8_t value) {
    write_bytes(writer, &value, 1);
}

static inline void write_u16(struct writer *writer, uint16_t value) {
    uint8_t *at = write_room(writer, 2);
    if (at)
        le16_put(at, value);
}

static inline void write_u32(struct writer *writer, uint32_t value) {
    uint8_t *at = write_room(writer, 4);
    if (at)
        le32_put(at, value);
}

static inline void write_u64(struct writer *writer, uint64_t value) {
    uint8_t *at = write_room(writer, 8);
    if (at)
        le64_put(at, value);
}

static inline void write_varint(struct writer *writer, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        write_u8(writer, (uint8_t)(value | 0x80));
    write_u8(writer, (uint8_t)value);
}

#endif
