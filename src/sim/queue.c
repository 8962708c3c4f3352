/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap of events with four branches a level: fewer levels than with two, and
 * the four lie side by side.
 */
#include "sim/queue.h"

#include <string.h>

#include "sim/memory.h"

enum { QUEUE_BRANCHES = 4 };

void queue_free(struct queue *queue) {
    memory_free(queue->events);
    memset(queue, 0, sizeof *queue);
}

static bool queue_before(const struct event *a, const struct event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void queue_push(struct queue *queue, struct event event) {
    queue->events = memory_room(queue->events, &queue->capacity, queue->count + 1, sizeof event);
    event.order = queue->order++;
    uint64_t at = queue->count++;
    while (at > 0) {
        uint64_t parent = (at - 1) / QUEUE_BRANCHES;
        if (!queue_before(&event, &queue->events[parent]))
            break;
        queue->events[at] = queue->events[parent];
        at = parent;
    }
    queue->events[at] = event;
}

/* The earliest of the branches of `at`, or `at` itself when it has none. */
static uint64_t queue_earliest(const struct queue *queue, uint64_t at) {
    uint64_t first = at * QUEUE_BRANCHES + 1;
    if (first >= queue->count)
        return at;
    uint64_t end = first + QUEUE_BRANCHES < queue->count ? first + QUEUE_BRANCHES : queue->count;
    uint64_t earliest = first;
    for (uint64_t i = first + 1; i < end; i++)
        if (queue_before(&queue->events[i], &queue->events[earliest]))
            earliest = i;
    return earliest;
}

bool queue_pop(struct queue *queue, struct event *event) {
    if (queue->count == 0)
        return false;
    *event = queue->events[0];
    struct event last = queue->events[--queue->count];
    uint64_t at = 0;
    for (;;) {
        uint64_t next = queue_earliest(queue, at);
        if (next == at || !queue_before(&queue->events[next], &last))
            break;
        queue->events[at] = queue->events[next];
        at = next;
    }
    if (queue->count > 0)
        queue->events[at] = last;
    return true;
}
