/* SPDX-License-Identifier: Apache-2.0
 *
 * The words for a replica's states that operators see.
 */
#ifndef LASH_BASE_NAMES_H
#define LASH_BASE_NAMES_H

#include <stdint.h>

enum { NAMES_ROLES = 4, NAMES_STATES = 3, NAMES_TRANSFERS = 5 };

/* By enum lash_role, enum lash_progress_state and enum lash_transfer_reason. Static storage. */
extern const char *const names_roles[NAMES_ROLES];
extern const char *const names_states[NAMES_STATES];
extern const char *const names_transfers[NAMES_TRANSFERS];

#endif
