/* SPDX-License-Identifier: Apache-2.0
 *
 * Real nodes for tests: temporary directories, free ports on the loopback, a state
 * machine that remembers what it applied, and requests that can be waited for.
 */
#ifndef LASH_TEST_NODE_FIXTURE_H
#define LASH_TEST_NODE_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lash/node.h"

enum { FIXTURE_NODES_MAX = 5, FIXTURE_ERRORS = 32 };

/* A state machine: a hash chain over all commands, and their number. */
struct fixture_machine {
    pthread_mutex_t mutex;
    uint64_t count;
    uint64_t hash;
    lash_index last;
    int fail_with; /* what apply returns from now on */
    bool blocked;  /* apply waits while this is set */
    pthread_cond_t unblocked;
    int snapshot_error; /* what writing a snapshot, */
    int restore_error;  /* or restoring from one, returns from now on */
    size_t padding;     /* bytes of a snapshot that mean nothing */
    uint64_t restored;  /* from snapshots so far */
    bool held;          /* writing a snapshot waits while this is set */
    uint64_t views;     /* begun and not ended */
};

struct fixture_node {
    lash_node *node; /* NULL: closed */
    struct fixture_machine machine;
};

struct fixture {
    bool snapshots; /* the state machines take them */
    char dir[64];
    size_t count;
    struct lash_peer peers[FIXTURE_NODES_MAX];
    int holders[FIXTURE_NODES_MAX]; /* sockets that hold their ports */
    struct fixture_node nodes[FIXTURE_NODES_MAX];
    struct lash_node_options options; /* for all nodes; id, dir, port and peers are filled in */
};

/* Prepare `count` nodes; none is open. */
void fixture_set_up(struct fixture *fixture, size_t count);

/* Close what is open and delete the directories. */
void fixture_tear_down(struct fixture *fixture);

/* Open the node at `i`, with an empty state machine. */
int fixture_try_open(struct fixture *fixture, size_t i);
void fixture_open(struct fixture *fixture, size_t i);
void fixture_open_all(struct fixture *fixture);
void fixture_close(struct fixture *fixture, size_t i);

/* Empty the data directory of the node at `i`, which is closed. */
void fixture_wipe(const struct fixture *fixture, size_t i);

/* Let no slow machine or sanitizer bring elections about in the test; call before opening. */
void fixture_calm(struct fixture *fixture);

/* Options as fixture_try_open uses them; `dir` is room for a path. */
struct lash_node_options fixture_options(const struct fixture *fixture, size_t i, char dir[96]);

/* The state machine of a node. */
struct lash_state_machine fixture_machine_of(const struct fixture *fixture, struct fixture_node *node);

/* Wait until an open node leads and the others that are open know it; returns its position. */
size_t fixture_leader(struct fixture *fixture);

/* Wait until all open nodes have applied the same commands, `count` of them. */
void fixture_agree(struct fixture *fixture, uint64_t count);

uint64_t fixture_applied(struct fixture_node *node);
void fixture_block(struct fixture_node *node, bool blocked);

/* Let writing a snapshot wait, or go on. */
void fixture_hold_snapshots(struct fixture_node *node, bool held);

/* Take a snapshot; returns its error. */
int fixture_snapshot(lash_node *node, lash_index *index);

/* A set of requests under way. */
struct fixture_wait {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint64_t outstanding;
    uint64_t succeeded;
    uint64_t failed[FIXTURE_ERRORS]; /* by negated error */
    lash_index index;                /* of the last that succeeded */
};
void fixture_wait_init(struct fixture_wait *wait);
/* Count one request more; then pass fixture_done and the wait to it. */
void fixture_wait_add(struct fixture_wait *wait);
void fixture_done(void *argument, int error, lash_index index);
/* Wait until at most `left` are outstanding. */
void fixture_wait_for(struct fixture_wait *wait, uint64_t left);
/* Wait for all: each has succeeded, or was certainly not carried out, as elections may come at any time on a slow machine.
 * Returns how many succeeded. */
uint64_t fixture_wait_all(struct fixture_wait *wait);

/* One request, waited for; returns its error. */
int fixture_propose(lash_node *node, const void *data, size_t size);
int fixture_read(lash_node *node, lash_index *index);
int fixture_barrier(lash_node *node);

/* Wait until the identities of all members' disks are written down: the one change of the membership that a leader begins by
 * itself. */
void fixture_settle(lash_node *node);

/* Propose until it succeeds; an attempt may fail only if it was certainly not carried out. */
void fixture_propose_surely(lash_node *node, const void *data, size_t size);

/* Propose `count` small commands surely, one after another. */
void fixture_propose_many(lash_node *node, uint64_t count);

#endif
