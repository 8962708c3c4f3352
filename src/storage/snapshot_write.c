/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a snapshot's file: from data, or as a copy of another replica's file. It counts
 * for nothing before snapshot_commit.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "storage/log_state.h"
#include "storage/snapshot_state.h"

struct snapshot_writer {
    struct snapshots *snapshots;
    struct snapshot_info info; /* a copy's `bytes` are known from its begin */
    char *path;
    int file;
    uint64_t position; /* where the file ends so far */

    /* Of what is made here; a copy has no `chunk`. */
    struct snapshot_header header;
    uint64_t data_bytes;
    uint64_t chunks;
    uint32_t crc;   /* of the last chunk */
    uint8_t *chunk; /* a chunk's header, and the data that gathers behind it */
    size_t gathered;
};

static int put(struct snapshot_writer *writer, const void *data, size_t size) {
    const struct vfs *vfs = writer->snapshots->vfs;
    struct iovec part = {(void *)(uintptr_t)data, size};
    uint64_t written;
    int rc = log_write_all(vfs, writer->file, &part, 1, writer->position, &written);
    if (!rc)
        writer->position += written;
    return rc;
}

/* Open a file of its own. */
static int make_file(struct snapshot_writer *writer) {
    struct snapshots *snapshots = writer->snapshots;
    pthread_mutex_lock(&snapshots->mutex);
    uint64_t part = snapshots->next_part++;
    pthread_mutex_unlock(&snapshots->mutex);
    writer->path = snapshots_part_path(snapshots, part);
    if (!writer->path)
        return LASH_NOMEM;
    int result = snapshots->vfs->open(snapshots->vfs->context, writer->path, VFS_WRITE | VFS_CREATE);
    if (result < 0)
        return log_error_of(result);
    writer->file = result;
    return LASH_OK;
}

/* Go on with the file that an earlier process left of the same copy; false: there is none that is of use. Whether what it
 * holds is the same peer's file the end tells, when all of it is checked. */
static bool resume_file(struct snapshot_writer *writer) {
    struct snapshots *snapshots = writer->snapshots;
    uint64_t part = snapshots_take_left(snapshots, &writer->info);
    char *path = part ? snapshots_part_path(snapshots, part) : NULL;
    if (!path)
        return false;
    uint64_t prefix = snapshot_part_prefix(snapshots, path);
    int file = prefix ? snapshots->vfs->open(snapshots->vfs->context, path, VFS_WRITE) : -ENOENT;
    if (file < 0) {
        snapshots->vfs->unlink(snapshots->vfs->context, path);
        mem_free(path);
        return false;
    }
    writer->path = path;
    writer->file = file;
    writer->position = prefix;
    return true;
}

/* `copy`: it may be there in part already. */
static int writer_new(struct snapshots *snapshots, const struct snapshot_info *info, bool copy,
                      struct snapshot_writer **writer) {
    int rc = snapshots_wants(snapshots, info->index);
    if (rc)
        return rc;
    struct snapshot_writer *made = mem_calloc(1, sizeof *made);
    if (!made)
        return LASH_NOMEM;
    made->snapshots = snapshots;
    made->info = *info;
    made->file = -1;
    rc = copy && resume_file(made) ? LASH_OK : make_file(made);
    if (rc) {
        snapshot_abandon(made);
        return rc;
    }
    *writer = made;
    return LASH_OK;
}

static void writer_close(struct snapshot_writer *writer) {
    const struct vfs *vfs = writer->snapshots->vfs;
    if (writer->file >= 0)
        vfs->close(vfs->context, writer->file);
    writer->file = -1;
}

static void writer_free(struct snapshot_writer *writer) {
    writer_close(writer);
    mem_free(writer->path);
    mem_free(writer->chunk);
    mem_free(writer);
}

void snapshot_abandon(struct snapshot_writer *writer) {
    if (!writer)
        return;
    writer_close(writer);
    if (writer->path)
        writer->snapshots->vfs->unlink(writer->snapshots->vfs->context, writer->path);
    writer_free(writer);
}

void snapshot_leave(struct snapshot_writer *writer) {
    if (writer)
        writer_free(writer);
}

/* ---- From data ---------------------------------------------------------------------------------- */

static int begin_file(struct snapshot_writer *writer, const struct snapshot_head *head) {
    const struct snapshots *snapshots = writer->snapshots;
    uint8_t bytes[SNAPSHOT_HEADER_SIZE];
    writer->header = (struct snapshot_header){
        .cluster_id = snapshots->cluster_id,
        .group = snapshots->group,
        .node_id = snapshots->node_id,
        .index = head->index,
        .term = head->term,
        .chunk_bytes = snapshots->chunk_bytes,
        .configuration_size = (uint32_t)head->configuration_size,
        .hollow = head->hollow,
    };
    writer->chunk = mem_alloc(SNAPSHOT_CHUNK_SIZE + snapshots->chunk_bytes);
    if (!writer->chunk)
        return LASH_NOMEM;
    snapshot_format_header(bytes, &writer->header, head->configuration);
    writer->crc = writer->header.crc;
    int rc = put(writer, bytes, sizeof bytes);
    return rc || !head->configuration_size ? rc : put(writer, head->configuration, head->configuration_size);
}

int snapshot_begin(struct snapshots *snapshots, const struct snapshot_head *head, struct snapshot_writer **writer) {
    if (!head->index || !head->term || head->configuration_size > SNAPSHOT_CONFIGURATION_MAX)
        return LASH_INVALID;
    struct snapshot_info info = {.index = head->index, .term = head->term};
    struct snapshot_writer *made;
    int rc = writer_new(snapshots, &info, false, &made);
    if (rc)
        return rc;
    rc = begin_file(made, head);
    if (rc) {
        snapshot_abandon(made);
        return rc;
    }
    *writer = made;
    return LASH_OK;
}

/* Write what has gathered as a chunk. */
static int put_chunk(struct snapshot_writer *writer) {
    if (!writer->gathered)
        return LASH_OK;
    writer->crc = crc32c(writer->crc, writer->chunk + SNAPSHOT_CHUNK_SIZE, writer->gathered);
    snapshot_format_chunk(writer->chunk, (uint32_t)writer->gathered, writer->crc);
    int rc = put(writer, writer->chunk, SNAPSHOT_CHUNK_SIZE + writer->gathered);
    writer->data_bytes += writer->gathered;
    writer->chunks++;
    writer->gathered = 0;
    return rc;
}

int snapshot_write(struct snapshot_writer *writer, const void *data, size_t size) {
    LASH_ASSERT(writer->chunk);
    const uint8_t *from = data;
    while (size) {
        size_t some = writer->header.chunk_bytes - writer->gathered;
        if (some > size)
            some = size;
        memcpy(writer->chunk + SNAPSHOT_CHUNK_SIZE + writer->gathered, from, some);
        writer->gathered += some;
        from += some;
        size -= some;
        int rc = writer->gathered == writer->header.chunk_bytes ? put_chunk(writer) : LASH_OK;
        if (rc)
            return rc;
    }
    return LASH_OK;
}

static int end_file(struct snapshot_writer *writer) {
    int rc = put_chunk(writer);
    if (rc)
        return rc;
    uint8_t bytes[SNAPSHOT_END_SIZE];
    struct snapshot_end end = {writer->data_bytes, writer->chunks, writer->crc};
    snapshot_format_end(bytes, &end);
    rc = put(writer, bytes, sizeof bytes);
    LASH_ASSERT(rc || writer->position == snapshot_format_bytes(&writer->header, writer->data_bytes));
    writer->info.bytes = writer->position;
    return rc;
}

/* ---- As a copy ---------------------------------------------------------------------------------- */

int snapshot_receive(struct snapshots *snapshots, lash_index index, lash_term term, uint64_t bytes,
                     struct snapshot_writer **writer) {
    if (!index || !term || bytes < SNAPSHOT_HEADER_SIZE + SNAPSHOT_END_SIZE || bytes > INT64_MAX)
        return LASH_INVALID;
    struct snapshot_info info = {index, term, bytes};
    struct snapshot_writer *made;
    int rc = writer_new(snapshots, &info, true, &made);
    if (rc)
        return rc;
    /* Its room is had first: a disk that is too small is noticed before hours of copying. */
    int result = snapshots->vfs->fallocate(snapshots->vfs->context, made->file, bytes);
    if (result < 0) {
        snapshot_abandon(made);
        return log_error_of(result);
    }
    *writer = made;
    return LASH_OK;
}

int snapshot_copy(struct snapshot_writer *writer, uint64_t offset, const void *data, size_t size) {
    LASH_ASSERT(!writer->chunk);
    if (offset != writer->position || size > writer->info.bytes - writer->position)
        return LASH_INVALID;
    return size ? put(writer, data, size) : LASH_OK;
}

uint64_t snapshot_received(const struct snapshot_writer *writer) {
    return writer->position;
}

/* ---- The end ------------------------------------------------------------------------------------ */

/* Make the file durable, and let what is read back come from the disk rather than from what was to be written. */
static int settle(struct snapshot_writer *writer) {
    const struct vfs *vfs = writer->snapshots->vfs;
    int result = vfs->fdatasync(vfs->context, writer->file);
    if (result < 0)
        return snapshots_sync_failed(writer->snapshots, "file", result);
    result = vfs->drop_cache ? vfs->drop_cache(vfs->context, writer->file) : 0;
    writer_close(writer);
    return result < 0 ? log_error_of(result) : LASH_OK;
}

int snapshot_commit(struct snapshot_writer *writer) {
    struct snapshots *snapshots = writer->snapshots;
    int rc = LASH_OK;
    if (writer->chunk)
        rc = end_file(writer);
    else if (writer->position != writer->info.bytes)
        rc = LASH_CORRUPT;
    if (!rc)
        rc = settle(writer);
    if (!rc)
        rc = snapshot_check_path(snapshots, writer->path, &writer->info);
    if (!rc)
        rc = snapshots_adopt(snapshots, writer->path, &writer->info);
    if (!rc) {
        mem_free(writer->path);
        writer->path = NULL;
    }
    snapshot_abandon(writer);
    return rc;
}
