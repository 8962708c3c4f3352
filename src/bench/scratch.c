/* SPDX-License-Identifier: Apache-2.0
 *
 * A run's directory, its files, and its early end.
 */
#include "bench/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { SCRATCH_FILES_OPEN_MAX = 16 /* while removing */, SCRATCH_ZEROS = 1 << 20 };

static volatile sig_atomic_t caught;

/* ---- The directory ------------------------------------------------------------------------------- */

bool scratch_make(struct scratch *scratch, const char *base) {
    const char *chosen = base ? base : getenv("TMPDIR");
    if (!chosen || !*chosen)
        chosen = "/var/tmp";
    int size = snprintf(scratch->path, sizeof scratch->path, "%s/lash-bench-XXXXXX", chosen);
    /* room for the names of files in it */
    if (size < 0 || (size_t)size + 64 > sizeof scratch->path) {
        (void)fprintf(stderr, "lash-bench: the name of the directory is too long\n");
        return false;
    }
    if (!mkdtemp(scratch->path)) {
        (void)fprintf(stderr, "lash-bench: cannot make a directory in %s: %s\n", chosen, strerror(errno));
        return false;
    }
    struct statfs file_system;
    if (statfs(scratch->path, &file_system) == 0 &&
        (file_system.f_type == TMPFS_MAGIC || file_system.f_type == RAMFS_MAGIC))
        (void)fprintf(stderr, "lash-bench: warning: %s is in memory, so that syncs cost nothing; see --dir\n", chosen);
    return true;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status, (void)type, (void)at;
    return remove(path);
}

void scratch_remove(const struct scratch *scratch) {
    if (nftw(scratch->path, remove_one, SCRATCH_FILES_OPEN_MAX, FTW_DEPTH | FTW_PHYS) != 0)
        (void)fprintf(stderr, "lash-bench: cannot remove %s: %s\n", scratch->path, strerror(errno));
}

static bool write_zeros(int file, uint64_t size) {
    static const char zeros[SCRATCH_ZEROS];
    for (uint64_t at = 0; at < size;) {
        size_t part = size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros;
        ssize_t written = pwrite(file, zeros, part, (off_t)at);
        if (written < 0 && errno != EINTR)
            return false;
        at += written > 0 ? (uint64_t)written : 0;
    }
    return fsync(file) == 0;
}

int scratch_file(const struct scratch *scratch, const char *name, uint64_t size, bool zeroed) {
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", scratch->path, name);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error = file < 0 ? errno : posix_fallocate(file, 0, (off_t)size);
    if (!error && (zeroed ? !write_zeros(file, size) : fsync(file) != 0))
        error = errno;
    if (!error)
        return file;
    (void)fprintf(stderr, "lash-bench: cannot make %s: %s\n", path, strerror(error));
    if (file >= 0)
        (void)close(file);
    return -1;
}

/* ---- Interruption -------------------------------------------------------------------------------- */

static void interrupted(int number) {
    caught = number;
}

void interrupt_catch(void) {
    struct sigaction action = {.sa_handler = interrupted};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

int interrupt_signal(void) {
    return caught;
}
