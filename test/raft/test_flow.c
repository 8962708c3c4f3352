/* SPDX-License-Identifier: Apache-2.0
 *
 * Heartbeats that overtake entries: they say what was acknowledged, reads ride on them, and what follows entries in
 * their order finds out what got lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "solo.h"

static struct solo solo;

static void begin(struct solo_start start) {
    solo_start(&solo, &start);
}

static int end(void **state) {
    (void)state;
    solo_stop(&solo);
    return 0;
}

/* The message without entries of the last step to n2 that is ordered, or that is not; NULL: none. */
static const struct lash_message *beat(bool ordered) {
    for (uint32_t i = 0; i < solo.send_count; i++) {
        const struct lash_send *send = &solo.sends[i];
        if (send->message.type == LASH_MSG_APPEND && send->message.to == 2 && send->ordered == ordered &&
            send->message.append.last < send->message.append.first)
            return &send->message;
    }
    return NULL;
}

/* The message with entries of the last step to n2; NULL: none. */
static const struct lash_message *entries(void) {
    for (uint32_t i = 0; i < solo.send_count; i++) {
        const struct lash_send *send = &solo.sends[i];
        if (send->message.type == LASH_MSG_APPEND && send->message.to == 2 &&
            send->message.append.first <= send->message.append.last) {
            assert_true(send->ordered);
            return &send->message;
        }
    }
    return NULL;
}

static void a_heartbeat_names_what_was_acknowledged_and_a_mark_what_was_sent(void **state) {
    (void)state;
    begin((struct solo_start){0});
    solo_lead(&solo);
    solo_timeout(&solo);
    assert_int_equal(beat(false)->append.prev_index, 1);
    assert_null(beat(true)); /* nothing is under way */
    solo_propose(&solo, 2);
    assert_int_equal(entries()->append.last, 3);
    solo_timeout(&solo);
    assert_int_equal(beat(false)->append.prev_index, 1);
    assert_int_equal(beat(false)->append.commit, 1);
    assert_int_equal(beat(true)->append.prev_index, 3);
}

/* Had the heartbeat named what was sent, the member would refuse it, and get all of it once more with every heartbeat. */
static void nothing_is_sent_twice_for_being_overtaken(void **state) {
    (void)state;
    begin((struct solo_start){0});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    for (int i = 0; i < 5; i++) {
        solo_timeout(&solo);
        assert_null(entries());
        solo_message(&solo, solo_accept(2, 1, beat(false)->append.prev_index, 0));
        assert_null(entries());
        assert_int_equal(solo_status(&solo).progress[1].state, LASH_REPLICATE);
        assert_int_equal(solo_status(&solo).progress[1].inflight_messages, 1);
        assert_int_equal(solo_status(&solo).progress[1].active, 1);
        assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    }
}

/* n3 was never heard of: its probe is with entries, and a heartbeat is answered before they are. */
static void an_answer_to_a_heartbeat_leaves_the_probe_under_way(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .log = SOLO_LOG(1, 1, 1)});
    solo_lead(&solo);
    assert_int_equal(solo_status(&solo).progress[2].state, LASH_PROBE);
    assert_int_equal(solo_status(&solo).progress[2].inflight_messages, 1);
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).progress[2].state, LASH_REPLICATE);
    assert_int_equal(solo_status(&solo).progress[2].next, 5);
    for (uint32_t i = 0; i < solo.send_count; i++)
        assert_true(solo.sends[i].message.to != 3 ||
                    solo.sends[i].message.append.last < solo.sends[i].message.append.first);
    /* Should it have been lost, what comes behind it is refused. */
    solo_message(&solo, solo_refuse(3, 2, 4, 3, 1));
    assert_int_equal(solo_status(&solo).progress[2].state, LASH_PROBE);
    const struct lash_send *again = solo_sent(&solo, LASH_MSG_APPEND, 3);
    assert_int_equal(again->message.append.first, 4);
    assert_int_equal(again->message.append.last, 4);
}

static void a_mark_that_is_refused_brings_the_entries_again(void **state) {
    (void)state;
    begin((struct solo_start){0});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    solo_timeout(&solo);
    lash_index prev_index = beat(true)->append.prev_index;
    solo_message(&solo, solo_refuse(2, 1, prev_index, 1, 1));
    assert_int_equal(entries()->append.first, 2);
    assert_int_equal(entries()->append.last, 3);
}

static void a_round_of_reads_does_not_ride_on_entries(void **state) {
    (void)state;
    begin((struct solo_start){0});
    solo_lead(&solo);
    solo_propose(&solo, 1);
    solo_read(&solo, 7);
    assert_non_null(beat(false));
    assert_int_equal(beat(false)->append.round, 1);
    assert_int_equal(beat(false)->append.prev_index, 1);
    /* The answer to the heartbeat suffices, with the entries still under way. */
    solo_message(&solo, solo_accept(2, 1, 1, 1));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 1);
}

/* Reads that begin a round in the very step that has entries to send. */
static void a_round_goes_out_beside_the_entries_of_its_step(void **state) {
    (void)state;
    begin((struct solo_start){.inflight_messages_max = 1});
    solo_lead(&solo);
    solo_propose(&solo, 1);
    solo_propose(&solo, 1); /* waits for the answer to the one before */
    solo_read(&solo, 7);
    solo_read(&solo, 8); /* waits for the round before */
    assert_null(entries());
    solo_message(&solo, solo_accept(2, 1, 2, 1));
    assert_non_null(entries());
    assert_int_equal(beat(false)->append.round, 2);
}

static void what_is_committed_of_what_is_under_way_is_told_behind_it(void **state) {
    (void)state;
    begin((struct solo_start){0});
    solo_lead(&solo);
    solo_message(&solo, solo_accept(3, 1, 1, 0));
    solo_propose(&solo, 2);
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 1, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_null(beat(false));
    assert_int_equal(beat(true)->append.prev_index, 3);
    assert_int_equal(beat(true)->append.commit, 3);
    /* Told once. */
    solo_tick(&solo);
    assert_null(beat(true));
    /* To who holds it, by a heartbeat. */
    solo_propose(&solo, 1);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 1, 4, 0));
    assert_int_equal(solo_status(&solo).commit, 4);
    assert_null(beat(true));
    assert_int_equal(beat(false)->append.prev_index, 4);
    assert_int_equal(beat(false)->append.commit, 4);
}

/* What was acknowledged may be compacted while more is under way; what precedes it is not asked about then. */
static void a_heartbeat_is_not_refused_for_what_was_compacted(void **state) {
    (void)state;
    begin((struct solo_start){0});
    solo_lead(&solo);
    solo_message(&solo, solo_accept(3, 1, 1, 0));
    solo_propose(&solo, 2);
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 1, 3, 0));
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = 3;
    solo_step(&solo, &event);
    assert_int_equal(lash_raft_compact(solo.raft, 2), LASH_OK);
    solo_timeout(&solo);
    assert_int_equal(beat(false)->append.prev_index, 0);
    assert_int_equal(beat(false)->append.prev_term, 0);
    assert_int_equal(beat(true)->append.prev_index, 3);
    solo_message(&solo, solo_accept(2, 1, 0, 0));
    assert_int_equal(solo_status(&solo).progress[1].state, LASH_REPLICATE);
    assert_int_equal(solo_status(&solo).progress[1].match, 1);
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    solo_timeout(&solo);
    assert_int_equal(beat(true)->append.prev_index, 3);
}

/* The other end: a heartbeat with a commit index that is ahead of what it names. */
static void a_follower_commits_no_further_than_the_heartbeat_names(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1, 1, 1)});
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 3, NULL));
    assert_int_equal(solo_status(&solo).commit, 1);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 2)->message.append_reply.match, 1);
    solo_message(&solo, solo_append(&solo, 2, 3, 0, 0, 3, NULL));
    assert_int_equal(solo_status(&solo).commit, 1);
    assert_true(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 2)->message.append_reply.success);
}

#define CASE(name) cmocka_unit_test_teardown(name, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_heartbeat_names_what_was_acknowledged_and_a_mark_what_was_sent),
        CASE(nothing_is_sent_twice_for_being_overtaken),
        CASE(an_answer_to_a_heartbeat_leaves_the_probe_under_way),
        CASE(a_mark_that_is_refused_brings_the_entries_again),
        CASE(a_round_of_reads_does_not_ride_on_entries),
        CASE(a_round_goes_out_beside_the_entries_of_its_step),
        CASE(what_is_committed_of_what_is_under_way_is_told_behind_it),
        CASE(a_heartbeat_is_not_refused_for_what_was_compacted),
        CASE(a_follower_commits_no_further_than_the_heartbeat_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
