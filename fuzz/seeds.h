/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of fuzz_seeds: valid inputs for the targets.
 */
#ifndef LASH_FUZZ_SEEDS_H
#define LASH_FUZZ_SEEDS_H

#include <stddef.h>
#include <stdint.h>

/* Write one input of `target`; the second way puts a head before it. */
void seed_write(const char *target, const void *data, size_t size);
void seed_write_behind(const char *target, const uint8_t *head, size_t head_size, const void *data, size_t size);

void seed_storage(void);  /* frame, log, snapshot, keys, image */
void seed_peers(void);    /* packet, roster, wire, replica */
void seed_requests(void); /* grpc, command, http */

#endif
