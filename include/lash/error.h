/* SPDX-License-Identifier: Apache-2.0
 *
 * The errors that Lash returns. Every function of the public headers that can
 * fail returns 0 (LASH_OK) on success and one of these negative numbers
 * otherwise; its declaration lists which ones. A caller's mistake is an error
 * here too; only a broken invariant of Lash itself stops the process.
 */
#ifndef LASH_ERROR_H
#define LASH_ERROR_H

#if defined(__GNUC__)
#define LASH_PUBLIC __attribute__((visibility("default")))
#else
#define LASH_PUBLIC
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong. Numbers are stable: new ones are only added. */
enum lash_error {
    LASH_OK = 0,
    LASH_INVALID = -1,    /* an argument or its combination is outside the contract */
    LASH_NOMEM = -2,      /* memory ran out; nothing was half-done */
    LASH_IO = -3,         /* the operating system reported an I/O error */
    LASH_CORRUPT = -4,    /* bytes on disk are not what was written; see the log for where */
    LASH_FULL = -5,       /* the disk, or a fixed-size block, has no room */
    LASH_BUSY = -6,       /* the data directory or address is in use, or a queue is at its bound */
    LASH_NOT_LEADER = -7, /* only the leader can do this, and this replica is not it */
    LASH_NO_LEADER = -8,  /* no leader is known at present; try again */
    LASH_DROPPED = -9,    /* certainly not carried out: overwritten by another leader or never sent */
    LASH_UNKNOWN = -10,   /* the outcome is unknown: it may or may not be carried out */
    LASH_TIMEOUT = -11,   /* the time allowed ran out; the outcome is unknown */
    LASH_CLOSED = -12,    /* the node is closing */
    LASH_TOO_LARGE = -13, /* larger than the limit that the options set */
    LASH_MISMATCH = -14,  /* the data belongs to another cluster, node or group */
    LASH_VERSION = -15,   /* written or spoken by a newer, unknown version */
    LASH_NOT_FOUND = -16, /* there is no such thing */
    LASH_COMPACTED = -17, /* it existed, and has been compacted away */
    LASH_FUTURE = -18,    /* it does not exist yet */
    LASH_EXISTS = -19,    /* it exists already */
    LASH_BEHIND = -20,    /* the member is yet to catch up with the log */
    LASH_REMOVED = -21,   /* this node was removed from the cluster for good */
    LASH_BACKLOG =
        -22, /* the group commits, or this node applies, more slowly than is proposed; certainly not carried out */
    LASH_EXPIRED = -23, /* the session has ended */
    LASH_DAMAGED = -24, /* bytes on disk are not what was written; they are fetched from other replicas */
    LASH_WITNESS = -25, /* this node is a witness and keeps no data; certainly not carried out: ask another */
};

/* A short English phrase for an error, such as "disk full". Never NULL, static storage, any thread. */
LASH_PUBLIC const char *lash_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
