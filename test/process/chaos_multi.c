/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on several keys at once; see chaos_multi.h.
 */
#include "chaos_multi.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lashctl/clock.h"
#include "rpc.pb-c.h"

enum { KEYS = CHAOS_MULTI_KEYS, OPS_MAX = 8, COMPARES_MAX = 3, LIST_MAX = 3 };

/* A request with everything that it points to. */
struct request {
    Etcdserverpb__RequestOp op; /* the request itself */
    Etcdserverpb__RequestOp inner;
    Etcdserverpb__RequestOp ops[OPS_MAX];
    union {
        Etcdserverpb__PutRequest put;
        Etcdserverpb__RangeRequest range;
        Etcdserverpb__DeleteRangeRequest deletion;
    } bodies[OPS_MAX];
    size_t used;
    Etcdserverpb__TxnRequest txns[2]; /* the outer and the inner */
    Etcdserverpb__RequestOp *lists[2][2][LIST_MAX];
    Etcdserverpb__Compare compares[COMPARES_MAX];
    Etcdserverpb__Compare *compare_lists[2][COMPARES_MAX];
    size_t compares_used;
    char values[OPS_MAX][CHAOS_TEXT_BYTES];
    uint64_t *seed;
    const char *value;
    const struct chaos_client *client;
};

/* What lies behind "multi/". */
static char key_names[KEYS][8] = {"multi/0", "multi/1", "multi/2", "multi/3", "multi/4", "multi/5"};
static char after_all[] = "multi0";

static ProtobufCBinaryData bytes_of(char *text) {
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static uint32_t by_chance(uint64_t *seed, uint32_t below) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

void chaos_multi_key(uint64_t *seed, char key[CHAOS_TEXT_BYTES]) {
    (void)snprintf(key, CHAOS_TEXT_BYTES, "%s", key_names[by_chance(seed, KEYS)]);
}

/* ---- Requests ------------------------------------------------------------------------------------- */

static void make_put(struct request *request, Etcdserverpb__RequestOp *op, size_t key) {
    Etcdserverpb__PutRequest *put = &request->bodies[request->used].put;
    char *value = request->values[request->used];
    (void)snprintf(value, CHAOS_TEXT_BYTES, "%s.%zu", request->value, request->used++);
    etcdserverpb__put_request__init(put);
    put->key = bytes_of(key_names[key]);
    put->value = bytes_of(value);
    etcdserverpb__request_op__init(op);
    op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    op->request_put = put;
}

/* All keys, or those from `key` on; now, or as they were. */
static void make_range(struct request *request, Etcdserverpb__RequestOp *op, size_t key, int64_t revision) {
    Etcdserverpb__RangeRequest *range = &request->bodies[request->used++].range;
    etcdserverpb__range_request__init(range);
    range->key = bytes_of(key_names[key]);
    range->range_end = bytes_of(after_all);
    range->revision = revision;
    range->limit = by_chance(request->seed, 4) == 0 ? 2 : 0;
    etcdserverpb__request_op__init(op);
    op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    op->request_range = range;
}

/* `key`, and the two behind it when `many`. */
static void make_delete(struct request *request, Etcdserverpb__RequestOp *op, size_t key, bool many) {
    Etcdserverpb__DeleteRangeRequest *deletion = &request->bodies[request->used++].deletion;
    etcdserverpb__delete_range_request__init(deletion);
    deletion->key = bytes_of(key_names[key]);
    if (many)
        deletion->range_end = bytes_of(key + 3 < KEYS ? key_names[key + 3] : after_all);
    etcdserverpb__request_op__init(op);
    op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    op->request_delete_range = deletion;
}

/* One that holds more often than not: what this client saw last, or whether the key is there. */
static Etcdserverpb__Compare *make_compare(struct request *request, size_t key) {
    Etcdserverpb__Compare *compare = &request->compares[request->compares_used++];
    etcdserverpb__compare__init(compare);
    compare->key = bytes_of(key_names[key]);
    switch (by_chance(request->seed, 4)) {
    case 0:
        compare->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
        compare->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
        compare->mod_revision = request->client->multi_mods[key];
        break;
    case 1:
        compare->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE;
        compare->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION;
        compare->result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__GREATER;
        break;
    case 2:
        compare->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
        compare->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE;
        compare->result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__NOT_EQUAL;
        compare->value = bytes_of(request->values[0]);
        compare->range_end = bytes_of(after_all);
        break;
    default:
        compare->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION;
        compare->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION;
        compare->result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__LESS;
        compare->version = 5;
        break;
    }
    return compare;
}

static void make_txn(struct request *request, Etcdserverpb__RequestOp *op, size_t level, size_t key) {
    Etcdserverpb__TxnRequest *txn = &request->txns[level];
    etcdserverpb__txn_request__init(txn);
    txn->compare = request->compare_lists[level];
    txn->success = request->lists[level][0];
    txn->failure = request->lists[level][1];
    etcdserverpb__request_op__init(op);
    op->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    op->request_txn = txn;
    txn->compare[txn->n_compare++] = make_compare(request, key);
}

static Etcdserverpb__RequestOp *next_op(struct request *request) {
    return &request->ops[request->used];
}

/* Two keys change together, or one moves, or an inner transaction decides; then all is read. */
static void choose_txn(struct request *request, size_t key) {
    size_t other = (key + 1 + by_chance(request->seed, KEYS - 1)) % KEYS;
    (void)snprintf(request->values[0], CHAOS_TEXT_BYTES, "%s.0", request->value);
    make_txn(request, &request->op, 0, key);
    Etcdserverpb__TxnRequest *txn = request->op.request_txn;
    Etcdserverpb__RequestOp *op = next_op(request);
    make_put(request, op, key);
    txn->success[txn->n_success++] = op;
    uint32_t luck = by_chance(request->seed, 3);
    if (luck == 2) {
        make_txn(request, &request->inner, 1, other);
        Etcdserverpb__TxnRequest *inner = request->inner.request_txn;
        txn->success[txn->n_success++] = &request->inner;
        op = next_op(request);
        make_put(request, op, other);
        inner->success[inner->n_success++] = op;
        op = next_op(request);
        make_delete(request, op, other, false);
        inner->failure[inner->n_failure++] = op;
    } else {
        op = next_op(request);
        if (luck == 0)
            make_put(request, op, other);
        else
            make_delete(request, op, other, false);
        txn->success[txn->n_success++] = op;
    }
    op = next_op(request);
    make_range(request, op, 0, 0);
    txn->success[txn->n_success++] = op;
    op = next_op(request);
    make_range(request, op, 0, 0);
    txn->failure[txn->n_failure++] = op;
}

static void choose(struct request *request) {
    uint32_t luck = by_chance(request->seed, 10);
    size_t key = by_chance(request->seed, KEYS);
    if (luck < 5)
        choose_txn(request, key);
    else if (luck < 7)
        make_delete(request, &request->op, key, luck == 6);
    else
        make_range(request, &request->op, luck == 7 ? key : 0, luck == 8 ? request->client->multi_revision : 0);
}

/* ---- As the history has them ---------------------------------------------------------------------- */

static void print_bytes(FILE *out, const char *name, ProtobufCBinaryData bytes) {
    /* Keys and values are letters, digits, '/', '-' and '.': nothing to escape. */
    (void)fprintf(out, "\"%s\":\"%.*s\"", name, (int)bytes.len, (const char *)bytes.data);
}

static void print_keys(FILE *out, ProtobufCBinaryData key, ProtobufCBinaryData range_end) {
    print_bytes(out, "key", key);
    if (range_end.len > 0) {
        (void)fputc(',', out);
        print_bytes(out, "range_end", range_end);
    }
}

static void print_compare(FILE *out, const Etcdserverpb__Compare *compare) {
    static const char *const targets[] = {"version", "create", "mod", "value"};
    static const char *const results[] = {"=", ">", "<", "!="};
    (void)fputc('{', out);
    print_keys(out, compare->key, compare->range_end);
    (void)fprintf(out, ",\"target\":\"%s\",\"result\":\"%s\",", targets[compare->target], results[compare->result]);
    if (compare->target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE)
        print_bytes(out, "value", compare->value);
    else
        (void)fprintf(out, "\"value\":%" PRId64, compare->version); /* the union's numbers share their place */
    (void)fputc('}', out);
}

static void print_request(FILE *out, const Etcdserverpb__RequestOp *op);

static void print_requests(FILE *out, const char *name, Etcdserverpb__RequestOp *const *ops, size_t count) {
    (void)fprintf(out, ",\"%s\":[", name);
    for (size_t at = 0; at < count; at++) {
        (void)fputs(at > 0 ? ",{" : "{", out);
        print_request(out, ops[at]);
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

static void print_txn(FILE *out, const Etcdserverpb__TxnRequest *txn) {
    (void)fputs("\"op\":\"txn\",\"compare\":[", out);
    for (size_t at = 0; at < txn->n_compare; at++) {
        if (at > 0)
            (void)fputc(',', out);
        print_compare(out, txn->compare[at]);
    }
    (void)fputc(']', out);
    print_requests(out, "success", txn->success, txn->n_success);
    print_requests(out, "failure", txn->failure, txn->n_failure);
}

static void print_request(FILE *out, const Etcdserverpb__RequestOp *op) {
    if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN) {
        print_txn(out, op->request_txn);
    } else if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT) {
        (void)fputs("\"op\":\"put\",", out);
        print_bytes(out, "key", op->request_put->key);
        (void)fputc(',', out);
        print_bytes(out, "value", op->request_put->value);
    } else if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE) {
        (void)fputs("\"op\":\"range\",", out);
        print_keys(out, op->request_range->key, op->request_range->range_end);
        (void)fprintf(out, ",\"at\":%" PRId64 ",\"limit\":%" PRId64, op->request_range->revision,
                      op->request_range->limit);
    } else {
        (void)fputs("\"op\":\"delete\",", out);
        print_keys(out, op->request_delete_range->key, op->request_delete_range->range_end);
    }
}

static void print_range_answer(FILE *out, const Etcdserverpb__RangeResponse *range) {
    (void)fputs("\"kvs\":[", out);
    for (size_t at = 0; at < range->n_kvs; at++) {
        const Mvccpb__KeyValue *kv = range->kvs[at];
        (void)fputs(at > 0 ? ",{" : "{", out);
        print_bytes(out, "key", kv->key);
        (void)fputc(',', out);
        print_bytes(out, "value", kv->value);
        (void)fprintf(out, ",\"create\":%" PRId64 ",\"mod\":%" PRId64 ",\"version\":%" PRId64 "}", kv->create_revision,
                      kv->mod_revision, kv->version);
    }
    (void)fprintf(out, "],\"count\":%" PRId64, range->count);
}

static void print_txn_answer(FILE *out, const Etcdserverpb__TxnResponse *txn) {
    (void)fprintf(out, "\"succeeded\":%s,\"answers\":[", txn->succeeded ? "true" : "false");
    for (size_t at = 0; at < txn->n_responses; at++) {
        const Etcdserverpb__ResponseOp *answer = txn->responses[at];
        (void)fputs(at > 0 ? ",{" : "{", out);
        if (answer->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE)
            print_range_answer(out, answer->response_range);
        else if (answer->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE)
            (void)fprintf(out, "\"deleted\":%" PRId64, answer->response_delete_range->deleted);
        else if (answer->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_TXN)
            print_txn_answer(out, answer->response_txn);
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

/* ---- Doing ---------------------------------------------------------------------------------------- */

/* Remember the keys' revisions, for the compares to come. */
static void remember_range(struct chaos_client *client, const Etcdserverpb__RangeResponse *range) {
    for (size_t at = 0; at < range->n_kvs; at++) {
        const Mvccpb__KeyValue *kv = range->kvs[at];
        for (size_t key = 0; key < KEYS; key++)
            if (kv->key.len == strlen(key_names[key]) && memcmp(kv->key.data, key_names[key], kv->key.len) == 0)
                client->multi_mods[key] = kv->mod_revision;
    }
}

/* Print the answer. Returns its header. */
static const Etcdserverpb__ResponseHeader *take_answer(struct chaos_client *client, FILE *out,
                                                       const Etcdserverpb__RequestOp *op,
                                                       const ProtobufCMessage *message) {
    (void)fputc(',', out);
    if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN) {
        const Etcdserverpb__TxnResponse *txn = (const void *)message;
        print_txn_answer(out, txn);
        for (size_t at = 0; at < txn->n_responses; at++)
            if (txn->responses[at]->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE)
                remember_range(client, txn->responses[at]->response_range);
        return txn->header;
    }
    if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE) {
        const Etcdserverpb__RangeResponse *range = (const void *)message;
        print_range_answer(out, range);
        if (op->request_range->revision == 0)
            remember_range(client, range);
        return range->header;
    }
    const Etcdserverpb__DeleteRangeResponse *deletion = (const void *)message;
    (void)fprintf(out, "\"deleted\":%" PRId64, deletion->deleted);
    return deletion->header;
}

static ProtobufCMessage *call(struct chaos_client *client, const Etcdserverpb__RequestOp *op, uint64_t deadline,
                              struct grpc_status *status) {
    switch (op->request_case) {
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN:
        return chaos_client_call(client, "/etcdserverpb.KV/Txn", &op->request_txn->base,
                                 &etcdserverpb__txn_response__descriptor, deadline, status);
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE:
        return chaos_client_call(client, "/etcdserverpb.KV/Range", &op->request_range->base,
                                 &etcdserverpb__range_response__descriptor, deadline, status);
    default:
        return chaos_client_call(client, "/etcdserverpb.KV/DeleteRange", &op->request_delete_range->base,
                                 &etcdserverpb__delete_range_response__descriptor, deadline, status);
    }
}

void chaos_multi_do(struct chaos_client *client, struct chaos_multi *multi, uint64_t *seed, const char *value,
                    uint64_t deadline) {
    struct request request = {.seed = seed, .value = value, .client = client};
    struct grpc_status status;
    size_t size = 0;
    choose(&request);
    *multi = (struct chaos_multi){.outcome = HISTORY_UNKNOWN, .sent = true};
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    print_request(out, &request.op);
    multi->start = clock_ns();
    ProtobufCMessage *message = call(client, &request.op, deadline, &status);
    multi->end = clock_ns();
    if (message) {
        const Etcdserverpb__ResponseHeader *header = take_answer(client, out, &request.op, message);
        int64_t revision = header ? header->revision : 0;
        client->multi_revision = revision;
        multi->outcome = HISTORY_OK;
        (void)fprintf(out, ",\"revision\":%" PRId64, revision);
    } else {
        bool reads = request.op.request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
        multi->outcome = chaos_client_outcome(&status, reads);
        multi->sent = status.sent;
    }
    grpc_message_free(message);
    if (fclose(out) == 0)
        multi->text = text;
    else
        free(text); /* open_memstream's */
}

void chaos_multi_free(struct chaos_multi *multi) {
    free(multi->text); /* open_memstream's */
    multi->text = NULL;
}
