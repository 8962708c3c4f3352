/* SPDX-License-Identifier: Apache-2.0
 *
 * Bugs that implementations of Raft had, as far as a core can have them; a case each. Those that are a rule of the
 * paper broken outright are in test_figure2.c, among them: an old term's entry committed by counting, a log's index
 * compared before its term, votes of an older term counted, votes counted twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
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

static const struct lash_message *append_reply(void) {
    const struct lash_send *reply = solo_sent(&solo, LASH_MSG_APPEND_REPLY, 0);
    assert_non_null(reply);
    return &reply->message;
}

static int written(uint64_t write, lash_index index, lash_term term) {
    struct lash_event event = {.type = LASH_EVENT_WRITTEN};
    event.written.write = write;
    event.written.index = index;
    event.written.term = term;
    return solo_step(&solo, &event);
}

/* ---- Commit and replication -------------------------------------------------------------------- */

static void a_heartbeats_commit_index_does_not_commit_a_stale_suffix(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1, 2, 2, 2)});
    /* The leader's entries from 2 on are others; it says so far only that 1 is common. */
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 4, NULL));
    assert_true(append_reply()->append_reply.success);
    assert_int_equal(append_reply()->append_reply.match, 1);
    assert_int_equal(solo_status(&solo).commit, 1);
    solo_message(&solo, solo_append(&solo, 2, 3, 4, 3, 4, NULL));
    assert_false(append_reply()->append_reply.success);
    assert_int_equal(solo_status(&solo).commit, 1);
}

static void commit_is_capped_at_the_last_entry_sent(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1, 2, 2, 2)});
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 9, SOLO_LOG(2)));
    assert_int_equal(solo_status(&solo).commit, 2);
}

static void a_delayed_duplicate_does_not_truncate_what_came_later(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, SOLO_LOG(2)));
    solo_message(&solo, solo_append(&solo, 2, 3, 2, 2, 0, SOLO_LOG(3, 3, 3)));
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, SOLO_LOG(2)));
    assert_string_equal(solo_log(&solo), "1 2 3 3 3");
    assert_int_equal(solo.out.write, 0);
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, NULL));
    assert_string_equal(solo_log(&solo), "1 2 3 3 3");
}

static void a_follower_acknowledges_what_it_matched_not_its_last_index(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1, 2, 2, 2)});
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, SOLO_LOG(2)));
    assert_int_equal(append_reply()->append_reply.match, 2);
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, NULL));
    assert_int_equal(append_reply()->append_reply.match, 1);
}

static void a_duplicate_is_not_acknowledged_before_the_first_is_durable(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, SOLO_LOG(3, 3)));
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, SOLO_LOG(3, 3)));
    assert_int_equal(append_reply()->append_reply.match, 1);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 2)->after_write, 0);
    solo_written(&solo);
    solo_message(&solo, solo_append(&solo, 2, 3, 1, 1, 0, SOLO_LOG(3, 3)));
    assert_int_equal(append_reply()->append_reply.match, 3);
}

static void a_completion_for_entries_since_overwritten_counts_for_nothing(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 2, 2, 1, 1, 0, SOLO_LOG(2, 2, 2)));
    solo_message(&solo, solo_append(&solo, 3, 3, 1, 1, 0, SOLO_LOG(3, 3, 3)));
    assert_int_equal(solo_status(&solo).durable_index, 1);
    written(1, 4, 2);
    assert_int_equal(solo_status(&solo).durable_index, 1);
    written(2, 4, 3);
    assert_int_equal(solo_status(&solo).durable_index, 4);
}

/* Entry 2 of term 2 is written, cut off, and comes back from a later leader. The first write's completion comes when the
 * cut and the second write are still under way: a crash between the two would lose what was acknowledged. */
static void a_completion_does_not_vouch_for_an_entry_that_was_cut_off_and_came_back(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 2, 2, 1, 1, 0, SOLO_LOG(2)));
    solo_message(&solo, solo_append(&solo, 3, 3, 1, 1, 0, SOLO_LOG(3)));
    solo_message(&solo, solo_append(&solo, 2, 4, 1, 1, 0, SOLO_LOG(2, 4)));
    assert_string_equal(solo_log(&solo), "1 2 4");
    written(1, 2, 2);
    assert_int_equal(solo_status(&solo).durable_index, 1);
    written(3, 3, 4);
    assert_int_equal(solo_status(&solo).durable_index, 3);
}

/* The same, with a third cut behind the entry that came back: the lowest of the cuts is the one that matters. */
static void a_later_cut_does_not_hide_an_earlier_one(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 2, 2, 1, 1, 0, SOLO_LOG(2)));
    solo_message(&solo, solo_append(&solo, 3, 3, 1, 1, 0, SOLO_LOG(3)));
    solo_message(&solo, solo_append(&solo, 2, 4, 1, 1, 0, SOLO_LOG(2, 4)));
    solo_message(&solo, solo_append(&solo, 3, 5, 2, 2, 0, SOLO_LOG(5)));
    assert_string_equal(solo_log(&solo), "1 2 5");
    written(1, 2, 2);
    assert_int_equal(solo_status(&solo).durable_index, 1);
    written(4, 3, 5);
    assert_int_equal(solo_status(&solo).durable_index, 3);
}

static void a_new_leadership_knows_nothing_of_what_the_last_one_knew(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 1, 3, 0));
    solo_message(&solo, solo_append(&solo, 2, 2, 1, 1, 1, NULL));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 3, true));
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(solo_status(&solo).progress[i].match, 0);
        assert_int_equal(solo_status(&solo).progress[i].state, LASH_PROBE);
        assert_int_equal(solo_status(&solo).progress[i].next, 4);
    }
}

static void a_leaders_completion_after_it_lost_its_office_commits_nothing(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    uint64_t write = solo.writes;
    solo_message(&solo, solo_accept(2, 1, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 1);
    solo_message(&solo, solo_append(&solo, 3, 2, 1, 1, 1, NULL));
    written(write, 3, 1);
    assert_int_equal(solo_status(&solo).durable_index, 3);
    assert_int_equal(solo_status(&solo).commit, 1);
}

static void the_term_of_a_compacted_index_is_not_read_as_zero(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(2, 2, 2, 3), .floor = 3});
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    solo_message(&solo, solo_vote(2, 6, 3, 2));
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
    solo_message(&solo, solo_append(&solo, 2, 6, 3, 2, 3, SOLO_LOG(3, 6)));
    assert_true(append_reply()->append_reply.success);
    assert_string_equal(solo_log(&solo), "3 6");
    /* What comes from before the beginning matches as far as it is gone. */
    solo_message(&solo, solo_append(&solo, 2, 6, 1, 2, 3, SOLO_LOG(2, 2, 3, 6, 6)));
    assert_true(append_reply()->append_reply.success);
    assert_int_equal(append_reply()->append_reply.match, 6);
    assert_string_equal(solo_log(&solo), "3 6 6");
}

/* Found by random events: only who has lost its log can say so, and must not stop others by it (§5.4.3). */
static void entries_that_contradict_what_was_compacted_are_ignored(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(2, 2, 2, 3), .floor = 3});
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    solo_message(&solo, solo_append(&solo, 2, 6, 1, 1, 3, SOLO_LOG(1, 1, 1, 1)));
    assert_int_equal(solo.send_count, 0);
    assert_string_equal(solo_log(&solo), "3");
    assert_int_equal(solo_status(&solo).term, 5);
}

static void next_index_never_goes_to_zero_nor_below_match(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .log = SOLO_LOG(1, 1)});
    solo_lead(&solo);
    solo_message(&solo, solo_refuse(3, 2, 2, 0, 0));
    assert_int_equal(solo_status(&solo).progress[2].next, 1);
    solo_message(&solo, solo_refuse(3, 2, 0, 0, 0));
    assert_int_equal(solo_status(&solo).progress[2].next, 1);
    solo_propose(&solo, 1);
    solo_message(&solo, solo_refuse(2, 2, 4, 0, 0));
    assert_int_equal(solo_status(&solo).progress[1].match, 3);
    assert_int_equal(solo_status(&solo).progress[1].next, 4);
    solo_message(&solo, solo_refuse(2, 2, 2, 0, 0));
    assert_int_equal(solo_status(&solo).progress[1].next, 4);
}

static void a_hint_that_leads_nowhere_still_leads_back(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .log = SOLO_LOG(1, 1, 1)});
    solo_lead(&solo);
    solo_message(&solo, solo_refuse(3, 2, 3, 99, 99));
    assert_int_equal(solo_status(&solo).progress[2].next, 3);
}

static void bytes_in_flight_are_forgotten_with_the_connection(void **state) {
    (void)state;
    begin((struct solo_start){.inflight_bytes_max = 20});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    solo_propose(&solo, 2);
    assert_null(solo_sent(&solo, LASH_MSG_APPEND, 2));
    struct lash_event event = {.type = LASH_EVENT_UNREACHABLE};
    event.peer.id = 2;
    solo_step(&solo, &event);
    assert_int_equal(solo_status(&solo).progress[1].inflight_bytes, 0);
    assert_int_equal(solo_status(&solo).progress[1].state, LASH_PROBE);
    assert_null(solo_sent(&solo, LASH_MSG_APPEND, 2));
    /* The next heartbeat asks; the answer lets entries flow again. */
    solo_timeout(&solo);
    const struct lash_send *heartbeat = solo_sent(&solo, LASH_MSG_APPEND, 2);
    assert_int_equal(heartbeat->message.append.prev_index, 1);
    assert_true(heartbeat->message.append.last < heartbeat->message.append.first);
    solo_message(&solo, solo_accept(2, 1, 1, 0));
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 2)->message.append.last, 5);
}

static void a_lost_message_is_found_out_by_the_next_heartbeat(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    solo_timeout(&solo);
    const struct lash_send *heartbeat = solo_sent(&solo, LASH_MSG_APPEND, 2);
    assert_int_equal(heartbeat->message.append.prev_index, 3);
    solo_message(&solo, solo_refuse(2, 1, 3, 1, 1));
    const struct lash_send *again = solo_sent(&solo, LASH_MSG_APPEND, 2);
    assert_int_equal(again->message.append.first, 2);
    assert_int_equal(again->message.append.last, 3);
}

static void a_single_voter_commits_only_what_is_on_its_disk(void **state) {
    (void)state;
    begin((struct solo_start){.members = 1});
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_written(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_int_equal(solo_status(&solo).commit, 0);
    solo_propose(&solo, 3);
    assert_int_equal(solo_status(&solo).commit, 0);
    written(2, 1, 1);
    assert_int_equal(solo_status(&solo).commit, 1);
    solo_written(&solo);
    assert_int_equal(solo_status(&solo).commit, 4);
}

static void an_answer_for_what_was_never_sent_is_ignored(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_message(&solo, solo_accept(2, 1, 99, 0));
    assert_int_equal(solo_status(&solo).progress[1].match, 1);
    solo_message(&solo, solo_accept(3, 0, 1, 0));
    assert_int_equal(solo_status(&solo).progress[2].match, 0);
}

/* Found by the random schedules: the leader compacted what a follower held but had yet to acknowledge, and took it to be
 * in need of a snapshot for ever. */
static void a_follower_that_turns_out_to_hold_what_was_compacted_is_taken_back(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .log = SOLO_LOG(1, 1, 1)});
    solo_lead(&solo);
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = 4;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    solo_message(&solo, solo_refuse(3, 2, 3, 1, 1));
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).progress[2].state, LASH_SNAPSHOT);
    const struct lash_send *heartbeat = solo_sent(&solo, LASH_MSG_APPEND, 3);
    assert_int_equal(heartbeat->message.append.prev_index, 3);
    assert_int_equal(heartbeat->message.append.prev_term, 1);
    solo_message(&solo, solo_refuse(3, 2, 3, 1, 1));
    assert_int_equal(solo_status(&solo).progress[2].state, LASH_SNAPSHOT);
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).progress[2].state, LASH_REPLICATE);
    assert_int_equal(solo_status(&solo).progress[2].next, 5);
}

/* ---- Elections --------------------------------------------------------------------------------- */

static void half_of_an_even_sized_group_elects_nobody(void **state) {
    (void)state;
    begin((struct solo_start){.members = 4, .no_pre_vote = true});
    solo_timeout(&solo);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_message(&solo, solo_vote_reply(3, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
}

static void a_transfer_does_not_bypass_the_one_vote(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1});
    solo_message(&solo, solo_append(&solo, 2, 1, 0, 0, 0, NULL));
    struct lash_message vote = solo_vote(3, 2, 0, 0);
    vote.vote.transfer = true;
    solo_message(&solo, vote);
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 3)->message.vote_reply.granted);
    vote.from = 2;
    solo_message(&solo, vote);
    assert_false(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
}

static void the_own_vote_counts_once_it_is_durable(void **state) {
    (void)state;
    begin((struct solo_start){.no_pre_vote = true});
    solo_timeout(&solo);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_written(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
}

/* The node with the longest log has an old term: it can only win after it learns the others' term, and they can not win
 * without it. The refusal tells it. */
static void a_pre_vote_of_an_old_term_is_answered_with_the_new_one(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_pre_vote(2, 3, 9, 2));
    const struct lash_send *reply = solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2);
    assert_non_null(reply);
    assert_false(reply->message.vote_reply.granted);
    assert_int_equal(reply->message.term, 5);
    solo_stop(&solo);

    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1, 2)});
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 5, false));
    assert_int_equal(solo_status(&solo).term, 5);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
}

static void a_group_whose_longest_log_has_the_oldest_term_elects_a_leader(void **state) {
    (void)state;
    struct lash_raft_options options = {0};
    struct cluster *cluster = cluster_new(3, &options, 6);
    const lash_term longer[] = {1, 2}, shorter[] = {1};
    cluster_disk_set(cluster, 1, longer, 2, 2, 0);
    cluster_disk_set(cluster, 2, shorter, 1, 7, 0);
    cluster_disk_set(cluster, 3, shorter, 1, 9, 3);
    cluster_start(cluster, 1, 0);
    cluster_start(cluster, 2, 0);
    cluster_run(cluster, 8000);
    assert_int_equal(cluster_leader(cluster), 1);
    cluster_free(cluster);
}

static void granting_a_pre_vote_changes_nothing(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_tick(&solo);
    uint64_t before = lash_raft_hash(solo.raft);
    solo_message(&solo, solo_pre_vote(2, 9, 1, 1));
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.vote_reply.granted);
    assert_int_equal(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.term, 9);
    assert_true(lash_raft_hash(solo.raft) == before);
    /* And the asker does not take the term that it asked about for one that there is. */
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 9, true));
    assert_int_equal(solo_status(&solo).term, 2);
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
}

static void pre_votes_do_not_elect_and_votes_are_no_pre_votes(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2});
    solo_timeout(&solo);
    solo_message(&solo, solo_vote_reply(2, 2, true));
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    solo_message(&solo, solo_pre_vote_reply(2, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_written(&solo);
    solo_message(&solo, solo_pre_vote_reply(3, 3, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
}

static bool pre_vote_is_granted(lash_id from, lash_index last_index) {
    solo_message(&solo, solo_pre_vote(from, 3, last_index, 2));
    return solo_sent(&solo, LASH_MSG_VOTE_REPLY, from)->message.vote_reply.granted;
}

static void of_two_that_ask_at_the_same_moment_one_gives_way(void **state) {
    (void)state;
    begin((struct solo_start){.id = 2, .term = 2, .log = SOLO_LOG(1, 2)});
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    assert_false(pre_vote_is_granted(1, 2)); /* equals: the higher id, this one's, goes on */
    assert_true(pre_vote_is_granted(3, 2));
    assert_true(pre_vote_is_granted(1, 3)); /* a longer log comes first */
    solo.now_ms += 100;
    assert_true(pre_vote_is_granted(1, 2)); /* who asks in vain holds up nobody */
}

static void refusing_a_vote_does_not_put_off_the_own_election(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .log = SOLO_LOG(2)});
    solo_tick(&solo);
    uint64_t deadline = solo.out.deadline_ms;
    solo.now_ms += 500;
    solo_message(&solo, solo_vote(2, 3, 0, 0));
    assert_int_equal(solo_status(&solo).term, 3);
    assert_int_equal(solo.out.deadline_ms, deadline);
}

static void a_rejoining_node_does_not_depose_a_healthy_leader(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2});
    solo_message(&solo, solo_append(&solo, 2, 2, 0, 0, 0, NULL));
    solo.now_ms += 999;
    solo_message(&solo, solo_vote(3, 9, 9, 8));
    assert_int_equal(solo.send_count, 0);
    assert_int_equal(solo_status(&solo).term, 2);
    solo_message(&solo, solo_pre_vote(3, 9, 9, 8));
    assert_int_equal(solo.send_count, 0);
    solo.now_ms += 1;
    solo_message(&solo, solo_pre_vote(3, 9, 9, 8));
    assert_true(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 3)->message.vote_reply.granted);
    solo_stop(&solo);

    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_message(&solo, solo_vote(3, 9, 9, 8));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_int_equal(solo.send_count, 0);
}

static void a_node_ahead_of_its_groups_term_is_not_stuck(void **state) {
    (void)state;
    begin((struct solo_start){.term = 9, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 2, 4, 1, 1, 1, NULL));
    assert_int_equal(append_reply()->term, 9);
    solo_stop(&solo);

    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_message(&solo, solo_refuse(3, 9, 1, 0, 0));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).term, 9);
}

static void milliseconds_do_not_overflow_after_24_days(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2, .no_pre_vote = true});
    solo.now_ms = ((uint64_t)1 << 32) - 10;
    solo_message(&solo, solo_append(&solo, 2, 2, 0, 0, 0, NULL));
    assert_in_range(solo.out.deadline_ms, solo.now_ms + 1000, solo.now_ms + 1999);
    solo.now_ms += 500;
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
}

static void whoever_votes_for_another_stops_asking_for_itself(void **state) {
    (void)state;
    begin((struct solo_start){.term = 2});
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    solo_message(&solo, solo_vote(2, 2, 0, 0));
    assert_int_equal(solo_status(&solo).vote, 2);
    solo_message(&solo, solo_pre_vote_reply(3, 3, true));
    assert_int_equal(solo_status(&solo).term, 2);
}

/* ---- Reads ------------------------------------------------------------------------------------- */

static void no_read_is_served_before_the_terms_first_commit(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .log = SOLO_LOG(1, 1), .floor = 2, .no_pre_vote = true});
    solo_timeout(&solo);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 2, true));
    solo_read(&solo, 5);
    solo_message(&solo, solo_accept(2, 2, 2, 0));
    solo_message(&solo, solo_accept(3, 2, 2, 0));
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_int_equal(solo.out.reads_done_count, 0);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 2)->message.append.round, 1);
    solo_message(&solo, solo_accept(2, 2, 3, 1));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 3);
}

static void a_delayed_answer_of_an_older_round_confirms_nothing(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_read(&solo, 5);
    solo_message(&solo, solo_accept(3, 1, 0, 1));
    assert_int_equal(solo.out.reads_done_count, 1);
    solo_read(&solo, 6);
    solo_message(&solo, solo_accept(2, 1, 1, 1));
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_message(&solo, solo_accept(3, 1, 0, 1));
    assert_int_equal(solo.out.reads_done_count, 0);
    /* Rounds that were never begun are not believed in. */
    solo_message(&solo, solo_accept(3, 1, 0, 7));
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_message(&solo, solo_refuse(3, 1, 1, 0, 0));
    assert_int_equal(solo.out.reads_done_count, 0);
    struct lash_message refusal = solo_refuse(3, 1, 1, 0, 0);
    refusal.append_reply.round = 2;
    solo_message(&solo, refusal);
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].context, 6);
}

/* n1 leads term 1 and, later, term 3. A heartbeat of term 1 arrives at n2 once that is in term 3; were its round echoed, the
 * answer would be taken for one to the round of that number in term 3, whenever that begins. */
static void a_round_of_an_earlier_leadership_is_not_echoed(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .vote = 2, .log = SOLO_LOG(1, 1)});
    struct lash_message late = solo_append(&solo, 2, 1, 2, 1, 2, NULL);
    late.append.round = 1;
    solo_message(&solo, late);
    assert_false(append_reply()->append_reply.success);
    assert_int_equal(append_reply()->term, 3);
    assert_int_equal(append_reply()->append_reply.round, 0);
    late.term = 3;
    solo_message(&solo, late);
    assert_int_equal(append_reply()->append_reply.round, 1);
}

static void a_read_that_comes_during_a_round_waits_for_the_next(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_read(&solo, 5);
    solo_read(&solo, 6);
    solo_read(&solo, 7);
    solo_message(&solo, solo_accept(2, 1, 1, 1));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].context, 5);
    solo_message(&solo, solo_accept(2, 1, 1, 2));
    assert_int_equal(solo.out.reads_done_count, 2);
    assert_int_equal(solo.out.reads_done[1].context, 7);
}

static void a_late_answer_does_not_release_a_later_batch(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3});
    solo_message(&solo, solo_append(&solo, 2, 3, 0, 0, 0, NULL));
    solo_read(&solo, 5);
    uint64_t first = solo_sent(&solo, LASH_MSG_READ, 2)->message.read.context;
    solo_read(&solo, 6);
    assert_null(solo_sent(&solo, LASH_MSG_READ, 2));
    solo_message(&solo, solo_read_reply(2, 3, first, 1));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].context, 5);
    uint64_t second = solo_sent(&solo, LASH_MSG_READ, 2)->message.read.context;
    assert_true(second > first);
    solo_message(&solo, solo_read_reply(2, 3, first, 1));
    solo_message(&solo, solo_read_reply(3, 3, second, 1));
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_message(&solo, solo_read_reply(2, 3, second, 4));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 4);
}

static void contexts_of_an_earlier_life_do_not_come_back(void **state) {
    (void)state;
    uint64_t contexts[2];
    for (uint32_t life = 0; life < 2; life++) {
        begin((struct solo_start){.term = 3, .log = life == 0 ? NULL : SOLO_LOG(3)});
        solo_message(&solo, solo_append(&solo, 2, 3, 0, 0, 0, NULL));
        solo_read(&solo, 5);
        contexts[life] = solo_sent(&solo, LASH_MSG_READ, 2)->message.read.context;
        if (life == 0)
            solo_stop(&solo);
    }
    uint64_t apart = contexts[0] > contexts[1] ? contexts[0] - contexts[1] : contexts[1] - contexts[0];
    assert_true(apart > 1u << 20);
}

static void no_read_is_left_without_an_answer(void **state) {
    (void)state;
    /* No leader. */
    begin((struct solo_start){.term = 3});
    solo_read(&solo, 4);
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 0);
    /* A leader that does not answer. */
    solo_message(&solo, solo_append(&solo, 2, 3, 0, 0, 0, NULL));
    solo_read(&solo, 5);
    solo_read(&solo, 6);
    uint64_t deadline = solo.now_ms + 1000;
    assert_int_equal(solo.out.deadline_ms, deadline);
    solo.now_ms = deadline - 1;
    solo_message(&solo, solo_append(&solo, 2, 3, 0, 0, 0, NULL));
    assert_int_equal(solo.out.reads_done_count, 0);
    solo.now_ms = deadline;
    solo_tick(&solo);
    assert_int_equal(solo.out.reads_done_count, 2);
    /* A leader whose connection breaks. */
    solo_read(&solo, 7);
    struct lash_event event = {.type = LASH_EVENT_UNREACHABLE};
    event.peer.id = 2;
    solo_step(&solo, &event);
    assert_int_equal(solo.out.reads_done_count, 1);
    /* Another leader. */
    solo_read(&solo, 8);
    solo_message(&solo, solo_append(&solo, 3, 4, 0, 0, 0, NULL));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].context, 8);
    assert_int_equal(solo.out.reads_done[0].index, 0);
    /* A leader that refuses. */
    solo_read(&solo, 9);
    uint64_t context = solo_sent(&solo, LASH_MSG_READ, 3)->message.read.context;
    solo_message(&solo, solo_read_reply(3, 4, context, 0));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 0);
}

static void a_leader_paused_and_resumed_serves_no_stale_read(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo.now_ms += 60000;
    solo_read(&solo, 5);
    assert_int_equal(solo.out.reads_done_count, 0);
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].index, 0);
}

static void a_leader_without_office_answers_forwarded_reads_with_a_refusal(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3});
    solo_message(&solo, solo_read_request(2, 3, 77));
    assert_int_equal(solo_sent(&solo, LASH_MSG_READ_REPLY, 2)->message.read_reply.index, 0);
    assert_int_equal(solo_sent(&solo, LASH_MSG_READ_REPLY, 2)->message.read_reply.context, 77);
}

static void reads_refused_leave_room_for_others(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0, .reads_max = 2});
    solo_lead(&solo);
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(solo_read(&solo, 100 + i), LASH_OK);
        solo_message(&solo, solo_read_request(2, 1, 200 + i));
        assert_int_equal(solo_read(&solo, 300 + i), LASH_BUSY);
        solo_message(&solo, solo_read_request(3, 1, 400 + i));
        assert_int_equal(solo_sent(&solo, LASH_MSG_READ_REPLY, 3)->message.read_reply.index, 0);
        solo_message(&solo, solo_accept(2, 1, 1, 2 * i + 1));
        assert_int_equal(solo.out.reads_done_count, 1);
        solo_message(&solo, solo_accept(2, 1, 1, 2 * i + 2));
        assert_int_equal(solo_sent(&solo, LASH_MSG_READ_REPLY, 2)->message.read_reply.index, 1);
    }
}

static void a_question_asked_twice_is_answered_once_and_a_newer_one_replaces_it(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_message(&solo, solo_read_request(2, 1, 10));
    solo_message(&solo, solo_read_request(2, 1, 10));
    solo_message(&solo, solo_read_request(3, 1, 20));
    solo_message(&solo, solo_read_request(3, 1, 21));
    solo_message(&solo, solo_accept(2, 1, 1, 1));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), 1);
    assert_int_equal(solo_sent(&solo, LASH_MSG_READ_REPLY, 2)->message.read_reply.context, 10);
    solo_message(&solo, solo_accept(2, 1, 1, 2));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), 1);
    assert_int_equal(solo_sent(&solo, LASH_MSG_READ_REPLY, 3)->message.read_reply.context, 21);
}

#define CASE(name) cmocka_unit_test_teardown(name, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_heartbeats_commit_index_does_not_commit_a_stale_suffix),
        CASE(commit_is_capped_at_the_last_entry_sent),
        CASE(a_delayed_duplicate_does_not_truncate_what_came_later),
        CASE(a_follower_acknowledges_what_it_matched_not_its_last_index),
        CASE(a_duplicate_is_not_acknowledged_before_the_first_is_durable),
        CASE(a_completion_for_entries_since_overwritten_counts_for_nothing),
        CASE(a_completion_does_not_vouch_for_an_entry_that_was_cut_off_and_came_back),
        CASE(a_later_cut_does_not_hide_an_earlier_one),
        CASE(a_new_leadership_knows_nothing_of_what_the_last_one_knew),
        CASE(a_leaders_completion_after_it_lost_its_office_commits_nothing),
        CASE(the_term_of_a_compacted_index_is_not_read_as_zero),
        CASE(entries_that_contradict_what_was_compacted_are_ignored),
        CASE(next_index_never_goes_to_zero_nor_below_match),
        CASE(a_hint_that_leads_nowhere_still_leads_back),
        CASE(bytes_in_flight_are_forgotten_with_the_connection),
        CASE(a_lost_message_is_found_out_by_the_next_heartbeat),
        CASE(a_single_voter_commits_only_what_is_on_its_disk),
        CASE(an_answer_for_what_was_never_sent_is_ignored),
        CASE(a_follower_that_turns_out_to_hold_what_was_compacted_is_taken_back),
        CASE(half_of_an_even_sized_group_elects_nobody),
        CASE(a_transfer_does_not_bypass_the_one_vote),
        CASE(the_own_vote_counts_once_it_is_durable),
        CASE(a_pre_vote_of_an_old_term_is_answered_with_the_new_one),
        cmocka_unit_test(a_group_whose_longest_log_has_the_oldest_term_elects_a_leader),
        CASE(granting_a_pre_vote_changes_nothing),
        CASE(pre_votes_do_not_elect_and_votes_are_no_pre_votes),
        CASE(of_two_that_ask_at_the_same_moment_one_gives_way),
        CASE(refusing_a_vote_does_not_put_off_the_own_election),
        CASE(a_rejoining_node_does_not_depose_a_healthy_leader),
        CASE(a_node_ahead_of_its_groups_term_is_not_stuck),
        CASE(milliseconds_do_not_overflow_after_24_days),
        CASE(whoever_votes_for_another_stops_asking_for_itself),
        CASE(no_read_is_served_before_the_terms_first_commit),
        CASE(a_delayed_answer_of_an_older_round_confirms_nothing),
        CASE(a_round_of_an_earlier_leadership_is_not_echoed),
        CASE(a_read_that_comes_during_a_round_waits_for_the_next),
        CASE(a_late_answer_does_not_release_a_later_batch),
        CASE(contexts_of_an_earlier_life_do_not_come_back),
        CASE(no_read_is_left_without_an_answer),
        CASE(a_leader_paused_and_resumed_serves_no_stale_read),
        CASE(a_leader_without_office_answers_forwarded_reads_with_a_refusal),
        CASE(reads_refused_leave_room_for_others),
        CASE(a_question_asked_twice_is_answered_once_and_a_newer_one_replaces_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
