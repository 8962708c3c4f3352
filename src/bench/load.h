/* SPDX-License-Identifier: Apache-2.0
 *
 * The clients of a run, seen from the thread on which their operations end: what
 * is counted, and when no more are to begin. Each client has one operation
 * outstanding at a time.
 *
 * Threads: load_join and load_ended on one thread at a time; load_measure and
 * load_stop on another.
 */
#ifndef LASH_BENCH_LOAD_H
#define LASH_BENCH_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lashctl/histogram.h"

/* What came of it. */
struct load_result {
    uint64_t operations;       /* that ended well while it was measured */
    uint64_t measured_ns;      /* how long that was */
    _Atomic uint64_t failures; /* at any time, on any thread */
    struct histogram latency;
};

struct load {
    struct load_result *result;
    atomic_bool measuring;
    atomic_bool stopping;
    _Atomic uint64_t clients; /* that have an operation outstanding */
    uint64_t measured_since;
    pthread_mutex_t mutex;
    pthread_cond_t drained; /* `clients` became 0 */
};

/* Errors: false. `result` is all zeros. */
bool load_open(struct load *load, struct load_result *result);

/* A client is about to begin its first operation. */
void load_join(struct load *load);

/* An operation that began at `began` (clock_ns) has ended. Returns whether its client is to begin another one; otherwise
 * the client is gone. */
bool load_ended(struct load *load, uint64_t began, bool well);

/* Count from now on, or no more. */
void load_measure(struct load *load, bool on);

/* Let no operation begin, and wait until all clients are gone. */
void load_stop(struct load *load);

void load_close(struct load *load);

#endif
