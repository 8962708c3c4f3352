/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles. Intensities are drawn anew for each seed, so that some seeds are all
 * partitions and others all crashes.
 */
#include "sim/profile.h"

#include <string.h>

#include "base/crc32c.h"
#include "raft/random.h"

const char *const fault_names[FAULT_KINDS] = {
    [FAULT_RESET] = "reset",
    [FAULT_CLOG] = "clog",
    [FAULT_LANE] = "lane",
    [FAULT_ISOLATE] = "isolate",
    [FAULT_PARTITION] = "partition",
    [FAULT_KILL] = "kill",
    [FAULT_POWER] = "power",
    [FAULT_CRASH_AT] = "crash-at",
    [FAULT_PAUSE] = "pause",
    [FAULT_STALL] = "stall",
    [FAULT_EIO] = "eio",
    [FAULT_SHORT] = "short",
    [FAULT_FULL] = "full",
    [FAULT_MEMORY] = "memory",
    [FAULT_STEP] = "step",
    [FAULT_DRIFT] = "drift",
    [FAULT_LOSE] = "lose",
    [FAULT_ROT] = "rot",
    [FAULT_ASTRAY] = "astray",
    [FAULT_SLOW] = "slow",
    [FAULT_TRANSFER] = "transfer",
    [FAULT_JOIN] = "join",
    [FAULT_REMOVE] = "remove",
    [FAULT_PROMOTE] = "promote",
    [FAULT_MOVE] = "move",
    [FAULT_CONFIGURE] = "configure",
    [FAULT_REPLACE] = "replace",
    [FAULT_SNAPSHOT] = "snapshot",
    [FAULT_UPGRADE] = "upgrade",
    [FAULT_DROP] = "drop",
    [FAULT_DUPLICATE] = "duplicate",
    [FAULT_REORDER] = "reorder",
    [FAULT_DELAY] = "delay",
    [FAULT_REFUSE] = "refuse",
    [FAULT_FLIP] = "flip",
};

/* The most that a seed gets of each: faults in sixty election timeouts, or of a million packets. */
static const uint64_t profile_most[FAULT_KINDS] = {
    [FAULT_RESET] = 120,    [FAULT_CLOG] = 60,     [FAULT_LANE] = 60,         [FAULT_ISOLATE] = 60,
    [FAULT_PARTITION] = 40, [FAULT_KILL] = 40,     [FAULT_POWER] = 40,        [FAULT_CRASH_AT] = 40,
    [FAULT_PAUSE] = 40,     [FAULT_STALL] = 40,    [FAULT_EIO] = 20,          [FAULT_SHORT] = 40,
    [FAULT_FULL] = 15,      [FAULT_MEMORY] = 40,   [FAULT_STEP] = 20,         [FAULT_DRIFT] = 20,
    [FAULT_LOSE] = 1,       [FAULT_ROT] = 40,      [FAULT_ASTRAY] = 8,        [FAULT_SLOW] = 20,
    [FAULT_TRANSFER] = 40,  [FAULT_DROP] = 20000,  [FAULT_DUPLICATE] = 20000, [FAULT_REORDER] = 20000,
    [FAULT_JOIN] = 40,      [FAULT_REMOVE] = 30,   [FAULT_PROMOTE] = 40,      [FAULT_MOVE] = 15,
    [FAULT_CONFIGURE] = 20, [FAULT_REPLACE] = 4,   [FAULT_SNAPSHOT] = 40,     [FAULT_UPGRADE] = 10,
    [FAULT_DELAY] = 20000,  [FAULT_REFUSE] = 5000, [FAULT_FLIP] = 2000,
};

enum fault fault_named(const char *name, unsigned size) {
    unsigned kind = 0;
    while (kind < FAULT_KINDS && (strlen(fault_names[kind]) != size || strncmp(fault_names[kind], name, size) != 0))
        kind++;
    return (enum fault)kind;
}

static uint64_t profile_election_us(const struct profile *profile) {
    return profile->heartbeat_ms * 10000;
}

void profile_quiet(struct profile *profile) {
    *profile = (struct profile){.heartbeat_ms = 10,
                                .segment_bytes = 16384,
                                .recent_bytes_max = 4096,
                                .uncommitted_bytes_max = (uint64_t)512 << 20,
                                .inflight_bytes_max = (uint64_t)8 << 20,
                                .part_bytes = (uint64_t)1 << 20,
                                .packet_us = 50,
                                .packet_span_us = 1000,
                                .disk_us = 50,
                                .disk_span_us = 1000,
                                .apply_us = 10,
                                .apply_span_us = 500,
                                .lanes = true,
                                .lasting_us = 1};
}

/* One of `span` powers of two, beginning with `least`. */
static uint64_t profile_scale(uint64_t *random, uint64_t least, uint64_t span) {
    return least << random_between(random, 0, span);
}

static void profile_machines(struct profile *profile, uint64_t *random) {
    profile->heartbeat_ms = profile_scale(random, 10, 4);
    profile->segment_bytes = profile_scale(random, 16384, 6);
    profile->recent_bytes_max = profile_scale(random, 1024, 10);
    profile->packet_us = profile_scale(random, 20, 4);
    profile->packet_span_us = profile_scale(random, 100, 6);
    profile->disk_us = profile_scale(random, 20, 4);
    profile->disk_span_us = profile_scale(random, 100, 7);
    profile->apply_us = profile_scale(random, 2, 4);
    profile->apply_span_us = profile_scale(random, 20, 8);
    profile->clients = (uint32_t)profile_scale(random, 1, 6);
    profile->think_span_us = profile_scale(random, 100, 12);
    profile->read_percent = (uint32_t)random_between(random, 0, 80);
    profile->data_max = (uint32_t)profile_scale(random, 1, 10);
    profile->lasting_us = profile_scale(random, profile_election_us(profile) / 4, 6);
}

uint64_t fault_stream(uint64_t seed, enum fault kind) {
    return random_mix(seed + crc32c(0, fault_names[kind], strlen(fault_names[kind])));
}

/* How often each kind happens: of `kinds_of_8` eighths of them, the others never. */
static void profile_faults(struct profile *profile, uint64_t seed, uint64_t kinds_of_8) {
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        uint64_t random = fault_stream(seed, kind);
        bool on = random_between(&random, 0, 8) < kinds_of_8;
        uint64_t most = profile_most[kind];
        uint64_t some = random_between(&random, 1, most * 1000);
        some /= profile_scale(&random, 1, 5);
        bool operators = kind >= FAULT_OPERATOR && kind < FAULT_PACKET;
        if (operators ? !profile->operators : !on)
            continue;
        profile->every[kind] =
            kind >= FAULT_PACKET ? some / 1000 + 1 : 60 * profile_election_us(profile) * 1000 / (some ? some : 1);
    }
}

/* Of two seeds one has snapshots, small and often. */
static void profile_snapshots(struct profile *profile, uint64_t random) {
    profile->snapshots = random_between(&random, 0, 2) != 0;
    profile->snapshot_bytes_min = profile_scale(&random, 128, 8);
    profile->trailing_bytes = profile_scale(&random, 1, 13);
    profile->piece_bytes = profile_scale(&random, 64, 8);
    if (random_between(&random, 0, 4) == 0)
        profile->snapshot_rate = profile_scale(&random, 2000, 8);
}

/* In one of two seeds members have priorities, and in one of four a disk gives out slowly at the end. */
static void profile_office(struct profile *profile, uint64_t random) {
    bool preferred = random_between(&random, 0, 2) != 0;
    for (size_t i = 0; i < LASH_RAFT_MEMBERS_MAX && preferred; i++)
        profile->priorities[i] = (uint32_t)random_between(&random, 0, 3);
    profile->slow_for_good = random_between(&random, 0, 4) == 0;
}

bool profile_draw(const char *name, uint64_t seed, struct profile *profile) {
    bool node = strcmp(name, "node") == 0;
    bool swarm = strcmp(name, "swarm") == 0;
    bool store = strcmp(name, "store") == 0;
    bool sessions = strcmp(name, "session") == 0;
    bool operators = strcmp(name, "operators") == 0;
    if (!node && !swarm && !store && !sessions && !operators && strcmp(name, "calm") != 0)
        return false;
    uint64_t random = random_mix(seed ^ 0x70726f66696c65);
    memset(profile, 0, sizeof *profile);
    profile_machines(profile, &random);
    profile->operators = operators;
    uint64_t kind = operators ? random_mix(seed ^ 0x6f70657261746f72) % 16 : 0;
    profile->store = store || (operators && kind == 1);
    profile->sessions = sessions || (operators && kind >= 13);
    /* None of the seeds that tests and mutants were tied to before there were witnesses has any. */
    uint64_t witness = random_mix(seed ^ 0x7769746e657373cd);
    profile->witnesses = operators && (profile->store || profile->sessions ? witness / 3 % 4 : witness % 3) == 0;
    uint64_t flow = random_mix(seed ^ 0x6c616e6573);
    profile->lanes = flow % 4 != 0;
    profile->uncommitted_bytes_max = profile_scale(&flow, 4096, 10);
    profile->inflight_bytes_max = profile_scale(&flow, 1024, 10);
    uint64_t parts = random_mix(seed ^ 0x7061727473);
    profile->part_bytes = random_between(&parts, 0, 2) ? profile_scale(&parts, 8, 9) : (uint64_t)1 << 20;
    profile_snapshots(profile, random_mix(seed ^ 0x736e617073686f74));
    profile_office(profile, random_mix(seed ^ 0x6f6666696365));
    if (node || swarm || store || sessions || operators)
        profile_faults(profile, random, swarm || kind % 2 ? 3 : 6);
    return true;
}
