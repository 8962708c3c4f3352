/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C by ISA-L, which picks what suits the processor, and joining of two: a CRC is
 * linear, so the CRC of A followed by B is the CRC of A carried over as many zero
 * bytes as B is long, xor the CRC of B.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/assert.h"

/* The polynomial, bits reversed. */
#define CRC32C_POLYNOMIAL 0x82f63b78U

/* Bytes per call; the library counts them in an int. */
#define CRC32C_AT_ONCE ((size_t)1 << 30)

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    unsigned char *at = (unsigned char *)(uintptr_t)data; /* which the library does not change */
    uint32_t state = ~crc;
    for (; size > CRC32C_AT_ONCE; size -= CRC32C_AT_ONCE, at += CRC32C_AT_ONCE)
        state = crc32_iscsi(at, (int)CRC32C_AT_ONCE, state);
    if (size)
        state = crc32_iscsi(at, (int)size, state);
    return ~state;
}

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

/* Before main and before any thread, so that nobody has to ask whether it is done. */
__attribute__((constructor)) static void crc32c_prepare(void) {
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
