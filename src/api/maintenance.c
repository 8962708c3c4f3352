/* SPDX-License-Identifier: Apache-2.0
 *
 * The Maintenance service: Status and MoveLeader.
 */
#include "api/answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/membership.h"
#include "api/methods.h"
#include "base/assert.h"
#include "rpc.pb-c.h"

/* The errors that a status may show: no leader, and each member whose disk is full. */
enum { STATUS_ERRORS_MAX = LASH_RAFT_MEMBERS_MAX + 1, STATUS_ERROR_SIZE = 64 };

struct maintenance_errors {
    char *list[STATUS_ERRORS_MAX];
    char texts[STATUS_ERRORS_MAX][STATUS_ERROR_SIZE];
    size_t count;
};

static void maintenance_add_error(struct maintenance_errors *errors, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void maintenance_add_error(struct maintenance_errors *errors, const char *format, ...) {
    LASH_ASSERT(errors->count < STATUS_ERRORS_MAX);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(errors->texts[errors->count], STATUS_ERROR_SIZE, format, arguments);
    va_end(arguments);
    errors->list[errors->count] = errors->texts[errors->count];
    errors->count++;
}

/* Alarms as etcd writes them, with the space at the end. A leader knows of everyone's disk, others of their own. */
static void maintenance_errors(struct call *call, const struct lash_raft_status *raft,
                               struct maintenance_errors *errors) {
    errors->count = 0;
    if (raft->leader == 0)
        maintenance_add_error(errors, "%s", errors_text(API_NO_LEADER));
    if (raft->role != LASH_LEADER && raft->full)
        maintenance_add_error(errors, "memberID:%" PRIu64 " alarm:NOSPACE ", call->loop->options->member_id);
    for (uint32_t i = 0; i < raft->progress_count; i++)
        if (raft->progress[i].full)
            maintenance_add_error(errors, "memberID:%" PRIu64 " alarm:NOSPACE ", raft->progress[i].id);
}

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
    struct maintenance_errors errors;
    Etcdserverpb__StatusResponse answer;
    etcdserverpb__status_response__init(&answer);
    maintenance_errors(call, &status.raft, &errors);
    answer.header = convert_make_header(&header, call->arena);
    answer.version = version;
    answer.dbsize = (int64_t)stats.size;
    answer.dbsizeinuse = (int64_t)stats.size_in_use;
    answer.leader = status.raft.leader;
    answer.raftindex = status.raft.commit;
    answer.raftterm = status.raft.term;
    answer.raftappliedindex = status.raft.applied;
    answer.errors = errors.list;
    answer.n_errors = errors.count;
    answer.islearner = membership_is_learner(&status.raft);
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
