/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of the log: each has one encoding, so what is decoded and encoded
 * again are the same bytes; and a command cannot make the decoder ask for
 * more memory than a multiple of its own size.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "lash/error.h"
#include "store/store.h"

static void check_ranges_only_inside(const struct store_op *op) {
    LASH_ASSERT(op->type != STORE_RANGE);
    bool reads = store_is_read(op);
    LASH_ASSERT(!reads || op->type == STORE_TXN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct store_op op;
    struct store_arena *arena;
    uint8_t *again;
    size_t again_size;
    int rc = store_decode(data, size, &op, &arena);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_VERSION);
    if (rc) {
        LASH_ASSERT(!arena);
        return 0;
    }
    check_ranges_only_inside(&op);
    enum store_error refusal = store_check(&op, 128);
    LASH_ASSERT(refusal <= STORE_INVALID_REQUEST && store_strerror(refusal));
    LASH_ASSERT(refusal == store_check(&op, 128));
    rc = store_encode(&op, &again, &again_size);
    LASH_ASSERT(rc == LASH_OK);
    LASH_ASSERT(again_size == size && memcmp(again, data, size) == 0);
    mem_free(again);
    store_arena_free(arena);
    return 0;
}
