/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading an image. Nothing is handed out before its checksum was found right and
 * its numbers make sense.
 */
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "store/image.h"
#include "store/image_format.h"

void image_open(struct image_reader *reader, const struct store_source *source) {
    memset(reader, 0, offsetof(struct image_reader, buffer));
    reader->source = source;
}

void image_close(struct image_reader *reader) {
    mem_free(reader->item);
    reader->item = NULL;
}

/* ---- Bytes -------------------------------------------------------------------------------------- */

/* Take up to `size` bytes; *got is less only at the source's end. */
static int image_take(struct image_reader *reader, void *data, size_t size, size_t *got) {
    uint8_t *to = data;
    *got = 0;
    while (*got < size) {
        if (reader->at == reader->filled) {
            reader->at = reader->filled = 0;
            int rc =
                reader->source->read(reader->source->context, reader->buffer, sizeof reader->buffer, &reader->filled);
            if (rc || reader->filled == 0)
                return rc;
            LASH_ASSERT(reader->filled <= sizeof reader->buffer);
        }
        size_t here = reader->filled - reader->at;
        if (here > size - *got)
            here = size - *got;
        memcpy(to + *got, reader->buffer + reader->at, here);
        reader->at += here;
        *got += here;
    }
    return LASH_OK;
}

/* Take all of `size` bytes. */
static int image_take_all(struct image_reader *reader, void *data, size_t size) {
    size_t got;
    int rc = image_take(reader, data, size, &got);
    return rc || got == size ? rc : LASH_CORRUPT;
}

/* Room for a payload. */
static int image_room(struct image_reader *reader, size_t size) {
    if (size <= reader->item_capacity)
        return LASH_OK;
    uint8_t *item = mem_realloc(reader->item, size);
    if (!item)
        return LASH_NOMEM;
    reader->item = item;
    reader->item_capacity = size;
    return LASH_OK;
}

static int image_preamble(struct image_reader *reader) {
    uint8_t preamble[IMAGE_PREAMBLE_BYTES];
    int rc = image_take_all(reader, preamble, sizeof preamble);
    if (rc)
        return rc;
    if (memcmp(preamble, IMAGE_MAGIC, sizeof IMAGE_MAGIC - 1) != 0 || le16_get(preamble + 6) == 0)
        return LASH_CORRUPT;
    reader->chain = crc32c(0, preamble, sizeof preamble);
    return le16_get(preamble + 6) > IMAGE_VERSION ? LASH_VERSION : LASH_OK;
}

/* Read the next item's payload and check it. */
static int image_payload(struct image_reader *reader, enum image_kind *kind, size_t *size) {
    uint8_t header[IMAGE_HEADER_BYTES];
    int rc = image_take_all(reader, header, sizeof header);
    if (rc)
        return rc;
    if (le32_get(header + 12) != crc32c(0, header, 12))
        return LASH_CORRUPT;
    *size = le32_get(header + 4);
    if (header[0] == 0 || header[1] || header[2] || header[3] || *size > IMAGE_ITEM_MAX)
        return LASH_CORRUPT;
    rc = image_room(reader, *size);
    if (rc == 0)
        rc = image_take_all(reader, reader->item, *size);
    if (rc)
        return rc;
    reader->chain = crc32c(crc32c(reader->chain, header, 8), reader->item, *size);
    if (le32_get(header + 8) != reader->chain)
        return LASH_CORRUPT;
    *kind = header[0];
    return header[0] > IMAGE_END ? LASH_VERSION : LASH_OK;
}

/* ---- Items -------------------------------------------------------------------------------------- */

static struct revision image_read_revision(struct reader *from) {
    struct revision revision = {.main = (int64_t)read_u64(from)};
    revision.sub = read_u32(from);
    return revision;
}

/* A flag's byte. */
static bool image_read_flag(struct reader *from, bool *sound) {
    uint8_t flag = read_u8(from);
    *sound = *sound && flag <= 1;
    return flag != 0;
}

static bool image_state(struct image_reader *reader, struct reader *from, struct image_item *item) {
    bool sound = true;
    struct image_state *state = &item->state;
    state->applied = read_u64(from);
    state->revision = (int64_t)read_u64(from);
    state->compacted = (int64_t)read_u64(from);
    state->removing = image_read_flag(from, &sound);
    state->scan = image_read_revision(from);
    reader->state = *state;
    return sound && !from->failed && reader_left(from) == 0 && state->revision >= 1 && state->compacted >= -1 &&
           state->compacted <= state->revision && state->scan.main >= 0 && state->scan.main <= state->revision;
}

static bool image_record_sound(const struct image_reader *reader, const struct record *record) {
    bool gone = record->tombstone;
    return record->revision.main >= 1 && record->revision.main <= reader->state.revision &&
           record->revision.sub < UINT32_MAX && revision_compare(record->revision, reader->next) >= 0 &&
           record->previous.main >= 0 && revision_compare(record->previous, record->revision) < 0 &&
           (gone ? record->create_revision == 0 && record->version == 0 && record->lease == 0 && record->value.size == 0
                 : record->create_revision >= 1 && record->create_revision <= record->revision.main &&
                       record->version >= 1);
}

static bool image_take_record(struct image_reader *reader, struct reader *from, struct image_item *item) {
    bool sound = true;
    struct record *record = &item->record;
    *record = (struct record){.revision = image_read_revision(from)};
    record->tombstone = image_read_flag(from, &sound);
    record->previous = image_read_revision(from);
    record->create_revision = (int64_t)read_u64(from);
    record->version = (int64_t)read_u64(from);
    record->lease = (int64_t)read_u64(from);
    record->key.size = read_u32(from);
    record->key.data = read_bytes(from, record->key.size);
    if (!sound || from->failed)
        return false;
    record->value = (struct store_bytes){.data = from->at, .size = reader_left(from)};
    if (!image_record_sound(reader, record))
        return false;
    reader->next = (struct revision){.main = record->revision.main, .sub = record->revision.sub + 1};
    reader->records++;
    return true;
}

static bool image_take_member(struct image_reader *reader, struct reader *from, struct image_item *item) {
    item->member = (struct store_bytes){.data = from->at, .size = reader_left(from)};
    reader->members++;
    return item->member.size > 0;
}

/* The end counts what came before, and only padding follows. */
static bool image_take_end(struct image_reader *reader, struct reader *from) {
    uint64_t records = read_u64(from), members = read_u64(from);
    return !from->failed && reader_left(from) == 0 && records == reader->records && members == reader->members;
}

static int image_padding(struct image_reader *reader) {
    uint8_t padding[IMAGE_PADDING_MAX + 1];
    size_t got;
    int rc = image_take(reader, padding, sizeof padding, &got);
    for (size_t i = 0; i < got && rc == 0; i++)
        rc = padding[i] ? LASH_CORRUPT : LASH_OK;
    return rc || got <= IMAGE_PADDING_MAX ? rc : LASH_CORRUPT;
}

/* Whether an item of this kind may come now. */
static bool image_in_order(const struct image_reader *reader, enum image_kind kind) {
    if (reader->last == 0)
        return kind == IMAGE_BEGIN;
    return kind != IMAGE_BEGIN && kind >= reader->last;
}

static bool image_parse(struct image_reader *reader, struct image_item *item, size_t size) {
    struct reader from = reader_make(reader->item, size);
    switch (item->kind) {
    case IMAGE_BEGIN:
        return image_state(reader, &from, item);
    case IMAGE_RECORD:
        return image_take_record(reader, &from, item);
    case IMAGE_MEMBER:
        return image_take_member(reader, &from, item);
    case IMAGE_END:
        return image_take_end(reader, &from);
    }
    return false;
}

int image_next(struct image_reader *reader, struct image_item *item) {
    LASH_ASSERT(reader->last != IMAGE_END);
    size_t size;
    int rc = reader->last == 0 ? image_preamble(reader) : LASH_OK;
    if (rc == 0)
        rc = image_payload(reader, &item->kind, &size);
    if (rc)
        return rc;
    if (!image_in_order(reader, item->kind) || !image_parse(reader, item, size))
        return LASH_CORRUPT;
    reader->last = item->kind;
    return item->kind == IMAGE_END ? image_padding(reader) : LASH_OK;
}
