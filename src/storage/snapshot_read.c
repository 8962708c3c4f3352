/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a snapshot's file: its data chunk by chunk, each checked before a byte of it is
 * given out, or its bytes as they are, for another replica.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "storage/log_state.h"
#include "storage/snapshot_state.h"

struct snapshot_reader {
    const struct vfs *vfs;
    int file;
    struct snapshot_header header;
    struct snapshot_end end;
    struct snapshot_head head;
    uint8_t *configuration;
    uint64_t file_bytes;
    uint64_t position; /* of the next chunk in the file */
    uint64_t unread;   /* bytes of data in the chunks from there on */
    uint32_t crc;      /* of the chunk before */
    uint8_t *chunk;    /* the data of the present chunk, checked */
    size_t chunk_size;
    size_t chunk_used;
    uint8_t *image; /* the whole file instead of the one on disk; NULL: none */
};

/* All `size` bytes. Errors: LASH_IO, LASH_CORRUPT (the file ends before). */
static int read_exactly(const struct snapshot_reader *reader, uint64_t offset, void *data, size_t size) {
    size_t got;
    int rc = snapshot_raw(reader, offset, data, size, &got);
    return rc ? rc : got == size ? LASH_OK : LASH_CORRUPT;
}

static int read_header(struct snapshot_reader *reader) {
    uint8_t bytes[SNAPSHOT_HEADER_SIZE];
    struct snapshot_header *header = &reader->header;
    int rc = read_exactly(reader, 0, bytes, sizeof bytes);
    if (!rc)
        rc = snapshot_parse_header(bytes, header);
    if (rc)
        return rc;
    reader->configuration = mem_alloc(header->configuration_size + 1);
    if (!reader->configuration)
        return LASH_NOMEM;
    rc = read_exactly(reader, sizeof bytes, reader->configuration, header->configuration_size);
    if (!rc)
        rc = snapshot_check_header(bytes, header, reader->configuration);
    if (rc)
        return rc;
    reader->head = (struct snapshot_head){header->index, header->term, reader->configuration,
                                          header->configuration_size, header->hollow};
    reader->position = sizeof bytes + header->configuration_size;
    reader->crc = header->crc;
    return LASH_OK;
}

static int read_end(struct snapshot_reader *reader) {
    uint8_t bytes[SNAPSHOT_END_SIZE];
    const struct snapshot_header *header = &reader->header;
    if (reader->file_bytes < reader->position + sizeof bytes)
        return LASH_CORRUPT;
    int rc = read_exactly(reader, reader->file_bytes - sizeof bytes, bytes, sizeof bytes);
    if (!rc)
        rc = snapshot_parse_end(bytes, &reader->end);
    if (rc)
        return rc;
    uint64_t data_bytes = reader->end.data_bytes;
    bool fits = data_bytes <= reader->file_bytes && snapshot_format_bytes(header, data_bytes) == reader->file_bytes &&
                reader->end.chunks == snapshot_format_chunks(header, data_bytes);
    reader->unread = data_bytes;
    return fits ? LASH_OK : LASH_CORRUPT;
}

static int open_file(struct snapshot_reader *reader, const char *path) {
    int result = reader->vfs->open(reader->vfs->context, path, VFS_READ);
    if (result < 0)
        return log_error_of(result);
    reader->file = result;
    result = reader->vfs->size(reader->vfs->context, path, &reader->file_bytes);
    return result < 0 ? log_error_of(result) : LASH_OK;
}

/* Open a file and check its header. */
static int open_begin(const struct snapshots *snapshots, const char *path, struct snapshot_reader **reader) {
    struct snapshot_reader *made = mem_calloc(1, sizeof *made);
    if (!made)
        return LASH_NOMEM;
    made->vfs = snapshots->vfs;
    made->file = -1;
    int rc = open_file(made, path);
    if (!rc)
        rc = read_header(made);
    if (!rc && (made->header.cluster_id != snapshots->cluster_id || made->header.group != snapshots->group))
        rc = LASH_MISMATCH;
    if (rc) {
        snapshot_close(made);
        return rc;
    }
    *reader = made;
    return LASH_OK;
}

int snapshot_open_path(const struct snapshots *snapshots, const char *path, struct snapshot_reader **reader) {
    struct snapshot_reader *made;
    int rc = open_begin(snapshots, path, &made);
    if (rc)
        return rc;
    rc = read_end(made);
    if (rc) {
        snapshot_close(made);
        return rc;
    }
    *reader = made;
    return LASH_OK;
}

void snapshot_close(struct snapshot_reader *reader) {
    if (!reader)
        return;
    if (reader->file >= 0)
        reader->vfs->close(reader->vfs->context, reader->file);
    mem_free(reader->configuration);
    mem_free(reader->chunk);
    mem_free(reader->image);
    mem_free(reader);
}

const struct snapshot_head *snapshot_head_of(const struct snapshot_reader *reader) {
    return &reader->head;
}

uint64_t snapshot_data_bytes(const struct snapshot_reader *reader) {
    return reader->end.data_bytes;
}

uint64_t snapshot_file_bytes(const struct snapshot_reader *reader) {
    return reader->file_bytes;
}

int snapshot_raw(const struct snapshot_reader *reader, uint64_t offset, void *data, size_t size, size_t *got) {
    *got = 0;
    if (reader->image) {
        uint64_t left = offset < reader->file_bytes ? reader->file_bytes - offset : 0;
        *got = left < size ? (size_t)left : size;
        memcpy(data, reader->image + (left ? offset : 0), *got);
        return LASH_OK;
    }
    while (*got < size) {
        ssize_t some =
            reader->vfs->pread(reader->vfs->context, reader->file, (uint8_t *)data + *got, size - *got, offset + *got);
        if (some < 0)
            return LASH_IO;
        if (some == 0)
            break;
        *got += (size_t)some;
    }
    return LASH_OK;
}

/* Put together the file that a witness gets instead. Errors: LASH_NOMEM. */
static int make_hollow(struct snapshot_reader *reader) {
    struct snapshot_header *header = &reader->header;
    size_t size = (size_t)snapshot_format_bytes(header, 0);
    uint8_t *image = mem_alloc(size);
    if (!image)
        return LASH_NOMEM;
    header->hollow = reader->head.hollow = true;
    snapshot_format_header(image, header, reader->configuration);
    memcpy(image + SNAPSHOT_HEADER_SIZE, reader->configuration, header->configuration_size);
    reader->end = (struct snapshot_end){.crc = header->crc};
    snapshot_format_end(image + size - SNAPSHOT_END_SIZE, &reader->end);
    reader->unread = 0;
    reader->file_bytes = size;
    reader->image = image;
    return LASH_OK;
}

int snapshot_open_hollow(struct snapshots *snapshots, lash_index index, struct snapshot_reader **reader) {
    int rc = snapshot_open(snapshots, index, reader);
    if (!rc)
        rc = make_hollow(*reader);
    else
        return rc;
    if (rc) {
        snapshot_close(*reader);
        *reader = NULL;
    }
    return rc;
}

/* Read and check the next chunk; there is one. */
static int read_chunk(struct snapshot_reader *reader) {
    uint64_t most = reader->header.chunk_bytes;
    size_t expected = (size_t)(reader->unread < most ? reader->unread : most);
    uint8_t bytes[SNAPSHOT_CHUNK_SIZE];
    uint32_t size;
    uint32_t crc;
    int rc = read_exactly(reader, reader->position, bytes, sizeof bytes);
    if (!rc)
        rc = snapshot_parse_chunk(bytes, &size, &crc);
    if (rc)
        return rc;
    if (size != expected)
        return LASH_CORRUPT;
    rc = read_exactly(reader, reader->position + sizeof bytes, reader->chunk, size);
    if (rc)
        return rc;
    reader->crc = crc32c(reader->crc, reader->chunk, size);
    if (reader->crc != crc)
        return LASH_CORRUPT;
    reader->position += sizeof bytes + size;
    reader->unread -= size;
    reader->chunk_size = size;
    reader->chunk_used = 0;
    bool last = !reader->unread;
    return last && reader->crc != reader->end.crc ? LASH_CORRUPT : LASH_OK;
}

/* Room for a chunk: no more than there is data. Errors: LASH_NOMEM. */
static int make_room(struct snapshot_reader *reader) {
    if (reader->chunk)
        return LASH_OK;
    uint64_t most = reader->header.chunk_bytes;
    reader->chunk = mem_alloc((size_t)(reader->unread < most ? reader->unread : most));
    return reader->chunk ? LASH_OK : LASH_NOMEM;
}

int snapshot_read(struct snapshot_reader *reader, void *data, size_t size, size_t *got) {
    *got = 0;
    while (*got < size) {
        if (reader->chunk_used == reader->chunk_size) {
            if (!reader->unread)
                return LASH_OK;
            int rc = make_room(reader);
            if (!rc)
                rc = read_chunk(reader);
            if (rc)
                return rc;
        }
        size_t some = reader->chunk_size - reader->chunk_used;
        if (some > size - *got)
            some = size - *got;
        memcpy((uint8_t *)data + *got, reader->chunk + reader->chunk_used, some);
        reader->chunk_used += some;
        *got += some;
    }
    return LASH_OK;
}

int snapshot_check_path(const struct snapshots *snapshots, const char *path, const struct snapshot_info *expected) {
    struct snapshot_reader *reader;
    int rc = snapshot_open_path(snapshots, path, &reader);
    if (rc)
        return rc;
    bool same = reader->header.index == expected->index && reader->header.term == expected->term &&
                reader->file_bytes == expected->bytes;
    rc = same ? LASH_OK : LASH_CORRUPT;
    if (!rc && reader->unread)
        rc = make_room(reader);
    while (!rc && reader->unread)
        rc = read_chunk(reader);
    snapshot_close(reader);
    return rc;
}

/* ---- What is not finished ----------------------------------------------------------------------- */

int snapshot_part_info(const struct snapshots *snapshots, const char *path, struct snapshot_info *info) {
    struct snapshot_reader *reader;
    int rc = open_begin(snapshots, path, &reader);
    if (rc)
        return rc;
    *info = (struct snapshot_info){reader->header.index, reader->header.term, reader->file_bytes};
    rc = reader->header.node_id == snapshots->node_id ? LASH_CORRUPT : LASH_OK;
    snapshot_close(reader);
    return rc;
}

uint64_t snapshot_part_prefix(const struct snapshots *snapshots, const char *path) {
    struct snapshot_reader *reader;
    if (open_begin(snapshots, path, &reader))
        return 0;
    uint64_t most = SNAPSHOT_CHUNK_SIZE + (uint64_t)reader->header.chunk_bytes + SNAPSHOT_END_SIZE;
    reader->unread = UINT64_MAX; /* where the data end only the file's end says, which has not come */
    int rc = make_room(reader);
    while (!rc && reader->position <= reader->file_bytes && reader->file_bytes - reader->position >= most)
        rc = read_chunk(reader);
    uint64_t prefix = rc == LASH_OK || rc == LASH_CORRUPT ? reader->position : 0;
    snapshot_close(reader);
    return prefix;
}
