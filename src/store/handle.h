/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands behind struct store.
 */
#ifndef LASH_STORE_HANDLE_H
#define LASH_STORE_HANDLE_H

#include "base/metric.h"
#include "store/db.h"
#include "store/reserve.h"
#include "store/store.h"

struct store {
    struct db db;
    int lock;               /* see dir.h */
    char *dir;              /* for the marker, at close */
    struct reserve reserve; /* the apply thread's */
    uint64_t (*now_ns)(void);
    struct metric_histogram commit;
};

#endif
