/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's records read in the plainest way; see log_plain.h.
 */
#include "log_plain.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "lash/error.h"
#include "storage/log_record.h"

/* A walk over the records of one file. */
struct walk {
    const uint8_t *data;
    uint64_t size;
    uint64_t first_position;
    uint64_t offset;
    uint32_t chain;
    uint32_t salt; /* 0 until the first record has told it */
};

/* The valid record at the walk's place, whose checksum follows from the one before; false when there is none. */
static bool walk_record(const struct walk *walk, struct record *record) {
    if (walk->offset + RECORD_HEADER_SIZE > walk->size)
        return false;
    const uint8_t *at = walk->data + walk->offset;
    if (record_decode(at, walk->salt, record) != LASH_OK ||
        record->size > walk->size - walk->offset - RECORD_HEADER_SIZE)
        return false;
    if (walk->offset > 0 &&
        (record->position != walk->first_position + walk->offset || record->prev_crc != walk->chain))
        return false;
    return crc32c(0, at + RECORD_HEADER_SIZE, (size_t)record->size) == record->payload_crc;
}

static void set_terms(struct log_plain *plain, lash_index first, lash_index last, lash_term term) {
    size_t end = (size_t)(last + 1 - plain->base);
    if (end > plain->capacity) {
        plain->terms = mem_realloc(plain->terms, end * 2 * sizeof *plain->terms);
        LASH_ASSERT(plain->terms);
        for (size_t i = plain->capacity; i < end * 2; i++)
            plain->terms[i] = LOG_PLAIN_UNKNOWN;
        plain->capacity = end * 2;
    }
    for (lash_index index = first; index <= last; index++)
        plain->terms[index - plain->base] = term;
    plain->last = last;
}

static void apply(struct log_plain *plain, const struct record *record, const uint8_t *payload) {
    struct frame frame;
    if (record->type == RECORD_VOTE) {
        plain->term = record->a;
        plain->vote = record->b;
    } else if (record->type == RECORD_TRIM) {
        plain->first = record->a;
        plain->prev_term = record->b;
    } else if (record->type == RECORD_RESET) {
        plain->first = plain->base = record->a;
        plain->prev_term = record->b;
        plain->last = record->a - 1;
    } else if (record->type == RECORD_FRAME && frame_header(payload, &frame) == LASH_OK) {
        /* what does not fit the log at all recovery refuses */
        bool fits = record->a >= plain->base && record->a <= plain->last + 1 && record->a >= frame.first;
        lash_index last = frame.first + frame.count - 1;
        if (fits && last >= record->a)
            set_terms(plain, record->a, last, frame.term);
    }
}

/* Apply the whole appends from the walk's place on, and leave it at the end of the last. */
static void read_appends(struct log_plain *plain, struct walk *walk) {
    struct walk ahead = *walk;
    struct record record;
    while (walk_record(&ahead, &record)) {
        ahead.offset = record_end(&record) - walk->first_position;
        ahead.chain = record.crc;
        if (!(record.flags & RECORD_END))
            continue;
        for (struct walk again = *walk; again.offset < ahead.offset && walk_record(&again, &record);) {
            apply(plain, &record, again.data + again.offset + RECORD_HEADER_SIZE);
            again.offset = record_end(&record) - walk->first_position;
            again.chain = record.crc;
        }
        *walk = ahead;
    }
}

static bool read_head(struct log_plain *plain, struct walk *walk) {
    struct record record;
    struct record_segment state;
    if (!walk_record(walk, &record) || record.type != RECORD_SEGMENT)
        return false;
    if (record_segment_decode(walk->data + RECORD_HEADER_SIZE, record.size, &state) != LASH_OK)
        return false;
    if (plain->segments == 1) {
        plain->term = state.term;
        plain->vote = state.vote;
        plain->first = plain->base = state.first_index;
        plain->prev_term = state.prev_term;
        plain->last = state.last_index;
    }
    walk->first_position = record.position;
    walk->offset = record_end(&record) - record.position;
    walk->chain = record.crc;
    walk->salt = state.salt;
    return true;
}

/* Whether a record behind the walk's end, in its own place, knows the log to have been durable beyond that end. */
static bool claims_beyond(const struct walk *walk) {
    struct record record;
    for (uint64_t at = walk->offset; at + RECORD_HEADER_SIZE <= walk->size; at += 8) {
        if (record_decode(walk->data + at, walk->salt, &record) == LASH_OK &&
            record.position == walk->first_position + at && record.durable > walk->first_position + walk->offset)
            return true;
    }
    return false;
}

void log_plain_read(struct log_plain *plain, struct memfs *fs, const char *const *names, size_t count) {
    *plain = (struct log_plain){0};
    for (size_t i = 0; i < count; i++) {
        struct walk walk = {0};
        walk.data = memfs_bytes(fs, names[i], &walk.size);
        if (!walk.data)
            continue;
        plain->segments++;
        if (!read_head(plain, &walk))
            continue;
        read_appends(plain, &walk);
        plain->claims_beyond = claims_beyond(&walk);
    }
}

void log_plain_free(struct log_plain *plain) {
    mem_free(plain->terms);
}

lash_term log_plain_term(const struct log_plain *plain, lash_index index) {
    LASH_ASSERT(index >= plain->base && index - plain->base < plain->capacity);
    return plain->terms[index - plain->base];
}
