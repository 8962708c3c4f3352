/* SPDX-License-Identifier: Apache-2.0
 *
 * Figure 2 of the paper, one case per rule, each named after it. The rule is
 * quoted in its sense above the case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static bool granted(void) {
    const struct lash_send *reply = solo_sent(&solo, LASH_MSG_VOTE_REPLY, 0);
    assert_non_null(reply);
    return reply->message.vote_reply.granted;
}

static const struct lash_message *append_reply(void) {
    const struct lash_send *reply = solo_sent(&solo, LASH_MSG_APPEND_REPLY, 0);
    assert_non_null(reply);
    return &reply->message;
}

/* ---- RequestVote RPC --------------------------------------------------------------------------- */

/* 1. Reply false if term < currentTerm (§5.1). */
static void request_vote_1_refuses_a_term_that_is_over(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 1)});
    solo_message(&solo, solo_vote(2, 4, 9, 4));
    assert_false(granted());
    assert_int_equal(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->message.term, 5);
    assert_int_equal(solo_status(&solo).vote, 0);
    assert_int_equal(solo.out.write, 0);
}

/* 2. If votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log, grant vote
 * (§5.2, §5.4). */
static void request_vote_2_grants_the_first_and_only_the_first(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 1)});
    solo_message(&solo, solo_vote(2, 6, 2, 1));
    assert_true(granted());
    assert_true(solo.out.save_vote);
    assert_int_equal(solo.out.term, 6);
    assert_int_equal(solo.out.vote, 2);
    /* The grant leaves once it is on disk. */
    assert_int_equal(solo_sent(&solo, LASH_MSG_VOTE_REPLY, 2)->after_write, solo.out.write);
    solo_message(&solo, solo_vote(3, 6, 2, 1));
    assert_false(granted());
    solo_message(&solo, solo_vote(2, 6, 2, 1));
    assert_true(granted());
}

static void request_vote_2_remembers_its_vote_over_a_restart(void **state) {
    (void)state;
    begin((struct solo_start){.term = 6, .vote = 2, .log = SOLO_LOG(1, 1)});
    solo_message(&solo, solo_vote(3, 6, 2, 1));
    assert_false(granted());
    solo_message(&solo, solo_vote(2, 6, 2, 1));
    assert_true(granted());
}

static void request_vote_2_grants_only_an_up_to_date_log(void **state) {
    (void)state;
    const struct {
        lash_index last_index;
        lash_term last_term;
        bool granted;
    } cases[] = {{3, 2, true}, {4, 2, true}, {2, 2, false}, {9, 1, false}, {1, 3, true}, {0, 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 2, 2)});
        solo_message(&solo, solo_vote(2, 6, cases[i].last_index, cases[i].last_term));
        assert_int_equal(granted(), cases[i].granted);
        if (i + 1 < sizeof cases / sizeof cases[0])
            solo_stop(&solo);
    }
}

/* ---- AppendEntries RPC ------------------------------------------------------------------------- */

/* 1. Reply false if term < currentTerm (§5.1). */
static void append_entries_1_refuses_a_leader_whose_term_is_over(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 1)});
    uint64_t deadline = (solo_tick(&solo), solo.out.deadline_ms);
    solo.now_ms += 50;
    solo_message(&solo, solo_append(&solo, 2, 4, 2, 1, 2, SOLO_LOG(4)));
    assert_false(append_reply()->append_reply.success);
    assert_int_equal(append_reply()->term, 5);
    assert_string_equal(solo_log(&solo), "1 1");
    assert_int_equal(solo_status(&solo).commit, 0);
    assert_int_equal(solo_status(&solo).leader, 0);
    assert_int_equal(solo.out.deadline_ms, deadline);
}

/* 2. Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm (§5.3). */
static void append_entries_2_refuses_what_does_not_follow(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 2)});
    solo_message(&solo, solo_append(&solo, 2, 5, 3, 2, 0, SOLO_LOG(5)));
    assert_false(append_reply()->append_reply.success);
    assert_int_equal(append_reply()->append_reply.rejected, 3);
    solo_message(&solo, solo_append(&solo, 2, 5, 2, 3, 0, SOLO_LOG(5)));
    assert_false(append_reply()->append_reply.success);
    solo_message(&solo, solo_append(&solo, 2, 5, 2, 1, 0, SOLO_LOG(5)));
    assert_false(append_reply()->append_reply.success);
    assert_string_equal(solo_log(&solo), "1 2");
    solo_message(&solo, solo_append(&solo, 2, 5, 2, 2, 0, SOLO_LOG(5)));
    assert_true(append_reply()->append_reply.success);
    assert_string_equal(solo_log(&solo), "1 2 5");
}

/* 3. If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and all
 * that follow it (§5.3). */
static void append_entries_3_deletes_a_conflict_and_what_follows(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 2, 2, 2)});
    solo_message(&solo, solo_append(&solo, 2, 5, 1, 1, 0, SOLO_LOG(2, 3)));
    assert_string_equal(solo_log(&solo), "1 2 3");
    assert_true(solo.out.append);
    assert_int_equal(solo.out.append_first, 3);
    assert_int_equal(solo.out.append_last, 3);
    assert_int_equal(solo_status(&solo).durable_index, 2);
}

static void append_entries_3_deletes_nothing_without_a_conflict(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 2, 2, 2)});
    solo_message(&solo, solo_append(&solo, 2, 5, 1, 1, 0, SOLO_LOG(2, 2)));
    assert_true(append_reply()->append_reply.success);
    assert_int_equal(append_reply()->append_reply.match, 3);
    assert_string_equal(solo_log(&solo), "1 2 2 2");
    assert_false(solo.out.append);
}

/* 4. Append any new entries not already in the log. */
static void append_entries_4_appends_only_what_is_new(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 2)});
    solo_message(&solo, solo_append(&solo, 2, 5, 0, 0, 0, SOLO_LOG(1, 2, 4, 5)));
    assert_string_equal(solo_log(&solo), "1 2 4 5");
    assert_int_equal(solo.out.append_first, 3);
    assert_int_equal(solo.out.append_last, 4);
    assert_int_equal(solo.out.append_term, 5);
    /* The answer waits for the disk. */
    assert_int_equal(append_reply()->append_reply.match, 4);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 2)->after_write, solo.out.write);
}

/* 5. If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry). */
static void append_entries_5_commits_up_to_the_last_new_entry(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 2, 2, 2)});
    solo_message(&solo, solo_append(&solo, 2, 5, 1, 1, 9, SOLO_LOG(2)));
    assert_int_equal(solo_status(&solo).commit, 2);
    assert_true(solo.out.commit_advanced);
    solo_message(&solo, solo_append(&solo, 2, 5, 4, 2, 3, NULL));
    assert_int_equal(solo_status(&solo).commit, 3);
    solo_message(&solo, solo_append(&solo, 2, 5, 4, 2, 1, NULL));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_false(solo.out.commit_advanced);
}

/* ---- Rules for servers ------------------------------------------------------------------------- */

/* All servers, 1: if commitIndex > lastApplied, apply. The core names what may be applied, and notes what was. */
static void all_servers_1_apply_what_is_committed_and_no_more(void **state) {
    (void)state;
    begin((struct solo_start){.term = 5, .log = SOLO_LOG(1, 1, 1)});
    solo_message(&solo, solo_append(&solo, 2, 5, 3, 1, 2, NULL));
    assert_true(solo.out.commit_advanced);
    assert_int_equal(solo.out.commit, 2);
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = 3;
    assert_int_equal(solo_step(&solo, &event), LASH_INVALID);
    event.applied.index = 2;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(solo_status(&solo).applied, 2);
}

/* All servers, 2: if RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower
 * (§5.1). */
static void all_servers_2_follow_any_later_term(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        begin((struct solo_start){.log = SOLO_LOG(1), .term = 1});
        solo_lead(&solo);
        const struct lash_message messages[] = {solo_append(&solo, 2, 9, 1, 1, 0, NULL), solo_accept(2, 9, 1, 0),
                                                solo_vote_reply(2, 9, false), solo_read_request(2, 9, 4),
                                                solo_read_reply(2, 9, 4, 0)};
        solo_message(&solo, messages[i]);
        assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
        assert_int_equal(solo_status(&solo).term, 9);
        assert_int_equal(solo_status(&solo).vote, 0);
        assert_true(solo.out.save_vote && solo.out.role_changed);
        if (i < 4)
            solo_stop(&solo);
    }
}

static void all_servers_2_a_request_for_a_vote_is_such_a_request(void **state) {
    (void)state;
    begin((struct solo_start){.no_check_quorum = true});
    solo_lead(&solo);
    solo_message(&solo, solo_vote(2, 9, 0, 0));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).term, 9);
    assert_false(granted());
}

/* Followers, 1: respond to RPCs from candidates and leaders. */
static void followers_1_answer_candidates_and_leaders(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1});
    solo_message(&solo, solo_vote(2, 2, 0, 0));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE_REPLY), 1);
    solo_message(&solo, solo_append(&solo, 2, 2, 0, 0, 0, NULL));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_APPEND_REPLY), 1);
    assert_int_equal(solo_status(&solo).leader, 2);
}

/* Followers, 2: if election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
 * candidate: convert to candidate. */
static void followers_2_stand_for_election_when_nothing_comes(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .no_pre_vote = true});
    solo_tick(&solo);
    uint64_t first = solo.out.deadline_ms;
    assert_in_range(first, 2000, 2999);
    solo.now_ms = first - 1;
    solo_message(&solo, solo_append(&solo, 2, 3, 0, 0, 0, NULL));
    solo.now_ms = first;
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    assert_int_equal(solo_status(&solo).term, 4);
}

static void followers_2_wait_anew_after_granting_a_vote(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .no_pre_vote = true});
    solo_tick(&solo);
    uint64_t first = solo.out.deadline_ms;
    solo.now_ms = first - 1;
    solo_message(&solo, solo_vote(2, 4, 0, 0));
    assert_true(granted());
    assert_in_range(solo.out.deadline_ms, first - 1 + 1000, first - 1 + 1999);
}

/* Candidates, 1: on conversion to candidate, start election: increment currentTerm, vote for self, reset election timer,
 * send RequestVote RPCs to all other servers. */
static void candidates_1_ask_all_others_in_a_new_term(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .log = SOLO_LOG(1, 2), .no_pre_vote = true});
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).term, 4);
    assert_int_equal(solo_status(&solo).vote, 1);
    assert_true(solo.out.save_vote && solo.out.term == 4 && solo.out.vote == 1);
    assert_in_range(solo.out.deadline_ms, solo.now_ms + 1000, solo.now_ms + 1999);
    for (lash_id id = 2; id <= 3; id++) {
        const struct lash_send *request = solo_sent(&solo, LASH_MSG_VOTE, id);
        assert_non_null(request);
        assert_int_equal(request->message.term, 4);
        assert_int_equal(request->message.vote.last_index, 2);
        assert_int_equal(request->message.vote.last_term, 2);
        assert_int_equal(request->after_write, solo.out.write);
    }
}

/* Candidates, 2: if votes received from majority of servers: become leader. */
static void candidates_2_lead_with_a_majority(void **state) {
    (void)state;
    begin((struct solo_start){.members = 5, .no_pre_vote = true});
    solo_timeout(&solo);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    solo_message(&solo, solo_vote_reply(2, 1, true));
    solo_message(&solo, solo_vote_reply(3, 1, false));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_message(&solo, solo_vote_reply(4, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
}

/* Candidates, 3: if AppendEntries RPC received from new leader: convert to follower. */
static void candidates_3_follow_the_winner(void **state) {
    (void)state;
    begin((struct solo_start){.no_pre_vote = true});
    solo_timeout(&solo);
    solo_message(&solo, solo_append(&solo, 3, 1, 0, 0, 0, NULL));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).leader, 3);
    assert_int_equal(solo_status(&solo).vote, 1);
}

/* Candidates, 4: if election timeout elapses: start new election. */
static void candidates_4_try_again_in_the_next_term(void **state) {
    (void)state;
    begin((struct solo_start){.no_pre_vote = true});
    solo_timeout(&solo);
    solo_written(&solo);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    assert_int_equal(solo_status(&solo).term, 2);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 2);
    /* Votes of the election before do not count in this one. */
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
}

/* Leaders, 1: upon election: send AppendEntries RPCs to each server; repeat during idle periods to prevent election
 * timeouts (§5.2). */
static void leaders_1_speak_at_once_and_then_regularly(void **state) {
    (void)state;
    begin((struct solo_start){.no_pre_vote = true});
    solo_timeout(&solo);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    assert_non_null(solo_sent(&solo, LASH_MSG_APPEND, 2));
    assert_non_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    solo_written(&solo);
    for (int i = 0; i < 3; i++) {
        uint64_t before = solo.now_ms;
        solo_timeout(&solo);
        assert_int_equal(solo.now_ms, before + 100);
        assert_non_null(solo_sent(&solo, LASH_MSG_APPEND, 2));
        assert_non_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    }
}

/* Leaders, 2: if command received from client: append entry to local log, respond after entry applied to state machine
 * (§5.3). */
static void leaders_2_append_commands_to_their_log(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1});
    assert_int_equal(solo_propose(&solo, 1), LASH_NOT_LEADER);
    solo_lead(&solo);
    assert_int_equal(solo_propose(&solo, 2), LASH_OK);
    assert_true(solo.out.append);
    assert_int_equal(solo.out.append_first, 2);
    assert_int_equal(solo.out.append_last, 3);
    assert_int_equal(solo.out.append_term, 2);
    assert_false(solo.out.commit_advanced);
}

/* Leaders, 3: if last log index >= nextIndex for a follower: send AppendEntries RPC with log entries starting at
 * nextIndex. If successful: update nextIndex and matchIndex. */
static void leaders_3_send_what_is_missing_and_note_what_arrived(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_propose(&solo, 3);
    const struct lash_send *append = solo_sent(&solo, LASH_MSG_APPEND, 2);
    assert_non_null(append);
    assert_int_equal(append->message.append.prev_index, 1);
    assert_int_equal(append->message.append.prev_term, 1);
    assert_int_equal(append->message.append.first, 2);
    assert_int_equal(append->message.append.last, 4);
    /* In parallel with the own disk (D§10.2.1). */
    assert_int_equal(append->after_write, 0);
    solo_message(&solo, solo_accept(2, 1, 4, 0));
    assert_int_equal(solo_status(&solo).progress[1].match, 4);
    assert_int_equal(solo_status(&solo).progress[1].next, 5);
}

/* ... If AppendEntries fails because of log inconsistency: decrement nextIndex and retry (§5.3). */
static void leaders_3_go_back_when_refused(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .log = SOLO_LOG(1, 2, 2, 3)});
    solo_lead(&solo);
    /* n3 was offered the no-op, 5, behind 4 of term 3. */
    solo_message(&solo, solo_refuse(3, 4, 4, 3, 2));
    const struct lash_send *append = solo_sent(&solo, LASH_MSG_APPEND, 3);
    assert_non_null(append);
    assert_int_equal(append->message.append.prev_index, 3);
    assert_int_equal(append->message.append.first, 4);
    solo_message(&solo, solo_refuse(3, 4, 3, 1, 1));
    append = solo_sent(&solo, LASH_MSG_APPEND, 3);
    assert_non_null(append);
    assert_int_equal(append->message.append.prev_index, 1);
}

/* Leaders, 4: if there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and log[N].term ==
 * currentTerm: set commitIndex = N (§5.3, §5.4). */
static void leaders_4_commit_what_a_majority_holds(void **state) {
    (void)state;
    begin((struct solo_start){.members = 5});
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 1, true));
    solo_message(&solo, solo_pre_vote_reply(3, 1, true));
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    solo_message(&solo, solo_vote_reply(3, 1, true));
    solo_propose(&solo, 4);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 1, 5, 0));
    assert_int_equal(solo_status(&solo).commit, 0);
    solo_message(&solo, solo_accept(3, 1, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    solo_message(&solo, solo_accept(4, 1, 4, 0));
    assert_int_equal(solo_status(&solo).commit, 4);
}

static void leaders_4_do_not_commit_an_old_term_by_counting(void **state) {
    (void)state;
    begin((struct solo_start){.term = 3, .log = SOLO_LOG(1, 2, 2)});
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 4, true));
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 4, true));
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 4, 3, 0));
    solo_message(&solo, solo_accept(3, 4, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 0);
    solo_message(&solo, solo_accept(3, 4, 4, 0));
    assert_int_equal(solo_status(&solo).commit, 4);
}

#define CASE(name) cmocka_unit_test_teardown(name, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(request_vote_1_refuses_a_term_that_is_over),
        CASE(request_vote_2_grants_the_first_and_only_the_first),
        CASE(request_vote_2_remembers_its_vote_over_a_restart),
        CASE(request_vote_2_grants_only_an_up_to_date_log),
        CASE(append_entries_1_refuses_a_leader_whose_term_is_over),
        CASE(append_entries_2_refuses_what_does_not_follow),
        CASE(append_entries_3_deletes_a_conflict_and_what_follows),
        CASE(append_entries_3_deletes_nothing_without_a_conflict),
        CASE(append_entries_4_appends_only_what_is_new),
        CASE(append_entries_5_commits_up_to_the_last_new_entry),
        CASE(all_servers_1_apply_what_is_committed_and_no_more),
        CASE(all_servers_2_follow_any_later_term),
        CASE(all_servers_2_a_request_for_a_vote_is_such_a_request),
        CASE(followers_1_answer_candidates_and_leaders),
        CASE(followers_2_stand_for_election_when_nothing_comes),
        CASE(followers_2_wait_anew_after_granting_a_vote),
        CASE(candidates_1_ask_all_others_in_a_new_term),
        CASE(candidates_2_lead_with_a_majority),
        CASE(candidates_3_follow_the_winner),
        CASE(candidates_4_try_again_in_the_next_term),
        CASE(leaders_1_speak_at_once_and_then_regularly),
        CASE(leaders_2_append_commands_to_their_log),
        CASE(leaders_3_send_what_is_missing_and_note_what_arrived),
        CASE(leaders_3_go_back_when_refused),
        CASE(leaders_4_commit_what_a_majority_holds),
        CASE(leaders_4_do_not_commit_an_old_term_by_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
