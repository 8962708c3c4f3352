/* SPDX-License-Identifier: Apache-2.0
 *
 * The search: what it leaves out changes nothing, what is broken it finds, by a shortest way, and it says when it did not
 * get to the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "check/fingerprints.h"
#include "check/frontier.h"
#include "check/search.h"
#include "check/transcript.h"

#define EVERYTHING_DEPTH 7

static const struct model_bounds tiny = {
    .nodes = 3, .terms = 1, .messages = 3, .timeouts = 1, .symmetry = true, .reduction = true};

struct outcome {
    struct search_result result;
    uint32_t shown; /* steps of the way to the violation */
    char transcript[16384];
};

static void count_step(void *context, uint32_t number, const uint32_t *before, const struct space_step *step) {
    struct outcome *outcome = context;
    assert_non_null(before);
    assert_true((number == 0) == (step == NULL));
    outcome->shown = number;
}

/* All nodes with empty disks. False when memory ran out. */
static bool add_empty(struct space *space, struct search *search) {
    struct model_node disks[MODEL_NODES_MAX];
    struct model_ghost ghost;
    uint32_t state[SPACE_WORDS_MAX];
    memset(disks, 0, sizeof disks);
    memset(&ghost, 0, sizeof ghost);
    for (uint8_t i = 0; i < MODEL_NODES_MAX; i++)
        disks[i].id = (uint8_t)(i + 1);
    return space_start(space, disks, &ghost, state) && search_add(search, state);
}

static struct outcome run(const struct model_bounds *bounds, enum model_fault fault,
                          const struct search_limits *limits) {
    struct outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    struct space *space = space_new(bounds, fault);
    assert_non_null(space);
    struct search *search = search_new(space, limits);
    assert_non_null(search);
    assert_true(add_empty(space, search));
    search_run(search, &outcome.result);
    if (outcome.result.end == SEARCH_VIOLATION) {
        FILE *file = fmemopen(outcome.transcript, sizeof outcome.transcript, "w");
        assert_non_null(file);
        search_retrace(search, count_step, &outcome);
        transcript_print(file, search, space, &outcome.result);
        assert_int_equal(fclose(file), 0);
    } else {
        uint64_t audited = 0;
        assert_true(space_audit(space, &audited, &outcome.result.verdict));
    }
    search_free(search);
    space_free(space);
    return outcome;
}

static struct outcome search_all(const struct model_bounds *bounds) {
    const struct search_limits limits = {.projections = true, .depth = bounds->depth};
    struct outcome outcome = run(bounds, MODEL_FAULT_NONE, &limits);
    assert_int_equal(outcome.result.end, bounds->depth == 0 ? SEARCH_COMPLETE : SEARCH_DEPTH);
    assert_true((outcome.result.frontier == 0) == (bounds->depth == 0));
    assert_null(outcome.result.verdict.invariant);
    assert_true(outcome.result.projections > 0 && outcome.result.projections <= outcome.result.states);
    return outcome;
}

/* ---- What is left out -------------------------------------------------------------------------- */

/* With and without symmetry and reduction: the same nodes and ghosts are reached. */
static void cross_check(struct model_bounds bounds) {
    struct outcome both = search_all(&bounds);
    bounds.symmetry = false;
    struct outcome no_symmetry = search_all(&bounds);
    bounds.reduction = false;
    struct outcome neither = search_all(&bounds);
    bounds.symmetry = true;
    struct outcome no_reduction = search_all(&bounds);
    const struct outcome *others[] = {&no_symmetry, &neither, &no_reduction};
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(others[i]->result.projections, both.result.projections);
        assert_int_equal(others[i]->result.projections_hash, both.result.projections_hash);
        assert_true(others[i]->result.states > both.result.states);
    }
    assert_true(neither.result.states > no_reduction.result.states);
    assert_true(no_symmetry.result.states <= both.result.states * 6);
    print_message("%llu states; %llu without symmetry, %llu without reduction, %llu without both; %llu projections\n",
                  (unsigned long long)both.result.states, (unsigned long long)no_symmetry.result.states,
                  (unsigned long long)no_reduction.result.states, (unsigned long long)neither.result.states,
                  (unsigned long long)both.result.projections);
}

static void neither_symmetry_nor_reduction_changes_what_is_reached(void **state) {
    (void)state;
    cross_check(tiny);
}

static void nor_with_writes_that_take_time_and_crashes(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.messages = 2;
    bounds.writes = 2;
    bounds.crashes = 1;
    cross_check(bounds);
}

static void nor_with_two_terms_and_late_messages(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.messages = 2;
    bounds.terms = 2;
    bounds.timeouts = 2;
    bounds.late = true;
    cross_check(bounds);
}

static void nor_with_pre_vote_and_commands(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.messages = 2;
    bounds.pre_vote = true;
    bounds.check_quorum = true;
    bounds.entries = 1;
    cross_check(bounds);
}

static void nor_with_reads(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.messages = 2;
    bounds.reads = 1;
    cross_check(bounds);
}

static void nor_with_a_transfer(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.messages = 2;
    bounds.terms = 2;
    bounds.transfers = 1;
    cross_check(bounds);
}

/* All that there is, together, as far as the plain search gets: a state of the reduced one is as many steps away. */
static void nor_with_everything_to_a_depth(void **state) {
    (void)state;
    struct model_bounds bounds = {.nodes = 3, .terms = 3, .timeouts = 3, .entries = 3, .crashes = 2, .writes = 2};
    bounds.reads = 1;
    bounds.heartbeats = 1;
    bounds.late = true;
    bounds.symmetry = true;
    bounds.reduction = true;
    bounds.messages = SPACE_MESSAGES_MAX;
    bounds.depth = EVERYTHING_DEPTH;
    cross_check(bounds);
}

/* A leader without a quorum loses its office by a timeout or by a crash: then it is the same node, and can do what the one that was
 * not spent still allows. */
static void nor_where_one_thing_was_spent_or_another(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.messages = 2;
    bounds.terms = 2;
    bounds.timeouts = 2;
    bounds.crashes = 1;
    bounds.check_quorum = true;
    bounds.depth = 10;
    cross_check(bounds);
}

/* ---- What is broken ---------------------------------------------------------------------------- */

static void found(struct model_bounds bounds, enum model_fault fault, const char *invariant, uint32_t steps) {
    struct outcome outcome = run(&bounds, fault, &(struct search_limits){.states = 3000000});
    assert_int_equal(outcome.result.end, SEARCH_VIOLATION);
    assert_string_equal(outcome.result.verdict.invariant, invariant);
    assert_int_equal(outcome.shown, steps);
    assert_int_equal(outcome.result.depth + 1, steps);
    assert_non_null(strstr(outcome.transcript, "0.  the cluster starts"));
    assert_non_null(strstr(outcome.transcript, invariant));
    /* Without what is left out the way is as short. */
    bounds.reduction = false;
    bounds.symmetry = false;
    struct outcome plain = run(&bounds, fault, &(struct search_limits){.states = 3000000});
    assert_int_equal(plain.result.end, SEARCH_VIOLATION);
    assert_string_equal(plain.result.verdict.invariant, invariant);
    assert_int_equal(plain.shown, steps);
}

static void messages_that_do_not_wait_for_the_disk(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.writes = 2;
    found(bounds, MODEL_FAULT_SEND_EARLY, "E3", 1);
}

static void a_disk_that_loses_the_vote(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.crashes = 1;
    found(bounds, MODEL_FAULT_LOSE_VOTE, "E2", 2);
}

static void a_disk_that_loses_the_term(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.crashes = 1;
    found(bounds, MODEL_FAULT_LOSE_TERM, "E3", 2);
}

/* The one that acknowledged the leader's entry loses it. */
static void a_disk_that_loses_an_entry(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.crashes = 1;
    found(bounds, MODEL_FAULT_LOSE_SYNCED, "D1", 6);
}

static void a_disk_that_gets_another_entry(void **state) {
    (void)state;
    found(tiny, MODEL_FAULT_WRONG_ENTRY, "L2", 4);
}

/* ---- When it did not get to the end ------------------------------------------------------------ */

static void a_search_cut_short_says_so(void **state) {
    (void)state;
    struct outcome outcome = run(&tiny, MODEL_FAULT_NONE, &(struct search_limits){.states = 10});
    assert_int_equal(outcome.result.end, SEARCH_STATES);
    outcome = run(&tiny, MODEL_FAULT_NONE, &(struct search_limits){.depth = 3});
    assert_int_equal(outcome.result.end, SEARCH_DEPTH);
    assert_int_equal(outcome.result.depth, 3);
    assert_true(outcome.result.frontier > 0 && outcome.result.frontier < outcome.result.states);
    struct model_bounds bounds = tiny;
    bounds.terms = 3;
    bounds.timeouts = 3;
    bounds.messages = 4;
    bounds.heartbeats = 2;
    outcome = run(&bounds, MODEL_FAULT_NONE, &(struct search_limits){.seconds = 0.001});
    assert_int_equal(outcome.result.end, SEARCH_TIME);
    outcome = run(&bounds, MODEL_FAULT_NONE, &(struct search_limits){.memory = (size_t)16 << 20});
    assert_int_equal(outcome.result.end, SEARCH_MEMORY);
    assert_true(outcome.result.memory < (size_t)40 << 20);
}

/* Depth by depth, until nothing is beyond: what is counted there is what a search without a bound on depth counts. */
static void a_bound_on_depth_leaves_out_what_is_farther_and_nothing_else(void **state) {
    (void)state;
    struct outcome all = run(&tiny, MODEL_FAULT_NONE, &(struct search_limits){.projections = true});
    assert_int_equal(all.result.end, SEARCH_COMPLETE);
    uint64_t states = 1;
    for (uint32_t depth = 1; depth <= all.result.depth; depth++) {
        struct outcome some = run(&tiny, MODEL_FAULT_NONE, &(struct search_limits){.depth = depth});
        assert_int_equal(some.result.end, SEARCH_DEPTH);
        assert_int_equal(some.result.depth, depth);
        assert_int_equal(some.result.frontier, some.result.states - states);
        states = some.result.states;
    }
    assert_int_equal(states, all.result.states);
    struct outcome more = run(&tiny, MODEL_FAULT_NONE, &(struct search_limits){.depth = all.result.depth + 1});
    assert_int_equal(more.result.end, SEARCH_COMPLETE);
    assert_int_equal(more.result.depth, all.result.depth);
}

static void writes_beyond_the_bound_are_counted(void **state) {
    (void)state;
    struct model_bounds bounds = tiny;
    bounds.writes = 1;
    assert_true(search_all(&bounds).result.clipped > 0);
}

/* Fail the n-th allocation, for every n: the search says that it ran out of memory, and nothing else. */
static void every_allocation_can_fail(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        mem_fail_after(n);
        struct space *space = space_new(&tiny, MODEL_FAULT_NONE);
        struct search *search = space == NULL ? NULL : search_new(space, &(struct search_limits){.projections = true});
        struct search_result result = {.end = SEARCH_MEMORY};
        if (search != NULL && add_empty(space, search))
            search_run(search, &result);
        mem_fail_after(0);
        search_free(search);
        space_free(space);
        assert_null(result.verdict.invariant);
        if (result.end == SEARCH_COMPLETE)
            return;
        assert_int_equal(result.end, SEARCH_MEMORY);
    }
    fail_msg("a search of a few states allocates without end");
}

static void fingerprints_are_a_set(void **state) {
    (void)state;
    struct fingerprints set;
    assert_true(fingerprints_init(&set));
    size_t memory = fingerprints_memory(&set);
    for (uint64_t i = 1; i <= 100000; i++)
        assert_int_equal(fingerprints_add(&set, i * 0x9e3779b97f4a7c15u, 0, 0), FINGERPRINTS_NEW);
    for (uint64_t i = 1; i <= 100000; i++)
        assert_int_equal(fingerprints_add(&set, i * 0x9e3779b97f4a7c15u, 0, 0), FINGERPRINTS_KNOWN);
    assert_int_equal(set.count, 100000);
    assert_true(fingerprints_memory(&set) > memory);
    uint64_t next = 1;
    while (fingerprints_add(&set, next, 0, memory) == FINGERPRINTS_NEW)
        next++;
    assert_int_equal(fingerprints_add(&set, next, 0, memory), FINGERPRINTS_NO_MEMORY);
    fingerprints_free(&set);
}

static void what_was_got_to_for_no_more_is_known(void **state) {
    (void)state;
    struct fingerprints set;
    assert_true(fingerprints_init(&set));
    const uint32_t spent = FINGERPRINTS_SPENT(1, 0, FINGERPRINTS_SPENT_MAX, 2, 3);
    assert_int_equal(fingerprints_add(&set, 7, spent, 0), FINGERPRINTS_NEW);
    assert_int_equal(fingerprints_add(&set, 7, spent, 0), FINGERPRINTS_KNOWN);
    assert_int_equal(fingerprints_add(&set, 7, FINGERPRINTS_SPENT(2, 9, FINGERPRINTS_SPENT_MAX, 2, 4), 0),
                     FINGERPRINTS_KNOWN);
    assert_int_equal(fingerprints_add(&set, 7, FINGERPRINTS_SPENT(2, 9, FINGERPRINTS_SPENT_MAX, 1, 4), 0),
                     FINGERPRINTS_NEW);
    assert_int_equal(fingerprints_add(&set, 7, FINGERPRINTS_SPENT(0, 31, 31, 31, 31), 0), FINGERPRINTS_NEW);
    assert_int_equal(fingerprints_add(&set, 8, spent, 0), FINGERPRINTS_NEW);
    /* They still are when the table has grown. */
    for (uint64_t i = 1; i <= 100000; i++)
        assert_int_equal(fingerprints_add(&set, i << 32, 0, 0), FINGERPRINTS_NEW);
    assert_int_equal(fingerprints_add(&set, 7, spent, 0), FINGERPRINTS_KNOWN);
    assert_int_equal(fingerprints_add(&set, 7, FINGERPRINTS_SPENT(0, 0, 31, 2, 3), 0), FINGERPRINTS_NEW);
    fingerprints_free(&set);
}

#define QUEUED 200000

/* The n-th of a series of states of 4 words in any order and up to 8 that rise. */
static void queued(uint32_t n, uint32_t *words) {
    uint64_t random = n * 0x9e3779b97f4a7c15u;
    memset(words, 0, 12 * sizeof words[0]);
    for (uint32_t i = 0; i < 4; i++)
        words[i] = (uint32_t)(random >> (7 * i)) >> (n % 31);
    for (uint32_t i = 0; i < n % 9; i++)
        words[4 + i] = (i == 0 ? 0 : words[3 + i]) + (uint32_t)(random >> (5 * i) & 255) + (i == 0);
    if (n % 9 == 8)
        words[11] = UINT32_MAX;
}

static void the_frontier_gives_back_what_was_put_into_it_in_order(void **state) {
    (void)state;
    struct frontier frontier;
    frontier_init(&frontier, 4, 12);
    uint32_t words[SPACE_WORDS_MAX], expected[SPACE_WORDS_MAX];
    uint32_t popped = 0;
    for (uint32_t pushed = 0; pushed < QUEUED; pushed++) {
        queued(pushed, words);
        assert_true(frontier_push(&frontier, words));
        /* Half as fast as it fills. */
        for (; popped < pushed / 2; popped++) {
            queued(popped, expected);
            frontier_pop(&frontier, words);
            assert_memory_equal(words, expected, 12 * sizeof words[0]);
        }
    }
    assert_true(frontier.memory > 0 && frontier.memory < QUEUED * 12 * sizeof words[0]);
    for (; popped < QUEUED; popped++) {
        queued(popped, expected);
        frontier_pop(&frontier, words);
        assert_memory_equal(words, expected, 12 * sizeof words[0]);
    }
    frontier_free(&frontier);
    assert_int_equal(frontier.memory, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neither_symmetry_nor_reduction_changes_what_is_reached),
        cmocka_unit_test(nor_with_writes_that_take_time_and_crashes),
        cmocka_unit_test(nor_with_two_terms_and_late_messages),
        cmocka_unit_test(nor_with_pre_vote_and_commands),
        cmocka_unit_test(nor_with_reads),
        cmocka_unit_test(nor_with_a_transfer),
        cmocka_unit_test(nor_with_everything_to_a_depth),
        cmocka_unit_test(nor_where_one_thing_was_spent_or_another),
        cmocka_unit_test(messages_that_do_not_wait_for_the_disk),
        cmocka_unit_test(a_disk_that_loses_the_vote),
        cmocka_unit_test(a_disk_that_loses_the_term),
        cmocka_unit_test(a_disk_that_loses_an_entry),
        cmocka_unit_test(a_disk_that_gets_another_entry),
        cmocka_unit_test(a_search_cut_short_says_so),
        cmocka_unit_test(a_bound_on_depth_leaves_out_what_is_farther_and_nothing_else),
        cmocka_unit_test(writes_beyond_the_bound_are_counted),
        cmocka_unit_test(every_allocation_can_fail),
        cmocka_unit_test(fingerprints_are_a_set),
        cmocka_unit_test(what_was_got_to_for_no_more_is_known),
        cmocka_unit_test(the_frontier_gives_back_what_was_put_into_it_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
