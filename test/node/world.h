/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole cluster of replicas on one thread: clock, network, disks and executors
 * are simulated, and everything happens in an order drawn from a seed. What
 * replicas apply and acknowledge is checked as it happens.
 */
#ifndef LASH_TEST_NODE_WORLD_H
#define LASH_TEST_NODE_WORLD_H

#include <stdbool.h>

#include "node/replica.h"
#include "sim/memfs.h"

enum { WORLD_NODES_MAX = 5, WORLD_COMMANDS_MAX = 20000, WORLD_INDEX_MAX = 60000 };

struct world;

/* What became of a command. */
enum world_fate { WORLD_OPEN = 0, WORLD_DONE, WORLD_DROPPED, WORLD_UNSURE };

struct world_packet {
    struct list link;
    lash_id from;
    size_t head_size;
    size_t tail_size;
    uint8_t data[]; /* head, then tail */
};

struct world_node {
    struct world *world;
    lash_id id;
    struct memfs *disk;
    struct log *log;
    struct replica *replica; /* NULL: not running */
    struct replica_env env;
    struct request_gauge gauge;
    struct list calls; /* requests that have not ended */
    uint64_t deadline_ms;
    bool connected[WORLD_NODES_MAX];       /* this node's way to the others */
    struct list incoming[WORLD_NODES_MAX]; /* packets by sender, in order */
    struct list queued[REPLICA_EXECUTORS]; /* jobs by executor */
    struct list worked[REPLICA_EXECUTORS];
    uint64_t jobs[REPLICA_EXECUTORS]; /* submitted so far */
    lash_index applied;               /* by the state machine, which survives a killed process */
    uint64_t apply_count;             /* commands applied since the start */
    int apply_error;                  /* what apply returns from now on */
    int room_error;                   /* what room returns from now on */
    bool halted;                      /* the replica asked for the process to stop */
    uint64_t packets_sent;
    int send_error; /* what every send meets with, if not 0 */
};

struct world {
    uint64_t random;
    uint64_t now_ms;
    uint64_t pace; /* of so many steps in which nothing happens, one lets time go on: smaller is a slower machine */
    size_t count;
    struct world_node nodes[WORLD_NODES_MAX];
    uint32_t chosen[WORLD_INDEX_MAX];      /* the command applied at an index; 0: none yet */
    uint8_t fates[WORLD_COMMANDS_MAX];     /* enum world_fate */
    uint32_t commands;                     /* proposed so far; they are numbered from 1 */
    uint32_t outstanding;                  /* requests not ended */
    lash_index acknowledged;               /* the highest index acknowledged so far */
    uint32_t done, dropped, unsure, reads; /* ends so far */
    uint32_t abandoned;                    /* requests whose node died */
    uint32_t transfers;                    /* ends of transfers so far */
    int transfer_error;                    /* of the last one */
};

/* `count` nodes, running and connected. */
void world_set_up(struct world *world, size_t count, uint64_t seed);
void world_tear_down(struct world *world);

uint64_t world_random(struct world *world, uint64_t below);

/* ---- Requests ------------------------------------------------------------------------------------ */

/* Propose the next command at a node; its number. */
uint32_t world_propose(struct world *world, size_t position);
void world_read(struct world *world, size_t position);

/* Ask a node to hand leadership to another one; to the best, when that is world->count. */
void world_transfer(struct world *world, size_t position, size_t target);

/* ---- What happens -------------------------------------------------------------------------------- */

void world_turn(struct world *world, size_t position);

/* Run the oldest job of an executor, or tell the replica that one is done; false when there is none. */
bool world_work(struct world *world, size_t position, enum replica_executor executor);
bool world_finish(struct world *world, size_t position, enum replica_executor executor);

/* One event by chance: a packet, a job, time. */
void world_step(struct world *world);

/* Steps until a node leads and everyone running knows it; returns its position. */
size_t world_leader(struct world *world);

/* Steps until no request is outstanding. */
void world_quiet(struct world *world);

/* ---- Faults -------------------------------------------------------------------------------------- */

void world_connect(struct world *world, size_t a, size_t b);
void world_disconnect(struct world *world, size_t a, size_t b);

/* The process dies: the disk keeps what was written. The state machine survives. */
void world_kill(struct world *world, size_t position);

/* The machine loses power: the disk keeps what was synced and some of the rest. The state machine is lost. */
void world_power_off(struct world *world, size_t position);

void world_start(struct world *world, size_t position);

/* Start and connect everything; then every node must come to have applied the same. */
void world_heal(struct world *world);

#endif
