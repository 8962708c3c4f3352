/* SPDX-License-Identifier: Apache-2.0
 *
 * An fdatasync of this program's own in front of the C library's, which counts:
 * so the log of liblash, linked into this program as it is, has its syncs counted
 * without a tracer that would slow it down.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/usage.h"

static _Atomic uint64_t count;

int fdatasync(int file) {
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return (int)syscall(SYS_fdatasync, file);
}

uint64_t sync_count(void) {
    return atomic_load_explicit(&count, memory_order_relaxed);
}
