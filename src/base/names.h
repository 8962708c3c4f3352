/* SPDX-License-Identifier: Apache-2.0
 *
 * The words for a replica's states that operators see.
 */
#ifndef LASH_BASE_NAMES_H
#define LASH_BASE_NAMES_H

#include <stdint.h>

enum { NAMES_ROLES = 4, NAMES_STATES = 3 };

/* By enum lash_role and enum lash_progress_state. Static storage. */
extern const char *const names_roles[NAMES_ROLES];
extern const char *const names_states[NAMES_STATES];

#endif
