/* SPDX-License-Identifier: Apache-2.0
 *
 * Contents by number: equal bytes get equal numbers, from 1 on. With each come
 * its hashes under all permutations of the nodes' ids, which are made once.
 */
#ifndef LASH_CHECK_INTERN_H
#define LASH_CHECK_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern;

/* `hashes` numbers are kept with each content. NULL when memory ran out. */
struct intern *intern_new(uint32_t hashes);
void intern_free(struct intern *intern);

/* The number of these bytes; 0 when memory ran out. `*fresh` tells whether they are new: then the caller fills
 * intern_hashes(). */
uint32_t intern_add(struct intern *intern, const void *bytes, size_t size, bool *fresh);

/* The contents of a number, 8-aligned and valid until intern_free. */
const void *intern_get(const struct intern *intern, uint32_t number);
size_t intern_size(const struct intern *intern, uint32_t number);

/* The hashes of a number. */
uint64_t *intern_hashes(struct intern *intern, uint32_t number);

uint32_t intern_count(const struct intern *intern);
size_t intern_memory(const struct intern *intern);

#endif
