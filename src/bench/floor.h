/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor under any replicated log: what of its work is left without a protocol.
 * The leader copies its clients' values into a stream of batches, whose bytes go to
 * its file and to each follower; a follower writes what has come, syncs, and
 * answers how far that reaches. What a majority has on disk is committed.
 *
 * Batches have the size that Lash's would have: the headers of a record, a frame and
 * each entry in it; and a write begins at a new sector. The files were written once
 * before, so that a sync has nothing but data to bring to the disk.
 */
#ifndef LASH_BENCH_FLOOR_H
#define LASH_BENCH_FLOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bench/bench.h"
#include "bench/scratch.h"

enum {
    FLOOR_BATCH_HEAD = 128, /* as a log record's header and a frame's */
    FLOOR_ENTRY_HEAD = 24,
    FLOOR_SECTOR = 512,
    FLOOR_FILE_BYTES = 64 << 20, /* written over and over */
    FLOOR_BATCH_MAX = 16 << 20,  /* bytes; what all clients have outstanding is no more */
};

/* ---- floor_disk.c: the file of a member ---------------------------------------------------------- */

struct floor_disk {
    int file;
    uint64_t at; /* where the next write goes */
};

bool floor_disk_open(struct floor_disk *disk, const struct scratch *scratch, size_t number);

/* Write up to two parts, together no longer than the file, and sync. A failure ends the process. */
void floor_disk_write(struct floor_disk *disk, struct iovec *parts, int count);
void floor_disk_close(struct floor_disk *disk);

/* ---- floor_follower.c ---------------------------------------------------------------------------- */

/* Serve the leader's stream on the listening socket, which is closed, until the leader closes it. */
bool floor_follow(int listener, struct floor_disk *disk);

/* ---- floor_leader.c ------------------------------------------------------------------------------ */

struct floor_leader;

/* Connect to `followers` ports on loopback, and start the leader's threads. `load` stays the caller's. NULL after saying why
 * on stderr. */
struct floor_leader *floor_leader_open(const struct bench_options *options, const uint16_t *ports, size_t followers,
                                       struct floor_disk *disk, struct load *load);

/* Begin the clients' operations. */
void floor_leader_start(struct floor_leader *leader);

/* End the threads and close the connections; no operation is outstanding. */
void floor_leader_close(struct floor_leader *leader);

#endif
