/* SPDX-License-Identifier: Apache-2.0
 *
 * Every check of the judge can fail: each history here breaks one invariant, and a
 * history that comes close to it does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "sim/judge.h"

static jmp_buf broken;
static char broken_invariant[16];

static void judge_broken(void *context, const char *invariant, const char *what) {
    (void)context;
    assert_true(strlen(what) > 0);
    strncpy(broken_invariant, invariant, sizeof broken_invariant - 1);
    longjmp(broken, 1);
}

/* Run a history of three nodes; the invariant that it breaks, or "". */
static const char *verdict(void (*history)(struct judge *judge)) {
    struct judge *volatile judge = judge_new(3, judge_broken, NULL);
    memset(broken_invariant, 0, sizeof broken_invariant);
    if (setjmp(broken) == 0) {
        for (lash_id id = 1; id <= 3; id++)
            judge_restart(judge, id);
        history(judge);
    }
    judge_free(judge);
    return broken_invariant;
}

/* ---- Words that histories are made of ----------------------------------------------------------------- */

static struct lash_raft_status state(lash_id id, lash_term term, uint32_t role, lash_index last, lash_index commit) {
    struct lash_raft_status status = {.id = id, .term = term, .role = role, .last_index = last, .commit = commit};
    status.last_term = last ? 1 : 0;
    return status;
}

static void see(struct judge *judge, struct lash_raft_status status) {
    judge_observe(judge, status.id, &status);
}

/* Entries 1 to `count`, of term 1 and the same everywhere, in a node's log, and on its disk if `durable`. */
static void entries(struct judge *judge, lash_id id, lash_index count, bool durable) {
    struct judge_log suffix = {0};
    for (lash_index index = 1; index <= count; index++) {
        judge_append(judge, id, index, 1, LASH_ENTRY_COMMAND, index * 100, true);
        judge_log_push(&suffix, judge_log_chain(&suffix, suffix.count), 1, LASH_ENTRY_COMMAND, index * 100);
    }
    if (durable)
        judge_durable(judge, id, 0, &suffix);
    judge_log_free(&suffix);
}

static void votes(struct judge *judge, lash_id id, lash_term term, lash_id candidate) {
    struct lash_message message = {.type = LASH_MSG_VOTE_REPLY, .from = id, .to = candidate, .term = term};
    message.vote_reply.granted = true;
    judge_sent(judge, id, &message);
}

/* Nodes 1 and 2 hold two entries durably, and 1 leads term 1. */
static void led(struct judge *judge) {
    for (lash_id id = 1; id <= 2; id++) {
        judge_durable_vote(judge, id, 1, 1);
        entries(judge, id, 2, true);
    }
    see(judge, state(1, 1, LASH_LEADER, 2, 0));
    see(judge, state(2, 1, LASH_FOLLOWER, 2, 0));
}

static void committed(struct judge *judge) {
    led(judge);
    see(judge, state(1, 1, LASH_LEADER, 2, 2));
}

/* ---- Histories ------------------------------------------------------------------------------------------ */

static void a_good_one(struct judge *judge) {
    committed(judge);
    see(judge, state(2, 1, LASH_FOLLOWER, 2, 2));
    judge_apply(judge, 1, 0, 2, 2);
    judge_state(judge, 1, 2, 7);
    judge_apply(judge, 2, 0, 2, 2);
    judge_state(judge, 2, 2, 7);
    judge_stop(judge, 2);
    judge_restart(judge, 2);
    see(judge, state(2, 2, LASH_LEADER, 2, 2));
}

static void two_leaders_in_a_term(struct judge *judge) {
    committed(judge);
    see(judge, state(2, 1, LASH_LEADER, 2, 2));
}

static void two_leaders_in_a_term_one_of_them_long_ago(struct judge *judge) {
    led(judge);
    see(judge, state(1, 2, LASH_FOLLOWER, 2, 0));
    judge_stop(judge, 1);
    see(judge, state(2, 1, LASH_LEADER, 2, 0));
}

static void two_votes_in_a_term(struct judge *judge) {
    judge_durable_vote(judge, 3, 4, 1);
    votes(judge, 3, 4, 1);
    judge_durable_vote(judge, 3, 5, 0);
    votes(judge, 3, 4, 2);
}

static void a_second_vote_saved(struct judge *judge) {
    judge_durable_vote(judge, 3, 4, 1);
    judge_durable_vote(judge, 3, 4, 2);
}

static void a_vote_that_is_not_durable(struct judge *judge) {
    judge_durable_vote(judge, 3, 4, 0);
    votes(judge, 3, 4, 1);
}

static void words_of_a_term_that_is_not_durable(struct judge *judge) {
    struct lash_message message = {.type = LASH_MSG_APPEND_REPLY, .from = 3, .to = 1, .term = 2};
    judge_sent(judge, 3, &message);
}

static void a_term_that_falls(struct judge *judge) {
    see(judge, state(1, 3, LASH_FOLLOWER, 0, 0));
    see(judge, state(1, 2, LASH_FOLLOWER, 0, 0));
}

static void a_term_that_falls_over_a_restart(struct judge *judge) {
    struct judge_log none = {0};
    judge_durable_vote(judge, 3, 4, 1);
    votes(judge, 3, 4, 1);
    judge_stop(judge, 3);
    judge_start(judge, 3, &none, 3, 0);
}

static void a_leader_that_overwrites_its_log(struct judge *judge) {
    led(judge);
    judge_append(judge, 1, 2, 1, LASH_ENTRY_COMMAND, 1, true);
}

static void the_same_index_and_term_with_other_content(struct judge *judge) {
    entries(judge, 1, 2, false);
    judge_append(judge, 2, 1, 1, LASH_ENTRY_COMMAND, 100, false);
    judge_append(judge, 2, 2, 1, LASH_ENTRY_COMMAND, 999, false);
}

static void the_same_index_and_term_behind_another_log(struct judge *judge) {
    entries(judge, 1, 1, false);
    judge_append(judge, 1, 2, 3, LASH_ENTRY_NOOP, 5, true);
    judge_append(judge, 2, 1, 2, LASH_ENTRY_COMMAND, 100, false);
    judge_append(judge, 2, 2, 3, LASH_ENTRY_NOOP, 5, false);
}

static void a_later_leader_without_what_was_committed(struct judge *judge) {
    committed(judge);
    struct lash_raft_status status = state(3, 2, LASH_LEADER, 0, 0);
    see(judge, status);
}

/* Its votes were on their way for long: the leader of the later term has committed meanwhile. */
static void an_earlier_leader_without_what_was_committed(struct judge *judge) {
    for (lash_id id = 1; id <= 2; id++)
        entries(judge, id, 1, true);
    judge_append(judge, 1, 2, 5, LASH_ENTRY_NOOP, 1, true);
    judge_append(judge, 2, 2, 5, LASH_ENTRY_NOOP, 1, false);
    for (lash_id id = 1; id <= 2; id++) {
        struct judge_log suffix = {0};
        judge_log_push(&suffix, judge_log_chain(judge_disk(judge, id), 1), 5, LASH_ENTRY_NOOP, 1);
        judge_durable(judge, id, 1, &suffix);
        judge_log_free(&suffix);
    }
    struct lash_raft_status status = state(1, 5, LASH_LEADER, 2, 2);
    status.last_term = 5;
    see(judge, status);
    see(judge, state(3, 4, LASH_LEADER, 0, 0));
}

static void two_entries_committed_at_an_index(struct judge *judge) {
    committed(judge);
    judge_append(judge, 3, 1, 1, LASH_ENTRY_COMMAND, 100, false);
    judge_append(judge, 3, 2, 2, LASH_ENTRY_COMMAND, 200, false);
    struct lash_raft_status status = state(3, 2, LASH_FOLLOWER, 2, 2);
    status.last_term = 2;
    see(judge, status);
}

static void a_committed_entry_replaced(struct judge *judge) {
    committed(judge);
    judge_append(judge, 1, 2, 2, LASH_ENTRY_COMMAND, 1, false);
}

static void two_states_after_an_index(struct judge *judge) {
    judge_state(judge, 1, 5, 7);
    judge_state(judge, 2, 5, 9);
}

static void a_commit_index_that_falls(struct judge *judge) {
    committed(judge);
    see(judge, state(1, 1, LASH_LEADER, 2, 1));
}

static void more_committed_than_there_is(struct judge *judge) {
    led(judge);
    see(judge, state(1, 1, LASH_LEADER, 2, 3));
}

static void more_applied_than_committed(struct judge *judge) {
    led(judge);
    struct lash_raft_status status = state(1, 1, LASH_LEADER, 2, 0);
    status.applied = 1;
    see(judge, status);
}

static void an_append_that_leaves_a_gap(struct judge *judge) {
    entries(judge, 1, 2, false);
    judge_append(judge, 1, 4, 1, LASH_ENTRY_COMMAND, 1, true);
}

static void a_command_left_out(struct judge *judge) {
    committed(judge);
    judge_apply(judge, 1, 0, 2, 1);
}

static void a_command_applied_before_it_is_durable_here(struct judge *judge) {
    committed(judge);
    entries(judge, 3, 2, false);
    judge_apply(judge, 3, 0, 2, 2);
}

static void a_commit_without_a_durable_quorum(struct judge *judge) {
    judge_durable_vote(judge, 1, 1, 1);
    entries(judge, 1, 2, true);
    entries(judge, 2, 2, false);
    see(judge, state(1, 1, LASH_LEADER, 2, 2));
}

static void a_commit_of_an_older_term_by_counting(struct judge *judge) {
    led(judge);
    see(judge, state(1, 2, LASH_FOLLOWER, 2, 0));
    see(judge, state(1, 3, LASH_LEADER, 2, 2));
}

static void a_commit_by_who_does_not_lead(struct judge *judge) {
    led(judge);
    see(judge, state(2, 1, LASH_FOLLOWER, 2, 2));
}

static void a_durable_index_that_is_not(struct judge *judge) {
    entries(judge, 1, 2, false);
    struct lash_raft_status status = state(1, 1, LASH_FOLLOWER, 2, 0);
    status.durable_index = 2;
    see(judge, status);
}

static void matches(struct judge *judge, lash_index match, lash_index next) {
    struct lash_raft_status status = state(1, 1, LASH_LEADER, 2, 0);
    status.progress_count = 1;
    status.progress[0] = (struct lash_progress){.id = 3, .match = match, .next = next};
    see(judge, status);
}

/* Nodes 1 and 3 hold two entries durably, 1 leads term 1 and knows of so many at node 3, which is lost. */
static void led_and_lost(struct judge *judge, lash_index known) {
    for (lash_id id = 1; id <= 3; id += 2) {
        judge_durable_vote(judge, id, 1, 1);
        entries(judge, id, 2, true);
    }
    matches(judge, known, 3);
    judge_stop(judge, 3);
    judge_lose(judge, 3);
    see(judge, state(1, 1, LASH_LEADER, 2, 2));
}

static void a_commit_that_one_confirmed_before_it_was_lost(struct judge *judge) {
    led_and_lost(judge, 2);
}

static void a_commit_that_one_had_confirmed_had_it_not_been_lost(struct judge *judge) {
    led_and_lost(judge, 1);
}

static void a_match_that_is_not_on_disk(struct judge *judge) {
    led(judge);
    matches(judge, 1, 2);
}

static void a_match_that_is_not_on_disk_any_more(struct judge *judge) {
    struct judge_log none = {0};
    led(judge);
    entries(judge, 3, 2, true);
    judge_durable_vote(judge, 3, 1, 1);
    matches(judge, 2, 3);
    judge_durable(judge, 3, 1, &none);
    matches(judge, 2, 3);
}

/* What was never committed may go, once a later term is known. */
static void a_match_that_went_with_a_later_term(struct judge *judge) {
    struct judge_log none = {0};
    led(judge);
    entries(judge, 3, 2, true);
    matches(judge, 2, 3);
    judge_durable(judge, 3, 1, &none);
    judge_durable_vote(judge, 3, 2, 0);
    matches(judge, 2, 3);
}

static void a_committed_entry_cut_from_a_disk(struct judge *judge) {
    struct judge_log none = {0};
    committed(judge);
    judge_durable(judge, 2, 1, &none);
}

static void a_committed_entry_replaced_on_a_disk(struct judge *judge) {
    struct judge_entry entry = {.term = 2, .chain = 9, .kind = LASH_ENTRY_NOOP};
    struct judge_log suffix = {.entries = &entry, .count = 1};
    committed(judge);
    judge_durable(judge, 2, 1, &suffix);
}

static void a_committed_entry_written_again(struct judge *judge) {
    struct judge_log suffix = {0};
    committed(judge);
    judge_log_push(&suffix, judge_log_chain(judge_disk(judge, 2), 1), 1, LASH_ENTRY_COMMAND, 200);
    judge_durable(judge, 2, 1, &suffix);
    judge_log_free(&suffix);
}

/* It was committed without this one, which has not heard of the term yet and hears from an earlier leader. */
static void an_entry_committed_in_a_later_term_dropped(struct judge *judge) {
    struct judge_log none = {0};
    committed(judge);
    entries(judge, 3, 2, true);
    judge_durable(judge, 3, 1, &none);
}

static void a_match_that_is_not_before_next(struct judge *judge) {
    led(judge);
    matches(judge, 0, 0);
}

static void more_bytes_on_their_way_than_allowed(struct judge *judge) {
    led(judge);
    judge_bound(judge, 2, 100);
    struct lash_raft_status status = state(1, 1, LASH_LEADER, 2, 0);
    status.progress_count = 1;
    status.progress[0] = (struct lash_progress){.id = 3, .next = 1, .inflight_messages = 2, .inflight_bytes = 100};
    see(judge, status);
    status.progress[0].inflight_bytes = 101;
    see(judge, status);
}

static void more_on_its_way_than_allowed(struct judge *judge) {
    led(judge);
    judge_bound(judge, 2, 100);
    struct lash_raft_status status = state(1, 1, LASH_LEADER, 2, 0);
    status.progress_count = 1;
    status.progress[0] = (struct lash_progress){.id = 3, .next = 1, .inflight_messages = 2};
    see(judge, status);
    status.progress[0].inflight_messages = 3;
    see(judge, status);
}

static void a_match_that_falls(struct judge *judge) {
    led(judge);
    entries(judge, 3, 2, true);
    matches(judge, 2, 3);
    matches(judge, 1, 3);
}

static void an_acknowledgement_of_what_is_not_on_disk(struct judge *judge) {
    led(judge);
    struct lash_message message = {.type = LASH_MSG_APPEND_REPLY, .from = 2, .to = 1, .term = 1};
    message.append_reply.success = true;
    message.append_reply.match = 3;
    judge_sent(judge, 2, &message);
}

/* ---- Histories of memberships: n1 and n2 vote, n3 is none of them at first ----------------------------- */

/* Voters, outgoing voters and learners, as sets of bits by id. */
static struct lash_configuration membership(lash_index index, unsigned voters, unsigned outgoing, unsigned learners) {
    struct lash_configuration configuration = {.index = index};
    for (lash_id id = 1; id <= 3; id++) {
        unsigned votes = voters >> id & 1;
        unsigned voted = outgoing >> id & 1;
        if (!votes && !voted && !(learners >> id & 1))
            continue;
        struct lash_member *member = &configuration.members[configuration.count++];
        member->id = id;
        member->flags = (votes ? LASH_MEMBER_VOTER : 0) | (voted ? LASH_MEMBER_VOTER_OLD : 0);
    }
    return configuration;
}

#define N1 2u
#define N2 4u
#define N3 8u

static void see_in(struct judge *judge, struct lash_raft_status status, struct lash_configuration configuration) {
    status.configuration = configuration;
    see(judge, status);
}

/* n1 leads term 1, by the votes of `voters` and none of others, and has two entries. */
static void led_by(struct judge *judge, struct lash_configuration initial, unsigned voters) {
    const bool joins[JUDGE_NODES_MAX + 1] = {false};
    judge_membership(judge, &initial, joins);
    for (lash_id id = 1; id <= 3; id++) {
        entries(judge, id, 2, true);
        judge_durable_vote(judge, id, 1, 1);
        if (voters >> id & 1)
            votes(judge, id, 1, 1);
    }
    see_in(judge, state(1, 1, LASH_LEADER, 2, 0), initial);
}

/* n1 appends `next` at its log's end, with `commit` committed. */
static void configured(struct judge *judge, struct lash_configuration next, lash_index commit) {
    judge_configure(judge, 1, 1, next.index, &next, false);
    see_in(judge, state(1, 1, LASH_LEADER, next.index, commit), next);
}

static void n2_holds(struct judge *judge, lash_index index, lash_term term) {
    judge_append(judge, 2, index, term, LASH_ENTRY_CONFIGURATION, index, false);
}

/* What `id`'s log holds is on its disk. */
static void synced(struct judge *judge, lash_id id) {
    judge_durable(judge, id, 0, judge_memory(judge, id));
}

static void a_change_of_one_server(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, 0), N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1 | N2, 0, 0));
    configured(judge, membership(3, N1 | N2 | N3, 0, 0), 2);
    n2_holds(judge, 3, 1);
    synced(judge, 1);
    synced(judge, 2);
    see_in(judge, state(2, 1, LASH_FOLLOWER, 3, 0), membership(3, N1 | N2 | N3, 0, 0));
    see_in(judge, state(1, 1, LASH_LEADER, 3, 3), membership(3, N1 | N2 | N3, 0, 0));
    configured(judge, membership(4, N1 | N2, 0, N3), 3);
}

static void a_change_through_a_joint_configuration(struct judge *judge) {
    led_by(judge, membership(0, N1, 0, 0), 0);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1, 0, 0));
    configured(judge, membership(3, N2, N1, 0), 2);
    n2_holds(judge, 3, 1);
    synced(judge, 1);
    synced(judge, 2);
    see_in(judge, state(1, 1, LASH_LEADER, 3, 3), membership(3, N2, N1, 0));
    configured(judge, membership(4, N2, 0, 0), 3);
}

static void two_configurations_that_are_not_committed(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, 0), N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1 | N2, 0, 0));
    configured(judge, membership(3, N1 | N2 | N3, 0, 0), 2);
    configured(judge, membership(4, N1 | N2, 0, 0), 2);
}

static void a_change_before_an_entry_of_the_term_is_committed(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, 0), N2);
    configured(judge, membership(3, N1 | N2 | N3, 0, 0), 0);
}

static void a_change_of_two_servers_in_one_step(struct judge *judge) {
    led_by(judge, membership(0, N1, 0, 0), 0);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1, 0, 0));
    configured(judge, membership(3, N1 | N2 | N3, 0, 0), 2);
}

static void a_joint_configuration_of_other_voters(struct judge *judge) {
    led_by(judge, membership(0, N1, 0, 0), 0);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1, 0, 0));
    configured(judge, membership(3, N2 | N3, N1 | N2, 0), 2);
}

static void a_joint_configuration_left_for_another(struct judge *judge) {
    led_by(judge, membership(0, N1, 0, 0), 0);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1, 0, 0));
    configured(judge, membership(3, N2, N1, 0), 2);
    n2_holds(judge, 3, 1);
    synced(judge, 1);
    synced(judge, 2);
    see_in(judge, state(1, 1, LASH_LEADER, 3, 3), membership(3, N2, N1, 0));
    configured(judge, membership(4, N2 | N3, 0, 0), 3);
}

static void a_configuration_that_is_not_the_logs_newest(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, 0), N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1 | N2, 0, 0));
    configured(judge, membership(3, N1 | N2 | N3, 0, 0), 2);
    n2_holds(judge, 3, 1);
    see_in(judge, state(2, 1, LASH_FOLLOWER, 3, 0), membership(0, N1 | N2, 0, 0));
}

static void a_configuration_that_was_cut_off(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, 0), N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1 | N2, 0, 0));
    configured(judge, membership(3, N1 | N2 | N3, 0, 0), 2);
    n2_holds(judge, 3, 1);
    judge_append(judge, 2, 3, 2, LASH_ENTRY_COMMAND, 7, false);
    struct lash_raft_status status = state(2, 2, LASH_FOLLOWER, 3, 0);
    status.last_term = 2;
    see_in(judge, status, membership(3, N1 | N2 | N3, 0, 0));
}

static void a_leader_by_a_learners_vote(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, N3), N3);
}

static void a_commit_by_one_of_two_majorities(struct judge *judge) {
    led_by(judge, membership(0, N1, 0, 0), 0);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1, 0, 0));
    configured(judge, membership(3, N2, N1, 0), 2);
    synced(judge, 1);
    see_in(judge, state(1, 1, LASH_LEADER, 3, 3), membership(3, N2, N1, 0));
}

static void a_commit_by_a_learner(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, N3), N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1 | N2, 0, N3));
    judge_append(judge, 1, 3, 1, LASH_ENTRY_COMMAND, 300, true);
    judge_append(judge, 3, 3, 1, LASH_ENTRY_COMMAND, 300, false);
    synced(judge, 1);
    synced(judge, 3);
    see_in(judge, state(1, 1, LASH_LEADER, 3, 3), membership(0, N1 | N2, 0, N3));
}

/* The same one, in which these voters keep no data. */
static struct lash_configuration with_witnesses(struct lash_configuration configuration, unsigned witnesses) {
    for (uint32_t i = 0; i < configuration.count; i++)
        if (witnesses >> configuration.members[i].id & 1)
            configuration.members[i].flags |= LASH_MEMBER_WITNESS;
    return configuration;
}

static void a_witness_that_leads(struct judge *judge) {
    led_by(judge, with_witnesses(membership(0, N1 | N2, 0, 0), N1), N2);
}

static void a_membership_of_witnesses_alone(struct judge *judge) {
    const struct lash_configuration initial = with_witnesses(membership(0, N1 | N2, 0, 0), N2);
    led_by(judge, initial, N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), initial);
    configured(judge, with_witnesses(membership(3, N2, 0, 0), N2), 2);
}

static void a_voter_that_becomes_a_witness(struct judge *judge) {
    led_by(judge, membership(0, N1 | N2, 0, 0), N2);
    see_in(judge, state(1, 1, LASH_LEADER, 2, 2), membership(0, N1 | N2, 0, 0));
    configured(judge, with_witnesses(membership(3, N1 | N2, 0, 0), N2), 2);
}

/* `holder` and n3, of which n3 is one of two witnesses, hold what is committed. */
static void committed_with_witnesses(struct judge *judge, lash_id holder) {
    const struct lash_configuration initial = with_witnesses(membership(0, N1 | N2 | N3, 0, 0), N2 | N3);
    led_by(judge, initial, N2);
    judge_append(judge, 1, 3, 1, LASH_ENTRY_COMMAND, 300, true);
    judge_append(judge, 2, 3, 1, LASH_ENTRY_COMMAND, 300, false);
    judge_append(judge, 3, 3, 1, LASH_ENTRY_COMMAND, 300, false);
    synced(judge, holder);
    synced(judge, 3);
    see_in(judge, state(1, 1, LASH_LEADER, 3, 3), initial);
}

static void a_commit_with_a_witness(struct judge *judge) {
    committed_with_witnesses(judge, 1);
}

static void a_commit_that_only_witnesses_hold(struct judge *judge) {
    committed_with_witnesses(judge, 2);
}

static void words_after_a_failed_sync(struct judge *judge) {
    struct lash_message message = {.type = LASH_MSG_READ, .from = 1, .to = 2};
    judge_halt(judge, 1);
    judge_sent(judge, 1, &message);
}

static void hands_over(struct judge *judge, lash_id to, lash_index last) {
    struct lash_message message = {.type = LASH_MSG_TIMEOUT_NOW, .from = 1, .to = to, .term = 1};
    led(judge);
    message.timeout_now.last_index = last;
    judge_sent(judge, 1, &message);
}

static void handing_over_to_one_that_has_all(struct judge *judge) {
    hands_over(judge, 2, 2);
}

static void handing_over_to_one_that_lacks_entries(struct judge *judge) {
    hands_over(judge, 3, 2);
}

static void handing_over_a_log_that_ends_elsewhere(struct judge *judge) {
    hands_over(judge, 2, 1);
}

/* Node 3 lacks all of it, and gets a snapshot. */
static void a_snapshot_in_place_of_a_log(struct judge *judge) {
    committed(judge);
    judge_durable_vote(judge, 3, 1, 1);
    judge_snapshot(judge, 3, 2);
    judge_reset(judge, 3, 2);
    struct lash_raft_status status = state(3, 1, LASH_FOLLOWER, 2, 2);
    status.durable_index = 2;
    see(judge, status);
}

static void a_snapshot_of_what_is_not_committed(struct judge *judge) {
    led(judge);
    judge_snapshot(judge, 1, 1);
}

static void a_log_that_goes_on_behind_what_is_not_committed(struct judge *judge) {
    committed(judge);
    judge_reset(judge, 3, 3);
}

static void a_log_dropped_for_a_snapshot_that_it_holds(struct judge *judge) {
    committed(judge);
    judge_reset(judge, 2, 2);
}

static void a_log_dropped_for_an_older_snapshot(struct judge *judge) {
    committed(judge);
    see(judge, state(2, 1, LASH_FOLLOWER, 2, 2));
    judge_reset(judge, 2, 1);
}

static const struct {
    const char *invariant;
    void (*history)(struct judge *judge);
} histories[] = {
    {"", a_good_one},
    {"E1", two_leaders_in_a_term},
    {"E1", two_leaders_in_a_term_one_of_them_long_ago},
    {"E2", two_votes_in_a_term},
    {"E2", a_second_vote_saved},
    {"E2", a_vote_that_is_not_durable},
    {"E3", words_of_a_term_that_is_not_durable},
    {"E3", a_term_that_falls},
    {"E3", a_term_that_falls_over_a_restart},
    {"L1", a_leader_that_overwrites_its_log},
    {"L2", the_same_index_and_term_with_other_content},
    {"L2", the_same_index_and_term_behind_another_log},
    {"L3", a_later_leader_without_what_was_committed},
    {"", an_earlier_leader_without_what_was_committed},
    {"L4", two_entries_committed_at_an_index},
    {"L4", a_committed_entry_replaced},
    {"L4", two_states_after_an_index},
    {"L5", a_commit_index_that_falls},
    {"L5", more_committed_than_there_is},
    {"L5", more_applied_than_committed},
    {"L5", an_append_that_leaves_a_gap},
    {"L5", a_command_left_out},
    {"L5", a_command_applied_before_it_is_durable_here},
    {"L6", a_commit_without_a_durable_quorum},
    {"L6", a_commit_of_an_older_term_by_counting},
    {"L6", a_commit_by_who_does_not_lead},
    {"L6", a_durable_index_that_is_not},
    {"", a_commit_that_one_confirmed_before_it_was_lost},
    {"L6", a_commit_that_one_had_confirmed_had_it_not_been_lost},
    {"L7", a_match_that_is_not_on_disk},
    {"L7", a_match_that_is_not_on_disk_any_more},
    {"", a_match_that_went_with_a_later_term},
    {"L7", a_match_that_is_not_before_next},
    {"L7", a_match_that_falls},
    {"L7", an_acknowledgement_of_what_is_not_on_disk},
    {"P3", more_on_its_way_than_allowed},
    {"P3", more_bytes_on_their_way_than_allowed},
    {"D1", a_committed_entry_cut_from_a_disk},
    {"D1", a_committed_entry_replaced_on_a_disk},
    {"", a_committed_entry_written_again},
    {"", an_entry_committed_in_a_later_term_dropped},
    {"", a_snapshot_in_place_of_a_log},
    {"S1", a_snapshot_of_what_is_not_committed},
    {"S1", a_log_that_goes_on_behind_what_is_not_committed},
    {"S3", a_log_dropped_for_a_snapshot_that_it_holds},
    {"S3", a_log_dropped_for_an_older_snapshot},
    {"", a_change_of_one_server},
    {"", a_change_through_a_joint_configuration},
    {"C1", two_configurations_that_are_not_committed},
    {"C2", a_change_before_an_entry_of_the_term_is_committed},
    {"C3", a_change_of_two_servers_in_one_step},
    {"C3", a_joint_configuration_of_other_voters},
    {"C3", a_joint_configuration_left_for_another},
    {"C4", a_configuration_that_is_not_the_logs_newest},
    {"C4", a_configuration_that_was_cut_off},
    {"C5", a_leader_by_a_learners_vote},
    {"L6", a_commit_by_one_of_two_majorities},
    {"L6", a_commit_by_a_learner},
    {"D4", words_after_a_failed_sync},
    {"", handing_over_to_one_that_has_all},
    {"T2", handing_over_to_one_that_lacks_entries},
    {"T2", handing_over_a_log_that_ends_elsewhere},
    {"W1", a_witness_that_leads},
    {"W1", a_membership_of_witnesses_alone},
    {"W1", a_voter_that_becomes_a_witness},
    {"", a_commit_with_a_witness},
    {"W2", a_commit_that_only_witnesses_hold},
};

static void every_invariant_that_a_history_breaks_is_named(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof histories / sizeof histories[0]; i++) {
        const char *found = verdict(histories[i].history);
        if (strcmp(found, histories[i].invariant) != 0)
            fail_msg("history %zu breaks \"%s\", and should break \"%s\"", i, found, histories[i].invariant);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_invariant_that_a_history_breaks_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
