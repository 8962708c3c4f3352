/* SPDX-License-Identifier: Apache-2.0
 *
 * A phrase for each error.
 */
#include "lash/error.h"

#include <stddef.h>

static const char *const error_phrases[] = {
    [-LASH_OK] = "success",
    [-LASH_INVALID] = "invalid argument",
    [-LASH_NOMEM] = "out of memory",
    [-LASH_IO] = "input/output error",
    [-LASH_CORRUPT] = "corrupt data",
    [-LASH_FULL] = "disk full",
    [-LASH_BUSY] = "in use or at its bound",
    [-LASH_NOT_LEADER] = "not the leader",
    [-LASH_NO_LEADER] = "no leader known",
    [-LASH_DROPPED] = "dropped, not carried out",
    [-LASH_UNKNOWN] = "outcome unknown",
    [-LASH_TIMEOUT] = "timed out, outcome unknown",
    [-LASH_CLOSED] = "closing",
    [-LASH_TOO_LARGE] = "too large",
    [-LASH_MISMATCH] = "belongs to another cluster, node or group",
    [-LASH_VERSION] = "of a newer, unknown version",
    [-LASH_NOT_FOUND] = "not found",
    [-LASH_COMPACTED] = "compacted",
    [-LASH_FUTURE] = "not there yet",
    [-LASH_EXISTS] = "exists already",
    [-LASH_BEHIND] = "yet to catch up",
    [-LASH_REMOVED] = "removed from the cluster",
    [-LASH_BACKLOG] = "more proposed than is committed or applied in time",
    [-LASH_EXPIRED] = "session ended",
    [-LASH_DAMAGED] = "log damaged, being repaired from peers",
    [-LASH_WITNESS] = "a witness, keeps no data",
};

const char *lash_strerror(int error) {
    const int last = (int)(sizeof error_phrases / sizeof error_phrases[0]) - 1;
    if (error > 0 || error < -last || !error_phrases[-error])
        return "unknown error";
    return error_phrases[-error];
}
