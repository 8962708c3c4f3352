/* SPDX-License-Identifier: Apache-2.0
 *
 * The scenarios. Some start from empty disks and show all ways to get anywhere; others start
 * where it took several elections to get to, as in the paper's Figures 7 and 8, and so reach deep with
 * few states.
 */
#include "check/scenario.h"

#include <string.h>

#include "check/fingerprints.h"

#define SCENARIO_DEPTH_MAX 1000000

/* Three nodes, and room for so many messages in flight. What is not named is off: disks are synchronous, nothing crashes.
 * With the network's full capacity no message is ever lost for want of room; where that makes too many states, there is
 * room for few. */
#define SCENARIO_OF(count, room) .nodes = (count), .messages = (room), .symmetry = true, .reduction = true
#define SCENARIO_ROOM(count) SCENARIO_OF(3, count)
#define SCENARIO_BASE SCENARIO_ROOM(SPACE_MESSAGES_MAX)

/* All that can happen, together: three terms and as many commands beside the no-ops of their leaders, two crashes, writes that
 * take time, reads, heartbeats, messages of past terms. */
#define SCENARIO_EVERYTHING(steps)                                                                                     \
    SCENARIO_BASE, .terms = 3, .timeouts = 3, .entries = 3, .crashes = 2, .writes = 2, .reads = 1, .heartbeats = 1,    \
                   .late = true, .depth = (steps)

/* Changes of membership. Sets of bits by id: of n1 n2 n3 one is added, or one removed; n3 n4 take the place of n1 n2. */
#define SCENARIO_SINGLE(count) .changes = (count), .rosters = {0x0e, 0x1e, 0x06}
#define SCENARIO_JOINT(count) .changes = (count), .rosters = {0x06, 0x18}

/* The last of three is a witness. */
#define SCENARIO_WITNESS .witnesses = 0x08

const struct scenario
    scenarios[] =
        {
            {
                .name = "everything",
                .about = "all that can happen, together, to a depth",
                .bounds =
                    {
                        {SCENARIO_EVERYTHING(9)},
                        {SCENARIO_EVERYTHING(14)},
                        {SCENARIO_EVERYTHING(17)},
                    },
            },
            {
                .name = "everything-pre",
                .about = "the same with pre-vote and check-quorum, as in production",
                .bounds =
                    {
                        {SCENARIO_EVERYTHING(9), .pre_vote = true, .check_quorum = true},
                        {SCENARIO_EVERYTHING(14), .pre_vote = true, .check_quorum = true},
                        {SCENARIO_EVERYTHING(18), .pre_vote = true, .check_quorum = true},
                    },
            },
            {
                .name = "everything-later",
                .about = "the same from logs that have parted, with an entry of an older term on a majority",
                .disks = {{.term = 2, .vote = 1, .log = {1, 2}},
                          {.term = 3, .vote = 3, .log = {1, 2}},
                          {.term = 3, .vote = 3, .log = {1, 3}}},
                .committed = 1,
                .bounds =
                    {
                        {SCENARIO_EVERYTHING(8)},
                        {SCENARIO_EVERYTHING(12)},
                        {SCENARIO_EVERYTHING(16)},
                    },
            },
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
                        {SCENARIO_BASE, .terms = 2, .timeouts = 1, .transfers = 1, .pre_vote = true,
                         .check_quorum = true},
                        {SCENARIO_BASE, .terms = 2, .timeouts = 1, .transfers = 1, .pre_vote = true,
                         .check_quorum = true},
                        {SCENARIO_BASE, .terms = 3, .timeouts = 2, .transfers = 1, .entries = 1, .pre_vote = true,
                         .check_quorum = true},
                    },
            },
            {
                .name = "snapshot",
                .about = "a follower lacks what is compacted, or holds entries that were never committed",
                .disks = {{.term = 2, .vote = 1, .log = {1, 2}},
                          {.term = 2, .vote = 1, .log = {1, 2}},
                          {.term = 1, .vote = 3, .log = {1, 1, 1}}},
                .committed = 2,
                .floor = 1,
                .bounds =
                    {
                        {SCENARIO_ROOM(2), .terms = 1, .timeouts = 1, .snapshots = 1, .writes = 2},
                        {SCENARIO_ROOM(2), .terms = 1, .timeouts = 1, .snapshots = 1, .crashes = 1, .writes = 2},
                        {SCENARIO_ROOM(3), .terms = 1, .timeouts = 1, .snapshots = 1, .crashes = 1, .writes = 2},
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
                .appends = {{.from = 1, .to = 2, .term = 1, .prev_index = 1, .prev_term = 1, .round = 1}},
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
            {
                /* n1 led term 1, n2 term 2, n1 terms 3 and 4, having lost its no-op of term 3 in a crash; n4 and n5 voted each
             * time. What they sent to n3 is still on its way. That takes five nodes: of three, one of two voters
             * would hold the entry of term 2. */
                .name = "cuts",
                .about =
                    "an entry is cut off, comes back, and what follows it is cut off, all while it is being written",
                .disks = {{.term = 4, .vote = 1, .log = {1, 4}},
                          {.term = 2, .vote = 2, .log = {2}},
                          {.term = 1, .vote = 1},
                          {.term = 4, .vote = 1},
                          {.term = 4, .vote = 1}},
                .appends = {{.from = 1, .to = 3, .term = 1, .log = {1}},
                            {.from = 2, .to = 3, .term = 2, .log = {2}},
                            {.from = 1, .to = 3, .term = 3, .log = {1, 3}},
                            {.from = 1, .to = 3, .term = 4, .prev_index = 1, .prev_term = 1, .log = {4}}},
                .bounds =
                    {
                        {SCENARIO_OF(5, SPACE_MESSAGES_MAX), .writes = 4, .crashes = 1, .late = true},
                        {SCENARIO_OF(5, SPACE_MESSAGES_MAX), .writes = 4, .crashes = 2, .late = true},
                        {SCENARIO_OF(5, SPACE_MESSAGES_MAX), .writes = 4, .crashes = 1, .terms = 1, .timeouts = 1},
                    },
            },
            {
                .name = "members",
                .about = "servers added and removed one at a time, the leader among them",
                .bounds =
                    {
                        {SCENARIO_OF(4, 1), .terms = 2, .timeouts = 2, SCENARIO_SINGLE(1)},
                        {SCENARIO_OF(4, 2), .terms = 2, .timeouts = 2, SCENARIO_SINGLE(1)},
                        {SCENARIO_OF(4, 3), .terms = 2, .timeouts = 2, SCENARIO_SINGLE(1)},
                    },
            },
            {
                .name = "joint-members",
                .about = "servers exchanged through a joint configuration",
                .bounds =
                    {
                        {SCENARIO_OF(4, 2), .terms = 2, .timeouts = 2, SCENARIO_JOINT(1)},
                        {SCENARIO_OF(4, 3), .terms = 2, .timeouts = 2, .crashes = 1, SCENARIO_JOINT(1)},
                        {SCENARIO_OF(4, 3), .terms = 2, .timeouts = 2, SCENARIO_JOINT(2)},
                    },
            },
            {
                .name = "witness",
                .about = "of three voters one is a witness",
                .bounds =
                    {
                        {SCENARIO_BASE, .terms = 2, .timeouts = 2, .writes = 2, SCENARIO_WITNESS},
                        {SCENARIO_ROOM(2), .terms = 2, .timeouts = 2, .entries = 1, .writes = 2, SCENARIO_WITNESS},
                        {SCENARIO_BASE, .terms = 2, .timeouts = 3, .entries = 1, .writes = 2, .crashes = 1,
                         SCENARIO_WITNESS},
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
    if (bounds->terms + bounds->entries + 2 * bounds->changes > MODEL_LOG_MAX)
        return "terms, entries and twice the changes of membership can be 12 together at most, those that a scenario "
               "starts with included";
    if (bounds->messages < 1 || bounds->messages > SPACE_MESSAGES_MAX)
        return "there can be 1 to 24 messages in flight";
    if (bounds->reads > MODEL_READS_MAX)
        return "there can be 3 reads at most";
    if (bounds->writes > MODEL_WRITES_MAX)
        return "there can be 4 writes under way at most";
    if (bounds->crashes > FINGERPRINTS_SPENT_MAX || bounds->timeouts > FINGERPRINTS_SPENT_MAX ||
        bounds->heartbeats > FINGERPRINTS_SPENT_MAX || bounds->transfers > FINGERPRINTS_SPENT_MAX)
        return "crashes, timeouts, heartbeats and transfers can be 31 at most";
    if (bounds->snapshots > UINT8_MAX)
        return "there can be 255 snapshots at most";
    if (bounds->depth > SCENARIO_DEPTH_MAX)
        return "depth cannot be negative, nor above a million";
    return NULL;
}

struct model_bounds scenario_bounds(const struct scenario *scenario, const struct model_bounds *bounds) {
    struct model_bounds absolute = *bounds;
    absolute.terms += scenario_term(scenario);
    return absolute;
}

/* Entries of one index and term are the same everywhere, the first of a term a no-op. `before` is the term of the entry
 * before it. */
static model_entry scenario_entry(uint8_t term, uint8_t before, uint32_t index) {
    return MODEL_ENTRY(term, term == before ? LASH_ENTRY_COMMAND : LASH_ENTRY_NOOP, 1, index);
}

/* The entries that follow on `prev_index`; returns how many they are. */
static uint8_t scenario_entries(const uint8_t *log, uint8_t prev_index, uint8_t prev_term, model_entry *entries) {
    uint8_t count = 0;
    for (uint8_t before = prev_term; count < SCENARIO_LOG_MAX && log[count] != 0; before = log[count++])
        entries[count] = scenario_entry(log[count], before, prev_index + count + 1u);
    return count;
}

static void scenario_message(const struct scenario_append *append, struct model_message *message) {
    memset(message, 0, sizeof *message);
    message->body.type = LASH_MSG_APPEND;
    message->body.from = append->from;
    message->body.to = append->to;
    message->body.term = append->term;
    message->body.append.prev_index = append->prev_index;
    message->body.append.prev_term = append->prev_term;
    message->body.append.round = append->round;
    message->count = scenario_entries(append->log, append->prev_index, append->prev_term, message->entries);
}

bool scenario_start(const struct scenario *scenario, struct space *space, uint32_t *state) {
    struct model_node nodes[MODEL_NODES_MAX];
    struct model_ghost ghost;
    struct model_message message;
    memset(nodes, 0, sizeof nodes);
    memset(&ghost, 0, sizeof ghost);
    for (uint32_t i = 0; i < space_bounds(space)->nodes; i++) {
        nodes[i].id = (uint8_t)(i + 1);
        nodes[i].disk_term = scenario->disks[i].term;
        nodes[i].disk_vote = scenario->disks[i].vote;
        nodes[i].disk_count = scenario_entries(scenario->disks[i].log, 0, 0, nodes[i].disk);
        nodes[i].commit = scenario->floor;
    }
    memcpy(ghost.committed, nodes[0].disk, scenario->committed * sizeof ghost.committed[0]);
    ghost.committed_count = scenario->committed;
    bool started = space_start(space, nodes, &ghost, state);
    for (uint32_t i = 0; i < SCENARIO_APPENDS_MAX && scenario->appends[i].term != 0 && started; i++) {
        scenario_message(&scenario->appends[i], &message);
        started = space_start_message(space, &message, state);
    }
    return started;
}
