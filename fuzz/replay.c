/* SPDX-License-Identifier: Apache-2.0
 *
 * Gives a fuzz target, where no fuzzer is linked in, the files of its corpus
 * one after the other: usage: fuzz_TARGET FILE-OR-DIRECTORY...
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "fuzz.h"

static size_t replayed;

static int fail(const char *path) {
    (void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    return 1;
}

static int replay_file(const char *path, size_t size) {
    uint8_t *data = mem_alloc(size + 1);
    LASH_ASSERT(data);
    FILE *file = fopen(path, "rbe");
    size_t got = file ? fread(data, 1, size, file) : 0;
    int rc = file && got == size ? 0 : fail(path);
    if (file)
        (void)fclose(file);
    if (rc == 0) {
        /* said first, so that a crash is known by its input */
        (void)fprintf(stderr, "replay: %s\n", path);
        uint8_t *exact = fuzz_copy(data, size);
        (void)LLVMFuzzerTestOneInput(exact, size);
        mem_free(exact);
        replayed++;
    }
    mem_free(data);
    return rc;
}

static int replay(const char *path);

static int replay_directory(const char *path) {
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    int rc = count < 0 ? fail(path) : 0;
    for (int at = 0; at < count; at++) {
        char name[4096];
        (void)snprintf(name, sizeof name, "%s/%s", path, entries[at]->d_name);
        if (rc == 0 && entries[at]->d_name[0] != '.')
            rc = replay(name);
        free(entries[at]);
    }
    free(entries);
    return rc;
}

static int replay(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0)
        return fail(path);
    return S_ISDIR(status.st_mode) ? replay_directory(path) : replay_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv) {
    int rc = 0;
    for (int at = 1; at < argc && rc == 0; at++)
        rc = replay(argv[at]);
    printf("%zu inputs replayed\n", replayed);
    return rc == 0 && replayed > 0 ? 0 : 1;
}
