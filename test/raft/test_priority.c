/* SPDX-License-Identifier: Apache-2.0
 *
 * Priorities and slow disks: to whom a leader hands over by itself (D§3.10), when, and
 * when not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "members.h"
#include "solo.h"

enum { HEARTBEAT_MS = 100, ELECTION_MS = 1000, PAUSE_MS = 4 * ELECTION_MS };

static void slow(struct solo *solo, bool is) {
    struct lash_event event = {.type = LASH_EVENT_SLOW};
    event.slow.slow = is;
    assert_int_equal(solo_step(solo, &event), LASH_OK);
}

/* n1 of three leads; these are their priorities from now on, and everyone holds all of the log. */
static void lead_with(struct solo *solo, uint32_t one, uint32_t two, uint32_t three) {
    lead_three(solo);
    struct lash_configuration to = MEMBERS(1, V, 2, V, 3, V);
    to.members[0].priority = one;
    to.members[1].priority = two;
    to.members[2].priority = three;
    solo_message(solo, solo_accept(3, 2, 2, 0));
    assert_int_equal(configure(solo, to), LASH_OK);
    solo_written(solo);
    for (lash_id id = 2; id <= 3; id++)
        solo_message(solo, solo_accept(id, 2, 3, 0));
    assert_int_equal(solo_status(solo).commit, 3);
}

/* The answer of a member that holds everything. */
static struct lash_message answer(const struct solo *solo, lash_id from, bool is_slow) {
    struct lash_message message = solo_accept(from, 2, solo_status(solo).last_index, 0);
    message.append_reply.slow = is_slow;
    return message;
}

/* Let heartbeats go out until `end_ms`, each answered by n2 and n3 unless it begins a transfer. */
static lash_id beat(struct solo *solo, uint64_t end_ms, bool slow2, bool slow3) {
    while (solo->now_ms < end_ms && solo_status(solo).transfer_to == 0) {
        solo_message(solo, answer(solo, 2, slow2));
        solo_message(solo, answer(solo, 3, slow3));
        solo_timeout(solo);
    }
    return solo_status(solo).transfer_to;
}

static void a_leader_hands_over_to_the_highest_priority_after_a_pause(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 2, 3);
    uint64_t elected_ms = solo.now_ms;
    assert_int_equal(beat(&solo, elected_ms + 60 * ELECTION_MS, false, false), 3);
    assert_in_range(solo.now_ms - elected_ms, PAUSE_MS - HEARTBEAT_MS, PAUSE_MS + HEARTBEAT_MS);
    assert_int_equal(solo_status(&solo).transfer_why, LASH_TRANSFER_PRIORITY);
    assert_non_null(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 3));
    solo_stop(&solo);
}

static void nobody_is_handed_to_without_a_higher_priority(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 2, 2, 1);
    assert_int_equal(beat(&solo, solo.now_ms + 100 * ELECTION_MS, false, false), 0);
    solo_stop(&solo);
}

/* The best of those that are fit: not who is slow, full, behind, or silent. */
static void only_the_fit_are_handed_to(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 2, 3);
    assert_int_equal(beat(&solo, solo.now_ms + 60 * ELECTION_MS, false, true), 2);
    solo_stop(&solo);

    lead_with(&solo, 1, 1, 3);
    uint64_t end_ms = solo.now_ms + 20 * ELECTION_MS;
    struct lash_message full = solo_accept(3, 2, 3, 0);
    full.append_reply.full = true;
    while (solo.now_ms < end_ms) {
        solo_message(&solo, answer(&solo, 2, false));
        solo_message(&solo, full);
        solo_timeout(&solo);
        assert_int_equal(solo_status(&solo).transfer_to, 0);
    }
    solo_message(&solo, answer(&solo, 3, false));
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).transfer_to, 3);
    solo_stop(&solo);
}

static void who_lags_is_not_handed_to_until_it_keeps_up(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 1, 3);
    uint64_t end_ms = solo.now_ms + 20 * ELECTION_MS;
    lash_index held = solo_status(&solo).last_index;
    while (solo.now_ms < end_ms) {
        assert_int_equal(solo_propose(&solo, 1), LASH_OK);
        solo_written(&solo);
        solo_message(&solo, answer(&solo, 2, false));
        solo_message(&solo, solo_accept(3, 2, held, 0)); /* always what was committed two heartbeats ago */
        held = solo_status(&solo).commit - 1;
        solo_timeout(&solo);
        assert_int_equal(solo_status(&solo).transfer_to, 0);
    }
    solo_propose(&solo, 1);
    solo_written(&solo);
    solo_message(&solo, answer(&solo, 2, false));
    solo_message(&solo, solo_accept(3, 2, held + 1, 0)); /* what was committed at the last one, and no more */
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).transfer_to, 3);
    assert_null(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 3));
    solo_message(&solo, answer(&solo, 3, false));
    assert_non_null(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 3));
    solo_stop(&solo);
}

/* An election timeout of held writes would be the price of asking one that has just died. */
static void who_missed_two_heartbeats_is_not_handed_to(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 1, 3);
    uint64_t elected_ms = solo.now_ms;
    while (solo.now_ms < elected_ms + 20 * ELECTION_MS) {
        solo_message(&solo, answer(&solo, 2, false));
        if (solo.now_ms < elected_ms + PAUSE_MS - 5 * HEARTBEAT_MS)
            solo_message(&solo, answer(&solo, 3, false));
        solo_timeout(&solo);
        assert_int_equal(solo_status(&solo).transfer_to, 0);
    }
    solo_stop(&solo);
}

static void a_slow_leader_hands_over_to_any_that_is_not(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 9, 1, 2);
    assert_int_equal(beat(&solo, solo.now_ms + 10 * ELECTION_MS, false, false), 0);
    slow(&solo, true);
    assert_int_equal(solo_status(&solo).slow, 1);
    /* It has led for long: at the next heartbeat, to the best of the others. */
    uint64_t before_ms = solo.now_ms;
    assert_int_equal(beat(&solo, solo.now_ms + 10 * ELECTION_MS, false, false), 3);
    assert_true(solo.now_ms <= before_ms + HEARTBEAT_MS);
    assert_int_equal(solo_status(&solo).transfer_why, LASH_TRANSFER_SLOW);
    solo_stop(&solo);
}

static void nobody_moves_while_all_others_are_slow_too(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 9, 9);
    slow(&solo, true);
    assert_int_equal(beat(&solo, solo.now_ms + 100 * ELECTION_MS, true, true), 0);
    /* And priority brings nobody into office who is slow. */
    slow(&solo, false);
    assert_int_equal(beat(&solo, solo.now_ms + 100 * ELECTION_MS, true, true), 0);
    assert_int_equal(solo_status(&solo).progress[1].slow, 1);
    assert_int_equal(beat(&solo, solo.now_ms + ELECTION_MS, true, false), 3);
    solo_stop(&solo);
}

/* Each attempt in vain doubles the pause, up to 64 election timeouts; writes are held for one of them each time. */
static void what_fails_is_tried_ever_more_seldom(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 1, 3);
    static const uint64_t pauses[] = {4, 8, 16, 32, 64, 64, 64};
    uint64_t last_ms = solo.now_ms;
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        assert_int_equal(beat(&solo, solo.now_ms + 100 * ELECTION_MS, false, false), 3);
        uint64_t paused_ms = solo.now_ms - last_ms;
        assert_in_range(paused_ms, pauses[i] * ELECTION_MS - HEARTBEAT_MS, pauses[i] * ELECTION_MS + 2 * HEARTBEAT_MS);
        while (solo_status(&solo).transfer_to != 0) {
            solo_message(&solo, answer(&solo, 2, false));
            solo_message(&solo, answer(&solo, 3, false));
            solo_timeout(&solo);
        }
        assert_int_equal(solo_propose(&solo, 1), LASH_OK);
        solo_written(&solo);
        last_ms = solo.now_ms;
    }
    solo_stop(&solo);
}

/* C1, C2, T1: like any transfer it must not meet a change of membership; and before an entry of its term is committed a leader
 * does not know who keeps up. */
static void not_during_a_change_nor_before_a_commit_in_the_term(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 1, 1, 3);
    beat(&solo, solo.now_ms + PAUSE_MS - 3 * HEARTBEAT_MS, false, false);
    struct lash_configuration to = in_force(&solo);
    to.members[0].priority = 2;
    assert_int_equal(configure(&solo, to), LASH_OK);
    lash_index committed = solo_status(&solo).commit;
    uint64_t end_ms = solo.now_ms + 10 * ELECTION_MS;
    while (solo.now_ms < end_ms) {
        for (lash_id id = 2; id <= 3; id++)
            solo_message(&solo, solo_accept(id, 2, committed, 0));
        solo_timeout(&solo);
        assert_int_equal(solo_status(&solo).transfer_to, 0);
    }
    solo_written(&solo);
    assert_int_equal(beat(&solo, solo.now_ms + ELECTION_MS, false, false), 3);
    solo_stop(&solo);
}

/* Asked for without a target, the best of the fit is taken; and of those that are not, who lacks the least. */
static void the_best_target_is_not_slow(void **state) {
    (void)state;
    struct solo solo;
    lead_with(&solo, 5, 1, 2);
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    solo_message(&solo, answer(&solo, 2, false));
    solo_message(&solo, answer(&solo, 3, true));
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(solo_status(&solo).transfer_to, 2);
    assert_int_equal(solo_status(&solo).transfer_why, LASH_TRANSFER_ASKED);
    solo_stop(&solo);

    lead_with(&solo, 5, 1, 2);
    solo_message(&solo, answer(&solo, 2, true));
    solo_message(&solo, answer(&solo, 3, true));
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_not_equal(solo_status(&solo).transfer_to, 0);
    solo_stop(&solo);
}

static void a_follower_says_that_it_is_slow_and_waits_longer_for_an_election(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    slow(&solo, true);
    solo_message(&solo, solo_append(&solo, 3, 2, 1, 1, 1, NULL));
    assert_true(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3)->message.append_reply.slow);
    assert_in_range(solo.out.deadline_ms - solo.now_ms, 2 * ELECTION_MS, 3 * ELECTION_MS - 1);
    slow(&solo, false);
    solo_message(&solo, solo_append(&solo, 3, 2, 1, 1, 1, NULL));
    assert_false(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3)->message.append_reply.slow);
    assert_in_range(solo.out.deadline_ms - solo.now_ms, ELECTION_MS, 2 * ELECTION_MS - 1);
    solo_stop(&solo);
}

static void a_slow_node_that_stood_in_vain_waits_no_longer_than_others(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    slow(&solo, true);
    solo_message(&solo, solo_append(&solo, 3, 2, 1, 1, 1, NULL));
    solo_timeout(&solo); /* nobody else stood */
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    assert_in_range(solo.out.deadline_ms - solo.now_ms, ELECTION_MS, 2 * ELECTION_MS - 1);
    solo_message(&solo, solo_pre_vote_reply(2, 9, false));
    assert_int_equal(solo_status(&solo).term, 9);
    assert_in_range(solo.out.deadline_ms - solo.now_ms, ELECTION_MS, 2 * ELECTION_MS - 1);
    solo_stop(&solo);
}

/* ---- Whole clusters ------------------------------------------------------------------------------ */

static struct cluster *cluster_with(uint32_t count, const uint32_t *priorities) {
    /* Small blocks: each step is hashed. */
    struct lash_raft_options options = {.inflight_messages_max = 8, .reads_max = 1, .terms_max = 32};
    struct cluster *cluster = cluster_new(count, &options, 1);
    for (uint32_t i = 0; i < count; i++)
        cluster->configuration.members[i].priority = priorities[i];
    cluster_start_all(cluster);
    return cluster;
}

static void a_preferred_node_that_comes_back_gets_the_office_back(void **state) {
    (void)state;
    struct cluster *cluster = cluster_with(3, (const uint32_t[]){5, 0, 0});
    cluster_run(cluster, 8 * ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_run(cluster, 130 * ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_crash(cluster, 1, 0);
    cluster_run(cluster, 10 * ELECTION_MS);
    lash_id between = cluster_leader(cluster);
    assert_int_not_equal(between, 0);
    assert_int_not_equal(between, 1);
    cluster_propose(cluster, between, 3);
    cluster_settle(cluster);
    cluster_start(cluster, 1, 0);
    cluster_run(cluster, ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), 1);
    lash_term term = cluster_node(cluster, 1)->term;
    cluster_run(cluster, 100 * ELECTION_MS);
    assert_int_equal(cluster_node(cluster, 1)->term, term);
    cluster_free(cluster);
}

/* It dies a moment after each time that it got the office. Without the pauses it would depose another every few seconds for ever:
 * writes stand still for an election timeout each time. */
static void a_preferred_node_that_keeps_failing_deposes_others_ever_more_seldom(void **state) {
    (void)state;
    struct cluster *cluster = cluster_with(3, (const uint32_t[]){5, 0, 0});
    uint64_t times = 0;
    for (uint64_t end_ms = cluster->now_ms + 500 * ELECTION_MS; cluster->now_ms < end_ms;) {
        cluster_run(cluster, HEARTBEAT_MS);
        if (cluster_leader(cluster) != 1)
            continue;
        times++;
        cluster_run(cluster, ELECTION_MS);
        cluster_crash(cluster, 1, 0);
        cluster_run(cluster, 3 * ELECTION_MS);
        cluster_start(cluster, 1, 0);
    }
    /* Each time is two moves of the office: 4, 16, 64, then every 64 election timeouts and what it takes to fail. */
    assert_in_range(times, 6, 12);
    cluster_free(cluster);
}

static void a_slow_node_does_not_get_the_office_back_before_it_is_fast_again(void **state) {
    (void)state;
    struct cluster *cluster = cluster_with(3, (const uint32_t[]){5, 0, 0});
    cluster_run(cluster, 140 * ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_slow(cluster, 1, true);
    cluster_run(cluster, 3 * HEARTBEAT_MS);
    lash_id between = cluster_leader(cluster);
    assert_int_not_equal(between, 1);
    cluster_run(cluster, 200 * ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), between);
    cluster_slow(cluster, 1, false);
    cluster_run(cluster, ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_free(cluster);
}

/* Disks that are slow in turns, faster than the office comes to rest: it moves ever more seldom. */
static void disks_slow_in_turns_do_not_make_the_office_wander(void **state) {
    (void)state;
    struct cluster *cluster = cluster_with(3, (const uint32_t[]){0, 0, 0});
    cluster_run(cluster, 8 * ELECTION_MS);
    lash_term first = cluster_node(cluster, 1)->term;
    for (uint32_t turn = 0; turn < 250; turn++) {
        lash_id leader = cluster_leader(cluster);
        for (lash_id id = 1; id <= 3; id++)
            cluster_slow(cluster, id, id == leader);
        cluster_run(cluster, 2 * ELECTION_MS);
    }
    assert_in_range(cluster_node(cluster, 1)->term - first, 5, 12);
    cluster_free(cluster);
}

/* Sharp corner: a transfer holds writes. Under load it loses none and takes no election timeout. */
static void a_hand_over_under_load_is_short(void **state) {
    (void)state;
    struct cluster *cluster = cluster_with(5, (const uint32_t[]){0, 0, 3, 2, 1});
    uint64_t held_ms = 0, taken = 0;
    cluster_run(cluster, 3 * ELECTION_MS);
    for (uint64_t end_ms = cluster->now_ms + 20 * ELECTION_MS; cluster->now_ms < end_ms;) {
        lash_id leader = cluster_leader(cluster);
        if (leader != 0 && cluster_propose(cluster, leader, 1) == LASH_OK)
            taken++;
        else
            held_ms += 10;
        cluster_run(cluster, 10);
    }
    assert_int_equal(cluster_leader(cluster), 3);
    assert_true(held_ms < ELECTION_MS / 5);
    cluster_settle(cluster);
    /* The no-ops and what was taken, all of it: the oracle sees to it that nothing committed is lost. */
    assert_true(cluster_node(cluster, 3)->commit >= taken);
    cluster_free(cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_hands_over_to_the_highest_priority_after_a_pause),
        cmocka_unit_test(nobody_is_handed_to_without_a_higher_priority),
        cmocka_unit_test(only_the_fit_are_handed_to),
        cmocka_unit_test(who_lags_is_not_handed_to_until_it_keeps_up),
        cmocka_unit_test(who_missed_two_heartbeats_is_not_handed_to),
        cmocka_unit_test(a_slow_leader_hands_over_to_any_that_is_not),
        cmocka_unit_test(nobody_moves_while_all_others_are_slow_too),
        cmocka_unit_test(what_fails_is_tried_ever_more_seldom),
        cmocka_unit_test(not_during_a_change_nor_before_a_commit_in_the_term),
        cmocka_unit_test(the_best_target_is_not_slow),
        cmocka_unit_test(a_follower_says_that_it_is_slow_and_waits_longer_for_an_election),
        cmocka_unit_test(a_slow_node_that_stood_in_vain_waits_no_longer_than_others),
        cmocka_unit_test(a_preferred_node_that_comes_back_gets_the_office_back),
        cmocka_unit_test(a_preferred_node_that_keeps_failing_deposes_others_ever_more_seldom),
        cmocka_unit_test(a_slow_node_does_not_get_the_office_back_before_it_is_fast_again),
        cmocka_unit_test(disks_slow_in_turns_do_not_make_the_office_wander),
        cmocka_unit_test(a_hand_over_under_load_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
