/* SPDX-License-Identifier: Apache-2.0
 *
 * Arrays that grow by one element at a time.
 */
#ifndef LASH_LINEAR_ROOM_H
#define LASH_LINEAR_ROOM_H

#include <stddef.h>

/* An array of `count` elements, `size` bytes each, with room for one more: it may have moved. NULL when memory ran out; the
 * old one is then as it was. Room is doubled whenever the count is a power of two, so no other number is needed. */
void *room_for_one_more(void *array, size_t count, size_t size);

#endif
