/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts and ends in the order of time; see order.h.
 */
#include "linear/order.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/buf.h"

static const struct order_event *sorted_events; /* for qsort, which hands nothing on; the checker has one thread */

static int event_order(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t at = sorted_events[a].time, bt = sorted_events[b].time;
    if (at != bt)
        return at < bt ? -1 : 1;
    /* At one instant, starts come first: the operations are taken for concurrent. */
    if ((a & 1) != (b & 1))
        return (a & 1) ? 1 : -1;
    return a < b ? -1 : a > b;
}

bool order_build(struct order *order, const struct order_span *spans, size_t count) {
    LASH_ASSERT(count < ORDER_NONE / 2);
    *order = (struct order){.head = ORDER_NONE, .events = mem_calloc(2 * count + 1, sizeof *order->events)};
    uint32_t *sorted = mem_calloc(2 * count + 1, sizeof *sorted);
    if (!order->events || !sorted) {
        mem_free(sorted);
        return false;
    }
    size_t used = 0;
    for (uint32_t op = 0; op < count; op++) {
        order->events[(size_t)2 * op].time = spans[op].start;
        sorted[used++] = 2 * op;
        if (spans[op].ended) {
            order->events[(size_t)2 * op + 1].time = spans[op].end;
            sorted[used++] = 2 * op + 1;
            order->ends_left++;
        } else {
            order->events[(size_t)2 * op + 1].next = 2 * op + 1; /* itself: never in the list */
        }
    }
    sorted_events = order->events;
    qsort(sorted, used, sizeof *sorted, event_order);
    order->head = used > 0 ? sorted[0] : ORDER_NONE;
    for (size_t at = 0; at < used; at++) {
        struct order_event *event = &order->events[sorted[at]];
        event->prev = at > 0 ? sorted[at - 1] : ORDER_NONE;
        event->next = at + 1 < used ? sorted[at + 1] : ORDER_NONE;
    }
    mem_free(sorted);
    return true;
}

void order_free(struct order *order) {
    mem_free(order->events);
    order->events = NULL;
}

static void event_remove(struct order *order, uint32_t at) {
    const struct order_event *event = &order->events[at];
    if (event->prev == ORDER_NONE)
        order->head = event->next;
    else
        order->events[event->prev].next = event->next;
    if (event->next != ORDER_NONE)
        order->events[event->next].prev = event->prev;
}

/* Undoes the latest event_remove that is not undone. */
static void event_restore(struct order *order, uint32_t at) {
    const struct order_event *event = &order->events[at];
    if (event->prev == ORDER_NONE)
        order->head = at;
    else
        order->events[event->prev].next = at;
    if (event->next != ORDER_NONE)
        order->events[event->next].prev = at;
}

static bool has_end(const struct order *order, uint32_t op) {
    return order->events[(size_t)2 * op + 1].next != 2 * op + 1;
}

void order_lift(struct order *order, uint32_t op) {
    event_remove(order, 2 * op);
    if (has_end(order, op)) {
        event_remove(order, 2 * op + 1);
        order->ends_left--;
    }
}

void order_unlift(struct order *order, uint32_t op) {
    if (has_end(order, op)) {
        event_restore(order, 2 * op + 1);
        order->ends_left++;
    }
    event_restore(order, 2 * op);
}
