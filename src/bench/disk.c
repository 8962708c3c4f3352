/* SPDX-License-Identifier: Apache-2.0
 *
 * What one write to the disk and one way over the network and back cost here: the
 * two things that no replicated log can do without.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/scratch.h"
#include "lashctl/clock.h"
#include "lashctl/kv_load.h"

enum { DISK_FILE_BYTES = 32 << 20, DISK_SECTOR = 512, DISK_WRITE_MAX = 4096, TRIP_BYTES = 64 };

/* ---- Syncs ----------------------------------------------------------------------------------------- */

/* A way to write: how many bytes, and into what. */
struct disk_way {
    const char *name;
    const char *text;
    size_t size;
    bool zeroed; /* the file's blocks were written once before */
};

static const struct disk_way disk_ways[] = {
    {"append_256", "256 bytes, the file written before", 256, true},
    {"append_4096", "4096 bytes, the file written before", 4096, true},
    {"append_256_fresh", "256 bytes, the file only reserved", 256, false},
    {"append_4096_fresh", "4096 bytes, the file only reserved", 4096, false},
};
enum { DISK_WAYS = sizeof disk_ways / sizeof disk_ways[0] };

static bool disk_measure(const struct scratch *scratch, const struct disk_way *way, double seconds,
                         struct histogram *latency) {
    static uint8_t data[DISK_WRITE_MAX];
    kv_load_fill(data, sizeof data);
    int file = scratch_file(scratch, way->name, DISK_FILE_BYTES, way->zeroed);
    if (file < 0)
        return false;
    uint64_t step = (way->size + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR;
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);
    bool well = true;
    /* a fresh file is over when all of it was written once */
    for (uint64_t at = 0; well && clock_ns() < end && !interrupt_signal(); at += step) {
        if (at + step > DISK_FILE_BYTES && !way->zeroed)
            break;
        at = at + step > DISK_FILE_BYTES ? 0 : at;
        uint64_t began = clock_ns();
        well = pwrite(file, data, way->size, (off_t)at) == (ssize_t)way->size && fdatasync(file) == 0;
        histogram_add(latency, clock_ns() - began);
    }
    if (!well)
        (void)fprintf(stderr, "lash-bench: cannot write to %s: %s\n", scratch->path, strerror(errno));
    (void)close(file);
    return well && !interrupt_signal();
}

/* ---- Round trips ----------------------------------------------------------------------------------- */

static bool whole(int connection, uint8_t *data, bool out) {
    for (size_t done = 0; done < TRIP_BYTES;) {
        ssize_t size = out ? send(connection, data + done, TRIP_BYTES - done, MSG_NOSIGNAL)
                           : recv(connection, data + done, TRIP_BYTES - done, 0);
        if (size <= 0)
            return false;
        done += (size_t)size;
    }
    return true;
}

/* Two ends of a TCP connection over loopback. */
static bool trip_connect(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[1] = -1;
    if (listener >= 0 && ends[0] >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
        connect(ends[0], (struct sockaddr *)&address, size) == 0)
        ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bool well = ends[1] >= 0;
    for (int i = 0; well && i < 2; i++)
        well = setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
    if (listener >= 0)
        (void)close(listener);
    return well;
}

static void trip_echo(int connection) {
    uint8_t data[TRIP_BYTES];
    while (whole(connection, data, false) && whole(connection, data, true))
        continue;
}

static bool trip_measure(double seconds, struct histogram *latency) {
    int ends[2];
    bool well = trip_connect(ends);
    (void)fflush(NULL);
    pid_t pid = well ? crew_fork() : -1;
    if (pid == 0) {
        (void)close(ends[0]);
        trip_echo(ends[1]);
        _exit(0);
    }
    if (ends[1] >= 0)
        (void)close(ends[1]);
    well = pid > 0;
    uint8_t data[TRIP_BYTES] = {0};
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);
    while (well && clock_ns() < end && !interrupt_signal()) {
        uint64_t began = clock_ns();
        well = whole(ends[0], data, true) && whole(ends[0], data, false);
        histogram_add(latency, clock_ns() - began);
    }
    if (!well && !interrupt_signal())
        perror("lash-bench: no way over loopback and back");
    if (ends[0] >= 0)
        (void)close(ends[0]);
    if (pid > 0)
        crew_end(pid);
    return well && !interrupt_signal();
}

/* ---- Both ------------------------------------------------------------------------------------------ */

static void disk_print(const struct histogram *ways, const struct histogram *trip) {
    for (int i = 0; i < DISK_WAYS; i++)
        printf("write and fdatasync, %-36s 50 %% within %6.0f us, 99 %% within %6.0f us\n", disk_ways[i].text,
               bench_us(histogram_quantile(&ways[i], 0.5)), bench_us(histogram_quantile(&ways[i], 0.99)));
    printf("loopback round trip, %-36s 50 %% within %6.0f us, 99 %% within %6.0f us\n", "64 bytes",
           bench_us(histogram_quantile(trip, 0.5)), bench_us(histogram_quantile(trip, 0.99)));
    printf("{\"bench\": \"disk\"");
    for (int i = 0; i < DISK_WAYS; i++)
        printf(", \"%s_p50_us\": %.1f, \"%s_p99_us\": %.1f", disk_ways[i].name,
               bench_us(histogram_quantile(&ways[i], 0.5)), disk_ways[i].name,
               bench_us(histogram_quantile(&ways[i], 0.99)));
    printf(", \"round_trip_p50_us\": %.1f, \"round_trip_p99_us\": %.1f}\n", bench_us(histogram_quantile(trip, 0.5)),
           bench_us(histogram_quantile(trip, 0.99)));
}

bool bench_disk(const struct bench_options *options) {
    static struct histogram ways[DISK_WAYS];
    static struct histogram trip;
    struct scratch scratch;
    if (!scratch_make(&scratch, options->directory))
        return false;
    double seconds = options->seconds / (DISK_WAYS + 1);
    bool well = trip_measure(seconds, &trip);
    for (int i = 0; well && i < DISK_WAYS; i++)
        well = disk_measure(&scratch, &disk_ways[i], seconds, &ways[i]);
    scratch_remove(&scratch);
    if (well)
        disk_print(ways, &trip);
    return well;
}
