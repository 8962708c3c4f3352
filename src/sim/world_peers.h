/* SPDX-License-Identifier: Apache-2.0
 *
 * Who knows whom, and where, in a world whose membership changes: what production's
 * transport keeps. A node dials whom its replica names, and takes connections of
 * those only, with the disk that they are members with; while it waits to be added,
 * strangers are welcome.
 */
#ifndef LASH_SIM_WORLD_PEERS_H
#define LASH_SIM_WORLD_PEERS_H

#include "node/wire.h"
#include "sim/world.h"

/* Let the node's replica say whom it knows. */
void world_peers_begin(struct world_node *node);

/* Its process has ended, and with it what it knew. */
void world_peers_end(struct world_node *node);

/* Its log is damaged: it knows those who are named in what it was started with, and in its log. */
void world_peers_repair(struct world_node *node);

/* What comes of dialling. */
enum world_dial {
    WORLD_DIAL_TAKEN,
    WORLD_DIAL_NOBODY, /* it is not there */
    WORLD_DIAL_OTHERS, /* whom nobody wants to be dialled any more */
    WORLD_DIAL_AGAIN,  /* it was refused */
};

/* A node dials another one, which runs. */
enum world_dial world_peers_dial(struct world *world, size_t from, size_t to);

/* Whether a node knows where another one is. */
bool world_peers_finds(const struct world *world, size_t from, size_t to);

/* Nothing is sent to who would not understand it. */
void world_peers_judge(const struct world_node *node, lash_id peer, const struct wire_head *head);

/* What a node announces that a peer announces as well. */
uint64_t world_peers_features(const struct world *world, size_t from, size_t to);

#endif
