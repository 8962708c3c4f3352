/* SPDX-License-Identifier: Apache-2.0
 *
 * The image of a store: all that it holds at one applied index, as a stream of items
 * that knows nothing of LMDB. Snapshots of the node and the files of `lashctl
 * snapshot` are made of it; docs/store-image.md has every byte.
 *
 *   preamble | BEGIN | RECORD... in the order of their revisions | MEMBER... | END
 *
 * Every item carries a checksum that continues the one of the item before, so that
 * the last one is a checksum of everything, and no item can be lost, changed or moved.
 *
 * Errors of the functions here: those of the sink or the source; reading besides
 * LASH_CORRUPT (damaged, cut, or against the rules), LASH_VERSION (a newer version
 * wrote it) and LASH_NOMEM.
 */
#ifndef LASH_STORE_IMAGE_H
#define LASH_STORE_IMAGE_H

#include "store/revision.h"

enum image_kind { IMAGE_BEGIN = 1, IMAGE_RECORD = 2, IMAGE_MEMBER = 3, IMAGE_END = 4 };

enum {
    IMAGE_BUFFER = 64 * 1024,
    IMAGE_PADDING_MAX = 511, /* zeros that may follow: files are padded to a multiple of 512 */
};

/* The largest item: more than a command may take. */
#define IMAGE_ITEM_MAX ((size_t)256 << 20)

/* The store's numbers. */
struct image_state {
    lash_index applied;
    int64_t revision;
    int64_t compacted;    /* -1: there was no compaction */
    bool removing;        /* what the compaction made obsolete is still being removed, */
    struct revision scan; /* from here on */
};

/* ---- Writing ------------------------------------------------------------------------------------ */

struct image_writer {
    const struct store_sink *sink;
    uint32_t chain; /* the last item's checksum */
    uint64_t records;
    uint64_t members;
    uint64_t bytes; /* of all that was written */
    size_t used;
    uint8_t buffer[IMAGE_BUFFER];
};

/* In this order, until one fails. A member's bytes are its command's, as store_encode made them. image_end makes sure that all
 * is with the sink. */
int image_begin(struct image_writer *writer, const struct store_sink *sink, const struct image_state *state);
int image_record(struct image_writer *writer, const struct record *record);
int image_member(struct image_writer *writer, struct store_bytes member);
int image_end(struct image_writer *writer);

/* ---- Reading ------------------------------------------------------------------------------------ */

struct image_item {
    enum image_kind kind;
    union {
        struct image_state state;  /* BEGIN */
        struct record record;      /* RECORD; without its jump */
        struct store_bytes member; /* MEMBER */
    };
};

struct image_reader {
    const struct store_source *source;
    struct image_state state;
    enum image_kind last; /* the last item's kind; 0 before the first */
    struct revision next; /* the least that the next record may have */
    uint32_t chain;
    uint64_t records;
    uint64_t members;
    uint8_t *item; /* the current one's payload */
    size_t item_capacity;
    size_t at; /* of what is in the buffer, this was used */
    size_t filled;
    uint8_t buffer[IMAGE_BUFFER];
};

/* Make ready to read from `source`. Ends with image_close, whatever happens. */
void image_open(struct image_reader *reader, const struct store_source *source);

/* The next item; END is the last, and has been found to be: nothing but padding follows. The item's bytes are valid until the next call. After
 * an error, or END, there is no other. */
int image_next(struct image_reader *reader, struct image_item *item);

void image_close(struct image_reader *reader);

#endif
