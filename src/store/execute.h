/* SPDX-License-Identifier: Apache-2.0
 *
 * Carrying out one request in a view: refusals first, then the operations in order.
 */
#ifndef LASH_STORE_EXECUTE_H
#define LASH_STORE_EXECUTE_H

#include "store/view.h"

/* Carry out `op`; one that changes something needs a writing view. A refusal changes nothing and is in *refusal. `result` is
 * filled when it is not NULL: nobody waits for an answer otherwise, and none is made; what it points to lies in `arena`.
 * Errors (the view is to be aborted then): LASH_NOMEM, LASH_CORRUPT, LASH_IO, LASH_FULL. */
int execute_run(struct view *view, const struct store_op *op, struct store_arena *arena, enum store_error *refusal,
                struct store_op_result *result);

#endif
