/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store should do, said as plainly as possible: all events of all keys in
 * arrays, and nothing is ever removed.
 */
#ifndef LASH_TEST_STORE_MODEL_H
#define LASH_TEST_STORE_MODEL_H

#include "store/arena.h"
#include "store/store.h"

struct model_event {
    int64_t main;
    bool tombstone;
    int64_t create_revision;
    int64_t version;
    struct store_bytes value;
};

struct model_key {
    struct store_bytes key;
    struct model_event *events; /* oldest first */
    size_t count;
    size_t capacity;
};

struct model {
    struct model_key *keys; /* sorted */
    size_t count;
    size_t capacity;
    int64_t revision;
    int64_t compacted;
};

void model_init(struct model *model);
void model_free(struct model *model);

/* Carry out `op`, which passed store_check; the result points into the model, the request and `arena`. */
void model_run(struct model *model, const struct store_op *op, struct store_arena *arena, struct store_result *result);

/* Records that a store holds when all that is compacted is removed. */
size_t model_records(const struct model *model);

/* Whether a transaction puts a key twice or into what it deletes, by etcd's rule and every pair of operations. */
bool model_overlaps(const struct store_txn *txn);

/* Compare two results in all they hold. */
void model_compare(const struct store_result *actual, const struct store_result *expected);

#endif
