/* SPDX-License-Identifier: Apache-2.0
 *
 * A data directory that is open for inspection.
 */
#ifndef LASH_NODE_INSPECTION_H
#define LASH_NODE_INSPECTION_H

#include "node/offline.h"

struct inspected {
    const struct vfs *vfs;
    char *log_dir;
    char *snapshots_dir;
    struct log_identity blob;
    struct settings_identity identity;
    struct log *log; /* open, and so locked */
    struct log_recovered recovered;
    struct snapshots *snapshots;
    struct roster *roster; /* the newest membership; NULL: none */
};

/* Open log and snapshots of `data_dir`. Ends with inspection_close in any case. Errors: those of log_identify, log_open and
 * snapshots_open. */
int inspection_open(const struct vfs *vfs, const char *data_dir, struct inspected *inspected);
void inspection_close(struct inspected *inspected);

/* The newest membership, committed or not: the caller's; NULL: there is none. Errors: LASH_CORRUPT, LASH_VERSION, LASH_NOMEM, LASH_IO. */
int inspection_roster(struct inspected *inspected, struct roster **roster);

/* The term of the last entry. */
lash_term inspection_last_term(const struct inspected *inspected);

#endif
