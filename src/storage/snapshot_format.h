/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a snapshot's file. docs/snapshot-format.md has the whole picture.
 *
 * All little-endian. A header, the configuration, chunks of data, an end.
 *
 * Header, 64 bytes:
 *   0  u32 magic "LSNP"      4  u16 version (1)     6  u16 flags (1: hollow)
 *   8  u64 cluster          16  u64 group          24  u64 the node that made it
 *  32  u64 index            40  u64 term of that index
 *  48  u32 bytes of data in each chunk but the last
 *  52  u32 size of the configuration               56  u32 0
 *  60  u32 CRC32C of bytes 0..59 and the configuration, which follows
 * Chunk, 16 bytes and the data:
 *   0  u32 magic "LSNC"      4  u32 size of the data
 *   8  u32 CRC32C of the data, begun with that of the chunk before (of the first: with the header's)
 *  12  u32 CRC32C of bytes 0..11
 * End, 32 bytes:
 *   0  u32 magic "LSNE"      4  u32 0               8  u64 bytes of data          16  u64 chunks
 *  24  u32 the last chunk's CRC32C, so of all data 28  u32 CRC32C of bytes 0..27
 */
#ifndef LASH_STORAGE_SNAPSHOT_FORMAT_H
#define LASH_STORAGE_SNAPSHOT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/snapshot.h"

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_HEADER_SIZE = 64,
    SNAPSHOT_CHUNK_SIZE = 16,
    SNAPSHOT_END_SIZE = 32,
    SNAPSHOT_CHUNK_BYTES_MAX = 16 << 20,
};

struct snapshot_header {
    uint64_t cluster_id;
    uint64_t group;
    uint64_t node_id;
    lash_index index;
    lash_term term;
    uint32_t chunk_bytes;
    uint32_t configuration_size;
    bool hollow;
    uint32_t crc; /* where the chunks' checksums begin */
};

struct snapshot_end {
    uint64_t data_bytes;
    uint64_t chunks;
    uint32_t crc;
};

/* Write the header; sets header->crc. */
void snapshot_format_header(uint8_t at[SNAPSHOT_HEADER_SIZE], struct snapshot_header *header,
                            const void *configuration);

/* Read a header up to its checksum, which needs the configuration. Errors: LASH_CORRUPT. */
int snapshot_parse_header(const uint8_t at[SNAPSHOT_HEADER_SIZE], struct snapshot_header *header);

/* Check it with its configuration. Errors: LASH_CORRUPT, LASH_VERSION (its checksum is right; every version keeps magic,
 * version, the configuration's size and the checksum where they are). */
int snapshot_check_header(const uint8_t at[SNAPSHOT_HEADER_SIZE], const struct snapshot_header *header,
                          const void *configuration);

/* A chunk's header. `crc` is that of the data, continued. */
void snapshot_format_chunk(uint8_t at[SNAPSHOT_CHUNK_SIZE], uint32_t size, uint32_t crc);
int snapshot_parse_chunk(const uint8_t at[SNAPSHOT_CHUNK_SIZE], uint32_t *size, uint32_t *crc);

void snapshot_format_end(uint8_t at[SNAPSHOT_END_SIZE], const struct snapshot_end *end);
int snapshot_parse_end(const uint8_t at[SNAPSHOT_END_SIZE], struct snapshot_end *end);

/* The chunks of a file with so much data, and its size. */
uint64_t snapshot_format_chunks(const struct snapshot_header *header, uint64_t data_bytes);
uint64_t snapshot_format_bytes(const struct snapshot_header *header, uint64_t data_bytes);

#endif
