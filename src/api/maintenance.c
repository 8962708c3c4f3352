/* SPDX-License-Identifier: Apache-2.0
 *
 * The Maintenance service: Status and MoveLeader.
 */
#include "api/answer.h"

#include <stdio.h>

#include "api/methods.h"
#include "rpc.pb-c.h"

void maintenance_status(struct call *call) {
    struct lash_status status;
    struct store_stats stats;
    if (!call_status(call, &status)) {
        call_fail(call, API_STOPPED);
        return;
    }
    store_stats(call->loop->options->store, &stats);
    struct convert_header header = answer_header(call, stats.revision);
    char version[] = SERVER_VERSION;
    char no_leader[64];
    char *errors[] = {no_leader};
    Etcdserverpb__StatusResponse answer;
    etcdserverpb__status_response__init(&answer);
    snprintf(no_leader, sizeof no_leader, "%s", errors_text(API_NO_LEADER));
    answer.header = convert_make_header(&header, call->arena);
    answer.version = version;
    answer.dbsize = (int64_t)stats.size;
    answer.dbsizeinuse = (int64_t)stats.size_in_use;
    answer.leader = status.raft.leader;
    answer.raftindex = status.raft.commit;
    answer.raftterm = status.raft.term;
    answer.raftappliedindex = status.raft.applied;
    answer.errors = errors;
    answer.n_errors = status.raft.leader == 0 ? 1 : 0;
    answer_with(call, answer.header ? &answer.base : NULL);
}

/* What a transfer's end is to the client; the target is known to be a member by then. */
static enum api_error maintenance_transfer_error(int error) {
    if (error == LASH_NOT_LEADER)
        return API_NOT_LEADER;
    if (error == LASH_INVALID)
        return API_BAD_TRANSFEREE;
    bool failed = error == LASH_NOT_FOUND || error == LASH_BUSY || error == LASH_TIMEOUT || error == LASH_DROPPED;
    return failed ? API_TIMEOUT_TRANSFER : errors_of_node(error);
}

static void maintenance_moved(struct call *call, int error) {
    struct store_stats stats;
    if (error) {
        call_fail(call, maintenance_transfer_error(error));
        return;
    }
    store_stats(call->loop->options->store, &stats);
    struct convert_header header = answer_header(call, stats.revision);
    Etcdserverpb__MoveLeaderResponse answer = ETCDSERVERPB__MOVE_LEADER_RESPONSE__INIT;
    answer.header = convert_make_header(&header, call->arena);
    answer_with(call, answer.header ? &answer.base : NULL);
}

void maintenance_move_leader(struct call *call) {
    uint64_t target = ((const Etcdserverpb__MoveLeaderRequest *)call->message)->targetid;
    struct lash_status status;
    if (!call_status(call, &status))
        call_fail(call, API_STOPPED);
    else if (status.raft.role != LASH_LEADER)
        call_fail(call, API_NOT_LEADER);
    else if (target == 0) /* which the node takes for the best */
        call_fail(call, API_BAD_TRANSFEREE);
    else
        call_transfer(call, target, maintenance_moved);
}
