/* SPDX-License-Identifier: Apache-2.0
 *
 * Space held back on the store's disk: a file that takes it up, and goes when the
 * database needs it. So what is committed when the disk fills up can still be
 * applied, and read.
 *
 * Threads: one at a time.
 */
#ifndef LASH_STORE_RESERVE_H
#define LASH_STORE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

struct reserve {
    char *path;
    uint64_t bytes; /* 0: nothing is held back */
    bool held;
};

/* Take up the space in `dir`, if there is any: see reserve_take. Errors: LASH_NOMEM. */
int reserve_open(struct reserve *reserve, const char *dir, uint64_t bytes);

/* Hold the space back, if it is not held yet. Errors: LASH_FULL, LASH_IO; then it is not. */
int reserve_take(struct reserve *reserve);

/* Let the space go; whether there was any. */
bool reserve_give(struct reserve *reserve);

/* The file stays, for the next life. */
void reserve_close(struct reserve *reserve);

#endif
