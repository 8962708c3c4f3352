/* SPDX-License-Identifier: Apache-2.0
 *
 * Figure 3 of the paper: the five properties that hold at all times, each in the
 * situation that puts it to the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "solo.h"

/* Election Safety: at most one leader can be elected in a given term (§5.2). Two candidates of one term share the votes
 * of five nodes in every possible way, requests and answers delivered; never do both win. */
static void election_safety(void **state) {
    (void)state;
    uint32_t won = 0;
    for (uint32_t first = 0; first < 8; first++) {
        struct lash_raft_options options = {.no_pre_vote = true};
        struct cluster *cluster = cluster_new(5, &options, 1 + first);
        cluster_start_all(cluster);
        cluster->now_ms = 5000;
        cluster_tick(cluster, 1);
        cluster_tick(cluster, 2);
        cluster_write(cluster, 1, 1);
        cluster_write(cluster, 2, 1);
        for (lash_id voter = 3; voter <= 5; voter++) {
            lash_id candidate = (first >> (voter - 3)) & 1 ? 1 : 2;
            cluster_deliver(cluster, cluster_find(cluster, candidate, voter));
        }
        cluster_settle(cluster);
        bool one = cluster_node(cluster, 1)->role == LASH_LEADER;
        bool two = cluster_node(cluster, 2)->role == LASH_LEADER;
        assert_true(one != two);
        assert_int_equal(cluster_node(cluster, one ? 1 : 2)->term, 1);
        won += one;
        cluster_free(cluster);
    }
    assert_int_equal(won, 4);
}

/* Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends new entries (§5.3). Not
 * even when another claims to lead its term. */
static void leader_append_only(void **state) {
    (void)state;
    struct solo solo;
    solo_start(&solo, &(struct solo_start){.term = 1, .log = SOLO_LOG(1, 1)});
    solo_lead(&solo);
    solo_propose(&solo, 2);
    assert_string_equal(solo_log(&solo), "1 1 2 2 2");
    solo_message(&solo, solo_append(&solo, 3, 2, 1, 1, 0, SOLO_LOG(2, 2)));
    solo_message(&solo, solo_append(&solo, 3, 1, 1, 1, 0, SOLO_LOG(1)));
    solo_message(&solo, solo_refuse(3, 2, 2, 0, 0));
    assert_string_equal(solo_log(&solo), "1 1 2 2 2");
    assert_int_equal(solo_status(&solo).role, LASH_LEADER);
    solo_propose(&solo, 1);
    assert_int_equal(solo.out.append_first, 6);
    solo_stop(&solo);
}

/* Log Matching: if two logs contain an entry with the same index and term, then the logs are identical in all entries up
 * through the given index (§5.3). Followers with all kinds of logs take a leader's. */
static void log_matching(void **state) {
    (void)state;
    static const lash_term logs[][6] = {{1, 1, 1, 2, 2, 5}, {1},          {1, 1, 1, 3, 3, 3},
                                        {1, 1, 1, 2, 2, 2}, {1, 1, 4, 4}, {1, 1, 1, 1, 1, 1}};
    struct lash_raft_options options = {.message_bytes_max = 2 * CLUSTER_ENTRY_BYTES};
    struct cluster *cluster = cluster_new(6, &options, 3);
    for (lash_id id = 1; id <= 6; id++) {
        uint32_t count = 0;
        while (count < 6 && logs[id - 1][count] != 0)
            count++;
        cluster_disk_set(cluster, id, logs[id - 1], count, 5, 0);
        cluster_start(cluster, id, 0);
    }
    cluster->now_ms = 5000;
    cluster_tick(cluster, 1);
    cluster_settle(cluster);
    assert_int_equal(cluster_leader(cluster), 1);
    const struct entries *leader = &cluster_node(cluster, 1)->log;
    assert_int_equal(leader->count, 7);
    for (lash_id id = 2; id <= 6; id++) {
        const struct entries *log = &cluster_node(cluster, id)->log;
        assert_int_equal(log->count, leader->count);
        for (uint64_t i = 0; i < log->count; i++)
            assert_true(entry_equal(&log->entries[i], &leader->entries[i]));
    }
    cluster_free(cluster);
}

/* Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the logs of the
 * leaders for all higher-numbered terms (§5.4). Only n1 and n2 hold the committed entry; n3, which lacks it, cannot win
 * with any votes but its own. */
static void leader_completeness(void **state) {
    (void)state;
    struct lash_raft_options options = {.no_pre_vote = true};
    struct cluster *cluster = cluster_new(3, &options, 4);
    cluster_start_all(cluster);
    cluster_elect(cluster, 1);
    cluster_isolate(cluster, 3, true);
    assert_int_equal(cluster_propose(cluster, 1, 1), LASH_OK);
    cluster_settle(cluster);
    assert_int_equal(oracle_committed(cluster->oracle), 2);
    cluster_crash(cluster, 1, 0);
    cluster_isolate(cluster, 3, false);
    for (int i = 0; i < 5; i++) {
        struct cluster_node *node = cluster_node(cluster, 3);
        cluster->now_ms = cluster->now_ms > node->deadline_ms ? cluster->now_ms : node->deadline_ms;
        cluster_tick(cluster, 3);
        cluster_settle(cluster);
        assert_int_not_equal(node->role, LASH_LEADER);
    }
    cluster_run(cluster, 5000);
    assert_int_equal(cluster_leader(cluster), 2);
    assert_true(entry_equal(&cluster_node(cluster, 3)->log.entries[1], oracle_committed_entry(cluster->oracle, 2)));
    cluster_free(cluster);
}

/* State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other server will
 * ever apply a different log entry for the same index (§5.4.3). The schedule of Figure 8 to its end: n5's entry of term 3
 * replaces n1's of term 2 although that had been on a majority, and nobody had committed it. */
static void state_machine_safety(void **state) {
    (void)state;
    struct lash_raft_options options = {.no_pre_vote = true, .message_bytes_max = CLUSTER_ENTRY_BYTES};
    struct cluster *cluster = cluster_new(5, &options, 5);
    const lash_term two[] = {1, 2}, three[] = {1, 3}, one[] = {1};
    cluster_disk_set(cluster, 1, two, 2, 3, 0);
    cluster_disk_set(cluster, 2, two, 2, 3, 0);
    cluster_disk_set(cluster, 3, one, 1, 3, 5);
    cluster_disk_set(cluster, 4, one, 1, 3, 5);
    cluster_disk_set(cluster, 5, three, 2, 3, 5);
    cluster_start(cluster, 1, 0);
    cluster_start(cluster, 3, 0);
    cluster_start(cluster, 4, 0);
    cluster->now_ms = 5000;
    cluster_tick(cluster, 1);
    cluster_write(cluster, 1, 1);
    for (lash_id id = 3; id <= 4; id++) {
        cluster_deliver(cluster, cluster_find(cluster, 1, id));
        cluster_write(cluster, id, 1);
        cluster_deliver(cluster, cluster_find(cluster, id, 1));
    }
    assert_int_equal(cluster_leader(cluster), 1);
    /* Refused behind entry 2, then entry 2 itself, to n3 only. */
    for (int i = 0; i < 2; i++) {
        cluster_deliver(cluster, cluster_find(cluster, 1, 3));
        cluster_write(cluster, 3, 1);
        cluster_deliver(cluster, cluster_find(cluster, 3, 1));
    }
    assert_int_equal(cluster_node(cluster, 3)->log.entries[1].term, 2);
    assert_int_equal(oracle_committed(cluster->oracle), 0);
    cluster_crash(cluster, 1, 0);
    while (cluster->packet_count > 0)
        cluster_drop(cluster, 0);
    /* (d) n5 is elected by n3 and n4, and its entry 2 of term 3 wins. */
    cluster_start(cluster, 5, 0);
    cluster_start(cluster, 2, 0);
    cluster->now_ms = 20000;
    cluster_tick(cluster, 5);
    cluster_settle(cluster);
    cluster->now_ms = 30000;
    cluster_tick(cluster, 5);
    cluster_settle(cluster);
    assert_int_equal(cluster_leader(cluster), 5);
    cluster_start(cluster, 1, 0);
    cluster_run(cluster, 5000);
    assert_true(oracle_committed(cluster->oracle) >= 3);
    assert_int_equal(oracle_committed_entry(cluster->oracle, 2)->term, 3);
    for (lash_id id = 1; id <= 5; id++)
        assert_int_equal(cluster_node(cluster, id)->commit, oracle_committed(cluster->oracle));
    cluster_free(cluster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(election_safety),     cmocka_unit_test(leader_append_only),   cmocka_unit_test(log_matching),
        cmocka_unit_test(leader_completeness), cmocka_unit_test(state_machine_safety),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
