/* SPDX-License-Identifier: Apache-2.0
 *
 * A full disk, as the core sees it: no entries are taken, votes and terms go on,
 * nothing that was acknowledged is taken back, and all ends with the first answer
 * that speaks of room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "solo.h"

static void room(struct solo *solo, bool full) {
    struct lash_event event = {.type = LASH_EVENT_ROOM};
    event.room.full = full;
    assert_int_equal(solo_step(solo, &event), LASH_OK);
}

static const struct lash_message *answer(const struct solo *solo) {
    const struct lash_send *send = solo_sent(solo, LASH_MSG_APPEND_REPLY, 3);
    assert_non_null(send);
    assert_int_equal(send->after_write, 0);
    return &send->message;
}

static void a_full_follower_takes_no_entries_and_answers_for_what_it_holds(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2, 2)});
    room(&solo, true);
    assert_int_equal(solo_status(&solo).full, 1);
    /* The first of three is there already. */
    solo_message(&solo, solo_append(&solo, 3, 2, 2, 2, 9, SOLO_LOG(2, 2, 2)));
    assert_string_equal(solo_log(&solo), "1 2 2");
    assert_int_equal(solo.out.write, 0);
    assert_true(answer(&solo)->append_reply.success && answer(&solo)->append_reply.full);
    assert_int_equal(answer(&solo)->append_reply.match, 3);
    /* The commit index is learnt as far as the logs are known to be equal. */
    assert_int_equal(solo.out.commit, 3);
    solo_message(&solo, solo_append(&solo, 3, 2, 5, 2, 9, SOLO_LOG(2)));
    assert_false(answer(&solo)->append_reply.success);
    assert_true(answer(&solo)->append_reply.full);
    room(&solo, false);
    solo_message(&solo, solo_append(&solo, 3, 2, 3, 2, 9, SOLO_LOG(2)));
    assert_string_equal(solo_log(&solo), "1 2 2 2");
    assert_false(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3)->message.append_reply.full);
    solo_stop(&solo);
}

/* Else no new leader could commit in its term, and so serve a read, while a majority is full (§8). */
static void a_full_follower_takes_a_new_leaders_no_op_and_nothing_behind_it(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2)});
    room(&solo, true);
    struct lash_message message = solo_append(&solo, 3, 3, 1, 1, 1, SOLO_LOG(2, 3, 3));
    solo.runs[1].count = 1;
    solo.runs[1].kind = LASH_ENTRY_NOOP;
    solo.runs[2] = (struct lash_run){.first = 4, .term = 3, .count = 1};
    message.append.run_count = 3;
    solo_message(&solo, message);
    assert_string_equal(solo_log(&solo), "1 2 3");
    assert_int_equal(solo.out.append_first, 3);
    assert_int_equal(solo.out.append_last, 3);
    const struct lash_send *reply = solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3);
    assert_int_equal(reply->message.append_reply.match, 3);
    assert_true(reply->message.append_reply.full);
    assert_int_equal(reply->after_write, solo.writes);
    /* Not one that it lacks something before. */
    message = solo_append(&solo, 3, 3, 3, 3, 1, SOLO_LOG(3, 3));
    solo.runs[0].count = 1;
    solo.runs[1] = (struct lash_run){.first = 5, .term = 3, .count = 1, .kind = LASH_ENTRY_NOOP};
    message.append.run_count = 2;
    solo_message(&solo, message);
    assert_string_equal(solo_log(&solo), "1 2 3");
    solo_stop(&solo);
}

/* What conflicts stays until there is room for what replaces it: the cut is part of that write. */
static void a_full_follower_drops_nothing(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2, 2)});
    room(&solo, true);
    solo_message(&solo, solo_append(&solo, 3, 3, 1, 1, 1, SOLO_LOG(3, 3)));
    assert_string_equal(solo_log(&solo), "1 2 2");
    assert_true(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3)->message.append_reply.success);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3)->message.append_reply.match, 1);
    assert_int_equal(solo.out.commit, 1);
    solo_stop(&solo);
}

static void a_full_node_votes_and_does_not_stand(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 2)});
    room(&solo, true);
    for (int i = 0; i < 3; i++) {
        solo_timeout(&solo);
        assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
        assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 0);
    }
    solo_message(&solo, solo_vote(2, 3, 2, 2));
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
    assert_int_equal(solo.out.vote, 2);
    /* Not when asked to, either (D§3.10). */
    solo_written(&solo);
    solo_message(&solo, solo_append(&solo, 2, 3, 2, 2, 1, NULL));
    struct lash_message message = {.type = LASH_MSG_TIMEOUT_NOW, .from = 2, .term = 3};
    message.timeout_now.last_index = 2;
    solo_message(&solo, message);
    assert_int_equal(solo_status(&solo).term, 3);
    room(&solo, false);
    solo_message(&solo, message);
    assert_int_equal(solo_status(&solo).term, 4);
    solo_stop(&solo);
}

static void a_full_leader_takes_no_proposals_and_hands_over_to_one_with_room(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_lead(&solo);
    room(&solo, true);
    assert_int_equal(solo_propose(&solo, 1), LASH_BUSY);
    struct lash_message full = solo_accept(2, 2, 2, 0);
    full.append_reply.full = true;
    solo_message(&solo, full);
    assert_int_equal(solo_status(&solo).progress[1].full, 1);
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = 2;
    assert_int_equal(solo_step(&solo, &event), LASH_NOT_FOUND);
    event.transfer.to = 0;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(solo_status(&solo).transfer_to, 3);
    /* Its disk fills as well: there is nobody to hand over to. */
    full.from = 3;
    solo_message(&solo, full);
    assert_int_equal(solo_status(&solo).transfer_to, 0);
    assert_int_equal(solo_step(&solo, &event), LASH_NOT_FOUND);
    room(&solo, false);
    assert_int_equal(solo_status(&solo).no_room, 1);
    assert_int_equal(solo_propose(&solo, 1), LASH_BUSY);
    solo_message(&solo, solo_accept(3, 2, 2, 0));
    assert_int_equal(solo_status(&solo).no_room, 0);
    assert_int_equal(solo_propose(&solo, 1), LASH_OK);
    solo_stop(&solo);
}

/* A full member is asked by heartbeats alone, and gets everything once it says that it has room. */
static void a_full_member_gets_entries_again_when_it_says_so(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_lead(&solo);
    struct lash_message full = solo_accept(2, 2, 2, 0);
    full.append_reply.full = true;
    solo_propose(&solo, 2);
    solo_message(&solo, full);
    solo_propose(&solo, 2);
    for (int i = 0; i < 3; i++) {
        solo_timeout(&solo);
        const struct lash_send *send = solo_sent(&solo, LASH_MSG_APPEND, 2);
        assert_non_null(send);
        assert_int_equal(send->message.append.prev_index, 2);
        assert_true(send->message.append.last < send->message.append.first);
        solo_message(&solo, full);
        assert_null(solo_sent(&solo, LASH_MSG_APPEND, 2));
    }
    solo_message(&solo, solo_accept(2, 2, 2, 0));
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 2)->message.append.last, 6);
    solo_stop(&solo);
}

/* A majority is full: what is acknowledged stays, nothing more is committed, and with room all goes on. */
static void a_full_majority_stops_writes_until_there_is_room(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(3, &options, 1);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster_propose(cluster, 1, 3);
    cluster_settle(cluster);
    cluster_room(cluster, 2, true);
    cluster_room(cluster, 3, true);
    assert_int_equal(cluster_propose(cluster, 1, 2), LASH_OK);
    cluster_run(cluster, 200);
    assert_int_equal(cluster_propose(cluster, 1, 1), LASH_BUSY);
    cluster_run(cluster, 5000);
    assert_int_equal(cluster_leader(cluster), 1);
    assert_int_equal(cluster_node(cluster, 1)->commit, 4);
    uint64_t reads = cluster->reads_ok;
    for (lash_id id = 1; id <= 3; id++)
        cluster_read(cluster, id);
    cluster_settle(cluster);
    assert_int_equal(cluster->reads_ok, reads + 3);
    cluster_room(cluster, 3, false);
    cluster_run(cluster, 300);
    assert_int_equal(cluster_node(cluster, 1)->commit, 6);
    assert_int_equal(cluster_node(cluster, 2)->log.count, 4);
    cluster_room(cluster, 2, false);
    cluster_run(cluster, 300);
    assert_int_equal(cluster_node(cluster, 2)->commit, 6);
    assert_int_equal(cluster_node(cluster, 1)->term, 1);
    cluster_free(cluster);
}

/* What the driver could not send it may offer again at once; an answer that is awaited is awaited. */
static void entries_are_offered_again_when_the_driver_is_ready(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(3, &options, 1);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster_propose(cluster, 1, 1);
    uint32_t packets = cluster->packet_count;
    cluster_ready(cluster, 1, 2);
    cluster_ready(cluster, 2, 1);
    cluster_ready(cluster, 1, 9);
    assert_int_equal(cluster->packet_count, packets);
    cluster_free(cluster);

    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_lead(&solo);
    struct lash_event propose = {.type = LASH_EVENT_PROPOSE, .now_ms = solo.now_ms};
    propose.propose.count = 1;
    struct lash_outputs outputs;
    assert_int_equal(lash_raft_step(solo.raft, &propose, &outputs), LASH_OK);
    struct lash_event sent = {.type = LASH_EVENT_SENT, .now_ms = solo.now_ms};
    sent.sent.to = 2;
    sent.sent.last = 2;
    assert_int_equal(lash_raft_step(solo.raft, &sent, &outputs), LASH_OK);
    solo_propose(&solo, 1);
    assert_null(solo_sent(&solo, LASH_MSG_APPEND, 2));
    struct lash_event ready = {.type = LASH_EVENT_READY};
    ready.peer.id = 2;
    solo_step(&solo, &ready);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 2)->message.append.last, 4);
    solo_stop(&solo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_follower_takes_no_entries_and_answers_for_what_it_holds),
        cmocka_unit_test(a_full_follower_takes_a_new_leaders_no_op_and_nothing_behind_it),
        cmocka_unit_test(a_full_follower_drops_nothing),
        cmocka_unit_test(a_full_node_votes_and_does_not_stand),
        cmocka_unit_test(a_full_leader_takes_no_proposals_and_hands_over_to_one_with_room),
        cmocka_unit_test(a_full_member_gets_entries_again_when_it_says_so),
        cmocka_unit_test(a_full_majority_stops_writes_until_there_is_room),
        cmocka_unit_test(entries_are_offered_again_when_the_driver_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
