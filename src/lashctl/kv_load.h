/* SPDX-License-Identifier: Apache-2.0
 *
 * Load on the KV service: puts, gets or transactions of random keys among a fixed
 * number of them, against Lash or any other server of the etcd v3 API.
 */
#ifndef LASH_LASHCTL_KV_LOAD_H
#define LASH_LASHCTL_KV_LOAD_H

#include "lashctl/grpc_load.h"

enum kv_load_kind {
    KV_LOAD_PUT,
    KV_LOAD_GET, /* linearizable; all keys are put first, which is not measured */
    KV_LOAD_TXN, /* if the key exists, put and get it, else put it */
};

struct kv_load {
    enum kv_load_kind kind;
    const char *const *endpoints;
    size_t endpoint_count;
    size_t connections;
    size_t clients;
    size_t keys;        /* how many there are */
    size_t value_bytes; /* of each value */
    struct grpc_load_plan plan;
};

/* Do it; `result` is filled. Returns false with the reason in `problem`, which is empty when plan.tick ended it. Calls that
 * failed are counted in `result` and no reason to return false. */
bool kv_load_run(const struct kv_load *load, struct grpc_load_result *result, char *problem, size_t problem_size);

/* Fill `size` bytes that no disk can compress, the same in each run. */
void kv_load_fill(uint8_t *data, size_t size);

#endif
