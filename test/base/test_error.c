/* SPDX-License-Identifier: Apache-2.0
 *
 * Phrases of errors, and the end of a process whose invariant is broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "capture.h"
#include "lash/error.h"

static void every_error_has_a_phrase_of_its_own(void **state) {
    (void)state;
    for (int error = LASH_OK; error >= LASH_WITNESS; error--) {
        assert_string_not_equal(lash_strerror(error), "unknown error");
        for (int other = LASH_OK; other > error; other--)
            assert_string_not_equal(lash_strerror(error), lash_strerror(other));
    }
    assert_string_equal(lash_strerror(LASH_FULL), "disk full");
}

static void numbers_outside_the_enum_are_unknown_errors(void **state) {
    (void)state;
    const int outside[] = {1, LASH_WITNESS - 1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        assert_string_equal(lash_strerror(outside[i]), "unknown error");
}

static void break_an_invariant(void) {
    int two = 2;
    LASH_ASSERT(two == 2);
    LASH_ASSERT(two == 3);
}

static void a_broken_invariant_names_itself_and_aborts(void **state) {
    (void)state;
    char text[512];
    int status = capture_stderr(break_an_invariant, text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_ptr_equal(strstr(text, "lash: invariant broken: two == 3 ("), text);
    assert_non_null(strstr(text, "test_error.c:"));
}

static void come_where_it_cannot(void) {
    LASH_UNREACHABLE("the end of the world");
}

static void an_unreachable_place_names_itself_and_aborts(void **state) {
    (void)state;
    char text[512];
    int status = capture_stderr(come_where_it_cannot, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_ptr_equal(strstr(text, "lash: invariant broken: unreachable: the end of the world ("), text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_phrase_of_its_own),
        cmocka_unit_test(numbers_outside_the_enum_are_unknown_errors),
        cmocka_unit_test(a_broken_invariant_names_itself_and_aborts),
        cmocka_unit_test(an_unreachable_place_names_itself_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
