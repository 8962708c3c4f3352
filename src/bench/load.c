/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram behind a switch, and a count that must come to zero.
 */
#include "bench/load.h"

#include "base/assert.h"
#include "lashctl/clock.h"

bool load_open(struct load *load, struct load_result *result) {
    *load = (struct load){.result = result};
    if (pthread_mutex_init(&load->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&load->drained, NULL) == 0)
        return true;
    (void)pthread_mutex_destroy(&load->mutex);
    return false;
}

void load_join(struct load *load) {
    atomic_fetch_add_explicit(&load->clients, 1, memory_order_relaxed);
}

bool load_ended(struct load *load, uint64_t began, bool well) {
    if (!well) {
        load->result->failures++;
    } else if (atomic_load_explicit(&load->measuring, memory_order_relaxed)) {
        load->result->operations++;
        histogram_add(&load->result->latency, clock_ns() - began);
    }
    if (well && !atomic_load_explicit(&load->stopping, memory_order_relaxed))
        return true;
    (void)pthread_mutex_lock(&load->mutex);
    uint64_t before = atomic_fetch_sub_explicit(&load->clients, 1, memory_order_relaxed);
    LASH_ASSERT(before > 0);
    (void)pthread_cond_signal(&load->drained);
    (void)pthread_mutex_unlock(&load->mutex);
    return false;
}

void load_measure(struct load *load, bool on) {
    uint64_t now = clock_ns();
    if (on)
        load->measured_since = now;
    else
        load->result->measured_ns = now - load->measured_since;
    atomic_store(&load->measuring, on);
}

void load_stop(struct load *load) {
    atomic_store(&load->stopping, true);
    (void)pthread_mutex_lock(&load->mutex);
    while (atomic_load_explicit(&load->clients, memory_order_relaxed) > 0)
        (void)pthread_cond_wait(&load->drained, &load->mutex);
    (void)pthread_mutex_unlock(&load->mutex);
}

void load_close(struct load *load) {
    (void)pthread_cond_destroy(&load->drained);
    (void)pthread_mutex_destroy(&load->mutex);
}
