/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines: their form, their levels, and that logging never harms its caller.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <regex.h>
#include <string.h>

#include "base/logger.h"
#include "capture.h"

/* What the sink of these tests received last. */
static struct {
    int lines;
    enum lash_log_level level;
    char text[8192];
} received;

static void receive(void *context, enum lash_log_level level, const char *line) {
    assert_ptr_equal(context, &received);
    received.lines++;
    received.level = level;
    assert_true(strlen(line) < sizeof received.text);
    strncpy(received.text, line, sizeof received.text - 1);
}

static int receive_from_debug(void **state) {
    (void)state;
    memset(&received, 0, sizeof received);
    lash_set_log(receive, &received, LASH_LOG_DEBUG);
    return 0;
}

static int back_to_default(void **state) {
    (void)state;
    lash_set_log(NULL, NULL, LASH_LOG_INFO);
    return 0;
}

static void fields_follow_the_message(void **state) {
    (void)state;
    log_info("became leader", F_U64("term", UINT64_MAX), F_I64("offset", -7), F_HEX("id", 0x8e9e05c52164694d),
             F_STR("dir", "run/n1"), F_ERR(LASH_FULL));
    assert_string_equal(received.text, "became leader term=18446744073709551615 offset=-7 id=8e9e05c52164694d "
                                       "dir=run/n1 error=\"disk full\"");
    assert_int_equal(received.level, LASH_LOG_INFO);
    log_write(LASH_LOG_ERROR, "no fields", NULL, 0);
    assert_string_equal(received.text, "no fields");
    assert_int_equal(received.level, LASH_LOG_ERROR);
}

static void strings_that_could_mislead_are_quoted(void **state) {
    (void)state;
    const struct {
        const char *value;
        const char *line;
    } cases[] = {
        {"plain-0.9/ok", "m s=plain-0.9/ok"},
        {"", "m s=\"\""},
        {NULL, "m s=(null)"},
        {"a b", "m s=\"a b\""},
        {"a=b", "m s=\"a=b\""},
        {"say \"hi\"", "m s=\"say \\\"hi\\\"\""},
        {"back\\slash", "m s=\"back\\\\slash\""},
        {"two\nlines\tand \x1b\x7f", "m s=\"two\\nlines\\tand \\x1b\\x7f\""},
        {"gr\xc3\xbc\xc3\x9f", "m s=gr\xc3\xbc\xc3\x9f"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_info("m", F_STR("s", cases[i].value));
        assert_string_equal(received.text, cases[i].line);
    }
}

static void a_line_too_long_ends_in_dots(void **state) {
    (void)state;
    static char huge[10000];
    memset(huge, 'x', sizeof huge - 1);
    log_info("m", F_STR("s", huge), F_U64("lost", 1));
    size_t length = strlen(received.text);
    assert_true(length > 4000 && length < 4096);
    assert_string_equal(received.text + length - 4, "x...");
    memset(huge, '"', sizeof huge - 1);
    log_info("m", F_STR("s", huge));
    length = strlen(received.text);
    assert_true(length > 4000 && length < 4096);
    assert_string_equal(received.text + length - 3, "...");
}

static void lines_below_the_level_are_not_made(void **state) {
    (void)state;
    lash_set_log(receive, &received, LASH_LOG_WARN);
    log_debug("m", F_U64("n", 1));
    log_info("m", F_U64("n", 2));
    assert_int_equal(received.lines, 0);
    log_warn("m", F_U64("n", 3));
    log_error("m", F_U64("n", 4));
    assert_int_equal(received.lines, 2);
    assert_string_equal(received.text, "m n=4");
}

static void log_some_lines(void) {
    log_debug("hidden", F_U64("n", 1));
    log_info("seen", F_U64("n", 2));
    log_warn("seen too", F_STR("path", "a b"));
}

static void the_default_is_stderr_with_a_time_at_info(void **state) {
    (void)state;
    char text[1024];
    assert_int_equal(capture_stderr(log_some_lines, text, sizeof text), 0);
    regex_t pattern;
    assert_int_equal(
        regcomp(&pattern,
                "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][.][0-9]{3}Z INFO  seen n=2\n"
                "20[0-9T:.-]*Z WARN  seen too path=\"a b\"\n$",
                REG_EXTENDED | REG_NOSUB),
        0);
    int mismatch = regexec(&pattern, text, 0, NULL, 0);
    regfree(&pattern);
    assert_int_equal(mismatch, 0);
}

static void log_to_a_closed_stderr(void) {
    close(STDERR_FILENO);
    errno = ENOSPC;
    log_error("nobody hears", F_U64("n", 1));
    _exit(errno == ENOSPC ? 3 : 4);
}

static void a_failed_write_is_ignored_and_errno_kept(void **state) {
    (void)state;
    char text[64];
    int status = capture_stderr(log_to_a_closed_stderr, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_follow_the_message, receive_from_debug, back_to_default),
        cmocka_unit_test_setup_teardown(strings_that_could_mislead_are_quoted, receive_from_debug, back_to_default),
        cmocka_unit_test_setup_teardown(a_line_too_long_ends_in_dots, receive_from_debug, back_to_default),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_made, receive_from_debug, back_to_default),
        cmocka_unit_test(the_default_is_stderr_with_a_time_at_info),
        cmocka_unit_test(a_failed_write_is_ignored_and_errno_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
