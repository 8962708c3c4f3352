/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers in as few bytes as they need: seven bits in each, the lowest first, and the
 * eighth bit says that another byte follows.
 */
#ifndef LASH_STORE_VARINT_H
#define LASH_STORE_VARINT_H

#include "base/bytes.h"

enum { VARINT_MAX = 10 }; /* bytes of the largest */

static inline void write_varint(struct writer *writer, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        write_u8(writer, (uint8_t)(value | 0x80));
    write_u8(writer, (uint8_t)value);
}

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

#endif
