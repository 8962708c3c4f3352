/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots, rule by rule (§7, Figure 13, D§5): who is offered one and when, who wants
 * it, and what a log is after it was installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "solo.h"

/* ---- The leader -------------------------------------------------------------------------------- */

static uint32_t offers(const struct solo *solo) {
    return solo_sent_count(solo, LASH_MSG_SNAPSHOT);
}

static const struct lash_progress *progress_of(const struct solo *solo, uint32_t slot) {
    static struct lash_raft_status status;
    status = solo_status(solo);
    return &status.progress[slot];
}

static void applied(struct solo *solo, lash_index index) {
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = index;
    assert_int_equal(solo_step(solo, &event), LASH_OK);
}

static int ended(struct solo *solo, lash_id id, bool ok) {
    struct lash_event event = {.type = LASH_EVENT_SNAPSHOT_ENDED};
    event.snapshot_ended.id = id;
    event.snapshot_ended.ok = ok;
    return solo_step(solo, &event);
}

/* The next heartbeat of a leader that n2 answers. */
static void beat(struct solo *solo) {
    solo_message(solo, solo_accept(2, solo_status(solo).term, 1, 0));
    solo->now_ms += 100;
    solo_tick(solo);
}

/* Leader n1 of term 1 holds 1..6, of which `upto` are compacted; n2 has everything, and n3 was silent for long. */
static void lead(struct solo *solo, lash_index upto) {
    solo_start(solo, &(struct solo_start){.log = NULL});
    solo_lead(solo);
    solo_propose(solo, 5);
    solo_written(solo);
    solo_message(solo, solo_accept(2, 1, 6, 0));
    applied(solo, 6);
    for (int i = 0; i < 12; i++)
        beat(solo);
    assert_int_equal(lash_raft_compact(solo->raft, upto), LASH_OK);
}

/* ... and n3 answers that it has nothing. */
static void lead_and_offer(struct solo *solo, lash_index upto) {
    lead(solo, upto);
    solo_message(solo, solo_refuse(3, 1, 0, 0, 0));
}

static void a_member_that_lacks_what_was_compacted_is_offered_a_snapshot(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    const struct lash_send *send = solo_sent(&solo, LASH_MSG_SNAPSHOT, 3);
    assert_non_null(send);
    assert_int_equal(send->after_write, 0);
    assert_int_equal(send->message.term, 1);
    assert_int_equal(send->message.snapshot.last_index, 4);
    assert_int_equal(send->message.snapshot.last_term, 1);
    assert_int_equal(offers(&solo), 1);
    assert_int_equal(progress_of(&solo, 2)->state, LASH_SNAPSHOT);
    assert_int_equal(progress_of(&solo, 2)->snapshot, 1);
    solo_stop(&solo);
}

static void nobody_is_offered_two_at_once(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    for (int i = 0; i < 5; i++) {
        beat(&solo);
        assert_int_equal(offers(&solo), 0);
        solo_message(&solo, solo_refuse(3, 1, 4, 0, 0));
        assert_int_equal(offers(&solo), 0);
    }
    solo_stop(&solo);
}

static void heartbeats_go_on_meanwhile(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    beat(&solo);
    const struct lash_send *send = solo_sent(&solo, LASH_MSG_APPEND, 3);
    assert_non_null(send);
    /* They ask for the earliest entry that could do instead of a snapshot. */
    assert_int_equal(send->message.append.prev_index, 4);
    assert_true(send->message.append.last < send->message.append.first);
    solo_stop(&solo);
}

static void after_a_failure_it_is_offered_again_with_the_next_heartbeat(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    assert_int_equal(ended(&solo, 3, false), LASH_OK);
    assert_int_equal(offers(&solo), 0);
    assert_int_equal(progress_of(&solo, 2)->snapshot, 0);
    solo_message(&solo, solo_refuse(3, 1, 4, 0, 0));
    assert_int_equal(offers(&solo), 0);
    beat(&solo);
    assert_int_equal(offers(&solo), 1);
    assert_non_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    solo_stop(&solo);
}

/* Its acknowledgement may be lost; the answer to a heartbeat says the same. */
static void after_a_success_a_heartbeat_passes_before_it_is_offered_again(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    assert_int_equal(ended(&solo, 3, true), LASH_OK);
    beat(&solo);
    assert_int_equal(offers(&solo), 0);
    solo_message(&solo, solo_refuse(3, 1, 4, 0, 0));
    beat(&solo);
    assert_int_equal(offers(&solo), 1);
    solo_stop(&solo);
}

static void its_acknowledgement_resumes_replication_behind_it(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    solo_message(&solo, solo_accept(3, 1, 5, 0));
    assert_int_equal(progress_of(&solo, 2)->state, LASH_REPLICATE);
    assert_int_equal(progress_of(&solo, 2)->match, 5);
    const struct lash_send *send = solo_sent(&solo, LASH_MSG_APPEND, 3);
    assert_non_null(send);
    assert_int_equal(send->message.append.first, 6);
    assert_int_equal(send->message.append.last, 6);
    /* The driver has yet to say that it is done. */
    assert_int_equal(progress_of(&solo, 2)->snapshot, 1);
    ended(&solo, 3, true);
    assert_int_equal(progress_of(&solo, 2)->snapshot, 0);
    solo_stop(&solo);
}

static void an_acknowledgement_of_an_older_snapshot_does_no_harm(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 3);
    /* Meanwhile more is compacted: what was sent does not reach the log any more. */
    assert_int_equal(lash_raft_compact(solo.raft, 5), LASH_OK);
    solo_message(&solo, solo_accept(3, 1, 3, 0));
    assert_int_equal(progress_of(&solo, 2)->state, LASH_SNAPSHOT);
    assert_int_equal(progress_of(&solo, 2)->match, 3);
    ended(&solo, 3, true);
    beat(&solo);
    solo_message(&solo, solo_refuse(3, 1, 5, 3, 1));
    beat(&solo);
    const struct lash_send *send = solo_sent(&solo, LASH_MSG_SNAPSHOT, 3);
    assert_non_null(send);
    assert_int_equal(send->message.snapshot.last_index, 5);
    solo_message(&solo, solo_accept(3, 1, 5, 0));
    assert_int_equal(progress_of(&solo, 2)->state, LASH_REPLICATE);
    /* L7: that of the older one comes once more, late. */
    solo_message(&solo, solo_accept(3, 1, 3, 0));
    assert_int_equal(progress_of(&solo, 2)->state, LASH_REPLICATE);
    assert_int_equal(progress_of(&solo, 2)->match, 5);
    solo_stop(&solo);
}

static void a_member_that_does_not_answer_is_offered_nothing(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 4);
    for (int i = 0; i < 20; i++) {
        beat(&solo);
        assert_int_equal(offers(&solo), 0);
    }
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    solo_message(&solo, solo_refuse(3, 1, 4, 0, 0));
    assert_int_equal(offers(&solo), 1);
    ended(&solo, 3, false);
    for (int i = 0; i < 20; i++)
        beat(&solo);
    ended(&solo, 3, false);
    beat(&solo);
    assert_int_equal(offers(&solo), 0);
    solo_stop(&solo);
}

static void a_full_member_is_offered_one_once_it_has_room(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    struct lash_message full = solo_accept(3, 1, 0, 0);
    full.append_reply.full = true;
    solo_message(&solo, full);
    ended(&solo, 3, false);
    beat(&solo);
    solo_message(&solo, full);
    beat(&solo);
    assert_int_equal(offers(&solo), 0);
    solo_message(&solo, solo_refuse(3, 1, 4, 0, 0));
    assert_int_equal(offers(&solo), 1);
    solo_stop(&solo);
}

/* P3: of one step a member may get the answer to its read, the next round and an offer. */
static void all_members_of_the_largest_group_are_offered_one_at_once(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.members = LASH_RAFT_MEMBERS_MAX,
                                           .learners = LASH_RAFT_MEMBERS_MAX - 1,
                                           .term = 1,
                                           .log = SOLO_LOG(1, 1, 1),
                                           .floor = 3});
    solo_timeout(&solo);
    solo_written(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    lash_term term = solo_status(&solo).term;
    for (lash_id id = 2; id <= LASH_RAFT_MEMBERS_MAX; id++) {
        solo_message(&solo, solo_refuse(id, term, 3, 0, 0));
        solo_message(&solo, solo_read_request(id, term, id));
    }
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), 0);
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    solo_written(&solo);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), LASH_RAFT_MEMBERS_MAX - 1);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_APPEND), LASH_RAFT_MEMBERS_MAX - 1);
    assert_int_equal(offers(&solo), LASH_RAFT_MEMBERS_MAX - 1);
    solo_stop(&solo);
}

static void what_ended_without_an_offer_means_nothing(void **state) {
    (void)state;
    struct solo solo;
    lead(&solo, 4);
    beat(&solo);
    uint64_t before = lash_raft_hash(solo.raft);
    assert_int_equal(ended(&solo, 3, true), LASH_OK);
    assert_int_equal(ended(&solo, 1, true), LASH_OK);
    assert_int_equal(ended(&solo, 77, false), LASH_OK);
    assert_true(lash_raft_hash(solo.raft) == before);
    solo_message(&solo, solo_append(&solo, 2, 9, 0, 0, 0, NULL));
    assert_int_equal(ended(&solo, 3, true), LASH_OK);
    solo_stop(&solo);
}

static void a_new_leadership_knows_of_no_offers(void **state) {
    (void)state;
    struct solo solo;
    lead_and_offer(&solo, 4);
    solo_message(&solo, solo_append(&solo, 2, 2, 0, 0, 0, NULL));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_written(&solo);
    solo_lead(&solo);
    assert_int_equal(progress_of(&solo, 2)->snapshot, 0);
    solo_message(&solo, solo_refuse(3, 3, progress_of(&solo, 2)->next - 1, 0, 0));
    assert_int_equal(offers(&solo), 1);
    solo_stop(&solo);
}

/* ---- Who wants it ------------------------------------------------------------------------------ */

static struct lash_message offer(lash_id from, lash_term term, lash_index index, lash_term last_term) {
    struct lash_message message = {.type = LASH_MSG_SNAPSHOT, .from = from, .term = term};
    message.snapshot.last_index = index;
    message.snapshot.last_term = last_term;
    return message;
}

static const struct lash_message *answer(const struct solo *solo) {
    const struct lash_send *send = solo_sent(solo, LASH_MSG_APPEND_REPLY, 3);
    assert_non_null(send);
    return &send->message;
}

static void who_lacks_what_it_covers_asks_for_it(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 1, 2)});
    solo_message(&solo, offer(3, 4, 9, 3));
    assert_true(solo.out.install);
    assert_false(solo.out.reset);
    assert_int_equal(solo.out.install_from, 3);
    assert_int_equal(solo.out.snapshot_index, 9);
    assert_int_equal(solo.out.snapshot_term, 3);
    /* Nothing is promised yet, and nothing dropped. */
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_APPEND_REPLY), 0);
    assert_string_equal(solo_log(&solo), "1 1 2");
    assert_int_equal(solo_status(&solo).leader, 3);
    assert_int_equal(solo_status(&solo).term, 4);
    /* Said anew with each offer. */
    solo_message(&solo, offer(3, 4, 9, 3));
    assert_true(solo.out.install);
    solo_stop(&solo);
}

/* §5.2: it is a sign of life of the leader like any other. */
static void an_offer_holds_an_election_off(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2});
    solo_message(&solo, offer(3, 2, 9, 2));
    for (int i = 0; i < 20; i++) {
        solo.now_ms += 900;
        solo_message(&solo, offer(3, 2, 9, 2));
        solo_tick(&solo);
        assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    }
    solo_stop(&solo);
}

static void who_committed_as_far_does_not_want_it(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 1, 2), .floor = 2});
    solo_message(&solo, offer(3, 2, 2, 1));
    assert_false(solo.out.install);
    assert_true(answer(&solo)->append_reply.success);
    assert_int_equal(answer(&solo)->append_reply.match, 2);
    solo_message(&solo, offer(3, 2, 1, 1));
    assert_false(solo.out.install);
    assert_int_equal(answer(&solo)->append_reply.match, 2);
    solo_stop(&solo);
}

/* L7: what is committed need not be on this disk yet. */
static void it_acknowledges_only_what_is_durable(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1)});
    solo_message(&solo, solo_append(&solo, 3, 2, 1, 1, 4, SOLO_LOG(2, 2, 2)));
    assert_int_equal(solo.out.commit, 4);
    solo_message(&solo, offer(3, 2, 4, 2));
    assert_int_equal(answer(&solo)->append_reply.match, 1);
    solo_written(&solo);
    solo_message(&solo, offer(3, 2, 4, 2));
    assert_int_equal(answer(&solo)->append_reply.match, 4);
    solo_stop(&solo);
}

/* §5.3, Log Matching: what it covers is here, and now known to be committed. */
static void who_holds_its_last_entry_does_not_want_it(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 1, 2, 2)});
    solo_message(&solo, offer(3, 2, 3, 2));
    assert_false(solo.out.install);
    assert_int_equal(solo.out.commit, 3);
    assert_int_equal(answer(&solo)->append_reply.match, 3);
    assert_string_equal(solo_log(&solo), "1 1 2 2");
    solo_stop(&solo);
}

static void who_holds_another_entry_there_wants_it(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 3, .log = SOLO_LOG(1, 1, 3, 3)});
    solo_message(&solo, offer(3, 4, 3, 2));
    assert_true(solo.out.install);
    assert_int_equal(solo.out.commit, 0);
    solo_stop(&solo);
}

static void an_offer_of_an_older_term_is_refused(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 5});
    solo_message(&solo, offer(3, 4, 9, 3));
    assert_false(solo.out.install);
    assert_false(answer(&solo)->append_reply.success);
    assert_int_equal(answer(&solo)->term, 5);
    assert_int_equal(answer(&solo)->append_reply.round, 0);
    assert_int_equal(solo_status(&solo).leader, 0);
    solo_stop(&solo);
}

static void only_the_terms_leader_is_heard(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 5});
    solo_message(&solo, solo_append(&solo, 2, 5, 0, 0, 0, NULL));
    solo_message(&solo, offer(3, 5, 9, 3));
    assert_false(solo.out.install);
    assert_int_equal(solo.send_count, 0);
    assert_int_equal(solo_status(&solo).leader, 2);
    /* It may be one of a configuration yet to be learnt (D§4.1). */
    solo_message(&solo, offer(9, 6, 9, 3));
    assert_true(solo.out.install);
    assert_int_equal(solo_status(&solo).leader, 9);
    solo_stop(&solo);
}

static void a_full_disk_wants_none(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2, .log = SOLO_LOG(1, 1), .floor = 1});
    struct lash_event event = {.type = LASH_EVENT_ROOM};
    event.room.full = true;
    solo_step(&solo, &event);
    solo_message(&solo, offer(3, 2, 9, 2));
    assert_false(solo.out.install);
    assert_true(answer(&solo)->append_reply.success && answer(&solo)->append_reply.full);
    assert_int_equal(answer(&solo)->append_reply.match, 1);
    solo_stop(&solo);
}

static void an_offer_that_cannot_be_right_is_ignored(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2});
    uint64_t before = lash_raft_hash(solo.raft);
    solo_message(&solo, offer(3, 2, 0, 2));
    solo_message(&solo, offer(3, 2, 9, 0));
    solo_message(&solo, offer(3, 2, 9, 3));
    solo_message(&solo, offer(3, 2, UINT64_MAX, 2));
    solo_message(&solo, offer(0, 2, 9, 2));
    assert_int_equal(solo.send_count, 0);
    assert_true(lash_raft_hash(solo.raft) == before);
    solo_stop(&solo);
}

/* ---- Installed --------------------------------------------------------------------------------- */

static int install_with(struct solo *solo, lash_index index, lash_term term,
                        const struct lash_configuration *configuration) {
    struct lash_event event = {.type = LASH_EVENT_INSTALLED};
    event.installed.index = index;
    event.installed.term = term;
    event.installed.configuration = configuration;
    return solo_step(solo, &event);
}

static int install(struct solo *solo, lash_index index, lash_term term) {
    return install_with(solo, index, term, NULL);
}

/* Follower n1 of n3 in `term`, with this log. */
static void follow(struct solo *solo, lash_term term, const lash_term *log) {
    solo_start(solo, &(struct solo_start){.term = term, .log = log});
    solo_message(solo, solo_append(solo, 3, term, 0, 0, 0, NULL));
}

/* Else the leader takes the disk for one that is well again. */
static void the_answer_says_what_the_disk_is_like(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1, 1, 2));
    struct lash_event event = {.type = LASH_EVENT_SLOW};
    event.slow.slow = true;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(install(&solo, 9, 3), LASH_OK);
    assert_true(answer(&solo)->append_reply.slow && !answer(&solo)->append_reply.full);
    event = (struct lash_event){.type = LASH_EVENT_SLOW};
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    event = (struct lash_event){.type = LASH_EVENT_ROOM};
    event.room.full = true;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_int_equal(install(&solo, 10, 3), LASH_OK);
    assert_true(answer(&solo)->append_reply.full && !answer(&solo)->append_reply.slow);
    solo_stop(&solo);
}

static void the_whole_log_gives_way_to_it(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1, 1, 2));
    assert_int_equal(install(&solo, 9, 3), LASH_OK);
    struct lash_raft_status status = solo_status(&solo);
    assert_int_equal(status.first_index, 10);
    assert_int_equal(status.last_index, 9);
    assert_int_equal(status.last_term, 3);
    assert_int_equal(status.commit, 9);
    assert_int_equal(status.applied, 9);
    assert_int_equal(status.durable_index, 9);
    /* The log on disk follows, in its turn. */
    assert_true(solo.out.reset && solo.out.write == 1 && !solo.out.append && !solo.out.save_vote);
    assert_int_equal(solo.out.snapshot_index, 9);
    assert_int_equal(solo.out.snapshot_term, 3);
    /* The snapshot is durable: it is acknowledged at once. */
    const struct lash_send *send = solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3);
    assert_int_equal(send->after_write, 0);
    assert_true(send->message.append_reply.success);
    assert_int_equal(send->message.append_reply.match, 9);
    /* And the log goes on behind it. */
    solo_message(&solo, solo_append(&solo, 3, 4, 9, 3, 9, SOLO_LOG(4, 4)));
    assert_int_equal(solo.out.append_first, 10);
    assert_int_equal(solo.out.write, 2);
    assert_string_equal(solo_log(&solo), "4 4");
    solo_written(&solo);
    assert_int_equal(solo_status(&solo).durable_index, 11);
    solo_stop(&solo);
}

static void a_suffix_behind_its_last_entry_stays(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1, 1, 3, 3, 4));
    assert_int_equal(install(&solo, 3, 3), LASH_OK);
    assert_false(solo.out.reset);
    assert_int_equal(solo.out.write, 0);
    assert_string_equal(solo_log(&solo), "1 1 3 3 4");
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_int_equal(solo_status(&solo).applied, 3);
    assert_int_equal(answer(&solo)->append_reply.match, 3);
    /* What the snapshot covers can go now. */
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    assert_string_equal(solo_log(&solo), "3 4");
    solo_stop(&solo);
}

static void a_suffix_behind_another_entry_goes(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 5, SOLO_LOG(1, 1, 4, 4, 4));
    assert_int_equal(install(&solo, 3, 3), LASH_OK);
    assert_true(solo.out.reset);
    assert_int_equal(solo_status(&solo).first_index, 4);
    assert_int_equal(solo_status(&solo).last_index, 3);
    assert_int_equal(solo_status(&solo).last_term, 3);
    solo_stop(&solo);
}

/* L5, S3. */
static void an_older_one_changes_nothing(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1, 1));
    assert_int_equal(install(&solo, 9, 3), LASH_OK);
    solo_message(&solo, solo_append(&solo, 3, 4, 9, 3, 10, SOLO_LOG(4, 4)));
    solo_written(&solo);
    uint64_t before = lash_raft_hash(solo.raft);
    assert_int_equal(install(&solo, 5, 2), LASH_OK);
    assert_int_equal(install(&solo, 9, 3), LASH_OK);
    assert_false(solo.out.reset);
    assert_true(lash_raft_hash(solo.raft) == before);
    assert_int_equal(solo.out.commit, 10);
    assert_int_equal(answer(&solo)->append_reply.match, 10);
    solo_stop(&solo);
}

static void what_contradicts_the_committed_is_refused(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 4, .log = SOLO_LOG(1, 1, 3), .floor = 2});
    uint64_t before = lash_raft_hash(solo.raft);
    assert_int_equal(install(&solo, 2, 3), LASH_INVALID);
    assert_int_equal(install(&solo, 0, 1), LASH_INVALID);
    assert_int_equal(install(&solo, 9, 0), LASH_INVALID);
    assert_int_equal(install(&solo, 9, 5), LASH_INVALID); /* no leader of such a term was ever heard of */
    assert_int_equal(install(&solo, UINT64_MAX, 3), LASH_INVALID);
    struct lash_configuration configuration = {.index = 10, .count = 1, .members = {{.id = 1, .flags = 1}}};
    assert_int_equal(install_with(&solo, 9, 3, &configuration), LASH_INVALID);
    configuration = (struct lash_configuration){.index = 3};
    assert_int_equal(install_with(&solo, 9, 3, &configuration), LASH_INVALID);
    assert_true(lash_raft_hash(solo.raft) == before);
    solo_stop(&solo);
}

/* Leader Completeness (§5.4.3): it was asked for before the office was won. */
static void a_leader_has_no_use_for_one(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.log = SOLO_LOG(1, 1), .term = 1});
    solo_lead(&solo);
    uint64_t before = lash_raft_hash(solo.raft);
    assert_int_equal(install(&solo, 2, 1), LASH_OK);
    assert_int_equal(solo.send_count, 0);
    assert_true(lash_raft_hash(solo.raft) == before);
    assert_int_equal(install(&solo, 9, 1), LASH_INVALID);
    solo_stop(&solo);
}

/* Its log was another when it asked for votes. */
static void a_candidate_steps_back(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 3, .log = SOLO_LOG(1)});
    solo_timeout(&solo);
    solo_message(&solo, solo_pre_vote_reply(2, 4, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    assert_int_equal(install(&solo, 9, 3), LASH_OK);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).vote, 1);
    assert_int_equal(solo.send_count, 0);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(2, 4, true));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_stop(&solo);
}

/* D§4.2.2: it stood only as long as its removal was not known to be committed; the snapshot says that it is. */
static void a_candidate_learns_from_it_that_it_is_removed(void **state) {
    (void)state;
    struct solo solo;
    struct lash_run runs[] = {{.first = 2, .term = 4, .count = 1, .kind = LASH_ENTRY_CONFIGURATION},
                              {.first = 3, .term = 4, .count = 1}};
    struct lash_configuration without = {.index = 2, .count = 2};
    without.members[0] = (struct lash_member){.id = 2, .flags = LASH_MEMBER_VOTER};
    without.members[1] = (struct lash_member){.id = 3, .flags = LASH_MEMBER_VOTER};
    follow(&solo, 4, SOLO_LOG(1));
    struct lash_message append = solo_append(&solo, 3, 4, 1, 1, 0, NULL);
    append.append.runs = runs;
    append.append.run_count = 2;
    append.append.configurations = &without;
    append.append.configuration_count = 1;
    solo_message(&solo, append);
    solo_written(&solo);
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_PRE_CANDIDATE);
    assert_int_equal(install(&solo, 3, 4), LASH_OK);
    assert_int_equal(solo_status(&solo).commit, 3);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    solo_message(&solo, solo_pre_vote_reply(2, 5, true));
    solo_message(&solo, solo_pre_vote_reply(3, 5, true));
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_status(&solo).term, 4);
    solo_stop(&solo);
}

/* Figure 2: no answer speaks for a term that is not on disk. */
static void the_acknowledgement_waits_for_the_term(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 2});
    solo_message(&solo, offer(3, 4, 9, 3));
    assert_true(solo.out.save_vote);
    uint64_t write = solo.out.write;
    assert_int_equal(install(&solo, 9, 3), LASH_OK);
    assert_int_equal(solo_sent(&solo, LASH_MSG_APPEND_REPLY, 3)->after_write, write);
    solo_stop(&solo);
}

/* A write from before comes to an end after the same index has come back from the leader: that is another write's. */
static void a_write_of_the_dropped_log_vouches_for_nothing(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1, 1, 2));
    solo_message(&solo, solo_append(&solo, 3, 4, 3, 2, 0, SOLO_LOG(4, 4, 4, 4, 4)));
    struct lash_event old = {.type = LASH_EVENT_WRITTEN};
    old.written.write = solo.writes;
    old.written.index = solo.write_last;
    old.written.term = solo.write_term;
    assert_int_equal(old.written.index, 8);
    assert_int_equal(install(&solo, 6, 3), LASH_OK);
    assert_true(solo.out.reset);
    solo_message(&solo, solo_append(&solo, 3, 4, 6, 3, 0, SOLO_LOG(4, 4)));
    assert_string_equal(solo_log(&solo), "4 4");
    assert_int_equal(solo_step(&solo, &old), LASH_OK);
    assert_int_equal(solo_status(&solo).durable_index, 6);
    solo_written(&solo);
    assert_int_equal(solo_status(&solo).durable_index, 8);
    solo_stop(&solo);
}

/* The snapshot stands in for entries that are yet to be written. */
static void what_it_covers_counts_as_durable(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1));
    solo_message(&solo, solo_append(&solo, 3, 4, 1, 1, 0, SOLO_LOG(4, 4, 4)));
    assert_int_equal(solo_status(&solo).durable_index, 1);
    assert_int_equal(install(&solo, 3, 4), LASH_OK);
    assert_int_equal(solo_status(&solo).durable_index, 3);
    assert_string_equal(solo_log(&solo), "1 4 4 4");
    assert_int_equal(answer(&solo)->append_reply.match, 3);
    solo_stop(&solo);
}

/* C4. */
static void its_membership_counts_unless_the_log_goes_on(void **state) {
    (void)state;
    struct solo solo;
    struct lash_configuration five = {.index = 7, .count = 5};
    for (uint32_t i = 0; i < five.count; i++)
        five.members[i] = (struct lash_member){.id = i + 1, .flags = LASH_MEMBER_VOTER};
    follow(&solo, 4, SOLO_LOG(1, 1, 2));
    assert_int_equal(install_with(&solo, 9, 3, &five), LASH_OK);
    assert_int_equal(solo_status(&solo).configuration.count, 5);
    assert_int_equal(solo_status(&solo).configuration.index, 7);
    solo_stop(&solo);
    follow(&solo, 4, SOLO_LOG(1, 1, 2, 2, 2, 2, 2, 2, 3, 3));
    assert_int_equal(install_with(&solo, 9, 3, &five), LASH_OK);
    assert_int_equal(solo_status(&solo).configuration.count, 3);
    solo_stop(&solo);
}

/* C4: a configuration of the log that goes does not outlive it, whether it came before or after the snapshot's. */
static void its_membership_replaces_one_that_was_not_committed(void **state) {
    (void)state;
    struct solo solo;
    struct lash_run run = {.first = 2, .term = 4, .count = 1, .kind = LASH_ENTRY_CONFIGURATION};
    struct lash_configuration two = {.index = 2, .count = 2};
    two.members[0] = (struct lash_member){.id = 1, .flags = LASH_MEMBER_VOTER};
    two.members[1] = (struct lash_member){.id = 2, .flags = LASH_MEMBER_VOTER};
    struct lash_configuration three = two;
    three.members[three.count++] = (struct lash_member){.id = 4, .flags = LASH_MEMBER_VOTER};
    for (lash_index index = 1; index < 4; index += 2) {
        follow(&solo, 4, SOLO_LOG(1));
        struct lash_message append = solo_append(&solo, 3, 4, 1, 1, 0, NULL);
        append.append.runs = &run;
        append.append.run_count = 1;
        append.append.configurations = &two;
        append.append.configuration_count = 1;
        solo_message(&solo, append);
        assert_int_equal(solo_status(&solo).configuration.index, 2);
        three.index = index;
        solo_message(&solo, offer(2, 5, 9, 5));
        assert_int_equal(install_with(&solo, 9, 5, &three), LASH_OK);
        assert_int_equal(solo_status(&solo).configuration.index, index);
        assert_int_equal(solo_status(&solo).configuration.count, 3);
        /* What was cut off with it does not come back when the log is cut again. */
        solo_message(&solo, solo_append(&solo, 2, 5, 9, 5, 0, SOLO_LOG(5)));
        solo_message(&solo, solo_append(&solo, 4, 6, 9, 5, 0, SOLO_LOG(6)));
        assert_string_equal(solo_log(&solo), "6");
        assert_int_equal(solo_status(&solo).configuration.index, index);
        solo_stop(&solo);
    }
}

/* A restart before it was installed: the log is what it was, and the leader's next entries do not fit it. */
static void entries_behind_one_that_was_not_installed_are_refused(void **state) {
    (void)state;
    struct solo solo;
    follow(&solo, 4, SOLO_LOG(1, 1, 2));
    solo_message(&solo, solo_append(&solo, 3, 4, 9, 3, 9, SOLO_LOG(4)));
    assert_false(answer(&solo)->append_reply.success);
    assert_string_equal(solo_log(&solo), "1 1 2");
    assert_int_equal(solo.out.commit, 0);
    solo_stop(&solo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_lacks_what_was_compacted_is_offered_a_snapshot),
        cmocka_unit_test(nobody_is_offered_two_at_once),
        cmocka_unit_test(heartbeats_go_on_meanwhile),
        cmocka_unit_test(after_a_failure_it_is_offered_again_with_the_next_heartbeat),
        cmocka_unit_test(after_a_success_a_heartbeat_passes_before_it_is_offered_again),
        cmocka_unit_test(its_acknowledgement_resumes_replication_behind_it),
        cmocka_unit_test(an_acknowledgement_of_an_older_snapshot_does_no_harm),
        cmocka_unit_test(a_member_that_does_not_answer_is_offered_nothing),
        cmocka_unit_test(a_full_member_is_offered_one_once_it_has_room),
        cmocka_unit_test(all_members_of_the_largest_group_are_offered_one_at_once),
        cmocka_unit_test(what_ended_without_an_offer_means_nothing),
        cmocka_unit_test(a_new_leadership_knows_of_no_offers),
        cmocka_unit_test(who_lacks_what_it_covers_asks_for_it),
        cmocka_unit_test(an_offer_holds_an_election_off),
        cmocka_unit_test(who_committed_as_far_does_not_want_it),
        cmocka_unit_test(it_acknowledges_only_what_is_durable),
        cmocka_unit_test(who_holds_its_last_entry_does_not_want_it),
        cmocka_unit_test(who_holds_another_entry_there_wants_it),
        cmocka_unit_test(an_offer_of_an_older_term_is_refused),
        cmocka_unit_test(only_the_terms_leader_is_heard),
        cmocka_unit_test(a_full_disk_wants_none),
        cmocka_unit_test(an_offer_that_cannot_be_right_is_ignored),
        cmocka_unit_test(the_answer_says_what_the_disk_is_like),
        cmocka_unit_test(the_whole_log_gives_way_to_it),
        cmocka_unit_test(a_suffix_behind_its_last_entry_stays),
        cmocka_unit_test(a_suffix_behind_another_entry_goes),
        cmocka_unit_test(an_older_one_changes_nothing),
        cmocka_unit_test(what_contradicts_the_committed_is_refused),
        cmocka_unit_test(a_leader_has_no_use_for_one),
        cmocka_unit_test(a_candidate_steps_back),
        cmocka_unit_test(a_candidate_learns_from_it_that_it_is_removed),
        cmocka_unit_test(the_acknowledgement_waits_for_the_term),
        cmocka_unit_test(a_write_of_the_dropped_log_vouches_for_nothing),
        cmocka_unit_test(what_it_covers_counts_as_durable),
        cmocka_unit_test(its_membership_counts_unless_the_log_goes_on),
        cmocka_unit_test(its_membership_replaces_one_that_was_not_committed),
        cmocka_unit_test(entries_behind_one_that_was_not_installed_are_refused),
    };
    return cmocka_run_group_tests_name("snapshots", tests, NULL, NULL);
}
