/* SPDX-License-Identifier: Apache-2.0
 *
 * Leadership transfer (D§3.10), rule by rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "solo.h"

static int transfer(struct solo *solo, lash_id to) {
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = to;
    return solo_step(solo, &event);
}

static struct lash_message timeout_now(lash_id from, lash_term term, lash_index last_index) {
    struct lash_message message = {.type = LASH_MSG_TIMEOUT_NOW, .from = from, .term = term};
    message.timeout_now.last_index = last_index;
    return message;
}

/* n1 of `members` leads term 2 with the log "1 2", which n2 holds. */
static void lead(struct solo *solo, uint32_t members) {
    solo_start(solo, &(struct solo_start){.members = members, .term = 1, .log = SOLO_LOG(1)});
    solo_lead(solo);
}

/* D§3.10: the leader sends a TimeoutNow request once the target's log matches its own; no proposals meanwhile. */
static void the_target_is_told_once_it_holds_everything(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 3);
    assert_int_equal(solo_propose(&solo, 2), LASH_OK);
    assert_int_equal(transfer(&solo, 2), LASH_OK);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 0);
    assert_int_equal(solo_status(&solo).transfer_to, 2);
    assert_int_equal(solo_propose(&solo, 1), LASH_BUSY);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 0);
    solo_message(&solo, solo_accept(3, 2, 4, 0));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 0);
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    assert_non_null(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 2));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 1);
    assert_int_equal(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 2)->message.timeout_now.last_index, 4);
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 0);
    assert_int_equal(solo_propose(&solo, 1), LASH_BUSY);
    solo_stop(&solo);
}

static void a_lost_request_is_said_again_with_the_next_heartbeat(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 3);
    transfer(&solo, 2);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 1);
    solo_tick(&solo);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 0);
    solo_timeout(&solo);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 1);
    solo_stop(&solo);
}

/* D§3.10: what does not complete within an election timeout is given up. */
static void a_transfer_that_takes_too_long_is_given_up_and_writes_go_on(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 3);
    solo_propose(&solo, 1);
    transfer(&solo, 2);
    uint64_t end = solo.now_ms + 1000;
    while (solo.now_ms < end) {
        assert_int_equal(solo_propose(&solo, 1), LASH_BUSY);
        assert_true(solo.out.deadline_ms <= end);
        solo_timeout(&solo);
        solo_message(&solo, solo_accept(3, 2, 3, 0));
    }
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_int_equal(solo_status(&solo).transfer_to, 0);
    assert_int_equal(solo_propose(&solo, 1), LASH_OK);
    /* The target's answer comes late: nobody is told. */
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_TIMEOUT_NOW), 0);
    solo_stop(&solo);
}

static void a_transfer_ends_when_its_target_is_lost_and_with_the_office(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 3);
    solo_propose(&solo, 1);
    transfer(&solo, 2);
    struct lash_event event = {.type = LASH_EVENT_UNREACHABLE};
    event.peer.id = 3;
    solo_step(&solo, &event);
    assert_int_equal(solo_status(&solo).transfer_to, 2);
    event.peer.id = 2;
    solo_step(&solo, &event);
    assert_int_equal(solo_status(&solo).transfer_to, 0);
    assert_int_equal(solo_propose(&solo, 1), LASH_OK);
    transfer(&solo, 3);
    assert_int_equal(solo_status(&solo).transfer_to, 3);
    solo_message(&solo, solo_append(&solo, 3, 3, 2, 2, 2, NULL));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).transfer_to, 0);
    solo_stop(&solo);
}

static void only_the_leader_transfers_and_only_to_a_voter_that_answers(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.members = 4, .learners = 1, .term = 1, .log = SOLO_LOG(1)});
    assert_int_equal(transfer(&solo, 2), LASH_NOT_LEADER);
    solo_lead(&solo);
    assert_int_equal(transfer(&solo, 4), LASH_INVALID);
    assert_int_equal(transfer(&solo, 9), LASH_INVALID);
    assert_int_equal(transfer(&solo, 1), LASH_OK);
    assert_int_equal(solo_status(&solo).transfer_to, 0);
    solo.now_ms += 999;
    solo_message(&solo, solo_accept(2, 2, 2, 0));
    solo.now_ms += 1;
    assert_int_equal(transfer(&solo, 3), LASH_NOT_FOUND);
    assert_int_equal(transfer(&solo, 2), LASH_OK);
    assert_int_equal(transfer(&solo, 2), LASH_BUSY);
    assert_int_equal(transfer(&solo, 3), LASH_BUSY);
    solo_stop(&solo);
}

static void the_best_is_the_voter_that_lacks_the_least(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 3);
    solo_propose(&solo, 2);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(3, 2, 4, 0));
    assert_int_equal(transfer(&solo, 0), LASH_OK);
    assert_non_null(solo_sent(&solo, LASH_MSG_TIMEOUT_NOW, 3));
    solo_stop(&solo);
    solo_start(&solo, &(struct solo_start){.members = 1});
    solo_timeout(&solo);
    solo_written(&solo);
    assert_int_equal(transfer(&solo, 0), LASH_NOT_FOUND);
    solo_stop(&solo);
}

/* D§3.10: the target starts a new election at once; D§9.6's question would not be answered under a live leader. */
static void the_target_stands_at_once_without_a_pre_vote(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2)});
    solo_message(&solo, solo_append(&solo, 3, 2, 2, 2, 1, NULL));
    solo_message(&solo, timeout_now(3, 2, 2));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    assert_int_equal(solo_status(&solo).term, 3);
    const struct lash_send *send = solo_sent(&solo, LASH_MSG_VOTE, 2);
    assert_non_null(send);
    assert_true(send->message.vote.transfer && !send->message.vote.pre);
    /* Its own vote is durable before anyone is asked (§5.1). */
    assert_int_equal(send->after_write, solo.writes);
    /* The next election, should this one fail, is one like any other. */
    solo_timeout(&solo);
    assert_true(solo_sent(&solo, LASH_MSG_VOTE, 2)->message.vote.pre);
    assert_false(solo_sent(&solo, LASH_MSG_VOTE, 2)->message.vote.transfer);
    solo_stop(&solo);
}

static void a_request_to_stand_is_ignored_unless_it_fits(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2)});
    /* From a node that is not known to lead. */
    solo_message(&solo, timeout_now(3, 2, 2));
    assert_int_equal(solo_status(&solo).term, 2);
    solo_message(&solo, solo_append(&solo, 3, 2, 2, 2, 1, NULL));
    /* From another, of an older term, about another log. */
    solo_message(&solo, timeout_now(2, 2, 2));
    solo_message(&solo, timeout_now(3, 1, 2));
    solo_message(&solo, timeout_now(3, 2, 1));
    solo_message(&solo, timeout_now(3, 2, 3));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).term, 2);
    /* Twice: the second is of a term that has been. */
    solo_message(&solo, timeout_now(3, 2, 2));
    solo_message(&solo, timeout_now(3, 2, 2));
    assert_int_equal(solo_status(&solo).term, 3);
    solo_stop(&solo);
    /* At a node without a vote. */
    solo_start(&solo, &(struct solo_start){.id = 3, .learners = 1, .term = 2, .log = SOLO_LOG(1, 2)});
    solo_message(&solo, solo_append(&solo, 1, 2, 2, 2, 1, NULL));
    solo_message(&solo, timeout_now(1, 2, 2));
    assert_int_equal(solo_status(&solo).term, 2);
    solo_stop(&solo);
}

/* §6 is lifted for a transfer, and nothing else: one vote a term, and only for a log that is up to date. */
static void a_transfer_lifts_the_silence_and_no_other_rule(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2)});
    solo_message(&solo, solo_append(&solo, 3, 2, 2, 2, 1, NULL));
    struct lash_message vote = solo_vote(2, 3, 2, 2);
    solo_message(&solo, vote);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE_REPLY), 0);
    vote.vote.transfer = true;
    vote.vote.last_index = 1;
    solo_message(&solo, vote);
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
    assert_int_equal(solo_status(&solo).term, 3);
    vote.vote.last_index = 2;
    solo_message(&solo, vote);
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
    vote.from = 3;
    solo_message(&solo, vote);
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 3)->message.vote_reply.granted);
    vote.term = 2;
    solo_message(&solo, vote);
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 3)->message.vote_reply.granted);
    /* There is no pre-vote in a transfer. */
    vote.vote.pre = true;
    vote.term = 4;
    solo_message(&solo, vote);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE_REPLY), 0);
    solo_stop(&solo);
}

/* With everything at work the office changes hands within one term and without an election timeout. */
static void leadership_moves_without_an_election_timeout(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(5, &options, 1);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    for (lash_id to = 5; to >= 1; to--) {
        lash_id from = cluster_leader(cluster);
        lash_term term = cluster_node(cluster, from)->term;
        assert_int_equal(cluster_propose(cluster, from, 10), LASH_OK);
        assert_int_equal(cluster_transfer(cluster, from, to), LASH_OK);
        uint64_t now_ms = cluster->now_ms;
        cluster_settle(cluster);
        assert_int_equal(cluster->now_ms, now_ms);
        assert_int_equal(cluster_leader(cluster), to);
        assert_int_equal(cluster_node(cluster, to)->term, term + 1);
        assert_int_equal(cluster_node(cluster, to)->commit, cluster_node(cluster, to)->log.count);
    }
    cluster_free(cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_is_told_once_it_holds_everything),
        cmocka_unit_test(a_lost_request_is_said_again_with_the_next_heartbeat),
        cmocka_unit_test(a_transfer_that_takes_too_long_is_given_up_and_writes_go_on),
        cmocka_unit_test(a_transfer_ends_when_its_target_is_lost_and_with_the_office),
        cmocka_unit_test(only_the_leader_transfers_and_only_to_a_voter_that_answers),
        cmocka_unit_test(the_best_is_the_voter_that_lacks_the_least),
        cmocka_unit_test(the_target_stands_at_once_without_a_pre_vote),
        cmocka_unit_test(a_request_to_stand_is_ignored_unless_it_fits),
        cmocka_unit_test(a_transfer_lifts_the_silence_and_no_other_rule),
        cmocka_unit_test(leadership_moves_without_an_election_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
