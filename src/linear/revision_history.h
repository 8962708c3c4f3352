/* SPDX-License-Identifier: Apache-2.0
 *
 * Histories of operations on the whole store (docs/history-format.md): puts, deletions, ranges
 * and transactions over many keys, with the revisions that their answers gave.
 */
#ifndef LASH_LINEAR_REVISION_HISTORY_H
#define LASH_LINEAR_REVISION_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "linear/history.h"
#include "linear/texts.h"

/* A number of an answer that the history does not give. */
#define REVISION_NOT_RECORDED INT64_MIN

enum revision_kind { REVISION_PUT, REVISION_DELETE, REVISION_RANGE, REVISION_TXN };

enum revision_target { REVISION_VALUE, REVISION_VERSION, REVISION_CREATE, REVISION_MOD };
enum revision_result { REVISION_EQUAL, REVISION_NOT_EQUAL, REVISION_GREATER, REVISION_LESS };

/* Keys are numbered in the order of their bytes; a range is the keys from `first` to before `end`. */
struct revision_range {
    uint32_t first;
    uint32_t end;
    bool single; /* one key rather than a range */
};

struct revision_compare {
    struct revision_range keys;
    enum revision_target target;
    enum revision_result result;
    uint32_t value; /* for VALUE */
    int64_t number; /* for the others */
};

/* A request, or one of a transaction. */
struct revision_request {
    enum revision_kind kind;
    struct revision_range keys; /* all but txn */
    uint32_t value;             /* put */
    int64_t at;                 /* range: the revision asked for; 0: now */
    int64_t limit;              /* range; 0: none */
    struct revision_compare *compares;
    size_t compare_count;
    struct revision_request *success, *failure;
    size_t success_count, failure_count;
};

/* A key as an answer showed it. */
struct revision_seen {
    uint32_t key;
    uint32_t value;
    int64_t create, mod, version; /* or REVISION_NOT_RECORDED */
};

/* The answer to a request. */
struct revision_answer {
    int64_t deleted; /* or REVISION_NOT_RECORDED */
    int64_t count;   /* likewise */
    bool recorded;   /* a range's keys */
    struct revision_seen *seen;
    size_t seen_count;
    bool succeeded; /* txn */
    struct revision_answer *answers;
    size_t answer_count;
};

struct revision_op {
    uint32_t client;
    uint32_t line;
    enum history_outcome outcome;
    uint64_t start, end; /* nanoseconds; start <= end */
    int64_t revision;    /* of the answer's header; 0: not recorded */
    struct revision_request request;
    struct revision_answer answer; /* only of HISTORY_OK */
};

struct revision_history {
    struct revision_op *ops; /* sorted by start, then line */
    size_t count;
    struct texts keys; /* in the order of their bytes */
    struct texts values;
    struct revision_block *blocks; /* everything that requests and answers point to */
    bool revisions;                /* some operation tells of a revision */
    bool past;                     /* some range asks for a revision */
};

/* Read a history. On failure returns false, and `problem` says what is wrong and in which line; the history is empty
 * then. On success it is released by revision_history_free. */
bool revision_history_read(FILE *file, struct revision_history *history, char *problem, size_t room);
void revision_history_free(struct revision_history *history);

/* Whether the answer shows that the operation changed something. */
bool revision_op_wrote(const struct revision_op *op);

/* Whether the request could change something. */
bool revision_request_writes(const struct revision_request *request);

/* Print an operation in one line. */
void revision_op_print(const struct revision_history *history, const struct revision_op *op, uint64_t zero, FILE *out);

#endif
