/* SPDX-License-Identifier: Apache-2.0
 *
 * Who this member is: by the data that it has, or else by the flags in a new cluster,
 * and by the cluster's own list in a running one.
 */
#ifndef LASH_LASHD_IDENTITY_H
#define LASH_LASHD_IDENTITY_H

#include "lashd/config.h"
#include "lashd/exit.h"

/* Look what data there is: with any, its member and cluster are taken into `config`, and *known is true; where they cannot be
 * read, those of the flags stay. Not LASHD_EXIT_OK: the member cannot start, and one line in `problem` says why. */
enum lashd_exit identity_look(struct config *config, bool *known, char *problem, size_t problem_size);

/* Ask the running cluster that --initial-cluster names who this member is, as it was added there, and take that into `config`.
 * Otherwise as identity_look. */
enum lashd_exit identity_join(struct config *config, char *problem, size_t problem_size);

#endif
