/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases (D§6.4.1): each precaution, and the schedule that would break R1 without it.
 * In most of them a leader, n1, that is read from by lease is cut off from then on; the others
 * elect another as soon as they can, and commit all the time, while n1 is read from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"

enum {
    LEASE_MS = 1000 * (1000 - 100) / (1000 + 100) - 2, /* an election timeout's worth */
    SLOW = CLUSTER_CLOCK_TRUE - 100,
    FAST = CLUSTER_CLOCK_TRUE + 100,
};

static const struct lash_raft_options leases = {.leases = true};

/* A read by lease at n1, answered in the very step or not. */
static bool answers(struct cluster *cluster) {
    uint64_t before = cluster->reads_ok;
    cluster_read_by_lease(cluster, 1);
    return cluster->reads_ok > before;
}

/* n1 leads, and a read has made it want a lease. */
static struct cluster *lead_with(uint32_t count, const struct lash_raft_options *options) {
    struct cluster *cluster = cluster_new(count, options, 1);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster_propose(cluster, 1, 1);
    cluster_settle(cluster);
    cluster_read_by_lease(cluster, 1);
    cluster_settle(cluster);
    assert_int_equal(cluster->reads_ok, 1);
    return cluster;
}

static struct cluster *lead(uint32_t count) {
    return lead_with(count, &leases);
}

/* Whether another than n1 leads and has committed something. */
static bool overtaken(struct cluster *cluster) {
    lash_id leader = cluster_leader(cluster);
    return leader > 1 && oracle_committed(cluster->oracle) > cluster_node(cluster, 1)->commit;
}

/* Time passes by the millisecond; whoever else comes to lead commits something, and n1 is read from: R1 is judged. Says how
 * often n1 answered at once. */
static uint64_t race(struct cluster *cluster, uint64_t ms) {
    uint64_t answered = 0;
    for (uint64_t end = cluster->now_ms + ms; cluster->now_ms < end;) {
        cluster_run(cluster, 1);
        lash_id leader = cluster_leader(cluster);
        if (leader > 1 && !overtaken(cluster))
            cluster_propose(cluster, leader, 1);
        cluster_settle(cluster);
        if (cluster_node(cluster, 1)->role == LASH_LEADER)
            answered += answers(cluster);
    }
    return answered;
}

/* ---- What it is good for ------------------------------------------------------------------------- */

static void a_leader_with_a_lease_asks_nobody(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    assert_int_equal(cluster->packet_count, 0);
    assert_true(answers(cluster));
    assert_int_equal(cluster->packet_count, 0);
    cluster_free(cluster);
}

static void a_followers_read_is_answered_without_a_round(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    cluster_read_by_lease(cluster, 2);
    assert_int_equal(cluster->packet_count, 1);
    cluster_deliver(cluster, 0);
    assert_int_equal(cluster->packet_count, 1);
    assert_int_equal(cluster->packets[0].message.type, LASH_MSG_READ_REPLY);
    cluster_deliver(cluster, 0);
    assert_int_equal(cluster->reads_ok, 2);
    cluster_free(cluster);
}

static void a_read_that_wants_a_round_gets_one(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    cluster_read(cluster, 1);
    assert_int_equal(cluster->reads_ok, 1);
    /* Its round does not hold up those that a lease will do for. */
    assert_true(answers(cluster));
    cluster_settle(cluster);
    assert_int_equal(cluster->reads_ok, 3);
    /* A follower's question that stands for both kinds needs the round. */
    cluster_read(cluster, 2);
    cluster_read_by_lease(cluster, 2);
    assert_int_equal(cluster->packet_count, 1);
    assert_false(cluster->packets[0].message.read.lease);
    cluster_settle(cluster);
    assert_int_equal(cluster->reads_ok, 5);
    cluster_free(cluster);
}

static void a_group_of_one_answers_at_once(void **state) {
    (void)state;
    struct cluster *cluster = lead(1);
    cluster->now_ms += 5000;
    assert_true(answers(cluster));
    cluster_crash(cluster, 1, 0);
    cluster_start(cluster, 1, 0);
    cluster_settle(cluster);
    /* It has nobody to keep a promise to, and leads again without waiting. */
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_free(cluster);
}

static void heartbeats_keep_it_up_as_long_as_it_is_used(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    for (uint32_t i = 0; i < 20; i++) {
        cluster_run(cluster, 700);
        assert_true(answers(cluster));
    }
    /* And no longer: then a follower that hears that its leader has ended does not wait. */
    cluster_run(cluster, 10000);
    assert_false(answers(cluster));
    cluster_settle(cluster);
    cluster_run(cluster, 10000);
    cluster_crash(cluster, 1, 0);
    cluster_down(cluster, 2, 1);
    cluster_down(cluster, 3, 1);
    cluster_run(cluster, 150);
    assert_true(cluster_leader(cluster) != 0);
    cluster_free(cluster);
}

static void without_leases_such_a_read_is_one_by_a_round(void **state) {
    (void)state;
    struct lash_raft_options none = {0};
    struct cluster *cluster = lead_with(3, &none);
    assert_false(answers(cluster));
    cluster_settle(cluster);
    assert_int_equal(cluster->reads_ok, 2);
    cluster_free(cluster);
}

static void who_does_not_promise_does_not_count(void **state) {
    (void)state;
    struct cluster *cluster = cluster_new(3, &leases, 1);
    cluster_node(cluster, 2)->options.leases = false;
    cluster_node(cluster, 3)->options.leases = false;
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(answers(cluster));
        cluster_settle(cluster);
    }
    assert_int_equal(cluster->reads_ok, 3);
    cluster_free(cluster);
}

/* ---- When it ends -------------------------------------------------------------------------------- */

static void it_counts_from_the_begin_of_the_round(void **state) {
    (void)state;
    struct cluster *cluster = cluster_new(3, &leases, 1);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster_read_by_lease(cluster, 1);
    uint64_t began_ms = cluster->now_ms;
    /* The answers take long: n1 counts from when it asked. */
    cluster->now_ms += 300;
    cluster_settle(cluster);
    assert_int_equal(cluster->reads_ok, 1);
    cluster_isolate(cluster, 1, true);
    cluster->now_ms = began_ms + LEASE_MS - 1;
    assert_true(answers(cluster));
    cluster->now_ms++;
    assert_false(answers(cluster));
    cluster_free(cluster);
}

/* A heartbeat began a round, and a read another one before that came back: what answers the first says nothing of when the
 * second began. */
static void an_answer_to_an_older_round_renews_nothing(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    cluster->now_ms = cluster_node(cluster, 1)->deadline_ms;
    cluster_tick(cluster, 1);
    uint64_t began_ms = cluster->now_ms;
    struct cluster_packet late[2];
    for (lash_id id = 2; id <= 3; id++) {
        cluster_deliver(cluster, cluster_find(cluster, 1, id));
        late[id - 2] = cluster_take(cluster, cluster_find(cluster, id, 1));
    }
    cluster->now_ms += 700;
    cluster_read(cluster, 1);
    cluster_isolate(cluster, 1, true);
    while (cluster->packet_count > 0)
        cluster_drop(cluster, 0);
    for (uint32_t i = 0; i < 2; i++) {
        cluster_hand(cluster, &late[i]);
        cluster_packet_free(&late[i]);
    }
    cluster->now_ms = began_ms + LEASE_MS;
    assert_false(answers(cluster));
    cluster_free(cluster);
}

/* The leader's clock is as slow, the others' are as fast as is allowed; and these have heard that the leader is gone. */
static void it_is_over_before_the_promises_are_by_any_clock(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct cluster *cluster = cluster_new(3, &leases, seed);
        cluster_node(cluster, 1)->clock_rate = SLOW;
        cluster_node(cluster, 2)->clock_rate = FAST;
        cluster_node(cluster, 3)->clock_rate = FAST;
        cluster_start_all(cluster);
        cluster_elect(cluster, 1);
        cluster_run(cluster, 500);
        cluster_read_by_lease(cluster, 1);
        cluster_settle(cluster);
        cluster_isolate(cluster, 1, true);
        cluster_down(cluster, 2, 1);
        cluster_down(cluster, 3, 1);
        uint64_t answered = race(cluster, 1500);
        assert_in_range(answered, LEASE_MS * CLUSTER_CLOCK_TRUE / SLOW - 2, LEASE_MS * CLUSTER_CLOCK_TRUE / SLOW);
        assert_true(overtaken(cluster));
        cluster_free(cluster);
    }
}

/* ---- Who could vote too soon --------------------------------------------------------------------- */

/* n3 has not heard from n1 for long and stands again and again: all rests on n2's promise. n1 is cut off from now on. */
static struct cluster *hold_by_one_promise(const struct lash_raft_options *options, uint64_t seed) {
    struct cluster *cluster = cluster_new(3, options, seed);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster->cut[1][3] = cluster->cut[3][1] = true;
    cluster_read_by_lease(cluster, 1);
    cluster_run(cluster, 2500);
    assert_int_equal(cluster_leader(cluster), 1);
    assert_true(answers(cluster));
    cluster_isolate(cluster, 1, true);
    return cluster;
}

static void a_restart_does_not_end_a_promise(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct cluster *cluster = hold_by_one_promise(&leases, seed);
        cluster_crash(cluster, 2, 0);
        cluster_start(cluster, 2, 0);
        assert_true(race(cluster, 3000) > LEASE_MS / 2);
        assert_true(overtaken(cluster));
        cluster_free(cluster);
    }
}

static void a_hint_does_not_end_a_promise(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct cluster *cluster = hold_by_one_promise(&leases, seed);
        cluster_down(cluster, 2, 1);
        assert_true(race(cluster, 3000) > LEASE_MS / 2);
        assert_true(overtaken(cluster));
        cluster_free(cluster);
    }
}

/* Without pre-vote n3 is terms ahead; an answer of its, to a leader that n2 once was, takes n2 along. */
static void a_higher_term_does_not_end_a_promise(void **state) {
    (void)state;
    struct lash_raft_options options = {.leases = true, .no_pre_vote = true};
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct cluster *cluster = hold_by_one_promise(&options, seed);
        struct cluster_packet packet = {.message = {.type = LASH_MSG_APPEND_REPLY, .from = 3, .to = 2}};
        packet.message.term = cluster_node(cluster, 3)->term;
        assert_true(packet.message.term > cluster_node(cluster, 2)->term);
        cluster_hand(cluster, &packet);
        assert_true(race(cluster, 3000) > LEASE_MS / 2);
        assert_true(overtaken(cluster));
        cluster_free(cluster);
    }
}

/* ---- Handing over -------------------------------------------------------------------------------- */

/* n1 hands over to n2, which does not hear of it in time: the request comes back at the end. */
static struct cluster_packet hand_over_in_vain(struct cluster *cluster) {
    assert_int_equal(cluster_transfer(cluster, 1, 2), LASH_OK);
    struct cluster_packet late = cluster_take(cluster, cluster_find(cluster, 1, 2));
    assert_int_equal(late.message.type, LASH_MSG_TIMEOUT_NOW);
    /* Revoked from the moment that n2 was told. */
    assert_false(answers(cluster));
    for (uint32_t i = 0; i < 1100; i++) {
        cluster->now_ms++;
        if (cluster_clock(cluster, cluster_node(cluster, 1)) >= cluster_node(cluster, 1)->deadline_ms)
            cluster_tick(cluster, 1);
        for (uint32_t at = 0; at < cluster->packet_count;) {
            if (cluster->packets[at].message.type == LASH_MSG_TIMEOUT_NOW)
                cluster_drop(cluster, at);
            else
                at++;
        }
        cluster_settle(cluster);
    }
    assert_int_equal(cluster_leader(cluster), 1);
    return late;
}

static void a_late_request_to_take_over_finds_no_lease(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    struct cluster_packet late = hand_over_in_vain(cluster);
    assert_false(answers(cluster));
    cluster_settle(cluster);
    /* A round has been confirmed since, with promises; yet n2 stands at once, and n3 votes for it. */
    assert_false(answers(cluster));
    cluster_isolate(cluster, 1, true);
    cluster_hand(cluster, &late);
    cluster_packet_free(&late);
    assert_int_equal(race(cluster, 500), 0);
    assert_true(overtaken(cluster));
    cluster_free(cluster);
}

static void once_something_newer_is_committed_a_lease_holds_again(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    struct cluster_packet late = hand_over_in_vain(cluster);
    cluster_propose(cluster, 1, 1);
    cluster_settle(cluster);
    assert_true(answers(cluster));
    cluster_isolate(cluster, 1, true);
    cluster_hand(cluster, &late);
    cluster_packet_free(&late);
    assert_true(race(cluster, LEASE_MS - 200) > LEASE_MS / 2);
    assert_false(overtaken(cluster));
    cluster_free(cluster);
}

/* The target is cut off after it stood; its request for n3's vote arrives when n1 has long gone on. */
static void a_late_request_for_a_vote_finds_no_lease(void **state) {
    (void)state;
    struct cluster *cluster = lead(3);
    assert_int_equal(cluster_transfer(cluster, 1, 2), LASH_OK);
    cluster_deliver(cluster, cluster_find(cluster, 1, 2));
    cluster_write(cluster, 2, 1);
    struct cluster_packet late = cluster_take(cluster, cluster_find(cluster, 2, 3));
    assert_true(late.message.type == LASH_MSG_VOTE && late.message.vote.transfer);
    while (cluster->packet_count > 0)
        cluster_drop(cluster, 0);
    cluster->cut[1][2] = cluster->cut[2][1] = cluster->cut[2][3] = cluster->cut[3][2] = true;
    cluster_run(cluster, 1050);
    cluster_read_by_lease(cluster, 1);
    cluster_settle(cluster);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_isolate(cluster, 1, true);
    cluster->cut[2][3] = cluster->cut[3][2] = false;
    cluster_hand(cluster, &late);
    cluster_packet_free(&late);
    assert_int_equal(race(cluster, 500), 0);
    cluster_free(cluster);
}

/* ---- Members ------------------------------------------------------------------------------------- */

static struct lash_configuration voters(const lash_id *ids, uint32_t count) {
    struct lash_configuration configuration = {.count = count};
    for (uint32_t i = 0; i < count; i++)
        configuration.members[i] = (struct lash_member){.id = ids[i], .flags = LASH_MEMBER_VOTER};
    return configuration;
}

/* n1 removes itself from a group of two. n2, which knows that for committed, is all of the group, and need not wait after
 * a restart. */
static void who_leads_without_a_vote_holds_no_lease(void **state) {
    (void)state;
    struct cluster *cluster = lead(2);
    cluster_settle(cluster);
    struct lash_configuration to = voters((const lash_id[]){2}, 1);
    assert_int_equal(cluster_configure(cluster, 1, &to), LASH_OK);
    assert_false(answers(cluster));
    lash_index configured = cluster_node(cluster, 1)->log.count;
    assert_int_equal(cluster_propose(cluster, 1, 1), LASH_OK);
    cluster_write(cluster, 1, 2);
    /* n2 holds both, and has only the first on disk. */
    for (uint32_t at; (at = cluster_find(cluster, 1, 2)) < cluster->packet_count;)
        cluster_deliver(cluster, at);
    cluster_write(cluster, 2, 1);
    for (uint32_t at; (at = cluster_find(cluster, 2, 1)) < cluster->packet_count;)
        cluster_deliver(cluster, at);
    assert_int_equal(cluster_node(cluster, 1)->commit, configured);
    cluster_isolate(cluster, 1, true);
    cluster_crash(cluster, 2, 0);
    cluster_start(cluster, 2, configured);
    assert_int_equal(race(cluster, 500), 0);
    assert_int_equal(cluster_leader(cluster), 2);
    cluster_free(cluster);
}

/* A member that was just added has promised nothing, however lately it was heard of. */
static void a_new_member_has_promised_nothing(void **state) {
    (void)state;
    struct cluster *cluster = cluster_new(3, &leases, 1);
    cluster_spare(cluster, 2);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    assert_true(answers(cluster));
    struct lash_configuration to = voters((const lash_id[]){1, 2, 3}, 3);
    assert_int_equal(cluster_configure(cluster, 1, &to), LASH_OK);
    assert_false(answers(cluster));
    cluster_settle(cluster);
    assert_true(answers(cluster));
    cluster_free(cluster);
}

/* D§4.3: with a joint configuration majorities of both must have promised. */
static void both_majorities_promise(void **state) {
    (void)state;
    struct cluster *cluster = cluster_new(5, &leases, 1);
    cluster_spare(cluster, 2);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster_read_by_lease(cluster, 1);
    cluster_settle(cluster);
    assert_true(answers(cluster));
    /* Of the new ones nobody has been heard of; n2 and n3 still promise. */
    cluster_isolate(cluster, 4, true);
    cluster_isolate(cluster, 5, true);
    struct lash_configuration to = voters((const lash_id[]){1, 4, 5}, 3);
    assert_int_equal(cluster_configure(cluster, 1, &to), LASH_OK);
    cluster_settle(cluster);
    cluster_run(cluster, 200);
    assert_false(answers(cluster));
    cluster_free(cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_with_a_lease_asks_nobody),
        cmocka_unit_test(a_followers_read_is_answered_without_a_round),
        cmocka_unit_test(a_read_that_wants_a_round_gets_one),
        cmocka_unit_test(a_group_of_one_answers_at_once),
        cmocka_unit_test(heartbeats_keep_it_up_as_long_as_it_is_used),
        cmocka_unit_test(without_leases_such_a_read_is_one_by_a_round),
        cmocka_unit_test(who_does_not_promise_does_not_count),
        cmocka_unit_test(it_counts_from_the_begin_of_the_round),
        cmocka_unit_test(an_answer_to_an_older_round_renews_nothing),
        cmocka_unit_test(it_is_over_before_the_promises_are_by_any_clock),
        cmocka_unit_test(a_restart_does_not_end_a_promise),
        cmocka_unit_test(a_hint_does_not_end_a_promise),
        cmocka_unit_test(a_higher_term_does_not_end_a_promise),
        cmocka_unit_test(a_late_request_to_take_over_finds_no_lease),
        cmocka_unit_test(once_something_newer_is_committed_a_lease_holds_again),
        cmocka_unit_test(a_late_request_for_a_vote_finds_no_lease),
        cmocka_unit_test(who_leads_without_a_vote_holds_no_lease),
        cmocka_unit_test(a_new_member_has_promised_nothing),
        cmocka_unit_test(both_majorities_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
