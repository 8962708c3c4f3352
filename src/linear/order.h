/* SPDX-License-Identifier: Apache-2.0
 *
 * The list that Wing and Gong's search walks: starts and ends of operations in the
 * order of time. An operation that is linearized leaves it, and comes back when
 * that is undone.
 */
#ifndef LASH_LINEAR_ORDER_H
#define LASH_LINEAR_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDER_NONE UINT32_MAX

/* An operation's time. One that has not ended for certain has no end: it may come at any time after its start. */
struct order_span {
    uint64_t start;
    uint64_t end;
    bool ended;
};

/* A place in the list: events 2i and 2i + 1 are the start and the end of operation i. */
struct order_event {
    uint64_t time;
    uint32_t next, prev; /* ORDER_NONE at the ends */
};

struct order {
    struct order_event *events;
    uint32_t head;
    size_t ends_left; /* in the list */
};

/* Make a list of `count` operations. False when memory ran out. */
bool order_build(struct order *order, const struct order_span *spans, size_t count);
void order_free(struct order *order);

static inline bool order_is_end(uint32_t event) {
    return event & 1;
}

/* Take the operation off the list; put back the one that was taken off last. */
void order_lift(struct order *order, uint32_t op);
void order_unlift(struct order *order, uint32_t op);

#endif
