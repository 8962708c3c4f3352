/* SPDX-License-Identifier: Apache-2.0
 *
 * The Maintenance service: Status.
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
