/* SPDX-License-Identifier: Apache-2.0
 *
 * The model: no index, no pages, no cleverness.
 */
#include "model.h"

#include <stdlib.h>

#include "harness.h"
#include "store/order.h"

/* A request under way. */
struct model_work {
    struct model *model;
    struct store_arena *arena;
    bool changed;
    const struct store_txn *judged[4096]; /* transactions in the order of the pass, and their verdicts */
    bool verdicts[4096];
    size_t judged_count;
};

void model_init(struct model *model) {
    *model = (struct model){.revision = 1, .compacted = -1};
}

static void model_free_bytes(struct store_bytes bytes) {
    free((void *)(uintptr_t)bytes.data);
}

void model_free(struct model *model) {
    for (size_t i = 0; i < model->count; i++) {
        for (size_t j = 0; j < model->keys[i].count; j++)
            model_free_bytes(model->keys[i].events[j].value);
        model_free_bytes(model->keys[i].key);
        free(model->keys[i].events);
    }
    free(model->keys);
}

static struct store_bytes model_copy(struct store_bytes from) {
    uint8_t *data = malloc(from.size + 1);
    assert_non_null(data);
    if (from.size)
        memcpy(data, from.data, from.size);
    return bytes(data, from.size);
}

static bool model_in_range(struct store_bytes key, struct store_bytes start, struct store_bytes end) {
    if (end.size == 0)
        return bytes_compare(key, start) == 0;
    return bytes_compare(key, start) >= 0 && (bytes_open_ended(end) || bytes_compare(key, end) < 0);
}

/* The key's event as of a revision, or NULL when it did not exist then. */
static const struct model_event *model_at(const struct model_key *key, int64_t revision) {
    for (size_t i = key->count; i > 0; i--) {
        if (key->events[i - 1].main <= revision)
            return key->events[i - 1].tombstone ? NULL : &key->events[i - 1];
    }
    return NULL;
}

static struct store_kv model_kv(const struct model_key *key, const struct model_event *event) {
    return (struct store_kv){.key = key->key,
                             .value = event->value,
                             .create_revision = event->create_revision,
                             .mod_revision = event->main,
                             .version = event->version};
}

static int64_t model_now(const struct model_work *work) {
    return work->model->revision + work->changed;
}

static struct model_key *model_find(struct model *model, struct store_bytes key) {
    for (size_t i = 0; i < model->count; i++) {
        if (bytes_compare(model->keys[i].key, key) == 0)
            return &model->keys[i];
    }
    return NULL;
}

static struct model_key *model_add(struct model *model, struct store_bytes key) {
    if (model->count == model->capacity) {
        model->capacity = 2 * model->capacity + 16;
        model->keys = realloc(model->keys, model->capacity * sizeof *model->keys);
        assert_non_null(model->keys);
    }
    size_t at = model->count++;
    for (; at > 0 && bytes_compare(model->keys[at - 1].key, key) > 0; at--)
        model->keys[at] = model->keys[at - 1];
    model->keys[at] = (struct model_key){.key = model_copy(key)};
    return &model->keys[at];
}

static void model_event(struct model_work *work, struct model_key *key, struct model_event event) {
    if (key->count == key->capacity) {
        key->capacity = 2 * key->capacity + 4;
        key->events = realloc(key->events, key->capacity * sizeof *key->events);
        assert_non_null(key->events);
    }
    work->changed = true;
    event.main = work->model->revision + 1;
    event.value = model_copy(event.value);
    key->events[key->count++] = event;
}

static void *model_room(struct model_work *work, size_t count, size_t size) {
    void *room = arena_calloc(work->arena, count, size);
    assert_non_null(room);
    return room;
}

/* ---- Range ----------------------------------------------------------------------------------------- */

static int model_order(const struct store_kv *a, const struct store_kv *b, int target) {
    switch (target) {
    case STORE_SORT_KEY:
        return bytes_compare(a->key, b->key);
    case STORE_SORT_VERSION:
        return (a->version > b->version) - (a->version < b->version);
    case STORE_SORT_CREATE:
        return (a->create_revision > b->create_revision) - (a->create_revision < b->create_revision);
    case STORE_SORT_MOD:
        return (a->mod_revision > b->mod_revision) - (a->mod_revision < b->mod_revision);
    default:
        return bytes_compare(a->value, b->value);
    }
}

/* Insertion sort: equal ones stay in key order. */
static void model_sort(struct store_kv *kvs, size_t count, int target, bool descending) {
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0; j--) {
            int order = model_order(&kvs[j - 1], &kvs[j], target);
            if (descending ? order >= 0 : order <= 0)
                break;
            struct store_kv swap = kvs[j];
            kvs[j] = kvs[j - 1];
            kvs[j - 1] = swap;
        }
    }
}

static bool model_filter(const struct store_range *range, const struct store_kv *kv) {
    return (!range->min_mod_revision || kv->mod_revision >= range->min_mod_revision) &&
           (!range->max_mod_revision || kv->mod_revision <= range->max_mod_revision) &&
           (!range->min_create_revision || kv->create_revision >= range->min_create_revision) &&
           (!range->max_create_revision || kv->create_revision <= range->max_create_revision);
}

static void model_range(struct model_work *work, const struct store_range *range, struct store_range_result *result) {
    struct model *model = work->model;
    int64_t at = range->revision > 0 ? range->revision : model_now(work);
    struct store_kv *kvs = model_room(work, model->count, sizeof *kvs);
    bool all = range->limit <= 0 || range->sort_order != STORE_SORT_NONE || range->min_mod_revision ||
               range->max_mod_revision || range->min_create_revision || range->max_create_revision;
    size_t found = 0;
    *result = (struct store_range_result){.kvs = kvs};
    for (size_t i = 0; i < model->count; i++) {
        const struct model_event *event = model_at(&model->keys[i], at);
        if (!event || !model_in_range(model->keys[i].key, range->key, range->range_end))
            continue;
        result->count++;
        if (range->count_only || (!all && found > (size_t)range->limit))
            continue;
        kvs[found] = model_kv(&model->keys[i], event);
        found += model_filter(range, &kvs[found]);
    }
    model_sort(kvs, found, range->sort_target, range->sort_order == STORE_SORT_DESCEND);
    result->more = range->limit > 0 && found > (size_t)range->limit;
    result->kv_count = result->more ? (size_t)range->limit : found;
    for (size_t i = 0; i < found && range->keys_only; i++)
        kvs[i].value = (struct store_bytes){0};
}

static enum store_error model_check_revision(const struct model *model, int64_t revision) {
    if (revision > model->revision)
        return STORE_FUTURE_REVISION;
    return revision < model->compacted ? STORE_COMPACTED : STORE_OK;
}

/* ---- Put and delete -------------------------------------------------------------------------------- */

static void model_put(struct model_work *work, const struct store_put *put, struct store_put_result *result) {
    struct model_key *key = model_find(work->model, put->key);
    const struct model_event *old = key ? model_at(key, INT64_MAX) : NULL;
    struct model_event event = {.create_revision = work->model->revision + 1, .version = 1, .value = put->value};
    if (old) {
        struct store_kv *kv = model_room(work, 1, sizeof *kv);
        *kv = model_kv(key, old);
        result->prev_kv = put->prev_kv ? kv : NULL;
        event.create_revision = old->create_revision;
        event.version = old->version + 1;
        if (put->ignore_value)
            event.value = old->value;
    }
    if (!key)
        key = model_add(work->model, put->key);
    model_event(work, key, event);
}

static void model_delete(struct model_work *work, const struct store_delete *request,
                         struct store_delete_result *result) {
    struct model *model = work->model;
    struct store_kv *kvs = model_room(work, model->count, sizeof *kvs);
    *result = (struct store_delete_result){.prev_kvs = kvs};
    for (size_t i = 0; i < model->count; i++) {
        const struct model_event *old = model_at(&model->keys[i], INT64_MAX);
        if (!old || !model_in_range(model->keys[i].key, request->key, request->range_end))
            continue;
        kvs[result->deleted++] = model_kv(&model->keys[i], old);
        model_event(work, &model->keys[i], (struct model_event){.tombstone = true});
    }
    result->prev_kv_count = request->prev_kv ? (size_t)result->deleted : 0;
}

/* ---- Transactions ---------------------------------------------------------------------------------- */

static bool model_compare_kv(const struct store_compare *compare, const struct store_kv *kv) {
    int64_t number = compare->target == STORE_COMPARE_VERSION  ? kv->version
                     : compare->target == STORE_COMPARE_CREATE ? kv->create_revision
                     : compare->target == STORE_COMPARE_MOD    ? kv->mod_revision
                                                               : kv->lease;
    int order = compare->target == STORE_COMPARE_VALUE ? bytes_compare(kv->value, compare->value)
                                                       : (number > compare->number) - (number < compare->number);
    return compare->result == STORE_EQUAL     ? order == 0
           : compare->result == STORE_GREATER ? order > 0
           : compare->result == STORE_LESS    ? order < 0
                                              : order != 0;
}

static bool model_holds(const struct model *model, const struct store_compare *compare) {
    bool any = false, all = true;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_event *event = model_at(&model->keys[i], INT64_MAX);
        if (!event || !model_in_range(model->keys[i].key, compare->key, compare->range_end))
            continue;
        struct store_kv kv = model_kv(&model->keys[i], event);
        any = true;
        all = all && model_compare_kv(compare, &kv);
    }
    struct store_kv missing = {0};
    return any ? all : compare->target != STORE_COMPARE_VALUE && model_compare_kv(compare, &missing);
}

static void model_judge(struct model_work *work, const struct store_txn *txn) {
    bool holds = true;
    for (size_t i = 0; i < txn->compare_count; i++)
        holds = holds && model_holds(work->model, &txn->compares[i]);
    work->judged[work->judged_count] = txn;
    work->verdicts[work->judged_count++] = holds;
    for (size_t i = 0; i < txn->success_count; i++) {
        if (txn->success[i].type == STORE_TXN)
            model_judge(work, &txn->success[i].txn);
    }
    for (size_t i = 0; i < txn->failure_count; i++) {
        if (txn->failure[i].type == STORE_TXN)
            model_judge(work, &txn->failure[i].txn);
    }
}

static bool model_verdict(const struct model_work *work, const struct store_txn *txn) {
    for (size_t i = 0; i < work->judged_count; i++) {
        if (work->judged[i] == txn)
            return work->verdicts[i];
    }
    fail();
    return false;
}

static const struct store_op *model_branch(const struct model_work *work, const struct store_txn *txn, size_t *count) {
    bool holds = model_verdict(work, txn);
    *count = holds ? txn->success_count : txn->failure_count;
    return holds ? txn->success : txn->failure;
}

static enum store_error model_check_put(struct model *model, const struct store_put *put, bool in_txn) {
    struct model_key *key = model_find(model, put->key);
    bool missing = (put->ignore_value || put->ignore_lease) && !(key && model_at(key, INT64_MAX));
    if (missing && in_txn)
        return STORE_KEY_NOT_FOUND;
    return put->lease ? STORE_LEASE_NOT_FOUND : missing ? STORE_KEY_NOT_FOUND : STORE_OK;
}

/* The first refusal on the path among the puts, or among the ranges. */
static enum store_error model_check_txn(const struct model_work *work, const struct store_txn *txn, bool puts) {
    size_t count;
    const struct store_op *ops = model_branch(work, txn, &count);
    enum store_error error = STORE_OK;
    for (size_t i = 0; i < count && !error; i++) {
        if (ops[i].type == STORE_TXN)
            error = model_check_txn(work, &ops[i].txn, puts);
        else if (ops[i].type == STORE_PUT && puts)
            error = model_check_put(work->model, &ops[i].put, true);
        else if (ops[i].type == STORE_RANGE && !puts && ops[i].range.revision)
            error = model_check_revision(work->model, ops[i].range.revision);
    }
    return error;
}

static void model_op(struct model_work *work, const struct store_op *op, struct store_op_result *result);

static void model_txn(struct model_work *work, const struct store_txn *txn, struct store_txn_result *result) {
    size_t count;
    const struct store_op *ops = model_branch(work, txn, &count);
    struct store_op_result *results = model_room(work, count, sizeof *results);
    for (size_t i = 0; i < count; i++)
        model_op(work, &ops[i], &results[i]);
    *result = (struct store_txn_result){.succeeded = model_verdict(work, txn), .ops = results, .op_count = count};
}

/* ---- Requests -------------------------------------------------------------------------------------- */

static void model_op(struct model_work *work, const struct store_op *op, struct store_op_result *result) {
    *result = (struct store_op_result){.type = op->type};
    if (op->type == STORE_RANGE)
        model_range(work, &op->range, &result->range);
    else if (op->type == STORE_PUT)
        model_put(work, &op->put, &result->put);
    else if (op->type == STORE_DELETE)
        model_delete(work, &op->delete_range, &result->delete_range);
    else if (op->type == STORE_TXN)
        model_txn(work, &op->txn, &result->txn);
    result->revision = op->type == STORE_TXN ? 0 : model_now(work);
}

static enum store_error model_refusal(struct model_work *work, const struct store_op *op) {
    struct model *model = work->model;
    switch (op->type) {
    case STORE_RANGE:
        return op->range.revision > 0 ? model_check_revision(model, op->range.revision) : STORE_OK;
    case STORE_PUT:
        return model_check_put(model, &op->put, false);
    case STORE_TXN: {
        model_judge(work, &op->txn);
        enum store_error error = model_check_txn(work, &op->txn, true);
        return error ? error : model_check_txn(work, &op->txn, false);
    }
    case STORE_COMPACT:
        if (op->compaction.revision <= model->compacted)
            return STORE_COMPACTED;
        return op->compaction.revision > model->revision ? STORE_FUTURE_REVISION : STORE_OK;
    default:
        return STORE_OK;
    }
}

void model_run(struct model *model, const struct store_op *op, struct store_arena *arena, struct store_result *result) {
    struct model_work *work = calloc(1, sizeof *work);
    assert_non_null(work);
    work->model = model;
    work->arena = arena;
    *result = (struct store_result){.error = model_refusal(work, op)};
    if (!result->error) {
        model_op(work, op, &result->op);
        model->revision = model_now(work);
        result->op.revision = model->revision;
        if (op->type == STORE_COMPACT)
            model->compacted = op->compaction.revision;
    }
    result->revision = model->revision;
    result->compact_revision = model->compacted;
    free(work);
}

size_t model_records(const struct model *model) {
    size_t records = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_key *key = &model->keys[i];
        for (size_t j = 0; j < key->count; j++) {
            bool superseded = j + 1 < key->count && key->events[j + 1].main <= model->compacted;
            bool buried = key->events[j].tombstone && key->events[j].main < model->compacted;
            records += !superseded && !buried;
        }
    }
    return records;
}

/* ---- Overlaps -------------------------------------------------------------------------------------- */

/* What a list writes: every put and every delete in it, each as often as it is there. */
struct model_writes {
    const struct store_op *puts[4096];
    const struct store_op *deletes[4096];
    size_t put_count;
    size_t delete_count;
};

static bool model_puts(const struct model_writes *writes, const struct store_op *put) {
    for (size_t i = 0; i < writes->put_count; i++) {
        if (bytes_compare(writes->puts[i]->put.key, put->put.key) == 0)
            return true;
    }
    return false;
}

static bool model_deletes(const struct model_writes *writes, const struct store_op *put) {
    for (size_t i = 0; i < writes->delete_count; i++) {
        const struct store_delete *request = &writes->deletes[i]->delete_range;
        bool open = request->range_end.size > 0 && bytes_open_ended(request->range_end);
        if (model_in_range(put->put.key, request->key, request->range_end) &&
            (!open || put->put.ignore_value || put->put.ignore_lease))
            return true;
    }
    return false;
}

static bool model_overlap_list(const struct store_op *ops, size_t count, struct model_writes *writes);

static bool model_overlap_branch(const struct store_op *ops, size_t count, const struct model_writes *writes,
                                 struct model_writes **branch) {
    *branch = calloc(1, sizeof **branch);
    assert_non_null(*branch);
    bool overlaps = model_overlap_list(ops, count, *branch);
    for (size_t i = 0; i < (*branch)->put_count; i++)
        overlaps = overlaps || model_puts(writes, (*branch)->puts[i]) || model_deletes(writes, (*branch)->puts[i]);
    return overlaps;
}

static void model_overlap_add(struct model_writes *writes, struct model_writes *branch) {
    for (size_t i = 0; i < branch->put_count; i++)
        writes->puts[writes->put_count++] = branch->puts[i];
    for (size_t i = 0; i < branch->delete_count; i++)
        writes->deletes[writes->delete_count++] = branch->deletes[i];
    free(branch);
}

static bool model_overlap_list(const struct store_op *ops, size_t count, struct model_writes *writes) {
    bool overlaps = false;
    for (size_t i = 0; i < count; i++) {
        if (ops[i].type == STORE_DELETE)
            writes->deletes[writes->delete_count++] = &ops[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (ops[i].type != STORE_TXN)
            continue;
        struct model_writes *success, *failure;
        const struct store_txn *txn = &ops[i].txn;
        overlaps |= model_overlap_branch(txn->success, txn->success_count, writes, &success);
        overlaps |= model_overlap_branch(txn->failure, txn->failure_count, writes, &failure);
        model_overlap_add(writes, success);
        model_overlap_add(writes, failure);
    }
    for (size_t i = 0; i < count; i++) {
        if (ops[i].type != STORE_PUT)
            continue;
        overlaps = overlaps || model_puts(writes, &ops[i]) || model_deletes(writes, &ops[i]);
        writes->puts[writes->put_count++] = &ops[i];
    }
    return overlaps;
}

bool model_overlaps(const struct store_txn *txn) {
    struct model_writes *success = calloc(1, sizeof *success), *failure = calloc(1, sizeof *failure);
    assert_true(success && failure);
    bool overlaps = model_overlap_list(txn->success, txn->success_count, success);
    overlaps |= model_overlap_list(txn->failure, txn->failure_count, failure);
    free(success);
    free(failure);
    return overlaps;
}

/* ---- Comparing ------------------------------------------------------------------------------------- */

static void model_compare_kvs(const struct store_kv *actual, const struct store_kv *expected, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_bytes(actual[i].key, expected[i].key);
        assert_bytes(actual[i].value, expected[i].value);
        assert_int_equal(actual[i].create_revision, expected[i].create_revision);
        assert_int_equal(actual[i].mod_revision, expected[i].mod_revision);
        assert_int_equal(actual[i].version, expected[i].version);
        assert_int_equal(actual[i].lease, expected[i].lease);
    }
}

static void model_compare_op(const struct store_op_result *actual, const struct store_op_result *expected) {
    assert_int_equal(actual->type, expected->type);
    assert_int_equal(actual->revision, expected->revision);
    switch (expected->type) {
    case STORE_RANGE:
        assert_int_equal(actual->range.count, expected->range.count);
        assert_int_equal(actual->range.more, expected->range.more);
        assert_int_equal(actual->range.kv_count, expected->range.kv_count);
        model_compare_kvs(actual->range.kvs, expected->range.kvs, expected->range.kv_count);
        break;
    case STORE_PUT:
        assert_int_equal(actual->put.prev_kv != NULL, expected->put.prev_kv != NULL);
        model_compare_kvs(actual->put.prev_kv, expected->put.prev_kv, expected->put.prev_kv != NULL);
        break;
    case STORE_DELETE:
        assert_int_equal(actual->delete_range.deleted, expected->delete_range.deleted);
        assert_int_equal(actual->delete_range.prev_kv_count, expected->delete_range.prev_kv_count);
        model_compare_kvs(actual->delete_range.prev_kvs, expected->delete_range.prev_kvs,
                          expected->delete_range.prev_kv_count);
        break;
    case STORE_TXN:
        assert_int_equal(actual->txn.succeeded, expected->txn.succeeded);
        assert_int_equal(actual->txn.op_count, expected->txn.op_count);
        for (size_t i = 0; i < expected->txn.op_count; i++)
            model_compare_op(&actual->txn.ops[i], &expected->txn.ops[i]);
        break;
    case STORE_COMPACT:
    case STORE_MEMBER: /* these are never generated */
    case STORE_RAISE:
        break;
    }
}

void model_compare(const struct store_result *actual, const struct store_result *expected) {
    assert_int_equal(actual->error, expected->error);
    assert_int_equal(actual->revision, expected->revision);
    assert_int_equal(actual->compact_revision, expected->compact_revision);
    if (!expected->error)
        model_compare_op(&actual->op, &expected->op);
}
