/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference-counted buffers.
 */
#include "base/buf.h"

#include <stdatomic.h>

#include "base/assert.h"

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
