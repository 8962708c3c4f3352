/* SPDX-License-Identifier: Apache-2.0
 *
 * What is going to happen in a simulated world, in the order of time. Of events
 * at the same moment the one that was planned first comes first.
 */
#ifndef LASH_SIM_QUEUE_H
#define LASH_SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct event {
    uint64_t at_us;
    uint64_t order;    /* given by queue_push */
    uint32_t kind;     /* the owner's */
    uint32_t subject;  /* the owner's: a node, a link, a client */
    uint64_t argument; /* the owner's */
};

struct queue {
    struct event *events; /* a heap of four branches */
    uint64_t count;
    uint64_t capacity;
    uint64_t order; /* given out so far */
};

void queue_free(struct queue *queue);
void queue_push(struct queue *queue, struct event event);

/* Take the next event; false when there is none. */
bool queue_pop(struct queue *queue, struct event *event);

#endif
