/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed pieces of work whose instructions bench/guard.py counts. Each does `times`
 * of the same, so that what two counts differ by is that work alone.
 */
#ifndef LASH_TEST_GUARD_WORKLOADS_H
#define LASH_TEST_GUARD_WORKLOADS_H

#include <stddef.h>

enum { WORKLOAD_VALUE = 256 /* bytes of an entry */ };

/* The core alone, three of them: one entry proposed, written, sent, committed and applied everywhere. */
void workload_core(size_t times);

/* A put through the API, one after another, from the socket to the store and back. */
void workload_put(size_t times);

/* Linearizable gets of one key through the API, 64 at a time. */
void workload_get(size_t times);

#endif
