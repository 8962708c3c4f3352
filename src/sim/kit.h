/* SPDX-License-Identifier: Apache-2.0
 *
 * What the crash enumerator and the tests of the log have in common: making frames,
 * appending, and reading a whole log back into something that can be compared.
 */
#ifndef LASH_SIM_KIT_H
#define LASH_SIM_KIT_H

#include "storage/log.h"

enum {
    KIT_CLUSTER = 0xc1,
    KIT_NODE = 0x0d,
    KIT_GROUP = 0,
    KIT_ENTRIES_MAX = 512,
    KIT_SEGMENT = 4096,
    KIT_SALT = 0x5a17
};

/* A log's meaning: what recovery must give back, with the entries' terms and a number that stands for their data. */
struct kit_state {
    lash_term term;
    lash_id vote;
    lash_index first;
    lash_index last;
    lash_term terms[KIT_ENTRIES_MAX];
    uint64_t values[KIT_ENTRIES_MAX];
};

/* Options for a small log in `dir`. */
struct log_options kit_options(const struct vfs *vfs, const char *dir);

/* A frame of `count` entries from `first` on, each of about `size` bytes, which follow from index, term and `salt`.
 * NULL when memory ran out. */
struct buf *kit_frame(lash_index first, uint32_t count, lash_term term, uint64_t salt, size_t size);

/* Append one frame / save one vote / both. */
int kit_append(struct log *log, lash_index first, uint32_t count, lash_term term, uint64_t salt, size_t size);
int kit_vote(struct log *log, lash_term term, lash_id vote);

/* The same to a state. */
void kit_state_append(struct kit_state *state, lash_index first, uint32_t count, lash_term term, uint64_t salt);
void kit_state_trim(struct kit_state *state, lash_index index);
void kit_state_install(struct kit_state *state, lash_index index, lash_term term);

/* Read everything back: recovered gives term, vote and bounds, log_read the entries. Returns log_read's error, or
 * LASH_UNKNOWN unless the frames are valid, without gaps, as they were made, and match the runs. */
int kit_read(struct log *log, const struct log_recovered *recovered, struct kit_state *state);

bool kit_equal(const struct kit_state *a, const struct kit_state *b);

#endif
