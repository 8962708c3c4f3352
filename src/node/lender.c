/* SPDX-License-Identifier: Apache-2.0
 *
 * Lending frames: see lender.h.
 */
#include "node/lender.h"

#include "base/assert.h"

void lender_init(struct lender *lender, const struct replica_env *env, struct log *log, uint64_t group,
                 void (*idle)(void *owner), void *owner) {
    *lender = (struct lender){.env = env, .log = log, .group = group, .idle = idle, .owner = owner};
    list_init(&lender->job.link);
}

void lender_free(struct lender *lender) {
    LASH_ASSERT(!lender->busy);
    buf_unref(lender->frame); /* a simulated process can die between a read and its end */
    lender->frame = NULL;
}

void lender_ask(struct lender *lender, lash_id from, const struct wire_head *head) {
    struct lender_ask *place = NULL;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++) {
        struct lender_ask *ask = &lender->asks[i];
        if (ask->peer == from || (ask->peer == 0 && (!place || place->peer != from)))
            place = ask;
    }
    if (place)
        *place = (struct lender_ask){from,
                                     {.index = head->repair.index, .size = head->repair.size, .crc = head->repair.crc}};
}

static void lender_work(struct job *job) {
    struct lender *lender = list_entry(job, struct lender, job);
    struct frame frame;
    lender->error = log_find(lender->log, &lender->serving.damage, &lender->frame);
    if (lender->error)
        return;
    /* What a witness holds is no copy of anything. */
    lender->error = frame_header(lender->frame->data, &frame);
    if (!lender->error && frame.hollow)
        lender->error = LASH_NOT_FOUND;
    if (lender->error) {
        buf_unref(lender->frame);
        lender->frame = NULL;
    }
}

static void lender_done(struct job *job) {
    struct lender *lender = list_entry(job, struct lender, job);
    const struct lender_ask *served = &lender->serving;
    struct wire_head head = {.group = lender->group, .kind = WIRE_REPAIR_REPLY};
    uint8_t data[WIRE_HEAD_MAX];
    head.repair.index = served->damage.index;
    head.repair.size = served->damage.size;
    head.repair.crc = served->damage.crc;
    size_t size = wire_encode(&head, data);
    lender->busy = false;
    /* What gets lost is asked for again. */
    (void)lender->env->send(lender->env->context, served->peer, TRANSPORT_ENTRIES, data, size, &lender->frame,
                            lender->error ? 0 : 1);
    if (!lender->error)
        buf_unref(lender->frame);
    lender->frame = NULL;
    lender->idle(lender->owner);
}

void lender_start(struct lender *lender, enum replica_executor executor) {
    for (size_t i = 1; !lender->busy && i <= LASH_RAFT_MEMBERS_MAX; i++) {
        size_t position = (lender->position + i) % LASH_RAFT_MEMBERS_MAX;
        if (lender->asks[position].peer == 0)
            continue;
        lender->position = position;
        lender->serving = lender->asks[position];
        lender->asks[position].peer = 0;
        lender->busy = true;
        lender->job.work = lender_work;
        lender->job.done = lender_done;
        lender->env->submit(lender->env->context, executor, &lender->job);
    }
}
