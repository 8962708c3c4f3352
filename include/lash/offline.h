/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be done to a node's data directory while nothing runs on it: founding a
 * new cluster with a given state, as from a backup; looking into it; and, when a
 * majority of a cluster is lost for good, making the survivors a cluster of their own.
 *
 * Threads: any; one at a time for a directory. A process that has it open is noticed
 * (LASH_BUSY).
 */
#ifndef LASH_OFFLINE_H
#define LASH_OFFLINE_H

#include "lash/node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Founding ---------------------------------------------------------------------------------- */

/* Takes a piece of a state; what it returns other than 0 is to be returned at once. */
typedef int (*lash_state_fn)(void *to, const void *data, size_t size);

/* A member of a new cluster that begins with a given state. All members must be given the same state and the same members. */
struct lash_founding {
    const char *data_dir; /* created if missing; must hold no data */
    lash_id id;           /* this member's */
    uint64_t cluster_id;  /* one that was never used before: members of an old cluster then have nothing to say here */
    uint64_t group;
    const struct lash_node_member *members; /* the first configuration, this member included; `disk` is not looked at */
    size_t member_count;
    uint64_t segment_bytes; /* [64 MiB] size of a log file */

    /* Hand the state over, in the format that the state machine's `restore` reads. Returns 0, what `take` returned, or an
     * error of its own. */
    int (*state)(void *context, lash_state_fn take, void *to);
    void *context;
};

/* Make the directory: a snapshot of the state at index 1, and a log that begins behind it. The node that is opened on it restores
 * the snapshot first. If the process is killed meanwhile, no node can be opened on what there is; it is to be removed.
 * Errors: LASH_INVALID (options), LASH_TOO_LARGE (members), LASH_EXISTS (it holds data), LASH_BUSY, LASH_NOMEM, LASH_IO,
 * LASH_FULL, those of `state`; each with a log line. */
LASH_PUBLIC int lash_node_found(const struct lash_founding *founding);

/* ---- Looking ----------------------------------------------------------------------------------- */

struct lash_inspection {
    struct lash_identity identity;
    lash_term term; /* durable */
    lash_id vote;
    lash_index first_index; /* of the log */
    lash_index last_index;
    lash_term last_term; /* of the last entry: of two logs, the one with the higher is ahead, then the longer one */
    lash_index snapshot; /* the newest; 0: none */
    bool unfinished;     /* a recovery was begun here, and is to be gone on with */
    struct lash_members *members; /* the newest membership that it knows, committed or not; NULL: none */
};

/* Read a directory. What a crash left torn at the log's end is cut off, as at a start.
 * Errors: LASH_INVALID, LASH_NOT_FOUND (no data), LASH_BUSY, LASH_CORRUPT, LASH_VERSION, LASH_MISMATCH, LASH_IO, LASH_NOMEM, LASH_FULL. */
LASH_PUBLIC int lash_node_inspect(const char *data_dir, struct lash_inspection *inspection);

/* Release what an inspection points to. */
LASH_PUBLIC void lash_inspection_free(struct lash_inspection *inspection);

/* ---- Recovery of last resort ------------------------------------------------------------------- */

enum { LASH_RECORD_MAX = 8192 };

struct lash_recovery {
    const char *data_dir;
    const lash_id *survivors; /* of the newest membership, this node included: the new cluster, in which all vote */
    size_t survivor_count;
    uint64_t segment_bytes;       /* [64 MiB] size of a log file */
    char record[LASH_RECORD_MAX]; /* out: what was done, as it was written down */
    char record_path[4096];       /* out: where */
    uint64_t cluster_id;          /* out: the new cluster's; the same at all survivors of the same cluster */
};

/* Make the survivors of a cluster a new one: to be done at each of them, with the same list. The log stays as it is, but for its memberships,
 * which become empty entries; so do the snapshots. Whatever the lost members had acknowledged without
 * the survivors is gone. While one of them may still run, this makes two clusters of one; see docs/protocol.md,
 * "Recovery of last resort". What it does is written to a file in the directory; log and snapshots as they were are
 * kept in its folder "replaced". A recovery that was interrupted is gone on with, whatever the list says.
 * Errors: LASH_INVALID (no survivors, one that is no member, or not this node), LASH_REMOVED (this node was removed
 * from its cluster before), LASH_NOT_FOUND, LASH_BUSY, LASH_CORRUPT, LASH_VERSION, LASH_MISMATCH, LASH_IO, LASH_NOMEM,
 * LASH_FULL; each with a log line, and nothing has changed. */
LASH_PUBLIC int lash_node_recover(struct lash_recovery *recovery);

#ifdef __cplusplus
}
#endif
#endif
