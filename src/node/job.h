/* SPDX-License-Identifier: Apache-2.0
 *
 * A piece of work that the loop thread hands to an executor: `work` runs there,
 * then `done` on the loop thread. Its owner embeds it and keeps it alive until
 * `done` was called.
 */
#ifndef LASH_NODE_JOB_H
#define LASH_NODE_JOB_H

#include <stdbool.h>

#include "base/list.h"

struct job {
    struct list link; /* the executor's, from submission to `done` */
    void (*work)(struct job *job);
    void (*done)(struct job *job);
    bool quick; /* it may be done on the loop thread as well */
};

#endif
