/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver of one core: hands it an event, carries out what it says, and judges
 * what one node's step shows.
 */
#ifndef LASH_CHECK_DRIVER_H
#define LASH_CHECK_DRIVER_H

#include "check/core.h"
#include "check/intern.h"
#include "check/model.h"

#define DRIVER_SENDS_MAX 24
#define DRIVER_ANSWERS_MAX MODEL_READS_MAX

/* One step being made. */
struct driver {
    /* Given. */
    const struct model_bounds *bounds;
    enum model_fault fault;
    struct cores *cores;
    struct intern *messages;
    uint32_t (*message_number)(void *context, const struct model_message *message); /* 0: memory ran out */
    void *context;
    uint32_t event;           /* replica.h */
    struct lash_raft *raft;   /* stepped in place */
    struct model_node before; /* the node before the step */
    const struct model_message *delivered;

    /* Made. */
    struct model_node node; /* after the step */
    uint32_t sends[DRIVER_SENDS_MAX];
    uint32_t send_count;
    uint32_t answers[DRIVER_ANSWERS_MAX]; /* REPLICA_ANSWER each */
    uint32_t answer_count;
    uint32_t durable; /* writes that this step made durable: the core's numbers count from before them */
    bool possible;    /* the event can happen */
    bool clipped;     /* it is beyond the bound on writes */
    bool no_memory;
    struct model_verdict verdict;
};

/* Make the step. Afterwards the core is as the event left it, not yet in canonical form. */
void driver_run(struct driver *driver);

#endif
