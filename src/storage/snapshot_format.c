/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot's header, chunks and end as bytes.
 */
#include "storage/snapshot_format.h"

#include "base/bytes.h"
#include "base/crc32c.h"

enum {
    MAGIC_HEADER = 0x504e534c, /* "LSNP" */
    MAGIC_CHUNK = 0x434e534c,  /* "LSNC" */
    MAGIC_END = 0x454e534c,    /* "LSNE" */
};

enum { FLAG_HOLLOW = 1 };

/* Where checksums lie, and what they cover, from the begin to there. */
enum { CRC_OF_HEADER = 60, CRC_OF_CHUNK = 12, CRC_OF_END = 28 };

static uint32_t header_crc(const uint8_t *at, const void *configuration, size_t size) {
    return crc32c(crc32c(0, at, CRC_OF_HEADER), configuration, size);
}

void snapshot_format_header(uint8_t at[SNAPSHOT_HEADER_SIZE], struct snapshot_header *header,
                            const void *configuration) {
    memset(at, 0, SNAPSHOT_HEADER_SIZE);
    le32_put(at, MAGIC_HEADER);
    le16_put(at + 4, SNAPSHOT_VERSION);
    le16_put(at + 6, header->hollow ? FLAG_HOLLOW : 0);
    le64_put(at + 8, header->cluster_id);
    le64_put(at + 16, header->group);
    le64_put(at + 24, header->node_id);
    le64_put(at + 32, header->index);
    le64_put(at + 40, header->term);
    le32_put(at + 48, header->chunk_bytes);
    le32_put(at + 52, header->configuration_size);
    header->crc = header_crc(at, configuration, header->configuration_size);
    le32_put(at + CRC_OF_HEADER, header->crc);
}

int snapshot_parse_header(const uint8_t at[SNAPSHOT_HEADER_SIZE], struct snapshot_header *header) {
    *header = (struct snapshot_header){
        .cluster_id = le64_get(at + 8),
        .group = le64_get(at + 16),
        .node_id = le64_get(at + 24),
        .index = le64_get(at + 32),
        .term = le64_get(at + 40),
        .chunk_bytes = le32_get(at + 48),
        .configuration_size = le32_get(at + 52),
        .hollow = le16_get(at + 6) == FLAG_HOLLOW,
        .crc = le32_get(at + CRC_OF_HEADER),
    };
    bool sane = le32_get(at) == MAGIC_HEADER && header->configuration_size <= SNAPSHOT_CONFIGURATION_MAX;
    return sane ? LASH_OK : LASH_CORRUPT;
}

int snapshot_check_header(const uint8_t at[SNAPSHOT_HEADER_SIZE], const struct snapshot_header *header,
                          const void *configuration) {
    if (header_crc(at, configuration, header->configuration_size) != header->crc)
        return LASH_CORRUPT;
    if (le16_get(at + 4) != SNAPSHOT_VERSION)
        return LASH_VERSION;
    bool sane = header->index && header->term && header->chunk_bytes &&
                header->chunk_bytes <= SNAPSHOT_CHUNK_BYTES_MAX && le16_get(at + 6) <= FLAG_HOLLOW &&
                !le32_get(at + 56);
    return sane ? LASH_OK : LASH_CORRUPT;
}

void snapshot_format_chunk(uint8_t at[SNAPSHOT_CHUNK_SIZE], uint32_t size, uint32_t crc) {
    le32_put(at, MAGIC_CHUNK);
    le32_put(at + 4, size);
    le32_put(at + 8, crc);
    le32_put(at + CRC_OF_CHUNK, crc32c(0, at, CRC_OF_CHUNK));
}

int snapshot_parse_chunk(const uint8_t at[SNAPSHOT_CHUNK_SIZE], uint32_t *size, uint32_t *crc) {
    *size = le32_get(at + 4);
    *crc = le32_get(at + 8);
    bool sane = le32_get(at) == MAGIC_CHUNK && le32_get(at + CRC_OF_CHUNK) == crc32c(0, at, CRC_OF_CHUNK);
    return sane ? LASH_OK : LASH_CORRUPT;
}

void snapshot_format_end(uint8_t at[SNAPSHOT_END_SIZE], const struct snapshot_end *end) {
    memset(at, 0, SNAPSHOT_END_SIZE);
    le32_put(at, MAGIC_END);
    le64_put(at + 8, end->data_bytes);
    le64_put(at + 16, end->chunks);
    le32_put(at + 24, end->crc);
    le32_put(at + CRC_OF_END, crc32c(0, at, CRC_OF_END));
}

int snapshot_parse_end(const uint8_t at[SNAPSHOT_END_SIZE], struct snapshot_end *end) {
    *end = (struct snapshot_end){le64_get(at + 8), le64_get(at + 16), le32_get(at + 24)};
    bool sane =
        le32_get(at) == MAGIC_END && !le32_get(at + 4) && le32_get(at + CRC_OF_END) == crc32c(0, at, CRC_OF_END);
    return sane ? LASH_OK : LASH_CORRUPT;
}

uint64_t snapshot_format_chunks(const struct snapshot_header *header, uint64_t data_bytes) {
    return data_bytes / header->chunk_bytes + (data_bytes % header->chunk_bytes != 0);
}

uint64_t snapshot_format_bytes(const struct snapshot_header *header, uint64_t data_bytes) {
    uint64_t chunks = snapshot_format_chunks(header, data_bytes) * SNAPSHOT_CHUNK_SIZE;
    return SNAPSHOT_HEADER_SIZE + header->configuration_size + chunks + data_bytes + SNAPSHOT_END_SIZE;
}
