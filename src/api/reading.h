/* SPDX-License-Identifier: Apache-2.0
 *
 * Linearizable reads: those that come in one turn of the loop ask the node together,
 * and are served together, from one view of the store that is begun once the node
 * has answered.
 *
 * Threads: the loop's.
 */
#ifndef LASH_API_READING_H
#define LASH_API_READING_H

#include "api/call.h"

/* The call waits for the node's word that the local state is recent enough, and is completed with it, or with an error. */
void reading_join(struct call *call);

/* Ask the node for all that have joined. At the end of each turn; calls that end by that may have something to send. */
void reading_ask(struct loop *loop);

/* Whether somebody has joined that the node was not asked for. */
bool reading_waits(const struct loop *loop);

/* The view for reads that are served while the loop delivers what the node is done with: none of them joined later than the view began.
 * NULL: not while it delivers, or there is none for now. */
struct store_reader *reading_view(struct loop *loop);

/* The loop begins to deliver, and is through with it. */
void reading_begin(struct loop *loop);
void reading_end(struct loop *loop);

#endif
