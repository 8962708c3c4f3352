/* SPDX-License-Identifier: Apache-2.0
 *
 * Real nodes whose membership changes while they work (D§4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

enum { END_S = 30 }; /* in which a node knows for certain that its part is over */

/* Open the node at `i`: the first `founders` nodes are a new cluster, whoever is not among them joins it. */
static void open_of(struct fixture *fixture, size_t i, size_t founders) {
    char dir[96];
    struct lash_node_options options = fixture_options(fixture, i, dir);
    struct fixture_node *node = &fixture->nodes[i];
    struct lash_state_machine machine = fixture_machine_of(fixture, node);
    node->machine.count = 0;
    node->machine.hash = 0;
    node->machine.last = 0;
    options.peer_count = founders;
    options.joining = i >= founders;
    assert_int_equal(lash_node_open(&options, &machine, &node->node), 0);
}

static struct lash_node_member member_of(const struct fixture *fixture, size_t i, uint32_t flags) {
    return (struct lash_node_member){.id = fixture->peers[i].id,
                                     .flags = flags,
                                     .host = fixture->peers[i].host,
                                     .port = fixture->peers[i].port,
                                     .note = &fixture->peers[i].id,
                                     .note_size = sizeof fixture->peers[i].id};
}

struct ask {
    enum { ADD, REMOVE, PROMOTE, UPDATE } verb;
    size_t who;
    uint32_t flags;
};

static int ask_once(struct fixture *fixture, size_t at, struct ask ask, struct fixture_wait *wait) {
    struct lash_node_member member = member_of(fixture, ask.who, ask.flags);
    lash_node *node = fixture->nodes[at].node;
    switch (ask.verb) {
    case ADD:
        return lash_node_add(node, &member, fixture_done, wait);
    case REMOVE:
        return lash_node_remove(node, member.id, fixture_done, wait);
    case PROMOTE:
        return lash_node_promote(node, member.id, fixture_done, wait);
    default:
        return lash_node_update(node, &member, fixture_done, wait);
    }
}

/* What a change asked for at node `at` ends with. */
static int change(struct fixture *fixture, size_t at, struct ask ask) {
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    assert_int_equal(ask_once(fixture, at, ask, &wait), 0);
    fixture_wait_for(&wait, 0);
    if (wait.succeeded)
        return 0;
    for (size_t i = 0; i < sizeof wait.failed / sizeof wait.failed[0]; i++)
        if (wait.failed[i])
            return -(int)i;
    return 1;
}

/* Ask until it is done, or was done by a try that seemed to fail: an election may come at any time. */
static void change_surely(struct fixture *fixture, size_t at, struct ask ask) {
    for (int tries = 0;; tries++) {
        int error = change(fixture, at, ask);
        bool done = error == 0 || (tries && ((ask.verb == REMOVE && error == LASH_NOT_FOUND) ||
                                             (ask.verb != REMOVE && error == LASH_EXISTS)));
        if (done)
            return;
        fixture_propose_many(fixture->nodes[at].node, 1); /* takes its time */
        assert_true(error == LASH_DROPPED || error == LASH_NO_LEADER || error == LASH_BEHIND || error == LASH_BUSY);
    }
}

/* The flags of a member as node `at` has it; -1: it is none. */
static int flags_of(struct fixture *fixture, size_t at, size_t who) {
    struct lash_members *members;
    int flags = -1;
    assert_int_equal(lash_node_members(fixture->nodes[at].node, &members), 0);
    for (size_t i = 0; i < members->count; i++) {
        const struct lash_node_member *member = &members->members[i];
        if (member->id != fixture->peers[who].id)
            continue;
        flags = (int)member->flags;
        assert_string_equal(member->host, fixture->peers[who].host);
        assert_int_equal(member->port, fixture->peers[who].port);
    }
    lash_members_free(members);
    return flags;
}

static void one_becomes_three_and_any_two_of_them_go_on(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    open_of(&fixture, 0, 1);
    fixture_propose_many(fixture.nodes[0].node, 30);
    struct lash_members *members;
    open_of(&fixture, 1, 1);
    assert_int_equal(lash_node_members(fixture.nodes[1].node, &members), LASH_NOT_FOUND);
    change_surely(&fixture, 0, (struct ask){ADD, 1, 0});
    assert_int_equal(flags_of(&fixture, 0, 1), 0);
    change_surely(&fixture, 0, (struct ask){PROMOTE, 1, 0});
    open_of(&fixture, 2, 1);
    /* A follower takes it as well. */
    change_surely(&fixture, 1, (struct ask){ADD, 2, LASH_MEMBER_VOTER});
    fixture_propose_many(fixture.nodes[2].node, 5);
    uint64_t count = fixture_applied(&fixture.nodes[2]);
    fixture_agree(&fixture, count);
    for (size_t at = 0; at < 3; at++)
        for (size_t who = 0; who < 3; who++)
            assert_int_equal(flags_of(&fixture, at, who), LASH_MEMBER_VOTER);

    fixture_close(&fixture, 0);
    fixture_propose_surely(fixture.nodes[2].node, "go on", 5);
    fixture_agree(&fixture, count + 1);
    /* It comes back with what it knows, and with nobody's addresses. */
    open_of(&fixture, 0, 0);
    fixture_close(&fixture, 1);
    fixture_propose_surely(fixture.nodes[0].node, "and on", 6);
    fixture_agree(&fixture, count + 2);
    fixture_tear_down(&fixture);
}

static void a_learner_is_promoted_by_itself_when_that_is_asked_for(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 2);
    fixture_calm(&fixture);
    open_of(&fixture, 0, 1);
    fixture_propose_many(fixture.nodes[0].node, 100);
    change_surely(&fixture, 0, (struct ask){ADD, 1, LASH_MEMBER_PROMOTE});
    assert_int_equal(flags_of(&fixture, 0, 1), LASH_MEMBER_PROMOTE);
    assert_int_equal(change(&fixture, 0, (struct ask){PROMOTE, 1, 0}), LASH_BEHIND);
    open_of(&fixture, 1, 1);
    while (flags_of(&fixture, 0, 1) != LASH_MEMBER_VOTER)
        fixture_propose_many(fixture.nodes[0].node, 1);
    fixture_agree(&fixture, fixture_applied(&fixture.nodes[0]));
    fixture_tear_down(&fixture);
}

static void what_cannot_be_asked_for_is_refused(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 2);
    fixture_calm(&fixture);
    open_of(&fixture, 0, 1);
    fixture_propose_many(fixture.nodes[0].node, 1);
    assert_int_equal(change(&fixture, 0, (struct ask){ADD, 0, 0}), LASH_EXISTS);
    assert_int_equal(change(&fixture, 0, (struct ask){REMOVE, 1, 0}), LASH_NOT_FOUND);
    assert_int_equal(change(&fixture, 0, (struct ask){PROMOTE, 1, 0}), LASH_NOT_FOUND);
    assert_int_equal(change(&fixture, 0, (struct ask){PROMOTE, 0, 0}), LASH_EXISTS);
    assert_int_equal(change(&fixture, 0, (struct ask){UPDATE, 1, 0}), LASH_NOT_FOUND);
    assert_int_equal(change(&fixture, 0, (struct ask){REMOVE, 0, 0}), LASH_INVALID);
    lash_node *node = fixture.nodes[0].node;
    struct lash_node_member member = member_of(&fixture, 1, LASH_MEMBER_WITNESS);
    assert_int_equal(lash_node_add(node, &member, fixture_done, NULL), LASH_INVALID);
    member = member_of(&fixture, 1, 0);
    member.port = 0;
    assert_int_equal(lash_node_add(node, &member, fixture_done, NULL), LASH_INVALID);
    member = member_of(&fixture, 1, 0);
    member.note_size = LASH_NODE_NOTE_MAX + 1;
    assert_int_equal(lash_node_update(node, &member, fixture_done, NULL), LASH_TOO_LARGE);
    assert_int_equal(lash_node_add(node, NULL, fixture_done, NULL), LASH_INVALID);
    assert_int_equal(lash_node_remove(node, 0, fixture_done, NULL), LASH_INVALID);
    assert_int_equal(lash_node_configure(node, &member, 0, fixture_done, NULL), LASH_INVALID);
    assert_int_equal(lash_node_configure(node, &member, LASH_RAFT_MEMBERS_MAX + 1, fixture_done, NULL), LASH_TOO_LARGE);
    fixture_tear_down(&fixture);
}

/* D§4.3: two others in one step, with commands all the while. */
static void two_of_three_are_replaced_at_once(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 5);
    fixture_calm(&fixture);
    for (size_t i = 0; i < 3; i++)
        open_of(&fixture, i, 3);
    size_t leader = fixture_leader(&fixture);
    fixture_propose_many(fixture.nodes[leader].node, 20);
    open_of(&fixture, 3, 3);
    open_of(&fixture, 4, 3);
    struct lash_node_member members[] = {member_of(&fixture, leader, LASH_MEMBER_VOTER),
                                         member_of(&fixture, 3, LASH_MEMBER_VOTER),
                                         member_of(&fixture, 4, LASH_MEMBER_VOTER)};
    struct fixture_wait wait;
    fixture_wait_init(&wait);
    fixture_wait_add(&wait);
    assert_int_equal(lash_node_configure(fixture.nodes[leader].node, members, 3, fixture_done, &wait), 0);
    fixture_propose_many(fixture.nodes[leader].node, 20);
    fixture_wait_for(&wait, 0);
    assert_int_equal(wait.succeeded, 1);
    struct lash_members *now;
    assert_int_equal(lash_node_members(fixture.nodes[leader].node, &now), 0);
    assert_false(now->joint);
    assert_int_equal(now->count, 3);
    assert_true(now->index >= wait.index);
    lash_members_free(now);
    for (size_t i = 0; i < 3; i++)
        if (i != leader)
            fixture_close(&fixture, i);
    fixture_propose_surely(fixture.nodes[4].node, "new", 3);
    fixture_agree(&fixture, 41);
    fixture_tear_down(&fixture);
}

static void a_directory_says_whose_it_is(void **state) {
    (void)state;
    struct fixture fixture;
    char dir[96];
    struct lash_identity identity;
    fixture_set_up(&fixture, 1);
    struct lash_node_options options = fixture_options(&fixture, 0, dir);
    assert_int_equal(lash_node_identify(options.data_dir, &identity), LASH_NOT_FOUND);
    fixture_open(&fixture, 0);
    fixture_propose_many(fixture.nodes[0].node, 1);
    assert_int_equal(lash_node_identify(options.data_dir, &identity), 0);
    assert_int_equal(identity.id, 1);
    assert_int_equal(identity.cluster_id, 42);
    assert_int_not_equal(identity.disk, 0);
    assert_false(identity.removed);
    assert_int_equal(lash_node_identify("", &identity), LASH_INVALID);
    fixture_tear_down(&fixture);
}

static uint64_t now_s(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec;
}

/* Wait until a node takes no part any more, and say why. */
static int end_of(struct fixture *fixture, size_t i) {
    struct lash_status status;
    uint64_t deadline_s = now_s() + END_S;
    do {
        assert_int_equal(lash_node_status(fixture->nodes[i].node, &status), 0);
        sched_yield();
    } while (!status.error && now_s() < deadline_s);
    return status.error;
}

static int open_again(struct fixture *fixture, size_t i) {
    char dir[96];
    struct lash_node_options options = fixture_options(fixture, i, dir);
    struct lash_state_machine machine = fixture_machine_of(fixture, &fixture->nodes[i]);
    lash_node *node;
    int error = lash_node_open(&options, &machine, &node);
    if (!error)
        lash_node_close(node);
    return error;
}

/* D§4.2.3: it is sent nothing any more, and yet it learns why. */
static void a_removed_node_learns_it_and_stays_away(void **state) {
    (void)state;
    static struct fixture fixture; /* should the test fail, nodes go on with it */
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    for (size_t i = 0; i < 3; i++)
        open_of(&fixture, i, 3);
    size_t leader = fixture_leader(&fixture);
    size_t follower = (leader + 1) % 3;
    size_t third = (leader + 2) % 3;
    change_surely(&fixture, leader, (struct ask){REMOVE, follower, 0});
    assert_int_equal(end_of(&fixture, follower), LASH_REMOVED);
    fixture_close(&fixture, follower);
    assert_int_equal(open_again(&fixture, follower), LASH_REMOVED);
    char dir[96];
    struct lash_identity identity;
    struct lash_node_options options = fixture_options(&fixture, follower, dir);
    assert_int_equal(lash_node_identify(options.data_dir, &identity), 0);
    assert_true(identity.removed);

    /* The leader removes itself, and hands over (D§4.2.2). */
    change_surely(&fixture, leader, (struct ask){REMOVE, leader, 0});
    assert_int_equal(end_of(&fixture, leader), LASH_REMOVED);
    fixture_close(&fixture, leader);
    fixture_propose_surely(fixture.nodes[third].node, "alone", 5);
    fixture_tear_down(&fixture);
}

/* It was down while it was removed: whoever it dials tells it. */
static void a_node_removed_in_its_absence_is_told_when_it_comes_back(void **state) {
    (void)state;
    static struct fixture fixture; /* should the test fail, nodes go on with it */
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    for (size_t i = 0; i < 3; i++)
        open_of(&fixture, i, 3);
    size_t leader = fixture_leader(&fixture);
    size_t away = (leader + 1) % 3;
    fixture_close(&fixture, away);
    change_surely(&fixture, leader, (struct ask){REMOVE, away, 0});
    fixture_propose_many(fixture.nodes[leader].node, 3);
    open_of(&fixture, away, 3);
    assert_int_equal(end_of(&fixture, away), LASH_REMOVED);
    fixture_close(&fixture, away);
    fixture_propose_many(fixture.nodes[leader].node, 1);
    fixture_tear_down(&fixture);
}

/* The hole that Raft leaves to its operators: a member whose disk was emptied has forgotten its vote and its entries. */
static void a_member_that_lost_its_data_is_not_let_in_under_its_old_id(void **state) {
    (void)state;
    static struct fixture fixture; /* should the test fail, nodes go on with it */
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    fixture_open_all(&fixture);
    size_t leader = fixture_leader(&fixture);
    size_t wiped = (leader + 1) % 3;
    fixture_settle(fixture.nodes[leader].node);
    fixture_propose_many(fixture.nodes[leader].node, 5);
    fixture_close(&fixture, wiped);
    fixture_wipe(&fixture, wiped);
    fixture_open(&fixture, wiped);
    assert_int_equal(end_of(&fixture, wiped), LASH_MISMATCH);
    fixture_close(&fixture, wiped);
    /* Removed, and added anew under another id, it is welcome. */
    change_surely(&fixture, leader, (struct ask){REMOVE, wiped, 0});
    fixture.peers[wiped].id = 9;
    fixture_wipe(&fixture, wiped);
    char dir[96];
    struct lash_node_options options = fixture_options(&fixture, wiped, dir);
    struct lash_state_machine machine = fixture_machine_of(&fixture, &fixture.nodes[wiped]);
    options.joining = true;
    options.peer_count = 0; /* whoever comes is welcome */
    assert_int_equal(lash_node_open(&options, &machine, &fixture.nodes[wiped].node), 0);
    change_surely(&fixture, leader, (struct ask){ADD, wiped, LASH_MEMBER_VOTER});
    fixture_propose_many(fixture.nodes[leader].node, 1);
    fixture_agree(&fixture, fixture_applied(&fixture.nodes[leader]));
    fixture_tear_down(&fixture);
}

static void a_member_that_moves_is_followed(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 4); /* the fourth one's port is where the move goes to */
    fixture_calm(&fixture);
    for (size_t i = 0; i < 3; i++)
        open_of(&fixture, i, 3);
    size_t leader = fixture_leader(&fixture);
    size_t moved = (leader + 1) % 3;
    size_t third = (leader + 2) % 3;
    uint16_t before = fixture.peers[moved].port;
    fixture_propose_many(fixture.nodes[leader].node, 3);
    fixture_close(&fixture, third); /* which misses the move */
    fixture_close(&fixture, moved);
    fixture.peers[moved].port = fixture.peers[3].port;
    open_of(&fixture, moved, 3);
    change_surely(&fixture, leader, (struct ask){UPDATE, moved, 0});
    fixture_propose_many(fixture.nodes[moved].node, 2);
    assert_int_equal(flags_of(&fixture, moved, moved), LASH_MEMBER_VOTER);
    fixture.peers[moved].port = before;
    open_of(&fixture, third, 3);
    fixture.peers[moved].port = fixture.peers[3].port;
    fixture_close(&fixture, leader); /* the one of whom both know where it is */
    fixture_propose_surely(fixture.nodes[third].node, "found", 5);
    fixture_agree(&fixture, fixture_applied(&fixture.nodes[third]));
    fixture_tear_down(&fixture);
}

/* Damage what follows "zzzz" in the node's log. */
static void damage_log(const struct fixture *fixture, size_t i) {
    static char data[64 << 10];
    char path[400];
    snprintf(path, sizeof path, "%s/n%zu/log", fixture->dir, i + 1);
    DIR *log = opendir(path);
    assert_non_null(log);
    int damaged = 0;
    for (struct dirent *entry; (entry = readdir(log));) {
        if (strncmp(entry->d_name, "log-", 4) != 0)
            continue;
        snprintf(path, sizeof path, "%s/n%zu/log/%s", fixture->dir, i + 1, entry->d_name);
        int file = open(path, O_RDWR | O_CLOEXEC);
        assert_true(file >= 0);
        ssize_t size = pread(file, data, sizeof data, 0);
        const char *at = size > 0 ? memmem(data, (size_t)size, "zzzz", 4) : NULL;
        if (at)
            damaged += pwrite(file, "damage", 6, at + 4 - data) == 6;
        close(file);
    }
    closedir(log);
    assert_int_equal(damaged, 1);
}

/* Its first day knew only itself, and the log no longer holds who came later: the snapshot tells whom to ask. */
static void a_damaged_member_asks_those_whom_its_snapshot_names(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_set_up(&fixture, 2);
    fixture_calm(&fixture);
    fixture.snapshots = true;
    fixture.options.trailing_bytes = 1;
    fixture.options.segment_bytes = 64 << 10;
    open_of(&fixture, 0, 1);
    open_of(&fixture, 1, 1);
    change_surely(&fixture, 0, (struct ask){ADD, 1, LASH_MEMBER_VOTER});
    fixture_settle(fixture.nodes[0].node);
    struct lash_status status;
    for (int round = 0; round < 2; round++) {
        fixture_propose_many(fixture.nodes[0].node, 10);
        assert_int_equal(fixture_snapshot(fixture.nodes[0].node, NULL), 0);
    }
    assert_int_equal(lash_node_status(fixture.nodes[0].node, &status), 0);
    assert_true(status.raft.first_index > 10); /* no membership is in the log any more */
    fixture_propose_surely(fixture.nodes[0].node, "zzzz and the rest", 17);
    fixture_propose_many(fixture.nodes[0].node, 5);
    fixture_close(&fixture, 0);
    damage_log(&fixture, 0);
    open_of(&fixture, 0, 0);
    (void)fixture_leader(&fixture); /* takes both, and so a log that is whole */
    fixture_propose_surely(fixture.nodes[0].node, "whole again", 11);
    assert_int_equal(lash_node_status(fixture.nodes[0].node, &status), 0);
    assert_int_equal(status.error, 0);
    fixture_agree(&fixture, fixture_applied(&fixture.nodes[0]));
    fixture_tear_down(&fixture);
}

static void a_stranger_may_ask_for_the_membership(void **state) {
    (void)state;
    struct fixture fixture;
    struct lash_members *members;
    fixture_set_up(&fixture, 3);
    fixture_calm(&fixture);
    assert_int_equal(lash_node_ask(fixture.peers, 0, 100, &members), LASH_INVALID);
    assert_int_equal(lash_node_ask(fixture.peers, 1, 1000, &members), LASH_NOT_FOUND);
    open_of(&fixture, 1, 2);
    open_of(&fixture, 0, 2);
    fixture_leader(&fixture);
    struct lash_peer addresses[] = {fixture.peers[2], fixture.peers[0]}; /* nobody is at the first */
    assert_int_equal(lash_node_ask(addresses, 2, 20000, &members), 0);
    assert_int_equal(members->cluster_id, 42);
    assert_int_equal(members->count, 2);
    assert_int_equal(members->members[1].id, 2);
    assert_int_equal(members->members[1].port, fixture.peers[1].port);
    lash_members_free(members);
    /* Who joins knows of none. */
    open_of(&fixture, 2, 2);
    assert_int_equal(lash_node_ask(addresses, 1, 5000, &members), LASH_NOT_FOUND);
    fixture_tear_down(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_becomes_three_and_any_two_of_them_go_on),
        cmocka_unit_test(a_learner_is_promoted_by_itself_when_that_is_asked_for),
        cmocka_unit_test(what_cannot_be_asked_for_is_refused),
        cmocka_unit_test(two_of_three_are_replaced_at_once),
        cmocka_unit_test(a_directory_says_whose_it_is),
        cmocka_unit_test(a_removed_node_learns_it_and_stays_away),
        cmocka_unit_test(a_node_removed_in_its_absence_is_told_when_it_comes_back),
        cmocka_unit_test(a_member_that_lost_its_data_is_not_let_in_under_its_old_id),
        cmocka_unit_test(a_member_that_moves_is_followed),
        cmocka_unit_test(a_damaged_member_asks_those_whom_its_snapshot_names),
        cmocka_unit_test(a_stranger_may_ask_for_the_membership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
