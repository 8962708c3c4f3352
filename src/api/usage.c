/* SPDX-License-Identifier: Apache-2.0
 *
 * Linux tells it in files below /proc.
 */
#include "api/usage.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const uint64_t usage_ns = 1000000000;

/* Read the beginning of a file as a string; "" when that fails. */
static void usage_text(const char *path, char *text, size_t size) {
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

/* The number behind `skip` words; false when there is none. */
static bool usage_number(const char *text, unsigned skip, uint64_t *number) {
    for (; skip > 0; skip--) {
        text += strspn(text, " ");
        text += strcspn(text, " ");
    }
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end > text;
}

/* The moment of the machine's start, in seconds since 1970. */
static uint64_t usage_boot(void) {
    char line[256];
    uint64_t boot = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return 0;
    while (boot == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "btime ", 6) == 0 && !usage_number(line, 1, &boot))
            break;
    (void)fclose(file);
    return boot;
}

/* Field 22 of stat, whose second is a name in brackets: ticks from the machine's start to the process'. */
static uint64_t usage_start_ns(void) {
    char text[1024];
    uint64_t ticks;
    usage_text("/proc/self/stat", text, sizeof text);
    const char *behind = strrchr(text, ')');
    long rate = sysconf(_SC_CLK_TCK);
    uint64_t boot = usage_boot();
    if (!behind || rate <= 0 || boot == 0 || !usage_number(behind + 1, 19, &ticks))
        return 0;
    uint64_t per_second = (uint64_t)rate;
    return (boot + ticks / per_second) * usage_ns + ticks % per_second * usage_ns / per_second;
}

/* What it was found to be first: the kernel's moment of the machine's start differs by a second from one look to the next. */
static uint64_t usage_steady_start_ns(void) {
    static _Atomic uint64_t known;
    uint64_t found = usage_start_ns();
    uint64_t none = 0;
    return atomic_compare_exchange_strong(&known, &none, found) ? found : none;
}

static uint64_t usage_open_files(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return 0;
    uint64_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count > 0 ? count - 1 : 0; /* without the one that this took */
}

static uint64_t usage_time_ns(const struct timeval *time) {
    return (uint64_t)time->tv_sec * usage_ns + (uint64_t)time->tv_usec * 1000;
}

void usage_read(struct usage *usage) {
    char text[256];
    uint64_t mapped;
    uint64_t resident;
    struct rusage times;
    struct rlimit files;
    *usage = (struct usage){.start_ns = usage_steady_start_ns(), .open_files = usage_open_files()};
    usage_text("/proc/self/statm", text, sizeof text);
    long page = sysconf(_SC_PAGESIZE);
    if (page > 0 && usage_number(text, 0, &mapped) && usage_number(text, 1, &resident)) {
        usage->virtual_bytes = mapped * (uint64_t)page;
        usage->resident_bytes = resident * (uint64_t)page;
    }
    if (getrusage(RUSAGE_SELF, &times) == 0)
        usage->cpu_ns = usage_time_ns(&times.ru_utime) + usage_time_ns(&times.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        usage->files_max = files.rlim_cur;
}
