/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot's file: an image of a store (docs/store-image.md), padded to a multiple
 * of 512 bytes, and the SHA-256 of that.
 */
#ifndef LASH_LASHCTL_SNAPSHOT_FILE_H
#define LASH_LASHCTL_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/image.h"

enum { SNAPSHOT_FILE_ALIGN = 512, SNAPSHOT_FILE_DIGEST = 32 };

struct snapshot_file {
    int file;
    const char *path;
    uint64_t size;       /* of the file */
    uint64_t image_size; /* of it, without the digest */
    uint64_t at;         /* where the source is */
    struct store_source source;
};

/* What a whole file holds. */
struct snapshot_summary {
    struct image_state state;
    uint64_t records; /* revisions of keys */
    uint64_t hash;    /* of them, as lashd has it */
    uint32_t short_hash;
};

/* Open `path` and check all of it: the digest unless `skip_digest`, and the image. On success the source stands at its begin, and
 * the file ends with snapshot_file_close. Returns an exit code, having said what is wrong. */
int snapshot_file_open(struct snapshot_file *file, const char *path, bool skip_digest,
                       struct snapshot_summary *summary);
void snapshot_file_close(struct snapshot_file *file);

#endif
