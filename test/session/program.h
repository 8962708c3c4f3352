/* SPDX-License-Identifier: Apache-2.0
 *
 * A program behind sessions, for tests: a sum, whose replies say what it was after the
 * command and how many commands came before it; and commands of sessions, made by hand.
 */
#ifndef LASH_TEST_SESSION_PROGRAM_H
#define LASH_TEST_SESSION_PROGRAM_H

#include <stdbool.h>

#include "session/machine.h"

enum { PROGRAM_ROWS_MAX = 64 };

struct program_state {
    int64_t sum;
    uint64_t count; /* commands that it was asked to apply */
    lash_index applied;
};

struct program {
    lash_sessions *sessions;
    struct program_state state;
    /* What lies on its disk, if it has one. */
    bool on_disk;
    struct program_state saved;
    struct lash_session_row rows[PROGRAM_ROWS_MAX];
    size_t row_count;
    /* What happens to its next calls. */
    uint64_t fail_at; /* the apply after so many; 0: none */
    int fail_with;
    int commit_error;  /* of the next commit */
    size_t reply_size; /* so many bytes more in each reply */
    int reply_error;   /* of the latest lash_reply_write */
};

/* With an empty table; its state machine is program_machine(program). */
void program_open(struct program *program, bool on_disk);

/* The process ends, and another one takes what is on disk; all is gone without one. */
void program_restart(struct program *program);
void program_close(struct program *program);

/* The limits that the tests begin with. */
extern const struct session_limits program_limits;

/* Apply one command as a batch of its own, at the next index; what its proposer learns is in *result, whose reply, if any, is the
 * caller's. Returns what the state machine does. */
int program_give(struct program *program, const struct session_command *command, struct session_result *result);

/* Shorter: these must succeed in being applied to the table; the result's error, and of the program's the sum in *sum. */
uint64_t program_register(struct program *program, uint64_t stamp_ms);
int program_add(struct program *program, uint64_t session, uint64_t sequence, uint64_t lowest, uint64_t stamp_ms,
                int64_t number, int64_t *sum);
int program_keep_alive(struct program *program, uint64_t session, uint64_t lowest, uint64_t stamp_ms);

struct lash_sessions_counts program_counts(const struct program *program);

/* A hash of the table's rows. */
uint64_t program_table(const struct program *program);

#endif
