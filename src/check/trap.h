/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions of the core as findings: within a trap they end the call and not the
 * process, so that the checker can show how it came to that.
 */
#ifndef LASH_CHECK_TRAP_H
#define LASH_CHECK_TRAP_H

#include <stdbool.h>

/* Call `function`; false when an assertion failed within, of which `*what` then tells until the next call. What the
 * call had changed stays changed. Traps do not nest. */
bool trap_run(void (*function)(void *context), void *context, const char **what);

#endif
