/* SPDX-License-Identifier: Apache-2.0
 *
 * One client of the load generator; see chaos_client.h.
 */
#include "chaos_client.h"

#include <stdio.h>
#include <string.h>

#include "lashctl/clock.h"
#include "rpc.pb-c.h"

#define DIAL_MS 1000

void chaos_client_init(struct chaos_client *client, const char *const *endpoints, size_t count, size_t first) {
    *client = (struct chaos_client){.endpoints = endpoints, .count = count, .at = first % count};
}

void chaos_client_close(struct chaos_client *client) {
    grpc_client_close(client->connection);
    client->connection = NULL;
}

/* ---- Calls ---------------------------------------------------------------------------------------- */

ProtobufCMessage *chaos_client_call(struct chaos_client *client, const char *path, const ProtobufCMessage *request,
                                    const ProtobufCMessageDescriptor *type, uint64_t deadline,
                                    struct grpc_status *status) {
    uint64_t dial = clock_after_ms(DIAL_MS);
    if (!client->connection)
        client->connection = grpc_client_open(client->endpoints[client->at], dial < deadline ? dial : deadline, status);
    ProtobufCMessage *response =
        client->connection ? grpc_client_call(client->connection, path, request, type, deadline, status) : NULL;
    /* A failed precondition is what a learner says to everything. */
    bool move = !response && (status->code == GRPC_UNAVAILABLE || status->code == GRPC_DEADLINE_EXCEEDED ||
                              status->code == GRPC_FAILED_PRECONDITION);
    if (move || (client->connection && !grpc_client_usable(client->connection))) {
        chaos_client_close(client);
        client->at = (client->at + 1) % client->count;
    }
    return response;
}

static ProtobufCBinaryData bytes_of(char *text) {
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* What a server refuses by these codes it has not carried out. */
static bool is_refusal(int code) {
    return code == GRPC_INVALID_ARGUMENT || code == GRPC_OUT_OF_RANGE || code == GRPC_UNIMPLEMENTED ||
           code == GRPC_FAILED_PRECONDITION;
}

enum history_outcome chaos_client_outcome(const struct grpc_status *status, bool reads) {
    return !status->sent || reads || is_refusal(status->code) ? HISTORY_FAIL : HISTORY_UNKNOWN;
}

static void op_failed(struct chaos_op *op, const struct grpc_status *status) {
    op->outcome = chaos_client_outcome(status, op->kind == HISTORY_GET);
    op->sent = status->sent;
    (void)snprintf(op->problem, sizeof op->problem, "%.250s", status->message);
}

static void op_saw(struct chaos_op *op, const Etcdserverpb__RangeResponse *range) {
    op->seen_present = range->n_kvs == 1;
    if (range->header)
        op->header = range->header->revision;
    if (!op->seen_present)
        return;
    const Mvccpb__KeyValue *kv = range->kvs[0];
    (void)snprintf(op->seen, sizeof op->seen, "%.*s", (int)kv->value.len, (const char *)kv->value.data);
    op->revision = kv->mod_revision;
}

/* ---- Operations ----------------------------------------------------------------------------------- */

static void do_put(struct chaos_client *client, struct chaos_op *op, uint64_t deadline) {
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    struct grpc_status status;
    request.key = bytes_of(op->key);
    request.value = bytes_of(op->value);
    ProtobufCMessage *message = chaos_client_call(client, "/etcdserverpb.KV/Put", &request.base,
                                                  &etcdserverpb__put_response__descriptor, deadline, &status);
    const Etcdserverpb__PutResponse *response = (const Etcdserverpb__PutResponse *)message;
    if (response)
        op->revision = response->header ? response->header->revision : 0;
    else
        op_failed(op, &status);
    grpc_message_free(message);
}

static void do_get(struct chaos_client *client, struct chaos_op *op, bool serializable, int64_t revision,
                   uint64_t deadline) {
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    struct grpc_status status;
    request.key = bytes_of(op->key);
    request.serializable = serializable;
    request.revision = revision;
    ProtobufCMessage *message = chaos_client_call(client, "/etcdserverpb.KV/Range", &request.base,
                                                  &etcdserverpb__range_response__descriptor, deadline, &status);
    if (message)
        op_saw(op, (const Etcdserverpb__RangeResponse *)message);
    else
        op_failed(op, &status);
    grpc_message_free(message);
}

/* Put `value` if the key holds `expected` (or, expecting nothing, if it was never created); read it otherwise. */
static void do_cas(struct chaos_client *client, struct chaos_op *op, uint64_t deadline) {
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    compare.key = bytes_of(op->key);
    compare.result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__EQUAL;
    if (op->expected_present) {
        compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
        compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE;
        compare.value = bytes_of(op->expected);
    } else {
        compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE;
        compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION;
    }
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    put.key = bytes_of(op->key);
    put.value = bytes_of(op->value);
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    range.key = bytes_of(op->key);
    Etcdserverpb__RequestOp success = ETCDSERVERPB__REQUEST_OP__INIT, failure = ETCDSERVERPB__REQUEST_OP__INIT;
    success.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    success.request_put = &put;
    failure.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    failure.request_range = &range;
    Etcdserverpb__Compare *compares[] = {&compare};
    Etcdserverpb__RequestOp *successes[] = {&success}, *failures[] = {&failure};
    Etcdserverpb__TxnRequest request = ETCDSERVERPB__TXN_REQUEST__INIT;
    request.compare = compares;
    request.success = successes;
    request.failure = failures;
    request.n_compare = request.n_success = request.n_failure = 1;

    struct grpc_status status;
    ProtobufCMessage *message = chaos_client_call(client, "/etcdserverpb.KV/Txn", &request.base,
                                                  &etcdserverpb__txn_response__descriptor, deadline, &status);
    const Etcdserverpb__TxnResponse *response = (const Etcdserverpb__TxnResponse *)message;
    if (!response) {
        op_failed(op, &status);
    } else if (response->succeeded) {
        op->swapped = true;
        op->revision = response->header ? response->header->revision : 0;
    } else if (response->n_responses == 1 &&
               response->responses[0]->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE) {
        op_saw(op, response->responses[0]->response_range);
        op->header = response->header ? response->header->revision : 0;
    }
    grpc_message_free(message);
}

/* ---- What was seen last --------------------------------------------------------------------------- */

static struct chaos_memory *recall(struct chaos_client *client, const char *key) {
    for (size_t at = 0; at < client->remembered; at++)
        if (strcmp(client->memory[at].key, key) == 0)
            return &client->memory[at];
    return NULL;
}

static void remember(struct chaos_client *client, const struct chaos_op *op) {
    struct chaos_memory *memory = recall(client, op->key);
    if (!memory && strncmp(op->key, "register/", 9) == 0 && client->remembered < CHAOS_REMEMBERED)
        memory = &client->memory[client->remembered++];
    if (!memory)
        return;
    bool wrote = op->kind == HISTORY_PUT || op->swapped;
    (void)snprintf(memory->key, sizeof memory->key, "%s", op->key);
    (void)snprintf(memory->value, sizeof memory->value, "%s", wrote ? op->value : op->seen);
    memory->present = wrote || op->seen_present;
}

void chaos_client_do(struct chaos_client *client, struct chaos_op *op, uint64_t deadline) {
    const struct chaos_memory *memory = recall(client, op->key);
    op->expected_present = memory && memory->present;
    (void)snprintf(op->expected, sizeof op->expected, "%s", op->expected_present ? memory->value : "");
    op->outcome = HISTORY_OK;
    op->sent = true;
    op->start = clock_ns();
    if (op->kind == HISTORY_PUT)
        do_put(client, op, deadline);
    else if (op->kind == HISTORY_GET)
        do_get(client, op, false, 0, deadline);
    else
        do_cas(client, op, deadline);
    op->end = clock_ns();
    if (op->outcome == HISTORY_OK)
        remember(client, op);
}

void chaos_client_get_at(struct chaos_client *client, struct chaos_op *op, int64_t revision, uint64_t deadline) {
    op->outcome = HISTORY_OK;
    op->start = clock_ns();
    do_get(client, op, true, revision, deadline);
    op->end = clock_ns();
}
