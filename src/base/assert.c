/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a process that found one of its own invariants broken.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void lash_assert_failed(const char *file, int line, const char *what) {
    dprintf(STDERR_FILENO, "lash: invariant broken: %s (%s:%d)\n", what, file, line);
    abort();
}
