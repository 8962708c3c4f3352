/* SPDX-License-Identifier: Apache-2.0
 *
 * A member's life: directory, client port, store, node and server come up in
 * this order, run until a signal, and go down in the reverse one.
 */
#ifndef LASH_LASHD_MEMBER_H
#define LASH_LASHD_MEMBER_H

#include "lashd/config.h"
#include "lashd/exit.h"

/* Run until SIGTERM or SIGINT; a second one ends the process at once. Not LASHD_EXIT_OK when it could not start or had to give
 * up: then one line in `problem` says what, to what, and what to do. Call it once, from the main thread. */
enum lashd_exit member_run(const struct config *config, char *problem, size_t problem_size);

#endif
