/* SPDX-License-Identifier: Apache-2.0
 *
 * The checker's own lash_assert_failed. Outside a trap it does what that of
 * base/assert.c does.
 */
#include "check/trap.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

static jmp_buf trap_jump;
static bool trap_armed;
static char trap_what[160];

_Noreturn void lash_assert_failed(const char *file, int line, const char *what) {
    if (trap_armed) {
        (void)snprintf(trap_what, sizeof trap_what, "%s (%s:%d)", what, file, line);
        trap_armed = false;
        longjmp(trap_jump, 1);
    }
    dprintf(STDERR_FILENO, "lash-check: invariant broken: %s (%s:%d)\n", what, file, line);
    abort();
}

bool trap_run(void (*function)(void *context), void *context, const char **what) {
    LASH_ASSERT(!trap_armed);
    if (setjmp(trap_jump) != 0) {
        *what = trap_what;
        return false;
    }
    trap_armed = true;
    function(context);
    trap_armed = false;
    return true;
}
