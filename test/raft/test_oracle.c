/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge of the other tests: that it blames those who break Leader Completeness (L3), and
 * nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oracle.h"

static jmp_buf objected;

static void note_objection(void) {
    longjmp(objected, 1);
}

/* A log of one entry for each of the terms. */
static struct entries log_of(const lash_term *terms, uint64_t count) {
    struct entries log = {0};
    for (uint64_t i = 0; i < count; i++)
        entries_append(&log, (struct entry){.term = terms[i], .payload = i + 1, .kind = LASH_ENTRY_COMMAND});
    return log;
}

/* The leader of term 3 has committed its entry, and before that the one of term 1. */
static struct oracle *term_3_has_committed(void) {
    struct oracle *oracle = oracle_new();
    struct entries log = log_of((const lash_term[]){1, 3}, 2);
    oracle_leader(oracle, 3, 3, &log);
    oracle_commit(oracle, 3, &log, 1, 2);
    entries_free(&log);
    return oracle;
}

static bool objects_to_leader(struct oracle *oracle, lash_term term, const struct entries *log) {
    oracle_report = note_objection;
    if (setjmp(objected) != 0)
        return true;
    oracle_leader(oracle, 2, term, log);
    return false;
}

/* Votes that were long under way: by now term 3 has a leader, whose commits came after these votes were given. */
static void a_late_leader_of_an_earlier_term_need_not_hold_what_a_later_one_committed(void **state) {
    (void)state;
    struct oracle *oracle = term_3_has_committed();
    struct entries log = log_of((const lash_term[]){1}, 1);
    assert_false(objects_to_leader(oracle, 2, &log));
    entries_free(&log);
    oracle_free(oracle);
}

static void a_leader_of_a_later_term_must_hold_it(void **state) {
    (void)state;
    struct oracle *oracle = term_3_has_committed();
    struct entries log = log_of((const lash_term[]){1, 2}, 2);
    assert_true(objects_to_leader(oracle, 4, &log));
    entries_free(&log);
    oracle_free(oracle);
}

/* What a leader of an earlier term could commit the later one has committed with its own. */
static void nothing_new_is_committed_in_an_earlier_term(void **state) {
    (void)state;
    struct oracle *oracle = term_3_has_committed();
    struct entries log = log_of((const lash_term[]){1, 3, 2}, 3);
    oracle_commit(oracle, 2, &log, 1, 2);
    oracle_report = note_objection;
    if (setjmp(objected) == 0) {
        oracle_commit(oracle, 2, &log, 3, 3);
        fail();
    }
    entries_free(&log);
    oracle_free(oracle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_leader_of_an_earlier_term_need_not_hold_what_a_later_one_committed),
        cmocka_unit_test(a_leader_of_a_later_term_must_hold_it),
        cmocka_unit_test(nothing_new_is_committed_in_an_earlier_term),
    };
    return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
