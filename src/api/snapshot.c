/* SPDX-License-Identifier: Apache-2.0
 *
 * The Maintenance service's Snapshot: an image of the store, padded to a multiple of
 * 512 bytes, and the SHA-256 of that, as etcd's clients expect it.
 *
 * The image is first written to a file without a name, at the disk's speed: a client
 * that takes long to read would otherwise keep the database from using its pages
 * again. So its size is known, too, when the first message is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/answer.h"
#include "api/methods.h"
#include "base/assert.h"
#include "base/logger.h"
#include "rpc.pb-c.h"

enum {
    SNAPSHOT_STREAMS_MAX = 2,               /* per loop: each takes a worker for a while, and room on the disk */
    SNAPSHOT_CHUNK = 128 * 1024,            /* in one message */
    SNAPSHOT_ALIGN = 512,                   /* so that a client can tell whether the digest is there */
    SNAPSHOT_DIGEST = 32,                   /* SHA-256 */
    SNAPSHOT_ROOM_BYTES = 64 * 1024 * 1024, /* of the disk are left to others */
};

struct snapshot_stream {
    struct call *call;
    int file;
    EVP_MD_CTX *digester;
    uint64_t size; /* of the image, padded */
    uint64_t sent; /* of it, and of the digest */
    int64_t revision;
    struct convert_header header; /* of the first message */
    uint8_t digest[SNAPSHOT_DIGEST];
    uint8_t chunk[SNAPSHOT_CHUNK];
};

static void snapshot_dispose(struct call *call) {
    struct snapshot_stream *stream = call->stream;
    if (stream->file >= 0)
        (void)close(stream->file);
    EVP_MD_CTX_free(stream->digester);
    call->loop->snapshots--;
}

/* ---- The file ---------------------------------------------------------------------------------- */

/* A file in `dir` that is gone when it is closed. Errors: LASH_IO, LASH_FULL. */
static int snapshot_open_file(const char *dir, int *file) {
    *file = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/snapshot-XXXXXX", dir);
        *file = length > 0 && (size_t)length < sizeof path ? mkostemp(path, O_CLOEXEC) : -1;
        if (*file >= 0)
            (void)unlink(path);
    }
    if (*file >= 0)
        return LASH_OK;
    return errno == ENOSPC || errno == EDQUOT ? LASH_FULL : LASH_IO;
}

/* Whether the disk has room for the image without taking what the store may need. */
static int snapshot_check_room(const struct snapshot_stream *stream, struct store *store) {
    struct statvfs disk;
    struct store_stats stats;
    if (fstatvfs(stream->file, &disk))
        return LASH_IO;
    store_stats(store, &stats);
    return (uint64_t)disk.f_bavail * disk.f_frsize < stats.size_in_use + SNAPSHOT_ROOM_BYTES ? LASH_FULL : LASH_OK;
}

static int snapshot_sink(void *context, const void *data, size_t size) {
    struct snapshot_stream *stream = context;
    const uint8_t *at = data;
    if (stream->call->over)
        return LASH_CLOSED;
    if (!EVP_DigestUpdate(stream->digester, data, size))
        return LASH_NOMEM;
    stream->size += size;
    while (size > 0) {
        ssize_t count = write(stream->file, at, size);
        if (count < 0 && errno != EINTR)
            return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? LASH_FULL : LASH_IO;
        if (count > 0) {
            at += count;
            size -= (size_t)count;
        }
    }
    return LASH_OK;
}

static int snapshot_write_image(struct snapshot_stream *stream, struct store *store) {
    static const uint8_t zeros[SNAPSHOT_ALIGN];
    const struct store_sink sink = {.write = snapshot_sink, .context = stream};
    struct store_snapshot *snapshot;
    int rc = store_snapshot_begin(store, &snapshot);
    if (rc)
        return rc;
    stream->revision = store_snapshot_revision(snapshot);
    rc = store_snapshot_write(snapshot, &sink);
    store_snapshot_end(snapshot);
    if (rc == 0 && stream->size % SNAPSHOT_ALIGN)
        rc = snapshot_sink(stream, zeros, SNAPSHOT_ALIGN - stream->size % SNAPSHOT_ALIGN);
    return rc;
}

static int snapshot_make(struct snapshot_stream *stream, struct store *store) {
    unsigned digest_size = 0;
    int rc = snapshot_open_file(store_dir(store), &stream->file);
    if (rc == 0)
        rc = snapshot_check_room(stream, store);
    if (rc)
        return rc;
    stream->digester = EVP_MD_CTX_new();
    if (!stream->digester || !EVP_DigestInit_ex(stream->digester, EVP_sha256(), NULL))
        return LASH_NOMEM;
    rc = snapshot_write_image(stream, store);
    if (rc == 0 && !EVP_DigestFinal_ex(stream->digester, stream->digest, &digest_size))
        rc = LASH_NOMEM;
    LASH_ASSERT(rc || digest_size == SNAPSHOT_DIGEST);
    return rc;
}

/* On a worker. */
static void snapshot_prepare(struct call *call) {
    struct store *store = call->loop->options->store;
    int rc = snapshot_make(call->stream, store);
    if (rc == 0 || rc == LASH_CLOSED)
        return;
    log_warn("a snapshot for a client could not be made", F_STR("dir", store_dir(store)), F_ERR(rc));
    call_record(call, rc == LASH_FULL    ? API_NO_SPACE
                      : rc == LASH_BUSY  ? API_TOO_MANY_REQUESTS
                      : rc == LASH_NOMEM ? API_NO_MEMORY
                                         : API_FAILED);
}

/* ---- The messages ------------------------------------------------------------------------------ */

/* On a worker: the next piece of the image, or at last the digest. */
static void snapshot_read(struct call *call) {
    struct snapshot_stream *stream = call->stream;
    char version[] = SERVER_VERSION;
    Etcdserverpb__SnapshotResponse answer;
    etcdserverpb__snapshot_response__init(&answer);
    if (stream->sent < stream->size) {
        uint64_t left = stream->size - stream->sent;
        size_t wanted = left < sizeof stream->chunk ? (size_t)left : sizeof stream->chunk;
        ssize_t count = pread(stream->file, stream->chunk, wanted, (off_t)stream->sent);
        if (count <= 0) {
            call_record(call, API_FAILED);
            return;
        }
        answer.blob = (ProtobufCBinaryData){(size_t)count, stream->chunk};
        answer.remaining_bytes = left - (uint64_t)count;
    } else {
        answer.blob = (ProtobufCBinaryData){sizeof stream->digest, stream->digest};
    }
    answer.version = version;
    if (stream->sent == 0)
        answer.header = convert_make_header(&stream->header, call->arena);
    stream->sent += answer.blob.len;
    if (stream->sent > answer.blob.len || answer.header)
        call_encode(call, &answer.base);
    else
        call_record(call, API_NO_MEMORY);
}

static void snapshot_have(struct call *call, int error) {
    const struct snapshot_stream *stream = call->stream;
    (void)error;
    call_push(call, stream->sent == stream->size + SNAPSHOT_DIGEST);
}

static void snapshot_next(struct call *call) {
    call_offload(call, snapshot_read, snapshot_have);
}

static void snapshot_prepared(struct call *call, int error) {
    struct snapshot_stream *stream = call->stream;
    (void)error;
    if (call->recorded) {
        call_fail(call, call->recorded);
        return;
    }
    stream->header = answer_header(call, stream->revision);
    call_stream(call, snapshot_next);
}

void maintenance_snapshot(struct call *call) {
    if (call->loop->snapshots >= SNAPSHOT_STREAMS_MAX) {
        call_fail(call, API_TOO_MANY_REQUESTS);
        return;
    }
    struct snapshot_stream *stream = arena_calloc(call->arena, 1, sizeof *stream);
    if (!stream) {
        call_fail(call, API_NO_MEMORY);
        return;
    }
    stream->call = call;
    stream->file = -1;
    call->stream = stream;
    call->dispose = snapshot_dispose;
    call->loop->snapshots++;
    call_offload(call, snapshot_prepare, snapshot_prepared);
}
