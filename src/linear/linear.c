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

#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/buf.h"
#include "linear/cache.h"
#include "linear/order.h"

#define STEPS_BETWEEN_CLOCKS 4096

struct choice {
    uint32_t op;
    uint32_t value; /* the register's before */
};

struct search {
    struct history_op *ops; /* a copy, without what cannot matter */
    size_t count;
    struct order order;
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

/* ---- The search ----------------------------------------------------------------------------------- */

static void bit_flip(struct search *search, uint32_t op) {
    search->linearized[op / 64] ^= (uint64_t)1 << op % 64;
}

bool linear_out_of_time(uint64_t deadline, uint64_t *steps) {
    if (deadline == 0 || ++*steps % STEPS_BETWEEN_CLOCKS != 0)
        return false;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= deadline;
}

static enum linear_verdict search_run(struct search *search, uint32_t value) {
    uint32_t at = search->order.head;
    while (search->order.ends_left > 0) {
        LASH_ASSERT(at != ORDER_NONE);
        uint32_t op = at / 2, after = 0;
        if (linear_out_of_time(search->deadline, &search->steps))
            return LINEAR_UNDECIDED;
        if (order_is_end(at)) {
            if (search->depth == 0)
                return LINEAR_NO;
            const struct choice *undone = &search->choices[--search->depth];
            value = undone->value;
            bit_flip(search, undone->op);
            order_unlift(&search->order, undone->op);
            at = search->order.events[(size_t)2 * undone->op].next;
            continue;
        }
        enum cache_result seen = CACHE_KNOWN;
        if (register_step(&search->ops[op], value, &after)) {
            bit_flip(search, op);
            seen = cache_insert(&search->cache, search->linearized, search->words, (struct cache_state){{after}});
            if (seen != CACHE_NEW)
                bit_flip(search, op);
        }
        if (seen == CACHE_FULL)
            return LINEAR_UNDECIDED;
        if (seen == CACHE_NEW) {
            search->choices[search->depth++] = (struct choice){op, value};
            value = after;
            order_lift(&search->order, op);
            at = search->order.head;
        } else {
            at = search->order.events[at].next;
        }
    }
    return LINEAR_YES;
}

/* The list of the operations' starts and ends. */
static bool search_order(struct search *search) {
    struct order_span *spans = mem_calloc(search->count + 1, sizeof *spans);
    for (size_t at = 0; at < search->count && spans; at++) {
        const struct history_op *op = &search->ops[at];
        spans[at] = (struct order_span){op->start, op->end, op->outcome == HISTORY_OK};
    }
    bool built = spans && order_build(&search->order, spans, search->count);
    mem_free(spans);
    return built;
}

enum linear_verdict linear_check(const struct history_op *ops, size_t count, uint32_t initial,
                                 const struct linear_limits *limits) {
    struct search search = {.deadline = limits->deadline, .cache = {.bytes_max = limits->cache_bytes}};
    enum linear_verdict verdict = LINEAR_UNDECIDED;
    if (copy_relevant(&search, ops, count, initial) && search_order(&search)) {
        search.words = search.count / 64 + 1;
        search.choices = mem_calloc(search.count + 1, sizeof *search.choices);
        search.linearized = mem_calloc(search.words, sizeof *search.linearized);
        if (search.choices && search.linearized)
            verdict = search_run(&search, initial);
    }
    cache_free(&search.cache);
    order_free(&search.order);
    mem_free(search.ops);
    mem_free(search.choices);
    mem_free(search.linearized);
    return verdict;
}
