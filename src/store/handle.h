/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands behind struct store: above all the database, which a restored snapshot
 * replaces by another while readers use it. Each goes on with the one that it began
 * with; the last user closes it.
 */
#ifndef LASH_STORE_HANDLE_H
#define LASH_STORE_HANDLE_H

#include <pthread.h>

#include "base/metric.h"
#include "store/reserve.h"
#include "store/store.h"
#include "store/view.h"

/* An open database file. */
struct handle_file {
    struct db db;
    uint32_t users; /* under the store's lock; the store itself is one, as long as this is its file */
};

struct store {
    struct handle_file *file; /* replaced under `lock`, by the apply thread, which may read it without */
    pthread_mutex_t lock;
    bool replaced;          /* a snapshot was restored since the store was opened */
    _Atomic bool lost;      /* the system could not write some of the database: nothing read from it counts any more */
    int dir_lock;           /* see dir.h */
    char *dir;              /* for the marker, at close */
    uint64_t map_bytes;     /* of each database */
    uint64_t growth_max;    /* see struct store_options */
    struct reserve reserve; /* the apply thread's */
    uint64_t (*now_ns)(void);
    struct metric_histogram commit;
};

/* The database that is the store's now, which stays open until it is let go. Any thread. */
struct handle_file *handle_hold(struct store *store);
void handle_release(struct store *store, struct handle_file *file);

/* Begin to read, and end it. Any thread. Errors: as view_begin. */
int handle_look(struct store *store, struct view *view);
void handle_leave(struct store *store, struct view *view);

/* Open `name` in the store's directory as a database that has one user. Errors: as db_open. */
int handle_open(const struct store *store, const char *name, struct handle_file **file);

/* Let `file`, which has one user, be the store's from now on. The apply thread's. */
void handle_replace(struct store *store, struct handle_file *file);

#endif
