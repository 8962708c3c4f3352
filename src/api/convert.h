/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the wire's messages and the store's structures. Bytes are never
 * copied: a request's point into its message, an answer's into its result.
 *
 * Threads: pure.
 */
#ifndef LASH_API_CONVERT_H
#define LASH_API_CONVERT_H

#include "api/errors.h"
#include "rpc.pb-c.h"

/* What every answer begins with. */
struct convert_header {
    uint64_t cluster_id;
    uint64_t member_id;
    int64_t revision; /* 0: left out */
    uint64_t term;
};

/* Requests. `op` is valid while `arena` and the message are. */
void convert_range(const Etcdserverpb__RangeRequest *request, struct store_op *op);
void convert_put(const Etcdserverpb__PutRequest *request, struct store_op *op);
void convert_delete_range(const Etcdserverpb__DeleteRangeRequest *request, struct store_op *op);
void convert_compaction(const Etcdserverpb__CompactionRequest *request, struct store_op *op);

/* Errors: API_KEY_NOT_FOUND (etcd's word for an operation that is none), API_NO_MEMORY. */
enum api_error convert_txn(const Etcdserverpb__TxnRequest *request, struct store_arena *arena, struct store_op *op);

/* Whether all that the transaction reads may be read from local state: each of its operations is a serializable range, or it has
 * none. Compares alone are not: what they say must be true now. */
bool convert_txn_serializable(const Etcdserverpb__TxnRequest *request);

/* The answer to a request, made of its result, whose error is STORE_OK; NULL when memory ran out. */
ProtobufCMessage *convert_answer(const struct store_result *result, const struct convert_header *header,
                                 struct store_arena *arena);

/* A header for an answer that is made elsewhere; NULL when memory ran out. */
Etcdserverpb__ResponseHeader *convert_make_header(const struct convert_header *header, struct store_arena *arena);

#endif
