/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets have in common; see fuzz.h.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "lash/log.h"
#include "storage/frame.h"

const uint8_t *fuzz_take(struct reader *input, size_t size, size_t *taken) {
    static const uint8_t nothing[1];
    *taken = size < reader_left(input) ? size : reader_left(input);
    const uint8_t *bytes = *taken > 0 ? read_bytes(input, *taken) : nothing;
    LASH_ASSERT(bytes);
    return bytes;
}

const uint8_t *fuzz_take_sized(struct reader *input, size_t *taken) {
    size_t size = reader_left(input) >= 2 ? read_u16(input) : 0;
    return fuzz_take(input, size, taken);
}

uint8_t *fuzz_copy(const uint8_t *data, size_t size) {
    uint8_t *copy = mem_alloc(size);
    LASH_ASSERT(copy || size == 0);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static void drop_line(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

void fuzz_quiet(void) {
    lash_set_log(drop_line, NULL, LASH_LOG_ERROR);
}

/* The places of the checksums, as frame.h has them. */
enum { FRAME_BODY_SIZE_AT = 40, FRAME_BODY_CRC_AT = 56, FRAME_CRC_AT = 60, ENTRY_CRC_AT = 4, ENTRY_REST_AT = 8 };

void fuzz_fix_frame(uint8_t *data, size_t size) {
    if (size < FRAME_HEADER_SIZE)
        return;
    uint64_t body_size = le64_get(data + FRAME_BODY_SIZE_AT);
    if (body_size <= size - FRAME_HEADER_SIZE) {
        uint8_t *at = data + FRAME_HEADER_SIZE, *end = at + body_size;
        while (end - at >= FRAME_ENTRY_SIZE && le32_get(at) <= (size_t)(end - at) - FRAME_ENTRY_SIZE) {
            size_t length = le32_get(at);
            uint32_t crc = crc32c(0, at, ENTRY_CRC_AT);
            le32_put(at + ENTRY_CRC_AT, crc32c(crc, at + ENTRY_REST_AT, FRAME_ENTRY_SIZE - ENTRY_REST_AT + length));
            size_t space = frame_entry_space(length);
            at += space < (size_t)(end - at) ? space : (size_t)(end - at);
        }
        le32_put(data + FRAME_BODY_CRC_AT, crc32c(0, data + FRAME_HEADER_SIZE, (size_t)body_size));
    }
    le32_put(data + FRAME_CRC_AT, crc32c(0, data, FRAME_CRC_AT));
}
