/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing arrays; see room.h.
 */
#include "linear/room.h"

#include "base/buf.h"

void *room_for_one_more(void *array, size_t count, size_t size) {
    if ((count & (count - 1)) != 0)
        return array;
    return mem_realloc(array, (count ? count * 2 : 1) * size);
}
