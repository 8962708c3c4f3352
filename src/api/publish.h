/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishes this member's name and client URLs through the log, again and again
 * until it is through: then the member is known to have a leader and to have
 * caught up, and says that it is ready.
 *
 * Threads: the loop's, but publish_start, which comes before the loop's thread.
 */
#ifndef LASH_API_PUBLISH_H
#define LASH_API_PUBLISH_H

#include "api/loop.h"

/* `publisher` is the loop's, and zero but for its timer. */
void publish_start(struct publisher *publisher);

/* Give up, if it is not through yet. */
void publish_stop(struct publisher *publisher);

#endif
