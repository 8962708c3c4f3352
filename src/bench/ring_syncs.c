/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts and times the writes that the kernel makes durable by itself, which are no
 * calls of fdatasync: the linker leads those who call the node's ring through here.
 */
#include "bench/usage.h"
#include "lashctl/clock.h"
#include "node/ring.h"

void __real_ring_write(struct ring *ring, struct log_write *write, struct job *job);
void __real_ring_finish(struct ring *ring);
void __wrap_ring_write(struct ring *ring, struct log_write *write, struct job *job);
void __wrap_ring_finish(struct ring *ring);

static uint64_t ring_began; /* of the one node of a process, whose loop thread both run on */

void __wrap_ring_write(struct ring *ring, struct log_write *write, struct job *job) {
    ring_began = clock_ns();
    __real_ring_write(ring, write, job);
}

void __wrap_ring_finish(struct ring *ring) {
    if (ring_has_ended(ring))
        sync_ended(ring_began);
    __real_ring_finish(ring);
}
