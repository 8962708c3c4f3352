/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests are packed anew for each call from one prepared message, in which only the
 * key changes. Keys come from a generator with a fixed seed, so that two servers get
 * the same ones.
 */
#include "lashctl/kv_load.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lashctl/grpc_header.h"
#include "rpc.pb-c.h"

#define KV_LOAD_SEED 0x9e3779b97f4a7c15u

enum { KV_LOAD_KEY_BYTES = 16 /* "bench/0000000042" */, KV_LOAD_DIGITS = 10 };

/* All parts of all kinds of requests; the kind's own is `message`. */
struct kv_requests {
    size_t keys;
    size_t next_key; /* when filling */
    bool filling;    /* each key once, instead of random ones */
    uint64_t random;
    char key[KV_LOAD_KEY_BYTES + 1];
    const ProtobufCMessage *message;
    Etcdserverpb__PutRequest put;
    Etcdserverpb__RangeRequest range;
    Etcdserverpb__Compare compare;
    Etcdserverpb__RequestOp put_op;
    Etcdserverpb__RequestOp range_op;
    Etcdserverpb__Compare *compares[1];
    Etcdserverpb__RequestOp *success[2];
    Etcdserverpb__RequestOp *failure[1];
    Etcdserverpb__TxnRequest txn;
};

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 16;
}

void kv_load_fill(uint8_t *data, size_t size) {
    uint64_t state = KV_LOAD_SEED;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_next(&state);
}

static void requests_init(struct kv_requests *requests, size_t keys, uint8_t *value, size_t value_bytes) {
    *requests = (struct kv_requests){.keys = keys, .random = KV_LOAD_SEED, .key = "bench/"};
    ProtobufCBinaryData key = {.len = KV_LOAD_KEY_BYTES, .data = (uint8_t *)requests->key};
    etcdserverpb__put_request__init(&requests->put);
    requests->put.key = key;
    requests->put.value = (ProtobufCBinaryData){.len = value_bytes, .data = value};
    etcdserverpb__range_request__init(&requests->range);
    requests->range.key = key;
    etcdserverpb__compare__init(&requests->compare);
    requests->compare.key = key;
    requests->compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE;
    requests->compare.result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__GREATER;
    requests->compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION;
    etcdserverpb__request_op__init(&requests->put_op);
    requests->put_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    requests->put_op.request_put = &requests->put;
    etcdserverpb__request_op__init(&requests->range_op);
    requests->range_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    requests->range_op.request_range = &requests->range;
    requests->compares[0] = &requests->compare;
    requests->success[0] = &requests->put_op;
    requests->success[1] = &requests->range_op;
    requests->failure[0] = &requests->put_op;
    etcdserverpb__txn_request__init(&requests->txn);
    requests->txn.n_compare = 1;
    requests->txn.compare = requests->compares;
    requests->txn.n_success = 2;
    requests->txn.success = requests->success;
    requests->txn.n_failure = 1;
    requests->txn.failure = requests->failure;
}

static size_t requests_next(void *context, uint8_t *to) {
    struct kv_requests *requests = context;
    if (requests->filling && requests->next_key == requests->keys)
        return 0;
    uint64_t number = requests->filling ? requests->next_key++ : random_next(&requests->random) % requests->keys;
    for (size_t at = KV_LOAD_KEY_BYTES; at > KV_LOAD_KEY_BYTES - KV_LOAD_DIGITS; number /= 10)
        requests->key[--at] = (char)('0' + number % 10);
    size_t size = protobuf_c_message_pack(requests->message, to + GRPC_PREFIX_BYTES);
    grpc_prefix_put(to, size);
    return GRPC_PREFIX_BYTES + size;
}

static size_t requests_size(const struct kv_requests *requests) {
    return GRPC_PREFIX_BYTES + protobuf_c_message_get_packed_size(requests->message);
}

static bool run_fill(struct grpc_load *connections, struct kv_requests *requests, struct grpc_load_result *result,
                     char *problem, size_t problem_size) {
    requests->filling = true;
    requests->message = &requests->put.base;
    struct grpc_work work = {.path = "/etcdserverpb.KV/Put",
                             .request_max = requests_size(requests),
                             .context = requests,
                             .next = requests_next};
    struct grpc_load_plan plan = {.context = NULL};
    bool well = grpc_load_run(connections, &work, &plan, result, problem, problem_size);
    if (well && result->failures > 0)
        (void)snprintf(problem, problem_size, "cannot put the keys first: %s", result->failure);
    requests->filling = false;
    return well && result->failures == 0;
}

static bool run_measured(const struct kv_load *load, struct grpc_load *connections, struct kv_requests *requests,
                         struct grpc_load_result *result, char *problem, size_t problem_size) {
    static const char *const paths[] = {[KV_LOAD_PUT] = "/etcdserverpb.KV/Put",
                                        [KV_LOAD_GET] = "/etcdserverpb.KV/Range",
                                        [KV_LOAD_TXN] = "/etcdserverpb.KV/Txn"};
    const ProtobufCMessage *const messages[] = {[KV_LOAD_PUT] = &requests->put.base,
                                                [KV_LOAD_GET] = &requests->range.base,
                                                [KV_LOAD_TXN] = &requests->txn.base};
    requests->message = messages[load->kind];
    struct grpc_work work = {.path = paths[load->kind],
                             .request_max = requests_size(requests),
                             .response_min = GRPC_PREFIX_BYTES + (load->kind == KV_LOAD_GET ? load->value_bytes : 0),
                             .context = requests,
                             .next = requests_next};
    return grpc_load_run(connections, &work, &load->plan, result, problem, problem_size);
}

bool kv_load_run(const struct kv_load *load, struct grpc_load_result *result, char *problem, size_t problem_size) {
    LASH_ASSERT(load->keys > 0);
    struct kv_requests requests;
    struct grpc_load *connections =
        grpc_load_open(load->endpoints, load->endpoint_count, load->connections, load->clients, problem, problem_size);
    if (!connections)
        return false;
    uint8_t *value = mem_alloc(load->value_bytes);
    bool well = value != NULL;
    if (well) {
        kv_load_fill(value, load->value_bytes);
        requests_init(&requests, load->keys, value, load->value_bytes);
        well = (load->kind != KV_LOAD_GET || run_fill(connections, &requests, result, problem, problem_size)) &&
               run_measured(load, connections, &requests, result, problem, problem_size);
    } else {
        (void)snprintf(problem, problem_size, "out of memory");
    }
    grpc_load_close(connections);
    mem_free(value);
    return well;
}
