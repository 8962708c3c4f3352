/* SPDX-License-Identifier: Apache-2.0
 *
 * A view: one LMDB transaction with the store's numbers as of then and the cursors
 * that go with it. All work on the store happens in a view: a reader's, which sees
 * one state whatever is written meanwhile, or the apply thread's, which writes.
 */
#ifndef LASH_STORE_VIEW_H
#define LASH_STORE_VIEW_H

#include "store/db.h"
#include "store/index.h"

/* The store's numbers: one record of the meta table, written with each batch. */
struct view_state {
    lash_index applied;
    int64_t revision;     /* 1 in a fresh store */
    int64_t compacted;    /* the last compaction's revision; -1: there was none */
    bool removing;        /* what the compaction made obsolete is still being removed */
    struct revision scan; /* the removal has dealt with the revisions before this one */
    uint64_t next_space;  /* see index.h */
};

struct view {
    const struct db *db;
    MDB_txn *txn;
    bool writes;
    bool lends; /* what is found is valid until the view's end, and need not be copied */
    struct view_state state;
    struct index index;
    MDB_cursor *revisions; /* opened at first use */
};

/* Begin. On success the view is ended by view_commit or view_abort. Any thread for readers, the apply thread for the
 * writer. Errors: as db_error, LASH_CORRUPT. */
int view_begin(struct view *view, const struct db *db, bool writes);

/* Write the state and make all changes visible at once, or none when it fails; ends the view in any case. */
int view_commit(struct view *view);

/* End without changes. */
void view_abort(struct view *view);

#endif
