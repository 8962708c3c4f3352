/* SPDX-License-Identifier: Apache-2.0
 *
 * The work that bench/guard.py counts the instructions of: guard WORKLOAD TIMES.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "lash/log.h"
#include "rig.h"
#include "storage/frame.h"
#include "storage/log.h"
#include "workloads.h"

enum { FRAME_ENTRIES = 64, APPEND_ENTRIES = 16, BATCH_ENTRIES = 64 };

static const uint8_t value[WORKLOAD_VALUE];

static struct buf *frame_of(lash_index first, uint32_t count) {
    struct frame_input inputs[FRAME_ENTRIES];
    struct buf *frame;
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = (struct frame_input){.origin = 1, .sequence = first + i, .data = value, .size = sizeof value};
    int error = frame_encode(0, first, 1, LASH_ENTRY_COMMAND, inputs, count, &frame);
    LASH_ASSERT(!error);
    return frame;
}

/* A follower's frame of 64 entries: checked, and walked. */
static void workload_decode(size_t times) {
    struct buf *buf = frame_of(1, FRAME_ENTRIES);
    for (size_t i = 0; i < times; i++) {
        struct frame frame;
        struct frame_entry entry;
        size_t used, offset = 0, entries = 0;
        int error = frame_check(buf->data, buf->size, &frame, &used);
        LASH_ASSERT(!error && used == buf->size);
        while (frame_next(buf->data, &frame, &offset, &entry))
            entries++;
        LASH_ASSERT(entries == FRAME_ENTRIES);
    }
    buf_unref(buf);
}

/* Frames of 16 entries: encoded, appended to a log, and synced. */
static void workload_append(size_t times) {
    char dir[64];
    rig_directory(dir);
    struct log_options options = {.vfs = vfs_posix(), .dir = dir, .cluster_id = 1, .node_id = 1, .salt = 1};
    struct log_recovered recovered;
    struct log *log;
    int error = log_open(&options, &log, &recovered);
    LASH_ASSERT(!error);
    log_recovered_free(&recovered);
    struct log_item vote = {.save_vote = true, .term = 1, .vote = 1};
    error = log_append(log, &vote, 1);
    for (size_t i = 0; i < times; i++) {
        struct log_item item = {.frame = frame_of(i * APPEND_ENTRIES + 1, APPEND_ENTRIES),
                                .first = i * APPEND_ENTRIES + 1};
        LASH_ASSERT(!error);
        error = log_append(log, &item, 1);
        buf_unref(item.frame);
        if (!error)
            error = log_sync(log);
    }
    LASH_ASSERT(!error);
    log_close(log);
    rig_remove(dir);
}

static void commit_batches(size_t times, size_t entries) {
    static struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < times; i++)
        rig_commit(&rig, entries, value, sizeof value);
    rig_close(&rig);
}

static void workload_single(size_t times) {
    commit_batches(times, 1);
}

static void workload_batch(size_t times) {
    commit_batches(times, BATCH_ENTRIES);
}

static const struct {
    const char *name;
    void (*run)(size_t times);
} workloads[] = {
    {"append", workload_append}, {"batch", workload_batch}, {"core", workload_core},     {"decode", workload_decode},
    {"get", workload_get},       {"put", workload_put},     {"single", workload_single},
};

int main(int argc, char **argv) {
    lash_set_log(NULL, NULL, LASH_LOG_ERROR);
    char *end = NULL;
    unsigned long times = argc == 3 ? strtoul(argv[2], &end, 10) : 0;
    for (size_t i = 0; times > 0 && *end == '\0' && i < sizeof workloads / sizeof workloads[0]; i++) {
        if (strcmp(workloads[i].name, argv[1]) == 0) {
            workloads[i].run(times);
            return 0;
        }
    }
    (void)fprintf(stderr, "usage: guard WORKLOAD TIMES\n");
    return 2;
}
