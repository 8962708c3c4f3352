/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C (Castagnoli, RFC 3720).
 */
#ifndef LASH_BASE_CRC32C_H
#define LASH_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC32C of `size` bytes, continued from `crc` (0 to begin). "123456789" gives 0xe3069283. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The CRC32C of two pieces of data, one behind the other, from that of each and the size of the second, which is less than 512 MiB. */
uint32_t crc32c_join(uint32_t first, uint32_t second, size_t second_size);

#endif
