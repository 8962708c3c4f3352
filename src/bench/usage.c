/* SPDX-License-Identifier: Apache-2.0
 *
 * Usage from getrusage, the process's CPU clock and /proc/self/io.
 */
#include "bench/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* The kernel may lack /proc/self/io or keep it to itself. */
static void read_io(struct usage *usage) {
    FILE *file = fopen("/proc/self/io", "re");
    if (!file)
        return;
    char line[64];
    unsigned found = 0;
    while (fgets(line, sizeof line, file)) {
        const char *number = strchr(line, ' ');
        uint64_t value = number ? strtoull(number, NULL, 10) : 0;
        if (strncmp(line, "syscr:", 6) == 0 || strncmp(line, "syscw:", 6) == 0)
            usage->transfers += value;
        else if (strncmp(line, "write_bytes:", 12) == 0)
            usage->bytes_written = value;
        else
            continue;
        found++;
    }
    (void)fclose(file);
    usage->io_known = found == 3;
}

void usage_read(struct usage *usage) {
    struct rusage self;
    struct timespec cpu;
    (void)getrusage(RUSAGE_SELF, &self);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    *usage = (struct usage){
        .cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec,
        .syncs = sync_count(),
        .waits = (uint64_t)self.ru_nvcsw,
        .max_rss = (uint64_t)self.ru_maxrss * 1024,
    };
    read_io(usage);
}

void usage_since(struct usage *usage, const struct usage *before) {
    usage->cpu_ns -= before->cpu_ns;
    usage->syncs -= before->syncs;
    usage->waits -= before->waits;
    usage->io_known = usage->io_known && before->io_known;
    usage->transfers -= before->transfers;
    usage->bytes_written -= before->bytes_written;
}

void usage_add(struct usage *total, const struct usage *usage) {
    total->cpu_ns += usage->cpu_ns;
    total->syncs += usage->syncs;
    total->waits += usage->waits;
    total->max_rss = usage->max_rss > total->max_rss ? usage->max_rss : total->max_rss;
    total->io_known = total->io_known && usage->io_known;
    total->transfers += usage->transfers;
    total->bytes_written += usage->bytes_written;
}
