/* SPDX-License-Identifier: Apache-2.0
 *
 * Carrying out requests. A transaction goes in three passes, as etcd's does: all
 * compares, nested ones too, are judged against the state before it and give the
 * path through its branches; everything on that path that could be refused is
 * checked; only then the operations run.
 */
#include "store/execute.h"

#include "base/assert.h"
#include "store/arena.h"
#include "store/compact.h"
#include "store/members.h"
#include "store/order.h"
#include "store/range.h"
#include "store/version.h"

/* A request under way. */
struct execution {
    struct view *view;
    struct store_arena *arena; /* of the result */
    bool answer;               /* whether results are wanted */
    uint32_t changes;          /* made so far: the next one's sub-revision */
    bool *path;                /* per transaction, outer before inner, in order: whether its compares held */
    size_t path_count;         /* transactions judged */
    size_t path_next;          /* the next transaction that a pass comes to */
    enum store_error refusal;
};

/* ---- Compares ---------------------------------------------------------------------------------- */

static bool compare_holds(int result, int order) {
    switch (result) {
    case STORE_EQUAL:
        return order == 0;
    case STORE_GREATER:
        return order > 0;
    case STORE_LESS:
        return order < 0;
    default:
        return order != 0;
    }
}

/* Judge one key; all zeros stands for a key that does not exist. */
static int compare_entry(struct view *view, const struct store_compare *compare, const struct index_entry *entry,
                         bool *holds) {
    const int64_t numbers[] = {
        [STORE_COMPARE_VERSION] = entry->version,   [STORE_COMPARE_CREATE] = entry->create_revision,
        [STORE_COMPARE_MOD] = entry->revision.main, [STORE_COMPARE_VALUE] = 0,
        [STORE_COMPARE_LEASE] = entry->lease,
    };
    int order;
    if (compare->target == STORE_COMPARE_VALUE) {
        struct record record;
        int rc = record_get(view, entry->revision, &record);
        if (rc)
            return rc;
        order = bytes_compare(record.value, compare->value);
    } else {
        int64_t number = numbers[compare->target];
        order = (number > compare->number) - (number < compare->number);
    }
    *holds = compare_holds(compare->result, order);
    return LASH_OK;
}

/* Judge a compare: it holds for every key in its range. Where there is none, the numbers are 0, and a value never holds. */
static int compare_judge(struct view *view, const struct store_compare *compare, bool *holds) {
    static const struct index_entry missing;
    bool any = false;
    *holds = true;
    struct index_entry entry;
    int rc = index_first(&view->index, compare->key, compare->range_end, &entry);
    for (; rc == 0 && *holds; rc = *holds ? index_next(&view->index, &entry) : LASH_OK) {
        if (entry.tombstone)
            continue;
        any = true;
        rc = compare_entry(view, compare, &entry, holds);
        if (rc || !*holds)
            return rc;
    }
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    if (any)
        return LASH_OK;
    *holds = false;
    return compare->target == STORE_COMPARE_VALUE ? LASH_OK : compare_entry(view, compare, &missing, holds);
}

/* ---- The path through a transaction ------------------------------------------------------------- */

static size_t txn_count_in(const struct store_op *ops, size_t count);

/* Transactions in `txn`, itself included. */
static size_t txn_count(const struct store_txn *txn) {
    return 1 + txn_count_in(txn->success, txn->success_count) + txn_count_in(txn->failure, txn->failure_count);
}

static size_t txn_count_in(const struct store_op *ops, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += ops[i].type == STORE_TXN ? txn_count(&ops[i].txn) : 0;
    return total;
}

/* The operations of the branch taken. */
static const struct store_op *txn_branch(const struct store_txn *txn, bool succeeded, size_t *count) {
    *count = succeeded ? txn->success_count : txn->failure_count;
    return succeeded ? txn->success : txn->failure;
}

/* First pass: judge the compares of `txn` and of the transactions on its path. */
static int txn_judge(struct execution *execution, const struct store_txn *txn) {
    bool holds = true;
    for (size_t i = 0; i < txn->compare_count && holds; i++) {
        int rc = compare_judge(execution->view, &txn->compares[i], &holds);
        if (rc)
            return rc;
    }
    execution->path[execution->path_count++] = holds;
    size_t count;
    const struct store_op *ops = txn_branch(txn, holds, &count);
    for (size_t i = 0; i < count; i++) {
        int rc = ops[i].type == STORE_TXN ? txn_judge(execution, &ops[i].txn) : LASH_OK;
        if (rc)
            return rc;
    }
    return LASH_OK;
}

typedef int (*txn_check_fn)(struct execution *execution, const struct store_op *op);

/* Second pass: check every operation on the path until one is refused. */
static int txn_check(struct execution *execution, const struct store_txn *txn, txn_check_fn check) {
    LASH_ASSERT(execution->path_next < execution->path_count);
    size_t count;
    const struct store_op *ops = txn_branch(txn, execution->path[execution->path_next++], &count);
    for (size_t i = 0; i < count && !execution->refusal; i++) {
        int rc = ops[i].type == STORE_TXN ? txn_check(execution, &ops[i].txn, check) : check(execution, &ops[i]);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

/* ---- Checks ------------------------------------------------------------------------------------- */

/* ignore_value and ignore_lease need the key to exist. */
static int check_put_key(struct execution *execution, const struct store_put *put) {
    if (!put->ignore_value && !put->ignore_lease)
        return LASH_OK;
    struct index_entry entry;
    int rc = index_find(&execution->view->index, put->key, &entry);
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    if (rc || entry.tombstone)
        execution->refusal = STORE_KEY_NOT_FOUND;
    return LASH_OK;
}

/* In a transaction the key is looked at before the lease, in a plain put behind it. */
static int check_txn_put(struct execution *execution, const struct store_op *op) {
    if (op->type != STORE_PUT)
        return LASH_OK;
    int rc = check_put_key(execution, &op->put);
    if (rc == 0 && !execution->refusal && op->put.lease)
        execution->refusal = STORE_LEASE_NOT_FOUND;
    return rc;
}

static int check_txn_range(struct execution *execution, const struct store_op *op) {
    if (op->type == STORE_RANGE && op->range.revision != 0)
        execution->refusal = range_check_revision(&execution->view->state, op->range.revision);
    return LASH_OK;
}

static int check_txn(struct execution *execution, const struct store_txn *txn) {
    execution->path = arena_calloc(execution->arena, txn_count(txn), sizeof *execution->path);
    if (!execution->path)
        return LASH_NOMEM;
    int rc = txn_judge(execution, txn);
    if (rc == 0)
        rc = txn_check(execution, txn, check_txn_put);
    execution->path_next = 0;
    if (rc == 0 && !execution->refusal)
        rc = txn_check(execution, txn, check_txn_range);
    execution->path_next = 0;
    return rc;
}

/* Whatever could refuse `op`; afterwards only this replica's own trouble can stop it. */
static int check_op(struct execution *execution, const struct store_op *op) {
    switch (op->type) {
    case STORE_RANGE:
        if (op->range.revision > 0)
            execution->refusal = range_check_revision(&execution->view->state, op->range.revision);
        return LASH_OK;
    case STORE_PUT:
        if (op->put.lease)
            execution->refusal = STORE_LEASE_NOT_FOUND;
        return execution->refusal ? LASH_OK : check_put_key(execution, &op->put);
    case STORE_TXN:
        return check_txn(execution, &op->txn);
    default:
        return LASH_OK;
    }
}

/* ---- Operations --------------------------------------------------------------------------------- */

/* The revision of the state that the next operation sees. */
static int64_t execution_revision(const struct execution *execution) {
    return execution->view->state.revision + (execution->changes > 0);
}

/* Fill in the place of the next change. */
static struct revision execution_change(struct execution *execution) {
    LASH_ASSERT(execution->view->writes && execution->changes < UINT32_MAX - 1);
    return (struct revision){.main = execution->view->state.revision + 1, .sub = execution->changes++};
}

/* Record the entry's revision; `old` is the entry before, all zeros for a key that the index did not hold. */
static int write_record(struct view *view, struct store_bytes key, const struct index_entry *entry,
                        const struct index_entry *old, struct store_bytes value) {
    struct record record = {
        .revision = entry->revision,
        .tombstone = entry->tombstone,
        .previous = old->revision,
        .create_revision = entry->create_revision,
        .version = entry->version,
        .lease = entry->lease,
        .key = key,
        .value = value,
    };
    return record_append(view, &record, old);
}

/* What a put needs of the key's present value: an answer, and the value to keep. `value` is copied, as a write may move it. */
static int put_read_old(struct execution *execution, const struct store_put *put, const struct index_entry *old,
                        struct store_bytes *value, struct store_put_result *result) {
    bool answer = execution->answer && put->prev_kv;
    if (!answer && !put->ignore_value)
        return LASH_OK;
    struct record record;
    int rc = record_get(execution->view, old->revision, &record);
    if (rc == 0 && put->ignore_value)
        rc = arena_copy(execution->arena, record.value, value);
    if (rc || !answer)
        return rc;
    struct store_kv *kv = arena_alloc(execution->arena, 1, sizeof *kv);
    if (!kv)
        return LASH_NOMEM;
    result->prev_kv = kv;
    return range_copy(execution->arena, &record, true, kv);
}

static int put_run(struct execution *execution, const struct store_put *put, struct store_put_result *result) {
    struct index *index = &execution->view->index;
    struct index_entry old = {0};
    int rc = index_find(index, put->key, &old);
    if (rc && rc != LASH_NOT_FOUND)
        return rc;
    bool known = rc == 0, alive = known && !old.tombstone;
    struct store_bytes value = put->value;
    rc = alive ? put_read_old(execution, put, &old, &value, result) : LASH_OK;
    if (rc)
        return rc;
    struct index_entry entry = record_entry(&old, execution_change(execution));
    entry.create_revision = alive ? old.create_revision : entry.revision.main;
    entry.version = alive ? old.version + 1 : 1;
    entry.lease = put->ignore_lease && alive ? old.lease : put->lease;
    rc = known ? index_update(index, &entry) : index_insert(index, put->key, &entry);
    return rc ? rc : write_record(execution->view, put->key, &entry, &old, value);
}

/* Append the record to the answer. */
static int delete_remember(struct execution *execution, const struct index_entry *entry, size_t *capacity,
                           struct store_kv **kvs, size_t *count) {
    struct record record;
    int rc = record_get(execution->view, entry->revision, &record);
    if (rc)
        return rc;
    if (*count == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 4;
        struct store_kv *grown = arena_alloc(execution->arena, *capacity, sizeof *grown);
        if (!grown)
            return LASH_NOMEM;
        for (size_t i = 0; i < *count; i++)
            grown[i] = (*kvs)[i];
        *kvs = grown;
    }
    return range_copy(execution->arena, &record, true, &(*kvs)[(*count)++]);
}

static int delete_run(struct execution *execution, const struct store_delete *request,
                      struct store_delete_result *result) {
    struct view *view = execution->view;
    struct store_kv *kvs = NULL;
    size_t capacity = 0;
    struct index_entry old;
    *result = (struct store_delete_result){0};
    int rc = index_first(&view->index, request->key, request->range_end, &old);
    for (; rc == 0; rc = index_next(&view->index, &old)) {
        if (old.tombstone)
            continue;
        if (execution->answer && request->prev_kv)
            rc = delete_remember(execution, &old, &capacity, &kvs, &result->prev_kv_count);
        struct index_entry entry = record_entry(&old, execution_change(execution));
        entry.tombstone = true;
        if (rc == 0)
            rc = index_update(&view->index, &entry);
        if (rc == 0)
            rc = write_record(view, index_key(&view->index), &entry, &old, (struct store_bytes){0});
        if (rc)
            return rc;
        result->deleted++;
    }
    result->prev_kvs = kvs;
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

static int execute_op(struct execution *execution, const struct store_op *op, struct store_op_result *result);

/* Third pass: the operations of the path. */
static int txn_run(struct execution *execution, const struct store_txn *txn, struct store_txn_result *result) {
    LASH_ASSERT(execution->path_next < execution->path_count);
    *result = (struct store_txn_result){.succeeded = execution->path[execution->path_next++]};
    size_t count;
    const struct store_op *ops = txn_branch(txn, result->succeeded, &count);
    struct store_op_result *results = NULL;
    if (execution->answer && count > 0) {
        results = arena_calloc(execution->arena, count, sizeof *results);
        if (!results)
            return LASH_NOMEM;
        result->ops = results;
        result->op_count = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct store_op_result unused = {0};
        int rc = execute_op(execution, &ops[i], results ? &results[i] : &unused);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

/* Carry out one operation. Its header's revision is that of the state it leaves; a nested transaction's is 0, as etcd's. */
static int execute_op(struct execution *execution, const struct store_op *op, struct store_op_result *result) {
    int rc = LASH_OK;
    result->type = op->type;
    switch (op->type) {
    case STORE_RANGE:
        if (execution->answer)
            rc =
                range_run(execution->view, &op->range, execution_revision(execution), execution->arena, &result->range);
        break;
    case STORE_PUT:
        rc = put_run(execution, &op->put, &result->put);
        break;
    case STORE_DELETE:
        rc = delete_run(execution, &op->delete_range, &result->delete_range);
        break;
    case STORE_TXN:
        return txn_run(execution, &op->txn, &result->txn);
    case STORE_COMPACT:
        rc = compact_run(execution->view, &op->compaction, &execution->refusal);
        break;
    case STORE_MEMBER:
        rc = members_put(execution->view, &op->member);
        break;
    case STORE_RAISE:
        rc = version_raise(execution->view, op->raise.version);
        break;
    }
    result->revision = execution_revision(execution);
    return rc;
}

int execute_run(struct view *view, const struct store_op *op, struct store_arena *arena, enum store_error *refusal,
                struct store_op_result *result) {
    struct execution execution = {.view = view, .arena = arena, .answer = result != NULL};
    struct store_op_result unused = {0};
    if (!result)
        result = &unused;
    int rc = check_op(&execution, op);
    if (rc == 0 && !execution.refusal)
        rc = execute_op(&execution, op, result);
    if (rc)
        return rc;
    view->state.revision = execution_revision(&execution);
    if (op->type == STORE_TXN)
        result->revision = view->state.revision;
    *refusal = execution.refusal;
    return LASH_OK;
}
