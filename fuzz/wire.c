/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of packets between nodes: each has one encoding, so what is decoded
 * and encoded again are the same bytes.
 */
#include "node/wire.h"
#include "fuzz.h"
#include "lash/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wire_head head;
    uint8_t again[WIRE_HEAD_MAX];
    int rc = wire_decode(data, size, &head);
    LASH_ASSERT(rc == LASH_OK || rc == LASH_CORRUPT || rc == LASH_VERSION);
    if (rc)
        return 0;
    LASH_ASSERT(size <= WIRE_HEAD_MAX);
    size_t again_size = wire_encode(&head, again);
    LASH_ASSERT(again_size == size && memcmp(again, data, size) == 0);
    if (head.kind == WIRE_FORWARD_REPLY)
        LASH_ASSERT(head.forward_reply.error < 0);
    if (head.kind == WIRE_MESSAGE)
        LASH_ASSERT(head.message.from == 0 && head.message.to == 0);
    return 0;
}
