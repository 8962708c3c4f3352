/* SPDX-License-Identifier: Apache-2.0
 *
 * Three whole replicas on one thread, with real files and nothing else: no sockets,
 * no clock, no threads, and no memory of the rig's own once it stands. What they do
 * is the same to the instruction in each run, so that it can be counted.
 */
#ifndef LASH_TEST_GUARD_RIG_H
#define LASH_TEST_GUARD_RIG_H

#include <stdbool.h>

#include "node/replica.h"

enum { RIG_NODES = 3, RIG_PACKETS = 256, RIG_TAILS = 64, RIG_HEAD_MAX = 128 };

struct rig;

struct rig_packet {
    lash_id from;
    lash_id to;
    size_t head_size;
    size_t tail_count;
    struct buf *tails[RIG_TAILS];
    uint8_t head[RIG_HEAD_MAX];
};

struct rig_node {
    struct rig *rig;
    lash_id id;
    struct log *log;
    struct replica *replica;
    struct replica_env env;
    struct request_gauge gauge;
    struct list jobs[REPLICA_EXECUTORS];
    uint64_t deadline_ms;
    uint64_t applied; /* commands */
};

struct rig {
    char dir[64];
    struct rig_node nodes[RIG_NODES];
    struct roster *first;
    uint64_t now_ms;
    struct rig_packet packets[RIG_PACKETS]; /* a ring of those under way */
    size_t oldest;
    size_t count;
    struct buf *joined; /* several tails of one packet, as the receiver gets them */
    uint64_t ended;     /* proposals that ended well */
};

/* Set up three replicas of which the first leads and has committed. Fails by assertion. */
void rig_open(struct rig *rig);

/* Propose `count` commands of `size` bytes at the leader in one go, and run until all is quiet. */
void rig_commit(struct rig *rig, size_t count, const void *data, size_t size);

void rig_close(struct rig *rig);

/* Make a directory for files, and remove one with the files in it and in its directories. */
void rig_directory(char dir[64]);
void rig_remove(const char *dir);

#endif
