/* SPDX-License-Identifier: Apache-2.0
 *
 * Each invariant can fail: states that are well, doctored in one place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "check/judge.h"

#define NOOP(term, maker, index) MODEL_ENTRY(term, LASH_ENTRY_NOOP, maker, index)

/* n1 leads term 2; 1 and 2 are committed and on all disks. */
struct fixture {
    struct model_node nodes[3];
    struct model_node before[3];
    struct model_ghost ghost;
    struct model_verdict verdict;
};

static struct fixture f;

static int begin(void **state) {
    (void)state;
    memset(&f, 0, sizeof f);
    for (uint8_t i = 0; i < 3; i++) {
        struct model_node *node = &f.nodes[i];
        node->id = (uint8_t)(i + 1);
        node->term = node->disk_term = 2;
        node->vote = node->disk_vote = 1;
        node->leader = 1;
        node->last = node->durable = node->log_count = node->disk_count = 2;
        node->commit = node->applied = 2;
        node->log[0] = node->disk[0] = NOOP(1, 3, 1);
        node->log[1] = node->disk[1] = NOOP(2, 1, 2);
    }
    f.nodes[0].role = LASH_LEADER;
    memset(f.nodes[0].match, 2, 3);
    memset(f.nodes[0].next, 3, 3);
    memcpy(f.before, f.nodes, sizeof f.before);
    f.ghost.leaders[2] = 1;
    f.ghost.committed_count = 2;
    memcpy(f.ghost.committed, f.nodes[0].log, sizeof f.ghost.committed);
    f.ghost.commit_terms[0] = 1;
    f.ghost.commit_terms[1] = 2;
    return 0;
}

static void step_breaks(uint32_t node, bool restarted, const char *invariant) {
    assert_false(judge_step(&f.before[node], &f.nodes[node], restarted, &f.verdict));
    assert_string_equal(f.verdict.invariant, invariant);
    assert_true(strlen(f.verdict.text) > 0);
}

static bool cluster(uint32_t acting, bool restarted) {
    static const struct model_bounds bounds = {.nodes = 3};
    struct judge_case judged = {.count = 3, .acting = acting, .before = &f.before[acting], .restarted = restarted};
    judged.bounds = &bounds;
    for (uint32_t i = 0; i < 3; i++)
        judged.nodes[i] = &f.nodes[i];
    return judge_cluster(&judged, &f.ghost, &f.verdict);
}

static void cluster_breaks(uint32_t acting, const char *invariant) {
    assert_false(cluster(acting, false));
    assert_string_equal(f.verdict.invariant, invariant);
    assert_true(strlen(f.verdict.text) > 0);
}

static void what_is_well_is_found_so(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(judge_step(&f.before[i], &f.nodes[i], false, &f.verdict));
        assert_true(cluster(i, false));
    }
    assert_null(f.verdict.invariant);
}

static void e1_a_second_leader_of_a_term(void **state) {
    (void)state;
    f.nodes[2].role = LASH_LEADER;
    memcpy(f.nodes[2].next, f.nodes[0].next, sizeof f.nodes[2].next);
    cluster_breaks(2, "E1");
}

static void e2_a_vote_on_disk_changes(void **state) {
    (void)state;
    f.nodes[1].disk_vote = f.nodes[1].vote = 3;
    step_breaks(1, false, "E2");
}

static struct model_message vote_reply(uint8_t from, uint8_t to, uint8_t term) {
    struct model_message message;
    memset(&message, 0, sizeof message);
    message.body.type = LASH_MSG_VOTE_REPLY;
    message.body.from = from;
    message.body.to = to;
    message.body.term = term;
    message.body.vote_reply.granted = true;
    return message;
}

static void e2_a_grant_leaves_that_is_not_on_disk(void **state) {
    (void)state;
    struct model_message message = vote_reply(2, 1, 2);
    assert_true(judge_send(&f.nodes[1], &message, &f.verdict));
    f.nodes[1].disk_vote = 0;
    assert_false(judge_send(&f.nodes[1], &message, &f.verdict));
    assert_string_equal(f.verdict.invariant, "E2");
    message.body.vote_reply.granted = false;
    assert_true(judge_send(&f.nodes[1], &message, &f.verdict));
}

static void e2_a_candidate_asks_with_its_own_vote_not_on_disk(void **state) {
    (void)state;
    struct model_message message;
    memset(&message, 0, sizeof message);
    message.body.type = LASH_MSG_VOTE;
    message.body.from = 2;
    message.body.to = 1;
    message.body.term = 2;
    assert_false(judge_send(&f.nodes[1], &message, &f.verdict));
    assert_string_equal(f.verdict.invariant, "E2");
    message.body.vote.pre = true;
    assert_true(judge_send(&f.nodes[1], &message, &f.verdict));
}

static void e3_terms_fall(void **state) {
    (void)state;
    f.nodes[1].term = 1;
    step_breaks(1, false, "E3");
    step_breaks(1, true, "E3");
    begin(NULL);
    f.nodes[1].disk_term = 1;
    step_breaks(1, true, "E3");
}

static void e3_a_term_is_spoken_of_before_it_is_on_disk(void **state) {
    (void)state;
    struct model_message message = vote_reply(2, 1, 3);
    message.body.type = LASH_MSG_APPEND_REPLY;
    assert_false(judge_send(&f.nodes[1], &message, &f.verdict));
    assert_string_equal(f.verdict.invariant, "E3");
}

static void l1_a_leader_drops_an_entry_of_its_own(void **state) {
    (void)state;
    f.before[0].log[2] = NOOP(2, 1, 3);
    f.before[0].log_count = 3;
    step_breaks(0, false, "L1");
    f.nodes[0].role = LASH_FOLLOWER;
    assert_true(judge_step(&f.before[0], &f.nodes[0], false, &f.verdict));
}

static void l2_one_term_at_an_index_and_two_entries(void **state) {
    (void)state;
    f.ghost.committed_count = 0;
    f.nodes[2].commit = f.nodes[2].applied = 0;
    f.nodes[2].log[1] = NOOP(2, 2, 2);
    cluster_breaks(2, "L2");
}

static void l2_one_entry_and_two_prefixes(void **state) {
    (void)state;
    f.nodes[0].commit = f.nodes[2].commit = 0;
    f.nodes[2].disk[0] = NOOP(1, 2, 1);
    cluster_breaks(0, "L2");
}

static void l2_an_entry_at_another_index_than_it_was_made_for(void **state) {
    (void)state;
    f.ghost.committed_count = 0;
    for (uint32_t i = 0; i < 3; i++) {
        f.nodes[i].commit = 0;
        f.nodes[i].log[1] = f.nodes[i].disk[1] = NOOP(2, 1, 3);
    }
    cluster_breaks(0, "L2");
}

static void l3_a_later_leader_lacks_what_was_committed(void **state) {
    (void)state;
    f.nodes[2].role = LASH_LEADER;
    f.nodes[2].term = f.nodes[2].disk_term = 3;
    f.nodes[2].commit = 0;
    f.nodes[2].log_count = 1;
    cluster_breaks(2, "L3");
}

static void l3_one_of_an_earlier_term_may_lack_it(void **state) {
    (void)state;
    f.nodes[2].role = LASH_LEADER;
    f.nodes[2].commit = 0;
    f.nodes[2].log_count = 1;
    f.ghost.leaders[2] = 0;
    f.nodes[0].role = LASH_FOLLOWER;
    f.ghost.commit_terms[0] = f.ghost.commit_terms[1] = 3;
    assert_true(cluster(2, false));
}

static void l4_another_entry_is_committed(void **state) {
    (void)state;
    f.ghost.committed[1] = NOOP(2, 3, 2);
    cluster_breaks(1, "L4");
}

static void l4_a_committed_entry_is_dropped(void **state) {
    (void)state;
    f.nodes[1].log[1] = f.nodes[1].disk[1] = NOOP(1, 3, 2);
    step_breaks(1, false, "L4");
}

static void l5_applied_commit_and_last_are_in_order(void **state) {
    (void)state;
    f.nodes[1].applied = 3;
    step_breaks(1, false, "L5");
    f.nodes[1].commit = 3;
    step_breaks(1, false, "L5");
    begin(NULL);
    f.nodes[1].last = 3;
    step_breaks(1, false, "L5");
}

static void l5_commit_falls_only_with_a_restart(void **state) {
    (void)state;
    f.nodes[1].commit = f.nodes[1].applied = 1;
    step_breaks(1, false, "L5");
    assert_true(judge_step(&f.before[1], &f.nodes[1], true, &f.verdict));
}

static void l6_a_commit_without_a_majority(void **state) {
    (void)state;
    f.ghost.committed_count = 1;
    f.before[0].commit = 1;
    assert_true(cluster(0, false));
    f.ghost.committed_count = 1;
    f.nodes[1].disk_count = f.nodes[2].disk_count = 1;
    f.nodes[0].match[1] = f.nodes[0].match[2] = 1;
    cluster_breaks(0, "L6");
}

static void l6_an_older_terms_entry_committed_by_counting(void **state) {
    (void)state;
    f.nodes[0].term = 3;
    f.before[0].term = 3;
    f.before[0].commit = 1;
    f.ghost.committed_count = 1;
    cluster_breaks(0, "L6");
}

static void l6_a_follower_commits_what_no_leader_did(void **state) {
    (void)state;
    f.ghost.committed_count = 1;
    cluster_breaks(1, "L6");
}

static void l6_what_is_taken_for_durable_is_on_disk(void **state) {
    (void)state;
    f.nodes[1].disk_count = 1;
    step_breaks(1, false, "L6");
    f.nodes[1].disk_count = 2;
    f.nodes[1].disk[1] = NOOP(1, 3, 2);
    step_breaks(1, false, "L6");
}

static void l7_match_is_below_next_and_never_falls(void **state) {
    (void)state;
    f.nodes[0].next[1] = 2;
    step_breaks(0, false, "L7");
    begin(NULL);
    f.nodes[0].match[1] = 1;
    step_breaks(0, false, "L7");
}

static void l7_a_leader_believes_too_much(void **state) {
    (void)state;
    f.ghost.committed_count = 0;
    f.nodes[0].commit = f.nodes[1].commit = f.nodes[2].commit = 0;
    f.nodes[1].disk_count = 1;
    cluster_breaks(0, "L7");
    cluster_breaks(1, "L7");
    /* In a later term it may drop what was never committed. */
    f.nodes[1].term = f.nodes[1].disk_term = 3;
    assert_true(cluster(1, false));
}

static void d1_what_was_committed_leaves_the_disks(void **state) {
    (void)state;
    f.nodes[0].role = LASH_FOLLOWER;
    for (uint32_t i = 0; i < 3; i++)
        f.nodes[i].commit = f.before[i].commit = 0;
    f.nodes[0].disk_count = 1;
    assert_true(cluster(0, true));
    f.nodes[1].disk_count = 1;
    assert_false(cluster(1, true));
    assert_string_equal(f.verdict.invariant, "D1");
}

static void r1_a_read_that_misses_what_was_committed(void **state) {
    (void)state;
    f.ghost.floors[1] = 2;
    assert_true(judge_read(&f.nodes[0], &f.ghost, 1, 2, &f.verdict));
    assert_true(judge_read(&f.nodes[0], &f.ghost, 1, 0, &f.verdict));
    assert_false(judge_read(&f.nodes[0], &f.ghost, 1, 1, &f.verdict));
    assert_string_equal(f.verdict.invariant, "R1");
}

static void who_led_a_term_that_nobody_can_lead_any_more_is_forgotten(void **state) {
    (void)state;
    f.ghost.leaders[1] = 3;
    assert_true(cluster(0, false));
    assert_int_equal(f.ghost.leaders[1], 0);
    assert_int_equal(f.ghost.leaders[2], 1);
    assert_int_equal(f.ghost.commit_terms[0], 0);
    assert_int_equal(f.ghost.commit_terms[1], 2);
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(what_is_well_is_found_so),
        CASE(e1_a_second_leader_of_a_term),
        CASE(e2_a_vote_on_disk_changes),
        CASE(e2_a_grant_leaves_that_is_not_on_disk),
        CASE(e2_a_candidate_asks_with_its_own_vote_not_on_disk),
        CASE(e3_terms_fall),
        CASE(e3_a_term_is_spoken_of_before_it_is_on_disk),
        CASE(l1_a_leader_drops_an_entry_of_its_own),
        CASE(l2_one_term_at_an_index_and_two_entries),
        CASE(l2_one_entry_and_two_prefixes),
        CASE(l2_an_entry_at_another_index_than_it_was_made_for),
        CASE(l3_a_later_leader_lacks_what_was_committed),
        CASE(l3_one_of_an_earlier_term_may_lack_it),
        CASE(l4_another_entry_is_committed),
        CASE(l4_a_committed_entry_is_dropped),
        CASE(l5_applied_commit_and_last_are_in_order),
        CASE(l5_commit_falls_only_with_a_restart),
        CASE(l6_a_commit_without_a_majority),
        CASE(l6_an_older_terms_entry_committed_by_counting),
        CASE(l6_a_follower_commits_what_no_leader_did),
        CASE(l6_what_is_taken_for_durable_is_on_disk),
        CASE(l7_match_is_below_next_and_never_falls),
        CASE(l7_a_leader_believes_too_much),
        CASE(d1_what_was_committed_leaves_the_disks),
        CASE(r1_a_read_that_misses_what_was_committed),
        CASE(who_led_a_term_that_nobody_can_lead_any_more_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
