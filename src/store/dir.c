/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking over the store's directory. Whatever moment the power fails at:
 *
 *   before the marker is replaced   it still tells the truth about the session before;
 *                                   deleting its database once more does no harm
 *   after                           it says "open" in a boot that has ended: the database,
 *                                   new, half deleted or half written, is deleted
 *   after a clean close             the database was synced before the marker said so
 */
#include "store/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/logger.h"
#include "store/marker.h"

/* Make the directory and those above it. */
static int dir_make(const char *dir) {
    char *path = mem_strdup(dir);
    if (!path)
        return LASH_NOMEM;
    int failed = 0;
    for (char *at = path + 1; *path && !failed; at++) {
        char end = *at;
        if (end != '/' && end != 0)
            continue;
        *at = 0;
        failed = mkdir(path, 0700) && errno != EEXIST;
        *at = end;
        if (end == 0)
            break;
    }
    int rc = !failed ? LASH_OK : errno == ENOSPC || errno == EDQUOT ? LASH_FULL : LASH_IO;
    mem_free(path);
    return rc;
}

static int dir_lock(const char *dir, int *lock) {
    char *path = marker_path(dir, "store.lock");
    if (!path)
        return LASH_NOMEM;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = file >= 0 ? LASH_OK : errno == ENOSPC || errno == EDQUOT ? LASH_FULL : LASH_IO;
    mem_free(path);
    if (rc == 0 && flock(file, LOCK_EX | LOCK_NB)) {
        rc = errno == EWOULDBLOCK ? LASH_BUSY : LASH_IO;
        close(file);
    }
    *lock = file;
    return rc;
}

/* Delete a file; *existed becomes true if there was one. */
static int dir_delete(const char *dir, const char *name, bool *existed) {
    char *path = marker_path(dir, name);
    if (!path)
        return LASH_NOMEM;
    int rc = LASH_OK;
    if (unlink(path) == 0)
        *existed = true;
    else if (errno != ENOENT)
        rc = LASH_IO;
    mem_free(path);
    return rc;
}

/* Whether what the kernel holds of a database that was not closed gets to the disk. When it could not write some of it
 * before, it has dropped that, and says so now. */
static int dir_sync_database(const char *dir, bool *lost) {
    char *path = marker_path(dir, DIR_DATABASE);
    if (!path)
        return LASH_NOMEM;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    mem_free(path);
    if (file < 0)
        return LASH_OK; /* there is none, or opening it says what is wrong */
    *lost = fdatasync(file) != 0;
    close(file);
    return LASH_OK;
}

/* Delete the database unless the marker vouches for it. */
static int dir_settle(const char *dir) {
    enum marker_state state;
    bool lost = false, existed = false;
    int rc = marker_read(dir, &state);
    if (rc == 0 && state == MARKER_SAME)
        rc = dir_sync_database(dir, &lost);
    if (rc || state == MARKER_CLEAN || (state == MARKER_SAME && !lost))
        return rc;
    rc = dir_delete(dir, DIR_DATABASE, &existed);
    if (rc == 0)
        rc = dir_delete(dir, DIR_DATABASE "-lock", &existed);
    if (rc == 0 && existed)
        log_warn("store: the database cannot be trusted, and is rebuilt from the log", F_STR("dir", dir),
                 F_STR("why", lost                      ? "some of it could not be written to the disk"
                              : state == MARKER_MISSING ? "nothing says how it was closed"
                                                        : "the machine was restarted without a clean close"));
    return rc;
}

int dir_delete_restored(const char *dir) {
    bool existed = false;
    int rc = dir_delete(dir, DIR_RESTORED, &existed);
    int lock = dir_delete(dir, DIR_RESTORED "-lock", &existed);
    return rc ? rc : lock;
}

static const char *dir_advice(int error) {
    switch (error) {
    case LASH_BUSY:
        return "another process has this directory open";
    case LASH_VERSION:
        return "a newer version wrote this directory; start that version";
    default:
        return "check the directory's permissions and the disk";
    }
}

int dir_open(const char *dir, int *lock) {
    *lock = -1;
    int rc = dir_make(dir);
    if (rc == 0)
        rc = dir_lock(dir, lock);
    if (rc == 0) {
        rc = dir_settle(dir);
        if (rc == 0)
            rc = dir_delete_restored(dir);
        /* Even if it says so already: whoever wrote that may not have lived to sync it. */
        if (rc == 0)
            rc = marker_write(dir, false);
        if (rc)
            dir_close(*lock);
    }
    if (rc)
        log_error("store: cannot open the directory", F_STR("dir", dir), F_ERR(rc), F_STR("hint", dir_advice(rc)));
    return rc;
}

void dir_close(int lock) {
    close(lock);
}
