/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process has used so far, from its own counters and the kernel's.
 */
#ifndef LASH_BENCH_USAGE_H
#define LASH_BENCH_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lashctl/histogram.h"

struct usage {
    uint64_t cpu_ns;        /* of all threads, in user and kernel mode */
    uint64_t syncs;         /* calls of fdatasync, and writes that the kernel made durable by itself */
    uint64_t waits;         /* voluntary context switches of all threads: each is a system call that had to wait */
    uint64_t max_rss;       /* bytes; the most so far */
    bool io_known;          /* whether the kernel tells what follows */
    uint64_t transfers;     /* system calls that read or wrote: files, sockets, wake-ups */
    uint64_t bytes_written; /* bytes that this process caused to be sent to a disk, whole pages */
};

/* The calling process's usage until now. */
void usage_read(struct usage *usage);

/* Make `usage` what was used since `before`. */
void usage_since(struct usage *usage, const struct usage *before);

/* Add what another process used; max_rss becomes the larger one. */
void usage_add(struct usage *total, const struct usage *usage);

/* How often this process has called fdatasync, or let the kernel make a write durable by itself. */
uint64_t sync_count(void);

/* From now on add how long each of these takes, in nanoseconds, to `latency`; NULL: to nothing. */
void sync_measure(struct histogram *latency);

/* One of them has ended that `began` then (clock_ns). */
void sync_ended(uint64_t began);

#endif
