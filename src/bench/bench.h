/* SPDX-License-Identifier: Apache-2.0
 *
 * What all benches of lash-bench share: their flags, and how a result is printed.
 */
#ifndef LASH_BENCH_BENCH_H
#define LASH_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/crew.h"

/* The values of flags, in their range; each bench uses those that its help lists. */
struct bench_options {
    int replicas;
    int clients;
    int value;             /* bytes */
    int keys;              /* how many */
    int connections;       /* how many */
    double seconds;        /* measured */
    double warm_up;        /* seconds before that */
    const char *directory; /* NULL: $TMPDIR, or else /var/tmp */
    const char *endpoints; /* separated by commas */
};

/* The benches. Each prints its result, its last line being one JSON object. Returns whether all went well; otherwise it
 * has said on stderr what did not, unless a signal was caught. */
bool bench_commit(const struct bench_options *options);
bool bench_floor(const struct bench_options *options);
bool bench_disk(const struct bench_options *options);
bool bench_put(const struct bench_options *options);
bool bench_get(const struct bench_options *options);
bool bench_txn(const struct bench_options *options);
bool bench_gap(const struct bench_options *options);
bool bench_watch(const struct bench_options *options);

/* Print what a crew of `options->replicas` did. */
void bench_report(const char *name, const struct bench_options *options, const struct crew_result *result);

/* Print the latency part of a JSON object, from a comma on. */
void bench_report_latency(const struct histogram *latency);

/* Nanoseconds as microseconds, for printing. */
double bench_us(uint64_t ns);

#endif
