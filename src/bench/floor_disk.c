/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes at whole sectors, one after another, in a file that wraps around.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/floor.h"

bool floor_disk_open(struct floor_disk *disk, const struct scratch *scratch, size_t number) {
    char name[32];
    (void)snprintf(name, sizeof name, "member%zu", number + 1);
    *disk = (struct floor_disk){.file = scratch_file(scratch, name, FLOOR_FILE_BYTES, true)};
    return disk->file >= 0;
}

void floor_disk_write(struct floor_disk *disk, struct iovec *parts, int count) {
    uint64_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    LASH_ASSERT(size <= FLOOR_FILE_BYTES);
    if (disk->at + size > FLOOR_FILE_BYTES)
        disk->at = 0;
    /* regular files are written whole, unless the disk is full */
    ssize_t written = pwritev(disk->file, parts, count, (off_t)disk->at);
    if (written != (ssize_t)size || fdatasync(disk->file) != 0) {
        (void)fprintf(stderr, "lash-bench: cannot write the log: %s\n", strerror(errno));
        _exit(1);
    }
    disk->at = (disk->at + size + FLOOR_SECTOR - 1) / FLOOR_SECTOR * FLOOR_SECTOR;
}

void floor_disk_close(struct floor_disk *disk) {
    (void)close(disk->file);
}
