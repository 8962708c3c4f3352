/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions about our own invariants: live in release builds, freestanding.
 * The program that links the core supplies lash_assert_failed (base/assert.c
 * does for everything but the browser). Only `make mutants` compiles the core
 * without them (LASH_ASSERTS_OFF), to see that the tests do not lean on them.
 */
#ifndef LASH_BASE_ASSERT_H
#define LASH_BASE_ASSERT_H

/* Report and stop the process. */
_Noreturn void lash_assert_failed(const char *file, int line, const char *what);

#ifdef LASH_ASSERTS_OFF
#define LASH_ASSERT(condition) ((void)(0 && (condition)))
#else
#define LASH_ASSERT(condition)                                                                                         \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0))                                                                         \
            lash_assert_failed(__FILE__, __LINE__, #condition);                                                        \
    } while (0)
#endif

/* Where the program cannot come, such as behind a switch that returns for each case. */
#define LASH_UNREACHABLE(why) lash_assert_failed(__FILE__, __LINE__, "unreachable: " why)

#endif
