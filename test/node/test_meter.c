/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replica measures of itself, and what it tells its observers: the meter
 * with a clock that the test moves, then whole replicas.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/replica_state.h"
#include "simulated.h"

/* ---- The meter ----------------------------------------------------------------------------------- */

#define MS UINT64_C(1000000)

static uint64_t clock_now;

static uint64_t clock_read(void *context) {
    (void)context;
    return clock_now;
}

static struct meter meter;
static struct lash_raft_status status;

static int set_up(void **state) {
    (void)state;
    clock_now = 1000 * MS;
    memset(&meter, 0, sizeof meter);
    memset(&status, 0, sizeof status);
    meter_init(&meter, clock_read, NULL);
    return 0;
}

static struct lash_metrics metrics_now(void) {
    struct lash_metrics metrics = {0};
    meter_read(&meter, &metrics);
    return metrics;
}

static uint64_t commits_measured(void) {
    struct lash_metrics metrics = metrics_now();
    return metric_total(&metrics.commit);
}

static uint64_t applies_measured(void) {
    struct lash_metrics metrics = metrics_now();
    return metric_total(&metrics.apply);
}

/* All values lie in this bucket. */
static void assert_only(const struct lash_histogram *histogram, uint32_t bucket, uint64_t count) {
    assert_int_equal(histogram->counts[bucket], count);
    assert_int_equal(metric_total(histogram), count);
}

static void step_role(uint32_t role, lash_term term, lash_id leader) {
    struct lash_raft_status before = status;
    status.role = role;
    status.term = term;
    status.leader = leader;
    meter_stepped(&meter, &before, &status);
}

static void step_indexes(lash_index commit, lash_index applied) {
    struct lash_raft_status before = status;
    status.commit = commit;
    status.applied = applied;
    meter_stepped(&meter, &before, &status);
}

static void a_commit_takes_from_the_proposal_to_the_commit_index(void **state) {
    (void)state;
    step_role(LASH_LEADER, 1, 1);
    meter_proposed(&meter, 10, 10, clock_now);
    clock_now += 3 * MS;
    meter_proposed(&meter, 15, 5, clock_now);
    step_indexes(9, 0); /* part of a batch is no batch */
    assert_int_equal(commits_measured(), 0);
    clock_now += 1 * MS;
    step_indexes(10, 0); /* 4 ms: within 0.1 ms * 2^6 */
    struct lash_metrics metrics = metrics_now();
    assert_only(&metrics.commit, 6, 10);
    assert_int_equal(metrics.commit.sum_ns, 40 * MS);
    step_indexes(15, 0); /* 1 ms: within 0.1 ms * 2^4 */
    metrics = metrics_now();
    assert_int_equal(metrics.commit.counts[4], 5);
    assert_int_equal(metrics.commit.sum_ns, 45 * MS);
}

static void what_was_proposed_in_an_office_that_was_lost_is_not_measured(void **state) {
    (void)state;
    step_role(LASH_LEADER, 1, 1);
    meter_proposed(&meter, 10, 10, clock_now);
    step_role(LASH_FOLLOWER, 2, 3);
    step_indexes(10, 0);
    step_role(LASH_LEADER, 3, 1);
    step_indexes(11, 0);
    assert_int_equal(commits_measured(), 0);
}

static void applying_lags_from_the_commit_on(void **state) {
    (void)state;
    assert_int_equal(meter_apply_lag(&meter), 0);
    step_indexes(7, 0);
    clock_now += 2 * MS;
    step_indexes(8, 0);
    clock_now += 4 * MS;
    assert_int_equal(meter_apply_lag(&meter), 6 * MS);
    step_indexes(8, 7);
    assert_int_equal(meter_apply_lag(&meter), 4 * MS);
    struct lash_metrics metrics = metrics_now();
    assert_only(&metrics.apply, 6, 7);
    step_indexes(8, 8);
    assert_int_equal(meter_apply_lag(&meter), 0);
    assert_int_equal(applies_measured(), 8);
}

static void more_batches_than_marks_are_all_measured(void **state) {
    enum { BATCHES = 3 * METER_MARKS_MAX };
    (void)state;
    step_role(LASH_LEADER, 1, 1);
    for (lash_index i = 1; i <= BATCHES; i++)
        meter_proposed(&meter, i, 1, clock_now);
    clock_now += MS;
    step_indexes(BATCHES - 1, 0); /* the shared mark reaches beyond */
    assert_int_equal(commits_measured(), METER_MARKS_MAX - 1);
    step_indexes(BATCHES, BATCHES);
    assert_int_equal(commits_measured(), BATCHES);
    assert_int_equal(applies_measured(), BATCHES);
    meter_proposed(&meter, BATCHES + 1, 1, clock_now);
    step_indexes(BATCHES + 1, BATCHES);
    assert_int_equal(commits_measured(), BATCHES + 1);
}

static void elections_are_counted_by_how_they_went(void **state) {
    (void)state;
    step_role(LASH_PRE_CANDIDATE, 0, 0);
    step_role(LASH_CANDIDATE, 1, 0);
    step_role(LASH_CANDIDATE, 2, 0);
    step_role(LASH_LEADER, 2, 1);
    struct lash_metrics metrics = metrics_now();
    assert_int_equal(metrics.pre_elections, 1);
    assert_int_equal(metrics.elections, 2);
    assert_int_equal(metrics.elections_won, 1);
    assert_int_equal(metrics.leader_changes, 1);
    step_role(LASH_FOLLOWER, 3, 0);
    step_role(LASH_FOLLOWER, 3, 2);
    step_role(LASH_LEADER, 4, 1); /* the only voter, at once */
    metrics = metrics_now();
    assert_int_equal(metrics.elections, 3);
    assert_int_equal(metrics.elections_won, 2);
    assert_int_equal(metrics.leader_changes, 3);
}

static void without_a_clock_nothing_is_timed(void **state) {
    (void)state;
    meter_init(&meter, NULL, NULL);
    step_role(LASH_LEADER, 1, 1);
    meter_proposed(&meter, 1, 1, meter_now(&meter));
    step_indexes(1, 0);
    meter_synced(&meter, meter_now(&meter));
    assert_int_equal(meter_apply_lag(&meter), 0);
    struct lash_metrics metrics = metrics_now();
    assert_int_equal(metric_total(&metrics.commit) + metric_total(&metrics.apply) + metric_total(&metrics.sync), 0);
    assert_int_equal(metrics.elections_won, 1);
}

/* ---- Replicas ------------------------------------------------------------------------------------ */

static uint64_t world_ns(void *context) {
    return world_node_ms(context) * MS;
}

static struct world *new_timed_world(size_t count, uint64_t seed) {
    struct world *world = new_world(count, seed);
    for (size_t i = 0; i < count; i++)
        world->nodes[i].replica->meter.now_ns = world_ns;
    return world;
}

static struct lash_metrics metrics_of(const struct world *world, size_t position) {
    struct lash_metrics metrics = {0};
    replica_metrics(world->nodes[position].replica, &metrics);
    replica_queues(world->nodes[position].replica, &metrics);
    return metrics;
}

static void every_entry_of_a_leader_is_measured_once(void **state) {
    enum { COUNT = 50 };
    (void)state;
    struct world *world = new_timed_world(3, 5);
    size_t leader = world_leader(world);
    world_heal(world);
    struct lash_metrics before = metrics_of(world, leader);
    lash_index last = status_of(world, leader).raft.last_index;
    for (int i = 0; i < COUNT; i++) /* some are forwarded */
        world_propose(world, (size_t)i % 3);
    world_quiet(world);
    world_heal(world);
    assert_int_equal(status_of(world, leader).raft.last_index, last + COUNT);
    struct lash_metrics after = metrics_of(world, leader);
    assert_int_equal(metric_total(&after.commit) - metric_total(&before.commit), COUNT);
    assert_int_equal(metric_total(&after.apply), status_of(world, leader).raft.applied);
    assert_true(after.log_writes > before.log_writes && after.log_bytes > before.log_bytes);
    assert_true(metric_total(&after.sync) >= after.log_writes);
    assert_int_equal(after.elections_won, 1);
    assert_int_equal(after.proposals_pending + after.proposals_sent + after.reads_pending, 0);
    assert_int_equal(after.log_queued_frames + after.log_queued_bytes + after.messages_held + after.apply_lag_ns, 0);
    uint64_t proposals = 0;
    for (size_t i = 0; i < 3; i++) {
        struct lash_metrics metrics = metrics_of(world, i);
        proposals += metrics.proposals;
        assert_int_equal(metrics.proposals_failed, 0);
        assert_int_equal(metrics.leader_changes, 1);
    }
    assert_int_equal(proposals, COUNT);
    free_world(world);
}

static void queues_show_what_waits_for_a_disk(void **state) {
    (void)state;
    struct world *world = new_timed_world(3, 6);
    size_t leader = world_leader(world);
    world_heal(world);
    for (size_t i = 0; i < 3; i++)
        world_hold(world, i, REPLICA_LOG);
    for (int i = 0; i < 10; i++)
        world_propose(world, leader);
    run_ms(world, 20);
    struct lash_metrics metrics = metrics_of(world, leader);
    assert_int_equal(metrics.proposals_pending, 10);
    assert_int_equal(metrics.proposals_sent, 10);
    assert_true(metrics.log_queued_frames > 0 && metrics.log_queued_bytes > 0 && metrics.pending_bytes > 0);
    assert_true(metrics_of(world, (leader + 1) % 3).messages_held > 0);
    for (size_t i = 0; i < 3; i++)
        world_release(world, i, REPLICA_LOG);
    world_quiet(world);
    free_world(world);
}

/* ---- Observers ----------------------------------------------------------------------------------- */

enum { SEEN_MAX = 256 };

static struct lash_observation seen[SEEN_MAX];
static size_t seen_count;

static void see(void *context, const struct lash_observation *observation) {
    (void)context;
    assert_true(seen_count < SEEN_MAX);
    seen[seen_count++] = *observation;
}

/* How often this was seen of `peer`, or, when that is 0, of anybody. */
static size_t times(enum lash_observation_kind kind, lash_id peer) {
    size_t count = 0;
    for (size_t i = 0; i < seen_count; i++)
        count += seen[i].kind == (uint32_t)kind && (peer == 0 || seen[i].peer == peer);
    return count;
}

static void an_election_is_seen_step_by_step(void **state) {
    (void)state;
    struct world *world = new_world(1, 7);
    seen_count = 0;
    world->nodes[0].env.happened = see;
    world_leader(world);
    assert_true(seen_count >= 2);
    assert_int_equal(times(LASH_OBSERVED_LEADER, 1), 1);
    assert_true(times(LASH_OBSERVED_ROLE, 1) >= 1);
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i].kind == LASH_OBSERVED_LEADER)
            assert_true(seen[i].role == LASH_LEADER && seen[i].leader == 1 && seen[i].term > 0);
    free_world(world);
}

static void a_leader_sees_who_is_lost_silent_and_back(void **state) {
    (void)state;
    struct world *world = new_world(3, 8);
    size_t leader = world_leader(world);
    size_t lost = (leader + 1) % 3;
    world_heal(world);
    seen_count = 0;
    world->nodes[leader].env.happened = see;
    world_disconnect(world, leader, lost);
    STEPS_UNTIL(world, times(LASH_OBSERVED_SILENT, lost + 1) == 1);
    assert_int_equal(times(LASH_OBSERVED_DISCONNECTED, lost + 1), 1);
    world_connect(world, leader, lost);
    STEPS_UNTIL(world, times(LASH_OBSERVED_ANSWERING, lost + 1) == 1);
    assert_int_equal(times(LASH_OBSERVED_CONNECTED, lost + 1), 1);
    run_ms(world, 500);
    assert_int_equal(times(LASH_OBSERVED_SILENT, 0), 1);
    assert_int_equal(times(LASH_OBSERVED_ANSWERING, 0), 1);
    assert_int_equal(times(LASH_OBSERVED_ROLE, 0) + times(LASH_OBSERVED_ERROR, 0), 0);
    free_world(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_commit_takes_from_the_proposal_to_the_commit_index, set_up),
        cmocka_unit_test_setup(what_was_proposed_in_an_office_that_was_lost_is_not_measured, set_up),
        cmocka_unit_test_setup(applying_lags_from_the_commit_on, set_up),
        cmocka_unit_test_setup(more_batches_than_marks_are_all_measured, set_up),
        cmocka_unit_test_setup(elections_are_counted_by_how_they_went, set_up),
        cmocka_unit_test_setup(without_a_clock_nothing_is_timed, set_up),
        cmocka_unit_test(every_entry_of_a_leader_is_measured_once),
        cmocka_unit_test(queues_show_what_waits_for_a_disk),
        cmocka_unit_test(an_election_is_seen_step_by_step),
        cmocka_unit_test(a_leader_sees_who_is_lost_silent_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
