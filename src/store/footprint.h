/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of the database's file this process has mapped in, and letting go of it.
 *
 * LMDB reads the file through a map. A page that was read once stays mapped, and counts as this process's memory until
 * the system runs short, so that a process would seem as large as its data. The pages belong to the system's cache in any
 * case: they are let go of by unmapping them, stay in that cache, and who reads one again, at the same time too, takes a
 * fault that needs no disk. (LMDB writes through the file, so that no page of the map is ever dirty.)
 *
 * A fault maps 16 pages in and costs some 8 us with its share of the unmapping. So this is done by a budget, and not
 * whenever more is mapped in than there should be: who reads much at random keeps mapped what is needed for that.
 *
 * Threads: one at a time, beside any that read.
 */
#ifndef LASH_STORE_FOOTPRINT_H
#define LASH_STORE_FOOTPRINT_H

#include <stddef.h>
#include <stdint.h>

struct footprint {
    void *map; /* NULL: not known, and left alone */
    size_t map_bytes;
    int statm;       /* open file: what the system says of this process; -1 */
    uint64_t kept;   /* bytes that may stay mapped in */
    uint64_t rate;   /* bytes that may be let go of per look, on an average */
    uint64_t base;   /* bytes of all files that were mapped in right after the last time */
    uint64_t budget; /* bytes that may be let go of now */
};

/* Find where the file `fd` is mapped. Without /proc, or a map, there is nothing to do later. */
void footprint_open(struct footprint *footprint, int fd, uint64_t kept, uint64_t rate);
void footprint_close(struct footprint *footprint);

/* To be called about once a second: let go of what is mapped in if that has become too much and the budget allows it. */
void footprint_look(struct footprint *footprint);

#endif
