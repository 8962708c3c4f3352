/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be said about a request without the state: etcd's checks before it
 * proposes, in etcd's order, so that a request with several faults gets the same
 * refusal.
 */
#include "store/codec.h"
#include "store/overlap.h"
#include "store/store.h"

static enum store_error check_range(const struct store_range *range) {
    if (range->key.size == 0)
        return STORE_EMPTY_KEY;
    bool sound = range->sort_order >= STORE_SORT_NONE && range->sort_order <= STORE_SORT_DESCEND &&
                 range->sort_target >= STORE_SORT_KEY && range->sort_target <= STORE_SORT_VALUE;
    return sound ? STORE_OK : STORE_INVALID_SORT;
}

static enum store_error check_put(const struct store_put *put) {
    if (put->key.size == 0)
        return STORE_EMPTY_KEY;
    if (put->ignore_value && put->value.size != 0)
        return STORE_VALUE_PROVIDED;
    return put->ignore_lease && put->lease != 0 ? STORE_LEASE_PROVIDED : STORE_OK;
}

static enum store_error check_compares(const struct store_txn *txn) {
    for (size_t i = 0; i < txn->compare_count; i++) {
        if (txn->compares[i].key.size == 0)
            return STORE_EMPTY_KEY;
    }
    for (size_t i = 0; i < txn->compare_count; i++) {
        const struct store_compare *compare = &txn->compares[i];
        if (compare->result < STORE_EQUAL || compare->result > STORE_NOT_EQUAL ||
            compare->target < STORE_COMPARE_VERSION || compare->target > STORE_COMPARE_LEASE)
            return STORE_INVALID_REQUEST;
    }
    return STORE_OK;
}

static enum store_error check_txn(const struct store_txn *txn, size_t ops_max, unsigned depth);

/* An operation of a transaction. One that says nothing is "key not found", as etcd has it. */
static enum store_error check_inner(const struct store_op *op, size_t ops_max, unsigned depth) {
    switch (op->type) {
    case STORE_RANGE:
        return check_range(&op->range);
    case STORE_PUT:
        return check_put(&op->put);
    case STORE_DELETE:
        return op->delete_range.key.size == 0 ? STORE_EMPTY_KEY : STORE_OK;
    case STORE_TXN:
        return check_txn(&op->txn, ops_max, depth + 1);
    default:
        return op->type == 0 ? STORE_KEY_NOT_FOUND : STORE_INVALID_REQUEST;
    }
}

static enum store_error check_list(const struct store_op *ops, size_t count, size_t ops_max, unsigned depth) {
    for (size_t i = 0; i < count; i++) {
        enum store_error error = check_inner(&ops[i], ops_max, depth);
        if (error)
            return error;
    }
    return STORE_OK;
}

/* The budget of operations shrinks by the widest list at each level. */
static enum store_error check_txn(const struct store_txn *txn, size_t ops_max, unsigned depth) {
    size_t widest = txn->compare_count;
    widest = txn->success_count > widest ? txn->success_count : widest;
    widest = txn->failure_count > widest ? txn->failure_count : widest;
    if (widest > ops_max || depth > CODEC_DEPTH_MAX)
        return STORE_TOO_MANY_OPS;
    enum store_error error = check_compares(txn);
    if (!error)
        error = check_list(txn->success, txn->success_count, ops_max - widest, depth);
    return error ? error : check_list(txn->failure, txn->failure_count, ops_max - widest, depth);
}

enum store_error store_check(const struct store_op *op, size_t ops_max) {
    if (op->type == STORE_COMPACT)
        return STORE_OK;
    if (op->type == 0)
        return STORE_INVALID_REQUEST;
    enum store_error error = check_inner(op, ops_max, 0);
    return error || op->type != STORE_TXN ? error : overlap_check(&op->txn);
}

static bool check_reads_only(const struct store_op *ops, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!store_is_read(&ops[i]))
            return false;
    }
    return true;
}

bool store_is_read(const struct store_op *op) {
    if (op->type == STORE_TXN)
        return check_reads_only(op->txn.success, op->txn.success_count) &&
               check_reads_only(op->txn.failure, op->txn.failure_count);
    return op->type == STORE_RANGE;
}
