/* SPDX-License-Identifier: Apache-2.0
 *
 * Images in memory: a sink and a source that can be made to fail, to yield little
 * at a time, or to end the process.
 */
#ifndef LASH_TEST_STORE_IMAGES_H
#define LASH_TEST_STORE_IMAGES_H

#include "harness.h"

struct image_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t read;      /* of it, by the source */
    size_t piece;     /* the source yields no more at once; 0: as much as is asked for */
    uint64_t calls;   /* of sink and source since the bytes were made */
    uint64_t fail_at; /* this call fails with LASH_IO; 0: none */
    uint64_t kill_at; /* at this call the process kills itself; 0: none */
    struct store_sink sink;
    struct store_source source;
};

/* Empty; `bytes` stays where it is. */
void image_bytes_init(struct image_bytes *bytes);
void image_bytes_free(struct image_bytes *bytes);

/* Begin to read from the first byte. */
void image_bytes_rewind(struct image_bytes *bytes);

/* Write an image of the store as it is now; restore one. */
int image_save(struct harness *harness, struct image_bytes *bytes);
int image_load(struct harness *harness, struct image_bytes *bytes, lash_index index);

/* The hash of what the store holds. */
uint64_t image_hash(struct harness *harness);

#endif
