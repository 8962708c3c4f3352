/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that start, are killed and lose power, and what must be on a disk when
 * the next one starts: exactly what was durable, or that and the one batch that was
 * being written, whole.
 */
#include <string.h>

#include "base/assert.h"
#include "node/replica_state.h"
#include "raft/random.h"
#include "sim/memory.h"
#include "sim/operator.h"
#include "sim/stray.h"
#include "sim/world_hollow.h"
#include "sim/world_peers.h"
#include "sim/world_session.h"
#include "sim/world_snapshot.h"
#include "sim/world_store.h"
#include "storage/log_recovery.h"

enum { PROCESS_READ_BYTES = 1 << 16 };

/* ---- What a start finds ------------------------------------------------------------------------------ */

/* The entries of a frame from the next index on. */
static void process_add(const struct world_node *node, struct judge_log *found, const uint8_t *data) {
    struct frame frame;
    struct frame_entry entry;
    size_t offset = 0;
    int error = frame_header(data, &frame);
    LASH_ASSERT(!error);
    while (frame_next(data, &frame, &offset, &entry)) {
        if (entry.index != found->count + 1)
            continue;
        struct world_entry told = world_hollow_entry(node, &frame, &entry);
        judge_log_push(found, judge_log_chain(found, found->count), told.term, told.kind, told.digest);
    }
}

/* Read the whole log. Errors: those of log_read. */
static int process_read(struct world_node *node, const struct log_recovered *recovered, struct judge_log *found) {
    while (found->count < recovered->last_index) {
        struct buf **frames;
        size_t count;
        int error = log_read(node->log, found->count + 1, recovered->last_index, PROCESS_READ_BYTES, &frames, &count);
        if (error)
            return error;
        uint64_t before = found->count;
        for (size_t i = 0; i < count; i++) {
            process_add(node, found, frames[i]->data);
            buf_unref(frames[i]);
        }
        mem_free(frames);
        if (found->count == before)
            return LASH_CORRUPT;
    }
    return 0;
}

/* D1, D2, D3: the log is what was durable, or that with the batch that was being written. False when it lacks what a stray
 * write has taken from it, and nobody could know. */
static bool process_judge(struct world_node *node, const struct log_recovered *recovered,
                          const struct judge_log *found) {
    struct world *world = node->world;
    const struct world_pending *pending = &node->pending;
    const struct judge_log *disk = judge_disk(world->judge, node->id);
    lash_term term;
    lash_id vote;
    judge_disk_vote(world->judge, node->id, &term, &vote);
    world_disk_term(node, &term, &vote);
    const struct judge_log *base = pending->reset ? judge_committed_log(world->judge) : &node->on_disk;
    const struct world_disk before = {.base = &node->on_disk, .kept = node->on_disk.count};
    const struct world_disk after = {.base = base, .kept = pending->kept, .suffix = &pending->suffix};
    bool without = world_disk_finds(node, &before, found) && recovered->term == term && recovered->vote == vote;
    bool possible = pending->any && (!pending->undone || node->lost_power);
    bool with = possible && world_disk_finds(node, &after, found) &&
                recovered->term == (pending->save_vote ? pending->term : term) &&
                recovered->vote == (pending->save_vote ? pending->vote : vote);
    const struct world_state state = {found->count, judge_log_chain(found, found->count), recovered->term,
                                      recovered->vote};
    if (!without && !with && stray_excuses(node, &state)) {
        TRACE(world, "n%u lacks what a stray write has taken, and cannot know: it is not started", (unsigned)node->id);
        return false;
    }
    if (!without && !with && node->rotten) {
        TRACE(world, "n%u lacks what only a damaged snapshot held: it is not started", (unsigned)node->id);
        return false;
    }
    if (!without && !with)
        world_fail(world, "D2",
                   "n%u finds %llu entries, term %llu and a vote for n%llu on its disk; durable were %llu, term %llu, "
                   "n%llu%s",
                   (unsigned)node->id, (unsigned long long)found->count, (unsigned long long)recovered->term,
                   (unsigned long long)recovered->vote, (unsigned long long)disk->count, (unsigned long long)term,
                   (unsigned long long)vote, possible ? ", and a batch was being written" : "");
    stray_started(node, with && !without);
    if (node->first)
        judge_begun(world->judge, node->id);
    judge_blind(world->judge, node->id, node->gap);
    node->pending.any = false;
    node->lost_power = false;
    judge_start(world->judge, node->id, found, recovered->term, recovered->vote);
    world_disk_started(node, found);
    return true;
}

/* ---- Starting ----------------------------------------------------------------------------------------- */

static void process_start_later(struct world *world, size_t position) {
    world_plan(world, 1 + world_draw(world, DOMAIN_PROCESS, world->profile.lasting_us), EVENT_START, position, 0);
}

/* The log could not be opened. */
static void process_failed(struct world_node *node, int error) {
    struct world *world = node->world;
    size_t position = node->id - 1;
    TRACE(world, "n%u cannot start: %s", (unsigned)node->id, lash_strerror(error));
    if (world->options.manual)
        world_fail(world, "contract", "n%u does not start: %s", (unsigned)node->id, lash_strerror(error));
    if (node->armed && memfs_failed(node->disk)) {
        memfs_power_on(node->disk, MEMFS_GARBAGE, world_draw(world, DOMAIN_DISK, UINT32_MAX));
        node->armed = false;
        node->lost_power = true;
    } else if (error == LASH_CORRUPT) {
        if (!node->damaged)
            world_fail(world, "D3", "n%u finds its log damaged, which it is not", (unsigned)node->id);
        world_lose(world, position);
        return;
    } else if (!node->ailing && !node->full) {
        world_fail(world, "contract", "n%u does not start: %s", (unsigned)node->id, lash_strerror(error));
    }
    process_start_later(world, position);
}

static struct replica_options process_options(struct world_node *node) {
    struct world *world = node->world;
    const struct profile *profile = &world->profile;
    struct replica_options options = {.id = node->id,
                                      .cluster_id = 1,
                                      .heartbeat_ms = profile->heartbeat_ms,
                                      .election_ms = profile->heartbeat_ms * 10,
                                      .leases = true,
                                      .lease_drift = WORLD_LEASE_DRIFT,
                                      .seed = world_draw(world, DOMAIN_PROCESS, UINT32_MAX) + 1,
                                      .applied = node->machine.applied,
                                      .request_timeout_ms = profile->heartbeat_ms * 200,
                                      .recent_bytes_max = profile->recent_bytes_max,
                                      .recent_bytes_kept = profile->recent_bytes_max / 4,
                                      .uncommitted_bytes_max = profile->uncommitted_bytes_max,
                                      .inflight_bytes_max = profile->inflight_bytes_max,
                                      .part_bytes = profile->part_bytes,
                                      .machine = {.context = node, .apply = machine_apply, .room = machine_room},
                                      .gauge = &node->gauge};
    options.sequence = (world_draw(world, DOMAIN_PROCESS, UINT32_MAX) << 20) + 1;
    options.first = node->joins ? NULL : world->first;
    options.contacts = node->contacts;
    options.disk = node->directory;
    world_snapshot_options(node, &options);
    return options;
}

static void process_reset(struct world_node *node) {
    node->life++;
    node->journal_seen = 0;
    node->reset_seen = 0;
    node->write = NULL;
    node->refused = false;
    node->deadline_us = UINT64_MAX;
    node->timer_us = UINT64_MAX;
    node->turn_planned = false;
    node->paused_us = 0;
    node->stalled_us = 0;
    node->halted = false;
    node->ending = false;
    memset(node->held, 0, sizeof node->held);
}

/* Errors: LASH_CORRUPT, when the log lacks what was durable, and nobody but the judge can know; those of replica_new. */
static int process_begin(struct world_node *node, const struct log_recovered *recovered,
                         const struct judge_log *found) {
    if (!process_judge(node, recovered, found))
        return LASH_CORRUPT;
    if (node->world->profile.store && !node->store)
        world_store_open(node);
    if (node->world->profile.sessions)
        world_session_open(node);
    process_reset(node);
    struct replica_options options = process_options(node);
    int error = replica_new(&options, &node->env, node->log, recovered, &node->replica);
    if (error) /* it could not read what its log says of the membership */
        judge_stop(node->world->judge, node->id);
    return error;
}

/* The log is whole and open: judge it, and begin. */
static bool process_go_on(struct world_node *node, struct log_recovered *recovered) {
    struct world *world = node->world;
    struct judge_log found = {0};
    int error = world_snapshot_open(node, recovered);
    mem_fail_after(0);
    if (node->log->mended && !node->damaged)
        world_fail(world, "D3", "n%u mends its log, which is not damaged", (unsigned)node->id);
    if (!error) {
        world_snapshot_look(node);
        world_disk_begin(node, recovered, &found);
        error = process_read(node, recovered, &found);
        if (error == LASH_CORRUPT)
            world_fail(world, "D3", "n%u takes its log for whole, and cannot read it", (unsigned)node->id);
    }
    if (!error)
        error = process_begin(node, recovered, &found);
    log_recovered_free(recovered);
    judge_log_free(&found);
    if (error) {
        world_snapshot_close(node);
        log_close(node->log);
        node->log = NULL;
        process_failed(node, error);
        return false;
    }
    world->tally.starts++;
    TRACE(world, "n%u starts with term %llu, %llu entries, %llu of them applied", (unsigned)node->id,
          (unsigned long long)node->replica->status.term, (unsigned long long)node->replica->status.last_index,
          (unsigned long long)node->machine.applied);
    return true;
}

/* ---- Repairing ------------------------------------------------------------------------------------------ */

/* Damage to what nothing had damaged would be a lie (D3). */
static void process_repair(struct world_node *node) {
    const struct repair_options options = {.id = node->id};
    if (!node->damaged)
        world_fail(node->world, "D3", "n%u finds its log damaged, which it is not", (unsigned)node->id);
    process_reset(node);
    int error = repair_new(&options, &node->env, node->log, &node->repair);
    LASH_ASSERT(!error);
    if (node->world->profile.operators)
        world_peers_repair(node);
    TRACE(node->world, "n%u's log is damaged, and is to be repaired", (unsigned)node->id);
}

static void process_repaired(struct world_node *node, struct log_recovered *recovered) {
    struct world *world = node->world;
    repair_free(node->repair);
    node->repair = NULL;
    world->tally.repairs++;
    TRACE(world, "n%u's log is whole again", (unsigned)node->id);
    if (!process_go_on(node, recovered)) {
        network_down(world, node->id - 1);
        return;
    }
    for (size_t i = 0; i < world->count; i++)
        if (network_link(world, node->id - 1, i)->open)
            replica_connected(node->replica, i + 1);
}

void world_repair_turn(struct world_node *node) {
    struct world *world = node->world;
    struct log_recovered recovered;
    int error = repair_outcome(node->repair, &recovered);
    if (error == LASH_DAMAGED || node->halted) {
        repair_turn(node->repair);
    } else if (!error) {
        process_repaired(node, &recovered);
    } else {
        bool ailing = node->ailing;
        world_kill(world, node->id - 1);
        node->ailing = ailing;
        process_failed(node, error);
    }
}

static bool process_holds(const struct world_node *other, const struct world_node *node,
                          const struct log_damage *damage) {
    struct buf *frame;
    struct frame header;
    struct record record;
    const struct recovery *recovery = node->log->recovery;
    if (log_find(other->log, damage, &frame))
        return false;
    /* What a witness holds without data, it does not lend. */
    bool lent = frame_header(frame->data, &header) == LASH_OK && !header.hollow;
    bool fits = lent && (damage->size != 0 ||
                         salvage_fit(recovery, &recovery->gap, RECORD_FRAME, frame->data, frame->size, &record));
    buf_unref(frame);
    return fits;
}

bool world_repair_is_hopeless(const struct world_node *node) {
    const struct world *world = node->world;
    struct log_damage damage;
    if (!log_damaged(node->log, &damage))
        return false;
    for (size_t i = 0; i < world->count; i++) {
        const struct world_node *other = &world->nodes[i];
        bool asked = !world->profile.operators || world->links[(node->id - 1) * WORLD_NODES_MAX + i].open;
        if (other != node && asked && world_alive(other) && process_holds(other, node, &damage))
            return false;
    }
    return true;
}

/* In every second life, by no draw that another would miss. */
static bool process_writes_directly(const struct world_node *node) {
    return random_mix(node->world->options.seed ^ node->id << 32 ^ node->life) & 1;
}

bool world_start(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    struct log_options log_options = {.vfs = memfs_vfs(node->disk),
                                      .dir = "log",
                                      .segment_bytes = world->profile.segment_bytes,
                                      .cluster_id = 1,
                                      .node_id = node->id,
                                      .repair = true,
                                      .direct = process_writes_directly(node),
                                      .salt = (uint32_t)(node->id * 0x9e3779b9u)};
    struct log_recovered recovered;
    LASH_ASSERT(!world_alive(node) && !node->gone);
    int error = log_open(&log_options, &node->log, &recovered);
    mem_fail_after(0);
    if (error && error != LASH_DAMAGED) {
        process_failed(node, error);
        return false;
    }
    if (error)
        process_repair(node);
    else if (!process_go_on(node, &recovered))
        return false;
    network_up(world, position);
    world_turn(world, position);
    return true;
}

/* ---- Dying ---------------------------------------------------------------------------------------------- */

/* The process is gone, and with it its requests: nobody will ever know what became of them. */
static void process_stop(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    struct replica *replica = node->replica;
    LASH_ASSERT(world_alive(node));
    for (size_t i = 0; i < WORLD_EXECUTORS; i++) {
        list_init(&node->queued[i]);
        list_init(&node->worked[i]);
    }
    memfs_fail(node->disk, 1, MEMFS_POWER_OFF); /* what it would still do to its files, it does not */
    if (node->repair) {
        repair_abandon(node->repair);
        node->repair = NULL;
    } else {
        replica_stop(replica);
        node->replica = NULL;
        replica_abandon(replica);
        client_abandon(node);
        operator_abandon(node);
        judge_stop(world->judge, node->id);
    }
    network_down(world, position);
    world_peers_end(node);
    world_snapshot_close(node);
    log_close(node->log);
    node->log = NULL;
    memfs_fail(node->disk, 0, MEMFS_EIO);
    node->armed = false;
    node->short_of_memory = 0;
    node->ailing = node->full;
    stray_cancel(node);
}

void world_kill(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    TRACE(world, "n%u's process ends", (unsigned)node->id);
    process_stop(world, position);
    world_store_die(node, false);
    if (node->session)
        world_session_die(node, false);
    memfs_kill(node->disk);
}

void world_power_off(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    TRACE(world, "n%u's machine loses power", (unsigned)node->id);
    process_stop(world, position);
    world_store_die(node, true);
    if (node->session)
        world_session_die(node, true);
    uint64_t seed = world_draw(world, DOMAIN_DISK, UINT32_MAX);
    memfs_power_on(node->disk, (enum memfs_survival)world_draw(world, DOMAIN_DISK, MEMFS_GARBAGE + 1), seed);
    node->lost_power = true;
    node->machine = (struct world_machine){0};
    node->clock = (struct world_clock){1000000 + world_draw(world, DOMAIN_PROCESS, 1000000), world->now_us, 1000000};
}

bool world_may_damage(const struct world *world, size_t position) {
    size_t damaged = 1;
    if (world->profile.operators)
        return operator_may_damage(world, position);
    for (size_t i = 0; i < world->count; i++)
        damaged += world->nodes[i].damaged;
    return 2 * damaged < world->count;
}

void world_lose(struct world *world, size_t position) {
    struct world_node *node = &world->nodes[position];
    if (world_alive(node))
        world_kill(world, position);
    TRACE(world, "n%u is gone for good", (unsigned)node->id);
    node->damaged = true;
    node->gone = true;
    judge_lose(world->judge, node->id);
}
