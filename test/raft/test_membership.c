/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership changes (D§4), rule by rule: at the leader that makes them, at followers, at
 * learners and over a restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "members.h"

static const struct lash_progress *progress_of(const struct lash_raft_status *status, lash_id id) {
    for (uint32_t i = 0; i < status->progress_count; i++) {
        if (status->progress[i].id == id)
            return &status->progress[i];
    }
    return NULL;
}

/* ---- Changing it ------------------------------------------------------------------------------- */

/* D§4.1: one server at a time, in one step, in force from append. */
static void one_server_is_added_in_one_step_and_counts_at_once(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V, 4, V)), LASH_OK);
    assert_true(solo.out.append && solo.out.configure && !solo.out.noop);
    assert_int_equal(solo.out.append_first, 3);
    assert_int_equal(solo.out.append_last, 3);
    assert_int_equal(solo.out.configuration.index, 3);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 2, V, 3, V, 4, V));
    struct lash_configuration now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V, 2, V, 3, V, 4, V));
    /* The new one is sent entries at once, from the newest back. */
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND, 4)->message.append.first, 3);
    /* Two of four are no majority any more. */
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 2);
    solo_message(&solo, solo_accept(4, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_false(solo.out.configure);
    solo_stop(&solo);
}

static void one_server_is_removed_in_one_step_and_no_longer_counts(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_OK);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 2, V));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_APPEND), 1);
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 2);
    assert_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    solo_stop(&solo);
}

/* D§4.3: an arbitrary change goes through a joint configuration, which the leader leaves once it is committed. */
static void more_than_one_server_changes_through_a_joint_configuration(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 4, V, 5, V, 2, 0)), LASH_OK);
    assert_members(&solo.out.configuration, MEMBERS(1, V | OLD, 4, V, 5, V, 2, OLD, 3, OLD | LEAVES));
    solo_written(&solo);
    /* A majority of one of the two is not enough, whichever it is. */
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(3, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 2);
    solo_message(&solo, solo_accept(4, 2, 3, 0));
    /* With both it is committed, and left in the same step. */
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_true(solo.out.configure);
    assert_int_equal(solo.out.append_first, 4);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 4, V, 5, V, 2, 0));
    /* Once: nothing more follows, neither before it is committed nor after. */
    solo_written(&solo);
    solo_message(&solo, solo_accept(5, 2, 3, 0));
    assert_false(solo.out.configure);
    /* n2 learns now, and n3 is gone: neither counts. */
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    solo_message(&solo, solo_accept(3, 2, 4, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    solo_message(&solo, solo_accept(5, 2, 4, 0));
    assert_int_equal(solo_status(&solo).commit, 4);
    assert_false(solo.out.configure);
    assert_int_equal(solo_status(&solo).last_index, 4);
    solo_stop(&solo);
}

/* One for another are two changes, and so are two more: majorities of n1 n2 n3 and of n1..n5 need not overlap. */
static void a_server_is_exchanged_for_another_through_a_joint_configuration(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 4, V)), LASH_OK);
    assert_members(&solo.out.configuration, MEMBERS(1, V | OLD, 2, V | OLD, 4, V, 3, OLD | LEAVES));
    solo_stop(&solo);
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V, 4, V, 5, V)), LASH_OK);
    assert_members(&solo.out.configuration, MEMBERS(1, V | OLD, 2, V | OLD, 3, V | OLD, 4, V, 5, V));
    solo_stop(&solo);
    /* A voter that becomes a learner, and learners whatever becomes of them, are no change of two. */
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, 0, 4, 0, 5, PROMOTE)), LASH_OK);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 2, V, 3, 0, 4, 0, 5, PROMOTE));
    solo_stop(&solo);
}

/* C2, the correction of 2015 to D§4.1. */
static void a_change_waits_for_an_entry_of_the_own_term(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1), .floor = 1});
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 2, true));
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 2, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_BUSY);
    solo_written(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_BUSY);
    /* The entry of term 1 held by a majority does not do. */
    solo_message(&solo, solo_accept(2, 2, 1, 0));
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_BUSY);
    solo_message(&solo, solo_accept(2, 2, 2, 0));
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_OK);
    solo_stop(&solo);
}

/* C1. */
static void one_change_waits_for_the_other(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V, 4, 0)), LASH_OK);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V)), LASH_BUSY);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(configure(&solo, MEMBERS(1, V, 5, V, 6, V)), LASH_OK);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    solo_message(&solo, solo_accept(5, 2, 4, 0));
    /* The joint one is committed, the final one is not. */
    assert_int_equal(solo_status(&solo).commit, 4);
    assert_int_equal(solo_status(&solo).last_index, 5);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 5, V)), LASH_BUSY);
    solo_written(&solo);
    solo_message(&solo, solo_accept(5, 2, 5, 0));
    assert_int_equal(configure(&solo, MEMBERS(1, V, 5, V)), LASH_OK);
    solo_stop(&solo);
}

static void what_is_no_membership_is_refused(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    const struct lash_configuration cases[] = {
        {0},
        MEMBERS(1, 0, 2, 0),
        MEMBERS(1, V, 2, V, 2, V),
        MEMBERS(1, V, 2, V | OLD),
        MEMBERS(1, V, 2, OLD | LEAVES),
        MEMBERS(1, V, 2, W),
        MEMBERS(1, V, 2, V | W),
        MEMBERS(1, V, 2, V | PROMOTE),
        MEMBERS(1, V, 2, LEAVES),
        MEMBERS(1, V, 2, 32),
        {.count = 1, .members = {{.id = 0, .flags = V}}},
        {.count = 1, .members = {{.id = 1, .flags = V, .priority = LASH_RAFT_PRIORITY_MAX + 1}}},
        {.count = LASH_RAFT_MEMBERS_MAX + 1},
    };
    uint64_t before = lash_raft_hash(solo.raft);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(configure(&solo, cases[i]), LASH_INVALID);
    struct lash_event event = {.type = LASH_EVENT_CONFIGURE};
    assert_int_equal(solo_step(&solo, &event), LASH_INVALID);
    /* Before and after together are too many. */
    struct lash_configuration many = {.count = 14};
    for (uint32_t i = 0; i < many.count; i++)
        many.members[i] = (struct lash_member){.id = 11 + i, .flags = V};
    assert_int_equal(configure(&solo, many), LASH_TOO_LARGE);
    assert_true(lash_raft_hash(solo.raft) == before);
    many.count = 13;
    assert_int_equal(configure(&solo, many), LASH_OK);
    assert_int_equal(solo.out.configuration.count, LASH_RAFT_MEMBERS_MAX);
    solo_stop(&solo);
    solo_start(&solo, &(struct solo_start){.term = 1});
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_NOT_LEADER);
    solo_stop(&solo);
}

/* D§3.10 and a full disk: the log does not grow. */
static void no_change_during_a_transfer_or_without_room(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    struct lash_event event = {.type = LASH_EVENT_TRANSFER};
    event.transfer.to = 2;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_BUSY);
    solo.now_ms += 1000;
    solo_message(&solo, solo_accept(2, 2, 2, 0));
    solo_tick(&solo);
    event = (struct lash_event){.type = LASH_EVENT_ROOM};
    event.room.full = true;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_BUSY);
    event.room.full = false;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_OK);
    solo_stop(&solo);
}

/* Only addresses differ, which the core does not see: an entry all the same. */
static void a_change_of_addresses_alone_is_an_entry(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V)), LASH_OK);
    assert_true(solo.out.configure);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 2, V, 3, V));
    solo_stop(&solo);
}

/* L7: what is known of who stays is kept, wherever it stands now; of who leaves nothing is. */
static void progress_survives_a_change(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    solo_propose(&solo, 3);
    solo_message(&solo, solo_accept(3, 2, 4, 0));
    struct lash_raft_status before = solo_status(&solo);
    assert_int_equal(configure(&solo, MEMBERS(4, V, 3, V, 1, V, 2, V)), LASH_OK);
    struct lash_raft_status after = solo_status(&solo);
    assert_int_equal(progress_of(&after, 2)->match, 2);
    assert_int_equal(progress_of(&after, 3)->match, 4);
    assert_int_equal(progress_of(&after, 2)->state, LASH_REPLICATE);
    assert_int_equal(progress_of(&after, 2)->inflight_messages, progress_of(&before, 2)->inflight_messages + 1);
    assert_int_equal(progress_of(&after, 4)->state, LASH_PROBE);
    assert_int_equal(progress_of(&after, 4)->match, 0);
    assert_int_equal(progress_of(&after, 4)->active, 1);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 6, 0));
    solo_message(&solo, solo_accept(3, 2, 6, 0));
    assert_int_equal(solo_status(&solo).commit, 6);
    /* n3 leaves and comes back: a stranger. */
    assert_int_equal(configure(&solo, MEMBERS(2, V, 1, V, 4, V)), LASH_OK);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 7, 0));
    assert_int_equal(solo_status(&solo).commit, 7);
    assert_int_equal(configure(&solo, MEMBERS(3, V, 2, V, 1, V, 4, V)), LASH_OK);
    after = solo_status(&solo);
    assert_int_equal(progress_of(&after, 2)->match, 7);
    assert_int_equal(progress_of(&after, 3)->match, 0);
    assert_int_equal(progress_of(&after, 3)->state, LASH_PROBE);
    assert_int_equal(progress_of(&after, 3)->inflight_messages, 1);
    solo_stop(&solo);
}

static void reads_of_who_leaves_are_dropped(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    solo_message(&solo, solo_read_request(3, 2, 77));
    solo_read(&solo, 5);
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V)), LASH_OK);
    /* The round that n3 had begun ends; the answer for it goes nowhere. */
    solo_message(&solo, solo_accept(2, 2, 2, 1));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), 0);
    solo_message(&solo, solo_accept(2, 2, 2, 2));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].context, 5);
    /* Nor is it a member whose questions are taken. */
    solo_message(&solo, solo_read_request(3, 2, 78));
    assert_int_equal(solo.send_count, 0);
    solo_stop(&solo);
}

/* ---- At a follower ----------------------------------------------------------------------------- */

/* D§4.1: a server uses the latest configuration in its log, and falls back when the entry is removed. */
static void a_follower_goes_by_the_newest_in_its_log_and_falls_back_when_it_is_cut_off(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V, 3, V, 4, V);
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    assert_int_equal(in_force(&solo).index, 2);
    struct lash_configuration now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V, 2, V, 3, V, 4, V));
    /* The same again changes nothing. */
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    assert_int_equal(in_force(&solo).index, 2);
    solo_message(&solo, solo_append(&solo, 3, 3, 1, 1, 1, SOLO_LOG(3)));
    assert_int_equal(in_force(&solo).index, 0);
    now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V, 2, V, 3, V));
    solo_stop(&solo);
}

/* A configuration replaces the one that is cut off with the same message. */
static void a_conflicting_configuration_replaces_the_one_cut_off(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V, 3, V, 4, V);
    struct lash_configuration other = MEMBERS(1, V, 2, V);
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &held));
    solo_message(&solo, append_one(&solo, 3, 3, 1, 1, &other));
    struct lash_configuration now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V, 2, V));
    /* And is cut off in turn: what was before both is in force. */
    solo_message(&solo, solo_append(&solo, 2, 4, 1, 1, 1, SOLO_LOG(4)));
    now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V, 2, V, 3, V));
    solo_stop(&solo);
}

/* C1: a configuration in the log proves that the one before it is committed; so no right message cuts off both. */
static void a_message_that_cuts_off_two_configurations_cannot_be_right(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration first = MEMBERS(1, V, 2, V, 3, V, 4, V);
    struct lash_configuration second = MEMBERS(1, V, 2, V, 3, V);
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_message(&solo, append_one(&solo, 2, 2, 1, 1, &first));
    assert_int_equal(solo_status(&solo).commit, 0);
    solo_message(&solo, append_one(&solo, 2, 2, 2, 2, &second));
    assert_int_equal(solo_status(&solo).commit, 2);
    uint64_t before = lash_raft_hash(solo.raft);
    solo_message(&solo, solo_append(&solo, 3, 3, 1, 1, 1, SOLO_LOG(3)));
    assert_true(lash_raft_hash(solo.raft) == before);
    assert_int_equal(solo.send_count, 0);
    /* The newest alone can be; then the one before is in force, and nothing cuts that off. */
    solo_message(&solo, solo_append(&solo, 3, 3, 2, 2, 2, SOLO_LOG(3)));
    assert_int_equal(in_force(&solo).index, 2);
    struct lash_configuration now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V, 2, V, 3, V, 4, V));
    before = lash_raft_hash(solo.raft);
    solo_message(&solo, solo_append(&solo, 2, 4, 1, 1, 1, SOLO_LOG(4)));
    assert_true(lash_raft_hash(solo.raft) == before);
    solo_stop(&solo);
}

static void two_configurations_in_one_message_are_taken_in_their_order(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    struct lash_configuration both[] = {MEMBERS(1, V | OLD, 4, V, 5, V, 2, OLD, 3, OLD | LEAVES),
                                        MEMBERS(1, V, 4, V, 5, V, 2, 0)};
    both[0].index = 2;
    both[1].index = 3;
    struct lash_message message = solo_append(&solo, 2, 2, 1, 1, 1, SOLO_LOG(2, 2));
    solo.runs[0].kind = LASH_ENTRY_CONFIGURATION;
    message.append.configurations = both;
    message.append.configuration_count = 2;
    solo_message(&solo, message);
    assert_int_equal(in_force(&solo).index, 3);
    assert_int_equal(solo_status(&solo).commit, 2);
    /* Cut off, the joint one is in force again. */
    solo_message(&solo, solo_append(&solo, 4, 3, 2, 2, 2, SOLO_LOG(3)));
    struct lash_configuration now = in_force(&solo);
    assert_members(&now, MEMBERS(1, V | OLD, 4, V, 5, V, 2, OLD, 3, OLD | LEAVES));
    solo_stop(&solo);
}

static void a_message_that_lacks_or_garbles_a_configuration_is_ignored(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration held = MEMBERS(1, V, 2, V);
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    uint64_t before = lash_raft_hash(solo.raft);
    struct lash_message message = append_one(&solo, 2, 1, 1, 1, &held);
    message.append.configurations = NULL;
    solo_message(&solo, message);
    message = append_one(&solo, 2, 1, 1, 1, &held);
    message.append.configuration_count = 0;
    solo_message(&solo, message);
    message = append_one(&solo, 2, 1, 1, 1, &held);
    held.index = 3;
    solo_message(&solo, message);
    struct lash_configuration nobody = MEMBERS(1, 0);
    solo_message(&solo, append_one(&solo, 2, 1, 1, 1, &nobody));
    struct lash_configuration witness = MEMBERS(1, V | W, 2, V | W);
    solo_message(&solo, append_one(&solo, 2, 1, 1, 1, &witness));
    assert_true(lash_raft_hash(solo.raft) == before);
    assert_int_equal(solo.send_count, 0);
    /* What lies at or before the previous index is not looked at. */
    message = solo_append(&solo, 2, 1, 1, 1, 0, SOLO_LOG(1));
    struct lash_run runs[] = {{1, 1, 1, LASH_ENTRY_CONFIGURATION}, {2, 1, 1, LASH_ENTRY_COMMAND}};
    message.append.runs = runs;
    message.append.run_count = 2;
    solo_message(&solo, message);
    assert_string_equal(solo_log(&solo), "1 1");
    solo_stop(&solo);
}

/* ---- Learners ---------------------------------------------------------------------------------- */

/* D§4.2.1: a learner is promoted only once it has caught up. */
static void a_learner_that_lags_is_not_made_a_voter(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration promoted = MEMBERS(1, V, 2, V, 3, V, 4, V);
    lead_three(&solo);
    configure(&solo, MEMBERS(1, V, 2, V, 3, V, 4, 0));
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 3);
    /* Nothing is known of it yet. */
    assert_int_equal(configure(&solo, promoted), LASH_BEHIND);
    /* It holds the beginning. */
    solo_message(&solo, solo_accept(4, 2, 1, 0));
    assert_int_equal(configure(&solo, promoted), LASH_BEHIND);
    /* All. */
    solo_message(&solo, solo_accept(4, 2, 3, 0));
    /* But it has not answered for an election timeout. */
    solo.now_ms += 1000;
    assert_int_equal(configure(&solo, promoted), LASH_BEHIND);
    /* But it has no room. */
    struct lash_message full = solo_accept(4, 2, 3, 0);
    full.append_reply.full = true;
    solo_message(&solo, full);
    assert_int_equal(configure(&solo, promoted), LASH_BEHIND);
    /* A learner may be removed whatever it holds. */
    assert_int_equal(configure(&solo, MEMBERS(1, V, 2, V, 3, V)), LASH_OK);
    solo_stop(&solo);
}

static void a_learner_has_caught_up_that_holds_what_was_committed_a_heartbeat_ago(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration promoted = MEMBERS(1, V, 2, V, 3, V, 4, V);
    lead_three(&solo);
    configure(&solo, MEMBERS(1, V, 2, V, 3, V, 4, 0));
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    solo_message(&solo, solo_accept(4, 2, 3, 0));
    solo_timeout(&solo);
    solo_propose(&solo, 5);
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 8, 0));
    solo_message(&solo, solo_accept(4, 2, 3, 0));
    assert_int_equal(solo_status(&solo).commit, 8);
    /* What it lacks was committed since the last heartbeat. */
    solo_timeout(&solo);
    solo_message(&solo, solo_accept(4, 2, 7, 0));
    assert_int_equal(configure(&solo, promoted), LASH_BEHIND);
    solo_message(&solo, solo_accept(4, 2, 8, 0));
    solo_propose(&solo, 2);
    assert_int_equal(configure(&solo, promoted), LASH_OK);
    assert_int_equal(solo.out.append_first, 11);
    solo_stop(&solo);
}

/* One at a time, by the leader itself, when it was asked to. */
static void a_learner_is_promoted_by_itself_when_it_was_asked_for(void **state) {
    (void)state;
    struct solo solo;
    lead_three(&solo);
    configure(&solo, MEMBERS(1, V, 2, V, 3, V, 4, PROMOTE, 5, PROMOTE, 6, 0));
    solo_written(&solo);
    solo_message(&solo, solo_accept(6, 2, 3, 0));
    solo_message(&solo, solo_accept(4, 2, 3, 0));
    solo_message(&solo, solo_accept(5, 2, 3, 0));
    /* C1: the configuration that makes them learners is not committed yet; three learners do not do it (C5). */
    assert_int_equal(solo_status(&solo).commit, 2);
    assert_int_equal(solo_status(&solo).last_index, 3);
    solo_message(&solo, solo_accept(2, 2, 3, 0));
    assert_true(solo.out.configure);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 2, V, 3, V, 4, V, 5, PROMOTE, 6, 0));
    solo_written(&solo);
    solo_message(&solo, solo_accept(2, 2, 4, 0));
    solo_message(&solo, solo_accept(4, 2, 4, 0));
    /* The next has to catch up with that one. */
    assert_false(solo.out.configure);
    solo_message(&solo, solo_accept(5, 2, 4, 0));
    assert_true(solo.out.configure);
    assert_members(&solo.out.configuration, MEMBERS(1, V, 2, V, 3, V, 4, V, 5, V, 6, 0));
    solo_written(&solo);
    for (lash_id id = 2; id <= 6; id++) {
        solo_message(&solo, solo_accept(id, 2, 5, 0));
        assert_false(solo.out.configure);
    }
    assert_int_equal(solo_status(&solo).last_index, 5);
    solo_stop(&solo);
}

/* ---- Restart ----------------------------------------------------------------------------------- */

static int restart(struct solo *solo, struct lash_configuration configuration, struct lash_configuration previous) {
    const struct lash_run runs[] = {{1, 1, 4, 0}};
    struct lash_raft_saved saved = {.term = 1, .first_index = 1, .runs = runs, .run_count = 1};
    saved.configuration = configuration;
    saved.previous = previous;
    return lash_raft_init(solo->block, &solo->options, &saved, solo->now_ms, &solo->raft);
}

/* "Joint configuration lost over a restart". */
static void a_restart_knows_the_newest_configuration_and_the_one_before(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration joint = MEMBERS(1, V | OLD, 4, V, 5, V, 2, OLD | LEAVES, 3, OLD | LEAVES);
    struct lash_configuration before = MEMBERS(1, V, 2, V, 3, V);
    solo_start(&solo, &(struct solo_start){.term = 1});
    joint.index = 4;
    before.index = 2;
    assert_int_equal(restart(&solo, joint, before), LASH_OK);
    assert_int_equal(in_force(&solo).index, 4);
    assert_int_equal(solo_status(&solo).commit, 2);
    solo_message(&solo, solo_append(&solo, 2, 2, 3, 1, 2, SOLO_LOG(2)));
    struct lash_configuration now = in_force(&solo);
    assert_int_equal(now.index, 2);
    assert_members(&now, MEMBERS(1, V, 2, V, 3, V));
    /* Not what cannot be. */
    joint.index = 5;
    assert_int_equal(restart(&solo, joint, before), LASH_INVALID);
    joint.index = 2;
    assert_int_equal(restart(&solo, joint, before), LASH_INVALID);
    joint.index = 4;
    before.count = 0;
    assert_int_equal(restart(&solo, joint, before), LASH_INVALID);
    joint.members[0].flags = LASH_MEMBER_WITNESS;
    before = (struct lash_configuration){0};
    assert_int_equal(restart(&solo, joint, before), LASH_INVALID);
    /* Who joined has nothing before the first. */
    joint.members[0].flags = V | OLD;
    assert_int_equal(restart(&solo, joint, before), LASH_OK);
    assert_int_equal(restart(&solo, before, before), LASH_OK);
    assert_int_equal(in_force(&solo).count, 0);
    solo_stop(&solo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server_is_added_in_one_step_and_counts_at_once),
        cmocka_unit_test(one_server_is_removed_in_one_step_and_no_longer_counts),
        cmocka_unit_test(more_than_one_server_changes_through_a_joint_configuration),
        cmocka_unit_test(a_server_is_exchanged_for_another_through_a_joint_configuration),
        cmocka_unit_test(a_change_waits_for_an_entry_of_the_own_term),
        cmocka_unit_test(one_change_waits_for_the_other),
        cmocka_unit_test(what_is_no_membership_is_refused),
        cmocka_unit_test(no_change_during_a_transfer_or_without_room),
        cmocka_unit_test(a_change_of_addresses_alone_is_an_entry),
        cmocka_unit_test(progress_survives_a_change),
        cmocka_unit_test(reads_of_who_leaves_are_dropped),
        cmocka_unit_test(a_follower_goes_by_the_newest_in_its_log_and_falls_back_when_it_is_cut_off),
        cmocka_unit_test(a_conflicting_configuration_replaces_the_one_cut_off),
        cmocka_unit_test(a_message_that_cuts_off_two_configurations_cannot_be_right),
        cmocka_unit_test(two_configurations_in_one_message_are_taken_in_their_order),
        cmocka_unit_test(a_message_that_lacks_or_garbles_a_configuration_is_ignored),
        cmocka_unit_test(a_learner_that_lags_is_not_made_a_voter),
        cmocka_unit_test(a_learner_has_caught_up_that_holds_what_was_committed_a_heartbeat_ago),
        cmocka_unit_test(a_learner_is_promoted_by_itself_when_it_was_asked_for),
        cmocka_unit_test(a_restart_knows_the_newest_configuration_and_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
