/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots in the simulated world.
 */
#include "sim/world_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "node/replica_state.h"
#include "sim/world_session.h"
#include "sim/world_store.h"
#include "storage/log_state.h"

#define SNAPSHOT_DIR "snapshots"

enum { SNAPSHOT_PATH_MAX = 80 };

/* ---- The state machine ------------------------------------------------------------------------------ */

/* What a snapshot says; behind it come bytes that only make it longer. */
struct snapshot_state {
    lash_index applied;
    uint64_t state;
    uint64_t padding;
};

int snapshot_machine_begin(void *context, lash_index index, void **view) {
    struct world_node *node = context;
    if (node->machine.applied != index || node->view.applied != 0)
        world_fail(node->world, "contract", "n%u is to pin its state after %llu, and has applied %llu",
                   (unsigned)node->id, (unsigned long long)index, (unsigned long long)node->machine.applied);
    int error = node->store ? world_store_pin(node, index) : 0;
    if (error)
        return error;
    node->view = node->machine;
    *view = &node->view;
    return 0;
}

int snapshot_machine_write(void *context, void *view, struct lash_snapshot_sink *sink) {
    struct world_node *node = context;
    const struct world_machine *pinned = view;
    struct snapshot_state head = {pinned->applied, pinned->state, node->store ? 0 : pinned->state % 3000};
    uint8_t bytes[256] = {0};
    int error = lash_snapshot_write(sink, &head, sizeof head);
    LASH_ASSERT(pinned == &node->view);
    for (uint64_t left = head.padding; !error && left;) {
        size_t size = left < sizeof bytes ? (size_t)left : sizeof bytes;
        error = lash_snapshot_write(sink, bytes, size);
        left -= size;
    }
    return error || !node->store ? error : world_store_write(node, sink);
}

void snapshot_machine_end(void *context, void *view) {
    struct world_node *node = context;
    LASH_ASSERT(view == &node->view && node->view.applied != 0);
    node->view = (struct world_machine){0};
    if (node->store)
        world_store_unpin(node);
}

/* All of it, as it was written; the store's part goes into the store at once. */
static int snapshot_read_state(struct world_node *node, struct lash_snapshot_source *source, lash_index index,
                               struct snapshot_state *head, uint64_t *padding) {
    uint8_t bytes[256];
    size_t got;
    int error = lash_snapshot_read(source, head, sizeof *head, &got);
    *padding = 0;
    if (!error && got != sizeof *head)
        return LASH_CORRUPT;
    if (!error && node->store)
        return world_store_restore(node, source, index);
    for (got = sizeof bytes; !error && got == sizeof bytes;) {
        error = lash_snapshot_read(source, bytes, sizeof bytes, &got);
        *padding += error ? 0 : got;
    }
    return error;
}

int snapshot_machine_restore(void *context, struct lash_snapshot_source *source, lash_index index) {
    struct world_node *node = context;
    struct snapshot_state head;
    uint64_t padding;
    int error = snapshot_read_state(node, source, index, &head, &padding);
    if (error)
        return error;
    if (head.applied != index || head.padding != padding || index <= node->machine.applied)
        world_fail(node->world, "S1", "n%u, which has applied %llu, is to restore %llu from a snapshot at %llu",
                   (unsigned)node->id, (unsigned long long)node->machine.applied, (unsigned long long)index,
                   (unsigned long long)head.applied);
    node->machine = (struct world_machine){.applied = head.applied, .state = head.state};
    if (!node->session) /* else it is judged with the table */
        judge_state(node->world->judge, node->id, index, head.state * 2 + 1);
    node->world->tally.restored++;
    TRACE(node->world, "n%u restores %llu from a snapshot", (unsigned)node->id, (unsigned long long)index);
    return 0;
}

void world_snapshot_options(const struct world_node *node, struct replica_options *options) {
    const struct profile *profile = &node->world->profile;
    if (!profile->snapshots)
        return;
    options->snapshots = node->snapshots;
    options->snapshot_bytes_min = profile->snapshot_bytes_min;
    options->trailing_bytes = profile->trailing_bytes;
    options->snapshot_rate = profile->snapshot_rate;
    options->piece_bytes = profile->piece_bytes;
    options->machine.snapshot_begin = snapshot_machine_begin;
    options->machine.snapshot_write = snapshot_machine_write;
    options->machine.snapshot_end = snapshot_machine_end;
    options->machine.restore = snapshot_machine_restore;
    if (node->session)
        world_session_snapshots(&options->machine);
    if (node->gap || node->first) /* with a gap, none is known until a leader tells */
        options->first = node->first;
}

/* ---- The folder -------------------------------------------------------------------------------------- */

int world_snapshot_open(struct world_node *node, struct log_recovered *recovered) {
    const struct profile *profile = &node->world->profile;
    struct snapshots_options options = {.vfs = memfs_vfs(node->disk),
                                        .dir = SNAPSHOT_DIR,
                                        .cluster_id = 1,
                                        .node_id = node->id,
                                        .chunk_bytes = (uint32_t)profile->piece_bytes};
    node->gap = false;
    if (!profile->snapshots)
        return 0;
    int error = snapshots_open(&options, &node->snapshots);
    if (!error)
        error = joiner_join(node->snapshots, node->log, recovered, &node->gap, &node->first);
    if (error)
        world_snapshot_close(node);
    return error;
}

void world_snapshot_close(struct world_node *node) {
    snapshots_close(node->snapshots);
    node->snapshots = NULL;
    roster_unref(node->first);
    node->first = NULL;
}

static bool disk_holds(const struct world_node *node, const struct world_disk *disk, lash_index index) {
    uint64_t chain = 0;
    if (index == 0)
        return true;
    if (index <= disk->kept)
        chain = judge_log_chain(disk->base, index);
    else if (disk->suffix && index <= disk->kept + disk->suffix->count)
        chain = judge_log_chain(disk->suffix, index - disk->kept);
    return chain != 0 && chain == judge_committed_chain(node->world->judge, index);
}

/* Whether the log on disk holds the newest snapshot's last entry. */
static bool disk_counts(const struct world_node *node) {
    const struct world_disk disk = {.base = &node->on_disk, .kept = node->on_disk.count};
    return disk_holds(node, &disk, node->newest.index);
}

void world_snapshot_look(struct world_node *node) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    if (!node->snapshots)
        return;
    if (snapshots_list(node->snapshots, infos) == 0)
        infos[0] = (struct snapshot_info){0};
    if (infos[0].index < node->newest.index && !node->rotten)
        world_fail(node->world, "S2", "n%u's newest snapshot, at %llu, is gone", (unsigned)node->id,
                   (unsigned long long)node->newest.index);
    bool newer = infos[0].index > node->newest.index;
    node->newest = infos[0];
    if (!newer)
        return;
    judge_snapshot(node->world->judge, node->id, node->newest.index);
    node->replaced = !disk_counts(node);
    node->world->tally.snapshots++;
    TRACE(node->world, "n%u has a snapshot at %llu%s", (unsigned)node->id, (unsigned long long)node->newest.index,
          node->replaced ? ", which its log does not hold" : "");
}

void world_snapshot_trimmed(struct world_node *node) {
    lash_index first = node->log->index.first_index;
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = node->snapshots ? snapshots_list(node->snapshots, infos) : 0;
    if (first == 1 || node->rotten)
        return;
    /* Behind the one before the newest, or, when the newest came from a peer, behind that. */
    lash_index covered = count == SNAPSHOTS_KEPT ? infos[1].index : 0;
    if (first > covered + 1 && (count == 0 || first != infos[0].index + 1 || !node->dropped))
        world_fail(node->world, "S2", "n%u's log begins at %llu, and its snapshots are at %llu and %llu",
                   (unsigned)node->id, (unsigned long long)first, (unsigned long long)(count ? infos[0].index : 0),
                   (unsigned long long)covered);
}

bool world_snapshot_rot(struct world_node *node, uint64_t number, uint64_t place) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    char path[SNAPSHOT_PATH_MAX];
    size_t count = node->snapshots ? snapshots_list(node->snapshots, infos) : 0;
    if (count == 0)
        return false;
    const struct snapshot_info *info = &infos[number % count];
    (void)snprintf(path, sizeof path, SNAPSHOT_DIR "/snapshot-%016" PRIx64 "-%016" PRIx64, info->index, info->term);
    if (!memfs_rot(node->disk, path, place % info->bytes, (uint8_t)(1U << number % 8)))
        return false;
    node->rotten = true;
    TRACE(node->world, "FAULT rot: n%u's %s at %llu", (unsigned)node->id, path,
          (unsigned long long)(place % info->bytes));
    return true;
}

/* ---- The log on disk --------------------------------------------------------------------------------- */

void world_disk_begin(struct world_node *node, const struct log_recovered *recovered, struct judge_log *found) {
    const struct judge_log *committed = judge_committed_log(node->world->judge);
    lash_index before = recovered->first_index - 1;
    if (before > committed->count)
        world_fail(node->world, "S1", "n%u's log begins at %llu, and committed is %llu", (unsigned)node->id,
                   (unsigned long long)recovered->first_index, (unsigned long long)committed->count);
    struct judge_log base = {.entries = committed->entries, .count = before};
    judge_log_copy(found, 0, &base);
}

bool world_disk_finds(const struct world_node *node, const struct world_disk *disk, const struct judge_log *found) {
    struct world_disk is = *disk;
    if (!disk_holds(node, disk, node->newest.index))
        is = (struct world_disk){.base = judge_committed_log(node->world->judge), .kept = node->newest.index};
    uint64_t count = is.kept + (is.suffix ? is.suffix->count : 0);
    uint64_t chain = is.suffix && is.suffix->count ? judge_log_chain(is.suffix, is.suffix->count)
                                                   : judge_log_chain(is.base, is.kept);
    return found->count == count && judge_log_chain(found, found->count) == chain;
}

void world_disk_term(const struct world_node *node, lash_term *term, lash_id *vote) {
    if (*term >= node->newest.term)
        return;
    *term = node->newest.term;
    *vote = 0;
}

void world_disk_started(struct world_node *node, const struct judge_log *found) {
    judge_log_copy(&node->on_disk, 0, found);
    node->replaced = false;
    node->dropped = node->snapshots && node->newest.index + 1 == node->log->index.first_index;
}

void world_disk_written(struct world_node *node, uint64_t kept, const struct judge_log *suffix) {
    bool replaced = node->replaced;
    judge_log_copy(&node->on_disk, kept, suffix);
    node->replaced = !disk_counts(node);
    if (node->replaced)
        return;
    if (replaced)
        judge_durable(node->world->judge, node->id, 0, &node->on_disk);
    else
        judge_durable(node->world->judge, node->id, kept, suffix);
}

void world_disk_reset(struct world_node *node, lash_index index, lash_term term) {
    struct judge *judge = node->world->judge;
    struct judge_log base = {.entries = judge_committed_log(judge)->entries, .count = index};
    lash_term durable;
    lash_id vote;
    judge_log_copy(&node->on_disk, 0, &base);
    node->replaced = !disk_counts(node);
    judge_disk_vote(judge, node->id, &durable, &vote);
    if (durable < term)
        judge_durable_vote(judge, node->id, term, 0);
    node->world->tally.installed++;
}
