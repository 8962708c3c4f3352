/* SPDX-License-Identifier: Apache-2.0
 *
 * Every file access of Lash's log goes through this table of operations, so
 * that tests and the simulator can put another disk underneath.
 *
 * All return 0 or a size on success and -errno on failure. Threads: as the
 * operating system's; one file may be read by several threads while one writes.
 */
#ifndef LASH_STORAGE_VFS_H
#define LASH_STORAGE_VFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Flags of `open`. */
enum {
    VFS_READ = 0,
    VFS_WRITE = 1,
    VFS_CREATE = 2,
    /* Past the system's cache, in pieces of 512 bytes at multiples of it; -EINVAL where that cannot be. A sync of such a handle need
     * make nothing durable but what was written through it last. */
    VFS_DIRECT = 4,
};

struct vfs {
    void *context;
    int (*open)(void *context, const char *path, int flags); /* a handle >= 0 */
    int (*close)(void *context, int file);
    ssize_t (*pread)(void *context, int file, void *data, size_t size, uint64_t offset); /* may be short */
    ssize_t (*pwritev)(void *context, int file, const struct iovec *parts, int count,
                       uint64_t offset); /* may be short */
    int (*fdatasync)(void *context, int file);
    int (*fallocate)(void *context, int file, uint64_t size); /* reserve, and extend the file to, `size` bytes */
    int (*size)(void *context, const char *path, uint64_t *size);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    int (*mkdir)(void *context, const char *path); /* an existing one is fine */
    int (*sync_dir)(void *context, const char *path);
    /* Call `each` with the name of every file in `path`, in no order. */
    int (*list)(void *context, const char *path, void (*each)(void *argument, const char *name), void *argument);
    /* Take an exclusive lock on the file, held until it is closed: -EWOULDBLOCK when another process holds it. */
    int (*lock)(void *context, int file);
    /* Let later reads of the file come from the disk rather than from a cache, where nothing waits to be written:
     * after a failed sync, a cache may hold what the disk does not. May be NULL, where there is no cache. */
    int (*drop_cache)(void *context, int file);
};

/* The operating system's files. Static storage. */
const struct vfs *vfs_posix(void);

#endif
