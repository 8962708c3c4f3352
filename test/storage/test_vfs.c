/* SPDX-License-Identifier: Apache-2.0
 *
 * The VFS's contract, held against the operating system's files and against the
 * simulator's disk in memory alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memfs.h"
#include "storage/vfs.h"

enum { PATH_SIZE = 128 };

/* A disk and an empty directory on it. */
struct disk {
    const struct vfs *vfs;
    struct memfs *fs; /* NULL: the operating system's */
    char dir[PATH_SIZE];
};

static int setup_posix(void **state) {
    struct disk *disk = calloc(1, sizeof *disk);
    disk->vfs = vfs_posix();
    snprintf(disk->dir, sizeof disk->dir, "/tmp/lash-test-vfs-XXXXXX");
    *state = disk;
    return mkdtemp(disk->dir) ? 0 : -1;
}

static int teardown_posix(void **state) {
    struct disk *disk = *state;
    char command[PATH_SIZE + 16];
    snprintf(command, sizeof command, "rm -r %s", disk->dir);
    free(disk);
    return system(command);
}

static int setup_memory(void **state) {
    struct disk *disk = calloc(1, sizeof *disk);
    disk->fs = memfs_new();
    disk->vfs = memfs_vfs(disk->fs);
    snprintf(disk->dir, sizeof disk->dir, "dir");
    *state = disk;
    return disk->vfs->mkdir(disk->vfs->context, disk->dir);
}

static int teardown_memory(void **state) {
    struct disk *disk = *state;
    memfs_free(disk->fs);
    free(disk);
    return 0;
}

/* "dir/name", in one of a few static places. */
static const char *at(const struct disk *disk, const char *name) {
    static char paths[4][PATH_SIZE * 2];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/%s", disk->dir, name);
    return paths[next];
}

static int open_file(const struct disk *disk, const char *name, int flags) {
    return disk->vfs->open(disk->vfs->context, at(disk, name), flags);
}

static void close_file(const struct disk *disk, int file) {
    assert_int_equal(disk->vfs->close(disk->vfs->context, file), 0);
}

static void put(const struct disk *disk, int file, const char *text, uint64_t offset) {
    struct iovec parts[2] = {{(void *)(uintptr_t)text, 1}, {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};
    assert_int_equal(disk->vfs->pwritev(disk->vfs->context, file, parts, 2, offset), strlen(text));
}

static void what_is_written_is_read(void **state) {
    const struct disk *disk = *state;
    int file = open_file(disk, "a", VFS_WRITE | VFS_CREATE);
    assert_true(file >= 0);
    put(disk, file, "hello", 0);
    put(disk, file, "world", 600);
    char data[16];
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 5, 600), 5);
    assert_memory_equal(data, "world", 5);
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 16, 603), 2);
    assert_memory_equal(data, "ld", 2);
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 16, 605), 0);
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 2, 5), 2);
    assert_memory_equal(data, "\0\0", 2);
    assert_int_equal(disk->vfs->fdatasync(disk->vfs->context, file), 0);
    assert_int_equal(disk->vfs->drop_cache(disk->vfs->context, file), 0);
    close_file(disk, file);
    file = open_file(disk, "a", VFS_READ);
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 5, 0), 5);
    assert_memory_equal(data, "hello", 5);
    close_file(disk, file);
}

static void a_missing_file_is_an_error_unless_created(void **state) {
    const struct disk *disk = *state;
    uint64_t size;
    assert_int_equal(open_file(disk, "a", VFS_WRITE), -ENOENT);
    assert_int_equal(disk->vfs->size(disk->vfs->context, at(disk, "a"), &size), -ENOENT);
    assert_int_equal(disk->vfs->unlink(disk->vfs->context, at(disk, "a")), -ENOENT);
    assert_int_equal(disk->vfs->rename(disk->vfs->context, at(disk, "a"), at(disk, "b")), -ENOENT);
    close_file(disk, open_file(disk, "a", VFS_WRITE | VFS_CREATE));
    assert_int_equal(disk->vfs->size(disk->vfs->context, at(disk, "a"), &size), 0);
    assert_int_equal(size, 0);
}

static void reserving_extends_and_never_shrinks(void **state) {
    const struct disk *disk = *state;
    int file = open_file(disk, "a", VFS_WRITE | VFS_CREATE);
    uint64_t size;
    assert_int_equal(disk->vfs->fallocate(disk->vfs->context, file, 8192), 0);
    assert_int_equal(disk->vfs->size(disk->vfs->context, at(disk, "a"), &size), 0);
    assert_int_equal(size, 8192);
    assert_int_equal(disk->vfs->fallocate(disk->vfs->context, file, 100), 0);
    assert_int_equal(disk->vfs->size(disk->vfs->context, at(disk, "a"), &size), 0);
    assert_int_equal(size, 8192);
    char data[4] = "xxx";
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 4, 8188), 4);
    assert_memory_equal(data, "\0\0\0\0", 4);
    close_file(disk, file);
}

static void renaming_replaces_and_unlinking_leaves_open_files(void **state) {
    const struct disk *disk = *state;
    int a = open_file(disk, "a", VFS_WRITE | VFS_CREATE);
    int b = open_file(disk, "b", VFS_WRITE | VFS_CREATE);
    put(disk, a, "from a", 0);
    put(disk, b, "from b", 0);
    assert_int_equal(disk->vfs->rename(disk->vfs->context, at(disk, "a"), at(disk, "b")), 0);
    assert_int_equal(open_file(disk, "a", VFS_READ), -ENOENT);
    int file = open_file(disk, "b", VFS_READ);
    char data[6];
    assert_int_equal(disk->vfs->pread(disk->vfs->context, file, data, 6, 0), 6);
    assert_memory_equal(data, "from a", 6);
    assert_int_equal(disk->vfs->unlink(disk->vfs->context, at(disk, "b")), 0);
    assert_int_equal(disk->vfs->pread(disk->vfs->context, b, data, 6, 0), 6);
    assert_memory_equal(data, "from b", 6);
    close_file(disk, file);
    close_file(disk, a);
    close_file(disk, b);
}

static void making_a_directory_twice_is_fine(void **state) {
    const struct disk *disk = *state;
    assert_int_equal(disk->vfs->mkdir(disk->vfs->context, at(disk, "d/e")), -ENOENT);
    assert_int_equal(disk->vfs->mkdir(disk->vfs->context, at(disk, "d")), 0);
    assert_int_equal(disk->vfs->mkdir(disk->vfs->context, at(disk, "d")), 0);
    assert_int_equal(disk->vfs->mkdir(disk->vfs->context, at(disk, "d/e")), 0);
    assert_int_equal(disk->vfs->sync_dir(disk->vfs->context, at(disk, "d")), 0);
    assert_int_equal(disk->vfs->sync_dir(disk->vfs->context, at(disk, "f")), -ENOENT);
}

static void note(void *argument, const char *name) {
    FILE *names = argument;
    fprintf(names, "%s ", name);
}

static void the_list_names_every_file_once(void **state) {
    const struct disk *disk = *state;
    char *names = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&names, &length);
    assert_int_equal(disk->vfs->list(disk->vfs->context, at(disk, "none"), note, out), -ENOENT);
    close_file(disk, open_file(disk, "one", VFS_WRITE | VFS_CREATE));
    close_file(disk, open_file(disk, "two", VFS_WRITE | VFS_CREATE));
    assert_int_equal(disk->vfs->list(disk->vfs->context, disk->dir, note, out), 0);
    fclose(out);
    assert_int_equal(length, 8);
    assert_non_null(strstr(names, "one "));
    assert_non_null(strstr(names, "two "));
    free(names);
}

static void a_lock_holds_until_its_file_is_closed(void **state) {
    const struct disk *disk = *state;
    int first = open_file(disk, "lock", VFS_WRITE | VFS_CREATE);
    int second = open_file(disk, "lock", VFS_WRITE | VFS_CREATE);
    assert_int_equal(disk->vfs->lock(disk->vfs->context, first), 0);
    assert_int_equal(disk->vfs->lock(disk->vfs->context, second), -EWOULDBLOCK);
    close_file(disk, first);
    assert_int_equal(disk->vfs->lock(disk->vfs->context, second), 0);
    close_file(disk, second);
}

int main(void) {
#define ON_BOTH(name)                                                                                                  \
    {#name " (operating system)", name, setup_posix, teardown_posix, NULL}, {                                          \
#name " (memory)", name, setup_memory, teardown_memory, NULL                                                   \
    }
    const struct CMUnitTest tests[] = {
        ON_BOTH(what_is_written_is_read),
        ON_BOTH(a_missing_file_is_an_error_unless_created),
        ON_BOTH(reserving_extends_and_never_shrinks),
        ON_BOTH(renaming_replaces_and_unlinking_leaves_open_files),
        ON_BOTH(making_a_directory_twice_is_fine),
        ON_BOTH(the_list_names_every_file_once),
        ON_BOTH(a_lock_holds_until_its_file_is_closed),
    };
    return cmocka_run_group_tests_name("vfs", tests, NULL, NULL);
}
