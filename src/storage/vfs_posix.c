/* SPDX-License-Identifier: Apache-2.0
 *
 * The VFS of the operating system. Interrupted calls are repeated; nothing else is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/vfs.h"

/* Whether a file opened past the cache takes pieces of 512 bytes from memory at multiples of 4 KiB. */
static bool posix_takes_sectors(int file) {
    struct statx status;
    if (statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0 || !(status.stx_mask & STATX_DIOALIGN))
        return false;
    return status.stx_dio_offset_align > 0 && 512 % status.stx_dio_offset_align == 0 && status.stx_dio_mem_align > 0 &&
           4096 % status.stx_dio_mem_align == 0;
}

static int posix_open(void *context, const char *path, int flags) {
    (void)context;
    int mode = O_CLOEXEC | (flags & VFS_WRITE ? O_RDWR : O_RDONLY) | (flags & VFS_CREATE ? O_CREAT : 0) |
               (flags & VFS_DIRECT ? O_DIRECT : 0);
    int file;
    do
        file = open(path, mode, 0600);
    while (file < 0 && errno == EINTR);
    if (file >= 0 && flags & VFS_DIRECT && !posix_takes_sectors(file)) {
        close(file);
        return -EINVAL;
    }
    return file < 0 ? -errno : file;
}

/* Not repeated when interrupted: Linux has closed the file by then. */
static int posix_close(void *context, int file) {
    (void)context;
    return close(file) < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t posix_pread(void *context, int file, void *data, size_t size, uint64_t offset) {
    (void)context;
    ssize_t got;
    do
        got = pread(file, data, size, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t posix_pwritev(void *context, int file, const struct iovec *parts, int count, uint64_t offset) {
    (void)context;
    ssize_t put;
    do
        put = pwritev(file, parts, count, (off_t)offset);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

/* An interrupted sync has reported no error yet, so that repeating it hides none. */
static int posix_fdatasync(void *context, int file) {
    (void)context;
    int rc;
    do
        rc = fdatasync(file);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

/* Where the file system cannot reserve, the C library writes zeros instead. */
static int posix_reserve(void *context, int file, uint64_t size) {
    (void)context;
    int error;
    do
        error = posix_fallocate(file, 0, (off_t)size);
    while (error == EINTR);
    return -error;
}

static int posix_size(void *context, const char *path, uint64_t *size) {
    (void)context;
    struct stat status;
    if (stat(path, &status) < 0)
        return -errno;
    *size = (uint64_t)status.st_size;
    return 0;
}

static int posix_rename(void *context, const char *from, const char *to) {
    (void)context;
    return rename(from, to) < 0 ? -errno : 0;
}

static int posix_unlink(void *context, const char *path) {
    (void)context;
    return unlink(path) < 0 ? -errno : 0;
}

static int posix_mkdir(void *context, const char *path) {
    (void)context;
    if (mkdir(path, 0700) == 0)
        return 0;
    int error = errno;
    struct stat status;
    if (error == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return 0;
    return -error;
}

static int posix_sync_dir(void *context, const char *path) {
    (void)context;
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    int rc;
    do
        rc = fsync(directory);
    while (rc < 0 && errno == EINTR);
    int result = rc < 0 ? -errno : 0;
    close(directory);
    return result;
}

static int posix_list(void *context, const char *path, void (*each)(void *argument, const char *name), void *argument) {
    (void)context;
    DIR *directory = opendir(path);
    if (!directory)
        return -errno;
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(argument, entry->d_name);
        errno = 0;
    }
    int result = -errno;
    closedir(directory);
    return result;
}

static int posix_lock(void *context, int file) {
    (void)context;
    int rc;
    do
        rc = flock(file, LOCK_EX | LOCK_NB);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int posix_drop_cache(void *context, int file) {
    (void)context;
    return -posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
}

const struct vfs *vfs_posix(void) {
    static const struct vfs table = {
        .open = posix_open,
        .close = posix_close,
        .pread = posix_pread,
        .pwritev = posix_pwritev,
        .fdatasync = posix_fdatasync,
        .fallocate = posix_reserve,
        .size = posix_size,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .mkdir = posix_mkdir,
        .sync_dir = posix_sync_dir,
        .list = posix_list,
        .lock = posix_lock,
        .drop_cache = posix_drop_cache,
    };
    return &table;
}
