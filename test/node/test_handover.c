/* SPDX-License-Identifier: Apache-2.0
 *
 * Leadership transfer between replicas (D§3.10): writes are held, not failed, and
 * whoever asked hears of the end, once, however it comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lash/log.h"
#include "simulated.h"

static void until_told(struct world *world, uint64_t transfers) {
    STEPS_UNTIL(world, world->tally.transfers >= transfers);
    assert_int_equal(world->tally.transfers, transfers);
}

static void leadership_goes_round_and_no_write_fails(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = new_world(3, seed);
        size_t leader = world_leader(world);
        world_heal(world);
        uint64_t made = 0;
        for (uint64_t i = 1; i <= 10; i++) {
            size_t target = (leader + 1 + i % 2) % 3;
            for (size_t j = 0; j < 9; j++, made++)
                world_propose(world, j % 3);
            world_transfer(world, leader, target);
            for (size_t j = 0; j < 9; j++, made++)
                world_propose(world, j % 3);
            until_told(world, i);
            assert_int_equal(world->transfer_error, 0);
            leader = world_leader(world);
            assert_int_equal(leader, target);
            world_quiet(world);
        }
        assert_int_equal(world->tally.done + world->tally.unsure + world->tally.dropped, made);
        assert_int_equal(world->tally.unsure, 0);
        world_heal(world);
        free_world(world);
    }
}

static void who_does_not_lead_cannot_hand_over_and_who_leads_already_need_not(void **state) {
    (void)state;
    struct world *world = new_world(3, 21);
    size_t leader = world_leader(world);
    world_transfer(world, (leader + 1) % 3, leader);
    until_told(world, 1);
    assert_int_equal(world->transfer_error, LASH_NOT_LEADER);
    world_transfer(world, leader, leader);
    until_told(world, 2);
    assert_int_equal(world->transfer_error, 0);
    assert_int_equal(world_leader(world), leader);
    free_world(world);
    world = new_world(1, 22);
    leader = world_leader(world);
    world_transfer(world, leader, world->count);
    until_told(world, 1);
    assert_int_equal(world->transfer_error, LASH_NOT_FOUND);
    free_world(world);
}

/* The one that is to take over does not take entries for as long as its disk stands still; meanwhile writes wait. */
static void a_transfer_to_one_that_lags_is_given_up_and_held_writes_go_on(void **state) {
    (void)state;
    struct world *world = new_world(3, 23);
    size_t leader = world_leader(world);
    world_heal(world);
    size_t target = (leader + 1) % 3;
    world_hold(world, target, REPLICA_LOG);
    uint64_t before = world_propose(world, leader);
    STEPS_UNTIL(world, world_fate(world, before) != WORLD_OPEN);
    world_transfer(world, leader, target);
    world_transfer(world, leader, 3 - leader - target);
    world_transfer(world, leader, world->count);
    uint64_t number = world_propose(world, leader);
    uint64_t begin_us = world->now_us;
    while (world->tally.transfers < 3) {
        assert_true(world_step(world));
        if (world->tally.transfers == 1) /* another one at the same time there cannot be */
            assert_int_equal(world->transfer_error, LASH_BUSY);
        if (world->tally.transfers < 3)
            assert_int_equal(world_fate(world, number), WORLD_OPEN);
    }
    assert_int_equal(world->transfer_error, LASH_TIMEOUT);
    assert_in_range(world->now_us, begin_us + 99000, begin_us + 200000); /* clocks show whole milliseconds */
    assert_int_equal(world_leader(world), leader);
    STEPS_UNTIL(world, world_fate(world, number) != WORLD_OPEN);
    assert_int_equal(world_fate(world, number), WORLD_DONE);
    world_release(world, target, REPLICA_LOG);
    world_heal(world);
    free_world(world);
}

/* Whatever happens during transfers, each ends once, and nothing acknowledged is lost. */
static void transfers_among_partitions_end_once(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 130; seed++) {
        struct world *world = new_world(3, seed);
        uint64_t asked = 0;
        for (int i = 0; i < 20000; i++) {
            size_t a = (size_t)draw(world, 3);
            size_t b = (size_t)draw(world, 4);
            uint64_t what = draw(world, 300);
            if (!world->nodes[a].replica)
                world_start(world, a);
            if (what == 0 && b < 3 && a != b)
                world_disconnect(world, a, b);
            else if (what <= 2 && b < 3 && a != b && world->nodes[b].replica)
                world_connect(world, a, b);
            else if (what <= 5)
                world_propose(world, a);
            else if (what <= 8) {
                world_transfer(world, a, b);
                asked++;
            }
            world_step(world);
        }
        world_heal(world);
        until_told(world, asked);
        free_world(world);
    }
}

int main(void) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leadership_goes_round_and_no_write_fails),
        cmocka_unit_test(who_does_not_lead_cannot_hand_over_and_who_leads_already_need_not),
        cmocka_unit_test(a_transfer_to_one_that_lags_is_given_up_and_held_writes_go_on),
        cmocka_unit_test(transfers_among_partitions_end_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
