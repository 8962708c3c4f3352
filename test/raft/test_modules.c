/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's small pure modules, each by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "raft/configuration.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/random.h"
#include "raft/terms.h"

/* ---- quorum ------------------------------------------------------------------------------------ */

/* Members n1.. with these flags. */
static struct configuration members(uint32_t count, const uint32_t *flags) {
    struct configuration configuration = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        configuration.members[i].id = i + 1;
        configuration.members[i].flags = flags == NULL ? (uint32_t)LASH_MEMBER_VOTER : flags[i];
    }
    return configuration;
}

/* The highest v such that more than half of the members with `flag` have at least v, found the slow way. */
static uint64_t slow_quorum(const struct configuration *configuration, uint32_t flag, const uint64_t *values) {
    uint64_t best = 0;
    uint32_t voters = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        if (!(configuration->members[i].flags & flag))
            continue;
        voters++;
        uint32_t reached = 0, all = 0;
        for (uint32_t j = 0; j < configuration->count; j++) {
            all += (configuration->members[j].flags & flag) != 0;
            reached += (configuration->members[j].flags & flag) != 0 && values[j] >= values[i];
        }
        if (2 * reached > all && values[i] > best)
            best = values[i];
    }
    return voters == 0 ? UINT64_MAX : best;
}

static void a_majority_of_one_to_five_voters(void **state) {
    (void)state;
    const uint64_t values[LASH_RAFT_MEMBERS_MAX] = {10, 20, 30, 40, 50};
    const uint64_t expected[] = {0, 10, 10, 20, 20, 30};
    for (uint32_t count = 1; count <= 5; count++) {
        struct configuration configuration = members(count, NULL);
        assert_int_equal(quorum_reached(&configuration, values), expected[count]);
    }
}

static void half_of_an_even_number_is_no_majority(void **state) {
    (void)state;
    struct configuration configuration = members(4, NULL);
    assert_int_equal(quorum_reached(&configuration, (uint64_t[LASH_RAFT_MEMBERS_MAX]){1, 1, 0, 0}), 0);
    assert_int_equal(quorum_reached(&configuration, (uint64_t[LASH_RAFT_MEMBERS_MAX]){1, 0, 1, 1}), 1);
    configuration = members(2, NULL);
    assert_int_equal(quorum_reached(&configuration, (uint64_t[LASH_RAFT_MEMBERS_MAX]){1, 0}), 0);
}

static void learners_never_count(void **state) {
    (void)state;
    const uint32_t flags[] = {LASH_MEMBER_VOTER, LASH_MEMBER_VOTER, LASH_MEMBER_VOTER, 0, 0};
    struct configuration configuration = members(5, flags);
    assert_int_equal(quorum_reached(&configuration, (uint64_t[LASH_RAFT_MEMBERS_MAX]){5, 1, 1, 9, 9}), 1);
}

static void a_joint_configuration_needs_both_majorities_not_one_of_the_union(void **state) {
    (void)state;
    const uint32_t flags[] = {LASH_MEMBER_VOTER_OLD, LASH_MEMBER_VOTER_OLD, LASH_MEMBER_VOTER_OLD,
                              LASH_MEMBER_VOTER,     LASH_MEMBER_VOTER,     LASH_MEMBER_VOTER};
    struct configuration configuration = members(6, flags);
    /* Four of six, but only one of the old. */
    assert_int_equal(quorum_reached(&configuration, (uint64_t[LASH_RAFT_MEMBERS_MAX]){1, 0, 0, 1, 1, 1}), 0);
    assert_int_equal(quorum_reached(&configuration, (uint64_t[LASH_RAFT_MEMBERS_MAX]){1, 1, 0, 1, 1, 0}), 1);
}

static void every_quorum_agrees_with_counting(void **state) {
    (void)state;
    uint64_t random = 5;
    for (int round = 0; round < 20000; round++) {
        uint32_t flags[LASH_RAFT_MEMBERS_MAX];
        uint64_t values[LASH_RAFT_MEMBERS_MAX];
        uint32_t count = (uint32_t)random_between(&random, 1, LASH_RAFT_MEMBERS_MAX);
        for (uint32_t i = 0; i < LASH_RAFT_MEMBERS_MAX; i++) {
            flags[i] = (uint32_t)random_between(&random, 0, 4);
            values[i] = random_between(&random, 0, 6);
        }
        flags[0] |= LASH_MEMBER_VOTER;
        struct configuration configuration = members(count, flags);
        uint64_t incoming = slow_quorum(&configuration, LASH_MEMBER_VOTER, values);
        uint64_t outgoing = slow_quorum(&configuration, LASH_MEMBER_VOTER_OLD, values);
        assert_int_equal(quorum_reached(&configuration, values), incoming < outgoing ? incoming : outgoing);
    }
}

/* ---- terms ------------------------------------------------------------------------------------- */

#define TERMS_MAX 16

static struct terms *make_terms(lash_index first_index, lash_term prev_term) {
    struct terms *terms = calloc(terms_words(TERMS_MAX), sizeof(uint64_t));
    assert_non_null(terms);
    terms_init(terms, TERMS_MAX, first_index, prev_term);
    return terms;
}

static void an_empty_log_knows_the_term_before_it(void **state) {
    (void)state;
    struct terms *terms = make_terms(8, 3);
    assert_int_equal(terms_at(terms, 7), 3);
    assert_int_equal(terms_last(terms), 3);
    assert_false(terms_known(terms, 6));
    assert_false(terms_known(terms, 8));
    assert_false(terms_known(terms, UINT64_MAX));
    free(terms);
}

static void terms_are_found_in_runs(void **state) {
    (void)state;
    struct terms *terms = make_terms(1, 0);
    terms_append(terms, 3, 1);
    terms_append(terms, 1, 1);
    terms_append(terms, 2, 4);
    assert_int_equal(terms->count, 2);
    assert_int_equal(terms->last_index, 6);
    assert_int_equal(terms_at(terms, 0), 0);
    assert_int_equal(terms_at(terms, 4), 1);
    assert_int_equal(terms_at(terms, 5), 4);
    assert_int_equal(terms_run_end(terms, 2), 4);
    assert_int_equal(terms_run_end(terms, 5), 6);
    free(terms);
}

static void truncating_within_a_run_keeps_its_begin(void **state) {
    (void)state;
    struct terms *terms = make_terms(1, 0);
    terms_append(terms, 3, 1);
    terms_append(terms, 3, 2);
    terms_truncate(terms, 4);
    assert_int_equal(terms->count, 2);
    assert_int_equal(terms_last(terms), 2);
    terms_truncate(terms, 3);
    assert_int_equal(terms->count, 1);
    assert_int_equal(terms->runs[1].first, 0);
    terms_truncate(terms, 0);
    assert_int_equal(terms->count, 0);
    assert_int_equal(terms_last(terms), 0);
    free(terms);
}

static void compacting_remembers_the_term_before(void **state) {
    (void)state;
    struct terms *terms = make_terms(1, 0);
    terms_append(terms, 3, 1);
    terms_append(terms, 3, 2);
    terms_append(terms, 3, 5);
    terms_compact(terms, 4);
    assert_int_equal(terms->first_index, 5);
    assert_int_equal(terms_at(terms, 4), 2);
    assert_int_equal(terms_at(terms, 5), 2);
    assert_int_equal(terms_at(terms, 9), 5);
    assert_false(terms_known(terms, 3));
    terms_compact(terms, 6);
    assert_int_equal(terms->count, 1);
    terms_compact(terms, 9);
    assert_int_equal(terms->count, 0);
    assert_int_equal(terms_last(terms), 5);
    terms_append(terms, 1, 5);
    assert_int_equal(terms_at(terms, 10), 5);
    free(terms);
}

static void a_full_table_still_takes_entries_of_its_last_term(void **state) {
    (void)state;
    struct terms *terms = make_terms(1, 0);
    for (lash_term term = 1; term <= TERMS_MAX; term++) {
        assert_true(terms_room(terms, 1));
        terms_append(terms, 1, term);
    }
    assert_false(terms_room(terms, 1));
    assert_true(terms_room(terms, 0));
    terms_append(terms, 5, TERMS_MAX);
    assert_int_equal(terms->last_index, TERMS_MAX + 5);
    free(terms);
}

static void the_hint_search_passes_over_later_terms(void **state) {
    (void)state;
    struct terms *terms = make_terms(1, 0);
    terms_append(terms, 3, 1);
    terms_append(terms, 2, 4);
    terms_append(terms, 2, 6);
    const struct {
        lash_index limit;
        lash_term term;
        lash_index found;
    } cases[] = {{7, 9, 7}, {7, 6, 7}, {7, 5, 5}, {4, 5, 4}, {7, 3, 3}, {2, 1, 2}, {7, 0, 0}, {0, 9, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lash_index found = 99;
        assert_true(terms_find(terms, cases[i].limit, cases[i].term, &found));
        assert_int_equal(found, cases[i].found);
    }
    free(terms);
}

static void the_hint_search_ends_where_the_log_begins(void **state) {
    (void)state;
    struct terms *terms = make_terms(6, 4);
    terms_append(terms, 2, 5);
    lash_index found = 99;
    assert_true(terms_find(terms, 7, 4, &found));
    assert_int_equal(found, 5);
    assert_false(terms_find(terms, 7, 3, &found));
    assert_false(terms_find(terms, 4, 9, &found));
    free(terms);
}

static void unused_runs_are_zero_whatever_happened(void **state) {
    (void)state;
    struct terms *busy = make_terms(1, 0);
    struct terms *calm = make_terms(1, 0);
    for (lash_term term = 1; term <= 9; term++)
        terms_append(busy, 2, term);
    terms_truncate(busy, 6);
    terms_compact(busy, 2);
    terms_append(calm, 2, 1);
    terms_append(calm, 2, 2);
    terms_append(calm, 2, 3);
    terms_compact(calm, 2);
    assert_memory_equal(busy, calm, terms_words(TERMS_MAX) * sizeof(uint64_t));
    free(busy);
    free(calm);
}

/* ---- progress ---------------------------------------------------------------------------------- */

#define INFLIGHT_MAX 3

static struct progress *make_progress(lash_index next) {
    struct progress *progress = calloc(progress_words(INFLIGHT_MAX), sizeof(uint64_t));
    assert_non_null(progress);
    progress_init(progress, next, 0);
    return progress;
}

static void a_probe_is_one_message_at_a_time(void **state) {
    (void)state;
    struct progress *progress = make_progress(5);
    assert_true(progress_ready(progress, INFLIGHT_MAX, 100));
    progress_record_sent(progress, 7, 30);
    assert_int_equal(progress->next, 5);
    assert_false(progress_ready(progress, INFLIGHT_MAX, 100));
    assert_int_equal(progress->inflight_bytes, 30);
    free(progress);
}

static void a_probe_that_a_heartbeat_overtook_is_under_way_still(void **state) {
    (void)state;
    struct progress *progress = make_progress(5);
    progress_record_sent(progress, 7, 30);
    progress_acknowledge(progress, 4);
    progress_become_replicate(progress);
    assert_int_equal(progress->next, 8);
    assert_int_equal(progress->inflight_count, 1);
    assert_int_equal(progress->inflight_bytes, 30);
    progress_acknowledge(progress, 7);
    assert_int_equal(progress->inflight_bytes, 0);
    free(progress);
}

/* An answer to something older: what lies between that and the probe was never sent. */
static void a_probe_that_does_not_follow_what_is_held_is_forgotten(void **state) {
    (void)state;
    struct progress *progress = make_progress(5);
    progress_record_sent(progress, 7, 30);
    progress_acknowledge(progress, 3);
    progress_become_replicate(progress);
    assert_int_equal(progress->next, 4);
    assert_int_equal(progress->inflight_count, 0);
    assert_int_equal(progress->inflight_bytes, 0);
    free(progress);
}

static void a_probe_is_forgotten_with_the_next_one(void **state) {
    (void)state;
    struct progress *progress = make_progress(5);
    progress_record_sent(progress, 7, 30);
    progress_record_sent(progress, 8, 40);
    assert_int_equal(progress->inflight_count, 1);
    assert_int_equal(progress->inflight_bytes, 40);
    progress_hold(progress);
    assert_int_equal(progress->inflight_count, 0);
    assert_int_equal(progress->next, 5);
    free(progress);
}

static void a_pipeline_ends_at_its_number_of_messages(void **state) {
    (void)state;
    struct progress *progress = make_progress(1);
    progress_become_replicate(progress);
    for (lash_index last = 2; last <= 6; last += 2) {
        assert_true(progress_ready(progress, INFLIGHT_MAX, 1000));
        progress_record_sent(progress, last, 10);
    }
    assert_int_equal(progress->next, 7);
    assert_false(progress_ready(progress, INFLIGHT_MAX, 1000));
    progress_acknowledge(progress, 3);
    assert_int_equal(progress->inflight_count, 2);
    assert_int_equal(progress->inflight_bytes, 20);
    assert_true(progress_ready(progress, INFLIGHT_MAX, 1000));
    free(progress);
}

static void a_pipeline_ends_at_its_number_of_bytes(void **state) {
    (void)state;
    struct progress *progress = make_progress(1);
    progress_become_replicate(progress);
    progress_record_sent(progress, 1, 60);
    assert_true(progress_ready(progress, INFLIGHT_MAX, 100));
    progress_record_sent(progress, 2, 60);
    assert_false(progress_ready(progress, INFLIGHT_MAX, 100));
    progress_acknowledge(progress, 1);
    assert_true(progress_ready(progress, INFLIGHT_MAX, 100));
    free(progress);
}

static void a_full_queue_pauses_until_an_answer(void **state) {
    (void)state;
    struct progress *progress = make_progress(4);
    progress_become_replicate(progress);
    progress_record_sent(progress, progress->next - 1, 0);
    assert_false(progress_ready(progress, INFLIGHT_MAX, 100));
    assert_int_equal(progress->inflight_count, 0);
    free(progress);
}

static void bytes_in_flight_do_not_survive_a_change_of_state(void **state) {
    (void)state;
    struct progress *progress = make_progress(1);
    progress_become_replicate(progress);
    progress_record_sent(progress, 4, 90);
    progress_record_sent(progress, 9, 90);
    progress_become_probe(progress, 3);
    assert_int_equal(progress->inflight_count, 0);
    assert_int_equal(progress->inflight_bytes, 0);
    assert_int_equal(progress->inflight[1].bytes, 0);
    progress_become_replicate(progress);
    assert_true(progress_ready(progress, INFLIGHT_MAX, 100));
    free(progress);
}

static void an_older_answer_lowers_nothing(void **state) {
    (void)state;
    struct progress *progress = make_progress(1);
    progress_become_replicate(progress);
    progress_record_sent(progress, 9, 10);
    progress_acknowledge(progress, 9);
    progress_acknowledge(progress, 4);
    assert_int_equal(progress->match, 9);
    assert_int_equal(progress->next, 10);
    free(progress);
}

static void refusals_of_what_was_not_asked_do_not_count(void **state) {
    (void)state;
    struct progress *progress = make_progress(11);
    assert_true(progress_refusal_counts(progress, 10));
    assert_false(progress_refusal_counts(progress, 9));
    assert_false(progress_refusal_counts(progress, 11));
    assert_false(progress_refusal_counts(progress, 0));
    progress_acknowledge(progress, 5);
    progress_become_replicate(progress);
    progress_record_sent(progress, 10, 10);
    assert_true(progress_refusal_counts(progress, 8));
    assert_false(progress_refusal_counts(progress, 5));
    assert_false(progress_refusal_counts(progress, 11));
    progress_become_snapshot(progress);
    assert_false(progress_refusal_counts(progress, 8));
    free(progress);
}

/* ---- random ------------------------------------------------------------------------------------ */

static void the_generator_is_the_same_on_every_platform(void **state) {
    (void)state;
    /* The published sequence of splitmix64 for the seed 1234567. */
    const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u};
    uint64_t random = 1234567;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(random_next(&random) == expected[i]);
}

static void draws_stay_between_their_bounds_and_reach_both(void **state) {
    (void)state;
    uint64_t random = 3;
    bool low = false, high = false;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = random_between(&random, 10, 5);
        assert_in_range(value, 10, 14);
        low = low || value == 10;
        high = high || value == 14;
    }
    assert_true(low && high);
}

/* ---- configuration ----------------------------------------------------------------------------- */

static struct lash_configuration voters(uint32_t count) {
    struct lash_configuration configuration = {.count = count};
    for (uint32_t i = 0; i < count && i < LASH_RAFT_MEMBERS_MAX; i++)
        configuration.members[i] = (struct lash_member){.id = i + 1, .flags = LASH_MEMBER_VOTER};
    return configuration;
}

static void configurations_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct configuration to;
    struct lash_configuration from = voters(0);
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from = voters(LASH_RAFT_MEMBERS_MAX + 1);
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from = voters(3);
    from.members[2].id = 1;
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from = voters(3);
    from.members[1].id = 0;
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from = voters(3);
    from.members[1].flags = LASH_MEMBER_WITNESS;
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from.members[1].flags = LASH_MEMBER_WITNESS | LASH_MEMBER_PROMOTE;
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from = voters(3);
    for (uint32_t i = 0; i < 3; i++)
        from.members[i].flags |= LASH_MEMBER_WITNESS;
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
    from = voters(1);
    from.members[0].flags = 0;
    assert_int_equal(configuration_load(&to, &from), LASH_INVALID);
}

static void a_configuration_comes_back_as_it_went_in(void **state) {
    (void)state;
    struct configuration to;
    struct lash_configuration back;
    struct lash_configuration from = voters(LASH_RAFT_MEMBERS_MAX);
    from.index = 77;
    from.members[3].flags = 0;
    from.members[4].flags = LASH_MEMBER_VOTER | LASH_MEMBER_VOTER_OLD;
    assert_int_equal(configuration_load(&to, &from), LASH_OK);
    configuration_store(&to, &back);
    assert_memory_equal(&from, &back, sizeof from);
    assert_false(configuration_votes(&to, 4));
    assert_true(configuration_votes(&to, 5));
    assert_false(configuration_votes(&to, 99));
    assert_int_equal(configuration_slot(&to, 99), CONFIGURATION_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_of_one_to_five_voters),
        cmocka_unit_test(half_of_an_even_number_is_no_majority),
        cmocka_unit_test(learners_never_count),
        cmocka_unit_test(a_joint_configuration_needs_both_majorities_not_one_of_the_union),
        cmocka_unit_test(every_quorum_agrees_with_counting),
        cmocka_unit_test(an_empty_log_knows_the_term_before_it),
        cmocka_unit_test(terms_are_found_in_runs),
        cmocka_unit_test(truncating_within_a_run_keeps_its_begin),
        cmocka_unit_test(compacting_remembers_the_term_before),
        cmocka_unit_test(a_full_table_still_takes_entries_of_its_last_term),
        cmocka_unit_test(the_hint_search_passes_over_later_terms),
        cmocka_unit_test(the_hint_search_ends_where_the_log_begins),
        cmocka_unit_test(unused_runs_are_zero_whatever_happened),
        cmocka_unit_test(a_probe_is_one_message_at_a_time),
        cmocka_unit_test(a_probe_that_a_heartbeat_overtook_is_under_way_still),
        cmocka_unit_test(a_probe_that_does_not_follow_what_is_held_is_forgotten),
        cmocka_unit_test(a_probe_is_forgotten_with_the_next_one),
        cmocka_unit_test(a_pipeline_ends_at_its_number_of_messages),
        cmocka_unit_test(a_pipeline_ends_at_its_number_of_bytes),
        cmocka_unit_test(a_full_queue_pauses_until_an_answer),
        cmocka_unit_test(bytes_in_flight_do_not_survive_a_change_of_state),
        cmocka_unit_test(an_older_answer_lowers_nothing),
        cmocka_unit_test(refusals_of_what_was_not_asked_do_not_count),
        cmocka_unit_test(the_generator_is_the_same_on_every_platform),
        cmocka_unit_test(draws_stay_between_their_bounds_and_reach_both),
        cmocka_unit_test(configurations_that_cannot_be_are_refused),
        cmocka_unit_test(a_configuration_comes_back_as_it_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
