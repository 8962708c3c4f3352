/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C by ISA-L, which picks what suits the processor, but of few bytes by the
 * processor's instruction, if it has one: ISA-L's call takes longer than they do. And
 * joining of two: a CRC is linear, so the CRC of A followed by B is the CRC of A carried
 * over as many zero bytes as B is long, xor the CRC of B.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define CRC32C_INSTRUCTION __attribute__((target("sse4.2")))
#define crc32c_step_u8(crc, value) _mm_crc32_u8((crc), (value))
#define crc32c_step_u64(crc, value) ((uint32_t)_mm_crc32_u64((crc), (value)))
#define crc32c_has_instruction() __builtin_cpu_supports("sse4.2")
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define CRC32C_INSTRUCTION
#define crc32c_step_u8(crc, value) __crc32cb((crc), (value))
#define crc32c_step_u64(crc, value) __crc32cd((crc), (value))
#define crc32c_has_instruction() 1
#endif

/* The polynomial, bits reversed. */
#define CRC32C_POLYNOMIAL 0x82f63b78U

/* Bytes per call; the library counts them in an int. */
#define CRC32C_AT_ONCE ((size_t)1 << 30)

/* Fewer bytes than this are few. */
#define CRC32C_FEW 128

static size_t crc32c_few; /* the same, or 0 where there is no instruction */

#ifdef CRC32C_INSTRUCTION
CRC32C_INSTRUCTION static uint32_t crc32c_by_instruction(uint32_t state, const uint8_t *at, size_t size) {
    for (; size >= 8; size -= 8, at += 8)
        state = crc32c_step_u64(state, le64_get(at));
    for (; size; size--)
        state = crc32c_step_u8(state, *at++);
    return state;
}
#endif

#if defined(__x86_64__)
static bool crc32c_wide; /* the processor has wide registers */

/* ISA-L leaves them in use, with which all code that does not know of them is slower afterwards. */
__attribute__((target("avx"))) static void crc32c_release(void) {
    _mm256_zeroupper();
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
#ifdef CRC32C_INSTRUCTION
    if (size < crc32c_few)
        return ~crc32c_by_instruction(~crc, data, size);
#endif
    unsigned char *at = (unsigned char *)(uintptr_t)data; /* which the library does not change */
    uint32_t state = ~crc;
    for (; size > CRC32C_AT_ONCE; size -= CRC32C_AT_ONCE, at += CRC32C_AT_ONCE)
        state = crc32_iscsi(at, (int)CRC32C_AT_ONCE, state);
    if (size)
        state = crc32_iscsi(at, (int)size, state);
#if defined(__x86_64__)
    if (crc32c_wide)
        crc32c_release();
#endif
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
#ifdef CRC32C_INSTRUCTION
    crc32c_few = crc32c_has_instruction() ? CRC32C_FEW : 0;
#endif
#if defined(__x86_64__)
    crc32c_wide = __builtin_cpu_supports("avx");
#endif
}

uint32_t crc32c_join(uint32_t first, uint32_t second, size_t second_size) {
    LASH_ASSERT(second_size < (size_t)1 << 29);
    unsigned k = 3; /* a byte is eight times x */
    for (size_t size = second_size; size; size >>= 1, k++)
        if (size & 1)
            first = crc32c_multiply(crc32c_squares[k], first);
    return first ^ second;
}
