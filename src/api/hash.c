/* SPDX-License-Identifier: Apache-2.0
 *
 * Maintenance.HashKV: a hash of what this member holds, which a worker computes, for
 * it reads everything. As etcd's it asks nobody else, and waits for nothing.
 */
#include "api/answer.h"
#include "api/methods.h"
#include "base/assert.h"
#include "rpc.pb-c.h"

/* On a worker. */
static void hash_execute(struct call *call) {
    const Etcdserverpb__HashKVRequest *request = (const Etcdserverpb__HashKVRequest *)call->message;
    struct store_hash_kv hash;
    store_hash_kv(call->loop->options->store, request->revision, &hash);
    if (hash.error) {
        call_record(call, errors_of_store(hash.error));
        return;
    }
    struct convert_header header = {.cluster_id = call->loop->options->cluster_id,
                                    .member_id = call->loop->options->member_id,
                                    .revision = hash.revision,
                                    .term = call->term};
    Etcdserverpb__HashKVResponse answer = ETCDSERVERPB__HASH_KVRESPONSE__INIT;
    answer.header = convert_make_header(&header, call->arena);
    answer.hash = hash.hash;
    answer.compact_revision = hash.compact_revision;
    answer.hash_revision = hash.hash_revision;
    if (answer.header)
        call_encode(call, &answer.base);
    else
        call_record(call, API_NO_MEMORY);
}

static void hash_executed(struct call *call, int error) {
    LASH_ASSERT(error == 0);
    call_finish(call);
}

void hash_kv(struct call *call) {
    call->term = answer_header(call, 0).term;
    call_offload(call, hash_execute, hash_executed);
}
