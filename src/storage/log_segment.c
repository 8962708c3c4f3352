/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's files: their names, how a segment begins and how it goes.
 *
 * A new segment is made under another name (a fresh file's "new", or a recycled
 * one's own), gets its segment record, is synced, renamed, and the directory is
 * synced. So a file named log-... has a durable segment record, whenever the
 * machine stops; and because the segment before was synced first, that name also
 * says that everything before it is durable. Old records in a recycled file say
 * a position that lies before the segment and are never taken for its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/logger.h"
#include "storage/log_state.h"

void log_segment_name(char *name, uint64_t sequence) {
    snprintf(name, LOG_NAME_SIZE, "log-%016" PRIx64, sequence);
}

void log_segment_free_name(char *name, uint64_t sequence) {
    snprintf(name, LOG_NAME_SIZE, "free-%016" PRIx64, sequence);
}

uint64_t log_segment_number(const char *name, const char *prefix) {
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) != 0 || strlen(name) != length + 16)
        return 0;
    if (strspn(name + length, "0123456789abcdef") != 16)
        return 0;
    return strtoull(name + length, NULL, 16);
}

char *log_path(const char *dir, const char *name) {
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = mem_alloc(size);
    if (path)
        snprintf(path, size, "%s/%s", dir, name);
    return path;
}

char *log_parent(const char *path) {
    char *parent = mem_strdup(path);
    if (!parent)
        return NULL;
    size_t end = strlen(parent);
    while (end > 1 && parent[end - 1] == '/')
        end--;
    while (end && parent[end - 1] != '/')
        end--;
    while (end > 1 && parent[end - 1] == '/')
        end--;
    parent[end] = '\0';
    if (!end) {
        mem_free(parent);
        return mem_strdup(".");
    }
    return parent;
}

int log_error_of(ssize_t result) {
    if (result == -ENOSPC || result == -EDQUOT)
        return LASH_FULL;
    return result == -ENOMEM || result == -EMFILE || result == -ENFILE ? LASH_NOMEM : LASH_IO;
}

/* Step over `done` bytes of the parts. */
static void advance(struct iovec **parts, int *count, size_t done) {
    while (*count && done >= (*parts)->iov_len) {
        done -= (*parts)->iov_len;
        ++*parts;
        --*count;
    }
    if (done) {
        (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + done;
        (*parts)->iov_len -= done;
    }
}

int log_write_all(const struct vfs *vfs, int file, struct iovec *parts, int count, uint64_t offset, uint64_t *written) {
    enum { PARTS_MAX = 1024 }; /* Linux's IOV_MAX */
    *written = 0;
    advance(&parts, &count, 0);
    while (count) {
        int some = count < PARTS_MAX ? count : PARTS_MAX;
        ssize_t put = vfs->pwritev(vfs->context, file, parts, some, offset + *written);
        if (put <= 0)
            return put ? log_error_of(put) : LASH_IO;
        *written += (uint64_t)put;
        advance(&parts, &count, (size_t)put);
    }
    return LASH_OK;
}

int log_write_zeros(const struct vfs *vfs, int file, uint64_t from, uint64_t to) {
    static const uint8_t zeros[4096];
    while (from < to) {
        uint64_t size = to - from < sizeof zeros ? to - from : sizeof zeros;
        struct iovec part = {(void *)(uintptr_t)zeros, (size_t)size};
        uint64_t written;
        int rc = log_write_all(vfs, file, &part, 1, from, &written);
        if (rc)
            return rc;
        from += size;
    }
    return LASH_OK;
}

int log_sync_failed(struct log *log, const char *what, int result) {
    log->dead = true;
    log_error("sync failed, the log is given up", F_STR("what", what), F_STR("dir", log->dir),
              F_STR("error", strerror(-result)),
              F_STR("do", "check the disk, then start again; nothing that relied on this sync was acknowledged"));
    return LASH_IO;
}

int log_sync_file(struct log *log, int file) {
    int result = log->vfs->fdatasync(log->vfs->context, file);
    return result < 0 ? log_sync_failed(log, "file", result) : LASH_OK;
}

int log_sync_dir(struct log *log, const char *path) {
    int result = log->vfs->sync_dir(log->vfs->context, path);
    if (result < 0 && log_error_of(result) == LASH_NOMEM)
        return LASH_NOMEM;
    return result < 0 ? log_sync_failed(log, "directory", result) : LASH_OK;
}

/* Whether a directory that gave this error cannot have been made by us: it may not be read, or lies on a file system
 * that cannot be written to. */
static bool is_anothers(int result) {
    return result == -EACCES || result == -EINVAL || result == -EROFS;
}

int log_sync_parents(struct log *log) {
    char *path = log_parent(log->dir);
    int rc = path ? log_sync_dir(log, path) : LASH_NOMEM;
    while (!rc && strcmp(path, ".") != 0 && strcmp(path, "/") != 0) {
        char *parent = log_parent(path);
        mem_free(path);
        path = parent;
        int result = path ? log->vfs->sync_dir(log->vfs->context, path) : -ENOMEM;
        if (result < 0 && log_error_of(result) == LASH_NOMEM)
            rc = LASH_NOMEM;
        else if (result < 0 && !is_anothers(result))
            rc = log_sync_failed(log, "directory", result);
    }
    mem_free(path);
    return rc;
}

struct log_segment *log_current(const struct log *log) {
    LASH_ASSERT(log->segment_count);
    return log->segments[log->segment_count - 1];
}

/* ---- Making ------------------------------------------------------------------------------------- */

/* A segment on its way. Everything that needs memory is had before the disk is touched. */
struct birth {
    struct log_segment *segment; /* its file is -1 until it is open */
    uint64_t recycled;           /* number of the recycled file that it is made of; 0: a fresh one */
    char *from;                  /* the file until it is whole */
    char *to;                    /* its name from then on */
    uint8_t *bytes;              /* the segment record, with zeros up to the next sector */
    uint64_t size;               /* of `bytes` */
    struct record record;
};

static int birth_names(struct log *log, struct birth *birth) {
    char name[LOG_NAME_SIZE];
    log_segment_name(name, birth->segment->sequence);
    birth->to = log_path(log->dir, name);
    birth->recycled = 0;
    if (log->pool_count && birth->segment->size == log->segment_bytes)
        birth->recycled = log->pool[--log->pool_count];
    if (birth->recycled)
        log_segment_free_name(name, birth->recycled);
    birth->from = log_path(log->dir, birth->recycled ? name : LOG_NEW_NAME);
    return birth->to && birth->from ? LASH_OK : LASH_NOMEM;
}

static void birth_encode(struct log *log, struct birth *birth) {
    struct record_segment state = {
        .cluster_id = log->cluster_id,
        .node_id = log->node_id,
        .group = log->group,
        .term = log->term,
        .vote = log->vote,
        .last_index = log_index_last(&log->index),
        .last_term = log_index_last_term(&log->index),
        .first_index = log->index.first_index,
        .prev_term = log->index.prev_term,
        .salt = log->salt,
        .identity = log->identity,
        .identity_size = log->identity_size,
    };
    uint8_t *payload = birth->bytes + RECORD_HEADER_SIZE;
    record_segment_encode(payload, &state);
    birth->record.payload_crc = crc32c(0, payload, (size_t)birth->record.size);
    record_encode(birth->bytes, 0, &birth->record);
}

static int birth_prepare(struct log *log, struct birth *birth, uint64_t bytes) {
    birth->record = (struct record){
        .type = RECORD_SEGMENT,
        .flags = RECORD_END,
        .prev_crc = log->chain,
        .position = log->position,
        .durable = log->position,
        .a = log->segment_count ? log_current(log)->sequence + 1 : 1,
        .size = RECORD_SEGMENT_SIZE + log->identity_size,
    };
    birth->size = record_end(&birth->record) - log->position;
    birth->segment = mem_alloc(sizeof *birth->segment);
    if (!birth->segment)
        return LASH_NOMEM;
    uint64_t need = birth->size + bytes;
    uint64_t size = need > log->segment_bytes ? need : log->segment_bytes;
    birth->record.b = size;
    *birth->segment = (struct log_segment){
        .sequence = birth->record.a, .first_position = log->position, .size = size, .file = -1, .users = 1};
    birth->bytes = mem_calloc(1, (size_t)birth->size);
    if (!birth->bytes)
        return LASH_NOMEM;
    birth_encode(log, birth);
    int rc = log_segment_reserve(log);
    return rc ? rc : birth_names(log, birth);
}

static int birth_make(struct log *log, struct birth *birth) {
    const struct vfs *vfs = log->vfs;
    struct log_segment *segment = birth->segment;
    int result = vfs->open(vfs->context, birth->from, VFS_WRITE | (birth->recycled ? 0 : VFS_CREATE));
    if (result < 0)
        return log_error_of(result);
    segment->file = result;
    if (!birth->recycled) {
        result = vfs->fallocate(vfs->context, segment->file, segment->size);
        if (result < 0)
            return log_error_of(result);
    }
    struct iovec part = {birth->bytes, (size_t)birth->size};
    uint64_t written;
    int rc = log_write_all(vfs, segment->file, &part, 1, 0, &written);
    return rc ? rc : log_sync_file(log, segment->file);
}

/* From the rename on, the segment before is finished: an append to it would contradict this one, should the rename be
 * found after a crash. */
static int birth_name(struct log *log, struct birth *birth) {
    log->rolling = true;
    int result = log->vfs->rename(log->vfs->context, birth->from, birth->to);
    if (result < 0)
        return log_error_of(result);
    int rc = log_sync_dir(log, log->dir);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->mutex);
    if (log->segment_count)
        log_segment_leave(log, log_current(log));
    log->segments[log->segment_count++] = birth->segment;
    log->bytes += birth->segment->size;
    pthread_mutex_unlock(&log->mutex);
    log->rolling = false;
    log->chain = birth->record.crc;
    log->claimed = birth->record.durable;
    log->position = birth->segment->first_position + birth->size;
    log->durable = log->position;
    birth->segment = NULL;
    return LASH_OK;
}

static void birth_end(struct log *log, struct birth *birth, int rc) {
    const struct vfs *vfs = log->vfs;
    if (rc && birth->segment && birth->segment->file >= 0)
        vfs->close(vfs->context, birth->segment->file);
    if (rc && birth->from && birth->to)
        vfs->unlink(vfs->context, birth->from);
    mem_free(birth->segment);
    mem_free(birth->bytes);
    mem_free(birth->from);
    mem_free(birth->to);
}

/* Say once that there is no room for a segment, and every time what else went wrong. */
static void segment_outcome(struct log *log, int rc) {
    bool again = rc == LASH_FULL && log->full_said;
    if (rc && !log->dead && !again)
        log_warn("no new log segment", F_ERR(rc), F_STR("dir", log->dir), F_U64("bytes", log->segment_bytes),
                 F_U64("position", log->position));
    log->full_said = rc == LASH_FULL;
}

int log_roll(struct log *log, uint64_t bytes) {
    LASH_ASSERT(!log->dead);
    log_direct_close(log);
    if (log->segment_count && log->durable < log->position) {
        int rc = log_sync_file(log, log_current(log)->file);
        if (rc)
            return rc;
        log->durable = log->position;
    }
    struct birth birth = {0};
    int rc = birth_prepare(log, &birth, bytes);
    if (!rc)
        rc = birth_make(log, &birth);
    if (!rc)
        rc = birth_name(log, &birth);
    birth_end(log, &birth, rc);
    segment_outcome(log, rc);
    return rc;
}

/* ---- Setting aside ------------------------------------------------------------------------------ */

/* For the name of a fresh file that waits to become a segment: the next one's number, marked, as recycled files keep
 * the number of the segment that they were. */
static uint64_t spare_number(const struct log *log) {
    return UINT64_C(1) << 63 | (log_current(log)->sequence + 1);
}

static int spare_make(struct log *log, const char *from, const char *to) {
    const struct vfs *vfs = log->vfs;
    int file = vfs->open(vfs->context, from, VFS_WRITE | VFS_CREATE);
    if (file < 0)
        return log_error_of(file);
    int result = vfs->fallocate(vfs->context, file, log->segment_bytes);
    vfs->close(vfs->context, file);
    /* Nothing is synced: should a crash take the name or the size away, recovery removes what is left. */
    if (result >= 0)
        result = vfs->rename(vfs->context, from, to);
    if (result < 0)
        vfs->unlink(vfs->context, from);
    return result < 0 ? log_error_of(result) : LASH_OK;
}

bool log_is_prepared(const struct log *log, uint64_t position) {
    const struct log_segment *segment = log_current(log);
    return log->pool_count || position - segment->first_position <= segment->size / 2;
}

int log_prepare(struct log *log) {
    if (log->dead)
        return LASH_IO;
    log_direct_open(log);
    if (log_is_prepared(log, log->position))
        return LASH_OK;
    char name[LOG_NAME_SIZE];
    log_segment_free_name(name, spare_number(log));
    char *from = log_path(log->dir, LOG_NEW_NAME);
    char *to = log_path(log->dir, name);
    int rc = from && to ? spare_make(log, from, to) : LASH_NOMEM;
    if (!rc)
        log->pool[log->pool_count++] = spare_number(log);
    mem_free(from);
    mem_free(to);
    segment_outcome(log, rc);
    return rc;
}

int log_segment_reserve(struct log *log) {
    if (log->segment_count < log->segment_capacity)
        return LASH_OK;
    size_t capacity = log->segment_capacity ? 2 * log->segment_capacity : 16;
    struct log_segment **segments = mem_alloc(capacity * sizeof(struct log_segment *));
    if (!segments)
        return LASH_NOMEM;
    pthread_mutex_lock(&log->mutex);
    struct log_segment **old = log->segments;
    for (size_t i = 0; i < log->segment_count; i++)
        segments[i] = old[i];
    log->segments = segments;
    log->segment_capacity = capacity;
    pthread_mutex_unlock(&log->mutex);
    mem_free(old);
    return LASH_OK;
}

/* ---- Going -------------------------------------------------------------------------------------- */

int log_segment_use(struct log *log, struct log_segment *segment) {
    if (segment->file < 0) {
        char name[LOG_NAME_SIZE];
        log_segment_name(name, segment->sequence);
        char *path = log_path(log->dir, name);
        if (!path)
            return LASH_NOMEM;
        int result = log->vfs->open(log->vfs->context, path, VFS_WRITE);
        mem_free(path);
        if (result < 0)
            return log_error_of(result);
        segment->file = result;
    }
    segment->users++;
    return LASH_OK;
}

void log_segment_leave(struct log *log, struct log_segment *segment) {
    LASH_ASSERT(segment->users && segment->file >= 0);
    if (--segment->users)
        return;
    log->vfs->close(log->vfs->context, segment->file);
    segment->file = -1;
    if (segment->dropped)
        mem_free(segment);
}

/* Whether the first segment holds nothing that counts. A span keeps its segment; spans lie in the order of the log. */
static bool first_is_unused(struct log *log) {
    if (log->segment_count < 2)
        return false;
    return !log->index.count || log->index.spans[0].segment != log->segments[0];
}

/* Give the file of `segment` to the pool, or remove it when the pool is full or the file is being read (nobody can
 * begin to, for no span leads there). The directory is synced each time, so that a crash never leaves a gap in the
 * middle. */
static int retire(struct log *log, const struct log_segment *segment) {
    const struct vfs *vfs = log->vfs;
    pthread_mutex_lock(&log->mutex);
    bool recycle = segment->users == 0 && segment->size == log->segment_bytes && log->pool_count < LOG_POOL_MAX;
    pthread_mutex_unlock(&log->mutex);
    char name[LOG_NAME_SIZE];
    log_segment_name(name, segment->sequence);
    char *from = log_path(log->dir, name);
    log_segment_free_name(name, segment->sequence);
    char *to = log_path(log->dir, name);
    int rc = from && to ? LASH_OK : LASH_NOMEM;
    if (!rc) {
        int result = recycle ? vfs->rename(vfs->context, from, to) : vfs->unlink(vfs->context, from);
        bool gone = result == -ENOENT; /* an earlier try did it, and yet reported an error */
        recycle = recycle && !gone;
        rc = result < 0 && !gone ? LASH_IO : log_sync_dir(log, log->dir);
    }
    if (!rc && recycle)
        log->pool[log->pool_count++] = segment->sequence;
    mem_free(from);
    mem_free(to);
    return rc;
}

int log_drop_segments(struct log *log) {
    while (first_is_unused(log)) {
        struct log_segment *segment = log->segments[0];
        int rc = retire(log, segment);
        if (rc)
            return rc;
        pthread_mutex_lock(&log->mutex);
        log->segment_count--;
        log->bytes -= segment->size;
        memmove(log->segments, log->segments + 1, log->segment_count * sizeof(struct log_segment *));
        segment->dropped = true;
        bool unused = segment->users == 0;
        pthread_mutex_unlock(&log->mutex);
        if (unused)
            mem_free(segment);
    }
    return LASH_OK;
}
