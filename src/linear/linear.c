/* SPDX-License-Identifier: Apache-2.0
 *
 * The search for a linearization; see linear.h.
 *
 * Starts and ends of the operations form one list in the order of time. The
 * search walks it: an operation whose start it meets may be linearized next when
 * the register allows it; then its start and end leave the list, and the walk begins
 * anew. Meeting an end means that this operation should have been linearized by now:
 * the latest choice is undone and the walk goes on behind it. Operations whose outcome
 * is unknown have no end: they may come at any time after their start, or never.
 */
#include "linear/linear.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/buf.h"
#include "linear/cache.h"

#define NONE UINT32_MAX
#define STEPS_BETWEEN_CLOCKS 4096

/* A place in the list: the start or the end of an operation. Events 2i and 2i + 1 are operation i's. */
struct event {
    uint64_t time;
    uint32_t next, prev; /* NONE at the ends; the list's head is in the search */
};

struct choice {
    uint32_t op;
    uint32_t value; /* the register's before */
};

struct search {
    struct history_op *ops; /* a copy, without what cannot matter */
    size_t count;
    struct event *events;
    uint32_t *order; /* events by time, for building the list */
    uint32_t head;
    size_t ends_left; /* in the list */
    struct choice *choices;
    size_t depth;
    uint64_t *linearized; /* a bit for each operation */
    size_t words;
    struct cache cache;
    uint64_t deadline;
    uint64_t steps;
};

/* ---- The register --------------------------------------------------------------------------------- */

/* Whether `op` may happen when the register holds `value`; if so, *after is what it holds then. */
static bool register_step(const struct history_op *op, uint32_t value, uint32_t *after) {
    bool any = value == LINEAR_ANY;
    switch (op->kind) {
    case HISTORY_PUT:
        *after = op->value;
        return true;
    case HISTORY_GET:
        *after = op->value;
        return any || value == op->value;
    case HISTORY_CAS:
        *after = op->value;
        if (op->outcome == HISTORY_OK && !op->swapped)
            return op->value != op->expected && (any || value == op->value);
        return any || value == op->expected;
    }
    return false;
}

/* The value that must have been there for `op` to answer as it did; HISTORY_ABSENT when none must. */
static uint32_t value_observed(const struct history_op *op) {
    if (op->outcome != HISTORY_OK || op->kind == HISTORY_PUT)
        return HISTORY_ABSENT;
    return op->kind == HISTORY_CAS && op->swapped ? op->expected : op->value;
}

static bool op_writes(const struct history_op *op) {
    return op->kind == HISTORY_PUT || (op->kind == HISTORY_CAS && (op->outcome != HISTORY_OK || op->swapped));
}

/* ---- What need not be searched -------------------------------------------------------------------- */

/* What is known about a value. */
struct value_use {
    uint32_t writers;
    bool mentioned;      /* seen or expected by anyone */
    uint64_t seen_until; /* the earliest end of an operation that observed it; UINT64_MAX: none */
};

static struct value_use *uses_of(const struct history_op *ops, size_t count, uint32_t initial, size_t *size) {
    uint32_t largest = initial == LINEAR_ANY ? 0 : initial;
    for (size_t at = 0; at < count; at++) {
        largest = ops[at].value > largest ? ops[at].value : largest;
        largest = ops[at].expected > largest ? ops[at].expected : largest;
    }
    *size = (size_t)largest + 1;
    struct value_use *uses = mem_calloc(*size, sizeof *uses);
    for (size_t at = 0; at < *size && uses; at++)
        uses[at].seen_until = UINT64_MAX;
    for (size_t at = 0; at < count && uses; at++) {
        const struct history_op *op = &ops[at];
        if (op->outcome == HISTORY_FAIL)
            continue;
        uses[op->value].writers += op_writes(op);
        struct value_use *seen = &uses[value_observed(op)];
        seen->mentioned = true;
        if (op->outcome == HISTORY_OK && op->end < seen->seen_until)
            seen->seen_until = op->end;
        if (op->kind == HISTORY_CAS)
            uses[op->expected].mentioned = true;
    }
    return uses;
}

/* Copy the operations that matter. Those that were not carried out, reads without an answer, and writes of unknown
 * outcome whose value nobody saw or expected go: each may be left out of any linearization and put at the end of any. A
 * write of unknown outcome whose value was seen, and that nobody else can have written, has happened before who saw it
 * answered: from then on it counts as completed. False when memory ran out. */
static bool copy_relevant(struct search *search, const struct history_op *ops, size_t count, uint32_t initial) {
    size_t size = 0;
    struct value_use *uses = uses_of(ops, count, initial, &size);
    search->ops = mem_alloc((count + 1) * sizeof *search->ops);
    if (!uses || !search->ops) {
        mem_free(uses);
        return false;
    }
    for (size_t at = 0; at < count; at++) {
        struct history_op op = ops[at];
        const struct value_use *use = &uses[op.value];
        if (op.outcome == HISTORY_FAIL ||
            (op.outcome == HISTORY_UNKNOWN && (op.kind == HISTORY_GET || !use->mentioned)))
            continue;
        bool only_writer = use->writers == 1 && initial != LINEAR_ANY && initial != op.value;
        if (op.outcome == HISTORY_UNKNOWN && only_writer && use->seen_until != UINT64_MAX) {
            op.outcome = HISTORY_OK;
            op.swapped = op.kind == HISTORY_CAS;
            /* Seen before it began: an end at its start leaves the search to find that impossible. */
            op.end = use->seen_until > op.start ? use->seen_until : op.start;
        }
        search->ops[search->count++] = op;
    }
    mem_free(uses);
    return true;
}

/* ---- The list ------------------------------------------------------------------------------------- */

static const struct event *sorted_events; /* for qsort, which hands nothing on; the checker has one thread */

static int event_order(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t at = sorted_events[a].time, bt = sorted_events[b].time;
    if (at != bt)
        return at < bt ? -1 : 1;
    /* At one instant, starts come first: the operations are taken for concurrent. */
    if ((a & 1) != (b & 1))
        return (a & 1) ? 1 : -1;
    return a < b ? -1 : a > b;
}

static void list_build(struct search *search) {
    size_t used = 0;
    for (uint32_t op = 0; op < search->count; op++) {
        search->events[(size_t)2 * op].time = search->ops[op].start;
        search->order[used++] = 2 * op;
        if (search->ops[op].outcome == HISTORY_OK) {
            search->events[(size_t)2 * op + 1].time = search->ops[op].end;
            search->order[used++] = 2 * op + 1;
            search->ends_left++;
        }
    }
    sorted_events = search->events;
    qsort(search->order, used, sizeof *search->order, event_order);
    search->head = used > 0 ? search->order[0] : NONE;
    for (size_t at = 0; at < used; at++) {
        struct event *event = &search->events[search->order[at]];
        event->prev = at > 0 ? search->order[at - 1] : NONE;
        event->next = at + 1 < used ? search->order[at + 1] : NONE;
    }
}

static void event_remove(struct search *search, uint32_t at) {
    const struct event *event = &search->events[at];
    if (event->prev == NONE)
        search->head = event->next;
    else
        search->events[event->prev].next = event->next;
    if (event->next != NONE)
        search->events[event->next].prev = event->prev;
}

/* Undoes the latest event_remove that is not undone. */
static void event_restore(struct search *search, uint32_t at) {
    const struct event *event = &search->events[at];
    if (event->prev == NONE)
        search->head = at;
    else
        search->events[event->prev].next = at;
    if (event->next != NONE)
        search->events[event->next].prev = at;
}

static void op_lift(struct search *search, uint32_t op) {
    event_remove(search, 2 * op);
    if (search->ops[op].outcome == HISTORY_OK) {
        event_remove(search, 2 * op + 1);
        search->ends_left--;
    }
}

static void op_unlift(struct search *search, uint32_t op) {
    if (search->ops[op].outcome == HISTORY_OK) {
        event_restore(search, 2 * op + 1);
        search->ends_left++;
    }
    event_restore(search, 2 * op);
}

/* ---- The search ----------------------------------------------------------------------------------- */

static void bit_flip(struct search *search, uint32_t op) {
    search->linearized[op / 64] ^= (uint64_t)1 << op % 64;
}

static bool out_of_time(struct search *search) {
    if (search->deadline == 0 || ++search->steps % STEPS_BETWEEN_CLOCKS != 0)
        return false;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= search->deadline;
}

static enum linear_verdict search_run(struct search *search, uint32_t value) {
    uint32_t at = search->head;
    while (search->ends_left > 0) {
        LASH_ASSERT(at != NONE);
        uint32_t op = at / 2, after = 0;
        if (out_of_time(search))
            return LINEAR_UNDECIDED;
        if (at & 1) { /* an end */
            if (search->depth == 0)
                return LINEAR_NO;
            const struct choice *undone = &search->choices[--search->depth];
            value = undone->value;
            bit_flip(search, undone->op);
            op_unlift(search, undone->op);
            at = search->events[(size_t)2 * undone->op].next;
            continue;
        }
        enum cache_result seen = CACHE_KNOWN;
        if (register_step(&search->ops[op], value, &after)) {
            bit_flip(search, op);
            seen = cache_insert(&search->cache, search->linearized, search->words, after);
            if (seen != CACHE_NEW)
                bit_flip(search, op);
        }
        if (seen == CACHE_FULL)
            return LINEAR_UNDECIDED;
        if (seen == CACHE_NEW) {
            search->choices[search->depth++] = (struct choice){op, value};
            value = after;
            op_lift(search, op);
            at = search->head;
        } else {
            at = search->events[at].next;
        }
    }
    return LINEAR_YES;
}

enum linear_verdict linear_check(const struct history_op *ops, size_t count, uint32_t initial,
                                 const struct linear_limits *limits) {
    struct search search = {.deadline = limits->deadline, .cache = {.bytes_max = limits->cache_bytes}};
    enum linear_verdict verdict = LINEAR_UNDECIDED;
    if (copy_relevant(&search, ops, count, initial)) {
        LASH_ASSERT(search.count < NONE / 2);
        search.words = search.count / 64 + 1;
        search.events = mem_calloc(2 * search.count + 1, sizeof *search.events);
        search.order = mem_calloc(2 * search.count + 1, sizeof *search.order);
        search.choices = mem_calloc(search.count + 1, sizeof *search.choices);
        search.linearized = mem_calloc(search.words, sizeof *search.linearized);
        if (search.events && search.order && search.choices && search.linearized) {
            list_build(&search);
            verdict = search_run(&search, initial);
        }
    }
    cache_free(&search.cache);
    mem_free(search.ops);
    mem_free(search.events);
    mem_free(search.order);
    mem_free(search.choices);
    mem_free(search.linearized);
    return verdict;
}
