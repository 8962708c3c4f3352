/* SPDX-License-Identifier: Apache-2.0
 *
 * What a revision is, and what it wrote.
 */
#ifndef LASH_STORE_REVISION_H
#define LASH_STORE_REVISION_H

#include "store/store.h"

/* The place of one change in the order of all. */
struct revision {
    int64_t main; /* the revision that clients see */
    uint32_t sub; /* counts the changes of one request */
};

/* One revision of a key. The bytes are someone else's: see who hands it out. */
struct record {
    struct revision revision;
    bool tombstone;
    struct revision previous; /* the key's revision before; main 0: none. It may have been removed since. */
    struct revision jump;     /* one further back (record.h), each replica's own; known once it is in a database */
    int64_t create_revision;
    int64_t version;
    int64_t lease;
    struct store_bytes key;
    struct store_bytes value;
};

/* Below, equal or above 0 as `a` comes before, with or after `b`. */
static inline int revision_compare(struct revision a, struct revision b) {
    if (a.main != b.main)
        return a.main < b.main ? -1 : 1;
    return (a.sub > b.sub) - (a.sub < b.sub);
}

/* A hash of every revision that is held, the same wherever the same commands were applied: begun with the store's revision and
 * its compacted one, continued with each record in order. */
uint64_t revision_hash(int64_t revision, int64_t compacted);
uint64_t revision_hash_record(uint64_t hash, const struct record *record);

#endif
