/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's options, checked and with their defaults filled in, and what follows
 * from them: the first configuration and the identity that the log keeps.
 */
#ifndef LASH_NODE_SETTINGS_H
#define LASH_NODE_SETTINGS_H

#include "lash/node.h"
#include "storage/vfs.h"

enum { SETTINGS_IDENTITY_MAX = 8 + LASH_RAFT_MEMBERS_MAX * 16 };

/* Fill `settings` with `options` and the defaults. The pointers in it stay the caller's, until settings_keep. Errors: LASH_INVALID, with a log
 * line that says what is wrong. */
int settings_check(const struct lash_node_options *options, struct lash_node_options *settings);

/* Whether the state machine's functions go together: of those of snapshots it has all, or none. */
bool settings_machine(const struct lash_state_machine *machine);

/* Let `settings` point to copies of its own. Errors: LASH_NOMEM (settings_release is to be called all the same). */
int settings_keep(struct lash_node_options *settings);
void settings_release(struct lash_node_options *settings);

/* The first configuration: all peers vote. Members are in the order of their ids. */
void settings_configuration(const struct lash_node_options *settings, struct lash_configuration *configuration);

/* The configuration as bytes for the log's first record; addresses may change and are left out. Returns the size. */
size_t settings_identity(const struct lash_configuration *configuration, uint8_t data[SETTINGS_IDENTITY_MAX]);

/* Create the directory `path` and those above it, durably. Errors: LASH_IO, LASH_NOMEM, LASH_FULL. */
int settings_make_directory(const struct vfs *vfs, const char *path);

#endif
