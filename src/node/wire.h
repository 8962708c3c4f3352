/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a packet between nodes. The transport's handshake says who speaks
 * to whom, so a head names neither; entries travel as frames in the tail.
 *
 * All little-endian: u64 group, u16 version (1), u16 kind, then the kind's fields:
 *   MESSAGE        u16 type, u16 flags, u64 term, and
 *       VOTE          u64 last index, u64 last term     (flags: 1 pre, 2 transfer)
 *       VOTE_REPLY    nothing                           (flags: 1 pre, 2 granted)
 *       APPEND        u64 prev index, u64 prev term, u64 commit, u64 round; the tail holds frames   (flags: 1 promise)
 *       APPEND_REPLY  u64 match, u64 rejected, u64 hint index, u64 hint term, u64 round   (flags: 1 success, 2 full,
 *                     4 promise: then u32 milliseconds follow, 8 slow)
 *       READ          u64 context                       (flags: 1 lease)
 *       READ_REPLY    u64 context, u64 index
 *       TIMEOUT_NOW   u64 last index
 *       SNAPSHOT      u64 last index, u64 last term
 *   FORWARD        u64 term, u64 batch; the tail holds one frame whose index and term are to be ignored; one of kind
 *                  CONFIGURATION holds a change (change.h), and goes only to who announces MEMBERS; one of kind PART
 *                  holds a part of a command (parts.h), of which all go as one batch, and only to who announces PARTS
 *   FORWARD_REPLY  u64 batch, u32 error (negated)
 *   SNAPSHOT_CHUNK u64 index, u64 term, u64 bytes, u64 offset, u32 checksum of the tail, which holds the bytes
 *   SNAPSHOT_ACK   u64 index, u64 term, u64 offset, u32 answer
 *   REPAIR_ASK     u64 index, u64 size of the frame (0: not known), u32 its checksum
 *   REPAIR_REPLY   likewise; the tail holds the frame, or nothing: it is not there
 *
 * Flags of APPEND and READ, and 4 of APPEND_REPLY, go only to who announces WIRE_LEASES, 8 only to who announces WIRE_SLOW. The last two kinds go only to who announces WIRE_REPAIR; the two before, and SNAPSHOT, go only to who announces WIRE_SNAPSHOTS: others would close the connection.
 */
#ifndef LASH_NODE_WIRE_H
#define LASH_NODE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lash/raft.h"

enum { WIRE_VERSION = 1, WIRE_HEAD_MAX = 72 };

enum wire_kind {
    WIRE_MESSAGE = 1,        /* between cores */
    WIRE_FORWARD = 2,        /* proposals, from the node that took them to the leader */
    WIRE_FORWARD_REPLY = 3,  /* they were refused: certainly not appended */
    WIRE_SNAPSHOT_CHUNK = 4, /* a piece of a snapshot's file */
    WIRE_SNAPSHOT_ACK = 5,   /* how much of it is there, and what is wanted */
    WIRE_REPAIR_ASK = 6,     /* a frame is wanted, to be put where it is damaged */
    WIRE_REPAIR_REPLY = 7,
};

/* What a node announces to its peers when they connect: nothing goes to who would not understand it. */
#define WIRE_SNAPSHOTS ((uint64_t)1 << 0) /* it can be sent snapshots */
#define WIRE_REPAIR ((uint64_t)1 << 1)    /* it can be asked for frames */
#define WIRE_MEMBERS ((uint64_t)1 << 2)   /* it knows entries of kind CONFIGURATION */
#define WIRE_LEASES ((uint64_t)1 << 3)    /* it knows promises and reads by lease */
#define WIRE_PARTS ((uint64_t)1 << 4)     /* it knows entries of kind PART, and takes them forwarded */
#define WIRE_SLOW ((uint64_t)1 << 5)      /* it knows that a disk can be slow */
#define WIRE_WITNESS ((uint64_t)1 << 6)   /* it knows witnesses, in configurations and as peers */
#define WIRE_PROGRAM_SHIFT 32             /* from here on 16 bits are the program's */

/* The most bytes in one chunk. */
#define WIRE_CHUNK_MAX ((size_t)1 << 20)

/* The answers of a SNAPSHOT_ACK. */
enum wire_snapshot_answer {
    WIRE_SNAPSHOT_GO_ON = 0,   /* everything before `offset` is there: what follows is wanted */
    WIRE_SNAPSHOT_DONE = 1,    /* it is installed */
    WIRE_SNAPSHOT_REFUSED = 2, /* not now */
    WIRE_SNAPSHOT_DAMAGED = 3, /* what came is not a whole snapshot: the sender had better look at its file */
    WIRE_SNAPSHOT_ASK = 4,     /* to whom has sent none: any snapshot at `index` or behind is wanted */
    WIRE_SNAPSHOT_ANSWERS = 5,
};

struct wire_head {
    uint64_t group;
    uint16_t kind;
    union {
        struct lash_message message; /* from, to, runs, first, last, bytes_max do not travel */
        struct {
            lash_term term; /* of the leader that they are meant for; no other term's leader may take them */
            uint64_t batch; /* the sender's number for them */
        } forward;
        struct {
            uint64_t batch;
            int error;
        } forward_reply;
        struct {
            lash_index index; /* the snapshot's */
            lash_term term;
            uint64_t bytes;  /* of its file */
            uint64_t offset; /* of the tail in it */
            uint32_t crc;    /* of the tail */
        } chunk;
        struct {
            lash_index index;
            lash_term term;
            uint64_t offset;
            uint32_t answer; /* enum wire_snapshot_answer */
        } ack;
        struct {
            lash_index index; /* of an entry in the frame */
            uint64_t size;    /* of the frame; 0: it and its checksum are not known */
            uint32_t crc;
        } repair;
    };
};

/* Take out of a message what only those know who announce WIRE_LEASES. */
void wire_without_leases(struct lash_message *message);

/* Likewise WIRE_SLOW. */
void wire_without_slow(struct lash_message *message);

/* Encode `head`; returns the size. */
size_t wire_encode(const struct wire_head *head, uint8_t data[WIRE_HEAD_MAX]);

/* Decode what a peer sent; trusts nothing. What does not travel is zero. Errors: LASH_CORRUPT, LASH_VERSION. */
int wire_decode(const uint8_t *data, size_t size, struct wire_head *head);

#endif
