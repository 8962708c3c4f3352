/* SPDX-License-Identifier: Apache-2.0
 *
 * The KV service: Range, Put, DeleteRange, Txn and Compact.
 */
#include "api/answer.h"
#include "api/methods.h"
#include "api/pack.h"
#include "api/reading.h"
#include "base/assert.h"
#include "rpc.pb-c.h"

/* The answer to `call`, whose result is well. */
static void kv_encode(struct call *call, const struct convert_header *header) {
    if (pack_knows(call->result.op.type)) {
        call_encoded(call, pack_answer(&call->result, header));
        return;
    }
    const ProtobufCMessage *answer = convert_answer(&call->result, header, call->arena);
    if (answer)
        call_encode(call, answer);
    else
        call_record(call, API_NO_MEMORY);
}

/* ---- Reads ------------------------------------------------------------------------------------- */

/* A point read costs less than handing it to a worker. */
static bool kv_is_short(const struct store_op *op) {
    return op->type == STORE_RANGE && op->range.range_end.size == 0;
}

/* Read and encode; the header's term was noted before. */
static void kv_read(struct call *call, struct store_reader *reader) {
    store_reader_read(reader, &call->op, &call->result);
    if (call->result.error) {
        call_record(call, errors_of_store(call->result.error));
        return;
    }
    struct convert_header header = {
        .cluster_id = call->loop->options->cluster_id,
        .member_id = call->loop->options->member_id,
        .revision = call->result.revision,
        .term = call->term,
    };
    kv_encode(call, &header);
    store_result_free(&call->result); /* what it points to goes with the view */
}

/* On a worker, or on the loop for a short one. */
static void kv_execute(struct call *call) {
    struct store_reader *reader;
    if (loop_is_full(call->loop)) {
        call_record(call, API_TOO_MANY_REQUESTS);
    } else if (store_reader_begin(call->loop->options->store, &reader)) {
        call_record(call, errors_of_store(STORE_FAILED));
    } else {
        kv_read(call, reader);
        store_reader_end(reader);
    }
}

/* A short read, on the loop: from the view that it shares with others, if there is one. */
static void kv_execute_here(struct call *call) {
    struct store_reader *shared = loop_is_full(call->loop) ? NULL : reading_view(call->loop);
    if (shared)
        kv_read(call, shared);
    else
        kv_execute(call);
    call_finish(call);
}

static void kv_executed(struct call *call, int error) {
    LASH_ASSERT(error == 0);
    call_finish(call);
}

/* The local state is recent enough for this read. */
static void kv_serve(struct call *call, int error) {
    if (error) {
        call_fail(call, errors_of_node(error));
        return;
    }
    call->term = loop_term(call->loop);
    if (kv_is_short(&call->op))
        kv_execute_here(call);
    else
        call_offload(call, kv_execute, kv_executed);
}

/* ---- Writes ------------------------------------------------------------------------------------ */

/* The write was applied here, or came to nothing. */
static void kv_applied(struct call *call, int error) {
    if (error) {
        call_fail(call, errors_of_node(error));
        return;
    }
    if (call->result.error) {
        call_fail(call, errors_of_store(call->result.error));
        return;
    }
    struct convert_header header = answer_header(call, call->result.revision);
    kv_encode(call, &header);
    call_finish(call);
}

static void kv_write(struct call *call) {
    uint8_t *command;
    size_t size;
    if (store_encode(&call->op, &command, &size)) {
        call_fail(call, API_NO_MEMORY);
        return;
    }
    call_propose(call, command, size, kv_applied);
    mem_free(command);
}

/* ---- Methods ----------------------------------------------------------------------------------- */

/* Carry out `call->op`. `serializable`: a read that local state, however old, may answer. */
static void kv_begin(struct call *call, bool serializable) {
    enum store_error error = store_check(&call->op, call->loop->options->ops_max);
    if (error)
        call_fail(call, errors_of_store(error));
    else if (!store_is_read(&call->op))
        kv_write(call);
    else if (serializable)
        kv_serve(call, 0);
    else
        call_read(call, kv_serve);
}

void kv_range(struct call *call) {
    const Etcdserverpb__RangeRequest *request = (const Etcdserverpb__RangeRequest *)call->message;
    convert_range(request, &call->op);
    kv_begin(call, request->serializable);
}

void kv_put(struct call *call) {
    convert_put((const Etcdserverpb__PutRequest *)call->message, &call->op);
    kv_begin(call, false);
}

void kv_delete_range(struct call *call) {
    convert_delete_range((const Etcdserverpb__DeleteRangeRequest *)call->message, &call->op);
    kv_begin(call, false);
}

void kv_txn(struct call *call) {
    const Etcdserverpb__TxnRequest *request = (const Etcdserverpb__TxnRequest *)call->message;
    enum api_error error = convert_txn(request, call->arena, &call->op);
    if (error)
        call_fail(call, error);
    else
        kv_begin(call, convert_txn_serializable(request));
}

void kv_compact(struct call *call) {
    convert_compaction((const Etcdserverpb__CompactionRequest *)call->message, &call->op);
    kv_begin(call, false);
}
