/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's contract with its driver, as lash/raft.h states it.
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

/* ---- Creation ---------------------------------------------------------------------------------- */

static struct lash_raft_options good_options(void) {
    return (struct lash_raft_options){.id = 1, .terms_max = 4};
}

static struct lash_raft_saved good_saved(void) {
    struct lash_raft_saved saved = {.term = 3, .vote = 2, .first_index = 1};
    saved.configuration.count = 1;
    saved.configuration.members[0] = (struct lash_member){.id = 1, .flags = LASH_MEMBER_VOTER};
    return saved;
}

static int try_init(struct lash_raft_options options, struct lash_raft_saved saved) {
    struct lash_raft_options sized = good_options();
    void *block = calloc(1, lash_raft_size(&sized));
    struct lash_raft *raft = NULL;
    int error = lash_raft_init(block, &options, &saved, 0, &raft);
    free(block);
    return error;
}

static void a_good_start_is_taken(void **state) {
    (void)state;
    assert_int_equal(try_init(good_options(), good_saved()), LASH_OK);
}

static void options_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct lash_raft_options options = good_options();
    options.id = 0;
    assert_int_equal(try_init(options, good_saved()), LASH_INVALID);
    assert_int_equal(lash_raft_size(&options), 0);
    options = good_options();
    options.heartbeat_ms = 500;
    options.election_ms = 500;
    assert_int_equal(try_init(options, good_saved()), LASH_INVALID);
    options = good_options();
    options.reads_max = UINT32_MAX;
    assert_int_equal(try_init(options, good_saved()), LASH_INVALID);
    options = good_options();
    options.inflight_bytes_max = UINT64_MAX;
    assert_int_equal(try_init(options, good_saved()), LASH_INVALID);
}

static void logs_that_cannot_be_are_refused(void **state) {
    (void)state;
    const struct {
        lash_index first_index;
        lash_term prev_term;
        lash_index floor;
        struct lash_run runs[2];
    } cases[] = {
        {0, 0, 0, {{1, 1, 1, 0}, {2, 1, 1, 0}}}, /* no index 0 */
        {1, 1, 0, {{1, 1, 1, 0}, {2, 1, 1, 0}}}, /* a term before the first entry */
        {5, 0, 4, {{5, 1, 1, 0}, {6, 1, 1, 0}}}, /* a compacted index without a term */
        {1, 0, 0, {{2, 1, 1, 0}, {3, 1, 1, 0}}}, /* a gap before */
        {1, 0, 0, {{1, 1, 1, 0}, {3, 1, 1, 0}}}, /* a gap within */
        {1, 0, 0, {{1, 2, 1, 0}, {2, 1, 1, 0}}}, /* a falling term */
        {1, 0, 0, {{1, 0, 1, 0}, {2, 1, 1, 0}}}, /* an entry of term 0 */
        {1, 0, 0, {{1, 1, 0, 0}, {1, 1, 1, 0}}}, /* a run of nothing */
        {1, 0, 0, {{1, 1, 1, 0}, {2, 4, 1, 0}}}, /* an entry of a term to come */
        {1, 0, 3, {{1, 1, 1, 0}, {2, 1, 1, 0}}}, /* committed beyond the log */
        {5, 1, 3, {{5, 1, 1, 0}, {6, 1, 1, 0}}}, /* not committed, yet compacted */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lash_raft_saved saved = good_saved();
        saved.first_index = cases[i].first_index;
        saved.prev_term = cases[i].prev_term;
        saved.commit_floor = cases[i].floor;
        saved.runs = cases[i].runs;
        saved.run_count = 2;
        assert_int_equal(try_init(good_options(), saved), LASH_INVALID);
    }
    struct lash_raft_saved saved = good_saved();
    saved.configuration.count = 0;
    saved.configuration.index = 1;
    assert_int_equal(try_init(good_options(), saved), LASH_INVALID);
    saved = good_saved();
    saved.term = 0;
    assert_int_equal(try_init(good_options(), saved), LASH_INVALID);
}

static void a_log_of_too_many_terms_does_not_fit(void **state) {
    (void)state;
    struct lash_run runs[5];
    for (uint32_t i = 0; i < 5; i++)
        runs[i] = (struct lash_run){.first = i + 1, .term = i + 1, .count = 1};
    struct lash_raft_saved saved = good_saved();
    saved.term = 5;
    saved.runs = runs;
    saved.run_count = 5;
    assert_int_equal(try_init(good_options(), saved), LASH_FULL);
    saved.run_count = 4;
    assert_int_equal(try_init(good_options(), saved), LASH_OK);
}

static void a_core_starts_as_a_follower_with_what_was_saved(void **state) {
    (void)state;
    begin((struct solo_start){.term = 7, .vote = 3, .log = SOLO_LOG(1, 1, 5), .floor = 2});
    struct lash_raft_status status = solo_status(&solo);
    assert_int_equal(status.role, LASH_FOLLOWER);
    assert_int_equal(status.term, 7);
    assert_int_equal(status.vote, 3);
    assert_int_equal(status.leader, 0);
    assert_int_equal(status.last_index, 3);
    assert_int_equal(status.last_term, 5);
    assert_int_equal(status.durable_index, 3);
    assert_int_equal(status.commit, 2);
    assert_int_equal(status.applied, 2);
    assert_int_equal(status.configuration.count, 3);
    assert_int_equal(status.progress_count, 0);
}

/* ---- The block --------------------------------------------------------------------------------- */

static void a_copy_goes_the_same_way(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .log = SOLO_LOG(1)});
    solo_lead(&solo);
    solo_propose(&solo, 3);
    solo_read(&solo, 5);
    size_t size = lash_raft_size(&solo.options);
    void *block = malloc(size);
    assert_non_null(block);
    memcpy(block, solo.block, size);
    struct lash_event event = {.type = LASH_EVENT_MESSAGE, .now_ms = solo.now_ms + 5};
    event.message = solo_accept(2, 2, 5, 1);
    event.message.to = 1;
    struct lash_outputs one, two;
    memset(&one, 0xa5, sizeof one); /* the room for messages behind the last one is not touched */
    memset(&two, 0xa5, sizeof two);
    assert_int_equal(lash_raft_step(solo.raft, &event, &one), LASH_OK);
    assert_int_equal(lash_raft_step(block, &event, &two), LASH_OK);
    assert_memory_equal(solo.block, block, size);
    assert_int_equal(one.reads_done_count, 1);
    assert_int_equal(two.reads_done[0].context, 5);
    one.reads_done = two.reads_done = NULL;
    assert_memory_equal(&one, &two, sizeof one);
    assert_true(lash_raft_hash(solo.raft) == lash_raft_hash(block));
    free(block);
}

static void equal_states_are_equal_bytes_whatever_went_before(void **state) {
    (void)state;
    /* One follower gets its log at once, the other by way of entries that it had to drop again. */
    struct solo other;
    begin((struct solo_start){.term = 4});
    solo_start(&other, &(struct solo_start){.term = 4});
    solo_message(&solo, solo_append(&solo, 2, 4, 0, 0, 0, SOLO_LOG(1, 2, 3)));
    solo_written(&solo);
    solo_message(&other, solo_append(&other, 2, 4, 0, 0, 0, SOLO_LOG(1, 1, 1)));
    solo_written(&other);
    solo_message(&solo, solo_append(&solo, 2, 4, 3, 3, 0, SOLO_LOG(4)));
    solo_message(&other, solo_append(&other, 2, 4, 1, 1, 0, SOLO_LOG(2, 3, 4)));
    solo_written(&solo);
    solo_written(&other);
    assert_string_equal(solo_log(&solo), solo_log(&other));
    assert_memory_equal(solo.block, other.block, lash_raft_size(&solo.options));
    solo_stop(&other);
}

static void a_hash_tells_states_apart(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4});
    uint64_t before = lash_raft_hash(solo.raft);
    solo_message(&solo, solo_append(&solo, 2, 4, 0, 0, 0, NULL));
    assert_false(lash_raft_hash(solo.raft) == before);
}

static void a_full_term_table_grows_and_the_same_event_goes_through(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4, .terms_max = 2, .log = SOLO_LOG(1, 2)});
    uint64_t before = lash_raft_hash(solo.raft);
    struct lash_message append = solo_append(&solo, 2, 4, 2, 2, 0, SOLO_LOG(3, 4));
    assert_int_equal(solo_message(&solo, append), LASH_FULL);
    assert_true(lash_raft_hash(solo.raft) == before);
    assert_int_equal(solo.out.send_count, 0);
    assert_int_equal(solo.out.write, 0);

    struct lash_raft_options options = solo.options;
    options.terms_max = 4;
    void *block = malloc(lash_raft_size(&options));
    assert_non_null(block);
    struct lash_raft *grown = NULL;
    assert_int_equal(lash_raft_grow(solo.raft, 1, block, &grown), LASH_INVALID);
    assert_int_equal(lash_raft_grow(solo.raft, 4, block, &grown), LASH_OK);
    free(solo.block);
    solo.block = block;
    solo.raft = grown;
    solo.options = options;
    assert_int_equal(solo_message(&solo, append), LASH_OK);
    assert_string_equal(solo_log(&solo), "1 2 3 4");
}

static void an_election_is_not_won_without_room_for_the_no_op(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4, .terms_max = 2, .log = SOLO_LOG(1, 2), .no_pre_vote = true});
    solo_timeout(&solo);
    assert_int_equal(solo_written(&solo), LASH_FULL);
    assert_int_equal(solo_message(&solo, solo_vote_reply(2, 5, true)), LASH_FULL);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
}

static void reads_released_outlive_what_was_sent(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1});
    solo_lead(&solo);
    solo_read(&solo, 5);
    solo_propose(&solo, 1);
    solo_message(&solo, solo_accept(3, 2, 0, 1));
    /* The answer of n3 led to entries for it, and those to an event between. */
    assert_non_null(solo_sent(&solo, LASH_MSG_APPEND, 3));
    assert_int_equal(solo.out.reads_done_count, 1);
    assert_int_equal(solo.out.reads_done[0].context, 5);
}

/* ---- Events outside the contract --------------------------------------------------------------- */

static void a_refused_event_changes_nothing(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1, .reads_max = 1});
    solo_lead(&solo);
    solo_read(&solo, 1);
    struct lash_event events[] = {
        {.type = 0},
        {.type = 99},
        {.type = LASH_EVENT_WRITTEN, .written = {.write = 99}},
        {.type = LASH_EVENT_WRITTEN, .written = {.write = 0}},
        {.type = LASH_EVENT_APPLIED, .applied = {.index = 99}},
        {.type = LASH_EVENT_PROPOSE, .propose = {.kind = LASH_ENTRY_COMMAND, .count = 0}},
        {.type = LASH_EVENT_PROPOSE, .propose = {.kind = LASH_ENTRY_NOOP, .count = 1}},
        {.type = LASH_EVENT_PROPOSE, .propose = {.kind = LASH_ENTRY_CONFIGURATION, .count = 1}},
        {.type = LASH_EVENT_READ, .read = {.context = 0}},
        {.type = LASH_EVENT_SENT, .sent = {.to = 1, .last = 1}},
        {.type = LASH_EVENT_SENT, .sent = {.to = 9, .last = 1}},
        {.type = LASH_EVENT_SENT, .sent = {.to = 2, .last = 99}},
        {.type = LASH_EVENT_SENT, .sent = {.to = 2, .last = 0}},
    };
    uint64_t before = lash_raft_hash(solo.raft);
    solo.now_ms += 50;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        assert_int_equal(solo_step(&solo, &events[i]), LASH_INVALID);
        assert_true(lash_raft_hash(solo.raft) == before);
        assert_int_equal(solo.out.send_count, 0);
        assert_int_equal(solo.out.write, 0);
    }
    assert_int_equal(solo_read(&solo, 2), LASH_BUSY);
    solo.now_ms = UINT64_MAX;
    assert_int_equal(solo_tick(&solo), LASH_INVALID);
    assert_true(lash_raft_hash(solo.raft) == before);
}

static void messages_that_cannot_be_right_are_ignored(void **state) {
    (void)state;
    const struct lash_run gap[] = {{4, 2, 1, 0}, {6, 2, 1, 0}};
    const struct lash_run late[] = {{5, 2, 1, 0}};
    const struct lash_run falling[] = {{4, 3, 1, 0}, {5, 2, 1, 0}};
    const struct lash_run older[] = {{4, 1, 1, 0}};
    const struct lash_run newer[] = {{4, 9, 1, 0}};
    const struct lash_run empty[] = {{4, 2, 0, 0}};
    const struct lash_run zero[] = {{0, 2, 9, 0}};
    const struct {
        const struct lash_run *runs;
        uint32_t count;
        lash_index prev_index;
        lash_term prev_term;
    } appends[] = {{gap, 2, 3, 2},   {late, 1, 3, 2},  {falling, 2, 3, 2}, {older, 1, 3, 2},
                   {newer, 1, 3, 2}, {empty, 1, 3, 2}, {zero, 1, 3, 2},    {NULL, 0, 0, 2},
                   {NULL, 0, 3, 0},  {NULL, 1, 3, 2},  {NULL, 0, 3, 9},    {NULL, 0, UINT64_MAX, 2}};
    begin((struct solo_start){.term = 4, .log = SOLO_LOG(1, 1, 2)});
    uint64_t before = lash_raft_hash(solo.raft);
    for (size_t i = 0; i < sizeof appends / sizeof appends[0]; i++) {
        struct lash_message append = solo_append(&solo, 2, 4, appends[i].prev_index, appends[i].prev_term, 0, NULL);
        append.append.runs = appends[i].runs;
        append.append.run_count = appends[i].count;
        assert_int_equal(solo_message(&solo, append), LASH_OK);
        assert_true(lash_raft_hash(solo.raft) == before);
        assert_int_equal(solo.out.send_count, 0);
    }
    struct lash_message others[] = {solo_vote(1, 5, 9, 4),
                                    solo_vote(0, 5, 9, 4),
                                    solo_vote(2, 0, 9, 0),
                                    solo_vote(2, 5, 9, 6),
                                    solo_vote(2, UINT64_MAX, 9, 4),
                                    solo_vote_reply(9, 9, false),
                                    solo_accept(9, 9, 0, 0),
                                    solo_read_request(9, 9, 1),
                                    {.type = 0, .from = 2, .term = 9},
                                    {.type = 77, .from = 2, .term = 9}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(solo_message(&solo, others[i]), LASH_OK);
        assert_true(lash_raft_hash(solo.raft) == before);
        assert_int_equal(solo.out.send_count, 0);
    }
    struct lash_event event = {.type = LASH_EVENT_MESSAGE, .message = solo_vote(2, 9, 9, 4)};
    event.message.to = 3;
    assert_int_equal(solo_step(&solo, &event), LASH_OK);
    assert_true(lash_raft_hash(solo.raft) == before);
}

static void a_frame_may_begin_before_what_follows(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4, .log = SOLO_LOG(1, 1, 2)});
    const struct lash_run runs[] = {{2, 1, 1, 0}, {3, 2, 2, 0}, {5, 4, 1, 0}};
    struct lash_message append = solo_append(&solo, 2, 4, 3, 2, 0, NULL);
    append.append.runs = runs;
    append.append.run_count = 3;
    solo_message(&solo, append);
    assert_string_equal(solo_log(&solo), "1 1 2 2 4");
    assert_int_equal(solo.out.append_first, 4);
}

/* ---- Time -------------------------------------------------------------------------------------- */

static void time_never_goes_back(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4});
    solo.now_ms = 5000;
    solo_message(&solo, solo_append(&solo, 2, 4, 0, 0, 0, NULL));
    uint64_t deadline = solo.out.deadline_ms;
    solo.now_ms = 10;
    solo_tick(&solo);
    assert_int_equal(solo.out.deadline_ms, deadline);
    solo_message(&solo, solo_append(&solo, 2, 4, 0, 0, 0, NULL));
    assert_in_range(solo.out.deadline_ms, 6000, 6999);
}

static void nodes_with_one_seed_do_not_time_out_together(void **state) {
    (void)state;
    uint64_t same = 0;
    for (lash_id id = 1; id <= 16; id++) {
        struct solo one, two;
        solo_start(&one, &(struct solo_start){.id = id, .members = 16});
        solo_start(&two, &(struct solo_start){.id = id % 16 + 1, .members = 16});
        solo_tick(&one);
        solo_tick(&two);
        assert_in_range(one.out.deadline_ms, 2000, 2999);
        same += one.out.deadline_ms == two.out.deadline_ms;
        solo_stop(&one);
        solo_stop(&two);
    }
    assert_in_range(same, 0, 1);
}

static void timeouts_are_drawn_anew_each_time(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4});
    uint64_t different = 0, last = 0;
    for (int i = 0; i < 10; i++) {
        solo_message(&solo, solo_append(&solo, 2, 4, 0, 0, 0, NULL));
        different += solo.out.deadline_ms != last;
        last = solo.out.deadline_ms;
    }
    assert_in_range(different, 8, 10);
}

static void a_group_of_one_does_not_wait_to_elect_itself(void **state) {
    (void)state;
    begin((struct solo_start){.members = 3, .learners = 2});
    solo_tick(&solo);
    assert_int_equal(solo.now_ms, 1000);
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
}

/* ---- Compaction -------------------------------------------------------------------------------- */

static void what_is_applied_can_be_forgotten(void **state) {
    (void)state;
    begin((struct solo_start){.term = 4, .log = SOLO_LOG(1, 1, 2, 2, 3), .floor = 4});
    lash_term term = 99;
    assert_int_equal(lash_raft_compact(solo.raft, 5), LASH_INVALID);
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    assert_int_equal(lash_raft_compact(solo.raft, 3), LASH_OK);
    assert_int_equal(lash_raft_compact(solo.raft, 2), LASH_INVALID);
    assert_int_equal(solo_status(&solo).first_index, 4);
    assert_true(lash_raft_term_at(solo.raft, 3, &term));
    assert_int_equal(term, 2);
    assert_false(lash_raft_term_at(solo.raft, 2, &term));
    assert_false(lash_raft_term_at(solo.raft, 6, &term));
    assert_string_equal(solo_log(&solo), "2 3");
}

/* ---- Bounds ------------------------------------------------------------------------------------ */

static void the_largest_group_answers_all_followers_in_one_step(void **state) {
    (void)state;
    begin((struct solo_start){.members = LASH_RAFT_MEMBERS_MAX, .no_pre_vote = true});
    solo_timeout(&solo);
    solo_written(&solo);
    for (lash_id id = 2; id <= 9; id++)
        solo_message(&solo, solo_vote_reply(id, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    for (lash_id id = 2; id <= LASH_RAFT_MEMBERS_MAX; id++)
        solo_message(&solo, solo_read_request(id, 1, 1000 + id));
    solo_written(&solo);
    for (lash_id id = 2; id <= 9; id++)
        solo_message(&solo, solo_accept(id, 1, 1, 0));
    assert_int_equal(solo_status(&solo).commit, 1);
    /* The round is confirmed, all are answered, and one who asked again in time begins the next. */
    solo_message(&solo, solo_read_request(2, 1, 2000));
    for (lash_id id = 2; id <= 9; id++)
        solo_message(&solo, solo_accept(id, 1, 1, 1));
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), LASH_RAFT_MEMBERS_MAX - 2);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_APPEND), LASH_RAFT_MEMBERS_MAX - 1);
    /* And a leader that has lost its quorum refuses all at once. */
    for (lash_id id = 2; id <= LASH_RAFT_MEMBERS_MAX; id++)
        solo_message(&solo, solo_read_request(id, 1, 3000 + id));
    solo.now_ms += 1000;
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_READ_REPLY), LASH_RAFT_MEMBERS_MAX - 1);
}

static void learners_are_served_but_neither_vote_nor_stand(void **state) {
    (void)state;
    begin((struct solo_start){.id = 4, .members = 4, .learners = 1});
    solo_timeout(&solo);
    assert_int_equal(solo_status(&solo).role, LASH_FOLLOWER);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 0);
    solo_stop(&solo);

    begin((struct solo_start){.members = 4, .learners = 2, .no_pre_vote = true});
    solo_timeout(&solo);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_VOTE), 1);
    solo_written(&solo);
    solo_message(&solo, solo_vote_reply(3, 1, true));
    solo_message(&solo, solo_vote_reply(4, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_CANDIDATE);
    solo_message(&solo, solo_vote_reply(2, 1, true));
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    assert_int_equal(solo_sent_count(&solo, LASH_MSG_APPEND), 3);
    solo_written(&solo);
    solo_message(&solo, solo_accept(3, 1, 1, 0));
    solo_message(&solo, solo_accept(4, 1, 1, 0));
    assert_int_equal(solo_status(&solo).commit, 0);
    solo_message(&solo, solo_accept(2, 1, 1, 0));
    assert_int_equal(solo_status(&solo).commit, 1);
}

static void a_leader_not_in_the_configuration_is_followed(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1});
    solo_message(&solo, solo_append(&solo, 9, 2, 0, 0, 0, SOLO_LOG(2)));
    assert_int_equal(solo_status(&solo).leader, 9);
    assert_string_equal(solo_log(&solo), "2");
}

static void a_second_leader_of_a_term_is_not_heard(void **state) {
    (void)state;
    begin((struct solo_start){.term = 1});
    solo_message(&solo, solo_append(&solo, 2, 2, 0, 0, 0, SOLO_LOG(2)));
    solo_message(&solo, solo_append(&solo, 3, 2, 0, 0, 0, SOLO_LOG(1, 2)));
    assert_int_equal(solo.send_count, 0);
    assert_int_equal(solo_status(&solo).leader, 2);
    assert_string_equal(solo_log(&solo), "2");
}

static void status_shows_the_progress_of_all(void **state) {
    (void)state;
    begin((struct solo_start){.term = 0});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    struct lash_raft_status status = solo_status(&solo);
    assert_int_equal(status.progress_count, 3);
    assert_int_equal(status.progress[0].match, 1);
    assert_int_equal(status.progress[0].active, 1);
    assert_int_equal(status.progress[1].state, LASH_REPLICATE);
    assert_int_equal(status.progress[1].match, 1);
    assert_int_equal(status.progress[1].next, 4);
    assert_int_equal(status.progress[1].inflight_messages, 1);
    assert_int_equal(status.progress[1].inflight_bytes, 2 * SOLO_ENTRY_BYTES);
    assert_int_equal(status.progress[2].state, LASH_PROBE);
    assert_int_equal(status.progress[2].match, 0);
    solo.now_ms += 999;
    solo_message(&solo, solo_accept(2, 1, 3, 0));
    solo.now_ms += 1;
    solo_tick(&solo);
    assert_int_equal(solo_status(&solo).progress[1].active, 1);
    assert_int_equal(solo_status(&solo).progress[2].active, 0);
}

#define CASE(name) cmocka_unit_test_teardown(name, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_start_is_taken),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(logs_that_cannot_be_are_refused),
        cmocka_unit_test(a_log_of_too_many_terms_does_not_fit),
        CASE(a_core_starts_as_a_follower_with_what_was_saved),
        CASE(a_copy_goes_the_same_way),
        CASE(equal_states_are_equal_bytes_whatever_went_before),
        CASE(a_hash_tells_states_apart),
        CASE(a_full_term_table_grows_and_the_same_event_goes_through),
        CASE(an_election_is_not_won_without_room_for_the_no_op),
        CASE(reads_released_outlive_what_was_sent),
        CASE(a_refused_event_changes_nothing),
        CASE(messages_that_cannot_be_right_are_ignored),
        CASE(a_frame_may_begin_before_what_follows),
        CASE(time_never_goes_back),
        cmocka_unit_test(nodes_with_one_seed_do_not_time_out_together),
        CASE(timeouts_are_drawn_anew_each_time),
        CASE(a_group_of_one_does_not_wait_to_elect_itself),
        CASE(what_is_applied_can_be_forgotten),
        CASE(the_largest_group_answers_all_followers_in_one_step),
        CASE(learners_are_served_but_neither_vote_nor_stand),
        CASE(a_second_leader_of_a_term_is_not_heard),
        CASE(a_leader_not_in_the_configuration_is_followed),
        CASE(status_shows_the_progress_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
