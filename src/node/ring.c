/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's ring of requests with room for one write. Containers often forbid it.
 */
#include "node/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/logger.h"
#include "lash/error.h"

enum { RING_ENTRIES = 1 };

bool ring_open(struct ring *ring) {
    /* what has ended is looked at in turns of the loop, for which nothing else is to be interrupted */
    int error = io_uring_queue_init(RING_ENTRIES, &ring->kernel, IORING_SETUP_COOP_TASKRUN);
    ring->open = error == 0;
    if (!ring->open)
        log_info("no io_uring: a thread writes the log", F_STR("error", strerror(-error)));
    return ring->open;
}

/* The turn follows at the end of this round of the loop. */
static void ring_woken(uv_poll_t *poll, int status, int events) {
    (void)poll;
    (void)status;
    (void)events;
}

int ring_attach(struct ring *ring, uv_loop_t *loop) {
    if (uv_poll_init(loop, &ring->poll, ring->kernel.ring_fd) != 0)
        return LASH_IO;
    int error = uv_poll_start(&ring->poll, UV_READABLE, ring_woken);
    LASH_ASSERT(!error);
    ring->attached = true;
    return 0;
}

void ring_write(struct ring *ring, struct log_write *write, struct job *job) {
    LASH_ASSERT(!ring->job);
    ring->write = write;
    ring->job = job;
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->kernel);
    LASH_ASSERT(entry);
    io_uring_prep_write(entry, write->file, write->data, (unsigned)write->size, write->offset);
    entry->rw_flags = RWF_DSYNC;
    ring->ended = io_uring_submit(&ring->kernel) != 1;
    if (ring->ended)
        write->result = -EAGAIN;
}

bool ring_refused(const struct ring *ring) {
    return ring->job && ring->ended;
}

bool ring_has_ended(struct ring *ring) {
    struct io_uring_cqe *entry;
    if (ring->job && !ring->ended && io_uring_peek_cqe(&ring->kernel, &entry) == 0) {
        ring->write->result = entry->res;
        io_uring_cqe_seen(&ring->kernel, entry);
        ring->ended = true;
    }
    return ring->job && ring->ended;
}

void ring_finish(struct ring *ring) {
    if (!ring_has_ended(ring))
        return;
    struct job *job = ring->job;
    ring->job = NULL;
    job->done(job);
}

void ring_detach(struct ring *ring) {
    if (ring->attached)
        uv_close((uv_handle_t *)&ring->poll, NULL);
    ring->attached = false;
}

void ring_close(struct ring *ring) {
    LASH_ASSERT(!ring->job);
    if (ring->open)
        io_uring_queue_exit(&ring->kernel);
    ring->open = false;
}
