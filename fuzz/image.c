/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of a store from arbitrary bytes: what is read, and written again, are the same
 * bytes; and nothing is read twice or beyond its end.
 *
 * Input: a byte of choices (1: leave the checksums as they are; 2: reads are short), then the image.
 */
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "lash/error.h"
#include "store/image.h"
#include "store/image_format.h"

enum { CHOICE_RAW = 1, CHOICE_SHORT_READS = 2, PIECE = 13 };

struct input {
    const uint8_t *data;
    size_t size;
    size_t at;
    size_t piece;
};

static int input_read(void *context, void *data, size_t size, size_t *got) {
    struct input *input = context;
    *got = input->size - input->at < size ? input->size - input->at : size;
    if (*got > input->piece)
        *got = input->piece;
    memcpy(data, input->data + input->at, *got);
    input->at += *got;
    return LASH_OK;
}

/* Checks what is written against what was read. */
static int output_write(void *context, const void *data, size_t size) {
    struct input *expected = context;
    LASH_ASSERT(size <= expected->size - expected->at);
    LASH_ASSERT(memcmp(expected->data + expected->at, data, size) == 0);
    expected->at += size;
    return LASH_OK;
}

/* Put the right checksums into what may be items, as far as their sizes lead. */
static void fix_items(uint8_t *data, size_t size) {
    size_t at = IMAGE_PREAMBLE_BYTES;
    if (size < at)
        return;
    uint32_t chain = crc32c(0, data, at);
    while (size - at >= IMAGE_HEADER_BYTES) {
        uint8_t *header = data + at;
        size_t item = le32_get(header + 4);
        at += IMAGE_HEADER_BYTES;
        if (item > size - at)
            return;
        chain = crc32c(crc32c(chain, header, 8), data + at, item);
        le32_put(header + 8, chain);
        le32_put(header + 12, crc32c(0, header, 12));
        at += item;
    }
}

static int write_item(struct image_writer *writer, const struct store_sink *sink, const struct image_item *item) {
    switch (item->kind) {
    case IMAGE_BEGIN:
        return image_begin(writer, sink, &item->state);
    case IMAGE_RECORD:
        return image_record(writer, &item->record);
    case IMAGE_MEMBER:
        return image_member(writer, item->member);
    case IMAGE_END:
        return image_end(writer);
    }
    return LASH_INVALID;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct image_reader reader;
    static struct image_writer writer;
    struct image_item item = {.kind = IMAGE_BEGIN};
    if (size < 1)
        return 0;
    uint8_t *bytes = fuzz_copy(data + 1, size - 1);
    if (!(data[0] & CHOICE_RAW))
        fix_items(bytes, size - 1);
    struct input input = {bytes, size - 1, 0, data[0] & CHOICE_SHORT_READS ? PIECE : SIZE_MAX};
    struct input again = {bytes, size - 1, 0, SIZE_MAX};
    const struct store_source source = {input_read, &input};
    const struct store_sink sink = {output_write, &again};
    int rc;
    image_open(&reader, &source);
    do {
        rc = image_next(&reader, &item);
        LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_VERSION || rc == LASH_NOMEM);
        if (rc == 0)
            rc = write_item(&writer, &sink, &item);
    } while (rc == 0 && item.kind != IMAGE_END);
    image_close(&reader);
    LASH_ASSERT(rc || writer.bytes == again.at);
    mem_free(bytes);
    return 0;
}
