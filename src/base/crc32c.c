/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C three ways: by the instruction of x86-64 (SSE 4.2) or ARMv8, and by
 * table, eight bytes a step. The instruction takes three cycles and one can
 * start in each, so longer inputs are cut into three lanes that run side by side
 * and are joined: a CRC is linear, so the CRC of A followed by B is the CRC of A
 * carried over as many zero bytes as B is long, xor the CRC of B.
 */
#include "base/crc32c.h"

#include "base/assert.h"
#include "base/bytes.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#define CRC32C_INSTRUCTION __attribute__((target("sse4.2")))
#define crc32c_step_u8(crc, value) _mm_crc32_u8((crc), (value))
#define crc32c_step_u32(crc, value) _mm_crc32_u32((crc), (value))
#define crc32c_step_u64(crc, value) ((uint32_t)_mm_crc32_u64((crc), (value)))
#define crc32c_has_instruction() __builtin_cpu_supports("sse4.2")
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define CRC32C_INSTRUCTION
#define crc32c_step_u8(crc, value) __crc32cb((crc), (value))
#define crc32c_step_u32(crc, value) __crc32cw((crc), (value))
#define crc32c_step_u64(crc, value) __crc32cd((crc), (value))
#define crc32c_has_instruction() 1
#endif

/* The polynomial, bits reversed. */
#define CRC32C_POLYNOMIAL 0x82f63b78U

/* Bytes in a lane: large enough that joining costs little, small enough that a page gains, and, of the shorter ones, an entry of the
 * log of some hundred bytes. */
#define CRC32C_LANE 256
#define CRC32C_SHORT_LANE 64

/* crc32c_tables[k][b]: what byte b contributes after it and k more zero bytes. */
static uint32_t crc32c_tables[8][256];

static uint32_t crc32c_by_table(uint32_t state, const uint8_t *at, size_t size) {
    for (; size >= 8; size -= 8, at += 8) {
        uint32_t low = le32_get(at) ^ state;
        uint32_t high = le32_get(at + 4);
        state = crc32c_tables[7][low & 0xff] ^ crc32c_tables[6][(low >> 8) & 0xff] ^
                crc32c_tables[5][(low >> 16) & 0xff] ^ crc32c_tables[4][low >> 24] ^ crc32c_tables[3][high & 0xff] ^
                crc32c_tables[2][(high >> 8) & 0xff] ^ crc32c_tables[1][(high >> 16) & 0xff] ^
                crc32c_tables[0][high >> 24];
    }
    for (; size; size--)
        state = crc32c_tables[0][(state ^ *at++) & 0xff] ^ (state >> 8);
    return state;
}

#ifdef CRC32C_INSTRUCTION

/* What carries a state over a lane of zeros: [k][b] is a state whose k-th byte is b, the others 0, carried over. */
struct crc32c_carry {
    uint32_t by_byte[4][256];
};

static struct crc32c_carry crc32c_over_lane;
static struct crc32c_carry crc32c_over_short_lane;

static inline uint32_t crc32c_carry_over(const struct crc32c_carry *carry, uint32_t state) {
    return carry->by_byte[0][state & 0xff] ^ carry->by_byte[1][(state >> 8) & 0xff] ^
           carry->by_byte[2][(state >> 16) & 0xff] ^ carry->by_byte[3][state >> 24];
}

CRC32C_INSTRUCTION static inline uint32_t crc32c_three_lanes(uint32_t first, const uint8_t *at, size_t lane,
                                                             const struct crc32c_carry *carry) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (const uint8_t *end = at + lane; at < end; at += 8) {
        first = crc32c_step_u64(first, le64_get(at));
        second = crc32c_step_u64(second, le64_get(at + lane));
        third = crc32c_step_u64(third, le64_get(at + 2 * lane));
    }
    return crc32c_carry_over(carry, crc32c_carry_over(carry, first) ^ second) ^ third;
}

CRC32C_INSTRUCTION static uint32_t crc32c_by_instruction(uint32_t state, const uint8_t *at, size_t size) {
    const size_t block = (size_t)3 * CRC32C_LANE;
    const size_t short_block = (size_t)3 * CRC32C_SHORT_LANE;
    for (; size >= block; size -= block, at += block)
        state = crc32c_three_lanes(state, at, CRC32C_LANE, &crc32c_over_lane);
    for (; size >= short_block; size -= short_block, at += short_block)
        state = crc32c_three_lanes(state, at, CRC32C_SHORT_LANE, &crc32c_over_short_lane);
    for (; size >= 8; size -= 8, at += 8)
        state = crc32c_step_u64(state, le64_get(at));
    if (size >= 4) {
        state = crc32c_step_u32(state, le32_get(at));
        size -= 4;
        at += 4;
    }
    for (; size; size--)
        state = crc32c_step_u8(state, *at++);
    return state;
}

static void crc32c_prepare_carry(struct crc32c_carry *carry, size_t lane) {
    static const uint8_t zeros[CRC32C_LANE];
    for (unsigned k = 0; k < 4; k++) {
        for (uint32_t b = 0; b < 256; b++)
            carry->by_byte[k][b] = crc32c_by_table(b << (8 * k), zeros, lane);
    }
}

_Static_assert(CRC32C_SHORT_LANE <= CRC32C_LANE, "one array of zeros is enough for both");

#endif

/* ---- Joining: polynomials modulo that of the CRC, the bit for x^0 at the left end ----------------- */

/* crc32c_squares[k]: x to the 2^k. */
static uint32_t crc32c_squares[32];

static uint32_t crc32c_multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (; a; a <<= 1) {
        product ^= a & UINT32_C(0x80000000) ? b : 0;
        b = (b >> 1) ^ (b & 1 ? CRC32C_POLYNOMIAL : 0);
    }
    return product;
}

static void crc32c_prepare_squares(void) {
    crc32c_squares[0] = UINT32_C(0x40000000); /* x */
    for (unsigned k = 1; k < 32; k++)
        crc32c_squares[k] = crc32c_multiply(crc32c_squares[k - 1], crc32c_squares[k - 1]);
}

uint32_t crc32c_join(uint32_t first, uint32_t second, size_t second_size) {
    LASH_ASSERT(second_size < (size_t)1 << 29);
    unsigned k = 3; /* a byte is eight times x */
    for (size_t size = second_size; size; size >>= 1, k++)
        if (size & 1)
            first = crc32c_multiply(crc32c_squares[k], first);
    return first ^ second;
}

static uint32_t (*crc32c_chosen)(uint32_t state, const uint8_t *at, size_t size) = crc32c_by_table;

/* Before main and before any thread, so that nobody has to ask whether it is done. */
__attribute__((constructor)) static void crc32c_prepare(void) {
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t state = b;
        for (unsigned bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? CRC32C_POLYNOMIAL : 0);
        crc32c_tables[0][b] = state;
    }
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned b = 0; b < 256; b++) {
            uint32_t state = crc32c_tables[k - 1][b];
            crc32c_tables[k][b] = (state >> 8) ^ crc32c_tables[0][state & 0xff];
        }
    }
    crc32c_prepare_squares();
#ifdef CRC32C_INSTRUCTION
    if (crc32c_has_instruction()) {
        crc32c_prepare_carry(&crc32c_over_lane, CRC32C_LANE);
        crc32c_prepare_carry(&crc32c_over_short_lane, CRC32C_SHORT_LANE);
        crc32c_chosen = crc32c_by_instruction;
    }
#endif
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    return ~crc32c_chosen(~crc, data, size);
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size) {
    return ~crc32c_by_table(~crc, data, size);
}
