/* SPDX-License-Identifier: Apache-2.0
 *
 * All that the core may use of the C library, for the freestanding build of it:
 * the functions that compilers themselves take for granted.
 */
#ifndef LASH_FREESTANDING_STRING_H
#define LASH_FREESTANDING_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int byte, size_t size);
int memcmp(const void *one, const void *other, size_t size);

#endif
