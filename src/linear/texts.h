/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts by number: each different text gets the next one.
 */
#ifndef LASH_LINEAR_TEXTS_H
#define LASH_LINEAR_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make it zero before use. */
struct texts {
    char **list; /* by number */
    size_t count;
    uint32_t *slots;
    size_t capacity; /* of the slots: a power of two, or 0 */
};

/* The number of `text`, new or old, in *number. False when memory ran out. */
bool texts_number(struct texts *texts, const char *text, uint32_t *number);

/* Number all texts anew, by their bytes; ranks[old number] is the new one. False when memory ran out. */
bool texts_sort(struct texts *texts, uint32_t *ranks);

void texts_free(struct texts *texts);

#endif
