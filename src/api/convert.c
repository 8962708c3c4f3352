/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the wire's messages and the store's structures: see convert.h.
 */
#include "api/convert.h"

#include "base/assert.h"
#include "store/arena.h"

/* ---- Requests ---------------------------------------------------------------------------------- */

static struct store_bytes convert_bytes(ProtobufCBinaryData data) {
    return (struct store_bytes){.data = data.data, .size = data.len};
}

void convert_range(const Etcdserverpb__RangeRequest *request, struct store_op *op) {
    op->type = STORE_RANGE;
    op->range = (struct store_range){
        .key = convert_bytes(request->key),
        .range_end = convert_bytes(request->range_end),
        .limit = request->limit,
        .revision = request->revision,
        .sort_order = (int)request->sort_order,
        .sort_target = (int)request->sort_target,
        .keys_only = request->keys_only,
        .count_only = request->count_only,
        .min_mod_revision = request->min_mod_revision,
        .max_mod_revision = request->max_mod_revision,
        .min_create_revision = request->min_create_revision,
        .max_create_revision = request->max_create_revision,
    };
}

void convert_put(const Etcdserverpb__PutRequest *request, struct store_op *op) {
    op->type = STORE_PUT;
    op->put = (struct store_put){
        .key = convert_bytes(request->key),
        .value = convert_bytes(request->value),
        .lease = request->lease,
        .prev_kv = request->prev_kv,
        .ignore_value = request->ignore_value,
        .ignore_lease = request->ignore_lease,
    };
}

void convert_delete_range(const Etcdserverpb__DeleteRangeRequest *request, struct store_op *op) {
    op->type = STORE_DELETE;
    op->delete_range = (struct store_delete){
        .key = convert_bytes(request->key),
        .range_end = convert_bytes(request->range_end),
        .prev_kv = request->prev_kv,
    };
}

void convert_compaction(const Etcdserverpb__CompactionRequest *request, struct store_op *op) {
    op->type = STORE_COMPACT;
    op->compaction = (struct store_compaction){.revision = request->revision, .physical = request->physical};
}

/* The number that the compare's target names; a union that holds another one counts as 0, as in etcd. */
static int64_t convert_compare_number(const Etcdserverpb__Compare *compare) {
    static const struct {
        int target;
        int union_case;
    } cases[] = {
        {ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION, ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION},
        {ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE, ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION},
        {ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD, ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION},
        {ETCDSERVERPB__COMPARE__COMPARE_TARGET__LEASE, ETCDSERVERPB__COMPARE__TARGET_UNION_LEASE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].target == (int)compare->target && cases[i].union_case == (int)compare->target_union_case)
            return compare->version; /* the union's numbers share their place */
    return 0;
}

static struct store_compare convert_compare(const Etcdserverpb__Compare *compare) {
    struct store_compare made = {
        .result = (int)compare->result,
        .target = (int)compare->target,
        .key = convert_bytes(compare->key),
        .range_end = convert_bytes(compare->range_end),
        .number = convert_compare_number(compare),
    };
    if (compare->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE)
        made.value = convert_bytes(compare->value);
    return made;
}

static enum api_error convert_op(const Etcdserverpb__RequestOp *request, struct store_arena *arena,
                                 struct store_op *op) {
    switch (request->request_case) {
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE:
        convert_range(request->request_range, op);
        return API_OK;
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT:
        convert_put(request->request_put, op);
        return API_OK;
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE:
        convert_delete_range(request->request_delete_range, op);
        return API_OK;
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN:
        return convert_txn(request->request_txn, arena, op);
    default:
        return API_KEY_NOT_FOUND;
    }
}

static enum api_error convert_branch(Etcdserverpb__RequestOp *const *requests, size_t count, struct store_arena *arena,
                                     const struct store_op **branch) {
    struct store_op *ops = arena_calloc(arena, count, sizeof *ops);
    if (!ops)
        return API_NO_MEMORY;
    *branch = ops;
    for (size_t i = 0; i < count; i++) {
        enum api_error error = convert_op(requests[i], arena, &ops[i]);
        if (error)
            return error;
    }
    return API_OK;
}

enum api_error convert_txn(const Etcdserverpb__TxnRequest *request, struct store_arena *arena, struct store_op *op) {
    struct store_compare *compares = arena_calloc(arena, request->n_compare, sizeof *compares);
    if (!compares)
        return API_NO_MEMORY;
    for (size_t i = 0; i < request->n_compare; i++)
        compares[i] = convert_compare(request->compare[i]);
    op->type = STORE_TXN;
    op->txn = (struct store_txn){
        .compares = compares,
        .compare_count = request->n_compare,
        .success_count = request->n_success,
        .failure_count = request->n_failure,
    };
    enum api_error error = convert_branch(request->success, request->n_success, arena, &op->txn.success);
    if (error)
        return error;
    return convert_branch(request->failure, request->n_failure, arena, &op->txn.failure);
}

static bool convert_branch_serializable(Etcdserverpb__RequestOp *const *requests, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (requests[i]->request_case != ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE ||
            !requests[i]->request_range->serializable)
            return false;
    return true;
}

bool convert_txn_serializable(const Etcdserverpb__TxnRequest *request) {
    return (request->n_compare == 0 || request->n_success + request->n_failure > 0) &&
           convert_branch_serializable(request->success, request->n_success) &&
           convert_branch_serializable(request->failure, request->n_failure);
}

/* ---- Answers ----------------------------------------------------------------------------------- */

/* A message of `type` in the arena, with its defaults; NULL when memory ran out. */
static void *convert_new(struct store_arena *arena, const ProtobufCMessageDescriptor *type) {
    ProtobufCMessage *message = arena_calloc(arena, 1, type->sizeof_message);
    if (message)
        protobuf_c_message_init(type, message);
    return message;
}

static ProtobufCBinaryData convert_data(struct store_bytes bytes) {
    union {
        const uint8_t *constant;
        uint8_t *plain;
    } data = {.constant = bytes.data}; /* packing does not write through it */
    return (ProtobufCBinaryData){.len = bytes.size, .data = data.plain};
}

Etcdserverpb__ResponseHeader *convert_make_header(const struct convert_header *header, struct store_arena *arena) {
    Etcdserverpb__ResponseHeader *message = convert_new(arena, &etcdserverpb__response_header__descriptor);
    if (message) {
        message->cluster_id = header->cluster_id;
        message->member_id = header->member_id;
        message->revision = header->revision;
        message->raft_term = header->term;
    }
    return message;
}

static bool convert_kvs(const struct store_kv *kvs, size_t count, struct store_arena *arena, size_t *out_count,
                        Mvccpb__KeyValue ***out) {
    Mvccpb__KeyValue **list = arena_calloc(arena, count, sizeof *list);
    Mvccpb__KeyValue *messages = arena_calloc(arena, count, sizeof *messages);
    if (!list || !messages)
        return false;
    for (size_t i = 0; i < count; i++) {
        Mvccpb__KeyValue *message = &messages[i];
        mvccpb__key_value__init(message);
        message->key = convert_data(kvs[i].key);
        message->value = convert_data(kvs[i].value);
        message->create_revision = kvs[i].create_revision;
        message->mod_revision = kvs[i].mod_revision;
        message->version = kvs[i].version;
        message->lease = kvs[i].lease;
        list[i] = message;
    }
    *out = list;
    *out_count = count;
    return true;
}

static Etcdserverpb__RangeResponse *convert_range_answer(const struct store_range_result *result,
                                                         Etcdserverpb__ResponseHeader *header,
                                                         struct store_arena *arena) {
    Etcdserverpb__RangeResponse *answer = convert_new(arena, &etcdserverpb__range_response__descriptor);
    if (!answer || !convert_kvs(result->kvs, result->kv_count, arena, &answer->n_kvs, &answer->kvs))
        return NULL;
    answer->header = header;
    answer->more = result->more;
    answer->count = result->count;
    return answer;
}

static Etcdserverpb__PutResponse *convert_put_answer(const struct store_put_result *result,
                                                     Etcdserverpb__ResponseHeader *header, struct store_arena *arena) {
    Etcdserverpb__PutResponse *answer = convert_new(arena, &etcdserverpb__put_response__descriptor);
    Mvccpb__KeyValue **previous;
    size_t count;
    if (!answer || !convert_kvs(result->prev_kv, result->prev_kv ? 1 : 0, arena, &count, &previous))
        return NULL;
    answer->header = header;
    answer->prev_kv = result->prev_kv ? previous[0] : NULL;
    return answer;
}

static Etcdserverpb__DeleteRangeResponse *convert_delete_answer(const struct store_delete_result *result,
                                                                Etcdserverpb__ResponseHeader *header,
                                                                struct store_arena *arena) {
    Etcdserverpb__DeleteRangeResponse *answer = convert_new(arena, &etcdserverpb__delete_range_response__descriptor);
    if (!answer || !convert_kvs(result->prev_kvs, result->prev_kv_count, arena, &answer->n_prev_kvs, &answer->prev_kvs))
        return NULL;
    answer->header = header;
    answer->deleted = result->deleted;
    return answer;
}

static Etcdserverpb__TxnResponse *convert_txn_answer(const struct store_txn_result *result,
                                                     Etcdserverpb__ResponseHeader *header, struct store_arena *arena);

/* One operation's part of a transaction's answer; false when memory ran out. */
static bool convert_op_answer(const struct store_op_result *result, Etcdserverpb__ResponseOp *answer,
                              struct store_arena *arena) {
    const struct convert_header inner = {.revision = result->revision}; /* etcd leaves the rest out */
    Etcdserverpb__ResponseHeader *header = convert_make_header(&inner, arena);
    if (!header)
        return false;
    switch (result->type) {
    case STORE_RANGE:
        answer->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE;
        answer->response_range = convert_range_answer(&result->range, header, arena);
        return answer->response_range != NULL;
    case STORE_PUT:
        answer->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT;
        answer->response_put = convert_put_answer(&result->put, header, arena);
        return answer->response_put != NULL;
    case STORE_DELETE:
        answer->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE;
        answer->response_delete_range = convert_delete_answer(&result->delete_range, header, arena);
        return answer->response_delete_range != NULL;
    case STORE_TXN:
        header->revision = 0; /* etcd gives a nested transaction's header none */
        answer->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_TXN;
        answer->response_txn = convert_txn_answer(&result->txn, header, arena);
        return answer->response_txn != NULL;
    case STORE_COMPACT:
    case STORE_MEMBER:
    case STORE_RAISE:
        break;
    }
    LASH_UNREACHABLE("no operation of a transaction");
}

static Etcdserverpb__TxnResponse *convert_txn_answer(const struct store_txn_result *result,
                                                     Etcdserverpb__ResponseHeader *header, struct store_arena *arena) {
    Etcdserverpb__TxnResponse *answer = convert_new(arena, &etcdserverpb__txn_response__descriptor);
    Etcdserverpb__ResponseOp **list = arena_calloc(arena, result->op_count, sizeof *list);
    Etcdserverpb__ResponseOp *ops = arena_calloc(arena, result->op_count, sizeof *ops);
    if (!answer || !list || !ops)
        return NULL;
    for (size_t i = 0; i < result->op_count; i++) {
        etcdserverpb__response_op__init(&ops[i]);
        list[i] = &ops[i];
        if (!convert_op_answer(&result->ops[i], &ops[i], arena))
            return NULL;
    }
    answer->header = header;
    answer->succeeded = result->succeeded;
    answer->n_responses = result->op_count;
    answer->responses = list;
    return answer;
}

static Etcdserverpb__CompactionResponse *convert_compaction_answer(Etcdserverpb__ResponseHeader *header,
                                                                   struct store_arena *arena) {
    Etcdserverpb__CompactionResponse *answer = convert_new(arena, &etcdserverpb__compaction_response__descriptor);
    if (answer)
        answer->header = header;
    return answer;
}

ProtobufCMessage *convert_answer(const struct store_result *result, const struct convert_header *header,
                                 struct store_arena *arena) {
    const struct store_op_result *op = &result->op;
    Etcdserverpb__ResponseHeader *message = convert_make_header(header, arena);
    LASH_ASSERT(result->error == STORE_OK);
    if (!message)
        return NULL;
    switch (op->type) {
    case STORE_RANGE:
        return (ProtobufCMessage *)convert_range_answer(&op->range, message, arena);
    case STORE_PUT:
        return (ProtobufCMessage *)convert_put_answer(&op->put, message, arena);
    case STORE_DELETE:
        return (ProtobufCMessage *)convert_delete_answer(&op->delete_range, message, arena);
    case STORE_TXN:
        return (ProtobufCMessage *)convert_txn_answer(&op->txn, message, arena);
    case STORE_COMPACT:
        return (ProtobufCMessage *)convert_compaction_answer(message, arena);
    case STORE_MEMBER:
    case STORE_RAISE:
        break;
    }
    LASH_UNREACHABLE("a result without a type");
}
