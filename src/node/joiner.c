/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts snapshots and log together at a start (S2), and tells the newest membership that either
 * holds when the log is not whole. A process may have ended between making
 * a peer's snapshot durable and letting the log go on from it; then that is done now.
 * The snapshot is read whole first: one that is damaged must not take the place of a log.
 */
#include "base/logger.h"
#include "node/snapshotting.h"

/* Whether the log holds the snapshot's last entry, or begins right behind it. */
static bool joiner_held(const struct log_recovered *recovered, const struct snapshot_info *info) {
    if (info->index + 1 == recovered->first_index)
        return info->term == recovered->prev_term;
    for (size_t i = 0; i < recovered->run_count; i++) {
        const struct lash_run *run = &recovered->runs[i];
        if (info->index >= run->first && info->index < run->first + run->count)
            return info->term == run->term;
    }
    return false;
}

static int joiner_roster(struct snapshots *snapshots, lash_index index, struct roster **roster) {
    struct snapshot_reader *reader;
    int error = snapshot_open(snapshots, index, &reader);
    if (error)
        return error;
    const struct snapshot_head *head = snapshot_head_of(reader);
    if (head->configuration_size)
        error = roster_decode(head->configuration, head->configuration_size, roster);
    snapshot_close(reader);
    return error;
}

/* The newest configuration in a log, as far as it can be read; NULL when there is none. */
static struct roster *joiner_log_roster(struct log *log) {
    struct buf *buf;
    struct frame frame;
    struct frame_entry entry;
    struct roster *roster = NULL;
    size_t offset = 0;
    if (log_find_newest(log, LASH_ENTRY_CONFIGURATION, &buf))
        return NULL;
    bool more = frame_header(buf->data, &frame) == LASH_OK && frame_next(buf->data, &frame, &offset, &entry);
    while (more && frame_next(buf->data, &frame, &offset, &entry))
        continue;
    if (more && roster_decode(entry.data, entry.size, &roster))
        roster = NULL;
    buf_unref(buf);
    return roster;
}

struct roster *joiner_newest_roster(struct log *log, struct snapshots *snapshots) {
    struct roster *newest = joiner_log_roster(log);
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    size_t count = snapshots ? snapshots_list(snapshots, infos) : 0;
    for (size_t i = 0; i < count; i++) {
        struct roster *roster = NULL;
        if (joiner_roster(snapshots, infos[i].index, &roster) || !roster)
            continue;
        bool newer = !newest || roster->index > newest->index;
        roster_unref(newer ? newest : roster);
        newest = newer ? roster : newest;
    }
    return newest;
}

static int joiner_install(struct snapshots *snapshots, const struct snapshot_info *info, struct log *log,
                          struct log_recovered *recovered) {
    int error = snapshots_check(snapshots, info->index);
    if (error)
        return error;
    log_info("the log goes on from a snapshot", F_U64("index", info->index), F_U64("term", info->term),
             F_U64("last_index", recovered->last_index));
    error = log_install(log, info->index, info->term, recovered);
    if (error == LASH_INVALID) {
        log_error("the log and the newest snapshot contradict one another", F_U64("index", info->index),
                  F_U64("term", info->term), F_U64("first_index", recovered->first_index),
                  F_STR("do", "one of the two is another's: restore the data directory, or begin this member anew"));
        return LASH_MISMATCH;
    }
    return error;
}

int joiner_join(struct snapshots *snapshots, struct log *log, struct log_recovered *recovered, bool *gap,
                struct roster **roster) {
    struct snapshot_info infos[SNAPSHOTS_KEPT];
    *roster = NULL;
    for (;;) {
        size_t count = snapshots_list(snapshots, infos);
        *gap = recovered->first_index > 1 + (count ? infos[0].index : 0);
        if (*gap)
            log_error("the log begins behind the newest snapshot: a peer is to be asked for one",
                      F_U64("first_index", recovered->first_index), F_U64("snapshot", count ? infos[0].index : 0));
        if (count == 0 || *gap)
            return 0;
        int error = 0;
        if (!joiner_held(recovered, &infos[0]))
            error = joiner_install(snapshots, &infos[0], log, recovered);
        if (!error)
            return joiner_roster(snapshots, infos[0].index, roster);
        if (error != LASH_CORRUPT)
            return error;
    }
}
