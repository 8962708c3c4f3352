/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs about snapshots.
 */
#ifndef LASH_LASHCTL_SNAPSHOT_H
#define LASH_LASHCTL_SNAPSHOT_H

#include "lashctl/ctl.h"

int snapshot_save(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int snapshot_restore(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);
int snapshot_status(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);

#endif
