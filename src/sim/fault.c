/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults. Each kind has a stream of random numbers of its own, from which come the
 * moment of the next one and what it is to hit; so leaving one out leaves the others
 * where they were. Faults are numbered, in the order in which they come, by kind and
 * count; shrinking leaves out all but a few.
 */
#include "base/assert.h"
#include "node/replica_state.h"
#include "sim/operator.h"
#include "sim/stray.h"
#include "sim/world_snapshot.h"
#include "storage/log_state.h"

enum {
    FAULT_OPERATIONS = 40, /* a fault of a disk hits one of so many next operations, */
    FAULT_WRITES = 20,     /* or writes */
    FAULT_ROT_BYTES = 700, /* rot goes so far */
};

/* ---- Network -------------------------------------------------------------------------------------------- */

static bool fault_reset(struct world *world, const struct fault_draw *draw) {
    if (draw->a == draw->b || !network_link(world, draw->a, draw->b)->open)
        return false;
    TRACE(world, "FAULT reset: the connection from n%zu to n%zu breaks", draw->a + 1, draw->b + 1);
    network_break(world, draw->a, draw->b);
    return true;
}

static void fault_block(struct world *world, size_t from, size_t to, uint64_t lasting_us) {
    struct world_link *link = network_link(world, from, to);
    if (from != to && world->now_us + lasting_us > link->blocked_us)
        link->blocked_us = world->now_us + lasting_us;
}

/* What could not get through for long is given up by the connection. */
static void fault_give_up(struct world *world, size_t from, size_t to, const struct fault_draw *draw) {
    if (from != to && draw->flag)
        network_break(world, from, to);
}

static bool fault_clog(struct world *world, const struct fault_draw *draw) {
    if (draw->a == draw->b)
        return false;
    TRACE(world, "FAULT clog: nothing from n%zu to n%zu for %llu us", draw->a + 1, draw->b + 1,
          (unsigned long long)draw->lasting_us);
    fault_block(world, draw->a, draw->b, draw->lasting_us);
    return true;
}

static bool fault_lane(struct world *world, const struct fault_draw *draw) {
    struct world_link *link = network_link(world, draw->a, draw->b);
    struct world_lane *lane = &link->lanes[TRANSPORT_ENTRIES];
    if (draw->a == draw->b || !link->open || !world->profile.lanes)
        return false;
    TRACE(world, "FAULT lane: no entries from n%zu to n%zu for %llu us%s", draw->a + 1, draw->b + 1,
          (unsigned long long)draw->lasting_us, draw->flag ? ", and their connection breaks" : "");
    if (world->now_us + draw->lasting_us > lane->blocked_us)
        lane->blocked_us = world->now_us + draw->lasting_us;
    if (draw->flag)
        network_cut(world, draw->a, draw->b);
    return true;
}

static bool fault_isolate(struct world *world, const struct fault_draw *draw) {
    bool out = draw->number % 3 != 1;
    bool in = draw->number % 3 != 2;
    TRACE(world, "FAULT isolate: n%zu %s%s%s for %llu us", draw->a + 1, in ? "hears nobody" : "",
          in && out ? " and " : "", out ? "is heard by nobody" : "", (unsigned long long)draw->lasting_us);
    for (size_t i = 0; i < world->count; i++) {
        if (out) {
            fault_block(world, draw->a, i, draw->lasting_us);
            fault_give_up(world, draw->a, i, draw);
        }
        if (in) {
            fault_block(world, i, draw->a, draw->lasting_us);
            fault_give_up(world, i, draw->a, draw);
        }
    }
    return world->count > 1;
}

static bool fault_partition(struct world *world, const struct fault_draw *draw) {
    TRACE(world, "FAULT partition: halves by %llx for %llu us", (unsigned long long)draw->number,
          (unsigned long long)draw->lasting_us);
    for (size_t i = 0; i < world->count; i++) {
        for (size_t j = 0; j < world->count; j++) {
            if ((draw->number >> i & 1) == (draw->number >> j & 1))
                continue;
            fault_block(world, i, j, draw->lasting_us);
            fault_give_up(world, i, j, draw);
        }
    }
    return world->count > 1;
}

/* ---- Processes -------------------------------------------------------------------------------------------- */

static bool fault_die(struct world *world, const struct fault_draw *draw, void (*die)(struct world *, size_t)) {
    if (!world_alive(&world->nodes[draw->a]))
        return false;
    die(world, draw->a);
    world_plan(world, 1 + draw->lasting_us, EVENT_START, draw->a, 0);
    return true;
}

static bool fault_kill(struct world *world, const struct fault_draw *draw) {
    TRACE(world, "FAULT kill: n%zu", draw->a + 1);
    return fault_die(world, draw, world_kill);
}

static bool fault_power(struct world *world, const struct fault_draw *draw) {
    TRACE(world, "FAULT power: n%zu", draw->a + 1);
    return fault_die(world, draw, world_power_off);
}

static bool fault_pause(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    TRACE(world, "FAULT pause: n%zu for %llu us", draw->a + 1, (unsigned long long)draw->lasting_us);
    node->paused_us = world->now_us + draw->lasting_us;
    return node->replica != NULL;
}

static bool fault_memory(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    TRACE(world, "FAULT memory: n%zu's allocation %llu from now on fails", draw->a + 1,
          (unsigned long long)draw->number % 12 + 1);
    node->short_of_memory = draw->number % 12 + 1;
    node->ailing = true;
    return true;
}

/* ---- Disks -------------------------------------------------------------------------------------------------- */

static bool fault_disk(struct world *world, const struct fault_draw *draw, enum memfs_fault fault, const char *what) {
    struct world_node *node = &world->nodes[draw->a];
    if (node->armed || node->gone)
        return false;
    uint64_t n = draw->number % FAULT_OPERATIONS + 1;
    TRACE(world, "FAULT %s: n%zu's disk, at operation %llu from now on", what, draw->a + 1, (unsigned long long)n);
    memfs_fail(node->disk, n, fault);
    node->armed = fault == MEMFS_POWER_OFF;
    node->ailing = true;
    return true;
}

static bool fault_crash_at(struct world *world, const struct fault_draw *draw) {
    return fault_disk(world, draw, MEMFS_POWER_OFF, "crash-at");
}

static bool fault_eio(struct world *world, const struct fault_draw *draw) {
    static const enum memfs_fault kinds[] = {MEMFS_EIO, MEMFS_EIO_DONE, MEMFS_EIO_SOME, MEMFS_EIO};
    return fault_disk(world, draw, kinds[draw->number / FAULT_OPERATIONS % 4], "eio");
}

static bool fault_short(struct world *world, const struct fault_draw *draw) {
    return fault_disk(world, draw, MEMFS_SHORT, "short");
}

static bool fault_stall(struct world *world, const struct fault_draw *draw) {
    TRACE(world, "FAULT stall: n%zu's disk for %llu us", draw->a + 1, (unsigned long long)draw->lasting_us);
    world->nodes[draw->a].stalled_us = world->now_us + draw->lasting_us;
    return true;
}

static bool fault_full(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    if (node->full || node->gone)
        return false;
    TRACE(world, "FAULT full: n%zu's disk for %llu us", draw->a + 1, (unsigned long long)draw->lasting_us);
    memfs_fill(node->disk, true);
    node->full = true;
    node->ailing = true;
    world_plan(world, 1 + draw->lasting_us, EVENT_ROOM, draw->a, 0);
    return true;
}

static bool fault_lose(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    if (node->gone || (!node->damaged && !world_may_damage(world, draw->a)))
        return false;
    TRACE(world, "FAULT lose: n%zu and its disk", draw->a + 1);
    world_lose(world, draw->a);
    return true;
}

/* A segment that is not written to any more holds only what was durable before the next one began. */
static bool fault_rot(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    char path[sizeof "log/" + LOG_NAME_SIZE] = "log/";
    bool may = node->damaged ? node->stray.after == 0 : world_may_damage(world, draw->a);
    if (node->replica && may && draw->flag && world_snapshot_rot(node, draw->number, draw->lasting_us * 7919)) {
        node->damaged = true;
        return true;
    }
    if (!node->replica || node->log->segment_count < 2 || !may)
        return false;
    const struct log_segment *segment = node->log->segments[draw->number % (node->log->segment_count - 1)];
    uint64_t offset = draw->lasting_us * 7919 % segment->size;
    uint64_t end = draw->flag ? offset + 1 : offset + 1 + draw->number / 8 % FAULT_ROT_BYTES;
    log_segment_name(path + sizeof "log/" - 1, segment->sequence);
    bool rotten = false;
    for (uint64_t at = offset; at < end; at++)
        rotten |= memfs_rot(node->disk, path, at, (uint8_t)(1U << (draw->number + at) % 8));
    if (!rotten)
        return false;
    TRACE(world, "FAULT rot: n%zu's %s at %llu, %llu bytes", draw->a + 1, path, (unsigned long long)offset,
          (unsigned long long)(end - offset));
    node->damaged = true;
    return true;
}

/* Into a segment, of what is there already or will be, or into a file that waits to be one. */
static bool fault_astray(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    char path[sizeof "log/" + LOG_NAME_SIZE] = "log/";
    char *name = path + sizeof "log/" - 1;
    if (!node->replica || node->stray.planned || (!node->damaged && !world_may_damage(world, draw->a)))
        return false;
    const struct log *log = node->log;
    size_t last = log->segment_count - 1;
    const struct log_segment *segment = log->segments[draw->flag ? last : draw->number % log->segment_count];
    uint64_t offset = draw->lasting_us * 7919 % segment->size / MEMFS_SECTOR * MEMFS_SECTOR;
    bool pool = log->pool_count && draw->number % 8 == 0;
    if (pool)
        log_segment_free_name(name, log->pool[0]);
    else
        log_segment_name(name, segment->sequence);
    uint64_t n = draw->number / 8 % FAULT_WRITES + 1;
    TRACE(world, "FAULT astray: n%zu's write %llu from now on lands at %llu of %s", draw->a + 1, (unsigned long long)n,
          (unsigned long long)offset, path);
    stray_plan(node, n, path, offset, pool ? UINT64_MAX : segment->first_position + offset);
    return true;
}

static bool fault_slow(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    node->slowness = draw->number % 4 == 0 ? 1 : 10 + draw->number / 4 % 91;
    TRACE(world, "FAULT slow: n%zu's disk takes %llu times as long as usual", draw->a + 1,
          (unsigned long long)node->slowness);
    return true;
}

static bool fault_transfer(struct world *world, const struct fault_draw *draw) {
    size_t leader = world_known_leader(world);
    size_t asked = leader < world->count && draw->flag ? leader : draw->a;
    const struct world_node *node = &world->nodes[asked];
    if (!node->replica || node->paused_us > world->now_us)
        return false;
    TRACE(world, "FAULT transfer: n%zu is asked to hand over to n%zu", asked + 1, draw->b + 1);
    world_transfer(world, asked, draw->number % 4 == 0 ? world->count : draw->b);
    return true;
}

/* ---- Clocks --------------------------------------------------------------------------------------------------- */

static bool fault_step(struct world *world, const struct fault_draw *draw) {
    struct world_node *node = &world->nodes[draw->a];
    TRACE(world, "FAULT step: n%zu's clock leaps by %llu us", draw->a + 1, (unsigned long long)draw->lasting_us);
    world_clock_set(node, draw->lasting_us, node->clock.rate_ppm);
    return true;
}

static bool fault_drift(struct world *world, const struct fault_draw *draw) {
    uint64_t rate = 900000 + draw->number % 200000;
    TRACE(world, "FAULT drift: n%zu's clock runs at %llu ppm", draw->a + 1, (unsigned long long)rate);
    world_clock_set(&world->nodes[draw->a], 0, rate);
    return true;
}

/* ---- The plan -------------------------------------------------------------------------------------------------- */

static bool (*const fault_handlers[FAULT_PACKET])(struct world *world, const struct fault_draw *draw) = {
    [FAULT_RESET] = fault_reset,        [FAULT_CLOG] = fault_clog,
    [FAULT_ISOLATE] = fault_isolate,    [FAULT_PARTITION] = fault_partition,
    [FAULT_KILL] = fault_kill,          [FAULT_POWER] = fault_power,
    [FAULT_CRASH_AT] = fault_crash_at,  [FAULT_PAUSE] = fault_pause,
    [FAULT_STALL] = fault_stall,        [FAULT_EIO] = fault_eio,
    [FAULT_SHORT] = fault_short,        [FAULT_FULL] = fault_full,
    [FAULT_MEMORY] = fault_memory,      [FAULT_STEP] = fault_step,
    [FAULT_DRIFT] = fault_drift,        [FAULT_TRANSFER] = fault_transfer,
    [FAULT_LOSE] = fault_lose,          [FAULT_ROT] = fault_rot,
    [FAULT_LANE] = fault_lane,          [FAULT_ASTRAY] = fault_astray,
    [FAULT_SLOW] = fault_slow,          [FAULT_JOIN] = operator_join,
    [FAULT_REMOVE] = operator_remove,   [FAULT_PROMOTE] = operator_promote,
    [FAULT_MOVE] = operator_move,       [FAULT_CONFIGURE] = operator_configure,
    [FAULT_REPLACE] = operator_replace, [FAULT_SNAPSHOT] = operator_snapshot,
    [FAULT_UPGRADE] = operator_upgrade,
};

static void fault_plan(struct world *world, unsigned kind, uint64_t count) {
    uint64_t every = world->profile.every[kind];
    world_plan(world, every / 4 + world_draw(world, DOMAIN_FAULTS + kind, every * 3 / 2), EVENT_FAULT, kind, count);
}

void fault_begin(struct world *world) {
    for (unsigned kind = 0; kind < FAULT_PACKET; kind++)
        if (world->profile.every[kind])
            fault_plan(world, kind, 1);
}

/* Whether shrinking has left this fault in: its number is the kind, and behind it the count. */
static bool fault_wanted(const struct world *world, uint64_t number) {
    if (!world->options.only)
        return true;
    for (size_t i = 0; i < world->options.only_count; i++)
        if (world->options.only[i] == number)
            return true;
    return false;
}

void fault_event(struct world *world, const struct event *event) {
    unsigned kind = event->subject;
    enum world_domain domain = DOMAIN_FAULTS + kind;
    /* One draw a statement: compilers differ in the order of what is within one. */
    struct fault_draw draw;
    draw.a = (size_t)world_draw(world, domain, world->count);
    draw.b = (size_t)world_draw(world, domain, world->count);
    draw.lasting_us = world_draw(world, domain, world->profile.lasting_us);
    draw.number = world_draw(world, domain, UINT32_MAX);
    draw.flag = world_draw(world, domain, 2) != 0;
    if (world->healed)
        return;
    fault_plan(world, kind, event->argument + 1);
    uint64_t number = (uint64_t)kind << 32 | event->argument;
    if (fault_wanted(world, number) && fault_handlers[kind](world, &draw)) {
        world->tally.faults[kind]++;
        if (world->options.fault)
            world->options.fault(world->options.context, number);
    }
}

bool fault_of_packet(struct world *world, enum fault kind) {
    uint64_t every = world->profile.every[kind];
    if (!every || world->healed || world_draw(world, DOMAIN_FAULTS + kind, 1000000) >= every)
        return false;
    world->tally.faults[kind]++;
    return true;
}

void fault_end(struct world *world) {
    world->healed = true;
    for (size_t i = 0; i < WORLD_LINKS; i++) {
        world->links[i].blocked_us = 0;
        world->links[i].lanes[TRANSPORT_ENTRIES].blocked_us = 0;
    }
    for (size_t i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        node->short_of_memory = 0;
        node->paused_us = 0;
        node->stalled_us = 0;
        node->slowness = 1;
        stray_cancel(node);
        node->full = false;
        memfs_fill(node->disk, false);
        if (!node->gone)
            memfs_fail(node->disk, 0, MEMFS_EIO);
        node->armed = false;
        world_clock_set(node, 0, 1000000);
    }
}
