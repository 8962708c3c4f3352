/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules that look for a lease that holds too long: true time passes by the
 * millisecond, clocks are off by all that is allowed, every leader is read from all
 * the time, also one that is cut off, stands still or hands over, and whoever leads
 * the latest term commits as fast as it can.
 */
#include "sim/core_schedule.h"

#include <string.h>

enum { LEASE_STRIKE_SPAN_MS = 200 };

/* One time in `every` there is a chance of one in 1..most each millisecond, else none. */
static uint64_t core_lease_chance(struct core_schedule *schedule, uint64_t every, uint64_t most, enum fault fault) {
    bool some = core_draw(schedule->core, every) == 0;
    uint64_t chance = 1 + core_draw(schedule->core, most);
    return some && (fault == FAULT_KINDS || !schedule->settings->without[fault]) ? chance : 0;
}

void core_lease_regime(struct core_schedule *schedule) {
    struct core *core = schedule->core;
    schedule->arrive = 1 + core_draw(core, core_draw(core, 2) == 0 ? 3 : 60);
    schedule->written = 1 + core_draw(core, core_draw(core, 2) == 0 ? 2 : 30);
    schedule->isolate = core_lease_chance(schedule, 2, 200, FAULT_ISOLATE);
    schedule->mend = 1 + core_draw(core, 300);
    schedule->crash = core_lease_chance(schedule, 3, 150, FAULT_POWER);
    schedule->start = 1 + core_draw(core, 10);
    schedule->transfer = core_lease_chance(schedule, 3, 300, FAULT_TRANSFER);
    schedule->hint = core_lease_chance(schedule, 2, 30, FAULT_RESET);
    schedule->propose = core_draw(core, 2) == 0 ? 2 : 1 + core_draw(core, 400);
    schedule->disaster = core_lease_chance(schedule, 2, 100, FAULT_ISOLATE);
    schedule->configure = core->changes ? core_lease_chance(schedule, 2, 60, FAULT_KINDS) : 0;
    schedule->late = core_lease_chance(schedule, 2, 100, FAULT_DELAY);
    schedule->pause = core_lease_chance(schedule, 3, 200, FAULT_PAUSE);
    schedule->reorder = core_draw(core, 2) == 0 && !schedule->settings->without[FAULT_REORDER];
}

static bool core_lease_happens(struct core_schedule *schedule, uint64_t chance) {
    return chance != 0 && core_draw(schedule->core, chance) == 0;
}

/* Each packet arrives now or later; over a link that is cut, never. */
static void core_lease_packets(struct core_schedule *schedule) {
    struct core *core = schedule->core;
    for (uint32_t left = core->packet_count; left > 0 && core->packet_count > 0; left--) {
        uint32_t some = core->packet_count < 16 ? core->packet_count : 16;
        struct core_packet packet = *core_pick(core, schedule->reorder ? (uint32_t)core_draw(core, some) : 0);
        schedule->result->faults[FAULT_REORDER] += schedule->reorder;
        core_drop(core);
        if (schedule->aside_count < CORE_ASIDE_MAX && core_lease_happens(schedule, schedule->late)) {
            core_count(schedule, FAULT_DELAY);
            schedule->aside[schedule->aside_count++] = packet;
            continue;
        }
        bool waits = core_draw(core, schedule->arrive) != 0 || schedule->paused[packet.message.to];
        if (waits)
            core_push(core, &packet);
        else if (!core->cut[packet.message.from][packet.message.to])
            core_hand(core, &packet);
    }
}

static void core_lease_node(struct core_schedule *schedule, struct core_node *node) {
    struct core *core = schedule->core;
    if (!node->up || schedule->paused[node->id])
        return;
    if (node->write_count > 0 && core_draw(core, schedule->written) == 0)
        core_write(core, node, 1 + (uint32_t)core_draw(core, node->write_count));
    if (node->deadline_ms <= core_clock(core, node))
        core_tick(core, node);
    bool leads = node->status.role == LASH_LEADER;
    if (core_draw(core, leads ? 2 : 16) == 0)
        core_read(core, node, core_draw(core, 64) != 0);
}

/* The process stands still, or no longer. */
static void core_lease_pause(struct core_schedule *schedule, const struct core_node *leader) {
    struct core *core = schedule->core;
    for (lash_id id = 1; id <= core->count; id++)
        schedule->paused[id] = schedule->paused[id] && core_draw(core, 60) != 0;
    if (!core_lease_happens(schedule, schedule->pause))
        return;
    core_count(schedule, FAULT_PAUSE);
    lash_id some = 1 + core_draw(core, core->count);
    schedule->paused[leader && core_draw(core, 2) == 0 ? leader->id : some] = true;
}

/* One that is followed is cut off; those behind take it for dead, or restart at the same moment, or both. */
static void core_lease_strike(struct core_schedule *schedule, const struct core_node *leader) {
    struct core *core = schedule->core;
    uint64_t hinted = core_draw(core, 3);
    uint64_t crashed = core_draw(core, 3);
    core_count(schedule, FAULT_ISOLATE);
    core_isolate(core, leader->id, true);
    for (lash_id id = 1; id <= core->count; id++) {
        struct core_node *node = &core->nodes[id];
        bool other = id != leader->id && node->up;
        if (other && core_draw(core, 3) < crashed && !schedule->settings->without[FAULT_POWER]) {
            core_count(schedule, FAULT_POWER);
            core_crash(core, node, (uint32_t)core_draw(core, node->write_count + 1));
        } else if (other && core_draw(core, 3) < hinted && node->status.leader == leader->id) {
            core_count(schedule, FAULT_RESET);
            core_with_id(core, node, LASH_EVENT_DOWN, leader->id);
        }
    }
}

/* It strikes at once, or a while after the leader has lost one of the others. */
static void core_lease_disaster(struct core_schedule *schedule, const struct core_node *leader) {
    struct core *core = schedule->core;
    bool strikes = schedule->strike_ms != 0 && core->now_ms >= schedule->strike_ms;
    if (leader && strikes) {
        schedule->strike_ms = 0;
        core_lease_strike(schedule, leader);
    }
    if (!leader || schedule->strike_ms != 0 || !core_lease_happens(schedule, schedule->disaster))
        return;
    lash_id lost = 1 + core_draw(core, core->count);
    core->cut[leader->id][lost] = core->cut[lost][leader->id] = core_draw(core, 4) != 0;
    schedule->strike_ms = core->now_ms + 1 + core_draw(core, LEASE_STRIKE_SPAN_MS);
}

/* Mostly it is the leader that others do not reach. */
static void core_lease_links(struct core_schedule *schedule, const struct core_node *leader) {
    struct core *core = schedule->core;
    if (core_lease_happens(schedule, schedule->mend))
        memset(core->cut, 0, sizeof core->cut);
    if (!core_lease_happens(schedule, schedule->isolate))
        return;
    lash_id a = 1 + core_draw(core, core->count);
    lash_id b = 1 + core_draw(core, core->count);
    uint64_t kind = core_draw(core, 4);
    core_count(schedule, FAULT_ISOLATE);
    if (kind < 2)
        core_isolate(core, leader ? leader->id : a, true);
    else if (kind == 2)
        core->cut[a][b] = true;
    else if (leader)
        core->cut[leader->id][b] = core->cut[b][leader->id] = true;
}

static void core_lease_faults(struct core_schedule *schedule, struct core_node *leader) {
    struct core *core = schedule->core;
    struct core_node *node = core_some_node(core, true);
    if (!node)
        return;
    if (core_lease_happens(schedule, schedule->transfer)) {
        core_count(schedule, FAULT_TRANSFER);
        core_with_id(core, leader ? leader : node, LASH_EVENT_TRANSFER, core_draw(core, core->count + 1));
    }
    if (core_lease_happens(schedule, schedule->hint)) {
        core_count(schedule, FAULT_RESET);
        core_with_id(core, node, LASH_EVENT_DOWN, node->status.leader);
    }
    if (core_lease_happens(schedule, schedule->configure))
        core_configure_some(core, node);
    if (core_lease_happens(schedule, schedule->crash)) {
        core_count(schedule, FAULT_POWER);
        core_crash(core, node, (uint32_t)core_draw(core, node->write_count + 1));
    }
}

void core_lease_moment(struct core_schedule *schedule) {
    struct core *core = schedule->core;
    core->now_ms++;
    core_lease_packets(schedule);
    if (core_draw(core, 30) == 0)
        core_arrive(schedule);
    for (lash_id id = 1; id <= core->count; id++)
        core_lease_node(schedule, &core->nodes[id]);
    struct core_node *leader = core_leader(core);
    if (leader && !schedule->paused[leader->id] && core_draw(core, schedule->propose) == 0)
        core_propose(core, leader, 1);
    core_lease_disaster(schedule, leader);
    core_lease_links(schedule, leader);
    core_lease_pause(schedule, leader);
    core_lease_faults(schedule, leader);
    if (core_draw(core, schedule->start) == 0)
        core_start_some(core);
}
