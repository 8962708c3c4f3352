/* SPDX-License-Identifier: Apache-2.0
 *
 * Compaction to revision r keeps for each key its newest revision at or before r,
 * unless that is a tombstone. What goes is therefore
 *
 *   - the revision before each one at or before r, which the record names;
 *   - each tombstone before r, and the key with it unless it has been written again.
 *
 * So one pass over the records of the revisions since the last compaction finds all of
 * it. A tombstone of r itself stays until the next compaction, because a watch may
 * still start at r and must see the deletion. Every removal may be repeated safely.
 */
#include "store/compact.h"

#include "base/assert.h"
#include "store/record.h"

enum {
    COMPACT_FIRST = 4096, /* records looked at by the compaction itself */
    COMPACT_STEP = 16,    /* and by each command after it; several, so that the removal outruns new revisions */
};
_Static_assert(COMPACT_STEP >= 2, "the removal must be faster than what adds to it");

/* Remove a tombstone, and the key with it unless it has been written again. */
static int compact_remove_tombstone(struct view *view, const struct record *record) {
    struct index_entry entry;
    int rc = index_first(&view->index, record->key, (struct store_bytes){0}, &entry);
    if (rc)
        return rc == LASH_NOT_FOUND ? LASH_CORRUPT : rc;
    if (revision_compare(entry.revision, record->revision) != 0)
        return record_remove(view, record->revision);
    /* The walk's copy of the key: the record's own lies in the database, where a write may move it. */
    rc = index_remove(&view->index, index_key(&view->index));
    return rc ? rc : record_remove(view, record->revision);
}

/* Remove what one record at or before the compaction's revision makes obsolete. Reads only the record's numbers once it has
 * written. */
static int compact_record(struct view *view, const struct record *record) {
    LASH_ASSERT(record->revision.main <= view->state.compacted);
    int rc = LASH_OK;
    if (record->tombstone && record->revision.main < view->state.compacted)
        rc = compact_remove_tombstone(view, record);
    if (rc == 0 && record->previous.main)
        rc = record_remove(view, record->previous);
    return rc;
}

/* Look at `count` records at most. */
static int compact_remove(struct view *view, size_t count) {
    struct view_state *state = &view->state;
    for (; count > 0; count--) {
        struct record record;
        int rc = record_seek(view, state->scan, &record);
        if (rc && rc != LASH_NOT_FOUND)
            return rc;
        if (rc || record.revision.main > state->compacted) {
            /* Done; the next compaction looks again at this one's own revision, for its tombstones. */
            state->removing = false;
            state->scan = (struct revision){.main = state->compacted, .sub = 0};
            return LASH_OK;
        }
        state->scan = (struct revision){.main = record.revision.main, .sub = record.revision.sub + 1};
        rc = compact_record(view, &record);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

int compact_run(struct view *view, const struct store_compaction *compaction, enum store_error *refusal) {
    struct view_state *state = &view->state;
    *refusal = STORE_OK;
    if (compaction->revision <= state->compacted)
        *refusal = STORE_COMPACTED;
    else if (compaction->revision > state->revision)
        *refusal = STORE_FUTURE_REVISION;
    if (*refusal)
        return LASH_OK;
    /* A pass under way goes on to the new revision. The tombstones of the old one that it has passed already are found by
     * starting there again. */
    if (state->removing && state->scan.main >= state->compacted)
        state->scan = (struct revision){.main = state->compacted, .sub = 0};
    state->compacted = compaction->revision;
    state->removing = true;
    return compact_remove(view, compaction->physical ? SIZE_MAX : COMPACT_FIRST);
}

int compact_step(struct view *view) {
    return view->state.removing ? compact_remove(view, COMPACT_STEP) : LASH_OK;
}
