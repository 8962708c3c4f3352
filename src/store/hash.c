/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes of what the store holds, by which replicas are compared: of all of it as it is,
 * and of all up to a revision, which must be the same wherever that revision was applied,
 * however far replicas are beyond it and with the removal of what was compacted.
 */
#include "base/logger.h"
#include "store/handle.h"
#include "store/record.h"
#include "store/revision.h"
#include "store/store.h"

int store_hash(struct store *store, uint64_t *hash) {
    struct view view;
    int rc = handle_look(store, &view);
    if (rc)
        return rc;
    *hash = revision_hash(view.state.revision, view.state.compacted);
    struct record record;
    struct revision next = {0};
    while ((rc = record_seek(&view, next, &record)) == 0) {
        *hash = revision_hash_record(*hash, &record);
        next = (struct revision){.main = record.revision.main, .sub = record.revision.sub + 1};
    }
    handle_leave(store, &view);
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

/* ---- Up to a revision --------------------------------------------------------------------------- */

/* The newest revision of the record's key that is not behind the compaction. */
static int hash_newest(struct view *view, const struct record *record, struct revision *newest) {
    struct index_entry entry;
    int rc = index_find(&view->index, record->key, &entry);
    if (rc == 0 && entry.revision.main <= view->state.compacted)
        *newest = entry.revision;
    else if (rc == 0)
        rc = record_find(view, entry.revision, view->state.compacted, newest);
    return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
}

/* Whether the record stays once everything that was compacted is removed, which goes on as commands are applied. */
static int hash_stays(struct view *view, const struct record *record, bool *stays) {
    struct revision newest = record->revision;
    int rc = LASH_OK;
    *stays = true;
    if (!view->state.removing || record->revision.main > view->state.compacted)
        return rc;
    if (record->tombstone && record->revision.main < view->state.compacted)
        *stays = false;
    else
        rc = hash_newest(view, record, &newest);
    *stays = *stays && revision_compare(newest, record->revision) == 0;
    return rc;
}

static int hash_records(struct view *view, int64_t revision, uint64_t *hash) {
    struct record record;
    struct revision next = {0};
    int rc;
    while ((rc = record_seek(view, next, &record)) == 0 && record.revision.main <= revision) {
        bool stays;
        rc = hash_stays(view, &record, &stays);
        if (rc)
            return rc;
        if (stays)
            *hash = revision_hash_record(*hash, &record);
        next = (struct revision){.main = record.revision.main, .sub = record.revision.sub + 1};
    }
    return rc == LASH_NOT_FOUND ? LASH_OK : rc;
}

static int hash_view(struct view *view, int64_t revision, struct store_hash_kv *answer) {
    const struct view_state *state = &view->state;
    answer->revision = state->revision;
    answer->compact_revision = state->compacted;
    answer->hash_revision = revision ? revision : state->revision;
    answer->error = revision > state->revision                    ? STORE_FUTURE_REVISION
                    : revision > 0 && revision < state->compacted ? STORE_COMPACTED
                                                                  : STORE_OK;
    if (answer->error)
        return LASH_OK;
    uint64_t hash = revision_hash(answer->hash_revision, state->compacted);
    int rc = hash_records(view, answer->hash_revision, &hash);
    answer->hash = (uint32_t)(hash ^ hash >> 32);
    return rc;
}

void store_hash_kv(struct store *store, int64_t revision, struct store_hash_kv *answer) {
    struct view view;
    *answer = (struct store_hash_kv){.error = STORE_OK};
    int rc = handle_look(store, &view);
    if (rc == 0) {
        rc = hash_view(&view, revision, answer);
        handle_leave(store, &view);
    }
    if (rc == 0)
        return;
    answer->error = STORE_FAILED;
    log_error("store: cannot hash what it holds", F_STR("dir", store_dir(store)), F_ERR(rc));
}
