/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of parts, each of a frame or of some small ones.
 */
#include "node/backlog.h"

#include "base/assert.h"

_Static_assert(BACKLOG_PARTS >= BACKLOG_FRACTION + 2,
               "whole parts up to the bound, one beyond it, and one that is not whole");

void backlog_init(struct backlog *backlog, uint64_t bytes_max) {
    LASH_ASSERT(bytes_max > 0);
    *backlog = (struct backlog){.bytes_max = bytes_max};
}

static struct backlog_part *backlog_part(struct backlog *backlog, uint32_t position) {
    return &backlog->parts[(backlog->head + position) % BACKLOG_PARTS];
}

void backlog_settle(struct backlog *backlog, lash_term term, lash_index commit) {
    if (backlog->term != term) {
        backlog->term = term;
        backlog->count = 0;
        backlog->bytes = 0;
    }
    while (backlog->count > 0 && backlog_part(backlog, 0)->last <= commit) {
        LASH_ASSERT(backlog->bytes >= backlog_part(backlog, 0)->bytes);
        backlog->bytes -= backlog_part(backlog, 0)->bytes;
        backlog->head = (backlog->head + 1) % BACKLOG_PARTS;
        backlog->count--;
    }
}

void backlog_add(struct backlog *backlog, lash_index last, uint64_t bytes) {
    LASH_ASSERT(!backlog_full(backlog));
    backlog->bytes += bytes;
    if (backlog->count > 0) {
        struct backlog_part *newest = backlog_part(backlog, backlog->count - 1);
        LASH_ASSERT(last > newest->last);
        if (newest->bytes < backlog->bytes_max / BACKLOG_FRACTION) {
            newest->last = last;
            newest->bytes += bytes;
            return;
        }
    }
    LASH_ASSERT(backlog->count < BACKLOG_PARTS);
    *backlog_part(backlog, backlog->count++) = (struct backlog_part){.last = last, .bytes = bytes};
}

bool backlog_full(const struct backlog *backlog) {
    return backlog->bytes >= backlog->bytes_max;
}
