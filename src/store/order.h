/* SPDX-License-Identifier: Apache-2.0
 *
 * Order: big-endian numbers, whose bytes sort as the numbers do, and the order of
 * byte strings. LMDB sorts its keys by their bytes, so keys on disk are made of these.
 */
#ifndef LASH_STORE_ORDER_H
#define LASH_STORE_ORDER_H

#include <stdint.h>
#include <string.h>

#include "store/store.h"

static inline void be32_put(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline void be64_put(uint8_t *at, uint64_t value) {
    be32_put(at, (uint32_t)(value >> 32));
    be32_put(at + 4, (uint32_t)value);
}

static inline uint32_t be32_get(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t be64_get(const uint8_t *at) {
    return (uint64_t)be32_get(at) << 32 | be32_get(at + 4);
}

/* Below, equal or above 0 as `a` sorts before, with or behind `b`: by bytes, a prefix first. */
static inline int bytes_compare(struct store_bytes a, struct store_bytes b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Whether `range_end` means "all keys from the start on". */
static inline bool bytes_open_ended(struct store_bytes range_end) {
    return range_end.size == 1 && range_end.data[0] == 0;
}

#endif
