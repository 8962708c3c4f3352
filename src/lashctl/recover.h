/* SPDX-License-Identifier: Apache-2.0
 *
 * The verb for the recovery of last resort.
 */
#ifndef LASH_LASHCTL_RECOVER_H
#define LASH_LASHCTL_RECOVER_H

#include "lashctl/ctl.h"

int recover_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv);

#endif
