/* SPDX-License-Identifier: Apache-2.0
 *
 * Histories of clients' operations, as the load generator records them
 * (docs/history-format.md), read into memory key by key.
 */
#ifndef LASH_LINEAR_HISTORY_H
#define LASH_LINEAR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "linear/foreign.h"
#include "linear/texts.h"

enum history_kind { HISTORY_PUT, HISTORY_GET, HISTORY_CAS };

enum history_outcome {
    HISTORY_OK,     /* completed */
    HISTORY_FAIL,   /* certainly not carried out */
    HISTORY_UNKNOWN /* may have been carried out, or may be so at any time after its start */
};

/* Values are numbered per history; 0 is the key's absence. */
#define HISTORY_ABSENT 0u

struct history_op {
    uint32_t client;
    enum history_kind kind;
    enum history_outcome outcome;
    bool swapped;      /* of a cas that completed: it was carried out */
    uint32_t key;      /* index into the history's keys */
    uint32_t value;    /* put, cas: written; get, and a cas not carried out: seen */
    uint32_t expected; /* cas */
    uint32_t line;     /* in the file, from 1 */
    int64_t revision;  /* that a completed write made or a read saw; 0 when not recorded */
    uint64_t start;    /* nanoseconds; start <= end */
    uint64_t end;      /* of an operation that is not HISTORY_OK: when the client gave up */
};

struct history {
    struct history_op *ops; /* sorted by key, then start, then line */
    size_t count;
    size_t left_out;        /* lines of operations that only the store's model knows: delete, range and txn */
    struct foreign foreign; /* what they may have written: no key of a get or cas */
    struct texts keys;
    struct texts values; /* the first stands for absence */
};

/* Read a history. On failure returns false, and `problem` says what is wrong and in which line; the history is empty
 * then. On success it is released by history_free. */
bool history_read(FILE *file, struct history *history, char *problem, size_t room);
void history_free(struct history *history);

/* The operations of the key that begin at `first`: how many. */
size_t history_key_end(const struct history *history, size_t first);

/* Print an operation in one line. */
void history_print(const struct history *history, const struct history_op *op, uint64_t zero, FILE *out);

#endif
