/* SPDX-License-Identifier: Apache-2.0
 *
 * Many seeds, in several processes at once.
 */
#ifndef LASH_SIM_SOAK_H
#define LASH_SIM_SOAK_H

#include "sim/options.h"

/* The run that a soak makes of one seed. */
void soak_settings(const struct options *options, uint64_t seed, struct run_settings *settings);

/* Returns the process's exit code. */
int soak(const struct options *options);

#endif
