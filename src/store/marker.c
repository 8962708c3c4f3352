/* SPDX-License-Identifier: Apache-2.0
 *
 * The marker file, a line of text: "lash-store 1 open BOOT-ID" or "lash-store 1 clean -".
 * It is written beside its place, synced, and renamed, so that it is whole at any time.
 */
#include "store/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "lash/error.h"

enum { MARKER_FORMAT = 1, MARKER_BYTES = 128, MARKER_BOOT_BYTES = 64 };

static const char marker_boot_path[] = "/proc/sys/kernel/random/boot_id";

static int marker_error(void) {
    return errno == ENOSPC || errno == EDQUOT ? LASH_FULL : errno == ENOMEM ? LASH_NOMEM : LASH_IO;
}

char *marker_path(const char *dir, const char *name) {
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = mem_alloc(size);
    if (path)
        snprintf(path, size, "%s/%s", dir, name);
    return path;
}

/* Read a small file as a string without its final newline. Errors: LASH_NOT_FOUND, LASH_IO. */
static int marker_read_file(const char *path, char *text, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? LASH_NOT_FOUND : LASH_IO;
    ssize_t count;
    do
        count = read(file, text, size - 1);
    while (count < 0 && errno == EINTR);
    close(file);
    if (count < 0)
        return LASH_IO;
    text[count] = 0;
    text[strcspn(text, "\n")] = 0;
    return LASH_OK;
}

/* The id of this boot. False when the system does not tell: then no boot is the same as any other. */
static bool marker_boot(char *boot) {
    if (marker_read_file(marker_boot_path, boot, MARKER_BOOT_BYTES) == LASH_OK && boot[0] && !strchr(boot, ' '))
        return true;
    snprintf(boot, MARKER_BOOT_BYTES, "unknown");
    return false;
}

static enum marker_state marker_parse(const char *how, const char *boot) {
    char here[MARKER_BOOT_BYTES];
    if (strcmp(how, "clean") == 0)
        return MARKER_CLEAN;
    if (strcmp(how, "open") != 0)
        return MARKER_MISSING;
    return marker_boot(here) && strcmp(boot, here) == 0 ? MARKER_SAME : MARKER_OTHER;
}

int marker_read(const char *dir, enum marker_state *state) {
    *state = MARKER_MISSING;
    char *path = marker_path(dir, "store.state");
    if (!path)
        return LASH_NOMEM;
    char text[MARKER_BYTES], number[11], how[8], boot[MARKER_BOOT_BYTES];
    int rc = marker_read_file(path, text, sizeof text);
    mem_free(path);
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_OK : rc;
    if (sscanf(text, "lash-store %10[0-9] %7s %63s", number, how, boot) != 3)
        return LASH_OK;
    unsigned long format = strtoul(number, NULL, 10);
    if (format == 0)
        return LASH_OK;
    if (format > MARKER_FORMAT)
        return LASH_VERSION;
    *state = marker_parse(how, boot);
    return LASH_OK;
}

/* Write and sync a new file. */
static int marker_write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return marker_error();
    size_t size = strlen(text);
    ssize_t count;
    do
        count = write(file, text, size);
    while (count < 0 && errno == EINTR);
    int rc = LASH_OK;
    if (count < 0 || fsync(file))
        rc = marker_error();
    else if ((size_t)count < size)
        rc = LASH_FULL;
    close(file);
    return rc;
}

int marker_sync_dir(const char *dir) {
    int file = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return marker_error();
    int rc = fsync(file) ? marker_error() : LASH_OK;
    close(file);
    return rc;
}

int marker_write(const char *dir, bool clean) {
    char text[MARKER_BYTES], boot[MARKER_BOOT_BYTES] = "-";
    if (!clean)
        marker_boot(boot);
    snprintf(text, sizeof text, "lash-store %d %s %s\n", MARKER_FORMAT, clean ? "clean" : "open", boot);
    char *path = marker_path(dir, "store.state");
    char *temporary = marker_path(dir, "store.state.new");
    int rc = path && temporary ? marker_write_file(temporary, text) : LASH_NOMEM;
    if (rc == 0 && rename(temporary, path))
        rc = marker_error();
    if (rc == 0)
        rc = marker_sync_dir(dir);
    mem_free(path);
    mem_free(temporary);
    return rc;
}

int marker_remove(const char *dir) {
    char *path = marker_path(dir, "store.state");
    if (!path)
        return LASH_NOMEM;
    int rc = unlink(path) && errno != ENOENT ? LASH_IO : marker_sync_dir(dir);
    mem_free(path);
    return rc;
}
