/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated world's own memory. It does not come from base/buf.h, whose
 * allocations the simulator lets fail for the programs that it runs; a world
 * without memory cannot go on.
 */
#ifndef LASH_SIM_MEMORY_H
#define LASH_SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory; the process ends without it. Freed with free. */
void *memory_new(size_t count, size_t size);

/* Room for `count` elements of `size` bytes in `array`, of which `*capacity` are there; new ones are zero. */
void *memory_room(void *array, uint64_t *capacity, uint64_t count, size_t size);

void memory_free(void *memory);

#endif
