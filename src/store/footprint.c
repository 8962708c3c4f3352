/* SPDX-License-Identifier: Apache-2.0
 *
 * The system tells how much of files is mapped in for the whole process. What that has grown by since the last time is
 * taken for the database's: all else that a server maps is its program and libraries.
 */
#include "store/footprint.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { FOOTPRINT_LINE = 512, FOOTPRINT_STATM = 128 };

/* Bytes of files that are mapped in; 0 when the system does not tell. */
static uint64_t footprint_mapped(const struct footprint *footprint) {
    char text[FOOTPRINT_STATM], *at = text;
    ssize_t size = pread(footprint->statm, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = 0;
    uint64_t pages = 0;
    for (int i = 0; i < 3; i++) /* in all, in memory, of those of files */
        pages = strtoull(at, &at, 10);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Whether a line of /proc/self/maps is of the file; where it is mapped then. */
static bool footprint_is(struct footprint *footprint, const char *line, const struct stat *file) {
    char *at;
    uintptr_t begin = strtoull(line, &at, 16);
    uintptr_t end = *at == '-' ? strtoull(at + 1, &at, 16) : 0;
    at = end > begin && *at ? strchr(at + 1, ' ') : NULL; /* behind what may be done with it */
    if (!at)
        return false;
    (void)strtoull(at, &at, 16); /* the offset */
    unsigned long major_number = strtoul(at, &at, 16);
    unsigned long minor_number = *at == ':' ? strtoul(at + 1, &at, 16) : 0;
    if (strtoull(at, &at, 10) != file->st_ino ||
        makedev((unsigned)major_number, (unsigned)minor_number) != file->st_dev)
        return false;
    footprint->map = (void *)begin;
    footprint->map_bytes = end - begin;
    return true;
}

void footprint_open(struct footprint *footprint, int fd, uint64_t kept, uint64_t rate) {
    int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    *footprint = (struct footprint){.statm = statm, .kept = kept, .rate = rate};
    struct stat file;
    FILE *maps = statm >= 0 && fstat(fd, &file) == 0 ? fopen("/proc/self/maps", "re") : NULL;
    if (!maps)
        return;
    char line[FOOTPRINT_LINE]; /* of a longer one the rest is of no interest, and no line of its own */
    while (fgets(line, sizeof line, maps) && !footprint_is(footprint, line, &file))
        continue;
    fclose(maps);
    footprint->base = footprint_mapped(footprint);
}

void footprint_close(struct footprint *footprint) {
    if (footprint->statm >= 0)
        close(footprint->statm);
    *footprint = (struct footprint){.statm = -1};
}

void footprint_look(struct footprint *footprint) {
    uint64_t mapped = footprint->map ? footprint_mapped(footprint) : 0;
    if (footprint->budget < footprint->map_bytes)
        footprint->budget += footprint->rate;
    if (mapped < footprint->base)
        footprint->base = mapped; /* the system let go of some */
    uint64_t grown = mapped - footprint->base;
    if (grown <= footprint->kept || grown > footprint->budget ||
        madvise(footprint->map, footprint->map_bytes, MADV_DONTNEED))
        return;
    footprint->base = footprint_mapped(footprint);
    footprint->budget = 0;
}
