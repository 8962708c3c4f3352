/* SPDX-License-Identifier: Apache-2.0
 *
 * The file that says that a data directory is not finished: written beside its
 * place, synced, and renamed, so that it is whole at any time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/logger.h"
#include "node/offline.h"

#define UNFINISHED_NAME "unfinished"

static const char *const unfinished_lines[] = {
    [UNFINISHED_FOUNDING] = "lash-unfinished 1 founding\n",
    [UNFINISHED_MOVING_OUT] = "lash-unfinished 1 recovery 1\n",
    [UNFINISHED_MOVING_IN] = "lash-unfinished 1 recovery 2\n",
};

enum { UNFINISHED_LINES = sizeof unfinished_lines / sizeof unfinished_lines[0] };

int unfinished_error(int result) {
    if (result >= 0)
        return LASH_OK;
    return result == -ENOSPC || result == -EDQUOT ? LASH_FULL : result == -ENOMEM ? LASH_NOMEM : LASH_IO;
}

/* ---- Reading --------------------------------------------------------------------------------------- */

/* Read a small file as a string. Errors: LASH_NOT_FOUND, LASH_IO, LASH_CORRUPT (too long). */
static int unfinished_read_file(const struct vfs *vfs, const char *path, char *text, size_t room) {
    uint64_t size;
    int result = vfs->size(vfs->context, path, &size);
    if (result)
        return result == -ENOENT ? LASH_NOT_FOUND : LASH_IO;
    if (size >= room)
        return LASH_CORRUPT;
    int file = vfs->open(vfs->context, path, VFS_READ);
    if (file < 0)
        return LASH_IO;
    size_t at = 0;
    ssize_t got = 1;
    while (at < size && got > 0) {
        got = vfs->pread(vfs->context, file, text + at, (size_t)size - at, at);
        at += got > 0 ? (size_t)got : 0;
    }
    vfs->close(vfs->context, file);
    text[at] = '\0';
    return at == size ? LASH_OK : LASH_IO;
}

static int unfinished_parse(const char *text, enum unfinished *what, char *record) {
    for (int i = UNFINISHED_FOUNDING; i < UNFINISHED_LINES; i++) {
        size_t size = strlen(unfinished_lines[i]);
        if (strncmp(text, unfinished_lines[i], size) != 0)
            continue;
        *what = (enum unfinished)i;
        if (record)
            (void)snprintf(record, LASH_RECORD_MAX, "%s", text + size);
        return LASH_OK;
    }
    return LASH_CORRUPT;
}

int unfinished_read(const struct vfs *vfs, const char *data_dir, enum unfinished *what, char record[LASH_RECORD_MAX]) {
    enum { ROOM = LASH_RECORD_MAX + 64 };
    *what = UNFINISHED_NOTHING;
    char *path = settings_path(data_dir, UNFINISHED_NAME);
    char *text = mem_alloc(ROOM);
    int error = path && text ? unfinished_read_file(vfs, path, text, ROOM) : LASH_NOMEM;
    if (!error)
        error = unfinished_parse(text, what, record);
    mem_free(path);
    mem_free(text);
    return error == LASH_NOT_FOUND ? LASH_OK : error;
}

int unfinished_check(const struct vfs *vfs, const char *data_dir) {
    enum unfinished what;
    int error = unfinished_read(vfs, data_dir, &what, NULL);
    if (!error && what == UNFINISHED_NOTHING)
        return LASH_OK;
    log_error("the data directory is not finished", F_STR("dir", data_dir),
              F_STR("do", error ? "keep it for inspection: the file \"unfinished\" cannot be read"
                          : what == UNFINISHED_FOUNDING
                              ? "remove it, and restore the snapshot into it again"
                              : "run the recovery again, which goes on where it was stopped"));
    return error ? error : LASH_INVALID;
}

/* ---- Writing --------------------------------------------------------------------------------------- */

int unfinished_write_file(const struct vfs *vfs, const char *path, const char *text) {
    uint64_t size;
    if (vfs->size(vfs->context, path, &size) == 0) /* of an earlier try, perhaps longer */
        (void)vfs->unlink(vfs->context, path);
    int file = vfs->open(vfs->context, path, VFS_WRITE | VFS_CREATE);
    if (file < 0)
        return unfinished_error(file);
    size_t at = 0, length = strlen(text);
    int error = LASH_OK;
    while (!error && at < length) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)(text + at), .iov_len = length - at};
        ssize_t count = vfs->pwritev(vfs->context, file, &part, 1, at);
        error = count == 0 ? LASH_IO : unfinished_error((int)count);
        at += count > 0 ? (size_t)count : 0;
    }
    if (!error)
        error = unfinished_error(vfs->fdatasync(vfs->context, file));
    vfs->close(vfs->context, file);
    return error;
}

int unfinished_write(const struct vfs *vfs, const char *data_dir, enum unfinished what, const char *record) {
    LASH_ASSERT(what > UNFINISHED_NOTHING && (int)what < UNFINISHED_LINES);
    enum { ROOM = LASH_RECORD_MAX + 64 };
    char *path = settings_path(data_dir, UNFINISHED_NAME), *beside = settings_path(data_dir, UNFINISHED_NAME ".new");
    char *text = mem_alloc(ROOM);
    int error = path && beside && text ? LASH_OK : LASH_NOMEM;
    if (!error) {
        (void)snprintf(text, ROOM, "%s%s", unfinished_lines[what], record ? record : "");
        error = unfinished_write_file(vfs, beside, text);
    }
    if (!error)
        error = unfinished_error(vfs->rename(vfs->context, beside, path));
    if (!error)
        error = unfinished_error(vfs->sync_dir(vfs->context, data_dir));
    mem_free(path);
    mem_free(beside);
    mem_free(text);
    return error;
}

int unfinished_remove(const struct vfs *vfs, const char *data_dir) {
    char *path = settings_path(data_dir, UNFINISHED_NAME);
    if (!path)
        return LASH_NOMEM;
    int error = unfinished_error(vfs->unlink(vfs->context, path));
    mem_free(path);
    return error ? error : unfinished_error(vfs->sync_dir(vfs->context, data_dir));
}
