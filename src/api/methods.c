/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of methods.
 */
#include "api/methods.h"

#include <string.h>

#include "base/assert.h"
#include "health.pb-c.h"
#include "lash.pb-c.h"
#include "rpc.pb-c.h"

/* What a learner serves, as etcd has it: what needs neither a leader nor a quorum. */
static bool methods_always(const struct call *call) {
    (void)call;
    return true;
}

static bool methods_serializable(const struct call *call) {
    return ((const Etcdserverpb__RangeRequest *)call->message)->serializable;
}

#define METHOD(service, name, request, start)                                                                          \
    { service, name, &request##__descriptor, start, NULL, false }
#define METHOD_OF_LEARNERS(service, name, request, start, by_learner)                                                  \
    { service, name, &request##__descriptor, start, by_learner, false }
/* What a witness serves as well: what needs no data. */
#define METHOD_OF_WITNESSES(service, name, request, start, by_learner)                                                 \
    { service, name, &request##__descriptor, start, by_learner, true }

static const struct call_method methods[] = {
    METHOD_OF_LEARNERS("etcdserverpb.KV", "Range", etcdserverpb__range_request, kv_range, methods_serializable),
    METHOD("etcdserverpb.KV", "Put", etcdserverpb__put_request, kv_put),
    METHOD("etcdserverpb.KV", "DeleteRange", etcdserverpb__delete_range_request, kv_delete_range),
    METHOD("etcdserverpb.KV", "Txn", etcdserverpb__txn_request, kv_txn),
    METHOD("etcdserverpb.KV", "Compact", etcdserverpb__compaction_request, kv_compact),
    METHOD_OF_WITNESSES("etcdserverpb.Maintenance", "Status", etcdserverpb__status_request, maintenance_status,
                        methods_always),
    METHOD("etcdserverpb.Maintenance", "HashKV", etcdserverpb__hash_kvrequest, hash_kv),
    METHOD("etcdserverpb.Maintenance", "MoveLeader", etcdserverpb__move_leader_request, maintenance_move_leader),
    METHOD_OF_LEARNERS("etcdserverpb.Maintenance", "Snapshot", etcdserverpb__snapshot_request, maintenance_snapshot,
                       methods_always),
    METHOD("etcdserverpb.Cluster", "MemberAdd", etcdserverpb__member_add_request, cluster_member_add),
    METHOD_OF_WITNESSES("etcdserverpb.Cluster", "MemberList", etcdserverpb__member_list_request, cluster_member_list,
                        NULL),
    METHOD("etcdserverpb.Cluster", "MemberPromote", etcdserverpb__member_promote_request, cluster_member_promote),
    METHOD("etcdserverpb.Cluster", "MemberRemove", etcdserverpb__member_remove_request, cluster_member_remove),
    METHOD("etcdserverpb.Cluster", "MemberUpdate", etcdserverpb__member_update_request, cluster_member_update),
    METHOD_OF_WITNESSES("grpc.health.v1.Health", "Check", grpc__health__v1__health_check_request, health_check, NULL),
    METHOD_OF_WITNESSES("lash.Observation", "Status", lash__status_request, observation_status, methods_always),
};
_Static_assert(sizeof methods / sizeof *methods <= TALLY_METHODS_MAX, "each method is counted");

size_t methods_count(void) {
    return sizeof methods / sizeof *methods;
}

const struct call_method *methods_at(size_t number) {
    LASH_ASSERT(number < methods_count());
    return &methods[number];
}

size_t methods_number(const struct call_method *method) {
    LASH_ASSERT(method >= methods && method < methods + methods_count());
    return (size_t)(method - methods);
}

const struct call_method *methods_find(const char *service, const char *method, bool *known) {
    *known = false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i].service, service) != 0)
            continue;
        *known = true;
        if (strcmp(methods[i].name, method) == 0)
            return &methods[i];
    }
    return NULL;
}
