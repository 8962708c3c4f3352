/* SPDX-License-Identifier: Apache-2.0
 *
 * The time that the client programs measure with: CLOCK_MONOTONIC, so that
 * deadlines and the recorded histories of several processes on one machine
 * share one scale.
 */
#ifndef LASH_LASHCTL_CLOCK_H
#define LASH_LASHCTL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The moment `ms` milliseconds from now; saturates instead of wrapping. */
static inline uint64_t clock_after_ms(uint64_t ms) {
    uint64_t now = clock_ns();
    return ms > (UINT64_MAX - now) / 1000000u ? UINT64_MAX : now + ms * 1000000u;
}

/* Milliseconds from now until `deadline`, rounded up; 0 when it has passed. */
static inline uint64_t clock_ms_left(uint64_t deadline) {
    uint64_t now = clock_ns();
    return deadline <= now ? 0 : (deadline - now - 1) / 1000000u + 1;
}

#endif
