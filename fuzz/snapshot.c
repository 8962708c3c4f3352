/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots from arbitrary bytes, as a file in the folder and as a copy of another
 * replica's: both are whole, or neither is. What is whole is made anew from what was read of
 * it, and is then the same file; what is not is set aside, and can come again.
 *
 * Input: a byte of choices (1: leave the checksums as they are; 2: reads are short), then the file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "fuzz.h"
#include "lash/error.h"
#include "sim/memfs.h"
#include "storage/snapshot_format.h"

enum { CHOICE_RAW = 1, CHOICE_SHORT_READS = 2, FILE_BYTES_MAX = 1 << 14, PIECE = 100, PATH_SIZE = 64 };

/* The disk's own; its context tells one disk from another. */
static ssize_t (*pread_whole)(void *context, int file, void *data, size_t size, uint64_t offset);

static ssize_t pread_short(void *context, int file, void *data, size_t size, uint64_t offset) {
    return pread_whole(context, file, data, size < PIECE ? size : PIECE, offset);
}

/* A disk, and what the snapshots see of it. */
struct place {
    struct memfs *fs;
    struct vfs vfs;
};

static struct place place_new(bool short_reads) {
    struct place place = {.fs = memfs_new()};
    place.vfs = *memfs_vfs(place.fs);
    pread_whole = place.vfs.pread;
    if (short_reads)
        place.vfs.pread = pread_short;
    return place;
}

static void place_free(struct place *place) {
    LASH_ASSERT(memfs_open_files(place->fs) == 0);
    memfs_free(place->fs);
}

static struct snapshots *open_folder(const struct place *place, const struct snapshot_header *header) {
    struct snapshots_options options = {.vfs = &place->vfs,
                                        .dir = "s",
                                        .cluster_id = header->cluster_id,
                                        .group = header->group,
                                        .node_id = header->node_id};
    if (header->chunk_bytes <= SNAPSHOT_CHUNK_BYTES_MAX)
        options.chunk_bytes = header->chunk_bytes;
    struct snapshots *snapshots;
    int rc = snapshots_open(&options, &snapshots);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_VERSION);
    return rc ? NULL : snapshots;
}

/* ---- Checksums ------------------------------------------------------------------------------------ */

static void fix(uint8_t *data, size_t size) {
    if (size < SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE)
        return;
    uint32_t configuration = le32_get(data + 52);
    if (configuration > size - SNAPSHOT_HEADER_SIZE - SNAPSHOT_END_SIZE)
        return;
    uint32_t crc = crc32c(crc32c(0, data, 60), data + SNAPSHOT_HEADER_SIZE, configuration);
    le32_put(data + 60, crc);
    uint8_t *at = data + SNAPSHOT_HEADER_SIZE + configuration;
    uint8_t *end = data + size - SNAPSHOT_END_SIZE;
    while ((size_t)(end - at) >= SNAPSHOT_CHUNK_SIZE) {
        uint32_t bytes = le32_get(at + 4);
        if (bytes > (size_t)(end - at) - SNAPSHOT_CHUNK_SIZE)
            return;
        crc = crc32c(crc, at + SNAPSHOT_CHUNK_SIZE, bytes);
        le32_put(at + 8, crc);
        le32_put(at + 12, crc32c(0, at, 12));
        at += SNAPSHOT_CHUNK_SIZE + bytes;
    }
    le32_put(end + 24, crc);
    le32_put(end + 28, crc32c(0, end, 28));
}

/* ---- The promises --------------------------------------------------------------------------------- */

static void write_file(struct memfs *fs, const struct snapshot_header *header, const uint8_t *data, size_t size) {
    const struct vfs *vfs = memfs_vfs(fs);
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "s/snapshot-%016" PRIx64 "-%016" PRIx64, header->index, header->term);
    LASH_ASSERT(vfs->mkdir(vfs->context, "s") == 0);
    int file = vfs->open(vfs->context, path, VFS_WRITE | VFS_CREATE);
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    LASH_ASSERT(file >= 0 && vfs->pwritev(vfs->context, file, &part, 1, 0) == (ssize_t)size);
    LASH_ASSERT(vfs->close(vfs->context, file) == 0);
}

/* Copy the file as from another replica, in pieces. */
static int copy(const struct snapshot_header *header, const uint8_t *data, size_t size, bool short_reads) {
    struct place place = place_new(short_reads);
    struct snapshots *snapshots = open_folder(&place, header);
    struct snapshot_writer *writer;
    LASH_ASSERT(snapshots);
    int rc = snapshot_receive(snapshots, header->index, header->term, size, &writer);
    for (size_t at = 0; !rc && at < size; at += PIECE) {
        size_t some = size - at < PIECE ? size - at : PIECE;
        LASH_ASSERT(snapshot_copy(writer, at, data + at, some) == LASH_OK);
    }
    if (!rc)
        rc = snapshot_commit(writer);
    snapshots_close(snapshots);
    place_free(&place);
    return rc;
}

/* What was read makes the same file again. */
static void write_again(const struct snapshot_header *header, const struct snapshot_head *head, const uint8_t *content,
                        size_t content_size, const uint8_t *data, size_t size) {
    struct place place = place_new(false);
    struct snapshots *snapshots = open_folder(&place, header);
    struct snapshot_writer *writer;
    struct snapshot_reader *reader;
    uint8_t *bytes = mem_alloc(size + 1);
    size_t got;
    LASH_ASSERT(snapshots && bytes && snapshot_begin(snapshots, head, &writer) == LASH_OK);
    for (size_t at = 0; at < content_size; at += PIECE) {
        size_t some = content_size - at < PIECE ? content_size - at : PIECE;
        LASH_ASSERT(snapshot_write(writer, content + at, some) == LASH_OK);
    }
    LASH_ASSERT(snapshot_commit(writer) == LASH_OK);
    LASH_ASSERT(snapshot_open(snapshots, head->index, &reader) == LASH_OK);
    LASH_ASSERT(snapshot_raw(reader, 0, bytes, size + 1, &got) == LASH_OK);
    LASH_ASSERT(got == size && memcmp(bytes, data, size) == 0);
    snapshot_close(reader);
    snapshots_close(snapshots);
    mem_free(bytes);
    place_free(&place);
}

/* Read all of the snapshot; LASH_OK when that is right to the end. */
static int read_all(struct snapshots *snapshots, const struct snapshot_header *header, const uint8_t *data,
                    size_t size) {
    struct snapshot_reader *reader;
    uint8_t *content = mem_alloc(size + 1);
    size_t total = 0;
    size_t got = PIECE;
    LASH_ASSERT(content && snapshot_open(snapshots, header->index, &reader) == LASH_OK);
    int rc = LASH_OK;
    while (!rc && got > 0) {
        LASH_ASSERT(total <= size);
        rc = snapshot_read(reader, content + total, size - total < PIECE ? size - total : PIECE, &got);
        total += got;
    }
    if (!rc) {
        LASH_ASSERT(total == snapshot_data_bytes(reader));
        write_again(header, snapshot_head_of(reader), content, total, data, size);
    }
    snapshot_close(reader);
    mem_free(content);
    return rc;
}

static void try_folder(const struct snapshot_header *header, const uint8_t *data, size_t size, bool short_reads) {
    struct place place = place_new(short_reads);
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    write_file(place.fs, header, data, size);
    struct snapshots *snapshots = open_folder(&place, header);
    int copied = copy(header, data, size, short_reads);
    if (!snapshots) {
        LASH_ASSERT(copied == LASH_VERSION);
        place_free(&place);
        return;
    }
    bool listed = snapshots_list(snapshots, infos) == 1;
    int rc = listed ? read_all(snapshots, header, data, size) : LASH_CORRUPT;
    LASH_ASSERT((rc == LASH_OK) == (copied == LASH_OK));
    LASH_ASSERT(!listed || snapshots_check(snapshots, header->index) == rc);
    LASH_ASSERT(snapshots_list(snapshots, infos) == (rc == LASH_OK));
    snapshots_close(snapshots);
    place_free(&place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader input = reader_make(data, size);
    uint8_t choices = read_u8(&input);
    size_t taken;
    const uint8_t *file = fuzz_take(&input, FILE_BYTES_MAX, &taken);
    if (taken < SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE)
        return 0;
    fuzz_quiet();
    uint8_t *bytes = fuzz_copy(file, taken);
    if (!(choices & CHOICE_RAW))
        fix(bytes, taken);
    struct snapshot_header header;
    (void)snapshot_parse_header(bytes, &header);
    if (header.index && header.term)
        try_folder(&header, bytes, taken, choices & CHOICE_SHORT_READS);
    mem_free(bytes);
    return 0;
}
