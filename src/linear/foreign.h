/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys that deletions and transactions write, which the register's model leaves out:
 * of such a key its verdict would mean nothing.
 */
#ifndef LASH_LINEAR_FOREIGN_H
#define LASH_LINEAR_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* The keys from `first` on. */
struct foreign_keys {
    char *first;
    char *end;     /* before this one; NULL: `first` alone, or all */
    bool all;      /* that follow */
    uint32_t line; /* that writes them */
};

/* Make it zero before use. */
struct foreign {
    struct foreign_keys *list;
    size_t count;
};

/* Note what a request may write: a put, a deletion, or a transaction. What makes no sense writes nothing. False when
 * memory ran out. */
bool foreign_note(struct foreign *foreign, struct json_object *request, uint32_t line);

/* The line that may write `key`; 0: none. */
uint32_t foreign_line(const struct foreign *foreign, const char *key);

void foreign_free(struct foreign *foreign);

#endif
