/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing an image.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "store/image.h"
#include "store/image_format.h"

static int image_flush(struct image_writer *writer) {
    size_t size = writer->used;
    writer->used = 0;
    return size ? writer->sink->write(writer->sink->context, writer->buffer, size) : LASH_OK;
}

static int image_put(struct image_writer *writer, const void *data, size_t size) {
    writer->bytes += size;
    if (size > sizeof writer->buffer - writer->used) {
        int rc = image_flush(writer);
        if (rc)
            return rc;
    }
    if (size > sizeof writer->buffer)
        return writer->sink->write(writer->sink->context, data, size);
    if (size)
        memcpy(writer->buffer + writer->used, data, size);
    writer->used += size;
    return LASH_OK;
}

/* An item whose payload is `count` pieces put together. */
static int image_item(struct image_writer *writer, enum image_kind kind, const struct store_bytes *pieces,
                      size_t count) {
    uint8_t header[IMAGE_HEADER_BYTES] = {(uint8_t)kind};
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].size;
    LASH_ASSERT(size <= IMAGE_ITEM_MAX);
    le32_put(header + 4, (uint32_t)size);
    writer->chain = crc32c(writer->chain, header, 8);
    for (size_t i = 0; i < count; i++)
        writer->chain = crc32c(writer->chain, pieces[i].data, pieces[i].size);
    le32_put(header + 8, writer->chain);
    le32_put(header + 12, crc32c(0, header, 12));
    int rc = image_put(writer, header, sizeof header);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = image_put(writer, pieces[i].data, pieces[i].size);
    return rc;
}

static void image_write_revision(struct writer *writer, struct revision revision) {
    write_u64(writer, (uint64_t)revision.main);
    write_u32(writer, revision.sub);
}

int image_begin(struct image_writer *writer, const struct store_sink *sink, const struct image_state *state) {
    uint8_t preamble[IMAGE_PREAMBLE_BYTES] = IMAGE_MAGIC, bytes[IMAGE_STATE_BYTES];
    le16_put(preamble + 6, IMAGE_VERSION);
    writer->sink = sink;
    writer->records = writer->members = writer->bytes = 0;
    writer->used = 0;
    writer->chain = crc32c(0, preamble, sizeof preamble);
    int rc = image_put(writer, preamble, sizeof preamble);
    struct writer to = writer_make(bytes, sizeof bytes);
    write_u64(&to, state->applied);
    write_u64(&to, (uint64_t)state->revision);
    write_u64(&to, (uint64_t)state->compacted);
    write_u8(&to, state->removing);
    image_write_revision(&to, state->scan);
    LASH_ASSERT(!to.failed && to.at == to.end);
    const struct store_bytes piece = {bytes, sizeof bytes};
    return rc ? rc : image_item(writer, IMAGE_BEGIN, &piece, 1);
}

int image_record(struct image_writer *writer, const struct record *record) {
    uint8_t bytes[IMAGE_RECORD_BYTES];
    struct writer to = writer_make(bytes, sizeof bytes);
    image_write_revision(&to, record->revision);
    write_u8(&to, record->tombstone);
    image_write_revision(&to, record->previous);
    write_u64(&to, (uint64_t)record->create_revision);
    write_u64(&to, (uint64_t)record->version);
    write_u64(&to, (uint64_t)record->lease);
    write_u32(&to, (uint32_t)record->key.size);
    LASH_ASSERT(!to.failed && to.at == to.end);
    writer->records++;
    const struct store_bytes pieces[] = {{bytes, sizeof bytes}, record->key, record->value};
    return image_item(writer, IMAGE_RECORD, pieces, 3);
}

int image_member(struct image_writer *writer, struct store_bytes member) {
    writer->members++;
    return image_item(writer, IMAGE_MEMBER, &member, 1);
}

int image_end(struct image_writer *writer) {
    uint8_t bytes[IMAGE_END_BYTES];
    le64_put(bytes, writer->records);
    le64_put(bytes + 8, writer->members);
    const struct store_bytes piece = {bytes, sizeof bytes};
    int rc = image_item(writer, IMAGE_END, &piece, 1);
    return rc ? rc : image_flush(writer);
}
