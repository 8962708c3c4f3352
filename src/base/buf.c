/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation, which tests can make fail at its n-th call, and the
 * reference-counted buffers on top of it.
 */
#include "base/buf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Allocations left until one fails; 0: none will. */
static _Atomic uint64_t mem_countdown;

void mem_fail_after(uint64_t n) {
    atomic_store_explicit(&mem_countdown, n, memory_order_relaxed);
}

/* Several threads may count down at once; exactly one of them sees the last step. */
static bool mem_fails(void) {
    uint64_t left = atomic_load_explicit(&mem_countdown, memory_order_relaxed);
    while (__builtin_expect(left != 0, 0)) {
        if (atomic_compare_exchange_weak_explicit(&mem_countdown, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return left == 1;
    }
    return false;
}

/* Size 0 gives a block too, so that NULL always means that memory ran out. */
void *mem_alloc(size_t size) {
    return mem_fails() ? NULL : malloc(size ? size : 1);
}

void *mem_calloc(size_t count, size_t size) {
    if (mem_fails())
        return NULL;
    return count && size ? calloc(count, size) : calloc(1, 1);
}

void *mem_realloc(void *old, size_t size) {
    return mem_fails() ? NULL : realloc(old, size ? size : 1);
}

void mem_free(void *memory) {
    free(memory);
}

char *mem_strdup(const char *string) {
    LASH_ASSERT(string);
    size_t size = strlen(string) + 1;
    char *copy = mem_alloc(size);
    if (copy)
        memcpy(copy, string, size);
    return copy;
}

struct buf *buf_new(size_t capacity) {
    if (capacity > SIZE_MAX - sizeof(struct buf))
        return NULL;
    struct buf *buf = mem_alloc(sizeof *buf + capacity);
    if (!buf)
        return NULL;
    atomic_init(&buf->references, 1);
    buf->size = 0;
    buf->capacity = capacity;
    return buf;
}

struct buf *buf_ref(struct buf *buf) {
    uint32_t before = atomic_fetch_add_explicit(&buf->references, 1, memory_order_relaxed);
    LASH_ASSERT(before > 0 && before < UINT32_MAX);
    return buf;
}

void buf_unref(struct buf *buf) {
    if (!buf)
        return;
    LASH_ASSERT(buf->size <= buf->capacity);
    /* Release what this thread did with the buffer; the thread that frees it acquires what all others did. From here
     * on the buffer is another's, unless this was the last reference. */
    uint32_t before = atomic_fetch_sub_explicit(&buf->references, 1, memory_order_acq_rel);
    LASH_ASSERT(before > 0);
    if (before == 1)
        mem_free(buf);
}
