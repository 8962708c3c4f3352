/* SPDX-License-Identifier: Apache-2.0
 *
 * Records: what each revision wrote, and the chain that leads from a key to its older
 * records.
 *
 * The chain. The index names a key's newest record, and each record the key's one
 * before it, `previous`. A second pointer, `jump`, makes a search short. A replica
 * numbers the records of a key 1, 2, 3, ... as it writes them (the *ordinal*; the
 * index has the newest's), and every RECORD_POST-th of them is a *post* (the index
 * has the newest one too). What is no post jumps to the newest post before it. The posts are numbered
 * likewise, and post n jumps as many posts back as the smallest term of n when n is written as
 * a sum of 1, 3, 7, 15, ..., the largest first: the skew binary numbers of Myers' random access lists. Then
 *
 *   the smallest term is 1: post n jumps to post n - 1;
 *   else n - 1 ends with two terms of half the size, and n jumps to where n - 1's jump jumps;
 *
 * so that two records are read to write every second post, one in RECORD_POST writes on the average, and
 * a search among n records reads O(RECORD_POST + log n) of them. To read a record of long ago costs a
 * third of what a write does, as it is in no processor's cache any more; hence the posts.
 *
 * The invariant: jump <= previous < the record, and both are revisions of its key, or
 * main 0: there is none. The search for the newest record at or before r follows a
 * pointer only when what it points to is behind r (a pointer holds the revision, so
 * that nothing is read to know), jump before previous, and ends where neither is:
 * previous is the answer then, by the chain alone. Where jumps lead decides how many
 * records are read and never what is found.
 *
 * Compaction to c removes records up to c only, of each key the oldest ones, and a
 * tombstone before c with all that is older (compact.h). Searches are for r >= c:
 *
 *   - what the search reads is behind r, so that it is there, however far a removal is;
 *   - the answer may have been removed, if it was a tombstone: the key did not exist at r.
 *     Anything else up to c that is removed has a later one up to c, and is no answer;
 *   - when a jump is made and post n - 1, or its jump, was removed, n jumps there too: it is of the key and older,
 *     and no search for r >= c goes to it, nor to where n's jump should lead, which is older still;
 *   - a key whose last record went leaves the index with it, and begins anew with ordinal 1 and no previous.
 *
 * Ordinals and jumps are each replica's own and in no image or hash: a restored
 * replica numbers the records that the image has.
 *
 * Errors of all functions here: LASH_NOT_FOUND (where it says so), LASH_NOMEM,
 * LASH_CORRUPT, LASH_IO, LASH_FULL.
 */
#ifndef LASH_STORE_RECORD_H
#define LASH_STORE_RECORD_H

#include "store/view.h"

/* Every how manieth record of a key is a post. */
enum { RECORD_POST = 16 };

/* What the index is to hold of a key that had `old`, all zeros for a new one, once `revision` is its newest: but for the numbers
 * that clients see. */
struct index_entry record_entry(const struct index_entry *old, struct revision revision);

/* A record's bytes lie in the database here: until the next write in a writing view, else until the view ends. */

/* The record's fields as a client sees them; the bytes stay where they are. */
struct store_kv record_kv(const struct record *record);

/* The record of `revision`; a missing one is LASH_CORRUPT, as only known revisions are asked for. */
int record_get(struct view *view, struct revision revision, struct record *record);

/* Likewise of a revision that may have been removed: LASH_NOT_FOUND. A missing one that is not compacted is LASH_CORRUPT. */
int record_get_old(struct view *view, struct revision revision, struct record *record);

/* The first record at or behind `from`. LASH_NOT_FOUND: there is none. */
int record_seek(struct view *view, struct revision from, struct record *record);

/* Add the record, which is behind all others, of a key of which the index held `old`, all zeros for a new one. Its jump is found
 * here. Its key and value must not lie in the database. */
int record_append(struct view *view, const struct record *record, const struct index_entry *old);

/* Remove the record; LASH_OK too when it is not there. */
int record_remove(struct view *view, struct revision revision);

/* The revision of a key at or before `main`, which is not before the compaction and is before the key's `newest`. Its record may have been
 * removed: see above. LASH_NOT_FOUND: the key has none. */
int record_find(struct view *view, struct revision newest, int64_t main, struct revision *revision);

#endif
