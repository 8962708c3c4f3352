/* SPDX-License-Identifier: Apache-2.0
 *
 * What a leader has appended and not committed, in bytes: so that proposals are
 * refused when the majority does not keep up, and not only when this node's own
 * disk does not.
 */
#ifndef LASH_NODE_BACKLOG_H
#define LASH_NODE_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lash/raft.h"

/* Each part but the newest is at least a 256th of the bound, so parts never run out. */
enum { BACKLOG_PARTS = 512, BACKLOG_FRACTION = 256 };

struct backlog_part {
    lash_index last; /* of its entries */
    uint64_t bytes;
};

struct backlog {
    struct backlog_part parts[BACKLOG_PARTS]; /* a ring */
    uint32_t head;
    uint32_t count;
    uint64_t bytes; /* of all parts */
    uint64_t bytes_max;
    lash_term term; /* of the leadership that they are of */
};

void backlog_init(struct backlog *backlog, uint64_t bytes_max);

/* The leader of `term` has committed up to `commit`. What an earlier leadership appended does not count. */
void backlog_settle(struct backlog *backlog, lash_term term, lash_index commit);

/* It appended entries up to `last`, of so many bytes; settled, and not full. */
void backlog_add(struct backlog *backlog, lash_index last, uint64_t bytes);

/* Whether no more is to be appended. What is larger than the bound by itself is appended alone. */
bool backlog_full(const struct backlog *backlog);

#endif
