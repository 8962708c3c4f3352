/* SPDX-License-Identifier: Apache-2.0
 *
 * Elections among members that change (D§4.1, D§4.2): who votes, who stands, leaders
 * that leave; and whole groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "members.h"

/* ---- Elections --------------------------------------------------------------------------------- */

/* D§4.1: a server votes for candidates that are not in its latest configuration: they may be in a later one. */
static void a_vote_is_given_to_who_is_unknown_or_known_as_a_learner(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.members = 4, .learners = 1, .term = 1, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_pre_vote(9, 2, 1, 1));
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 9)->message.vote_reply.granted);
    solo_message(&solo, solo_vote(9, 2, 1, 1));
    assert_int_equal(solo_status(&solo).vote, 9);
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 9)->message.vote_reply.granted);
    solo_message(&solo, solo_vote(4, 3, 1, 1));
    assert_int_equal(solo_status(&solo).vote, 4);
    /* As to anyone, only for a log that is up to date. */
    solo_message(&solo, solo_vote(8, 4, 0, 0));
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 8)->message.vote_reply.granted);
    solo_stop(&solo);
}

/* D§4.2.3: it cannot depose a leader that is at work, neither at its followers nor at the leader itself. */
static void who_was_removed_does_not_disturb(void **state) {
    (void)state;
    for (int without = 0; without < 2; without++) {
        struct solo solo;
        solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1), .no_check_quorum = without == 1});
        solo_lead(&solo);
        assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_OK);
        solo_written(&solo);
        solo_message(&solo, solo_accept(2, 2, 3, 0));
        solo_message(&solo, solo_vote(3, 9, 9, 8));
        solo_message(&solo, solo_pre_vote(3, 9, 9, 8));
        /* An answer to an append from before that speaks of its term. */
        solo_message(&solo, solo_refuse(3, 9, 2, 0, 0));
        assert_int_equal(solo_status(&solo).role, LASH_LEADER);
        assert_int_equal(solo_status(&solo).term, 2);
        solo_stop(&solo);
    }
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V);
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    solo.now_ms += 999;
    solo_message(&solo, solo_vote(3, 9, 9, 8));
    assert_int_equal(solo.send_count, 0);
    assert_int_equal(solo_status(&solo).term, 2);
    assert_int_equal(solo_status(&solo).leader, 2);
    solo_stop(&solo);
}

/* D§4.2.2: who is not part of its latest configuration still stands for election until that is committed, and does not
 * count itself. */
static void who_is_being_removed_stands_until_that_is_committed(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(2, V, 3, V);
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1), .floor = 1});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    solo_written(&solo);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    solo_message(&solo, solo_pre_vote_reply(2, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    solo_message(&solo, solo_pre_vote_reply(3, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_message(&solo, solo_vote_reply(3, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    /* It leads the others without counting itself. */
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 3, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 1);
    solo_stop(&solo);

    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1), .floor = 1});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    solo_message(&solo, solo_append(&solo, 2, 2, 2, 2, 2, NULL));
    assert_int_equal(solo_status(&solo).commit, 2);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo.send_count, 0);
    solo_stop(&solo);
}

/* "Campaigning with the configuration that was": in force from append is for elections too. */
static void an_election_goes_by_the_newest_configuration(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V, 3, V, 4, V, 5, V);
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    held.members[3].flags = V;
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    solo_written(&solo);
    solo_timeout(&solo);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 4);
    solo_message(&solo, solo_pre_vote_reply(2, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    solo_message(&solo, solo_pre_vote_reply(5, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_stop(&solo);
}

/* D§4.2.1: who joins has no vote before it learns of one. */
static void who_joins_waits_for_a_leader_and_votes_for_whom_it_does_not_know(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V, 3, V, 4, V);
    solo_start(&solo, &(struct solo_start){.id = 4, .joins = true});
    assert_int_equal(in_force(&solo).count, 0);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo.send_count, 0);
    solo_message(&solo, solo_vote(2, 1, 0, 0));
    assert_int_equal(solo_status(&solo).vote, 2);
    solo_message(&solo, append_one(&solo, 2, 1, 0, 0, &held));
    assert_int_equal(solo_status(&solo).leader, 2);
    assert_int_equal(in_force(&solo).index, 1);
    /* Cut off, it is nobody again. */
    solo_message(&solo, solo_append(&solo, 3, 2, 0, 0, 0, SOLO_LOG(2)));
    assert_int_equal(in_force(&solo).count, 0);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_stop(&solo);
}

/* A leader whose predecessor began a change brings it to its end: it commits its no-op, then leaves the joint one. */
static void a_new_leader_goes_on_with_a_change_that_it_finds(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration joint = MEMBERS(1, V | OLD, 4, V, 5, V, 2, OLD | LEAVES, 3, OLD | LEAVES);
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &joint));
    solo_written(&solo);
    solo_timeout(&solo);
    for (lash_id id = 2; id <= 4; id++)
        solo_message(&solo, solo_pre_vote_reply(id, 3, true));
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_message(&solo, solo_vote_reply(4, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_false(solo.out.configure);
    solo_written(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V)), LASH_BUSY);
    solo_message(&solo, solo_accept(2, 3, 3, 0));
    solo_message(&solo, solo_accept(4, 3, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_true(solo.out.configure);
    assert_int_equal(solo.out.append_first, 4);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 4, V, 5, V));
    solo_stop(&solo);
}

/* ---- Leaders that leave ------------------------------------------------------------------------ */

/* D§4.2.2: a leader that removes itself leads without counting itself until the change is committed; then the others know,
 * and one of them is asked to take over. */
static void a_leader_removes_itself_and_hands_over_once_that_is_committed(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(2, V, 3, V)), LASH_OK);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 2);
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 2)->message.append.commit, 3);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 3)->message.append.commit, 3);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 1);
    assert_int_equal(solo_propose(&solo, 1), LASH_BUSY);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V)), LASH_BUSY);
    /* The one that was asked stands, and the office is over. */
    struct lash_message vote = solo_vote(2, 3, 3, 2);
    vote.vote.transfer = true;
    solo_message(&solo, vote);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_stop(&solo);
}

static void a_leader_that_is_removed_steps_down_even_if_nobody_takes_over(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    configure(&solo, MEMBERS(2, V, 3, V));
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    uint64_t end = solo.now_ms + 1000;
    while (solo.now_ms < end) {
        assert_int_equal(solo_status(&solo).role, LASH_LEADER);
        assert_true(solo.out.deadline_ms <= end);
        solo_timeout(&solo);
        solo_message(&solo, solo_accept(2, 2, 3, 0));
    }
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).term, 2);
    solo_stop(&solo);

    /* Nobody has room to: at once. */
    lead_three(&solo);
    configure(&solo, MEMBERS(2, V, 3, V));
    solo_written(&solo);
    for (lash_id id = 2; id <= 3; id++) {
        struct lash_message full = solo_accept(id, 2, 3, 0);
        full.append_reply.full = true;
        solo_message(&solo, full);
    }
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_stop(&solo);
}

/* The leader may be none of the members by the time that it hands over. */
static void who_takes_over_hears_a_leader_that_is_no_member_any_more(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V);
    struct lash_message message = {.type = LASH_MSG_TIMEOUT_NOW, .from = 3, .term = 2};
    message.timeout_now.last_index = 2;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 3, 2, 1, 1, &held));
    solo_message(&solo, message);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 1);
    solo_stop(&solo);
    /* "A TimeoutNow delivered after removal": not by who is removed. */
    struct lash_configuration without = MEMBERS(2, V, 3, V);
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 3, 2, 1, 1, &without));
    solo_message(&solo, message);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).term, 2);
    solo_stop(&solo);
}

/* D§4.2.2, §6.4, §6.2: a leader that is not a member any more needs the others for everything: reads, and its office. */
static void a_leader_without_a_vote_counts_the_others_only(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(2, V, 3, V)), LASH_OK);
    solo_written(&solo);
    assert_int_equal(solo_read(&solo, 7), LASH_OK);
    solo_message(&solo, solo_accept(2, 2, 2, 1));
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_message(&solo, solo_accept(3, 2, 2, 1));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 2);
    uint64_t heard = solo.now_ms;
    for (int beat = 1; beat < 10; beat++) {
        solo.now_ms = heard + 100 * (uint64_t)beat;
        solo_message(&solo, solo_accept(2, 2, 2, 1));
        assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    }
    solo.now_ms = heard + 1000;
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_stop(&solo);
}

static void nobody_hands_over_to_who_is_leaving(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    configure(&solo, MEMBERS(1, V, 4, V, 5, V));
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = 2;
    assert_int_equal(solo_step(&solo, &event), LASH_INVALID);
    /* Of all, one that stays is the best, although it holds less. */
    event.transfer.to = 0;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_not_equal(solo_status(&solo).transfer_to, 2);
    assert_int_not_equal(solo_status(&solo).transfer_to, 3);
    /* T1: while the office is handed over a joint configuration is not left; when that has failed it is. */
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(5, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_false(solo.out.configure);
    solo.now_ms += 1000;
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(5, 2, 3, 0));
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_true(solo.out.configure);
    solo_stop(&solo);
}

/* ---- Whole groups ------------------------------------------------------------------------------ */

static struct lash_configuration voters(uint32_t first, uint32_t last) {
    struct lash_configuration configuration = {0};
    for (uint32_t id = first; id <= last; id++)
        configuration.members[configuration.count++] = (struct lash_member){.id = id, .flags = V};
    return configuration;
}

/* A group of one grows to seven, one by one, and shrinks again to another one; each step with writes. */
static void a_group_grows_and_shrinks_one_by_one(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(7, &options, 1);
    cluster_spare(cluster, 6);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    for (uint32_t last = 2; last <= 7; last++) {
        struct lash_configuration to = voters(1, last);
        assert_int_equal(cluster_configure(cluster, 1, &to), LASH_OK);
        assert_int_equal(cluster_propose(cluster, 1, 3), LASH_OK);
        cluster_settle(cluster);
        assert_int_equal(cluster_node(cluster, last)->commit, cluster_node(cluster, 1)->log.count);
    }
    for (uint32_t first = 2; first <= 7; first++) {
        lash_id leader = cluster_leader(cluster);
        struct lash_configuration to = voters(first, 7);
        assert_int_equal(cluster_configure(cluster, leader, &to), LASH_OK);
        cluster_run(cluster, 50);
        /* Each time the leader has removed itself, and another has taken over without an election timeout. */
        assert_true(cluster_leader(cluster) >= first);
        assert_int_equal(cluster_propose(cluster, cluster_leader(cluster), 3), LASH_OK);
        cluster_settle(cluster);
    }
    assert_int_equal(cluster_leader(cluster), 7);
    assert_int_equal(cluster_node(cluster, 7)->configuration.count, 1);
    cluster_free(cluster);
}

/* Three are exchanged for three others in one step. */
static void a_group_moves_to_other_machines_at_once(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(6, &options, 1);
    cluster_spare(cluster, 3);
    cluster_start_all(cluster);
    cluster_elect(cluster, 2);
    cluster_propose(cluster, 2, 20);
    struct lash_configuration to = voters(4, 6);
    assert_int_equal(cluster_configure(cluster, 2, &to), LASH_OK);
    cluster_run(cluster, 50);
    lash_id leader = cluster_leader(cluster);
    assert_in_range(leader, 4, 6);
    for (lash_id id = 1; id <= 3; id++)
        cluster_crash(cluster, id, 0);
    assert_int_equal(cluster_propose(cluster, leader, 1), LASH_OK);
    cluster_settle(cluster);
    assert_int_equal(cluster_node(cluster, leader)->commit, cluster_node(cluster, leader)->log.count);
    cluster_free(cluster);
}

/* D§4.2.2, Figure 4.6: of two, the leader removes itself and is gone before the other hears of it. The other cannot be
 * elected without it; so it has to stand itself when it is back. */
static void who_alone_holds_its_own_removal_is_elected_to_bring_it_to_its_end(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(2, &options, 1);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    struct lash_configuration to = voters(2, 2);
    cluster_isolate(cluster, 1, true);
    assert_int_equal(cluster_configure(cluster, 1, &to), LASH_OK);
    cluster_write(cluster, 1, 1);
    cluster_crash(cluster, 1, 1);
    cluster_isolate(cluster, 1, false);
    cluster_start(cluster, 1, 0);
    cluster_run(cluster, 10000);
    assert_int_equal(cluster_leader(cluster), 2);
    assert_int_equal(cluster_node(cluster, 2)->configuration.count, 1);
    assert_int_equal(cluster_propose(cluster, 2, 1), LASH_OK);
    cluster_settle(cluster);
    assert_int_equal(cluster_node(cluster, 2)->commit, cluster_node(cluster, 2)->log.count);
    cluster_free(cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_is_given_to_who_is_unknown_or_known_as_a_learner),
        cmocka_unit_test(who_was_removed_does_not_disturb),
        cmocka_unit_test(who_is_being_removed_stands_until_that_is_committed),
        cmocka_unit_test(an_election_goes_by_the_newest_configuration),
        cmocka_unit_test(who_joins_waits_for_a_leader_and_votes_for_whom_it_does_not_know),
        cmocka_unit_test(a_new_leader_goes_on_with_a_change_that_it_finds),
        cmocka_unit_test(a_leader_removes_itself_and_hands_over_once_that_is_committed),
        cmocka_unit_test(a_leader_that_is_removed_steps_down_even_if_nobody_takes_over),
        cmocka_unit_test(who_takes_over_hears_a_leader_that_is_no_member_any_more),
        cmocka_unit_test(a_leader_without_a_vote_counts_the_others_only),
        cmocka_unit_test(nobody_hands_over_to_who_is_leaving),
        cmocka_unit_test(a_group_grows_and_shrinks_one_by_one),
        cmocka_unit_test(a_group_moves_to_other_machines_at_once),
        cmocka_unit_test(who_alone_holds_its_own_removal_is_elected_to_bring_it_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
