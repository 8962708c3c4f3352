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

static const struct call_method methods[] = {
    {"etcdserverpb.KV", "Range", &etcdserverpb__range_request__descriptor, kv_range},
    {"etcdserverpb.KV", "Put", &etcdserverpb__put_request__descriptor, kv_put},
    {"etcdserverpb.KV", "DeleteRange", &etcdserverpb__delete_range_request__descriptor, kv_delete_range},
    {"etcdserverpb.KV", "Txn", &etcdserverpb__txn_request__descriptor, kv_txn},
    {"etcdserverpb.KV", "Compact", &etcdserverpb__compaction_request__descriptor, kv_compact},
    {"etcdserverpb.Maintenance", "Status", &etcdserverpb__status_request__descriptor, maintenance_status},
    {"etcdserverpb.Maintenance", "MoveLeader", &etcdserverpb__move_leader_request__descriptor, maintenance_move_leader},
    {"etcdserverpb.Maintenance", "Snapshot", &etcdserverpb__snapshot_request__descriptor, maintenance_snapshot},
    {"etcdserverpb.Cluster", "MemberList", &etcdserverpb__member_list_request__descriptor, cluster_member_list},
    {"grpc.health.v1.Health", "Check", &grpc__health__v1__health_check_request__descriptor, health_check},
    {"lash.Observation", "Status", &lash__status_request__descriptor, observation_status},
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
