/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte buffers with reference counts, which travel between threads: filled once
 * by their maker, then read-only and shared by the log, the peers' queues and
 * the apply thread.
 */
#ifndef LASH_BASE_BUF_H
#define LASH_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    _Atomic uint32_t references;
    size_t size;     /* bytes used */
    size_t capacity; /* bytes allocated behind data */
    uint8_t data[];
};

/* A buffer of `capacity` bytes, size 0, one reference; NULL when memory ran out. Contents are uninitialised. */
struct buf *buf_new(size_t capacity);

/* One reference more; returns `buf`. Any thread. */
struct buf *buf_ref(struct buf *buf);

/* One reference less; the last frees it. NULL is allowed. Any thread. */
void buf_unref(struct buf *buf);

/* Make the n-th allocation from now on fail once (tests only; 0: never). All of Lash's allocations go through these. */
void mem_fail_after(uint64_t n);
void *mem_alloc(size_t size);                /* NULL when memory ran out */
void *mem_calloc(size_t count, size_t size); /* zeroed */
void *mem_realloc(void *old, size_t size);   /* old stays valid on failure */
void mem_free(void *memory);
char *mem_strdup(const char *string);

#endif
