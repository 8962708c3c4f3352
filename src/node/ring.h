/* SPDX-License-Identifier: Apache-2.0
 *
 * The log's small writes without a thread: the kernel carries them out past its
 * cache (io_uring) and wakes the loop, where a thread that writes has to be woken,
 * and to wake the loop. One write at a time.
 *
 * Threads: the loop thread only, but for ring_open, before there is one, and ring_close, after it.
 */
#ifndef LASH_NODE_RING_H
#define LASH_NODE_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <uv.h>

#include "node/job.h"
#include "storage/log.h"

struct ring {
    bool open;
    bool attached; /* to a loop */
    struct io_uring kernel;
    uv_poll_t poll;
    struct log_write *write; /* the one under way */
    struct job *job;
    bool ended; /* it has ended, or the kernel did not take it */
};

/* Set up a ring. False: the kernel has none for this process, which is no error. */
bool ring_open(struct ring *ring);

/* Wake the loop when a write has ended; its callbacks then call ring_finish. Errors: LASH_IO; then it cannot be used. */
int ring_attach(struct ring *ring, uv_loop_t *loop);

/* Begin a write that is durable when it has ended. */
void ring_write(struct ring *ring, struct log_write *write, struct job *job);

/* Whether it has ended already, for the kernel did not take it: nothing wakes the loop for that, and ring_write is not to be called
 * again. */
bool ring_refused(const struct ring *ring);

/* Whether the write has ended, and is to be let end. */
bool ring_has_ended(struct ring *ring);

/* Let the write end if it has. */
void ring_finish(struct ring *ring);

/* Detach the ring from its loop, which has to run on until that is done; then give it back. No write is under way. */
void ring_detach(struct ring *ring);
void ring_close(struct ring *ring);

#endif
