/* SPDX-License-Identifier: Apache-2.0
 *
 * Random schedules for bare cores: packets that are lost, doubled, delayed and
 * reordered, disks that lag and fill up, crashes that lose what was not yet durable,
 * partitions, clocks that leap, leadership handed over, and, in the profile
 * `membership`, an operator who changes the membership.
 */
#include <string.h>

#include "base/assert.h"
#include "raft/random.h"
#include "sim/core_schedule.h"

/* What may happen next: weights, drawn anew now and then. */
enum core_chance {
    CHANCE_DELIVER,
    CHANCE_DROP,
    CHANCE_DUPLICATE,
    CHANCE_DELAY,
    CHANCE_ARRIVE,
    CHANCE_TIME,
    CHANCE_LEAP,
    CHANCE_CUT,
    CHANCE_MEND,
    CHANCE_STREAM,
    CHANCE_START,
    CHANCE_WRITE,
    CHANCE_TICK,
    CHANCE_PROPOSE,
    CHANCE_READ,
    CHANCE_CRASH,
    CHANCE_UNREACHABLE,
    CHANCE_DOWN,
    CHANCE_APPLIED,
    CHANCE_COMPACT,
    CHANCE_TRANSFER,
    CHANCE_READY,
    CHANCE_ROOM,
    CHANCE_SLOW,
    CHANCE_CONFIGURE, /* the last: the profile `core` is without it */
    CHANCES,
    CHANCE_AT_NODE = CHANCE_WRITE, /* the first of those at a node that is up */
};

_Static_assert((int)CHANCES <= (int)CORE_CHANCES, "each chance has a weight");

/* The greatest weight that each may get, what it is always given, and the fault that it is counted as. */
static const struct {
    uint32_t most;
    uint32_t always;
    enum fault fault;
} core_chances[CHANCES] = {
    [CHANCE_DELIVER] = {120, 40, FAULT_KINDS},
    [CHANCE_DROP] = {12, 0, FAULT_DROP},
    [CHANCE_DUPLICATE] = {12, 0, FAULT_DUPLICATE},
    [CHANCE_DELAY] = {8, 0, FAULT_DELAY},
    [CHANCE_ARRIVE] = {8, 0, FAULT_KINDS},
    [CHANCE_TIME] = {24, 2, FAULT_KINDS},
    [CHANCE_LEAP] = {1, 0, FAULT_STEP},
    [CHANCE_CUT] = {3, 0, FAULT_CLOG},
    [CHANCE_MEND] = {3, 4, FAULT_KINDS},
    [CHANCE_STREAM] = {12, 1, FAULT_KINDS},
    [CHANCE_START] = {12, 8, FAULT_KINDS},
    [CHANCE_WRITE] = {60, 8, FAULT_KINDS},
    [CHANCE_TICK] = {4, 0, FAULT_KINDS},
    [CHANCE_PROPOSE] = {24, 0, FAULT_KINDS},
    [CHANCE_READ] = {16, 0, FAULT_KINDS},
    [CHANCE_CRASH] = {2, 0, FAULT_POWER},
    [CHANCE_UNREACHABLE] = {4, 0, FAULT_RESET},
    [CHANCE_DOWN] = {3, 0, FAULT_RESET},
    [CHANCE_APPLIED] = {8, 0, FAULT_KINDS},
    [CHANCE_COMPACT] = {6, 0, FAULT_KINDS},
    [CHANCE_TRANSFER] = {4, 0, FAULT_KINDS},
    [CHANCE_READY] = {6, 0, FAULT_KINDS},
    [CHANCE_ROOM] = {4, 0, FAULT_FULL},
    [CHANCE_SLOW] = {3, 0, FAULT_SLOW},
    [CHANCE_CONFIGURE] = {24, 2, FAULT_KINDS},
};

void core_count(struct core_schedule *schedule, enum fault fault) {
    schedule->result->faults[fault]++;
    JUDGE_CHECK(schedule->core->judge, !schedule->settings->forbid[fault], "forbidden", "%s", fault_names[fault]);
}

uint64_t core_draw(struct core *core, uint64_t below) {
    LASH_ASSERT(below > 0);
    return random_next(&core->random) % below;
}

static struct lash_raft_options core_options(uint64_t *random) {
    struct lash_raft_options options = {.heartbeat_ms = 20, .election_ms = 100};
    options.no_pre_vote = random_between(random, 0, 4) == 0;
    options.no_check_quorum = random_between(random, 0, 4) == 0;
    options.inflight_messages_max = (uint32_t)random_between(random, 1, 4);
    options.inflight_bytes_max = CORE_ENTRY_BYTES * random_between(random, 1, 12);
    options.message_bytes_max = CORE_ENTRY_BYTES * random_between(random, 1, 5);
    options.terms_max = (uint32_t)random_between(random, 1, 8);
    options.reads_max = (uint32_t)random_between(random, 1, 6);
    options.leases = random_between(random, 0, 4) != 0;
    options.lease_drift = (uint32_t)random_between(random, 1, CORE_DRIFT_MAX);
    return options;
}

/* Each node's clock is off by no more than the leases allow for, and often by all of that. */
static void core_clocks(struct core *core, uint64_t drift) {
    for (lash_id id = 1; id <= core->count; id++) {
        struct core_node *node = &core->nodes[id];
        uint64_t off = core_draw(core, 4) != 0 ? drift : core_draw(core, drift + 1);
        node->clock_rate = core_draw(core, 2) == 0 ? node->clock_rate + off : node->clock_rate - off;
        node->clock_ahead = core_draw(core, CORE_AHEAD_MAX);
    }
}

static void core_table(struct core_schedule *schedule) {
    schedule->weight = 0;
    for (uint32_t i = 0; i < CHANCES; i++) {
        LASH_ASSERT(schedule->weight + schedule->weights[i] <= CORE_WEIGHT_MAX);
        memset(schedule->table + schedule->weight, (int)i, schedule->weights[i]);
        schedule->weight += schedule->weights[i];
    }
}

static void core_weights(struct core_schedule *schedule) {
    uint32_t kinds = schedule->core->changes ? CHANCES : CHANCE_CONFIGURE;
    for (uint32_t i = 0; i < kinds; i++) {
        uint32_t some = (uint32_t)core_draw(schedule->core, core_chances[i].most + 1);
        bool out = core_draw(schedule->core, 2) == 0;
        enum fault fault = core_chances[i].fault;
        if (out || (fault < FAULT_KINDS && schedule->settings->without[fault]))
            some = 0;
        /* Half of the kinds are left out at a time; what keeps a cluster going never is. */
        schedule->weights[i] = some + core_chances[i].always;
    }
    core_table(schedule);
    schedule->reorder = core_draw(schedule->core, 2) == 0 && !schedule->settings->without[FAULT_REORDER];
}

/* A driver sends what its queue has room for. */
static lash_index core_send_some(struct core *core, const struct lash_message *message) {
    lash_index first = message->append.first;
    uint64_t most = message->append.bytes_max / CORE_ENTRY_BYTES;
    most = most == 0 ? 1 : most > CORE_ENTRIES_MAX ? CORE_ENTRIES_MAX : most;
    uint64_t count = message->append.last - first + 1;
    count = count < most ? count : most;
    return core_draw(core, 8) == 0 ? first - 1 : first + core_draw(core, count);
}

/* As much as may be. */
static lash_index core_send_all(struct core *core, const struct lash_message *message) {
    (void)core;
    uint64_t most = message->append.bytes_max / CORE_ENTRY_BYTES;
    most = most == 0 ? 1 : most > CORE_ENTRIES_MAX ? CORE_ENTRIES_MAX : most;
    lash_index last = message->append.first + most - 1;
    return last < message->append.last ? last : message->append.last;
}

struct core_node *core_some_node(struct core *core, bool up) {
    lash_id id = 1 + core_draw(core, core->count);
    for (uint32_t i = 0; i < core->count; i++) {
        if (core->nodes[id].up == up)
            return &core->nodes[id];
        id = id % core->count + 1;
    }
    return NULL;
}

/* What was set aside arrives when its sender may long have another role or term. */
void core_arrive(struct core_schedule *schedule) {
    if (schedule->aside_count == 0)
        return;
    struct core_packet *packet = &schedule->aside[core_draw(schedule->core, schedule->aside_count)];
    struct core_packet arrived = *packet;
    *packet = schedule->aside[--schedule->aside_count];
    core_hand(schedule->core, &arrived);
}

static void core_packets(struct core_schedule *schedule, enum core_chance chance) {
    struct core *core = schedule->core;
    struct core_packet *packet = core_pick(
        core, schedule->reorder ? (uint32_t)core_draw(core, core->packet_count < 16 ? core->packet_count : 16) : 0);
    schedule->result->faults[FAULT_REORDER] += schedule->reorder;
    if (chance == CHANCE_DUPLICATE) {
        core_push(core, packet);
        return;
    }
    struct core_packet taken = *packet;
    core_drop(core);
    if (chance == CHANCE_DELIVER)
        core_hand(core, &taken);
    else if (chance == CHANCE_DELAY && schedule->aside_count < CORE_ASIDE_MAX)
        schedule->aside[schedule->aside_count++] = taken;
}

/* Time passes, and those whose deadline it reaches mostly notice. */
static void core_time(struct core *core, uint64_t ms) {
    core->now_ms += ms;
    for (lash_id id = 1; id <= core->count; id++) {
        struct core_node *node = &core->nodes[id];
        if (node->up && node->deadline_ms <= core_clock(core, node) && core_draw(core, 8) != 0)
            core_tick(core, node);
    }
}

/* A durable state machine knows of what it applied. */
void core_start_some(struct core *core) {
    struct core_node *node = core_some_node(core, false);
    if (!node)
        return;
    lash_index floor = core_draw(core, 2) == 0 ? 0 : node->status.commit;
    if (floor > judge_disk(core->judge, node->id)->count)
        floor = judge_disk(core->judge, node->id)->count;
    while (floor > 0 &&
           judge_log_chain(judge_disk(core->judge, node->id), floor) != judge_committed_chain(core->judge, floor))
        floor--;
    core_start(core, node, floor);
}

void core_isolate(struct core *core, lash_id id, bool cut) {
    for (lash_id other = 1; other <= core->count; other++) {
        core->cut[id][other] = cut;
        core->cut[other][id] = cut;
    }
}

static void core_links(struct core *core, bool cut) {
    lash_id a = 1 + core_draw(core, core->count);
    lash_id b = 1 + core_draw(core, core->count);
    if (core_draw(core, 3) == 0)
        core_isolate(core, a, cut);
    else
        core->cut[a][b] = cut;
}

static void core_propose_some(struct core *core, struct core_node *node) {
    struct core_node *leader = core_leader(core);
    if (leader && core_draw(core, 4) != 0)
        node = leader;
    core_propose(core, node, (uint32_t)(1 + core_draw(core, 5)));
}

/* A snapshot of what is applied, mostly all that may be, and a log that keeps some of what it covers. */
static void core_compact_some(struct core *core, struct core_node *node) {
    struct lash_event event = {.type = LASH_EVENT_APPLIED};
    event.applied.index = node->status.commit;
    if (core_draw(core, 4) != 0)
        core_step(core, node, &event);
    lash_index first = node->first_index;
    lash_index index = node->status.applied;
    if (index < first)
        return;
    index -= core_draw(core, 2) * core_draw(core, index - first + 1);
    lash_index kept = core_draw(core, 3) / 2 * core_draw(core, index - first + 1);
    core_snapshot(core, node, index, index - kept);
}

static void core_stream_some(struct core *core) {
    if (core->stream_count == 0)
        return;
    uint32_t position = (uint32_t)core_draw(core, core->stream_count);
    core_stream_end(core, position, core_draw(core, 4) != 0);
}

/* The member `id` of `to`, which is added when it is not there. */
static struct lash_member *core_member(struct lash_configuration *to, lash_id id) {
    uint32_t at = 0;
    while (at < to->count && to->members[at].id != id)
        at++;
    if (at == to->count)
        to->members[to->count++] = (struct lash_member){.id = id};
    return &to->members[at];
}

/* What a node that is to have `flags` becomes: those that are witnesses are never anything else. */
static uint32_t core_part(const struct core *core, lash_id id, uint32_t flags) {
    bool witness = (core->witnesses >> id & 1) != 0;
    return witness ? (uint32_t)LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS : flags;
}

/* In half of the runs some nodes are witnesses; not the first, so that somebody keeps the data. */
static void core_choose_witnesses(struct core *core) {
    if (core_draw(core, 2) == 0)
        return;
    for (lash_id id = 2; id <= core->count; id++)
        core->witnesses |= core_draw(core, 3) == 0 ? (uint32_t)1 << id : 0;
    for (uint32_t i = 0; i < core->configuration.count; i++) {
        struct lash_member *member = &core->configuration.members[i];
        member->flags = core_part(core, member->id, member->flags);
    }
}

/* Mostly at the leader: one node becomes something else or leaves, all may, or only a priority or addresses change. */
void core_configure_some(struct core *core, struct core_node *node) {
    static const uint32_t flags[] = {LASH_MEMBER_VOTER, LASH_MEMBER_VOTER, LASH_MEMBER_VOTER, 0, LASH_MEMBER_PROMOTE};
    enum { FLAGS = sizeof flags / sizeof flags[0], KINDS = FLAGS + 7 };
    struct core_node *leader = core_leader(core);
    if (leader && core_draw(core, 8) != 0)
        node = leader;
    struct lash_configuration to = node->status.configuration;
    lash_id changed = 1 + core_draw(core, core->count);
    uint64_t kind = core_draw(core, KINDS);
    if (kind < FLAGS) {
        core_member(&to, changed)->flags = core_part(core, changed, flags[kind]);
    } else if (kind < FLAGS + 3) {
        struct lash_member *leaving = core_member(&to, changed);
        *leaving = to.members[--to.count];
    } else if (kind < FLAGS + 5) {
        to.count = 0;
        for (lash_id id = 1; id <= core->count; id++) {
            uint64_t part = core_draw(core, FLAGS + 3);
            if (part < FLAGS)
                core_member(&to, id)->flags = core_part(core, id, flags[part]);
        }
    } else if (kind == FLAGS + 5 && to.count > 0) {
        to.members[changed % to.count].priority = (uint32_t)core_draw(core, CORE_PRIORITIES);
    }
    core_configure(core, node, &to);
}

void core_with_id(struct core *core, struct core_node *node, uint32_t type, lash_id id) {
    struct lash_event event = {.type = type};
    event.peer.id = id; /* where a transfer has its target as well */
    core_step(core, node, &event);
}

_Static_assert(offsetof(struct lash_event, peer.id) == offsetof(struct lash_event, transfer.to),
               "core_with_id makes events of both");

/* What happens at a node that is up. */
static void core_at_node(struct core_schedule *schedule, enum core_chance chance) {
    struct core *core = schedule->core;
    struct core_node *node = core_some_node(core, true);
    struct lash_event event = {0};
    if (!node)
        return;
    switch (chance) {
    case CHANCE_WRITE:
        for (uint32_t i = 1; i < core->count && node->write_count == 0; i++)
            node = &core->nodes[node->id % core->count + 1];
        core_write(core, node, node->write_count ? 1 + (uint32_t)core_draw(core, node->write_count) : 0);
        break;
    case CHANCE_TICK:
        core_tick(core, node);
        break;
    case CHANCE_PROPOSE:
        core_propose_some(core, node);
        break;
    case CHANCE_READ:
        core_read(core, node, core_draw(core, 4) != 0);
        break;
    case CHANCE_CRASH:
        core_crash(core, node, (uint32_t)core_draw(core, node->write_count + 1));
        break;
    case CHANCE_UNREACHABLE:
        core_with_id(core, node, LASH_EVENT_UNREACHABLE, 1 + core_draw(core, core->count));
        break;
    case CHANCE_DOWN: /* said of anybody: a hint may be wrong */
        core_with_id(core, node, LASH_EVENT_DOWN, 1 + core_draw(core, core->count));
        break;
    case CHANCE_READY:
        core_with_id(core, node, LASH_EVENT_READY, 1 + core_draw(core, core->count));
        break;
    case CHANCE_TRANSFER:
        core_with_id(core, core_leader(core) ? core_leader(core) : node, LASH_EVENT_TRANSFER,
                     core_draw(core, core->count + 1));
        break;
    case CHANCE_COMPACT:
        core_compact_some(core, node);
        break;
    case CHANCE_CONFIGURE:
        core_configure_some(core, node);
        break;
    case CHANCE_ROOM:
        event.type = LASH_EVENT_ROOM;
        event.room.full = core_draw(core, 3) == 0;
        core_step(core, node, &event);
        break;
    case CHANCE_SLOW:
        event.type = LASH_EVENT_SLOW;
        event.slow.slow = core_draw(core, 2) == 0;
        core_step(core, node, &event);
        break;
    default:
        event.type = LASH_EVENT_APPLIED;
        event.applied.index = node->status.applied + core_draw(core, node->status.commit - node->status.applied + 1);
        core_step(core, node, &event);
    }
}

static void core_event(struct core_schedule *schedule) {
    struct core *core = schedule->core;
    uint32_t chance = schedule->table[core_draw(core, schedule->weight)];
    /* Where no packet is on its way there is nothing to wait for but time. */
    if (chance <= CHANCE_DELAY && core->packet_count == 0)
        chance = CHANCE_TIME;
    if (core_chances[chance].fault < FAULT_KINDS)
        core_count(schedule, core_chances[chance].fault);
    if (chance >= CHANCE_AT_NODE)
        core_at_node(schedule, chance);
    else if (chance <= CHANCE_DELAY)
        core_packets(schedule, chance);
    else if (chance == CHANCE_ARRIVE)
        core_arrive(schedule);
    else if (chance == CHANCE_START)
        core_start_some(core);
    else if (chance == CHANCE_STREAM)
        core_stream_some(core);
    else if (chance == CHANCE_CUT || chance == CHANCE_MEND)
        core_links(core, chance == CHANCE_CUT);
    else
        core_time(core, core_draw(core, chance == CHANCE_LEAP ? 400 : 8));
}

/* Another kind of weather: other faults, and often a partition that lasts. */
static void core_regime(struct core_schedule *schedule) {
    struct core *core = schedule->core;
    core_weights(schedule);
    memset(core->cut, 0, sizeof core->cut);
    bool calm = core_draw(core, 2) == 0 || schedule->settings->without[FAULT_ISOLATE];
    const struct core_node *leader = core_leader(core);
    bool its = core_draw(core, 2) == 0;
    lash_id id = 1 + core_draw(core, core->count);
    if (calm)
        return;
    schedule->weights[CHANCE_MEND] = 0;
    core_table(schedule);
    core_isolate(core, leader && its ? leader->id : id, true);
    core_count(schedule, FAULT_ISOLATE);
}

/* Whether `id` is a member of the configuration that the group has come to. */
static bool core_is_member(const struct core_node *leader, lash_id id) {
    const struct lash_configuration *configuration = &leader->status.configuration;
    uint32_t at = 0;
    while (at < configuration->count && configuration->members[at].id != id)
        at++;
    return at < configuration->count;
}

/* Whether the leader is whom the office should have come to: of those voters that keep data and whose disk is not slow, if there are any, one with
 * the highest priority. */
static bool core_is_best(const struct core *core, const struct core_node *leader) {
    const struct lash_configuration *configuration = &leader->status.configuration;
    bool others = false;
    uint32_t highest = 0, own = 0;
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct lash_member *member = &configuration->members[i];
        if ((member->flags & (LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS)) != LASH_MEMBER_VOTER ||
            core->nodes[member->id].status.slow)
            continue;
        others = true;
        highest = member->priority > highest ? member->priority : highest;
        own = member->id == leader->id ? member->priority + 1 : own;
    }
    return !others || own == highest + 1;
}

/* P5: the office comes to who should have it, in few moves. Two pauses at most: who could take over first need not be the best. */
static void core_come_to_rest(struct core *core) {
    lash_term before = core_leader(core)->status.term;
    for (uint32_t waits = 0; !core_is_best(core, core_leader(core)); waits++) {
        JUDGE_CHECK(core->judge, waits < 14, "P5", "n%llu still leads, which had better not",
                    (unsigned long long)core_leader(core)->id);
        core_pass(core, 1000);
        JUDGE_CHECK(core->judge, core_leader(core) != NULL, "P5", "nobody leads");
    }
    JUDGE_CHECK(core->judge, core_leader(core)->status.term <= before + 3, "P5", "the office wandered");
}

/* P2: with everything mended, there is a leader soon, all members' logs become its log, and work is done again. */
static void core_converge(struct core *core) {
    memset(core->cut, 0, sizeof core->cut);
    core->send_some = core_send_all;
    for (lash_id id = 1; id <= core->count; id++) {
        struct core_node *node = &core->nodes[id];
        if (!node->up)
            core_start(core, node, 0);
        struct lash_event event = {.type = LASH_EVENT_ROOM};
        core_step(core, node, &event);
    }
    core_pass(core, 3000);
    /* Without pre-vote one that lags in memberships, and asks others than those who ask it, can be a term ahead for a while. */
    for (uint32_t more = 0; more < 9 && core->changes && core_leader(core) == NULL; more++)
        core_pass(core, 3000);
    struct core_node *leader = core_leader(core);
    JUDGE_CHECK(core->judge, leader != NULL, "P2", "no leader after 30 election timeouts");
    core_come_to_rest(core);
    leader = core_leader(core);
    lash_term term = leader->status.term;
    JUDGE_CHECK(core->judge, core_propose(core, leader, 3) == LASH_OK, "P2", "the leader takes no proposal");
    uint64_t reads_ok = core->reads_ok;
    uint64_t members = 0;
    for (lash_id id = 1; id <= core->count; id++) {
        if (!core_is_member(leader, id))
            continue;
        members++;
        JUDGE_CHECK(core->judge, core_read(core, &core->nodes[id], id % 2 == 0) == LASH_OK, "P2", "n%u takes no read",
                    (unsigned)id);
        core_pass(core, 60);
    }
    core_pass(core, 100);
    JUDGE_CHECK(core->judge, core->reads_ok == reads_ok + members, "P2", "not every read was answered");
    for (lash_id id = 1; id <= core->count; id++) {
        const struct core_node *node = &core->nodes[id];
        if (!core_is_member(leader, id))
            continue;
        JUDGE_CHECK(core->judge, node->status.term == term, "P2", "a healthy leader was deposed");
        JUDGE_CHECK(core->judge, node->status.commit == leader->log.count && node->log.count == leader->log.count, "P2",
                    "n%u has not come to hold and commit what its leader holds", (unsigned)id);
    }
}

static void core_collect(const struct core *core, struct run_result *result) {
    result->events = core->steps;
    result->simulated_us = core->now_ms * 1000;
    result->commits = judge_committed(core->judge);
    result->done = core->digests;
    result->reads = core->reads_ok;
    result->packets = core->sent;
    result->starts = core->starts;
    result->hash = core->hash;
}

/* What the run's end, when it is a broken invariant, is told with. */
struct core_end {
    struct core *core;
    struct run_result *result;
    judge_failed_fn failed;
};

/* The membership changes: who is a witness, and who is to join. */
static void core_begin_membership(struct core *core) {
    core_choose_witnesses(core);
    core_spare(core, (uint32_t)core_draw(core, core->count));
}

static void core_failed(void *context, const char *invariant, const char *what) {
    struct core_end *end = context;
    core_collect(end->core, end->result);
    end->failed(NULL, invariant, what);
}

static const char core_plain[] = "core";
static const char core_membership[] = "membership";
static const char core_lease[] = "lease"; /* half of its runs change the membership */

bool core_profile(const char *name) {
    return strcmp(name, core_plain) == 0 || strcmp(name, core_membership) == 0 || strcmp(name, core_lease) == 0;
}

void core_run(const struct run_settings *settings, struct run_result *result, judge_failed_fn failed) {
    struct core_schedule schedule = {.settings = settings, .result = result};
    struct core_end end = {.result = result, .failed = failed};
    uint64_t random = random_mix(settings->seed + 1);
    struct lash_raft_options options = core_options(&random);
    bool leases = strcmp(settings->profile, core_lease) == 0;
    options.leases |= leases;
    if (leases) {
        options.heartbeat_ms = 5;
        options.reads_max = CORE_READS_MAX;
    }
    struct core *core = core_new(settings->nodes, &options, settings->seed, core_failed, &end);
    end.core = core;
    schedule.core = core;
    core->random = random;
    core->send_some = core_send_some;
    core->trace = settings->trace ? stdout : NULL;
    core_clocks(core, options.lease_drift);
    for (uint32_t i = 0; i < core->configuration.count && core_draw(core, 3) != 0; i++)
        core->configuration.members[i].priority = (uint32_t)core_draw(core, CORE_PRIORITIES);
    if (strcmp(settings->profile, core_membership) == 0 || (leases && core_draw(core, 2) == 0))
        core_begin_membership(core);
    for (lash_id id = 1; id <= core->count; id++)
        core_start(core, &core->nodes[id], 0);
    core_weights(&schedule);
    core_lease_regime(&schedule);
    while (core->steps < settings->events && leases) {
        if (core_draw(core, 1000) == 0)
            core_lease_regime(&schedule);
        core_lease_moment(&schedule);
    }
    while (core->steps < settings->events) {
        if (core_draw(core, 500) == 0)
            core_regime(&schedule);
        core_event(&schedule);
    }
    core_converge(core);
    core_collect(core, result);
    core_free(core);
}
