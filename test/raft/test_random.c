/* SPDX-License-Identifier: Apache-2.0
 *
 * Random schedules: clusters of one to five nodes under packets that are lost,
 * doubled, delayed and reordered, disks that lag, crashes that lose what was not
 * yet durable, partitions, clocks that leap, and, in half of the schedules, changes
 * of the membership. All invariants are judged after each event; then the faults end, and the cluster must converge. Each seed is a
 * schedule of its own.
 *
 * usage: test_random [--from SEED] [--seeds COUNT] [--events COUNT] [--twice]
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster.h"
#include "raft/random.h"

/* How likely each kind of event is in a schedule: weights, drawn anew for each seed. */
enum chance {
    CHANCE_DELIVER,
    CHANCE_DROP,
    CHANCE_DUPLICATE,
    CHANCE_DELAY,
    CHANCE_ARRIVE,
    CHANCE_WRITE,
    CHANCE_TIME,
    CHANCE_TICK,
    CHANCE_PROPOSE,
    CHANCE_READ,
    CHANCE_CRASH,
    CHANCE_START,
    CHANCE_CUT,
    CHANCE_MEND,
    CHANCE_UNREACHABLE,
    CHANCE_DOWN,
    CHANCE_APPLIED,
    CHANCE_COMPACT,
    CHANCE_TRANSFER,
    CHANCE_READY,
    CHANCE_ROOM,
    CHANCE_SLOW,
    CHANCE_STREAM,
    CHANCE_CONFIGURE,
    CHANCES
};

/* The greatest weight that each may get. */
static const uint32_t chance_max[CHANCES] = {
    [CHANCE_DELIVER] = 120, [CHANCE_DROP] = 12,    [CHANCE_DUPLICATE] = 12,  [CHANCE_DELAY] = 8,
    [CHANCE_ARRIVE] = 8,    [CHANCE_WRITE] = 60,   [CHANCE_TIME] = 24,       [CHANCE_TICK] = 4,
    [CHANCE_PROPOSE] = 24,  [CHANCE_READ] = 16,    [CHANCE_CRASH] = 2,       [CHANCE_START] = 12,
    [CHANCE_CUT] = 3,       [CHANCE_MEND] = 3,     [CHANCE_UNREACHABLE] = 4, [CHANCE_APPLIED] = 8,
    [CHANCE_COMPACT] = 12,  [CHANCE_TRANSFER] = 4, [CHANCE_READY] = 6,       [CHANCE_ROOM] = 4,
    [CHANCE_DOWN] = 3,      [CHANCE_STREAM] = 12,  [CHANCE_CONFIGURE] = 24,  [CHANCE_SLOW] = 4,
};

#define ASIDE_MAX 32
#define DRIFT_MAX 250     /* per mille that clocks may be off */
#define SEEDS_FOR_ALL 100 /* in so many everything happens */

/* What came of changes of the membership. */
struct random_changes {
    uint64_t proposed;
    uint64_t joint;       /* of those */
    uint64_t by_leaders;  /* steps that a leader took by itself */
    uint64_t rolled_back; /* at one node */
    uint64_t retired;     /* leaders that removed themselves, in the end */
};

struct schedule {
    uint64_t seed;
    uint64_t random;
    uint32_t weights[CHANCES];
    uint32_t weight;
    bool reorder;                           /* packets are taken from anywhere, else in the order of sending */
    struct cluster_packet aside[ASIDE_MAX]; /* packets that come much later */
    uint32_t aside_count;
    uint64_t transfers;  /* begun */
    uint64_t taken_over; /* elections that a leader asked for */
    uint64_t by_lease;   /* reads that a leader answered at once */
    uint64_t moved;      /* 1: in the end it had to hand over by itself */
    uint64_t by_itself;  /* transfers that a leader began unasked */
    bool fixed;          /* the membership stays as it is */
    uint32_t witnesses;  /* set of bits by id */
    struct random_changes changes;
    lash_index known[CLUSTER_NODES_MAX + 1]; /* configurations that the nodes, by id, went by last */
    bool led[CLUSTER_NODES_MAX + 1];         /* whether they led then, */
    bool unasked[CLUSTER_NODES_MAX + 1];     /* and were about to hand over by themselves */
};

/* What all schedules did, to see that they did something. */
struct totals {
    uint64_t steps, committed, leaders, reads_ok, reads_no, grows, transfers, taken_over, by_lease, moved, by_itself,
        installs, resets, trace;
    struct random_changes changes;
};

/* Said before each seed starts, because only write() may be called when an assertion has ended the process. */
static char random_last_words[96];

static void random_remember(uint64_t seed) {
    snprintf(random_last_words, sizeof random_last_words,
             "seed %" PRIu64 " (again: test_random --from %" PRIu64 " --seeds 1)\n", seed, seed);
}

static uint64_t draw(struct schedule *schedule, uint64_t below) {
    return random_next(&schedule->random) % below;
}

static struct lash_raft_options random_options(struct schedule *schedule) {
    struct lash_raft_options options = {.heartbeat_ms = 20, .election_ms = 100};
    options.no_pre_vote = draw(schedule, 4) == 0;
    options.no_check_quorum = draw(schedule, 4) == 0;
    options.inflight_messages_max = (uint32_t)(1 + draw(schedule, 4));
    options.inflight_bytes_max = CLUSTER_ENTRY_BYTES * (1 + draw(schedule, 12));
    options.message_bytes_max = CLUSTER_ENTRY_BYTES * (1 + draw(schedule, 5));
    options.terms_max = (uint32_t)(1 + draw(schedule, 8));
    options.reads_max = (uint32_t)(1 + draw(schedule, 6));
    options.leases = draw(schedule, 4) != 0;
    options.lease_drift = (uint32_t)(1 + draw(schedule, DRIFT_MAX));
    return options;
}

static void random_weights(struct schedule *schedule) {
    for (uint32_t i = 0; i < CHANCES; i++)
        schedule->weights[i] = draw(schedule, 2) == 0 ? 0 : (uint32_t)draw(schedule, chance_max[i] + 1);
    /* Half of the kinds are left out at a time; what keeps a cluster going never is. */
    schedule->weights[CHANCE_DELIVER] += 40;
    schedule->weights[CHANCE_WRITE] += 8;
    schedule->weights[CHANCE_TIME] += 2;
    schedule->weights[CHANCE_START] += 8;
    schedule->weights[CHANCE_MEND] += 4;
    schedule->weights[CHANCE_STREAM] += 1;
    if (schedule->fixed)
        schedule->weights[CHANCE_CONFIGURE] = 0;
    schedule->reorder = draw(schedule, 2) == 0;
    schedule->weight = 0;
    for (uint32_t i = 0; i < CHANCES; i++)
        schedule->weight += schedule->weights[i];
}

/* A driver sends what its queue has room for, and frames begin where they were made. */
static lash_index random_send(struct cluster *cluster, const struct lash_message *message) {
    struct schedule *schedule = cluster->context;
    lash_index first = message->append.first;
    uint64_t most = message->append.bytes_max / CLUSTER_ENTRY_BYTES;
    most = most == 0 ? 1 : most;
    uint64_t count = message->append.last - first + 1;
    count = count < most ? count : most;
    return draw(schedule, 8) == 0 ? first - 1 : first + draw(schedule, count);
}

static lash_index random_frame(struct cluster *cluster, const struct lash_message *message) {
    uint64_t back = draw(cluster->context, 4);
    lash_index first = message->append.first;
    return draw(cluster->context, 4) != 0 || back >= first ? first : first - back;
}

static lash_id random_node(struct schedule *schedule, const struct cluster *cluster, bool up) {
    lash_id id = 1 + draw(schedule, cluster->count);
    for (uint32_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[id - 1].up == up)
            return id;
        id = id % cluster->count + 1;
    }
    return 0;
}

/* What was set aside arrives when its sender may long have another role or term. */
static void random_arrive(struct schedule *schedule, struct cluster *cluster) {
    if (schedule->aside_count == 0)
        return;
    struct cluster_packet *packet = &schedule->aside[draw(schedule, schedule->aside_count)];
    cluster_hand(cluster, packet);
    cluster_packet_free(packet);
    *packet = schedule->aside[--schedule->aside_count];
}

static void random_network(struct schedule *schedule, struct cluster *cluster, enum chance chance) {
    if (cluster->packet_count == 0)
        return;
    uint32_t position = schedule->reorder ? (uint32_t)draw(schedule, cluster->packet_count) : 0;
    if (chance == CHANCE_DELIVER)
        cluster_deliver(cluster, position);
    else if (chance == CHANCE_DROP)
        cluster_drop(cluster, position);
    else if (chance == CHANCE_DUPLICATE)
        cluster_duplicate(cluster, position);
    else if (schedule->aside_count < ASIDE_MAX)
        schedule->aside[schedule->aside_count++] = cluster_take(cluster, position);
}

/* Time passes, and those whose deadline it reaches mostly notice. */
static void random_time(struct schedule *schedule, struct cluster *cluster) {
    cluster->now_ms += draw(schedule, 30) == 0 ? draw(schedule, 400) : draw(schedule, 8);
    for (lash_id id = 1; id <= cluster->count; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (node->up && node->deadline_ms <= cluster_clock(cluster, node) && draw(schedule, 8) != 0)
            cluster_tick(cluster, id);
    }
}

static void random_start(struct schedule *schedule, struct cluster *cluster, lash_id id) {
    struct cluster_node *node = cluster_node(cluster, id);
    /* A durable state machine knows of what it applied. */
    lash_index floor = draw(schedule, 2) == 0 ? 0 : node->commit;
    const struct entry *held = NULL;
    while (floor > 0 && (!(held = cluster_durable(cluster, node, floor)) ||
                         !entry_equal(held, oracle_committed_entry(cluster->oracle, floor))))
        floor--;
    cluster_start(cluster, id, floor);
}

/* A snapshot, and a log that keeps some of what it covers. */
static void random_compact(struct schedule *schedule, struct cluster *cluster, lash_id id) {
    struct cluster_node *node = cluster_node(cluster, id);
    struct lash_raft_status status;
    lash_raft_status(node->raft, &status);
    if (draw(schedule, 4) != 0)
        cluster_applied(cluster, id, status.commit);
    lash_raft_status(node->raft, &status);
    if (status.applied < node->first_index)
        return;
    lash_index index = status.applied - draw(schedule, 2) * draw(schedule, status.applied - node->first_index + 1);
    lash_index kept = draw(schedule, 3) / 2 * draw(schedule, index - node->first_index + 1);
    ORACLE_CHECK(cluster_snapshot(cluster, id, index, index - kept) == LASH_OK, "test", "no compaction");
}

static void random_links(struct schedule *schedule, struct cluster *cluster, bool cut) {
    lash_id a = 1 + draw(schedule, cluster->count);
    lash_id b = 1 + draw(schedule, cluster->count);
    if (draw(schedule, 3) == 0)
        cluster_isolate(cluster, a, cut);
    else
        cluster->cut[a][b] = cut;
}

/* Mostly to the leader. One draw a statement: compilers differ in the order of what is within one. */
static void random_propose(struct schedule *schedule, struct cluster *cluster, lash_id id) {
    lash_id leader = cluster_leader(cluster);
    if (leader != 0 && draw(schedule, 4) != 0)
        id = leader;
    cluster_propose(cluster, id, (uint32_t)(1 + draw(schedule, 5)));
}

/* Mostly by lease. */
static void random_read(struct schedule *schedule, struct cluster *cluster, lash_id id) {
    if (draw(schedule, 4) != 0)
        cluster_read_by_lease(cluster, id);
    else
        cluster_read(cluster, id);
}

/* Each clock is off by no more than the leases allow for, and often by all of that. */
static void random_clocks(struct schedule *schedule, struct cluster *cluster, uint64_t drift) {
    for (lash_id id = 1; id <= cluster->count; id++) {
        bool all = draw(schedule, 2) == 0;
        uint64_t off = all ? drift : draw(schedule, drift + 1);
        bool fast = draw(schedule, 2) == 0;
        cluster_node(cluster, id)->clock_rate = fast ? CLUSTER_CLOCK_TRUE + off : CLUSTER_CLOCK_TRUE - off;
    }
}

/* Mostly by the leader, to anyone. */
static void random_transfer(struct schedule *schedule, struct cluster *cluster, lash_id id) {
    lash_id leader = cluster_leader(cluster);
    if (leader != 0 && draw(schedule, 8) != 0)
        id = leader;
    lash_id to = draw(schedule, cluster->count + 1);
    schedule->transfers += cluster_transfer(cluster, id, to) == LASH_OK && to != id;
}

/* The member `id` of `to`, which is added when it is not there. */
static struct lash_member *random_member(struct lash_configuration *to, lash_id id) {
    uint32_t at = 0;
    while (at < to->count && to->members[at].id != id)
        at++;
    if (at == to->count)
        to->members[to->count++] = (struct lash_member){.id = id};
    return &to->members[at];
}

/* What the node is to be. A schedule's witnesses are witnesses whenever they vote. */
static uint32_t random_part(const struct schedule *schedule, lash_id id, uint32_t flags) {
    bool witness = (schedule->witnesses >> id & 1) != 0;
    return witness ? LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS : flags;
}

/* Each node votes, learns, or is no member. */
static void random_membership(struct schedule *schedule, const struct cluster *cluster, struct lash_configuration *to) {
    static const uint32_t flags[] = {LASH_MEMBER_VOTER, LASH_MEMBER_VOTER, 0, LASH_MEMBER_PROMOTE, LASH_MEMBER_PROMOTE};
    to->count = 0;
    for (lash_id id = 1; id <= cluster->count; id++) {
        uint64_t kind = draw(schedule, 8);
        if (kind < sizeof flags / sizeof flags[0])
            random_member(to, id)->flags = random_part(schedule, id, flags[kind]);
    }
}

/* Mostly by the leader: one node becomes something else, or all may. */
static void random_configure(struct schedule *schedule, struct cluster *cluster, lash_id id) {
    static const uint32_t flags[] = {LASH_MEMBER_VOTER, LASH_MEMBER_VOTER, 0, LASH_MEMBER_PROMOTE};
    lash_id leader = cluster_leader(cluster);
    if (leader != 0 && draw(schedule, 8) != 0)
        id = leader;
    struct lash_configuration to = cluster_node(cluster, id)->configuration;
    uint64_t kind = draw(schedule, 10);
    lash_id changed = 1 + draw(schedule, cluster->count);
    if (kind < 4) {
        random_member(&to, changed)->flags = random_part(schedule, changed, flags[kind]);
    } else if (kind < 7) {
        struct lash_member *leaving = random_member(&to, changed);
        *leaving = to.members[--to.count];
    } else if (kind < 9) {
        random_membership(schedule, cluster, &to);
    } else if (to.count > 0) {
        to.members[changed % to.count].priority = (uint32_t)draw(schedule, 3);
    }
    cluster_configure(cluster, id, &to);
}

/* What waits for others or for the disk. */
static void random_wait_ends(struct schedule *schedule, struct cluster *cluster, enum chance chance, lash_id id) {
    if (chance == CHANCE_TRANSFER)
        random_transfer(schedule, cluster, id);
    else if (chance == CHANCE_READY)
        cluster_ready(cluster, id, 1 + draw(schedule, cluster->count));
    else if (chance == CHANCE_ROOM)
        cluster_room(cluster, id, draw(schedule, 3) == 0);
    else if (chance == CHANCE_SLOW)
        cluster_slow(cluster, id, draw(schedule, 2) == 0);
    else if (chance == CHANCE_CONFIGURE)
        random_configure(schedule, cluster, id);
}

static void random_on_node(struct schedule *schedule, struct cluster *cluster, enum chance chance) {
    lash_id id = random_node(schedule, cluster, chance != CHANCE_START);
    if (id == 0)
        return;
    struct cluster_node *node = cluster_node(cluster, id);
    struct lash_raft_status status;
    if (chance == CHANCE_WRITE && node->write_count > 0)
        cluster_write(cluster, id, 1 + draw(schedule, node->write_count));
    else if (chance == CHANCE_TICK)
        cluster_tick(cluster, id);
    else if (chance == CHANCE_PROPOSE)
        random_propose(schedule, cluster, id);
    else if (chance == CHANCE_READ)
        random_read(schedule, cluster, id);
    else if (chance == CHANCE_CRASH)
        cluster_crash(cluster, id, draw(schedule, node->write_count + 1));
    else if (chance == CHANCE_START)
        random_start(schedule, cluster, id);
    else if (chance == CHANCE_UNREACHABLE)
        cluster_unreachable(cluster, id, 1 + draw(schedule, cluster->count));
    else if (chance == CHANCE_DOWN)
        cluster_down(cluster, id, 1 + draw(schedule, cluster->count));
    else if (chance == CHANCE_COMPACT)
        random_compact(schedule, cluster, id);
    else
        random_wait_ends(schedule, cluster, chance, id);
    if (chance == CHANCE_APPLIED) {
        lash_raft_status(node->raft, &status);
        cluster_applied(cluster, id, status.applied + draw(schedule, status.commit - status.applied + 1));
    }
}

static void random_stream(struct schedule *schedule, struct cluster *cluster) {
    if (cluster->stream_count == 0)
        return;
    uint32_t position = (uint32_t)draw(schedule, cluster->stream_count);
    cluster_stream_end(cluster, position, draw(schedule, 4) != 0);
}

static void random_event(struct schedule *schedule, struct cluster *cluster) {
    uint64_t pick = draw(schedule, schedule->weight);
    uint32_t chance = 0;
    while (pick >= schedule->weights[chance])
        pick -= schedule->weights[chance++];
    if (chance <= CHANCE_DELAY)
        random_network(schedule, cluster, chance);
    else if (chance == CHANCE_ARRIVE)
        random_arrive(schedule, cluster);
    else if (chance == CHANCE_TIME)
        random_time(schedule, cluster);
    else if (chance == CHANCE_CUT || chance == CHANCE_MEND)
        random_links(schedule, cluster, chance == CHANCE_CUT);
    else if (chance == CHANCE_STREAM)
        random_stream(schedule, cluster);
    else
        random_on_node(schedule, cluster, chance);
}

/* Whether `id` is a member of the configuration that the group has come to. */
static bool random_is_member(const struct cluster_node *leader, lash_id id) {
    bool member = false;
    for (uint32_t i = 0; i < leader->configuration.count; i++)
        member |= leader->configuration.members[i].id == id;
    return member;
}

/* Whether the leader is whom the office should have come to: of those voters that keep data and whose disk is not slow, if there are any, one with
 * the highest priority. */
static bool random_is_best(struct cluster *cluster, lash_id leader) {
    const struct cluster_node *node = cluster_node(cluster, leader);
    bool others = false;
    uint32_t highest = 0, own = 0;
    for (uint32_t i = 0; i < node->configuration.count; i++) {
        const struct lash_member *member = &node->configuration.members[i];
        struct lash_raft_status status;
        lash_raft_status(cluster_node(cluster, member->id)->raft, &status);
        if ((member->flags & (LASH_MEMBER_VOTER | LASH_MEMBER_WITNESS)) != LASH_MEMBER_VOTER || status.slow)
            continue;
        others = true;
        highest = member->priority > highest ? member->priority : highest;
        own = member->id == leader ? member->priority + 1 : own;
    }
    return !others || own == highest + 1;
}

/* P5: the office comes to who should have it, in few moves. Two pauses at most: who could take over first need not be the best. */
static void random_come_to_rest(struct schedule *schedule, struct cluster *cluster) {
    lash_id leader = cluster_leader(cluster);
    lash_term before = cluster_node(cluster, leader)->term;
    uint64_t waits = 0;
    while (!random_is_best(cluster, leader)) {
        ORACLE_CHECK(waits++ < 14, "P5", "n%" PRIu64 " still leads, which had better not", leader);
        cluster_run(cluster, 1000);
        leader = cluster_leader(cluster);
        ORACLE_CHECK(leader != 0, "P5", "nobody leads");
    }
    ORACLE_CHECK(cluster_node(cluster, leader)->term <= before + 3, "P5", "the office wandered");
    schedule->moved += waits > 0;
}

/* P2: with everything mended, there is a leader soon, all members' logs become its log, and work is done again. */
static void random_converge(struct schedule *schedule, struct cluster *cluster) {
    memset(cluster->cut, 0, sizeof cluster->cut);
    cluster->send_some = NULL;
    for (lash_id id = 1; id <= cluster->count; id++) {
        if (!cluster_node(cluster, id)->up)
            random_start(schedule, cluster, id);
        cluster_room(cluster, id, false);
    }
    cluster_run(cluster, 3000);
    /* Without pre-vote one that lags in memberships, and asks others than those who ask it, can be a term ahead for a while. */
    for (uint32_t more = 0; more < 9 && !schedule->fixed && cluster_leader(cluster) == 0; more++)
        cluster_run(cluster, 3000);
    lash_id leader = cluster_leader(cluster);
    ORACLE_CHECK(leader != 0, "P2", "no leader after 30 election timeouts");
    random_come_to_rest(schedule, cluster);
    leader = cluster_leader(cluster);
    const struct cluster_node *first = cluster_node(cluster, leader);
    lash_term term = first->term;
    uint64_t members = 0;
    ORACLE_CHECK(cluster_propose(cluster, leader, 3) == LASH_OK, "P2", "the leader takes no proposal");
    uint64_t reads_ok = cluster->reads_ok;
    for (lash_id id = 1; id <= cluster->count; id++) {
        if (!random_is_member(first, id))
            continue;
        members++;
        ORACLE_CHECK(cluster_read(cluster, id) == LASH_OK, "P2", "n%" PRIu64 " takes no read", id);
        cluster_run(cluster, 60);
    }
    cluster_run(cluster, 100);
    ORACLE_CHECK(cluster->reads_ok == reads_ok + members, "P2", "not every read was answered");
    for (lash_id id = 1; id <= cluster->count; id++) {
        struct cluster_node *node = cluster_node(cluster, id);
        if (!random_is_member(first, id))
            continue;
        ORACLE_CHECK(node->term == term, "P2", "a healthy leader was deposed");
        ORACLE_CHECK(node->commit == first->log.count && node->log.count == first->log.count, "P2",
                     "n%" PRIu64 " ends at %" PRIu64 " and committed %" PRIu64 ", leader n%" PRIu64 " ends at %" PRIu64,
                     id, node->log.count, node->commit, leader, first->log.count);
    }
}

/* Another kind of weather: other faults, and often a partition that lasts. */
static void random_regime(struct schedule *schedule, struct cluster *cluster) {
    random_weights(schedule);
    memset(cluster->cut, 0, sizeof cluster->cut);
    if (draw(schedule, 2) == 0)
        return;
    schedule->weight -= schedule->weights[CHANCE_MEND];
    schedule->weights[CHANCE_MEND] = 0;
    lash_id leader = cluster_leader(cluster);
    cluster_isolate(cluster, leader != 0 && draw(schedule, 2) == 0 ? leader : 1 + draw(schedule, cluster->count), true);
}

static void random_observe(struct cluster *cluster, struct cluster_node *node, const struct lash_event *event,
                           const struct lash_outputs *outputs) {
    struct schedule *schedule = cluster->context;
    if (event->type == LASH_EVENT_MESSAGE && event->message.type == LASH_MSG_TIMEOUT_NOW && outputs->role_changed)
        schedule->taken_over += node->role == LASH_CANDIDATE;
    /* Answered in the very step: nobody was asked. */
    schedule->by_lease += event->type == LASH_EVENT_READ && event->read.lease && node->role == LASH_LEADER &&
                          node->configuration.count > 1 && outputs->reads_done_count > 0;
    struct lash_raft_status status;
    lash_raft_status(node->raft, &status);
    bool unasked = status.transfer_why == LASH_TRANSFER_PRIORITY || status.transfer_why == LASH_TRANSFER_SLOW;
    schedule->by_itself += unasked && !schedule->unasked[node->id];
    schedule->unasked[node->id] = unasked;
    struct random_changes *changes = &schedule->changes;
    if (outputs->configure) {
        bool joint = false;
        for (uint32_t i = 0; i < outputs->configuration.count; i++)
            joint |= (outputs->configuration.members[i].flags & LASH_MEMBER_VOTER_OLD) != 0;
        changes->proposed += event->type == LASH_EVENT_CONFIGURE;
        changes->joint += joint;
        changes->by_leaders += event->type != LASH_EVENT_CONFIGURE;
    }
    changes->rolled_back += node->configuration.index < schedule->known[node->id];
    schedule->known[node->id] = node->configuration.index;
    bool votes = false;
    for (uint32_t i = 0; i < node->configuration.count; i++)
        votes |= node->configuration.members[i].id == node->id && node->configuration.members[i].flags != 0;
    bool leads = node->role == LASH_LEADER;
    changes->retired += schedule->led[node->id] && !leads && !votes;
    schedule->led[node->id] = leads;
}

/* In half of the schedules some nodes are witnesses for good; of those that begin one at least is none. */
static void random_witnesses(struct schedule *schedule, struct cluster *cluster) {
    if (draw(schedule, 2) == 0)
        return;
    for (lash_id id = 2; id <= cluster->count; id++)
        schedule->witnesses |= draw(schedule, 3) == 0 ? (uint32_t)1 << id : 0;
    for (uint32_t i = 0; i < cluster->configuration.count; i++) {
        struct lash_member *member = &cluster->configuration.members[i];
        member->flags = random_part(schedule, member->id, member->flags);
    }
}

static uint64_t random_run(uint64_t seed, uint64_t events, struct totals *totals) {
    struct schedule schedule = {.seed = seed, .random = random_mix(seed)};
    random_remember(seed);
    uint32_t count = (uint32_t)(1 + draw(&schedule, 5));
    struct lash_raft_options options = random_options(&schedule);
    schedule.fixed = draw(&schedule, 2) == 0;
    uint32_t spare = schedule.fixed ? 0 : (uint32_t)draw(&schedule, CLUSTER_NODES_MAX - count + 1);
    struct cluster *cluster = cluster_new(count + spare, &options, seed);
    cluster_spare(cluster, spare);
    random_witnesses(&schedule, cluster);
    for (uint32_t i = 0; i < count && draw(&schedule, 3) != 0; i++)
        cluster->configuration.members[i].priority = (uint32_t)draw(&schedule, 3);
    cluster->context = &schedule;
    cluster->send_some = random_send;
    cluster->frame_start = random_frame;
    cluster->observe = random_observe;
    random_clocks(&schedule, cluster, options.lease_drift);
    cluster_start_all(cluster);
    random_weights(&schedule);
    for (uint64_t i = 0; i < events; i++) {
        if (draw(&schedule, 500) == 0)
            random_regime(&schedule, cluster);
        random_event(&schedule, cluster);
    }
    random_converge(&schedule, cluster);
    for (lash_id id = 1; id <= cluster->count; id++)
        totals->trace = random_mix(totals->trace ^ lash_raft_hash(cluster_node(cluster, id)->raft));
    while (schedule.aside_count > 0)
        cluster_packet_free(&schedule.aside[--schedule.aside_count]);
    uint64_t trace = cluster->trace;
    totals->steps += cluster->steps;
    totals->committed += oracle_committed(cluster->oracle);
    totals->leaders += cluster_node(cluster, cluster_leader(cluster))->term;
    totals->reads_ok += cluster->reads_ok;
    totals->reads_no += cluster->reads_no;
    totals->grows += cluster->grows;
    totals->installs += cluster->installs;
    totals->resets += cluster->resets;
    totals->transfers += schedule.transfers;
    totals->taken_over += schedule.taken_over;
    totals->by_lease += schedule.by_lease;
    totals->moved += schedule.moved;
    totals->by_itself += schedule.by_itself;
    totals->changes.proposed += schedule.changes.proposed;
    totals->changes.joint += schedule.changes.joint;
    totals->changes.by_leaders += schedule.changes.by_leaders;
    totals->changes.rolled_back += schedule.changes.rolled_back;
    totals->changes.retired += schedule.changes.retired;
    totals->trace = random_mix(totals->trace ^ trace);
    cluster_free(cluster);
    return trace;
}

/* An assertion of the core names no seed. */
static void random_aborted(int signal_number) {
    (void)signal_number;
    signal(SIGABRT, SIG_DFL);
    (void)!write(STDERR_FILENO, random_last_words, strlen(random_last_words));
    abort();
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"from", required_argument, NULL, 'f'},
                                            {"seeds", required_argument, NULL, 's'},
                                            {"events", required_argument, NULL, 'e'},
                                            {"twice", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    uint64_t from = 1, seeds = 800, events = 3000;
    bool twice = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?')
            return 2;
        uint64_t value = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        from = option == 'f' ? value : from;
        seeds = option == 's' ? value : seeds;
        events = option == 'e' ? value : events;
        twice = twice || option == 't';
    }
    signal(SIGABRT, random_aborted);
    struct totals totals = {0};
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        uint64_t trace = random_run(seed, events, &totals);
        /* P1: the same seed, the same trace. */
        if (twice || seed % 16 == 0) {
            struct totals again = {0};
            ORACLE_CHECK(trace == random_run(seed, events, &again), "P1", "the second run took another way");
        }
    }
    printf("seeds %" PRIu64 "..%" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " entries committed, %" PRIu64
           " terms, reads %" PRIu64 " answered (%" PRIu64 " by lease at once) and %" PRIu64 " refused, %" PRIu64
           " term tables grown, %" PRIu64 " transfers and %" PRIu64 " elections asked for, %" PRIu64
           " transfers by leaders themselves (%" PRIu64 " of them at the end), %" PRIu64
           " snapshots installed, %" PRIu64 " of them in place of the log, %" PRIu64 " changes of membership (%" PRIu64
           " joint, %" PRIu64 " steps by leaders themselves, %" PRIu64 " rolled back at a node, %" PRIu64
           " leaders retired), trace %016" PRIx64 "\n",
           from, from + seeds - 1, totals.steps, totals.committed, totals.leaders, totals.reads_ok, totals.by_lease,
           totals.reads_no, totals.grows, totals.transfers, totals.taken_over, totals.by_itself, totals.moved,
           totals.installs, totals.resets, totals.changes.proposed, totals.changes.joint, totals.changes.by_leaders,
           totals.changes.rolled_back, totals.changes.retired, totals.trace);
    bool changed = totals.changes.proposed > 0 && totals.changes.joint > 0 && totals.changes.by_leaders > 0 &&
                   totals.changes.rolled_back > 0 && totals.changes.retired > 0;
    bool all = totals.committed > 0 && totals.leaders > seeds && totals.reads_ok > 0 && totals.reads_no > 0 &&
               totals.grows > 0 && totals.transfers > 0 && totals.taken_over > 0 && totals.by_lease > 0 &&
               totals.moved > 0 && totals.by_itself > totals.moved && totals.installs > 0 && totals.resets > 0 &&
               changed;
    ORACLE_CHECK(all || seeds < SEEDS_FOR_ALL, "test", "something that schedules are made for has never happened");
    return 0;
}
