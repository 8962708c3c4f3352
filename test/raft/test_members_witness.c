/* SPDX-License-Identifier: Apache-2.0
 *
 * Witnesses: members that vote and keep no data. What they count for, what they never
 * do, and that they never hold what nobody who could lead holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "members.h"

#define VW (V | W)

/* n1 of n1, n2 and the witness n3 leads term 2 with the log "1 2", which n2 holds. */
static void lead_with_a_witness(struct solo *solo) {
    solo_start(solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1), .witnesses = 1});
    solo_lead(solo);
    assert_int_equal(solo_status(solo).commit, 2);
}

/* ---- Configurations ---------------------------------------------------------------------------- */

static void somebody_who_votes_keeps_data(void **state) {
    (void)state;
    struct solo solo;
    lead_with_a_witness(&solo);
    assert_int_equal(configure(&solo, MEMBERS(3, VW)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(3, VW, 4, VW)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, 0, 3, VW)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, VW, 4, W)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, VW, 4, W | PROMOTE)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 3, VW, 4, VW)), LASH_OK);
    solo_stop(&solo);
}

/* Its log lacks the data, or is full of it. */
static void nobody_becomes_a_witness_or_ceases_to_be_one(void **state) {
    (void)state;
    struct solo solo;
    lead_with_a_witness(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, 0)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, PROMOTE)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, VW, 3, VW)), LASH_INVALID);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_OK);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 4, 0)), LASH_OK);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 4, VW)), LASH_INVALID);
    solo_stop(&solo);
}

static void a_witness_stays_one_through_a_joint_configuration(void **state) {
    (void)state;
    struct solo solo;
    lead_with_a_witness(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 4, V, 5, VW)), LASH_OK);
    assert_members(&solo.out.configuration, MEMBERS(1, V | OLD, 4, V, 5, VW, 2, OLD | LEAVES, 3, OLD | LEAVES | W));
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 2);
    solo_message(&solo, solo_accept(5, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_true(solo.out.configure);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 4, V, 5, VW));
    solo_stop(&solo);
    /* One of whose halves nobody could lead is not taken from anyone. */
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    struct lash_configuration held = MEMBERS(1, V, 2, OLD | LEAVES | W, 3, OLD | LEAVES | W);
    solo_message(&solo, append_one(&solo, 2, 1, 1, 1, &held));
    held = MEMBERS(1, VW, 2, OLD | LEAVES);
    solo_message(&solo, append_one(&solo, 2, 1, 1, 1, &held));
    assert_string_equal(solo_log(&solo), "1");
    held = MEMBERS(1, VW, 2, V, 3, OLD | LEAVES);
    solo_message(&solo, append_one(&solo, 2, 1, 1, 1, &held));
    assert_string_equal(solo_log(&solo), "1 1");
    solo_stop(&solo);
}

/* ---- The witness ------------------------------------------------------------------------------- */

static void a_witness_never_stands_for_election(void **state) {
    (void)state;
    for (int without = 0; without < 2; without++) {
        struct solo solo;
        solo_start(&solo, &(struct solo_start){
                              .id = 3, .term = 2, .log = SOLO_LOG(1), .witnesses = 1, .no_pre_vote = without == 1});
        for (int i = 0; i < 5; i++) {
            solo_timeout(&solo);
            assert_int_equal(solo.send_count, 0);
        }
        /* Not when its leader asks it to, nor when that one's process has ended. */
        solo_message(&solo, solo_append(&solo, 1, 2, 1, 1, 0, NULL));
        struct lash_message now = {.type = LASH_MSG_TIMEOUT_NOW, .from = 1, .to = 3, .term = 2};
        now.timeout_now.last_index = 1;
        solo_message(&solo, now);
        assert_int_equal(solo.send_count, 0);
        struct lash_event down = {.type = LASH_EVENT_DOWN};
        down.peer.id = 1;
        solo_step(&solo, &down);
        solo_timeout(&solo);
        assert_int_equal(solo.send_count, 0);
        assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
        assert_int_equal(solo_status(&solo).term, 2);
        solo_stop(&solo);
    }
}

/* One that is being removed does not either, though other voters would (D§4.2.2). */
static void a_witness_that_is_being_removed_does_not_stand(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.id = 3, .term = 2, .log = SOLO_LOG(1), .floor = 1, .witnesses = 1});
    struct lash_configuration held = MEMBERS(1, V, 2, V);
    solo_message(&solo, append_one(&solo, 1, 2, 1, 1, &held));
    solo_written(&solo);
    for (int i = 0; i < 3; i++)
        solo_timeout(&solo);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 0);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_stop(&solo);
}

static void a_witness_votes_and_acknowledges_like_any_voter(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.id = 3, .term = 1, .log = SOLO_LOG(1, 1), .witnesses = 1});
    solo_message(&solo, solo_vote(2, 2, 1, 1));
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
    solo_message(&solo, solo_vote(1, 2, 2, 1));
    const struct lash_send *reply = solo_sent(&solo, LASH_MSG_VOTE_REPLY, 1);
    assert_true(reply->message.vote_reply.granted);
    assert_int_equal(reply->after_write, solo.out.write);
    solo_written(&solo);
    solo_message(&solo, solo_append(&solo, 1, 2, 2, 1, 0, SOLO_LOG(2)));
    reply = solo_sent(&solo, LASH_MSG_APPEND_REPLY, 1);
    assert_int_equal(reply->message.append_reply.match, 3);
    assert_int_equal(reply->after_write, solo.out.write);
    solo_stop(&solo);
}

/* ---- Its leader -------------------------------------------------------------------------------- */

static void a_witness_counts_for_commits_and_reads(void **state) {
    (void)state;
    struct solo solo;
    lead_with_a_witness(&solo);
    solo_propose(&solo, 1);
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    solo_read(&solo, 77);
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_message(&solo, solo_accept(3, 2, 3, solo_sent(&solo, LASH_MSG_APPEND, 3)->message.append.round));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 3);
    solo_stop(&solo);
}

static void a_witness_is_sent_nothing_before_it_is_durable_where_it_stays(void **state) {
    (void)state;
    struct solo solo;
    lead_with_a_witness(&solo);
    solo_message(&solo, solo_accept(3, 2, 2, 0));
    solo_propose(&solo, 1);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 2)->message.append.last, 3);
    assert_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    solo_written(&solo);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 3)->message.append.last, 3);
    /* A leader that has left the voters is not where it stays. */
    assert_int_equal(configure(&solo, MEMBERS(2, V, 3, VW)), LASH_OK);
    solo_written(&solo);
    assert_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 3)->message.append.last, 4);
    solo_stop(&solo);
}

static void nobody_hands_over_to_a_witness(void **state) {
    (void)state;
    struct solo solo;
    lead_with_a_witness(&solo);
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = 3;
    assert_int_equal(solo_step(&solo, &event), LASH_INVALID);
    /* n2 is silent: nobody is left. */
    for (int i = 0; i < 15; i++) {
        solo.now_ms += 100;
        solo_tick(&solo);
        solo_message(&solo, solo_accept(3, 2, 2, 0));
    }
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    event.transfer.to = 0;
    assert_int_equal(solo_step(&solo, &event), LASH_NOT_FOUND);
    /* Nor does a leader that removes itself. */
    assert_int_equal(configure(&solo, MEMBERS(2, V, 3, VW)), LASH_OK);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 1);
    assert_non_null(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 2));
    solo_stop(&solo);
}

/* ---- Whole groups ------------------------------------------------------------------------------ */

static struct cluster *group(uint32_t data, uint32_t witnesses) {
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(data + witnesses, &options, 1);
    for (uint32_t i = data; i < data + witnesses; i++)
        cluster->configuration.members[i].flags |= W;
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    return cluster;
}

static void either_of_two_goes_on_with_the_witness(void **state) {
    (void)state;
    for (lash_id down = 1; down <= 2; down++) {
        struct cluster *cluster = group(2, 1);
        cluster_propose(cluster, 1, 3);
        cluster_settle(cluster);
        cluster_crash(cluster, down, 9);
        cluster_run(cluster, 5000);
        lash_id left = 3 - down;
        assert_int_equal(cluster_leader(cluster), left);
        assert_int_equal(cluster_propose(cluster, left, 3), LASH_OK);
        cluster_settle(cluster);
        assert_int_equal(cluster_node(cluster, left)->commit, cluster_node(cluster, left)->log.count);
        cluster_free(cluster);
    }
}

/* n1 and the witness commit what n2 lacks: nobody leads before n1 is back, and nothing is lost. */
static void who_lacks_what_a_witness_committed_is_not_elected(void **state) {
    (void)state;
    struct cluster *cluster = group(2, 1);
    cluster_settle(cluster);
    cluster_isolate(cluster, 2, true);
    cluster_propose(cluster, 1, 3);
    cluster_run(cluster, 500);
    lash_index committed = cluster_node(cluster, 1)->commit;
    assert_int_equal(committed, cluster_node(cluster, 1)->log.count);
    cluster_crash(cluster, 1, 9);
    cluster_isolate(cluster, 2, false);
    cluster_run(cluster, 20000);
    assert_int_equal(cluster_leader(cluster), 0);
    cluster_start(cluster, 1, 0);
    cluster_run(cluster, 5000);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_settle(cluster);
    assert_true(cluster_node(cluster, 2)->commit > committed);
    cluster_free(cluster);
}

/* The leader crashes before its own disk has what it proposed. Had the witness got it, nobody could ever lead again. */
static void a_leader_that_lost_its_newest_entries_leads_again(void **state) {
    (void)state;
    struct cluster *cluster = group(1, 1);
    cluster_settle(cluster);
    cluster_propose(cluster, 1, 3);
    while (cluster->packet_count > 0)
        cluster_deliver(cluster, 0);
    cluster_write(cluster, 2, 9);
    cluster_crash(cluster, 1, 0);
    cluster_start(cluster, 1, 0);
    cluster_run(cluster, 5000);
    assert_int_equal(cluster_leader(cluster), 1);
    assert_int_equal(cluster_propose(cluster, 1, 1), LASH_OK);
    cluster_settle(cluster);
    assert_int_equal(cluster_node(cluster, 2)->commit, cluster_node(cluster, 1)->log.count);
    cluster_free(cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(somebody_who_votes_keeps_data),
        cmocka_unit_test(nobody_becomes_a_witness_or_ceases_to_be_one),
        cmocka_unit_test(a_witness_stays_one_through_a_joint_configuration),
        cmocka_unit_test(a_witness_never_stands_for_election),
        cmocka_unit_test(a_witness_that_is_being_removed_does_not_stand),
        cmocka_unit_test(a_witness_votes_and_acknowledges_like_any_voter),
        cmocka_unit_test(a_witness_counts_for_commits_and_reads),
        cmocka_unit_test(a_witness_is_sent_nothing_before_it_is_durable_where_it_stays),
        cmocka_unit_test(nobody_hands_over_to_a_witness),
        cmocka_unit_test(either_of_two_goes_on_with_the_witness),
        cmocka_unit_test(who_lacks_what_a_witness_committed_is_not_elected),
        cmocka_unit_test(a_leader_that_lost_its_newest_entries_leads_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
