/* SPDX-License-Identifier: Apache-2.0
 *
 * Memberships as the model has them: those that may be asked for are numbered, and
 * an entry with a configuration names two of them, the outgoing and the new one, which
 * are the same unless it is joint.
 */
#ifndef LASH_CHECK_ROSTER_H
#define LASH_CHECK_ROSTER_H

#include "check/model.h"

/* An entry that holds a configuration. */
#define ROSTER_ENTRY(term, from, to, index)                                                                            \
    ((model_entry)(MODEL_ENTRY(term, LASH_ENTRY_CONFIGURATION, to, index) | (from) << 12))
#define ROSTER_FROM(entry) ((unsigned)(entry) >> 12 & 7)
#define ROSTER_TO(entry) MODEL_ENTRY_MAKER(entry)

/* What a node that is no member and knows of none goes by. */
#define ROSTER_NONE 255
/* What a node goes by, in one byte. */
#define ROSTER_BYTE(from, to) ((uint8_t)((from) << 4 | (to)))
#define ROSTER_BYTE_FROM(byte) ((unsigned)(byte) >> 4)
#define ROSTER_BYTE_TO(byte) ((unsigned)(byte)&15)

/* The configuration at `index` that leads from one membership to another, its members in the order that the core gives
 * them. */
void roster_configuration(const struct model_bounds *bounds, unsigned from, unsigned to, lash_index index,
                          struct lash_configuration *configuration);

/* Which one that is, as a byte. False when it is none of those that there can be. */
bool roster_find(const struct model_bounds *bounds, const struct lash_configuration *configuration, uint8_t *byte);

/* What the first `count` entries of a node's log have it go by, as a byte, and the index of that entry; 0: none has. */
uint8_t roster_newest(const struct model_bounds *bounds, uint8_t id, const model_entry *log, uint32_t count,
                      uint8_t *index);

/* Whether those in the set `agree`, bits by id, are majorities of all voters that have to agree. */
bool roster_quorum(const struct model_bounds *bounds, uint8_t byte, unsigned agree);

/* C3: whether the one may follow the other. */
bool roster_follows(const struct model_bounds *bounds, uint8_t before, uint8_t next);

/* The flags of a member that is to have `flags`, and may be a witness. */
uint32_t roster_flags(const struct model_bounds *bounds, unsigned id, uint32_t flags);

#endif
