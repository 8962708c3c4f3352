/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to hand leadership over (D§3.10): the core does it; what is kept here is
 * who waits for its end. Proposals that come meanwhile are held by the proposer,
 * and go to whoever leads afterwards.
 */
#include "base/assert.h"
#include "base/logger.h"
#include "base/names.h"
#include "node/replica_state.h"

void handover_init(struct replica *replica) {
    list_init(&replica->handover.waiting);
}

void handover_free(struct replica *replica) {
    LASH_ASSERT(list_empty(&replica->handover.waiting));
}

void handover_stepped(const struct replica *replica, const struct lash_raft_status *before) {
    const struct lash_raft_status *now = &replica->status;
    if (now->transfer_to != 0 && before->transfer_to == 0)
        log_info("handing leadership over", F_HEX("to", now->transfer_to),
                 F_STR("why", names_transfers[now->transfer_why]), F_U64("term", now->term), F_HEX("id", now->id));
    else if (now->transfer_to == 0 && before->transfer_to != 0 && now->role == LASH_LEADER)
        log_warn("handing leadership over came to nothing", F_HEX("to", before->transfer_to),
                 F_STR("why", names_transfers[before->transfer_why]), F_U64("term", now->term), F_HEX("id", now->id));
}

/* Ask the core; whoever asks for what is under way already waits for the same. */
static int handover_ask(struct replica *replica, lash_id target) {
    const struct lash_raft_status *status = &replica->status;
    if (status->transfer_to != 0 && (target == 0 || target == status->transfer_to))
        return 0;
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = target;
    return replica_step(replica, &event, NULL, 0);
}

void handover_submit(struct replica *replica, struct request *request) {
    int error = handover_ask(replica, request->target);
    if (error || request->target == replica->options.id)
        request_end(request, error, 0, &replica->ended);
    else
        list_push(&replica->handover.waiting, &request->link);
}

/* What a request that waited ends with: LASH_BUSY when it has to wait on. */
static int handover_end_of(const struct replica *replica, const struct request *request) {
    const struct lash_raft_status *status = &replica->status;
    if (status->role == LASH_LEADER)
        return status->transfer_to != 0 ? LASH_BUSY : LASH_TIMEOUT; /* the core gave up */
    if (status->leader == 0)
        return LASH_BUSY;
    return request->target == 0 || request->target == status->leader ? 0 : LASH_DROPPED;
}

void handover_turn(struct replica *replica) {
    struct list *at = replica->handover.waiting.next;
    while (at != &replica->handover.waiting) {
        struct request *request = list_entry(at, struct request, link);
        at = at->next;
        int error = handover_end_of(replica, request);
        if (error != LASH_BUSY)
            request_end(request, error, 0, &replica->ended);
    }
}
