/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as its clients should see it: keys with their values, versions and revisions, and
 * one revision that each change raises by one. Every change can be undone, the latest first.
 */
#ifndef LASH_LINEAR_REVISION_MODEL_H
#define LASH_LINEAR_REVISION_MODEL_H

#include "linear/cache.h"
#include "linear/revision_history.h"

/* One change of a key. */
struct revision_event {
    uint32_t key;
    uint32_t before; /* the key's change before, by its place raised by one; 0: none */
    bool deleted;
    uint32_t value;
    int64_t create, mod, version; /* create and mod are 0 where nobody tells of revisions */
};

struct revision_model {
    const struct revision_history *history;
    struct revision_event *events; /* all changes so far */
    size_t count;
    size_t capacity;
    uint32_t *newest; /* by key: its latest change, by its place raised by one; 0: none */
    int64_t revision;
    struct cache_state state; /* tells states from one another */
};

/* A place to go back to. */
struct revision_mark {
    size_t count;
    int64_t revision;
    struct cache_state state;
};

/* An empty store at `revision`, for the history's keys. False when memory ran out. */
bool revision_model_init(struct revision_model *model, const struct revision_history *history, int64_t revision);
void revision_model_free(struct revision_model *model);

struct revision_mark revision_model_mark(const struct revision_model *model);
void revision_model_undo(struct revision_model *model, const struct revision_mark *mark);

/* Carry `op` out. NULL when it gives the answer that the history has, or that is not known; otherwise in words what is
 * not so, and the caller goes back. *nomem is set when memory ran out. */
const char *revision_model_apply(struct revision_model *model, const struct revision_op *op, bool *nomem);

/* The key's latest change; NULL when it never had one. */
const struct revision_event *revision_model_newest(const struct revision_model *model, uint32_t key);

#endif
