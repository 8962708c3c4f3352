/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of each command that sessions put into the log. Little-endian, one
 * encoding for each meaning:
 *
 *   u8 version (1), u8 kind, u16 zero, u64 session, u64 sequence, u64 lowest, u64 stamp_ms
 *
 * and behind it the program's bytes (COMMAND), the limits (REGISTER) or nothing.
 */
#ifndef LASH_SESSION_COMMAND_H
#define LASH_SESSION_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    COMMAND_VERSION = 1,
    COMMAND_HEAD_SIZE = 36,
    COMMAND_LIMITS_SIZE = 20, /* behind the head of a REGISTER: u64 timeout, u32 each of the others */
};

enum command_kind {
    COMMAND_REGISTER = 1,   /* its entry's index is the new session's id */
    COMMAND_APPLY = 2,      /* for the program */
    COMMAND_KEEP_ALIVE = 3, /* a word of a client that has nothing else to say */
    COMMAND_CLOSE = 4,      /* the session is over */
};

/* Bounds of the table. They are in the log, since replicas with different ones would come to differ. */
struct session_limits {
    uint64_t timeout_ms;
    uint32_t sessions_max;
    uint32_t outstanding_max;
    uint32_t reply_bytes_max;
};

/* The most that limits may be. */
extern const struct session_limits session_limits_most;

struct session_command {
    enum command_kind kind;
    uint64_t session;  /* 0 of REGISTER */
    uint64_t sequence; /* of APPLY, from 1 on; else 0 */
    uint64_t lowest;   /* of the session's commands that the client still waits for; 0 of REGISTER and CLOSE */
    uint64_t stamp_ms; /* by the client's reckoning the log's time is at least this; 0: it cannot tell */
    struct session_limits limits; /* of REGISTER */
    const uint8_t *data;          /* of APPLY, within the decoded bytes */
    size_t size;
};

/* The bytes before `data`. `to` has room for COMMAND_HEAD_SIZE and, of REGISTER, COMMAND_LIMITS_SIZE. Returns how many. */
size_t command_encode(const struct session_command *command, uint8_t *to);

/* Errors: LASH_VERSION (a newer version wrote it), LASH_CORRUPT. */
int command_decode(const void *data, size_t size, struct session_command *command);

/* Whether each is at least 1, and no more than it may be. */
bool limits_valid(const struct session_limits *limits);

/* Limits as bytes, for rows as well. Decoding returns false when they are not valid. */
void limits_encode(const struct session_limits *limits, struct writer *writer);
bool limits_decode(struct reader *reader, struct session_limits *limits);

#endif
