/* SPDX-License-Identifier: Apache-2.0
 *
 * An fdatasync of this program's own in front of the C library's, which counts and
 * times: so the log of liblash, linked into this program as it is, has its syncs
 * measured without a tracer that would slow it down.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/usage.h"
#include "lashctl/clock.h"

static _Atomic uint64_t count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct histogram *measured; /* guarded by `mutex` */

void sync_ended(uint64_t began) {
    uint64_t took = clock_ns() - began;
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&mutex);
    if (measured)
        histogram_add(measured, took);
    (void)pthread_mutex_unlock(&mutex);
}

/* The parameter has the name that the C library's header gives it. */
int fdatasync(int __fildes) {
    uint64_t began = clock_ns();
    int rc = (int)syscall(SYS_fdatasync, __fildes);
    sync_ended(began);
    return rc;
}

uint64_t sync_count(void) {
    return atomic_load_explicit(&count, memory_order_relaxed);
}

void sync_measure(struct histogram *latency) {
    (void)pthread_mutex_lock(&mutex);
    measured = latency;
    (void)pthread_mutex_unlock(&mutex);
}
