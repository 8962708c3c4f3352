/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames: what is accepted is what its header says, and encoding its entries
 * anew gives a frame with the same meaning.
 *
 * Input: a byte of choices (1: leave the checksums as they are; 2: the body's), the frame.
 */
#include "storage/frame.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "lash/error.h"

enum { CHOICE_RAW = 1, CHOICE_RAW_BODY = 2, BODY_CRC_AT = 56, HEADER_CRC_AT = 60 };

static void check_equal(const struct frame_entry *entry, const struct frame_input *input) {
    LASH_ASSERT(entry->origin == input->origin && entry->sequence == input->sequence);
    LASH_ASSERT(entry->size == input->size);
    LASH_ASSERT(entry->size == 0 || memcmp(entry->data, input->data, entry->size) == 0);
}

static struct frame_input *collect(const uint8_t *data, size_t used, const struct frame *frame) {
    struct frame_input *inputs = mem_calloc(frame->count, sizeof *inputs);
    LASH_ASSERT(inputs);
    struct frame_entry entry = {0};
    size_t offset = 0;
    uint32_t count = 0;
    for (; frame_next(data, frame, &offset, &entry); count++) {
        LASH_ASSERT(count < frame->count && entry.index == frame->first + count);
        LASH_ASSERT(entry.data >= data && entry.data + entry.size <= data + used);
        inputs[count] = (struct frame_input){entry.origin, entry.sequence, entry.data, entry.size};
    }
    LASH_ASSERT(count == frame->count);
    return inputs;
}

static void check_again(const struct frame *frame, const struct frame_input *inputs) {
    struct buf *again;
    struct frame header;
    size_t used, offset = 0;
    struct frame_entry entry = {0};
    int rc = frame_encode(frame->group, frame->first, frame->term, frame->kind, inputs, frame->count, &again);
    LASH_ASSERT(rc == LASH_OK);
    rc = frame_check(again->data, again->size, &header, &used);
    LASH_ASSERT(rc == LASH_OK && used == again->size);
    LASH_ASSERT(header.group == frame->group && header.first == frame->first && header.term == frame->term);
    LASH_ASSERT(header.count == frame->count && header.kind == frame->kind && header.body_size == frame->body_size);
    for (uint32_t i = 0; frame_next(again->data, &header, &offset, &entry); i++)
        check_equal(&entry, &inputs[i]);
    buf_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    size_t frame_size = size - 1;
    uint8_t *bytes = fuzz_copy(data + 1, frame_size);
    uint32_t body_crc = frame_size >= FRAME_HEADER_SIZE ? le32_get(bytes + BODY_CRC_AT) : 0;
    if (!(data[0] & CHOICE_RAW))
        fuzz_fix_frame(bytes, frame_size);
    if (data[0] == CHOICE_RAW_BODY && frame_size >= FRAME_HEADER_SIZE) {
        le32_put(bytes + BODY_CRC_AT, body_crc);
        le32_put(bytes + HEADER_CRC_AT, crc32c(0, bytes, HEADER_CRC_AT));
    }
    struct frame frame;
    size_t used = 0;
    int rc = frame_check(bytes, frame_size, &frame, &used);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_VERSION);
    if (rc == LASH_OK) {
        struct frame header;
        LASH_ASSERT(frame_header(bytes, &header) == LASH_OK && header.body_size == frame.body_size);
        LASH_ASSERT(le32_get(bytes + BODY_CRC_AT) == crc32c(0, bytes + FRAME_HEADER_SIZE, (size_t)frame.body_size));
        LASH_ASSERT(used <= frame_size && used == FRAME_HEADER_SIZE + frame.body_size);
        LASH_ASSERT(frame.count >= 1 && frame.first >= 1 && frame.first + frame.count > frame.first);
        LASH_ASSERT(frame_check(bytes, used - 1, &header, &used) == LASH_CORRUPT);
        struct frame_input *inputs = collect(bytes, FRAME_HEADER_SIZE + (size_t)frame.body_size, &frame);
        check_again(&frame, inputs);
        mem_free(inputs);
    }
    mem_free(bytes);
    return 0;
}
