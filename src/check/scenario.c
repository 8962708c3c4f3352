/* SPDX-License-Identifier: Apache-2.0
 *
 * The scenarios. Some start from empty disks and show all ways to get anywhere; others start
 * where it took several elections to get to, as in the paper's Figures 7 and 8, and so reach deep with
 * few states.
 */
#include "check/scenario.h"

#include <string.h>

#include "base/assert.h"

/* Three nodes, and room for so many messages in flight. What is not named is off: disks are synchronous, nothing crashes.
 * With the network's full capacity no message is ever lost for want of room; where that makes too many states, there is
 * room for few. */
#define SCENARIO_ROOM(count) .nodes = 3, .messages = (count), .symmetry = true, .reduction = true
#define SCENARIO_BASE SCENARIO_ROOM(SPACE_MESSAGES_MAX)

const struct scenario scenarios[] =
    {
        {
            .name = "elections",
            .about = "writes take time, crashes lose them",
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .writes = 2},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .writes = 2, .crashes = 1},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 3, .writes = 3, .crashes = 2},
                },
        },
        {
            .name = "late",
            .about = "messages of past terms still arrive",
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .crashes = 1, .late = true},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .crashes = 2, .late = true},
                    {SCENARIO_BASE, .terms = 3, .timeouts = 3, .crashes = 1, .late = true},
                },
        },
        {
            .name = "pre-vote",
            .about = "pre-vote and check-quorum, as in production",
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .pre_vote = true, .check_quorum = true},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .writes = 2, .crashes = 1, .pre_vote = true,
                     .check_quorum = true},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 3, .writes = 2, .crashes = 1, .pre_vote = true,
                     .check_quorum = true},
                },
        },
        {
            .name = "log",
            .about = "commands through changes of leader",
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .entries = 1},
                    {SCENARIO_BASE, .terms = 3, .timeouts = 3, .entries = 1},
                    {SCENARIO_BASE, .terms = 3, .timeouts = 3, .entries = 2, .crashes = 1},
                },
        },
        {
            .name = "heartbeats",
            .about = "probes and heartbeats besides entries",
            .bounds =
                {
                    {SCENARIO_ROOM(2), .terms = 1, .timeouts = 1, .entries = 1, .heartbeats = 1},
                    {SCENARIO_ROOM(2), .terms = 2, .timeouts = 2, .entries = 1, .heartbeats = 1},
                    {SCENARIO_ROOM(3), .terms = 2, .timeouts = 2, .entries = 1, .heartbeats = 1},
                },
        },
        {
            .name = "reads",
            .about = "reads at leaders and followers through a change of leader",
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 1, .timeouts = 1, .reads = 1},
                    {SCENARIO_ROOM(2), .terms = 2, .timeouts = 2, .reads = 1},
                    {SCENARIO_ROOM(3), .terms = 2, .timeouts = 2, .reads = 1, .entries = 1},
                },
        },
        {
            .name = "transfer",
            .about = "an office handed over, with pre-vote and check-quorum",
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 2, .timeouts = 1, .transfers = 1, .pre_vote = true, .check_quorum = true},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 1, .transfers = 1, .pre_vote = true, .check_quorum = true},
                    {SCENARIO_BASE, .terms = 3, .timeouts = 2, .transfers = 1, .entries = 1, .pre_vote = true,
                     .check_quorum = true},
                },
        },
        {
            .name = "late-round",
            .about = "a heartbeat of an earlier leadership arrives during a read of a later one",
            .disks = {{.term = 1, .vote = 1, .log = {1, 1}},
                      {.term = 1, .vote = 1, .log = {1, 1}},
                      {.term = 1, .log = {1, 1}}},
            .committed = 2,
            .floor = 1,
            .late_round = 1,
            .bounds =
                {
                    {SCENARIO_ROOM(2), .terms = 1, .timeouts = 1, .reads = 1, .late = true},
                    {SCENARIO_ROOM(2), .terms = 2, .timeouts = 2, .reads = 1, .late = true},
                    {SCENARIO_ROOM(3), .terms = 2, .timeouts = 2, .reads = 1, .late = true},
                },
        },
        {
            .name = "figure-7",
            .about = "logs that have parted in several terms",
            .disks = {{.term = 3, .vote = 1, .log = {1, 1, 3}},
                      {.term = 2, .vote = 2, .log = {1, 2, 2}},
                      {.term = 3, .vote = 1, .log = {1}}},
            .committed = 1,
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 1, .timeouts = 1, .writes = 2},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .writes = 2},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .crashes = 1, .writes = 2},
                },
        },
        {
            .name = "figure-8",
            .about = "an entry of an older term on a majority",
            .disks = {{.term = 2, .vote = 1, .log = {1, 2}},
                      {.term = 3, .vote = 3, .log = {1}},
                      {.term = 3, .vote = 3, .log = {1, 3}}},
            .committed = 1,
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .crashes = 1},
                    {SCENARIO_BASE, .terms = 3, .timeouts = 3, .crashes = 1, .entries = 1},
                },
        },
        {
            .name = "stale-suffix",
            .about = "a follower with a longer log that was never committed",
            .disks = {{.term = 3, .vote = 1, .log = {1, 3, 3}},
                      {.term = 2, .vote = 2, .log = {1, 2, 2, 2}},
                      {.term = 3, .vote = 1, .log = {1, 3, 3}}},
            .committed = 3,
            .bounds =
                {
                    {SCENARIO_BASE, .terms = 1, .timeouts = 2, .heartbeats = 1},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .crashes = 1},
                    {SCENARIO_BASE, .terms = 2, .timeouts = 2, .crashes = 1, .writes = 2},
                },
        },
        {.name = NULL},
};

const char *scenario_bound_name(unsigned bound) {
    static const char *const names[SCENARIO_BOUNDS] = {"small", "default", "large"};
    return bound < SCENARIO_BOUNDS ? names[bound] : NULL;
}

static uint8_t scenario_term(const struct scenario *scenario) {
    uint8_t term = 0;
    for (uint32_t i = 0; i < MODEL_NODES_MAX; i++) {
        if (scenario->disks[i].term > term)
            term = scenario->disks[i].term;
    }
    return term;
}

const char *scenario_wrong(const struct model_bounds *bounds) {
    if (bounds->nodes < 1 || bounds->nodes > MODEL_NODES_MAX)
        return "there can be 1 to 5 nodes";
    if (bounds->terms < 1 || bounds->terms > MODEL_TERMS_MAX)
        return "there can be 1 to 7 terms, those that a scenario starts with included";
    if (bounds->terms + bounds->entries > MODEL_LOG_MAX)
        return "terms and entries together can be 12 at most, those that a scenario starts with included";
    if (bounds->messages < 1 || bounds->messages > SPACE_MESSAGES_MAX)
        return "there can be 1 to 24 messages in flight";
    if (bounds->reads > MODEL_READS_MAX)
        return "there can be 3 reads at most";
    if (bounds->writes > MODEL_WRITES_MAX)
        return "there can be 4 writes under way at most";
    if (bounds->crashes > 100 || bounds->timeouts > 100 || bounds->heartbeats > 100 || bounds->transfers > 100)
        return "crashes, timeouts, heartbeats and transfers can be 100 at most";
    return NULL;
}

struct model_bounds scenario_bounds(const struct scenario *scenario, const struct model_bounds *bounds) {
    struct model_bounds absolute = *bounds;
    absolute.terms += scenario_term(scenario);
    return absolute;
}

/* Entries of one index and term are the same on all nodes, the first of a term a no-op. */
static model_entry scenario_entry(const struct scenario_disk *disk, uint32_t i) {
    bool first = i == 0 || disk->log[i - 1] != disk->log[i];
    unsigned kind = first ? LASH_ENTRY_NOOP : LASH_ENTRY_COMMAND;
    return MODEL_ENTRY(disk->log[i], kind, 1, i + 1);
}

static void scenario_disk(const struct scenario_disk *disk, struct model_node *node) {
    node->disk_term = disk->term;
    node->disk_vote = disk->vote;
    for (uint32_t i = 0; i < SCENARIO_LOG_MAX && disk->log[i] != 0; i++)
        node->disk[node->disk_count++] = scenario_entry(disk, i);
}

bool scenario_start(const struct scenario *scenario, struct space *space, uint32_t *state) {
    struct model_node nodes[MODEL_NODES_MAX];
    struct model_ghost ghost;
    memset(nodes, 0, sizeof nodes);
    memset(&ghost, 0, sizeof ghost);
    for (uint32_t i = 0; i < space_bounds(space)->nodes; i++) {
        nodes[i].id = (uint8_t)(i + 1);
        scenario_disk(&scenario->disks[i], &nodes[i]);
        nodes[i].commit = scenario->floor;
    }
    for (uint32_t i = 0; i < scenario->committed; i++)
        ghost.committed[i] = scenario_entry(&scenario->disks[0], i);
    ghost.committed_count = scenario->committed;
    if (!space_start(space, nodes, &ghost, state))
        return false;
    if (scenario->late_round == 0)
        return true;
    struct model_message message;
    memset(&message, 0, sizeof message);
    message.body.type = LASH_MSG_APPEND;
    message.body.from = 1;
    message.body.to = 2;
    message.body.term = 1;
    message.body.append.prev_index = 1;
    message.body.append.prev_term = 1;
    message.body.append.round = scenario->late_round;
    return space_start_message(space, &message, state);
}
