/* SPDX-License-Identifier: Apache-2.0
 *
 * The search for a linearization of the store; see revision_linear.h. It is
 * Wing and Gong's, as linear.c's, over another model.
 *
 * What prunes it: an operation that answered with a revision needs the store at one certain
 * revision before it, and none may be left behind. An operation of unknown outcome matters only if it changes
 * something, so it takes a revision that no answer has, and it must be one that nothing seen contradicts.
 */
#include "linear/revision_linear.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "linear/cache.h"
#include "linear/order.h"
#include "linear/revision_model.h"

/* Somebody saw that this revision left this value in this key. */
struct evidence {
    int64_t revision;
    uint32_t key;
    uint32_t value;
};

struct choice {
    uint32_t op;
    size_t need_at;
    struct revision_mark mark;
    struct cache_state unknown;
};

struct search {
    const struct revision_op **ops; /* those that matter, by start */
    int64_t *needs;                 /* by op: the revision that the store must have before it; -1: any */
    uint32_t *bits;                 /* by op: its place in `linearized`, of those that ended */
    size_t count;
    uint32_t *by_need; /* ops that need a revision, in the order of these */
    size_t need_count;
    size_t need_at; /* the first of them that is not linearized */
    struct evidence *evidence;
    size_t evidence_count;
    struct order order;
    struct revision_model model;
    struct choice *choices;
    size_t depth;
    uint64_t *linearized; /* a bit for each operation that ended */
    size_t words;
    struct cache_state unknown; /* tells which operations of unknown outcome have happened */
    struct cache cache;
    uint64_t deadline;
    uint64_t steps;
    bool nomem;
    bool failed; /* an end was met that nothing can come before */
    struct revision_trouble *trouble;
};

/* ---- What must be so ------------------------------------------------------------------------------ */

static size_t count_seen(const struct revision_answer *answer) {
    size_t count = answer->seen_count;
    for (size_t at = 0; at < answer->answer_count; at++)
        count += count_seen(&answer->answers[at]);
    return count;
}

static void collect_seen(struct search *search, const struct revision_answer *answer) {
    for (size_t at = 0; at < answer->seen_count; at++)
        if (answer->seen[at].mod > 0)
            search->evidence[search->evidence_count++] =
                (struct evidence){answer->seen[at].mod, answer->seen[at].key, answer->seen[at].value};
    for (size_t at = 0; at < answer->answer_count; at++)
        collect_seen(search, &answer->answers[at]);
}

static int evidence_order(const void *left, const void *right) {
    const struct evidence *a = left, *b = right;
    if (a->revision != b->revision)
        return a->revision < b->revision ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

/* What all answers saw, each once. */
static bool search_evidence(struct search *search) {
    size_t room = 1;
    for (size_t at = 0; at < search->count; at++)
        if (search->ops[at]->outcome == HISTORY_OK)
            room += count_seen(&search->ops[at]->answer);
    search->evidence = mem_calloc(room, sizeof *search->evidence);
    if (!search->evidence)
        return false;
    for (size_t at = 0; at < search->count; at++)
        if (search->ops[at]->outcome == HISTORY_OK)
            collect_seen(search, &search->ops[at]->answer);
    if (search->evidence_count > 0)
        qsort(search->evidence, search->evidence_count, sizeof *search->evidence, evidence_order);
    size_t kept = 0;
    for (size_t at = 0; at < search->evidence_count; at++)
        if (kept == 0 || evidence_order(&search->evidence[kept - 1], &search->evidence[at]) != 0)
            search->evidence[kept++] = search->evidence[at];
    search->evidence_count = kept;
    return true;
}

/* Whether the store's newest revision is what others saw of it. */
static bool evidence_agrees(const struct search *search) {
    size_t low = 0, high = search->evidence_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->evidence[middle].revision < search->model.revision)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < search->evidence_count && search->evidence[low].revision == search->model.revision; low++) {
        const struct revision_event *event = revision_model_newest(&search->model, search->evidence[low].key);
        if (!event || event->deleted || event->mod != search->model.revision ||
            event->value != search->evidence[low].value)
            return false;
    }
    return true;
}

static const struct search *sorted_search; /* for qsort, which hands nothing on; the checker has one thread */

static int need_order(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (sorted_search->needs[a] != sorted_search->needs[b])
        return sorted_search->needs[a] < sorted_search->needs[b] ? -1 : 1;
    return a < b ? -1 : a > b;
}

static bool search_needs(struct search *search) {
    search->needs = mem_calloc(search->count + 1, sizeof *search->needs);
    search->bits = mem_calloc(search->count + 1, sizeof *search->bits);
    search->by_need = mem_calloc(search->count + 1, sizeof *search->by_need);
    if (!search->needs || !search->bits || !search->by_need)
        return false;
    uint32_t ended = 0;
    for (uint32_t at = 0; at < search->count; at++) {
        const struct revision_op *op = search->ops[at];
        search->needs[at] = -1;
        if (op->outcome != HISTORY_OK)
            continue;
        search->bits[at] = ended++;
        if (op->revision == 0)
            continue;
        search->needs[at] = op->revision - revision_op_wrote(op);
        search->by_need[search->need_count++] = at;
    }
    search->words = ended / 64 + 1;
    sorted_search = search;
    if (search->need_count > 0)
        qsort(search->by_need, search->need_count, sizeof *search->by_need, need_order);
    return true;
}

/* ---- One step ------------------------------------------------------------------------------------- */

static bool is_linearized(const struct search *search, uint32_t op) {
    return search->linearized[search->bits[op] / 64] >> search->bits[op] % 64 & 1;
}

static uint64_t unknown_hash(uint32_t op, uint64_t salt) {
    uint64_t hash = (op + salt) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    return hash ^ hash >> 27;
}

/* Note that `op` is linearized, or no longer. */
static void op_flip(struct search *search, uint32_t op) {
    if (search->ops[op]->outcome == HISTORY_OK) {
        search->linearized[search->bits[op] / 64] ^= (uint64_t)1 << search->bits[op] % 64;
    } else {
        search->unknown.words[0] ^= unknown_hash(op, 1);
        search->unknown.words[1] ^= unknown_hash(op, UINT64_C(1) << 40);
    }
}

/* The least revision that an operation which is to come needs; INT64_MAX when none needs any. */
static int64_t least_need(struct search *search) {
    while (search->need_at < search->need_count && is_linearized(search, search->by_need[search->need_at]))
        search->need_at++;
    return search->need_at < search->need_count ? search->needs[search->by_need[search->need_at]] : INT64_MAX;
}

/* Whether the operation can be the next, as far as revisions say without carrying it out. */
static bool may_come(struct search *search, uint32_t op) {
    if (search->ops[op]->outcome == HISTORY_OK)
        return search->needs[op] < 0 || search->needs[op] == search->model.revision;
    return !search->model.history->revisions || search->model.revision < least_need(search);
}

/* Carry it out. NULL, or why it cannot be the next; then nothing has changed. */
static const char *op_apply(struct search *search, uint32_t op) {
    struct revision_mark mark = revision_model_mark(&search->model);
    const char *wrong = revision_model_apply(&search->model, search->ops[op], &search->nomem);
    bool wrote = search->model.count > mark.count;
    if (search->nomem)
        wrong = "memory ran out";
    if (!wrong && search->ops[op]->outcome != HISTORY_OK && !wrote)
        wrong = "it would change nothing";
    if (!wrong && wrote && search->model.history->revisions && !evidence_agrees(search))
        wrong = "others saw something else at the revision that it would make";
    if (wrong)
        revision_model_undo(&search->model, &mark);
    return wrong;
}

static enum cache_result remember(struct search *search) {
    struct cache_state state = search->model.state;
    state.words[0] += search->unknown.words[0] + (uint64_t)search->model.revision * 0x9e3779b97f4a7c15u;
    state.words[1] ^= search->unknown.words[1];
    return cache_insert(&search->cache, search->linearized, search->words, state);
}

/* Linearize `op` next, if it can be and leads to where the search has not been. CACHE_FULL: memory ran out. */
static enum cache_result op_try(struct search *search, uint32_t op) {
    struct choice choice = {
        .op = op, .need_at = search->need_at, .mark = revision_model_mark(&search->model), .unknown = search->unknown};
    if (!may_come(search, op) || op_apply(search, op))
        return search->nomem ? CACHE_FULL : CACHE_KNOWN;
    op_flip(search, op);
    enum cache_result result = least_need(search) < search->model.revision ? CACHE_KNOWN : remember(search);
    if (result == CACHE_NEW) {
        search->choices[search->depth++] = choice;
        order_lift(&search->order, op);
        return CACHE_NEW;
    }
    op_flip(search, op);
    search->need_at = choice.need_at;
    revision_model_undo(&search->model, &choice.mark);
    return result;
}

/* Undo the latest choice; returns the operation. */
static uint32_t op_undo(struct search *search) {
    const struct choice *undone = &search->choices[--search->depth];
    op_flip(search, undone->op);
    search->need_at = undone->need_at;
    revision_model_undo(&search->model, &undone->mark);
    order_unlift(&search->order, undone->op);
    return undone->op;
}

/* ---- The search ----------------------------------------------------------------------------------- */

/* Why `op` cannot be the next. */
static struct revision_obstacle obstacle_of(struct search *search, uint32_t op) {
    struct revision_obstacle obstacle = {.op = search->ops[op]};
    struct revision_mark mark = revision_model_mark(&search->model);
    size_t need_at = search->need_at;
    obstacle.why = op_apply(search, op);
    if (!obstacle.why) {
        obstacle.why = "what must follow cannot";
        op_flip(search, op);
        if (least_need(search) < search->model.revision)
            obstacle.behind = search->ops[search->by_need[search->need_at]];
        op_flip(search, op);
    }
    search->need_at = need_at;
    revision_model_undo(&search->model, &mark);
    return obstacle;
}

/* The search cannot go on here: note it for people if it never got so far before. */
static void note_trouble(struct search *search, uint32_t end) {
    struct revision_trouble *trouble = search->trouble;
    enum { ROOM = sizeof trouble->next / sizeof trouble->next[0] };
    if (search->failed && search->depth <= trouble->done)
        return;
    search->failed = true;
    *trouble =
        (struct revision_trouble){.judged = search->count, .done = search->depth, .revision = search->model.revision};
    for (uint32_t at = search->order.head; at != end && trouble->next_count < ROOM; at = search->order.events[at].next)
        if (search->ops[at / 2]->outcome == HISTORY_OK)
            trouble->next[trouble->next_count++] = obstacle_of(search, at / 2);
}

static enum linear_verdict search_run(struct search *search) {
    uint32_t at = search->order.head;
    while (search->order.ends_left > 0) {
        LASH_ASSERT(at != ORDER_NONE);
        if (linear_out_of_time(search->deadline, &search->steps))
            return LINEAR_UNDECIDED;
        if (order_is_end(at)) {
            note_trouble(search, at);
            if (search->nomem)
                return LINEAR_UNDECIDED;
            if (search->depth == 0)
                return LINEAR_NO;
            at = search->order.events[(size_t)2 * op_undo(search)].next;
            continue;
        }
        enum cache_result result = op_try(search, at / 2);
        if (result == CACHE_FULL)
            return LINEAR_UNDECIDED;
        at = result == CACHE_NEW ? search->order.head : search->order.events[at].next;
    }
    return LINEAR_YES;
}

static bool search_order(struct search *search) {
    struct order_span *spans = mem_calloc(search->count + 1, sizeof *spans);
    for (size_t at = 0; at < search->count && spans; at++) {
        const struct revision_op *op = search->ops[at];
        spans[at] = (struct order_span){op->start, op->end, op->outcome == HISTORY_OK};
    }
    bool built = spans && order_build(&search->order, spans, search->count);
    mem_free(spans);
    return built;
}

static void search_free(struct search *search) {
    cache_free(&search->cache);
    order_free(&search->order);
    revision_model_free(&search->model);
    mem_free(search->ops);
    mem_free(search->needs);
    mem_free(search->bits);
    mem_free(search->by_need);
    mem_free(search->evidence);
    mem_free(search->choices);
    mem_free(search->linearized);
}

/* Judge the operations whose group is `group`. */
static enum linear_verdict check_group(const struct revision_history *history, const uint32_t *groups, uint32_t group,
                                       int64_t revision, const struct linear_limits *limits,
                                       struct revision_trouble *trouble) {
    struct search search = {
        .deadline = limits->deadline, .cache = {.bytes_max = limits->cache_bytes}, .trouble = trouble};
    enum linear_verdict verdict = LINEAR_UNDECIDED;
    search.ops = mem_calloc(history->count + 1, sizeof *search.ops);
    for (size_t at = 0; at < history->count && search.ops; at++) {
        const struct revision_op *op = &history->ops[at];
        bool matters =
            op->outcome == HISTORY_OK || (op->outcome == HISTORY_UNKNOWN && revision_request_writes(&op->request));
        if (matters && groups[at] == group)
            search.ops[search.count++] = op;
    }
    if (search.ops && search_needs(&search) && search_evidence(&search) && search_order(&search) &&
        revision_model_init(&search.model, history, revision)) {
        search.choices = mem_calloc(search.count + 1, sizeof *search.choices);
        search.linearized = mem_calloc(search.words, sizeof *search.linearized);
        if (search.choices && search.linearized)
            verdict = search_run(&search);
    }
    search_free(&search);
    return verdict;
}

/* ---- Groups of operations that share keys --------------------------------------------------------- */

static uint32_t root_of(uint32_t *parents, uint32_t key) {
    while (parents[key] != key) {
        parents[key] = parents[parents[key]];
        key = parents[key];
    }
    return key;
}

/* Join the range's keys with what *group stands for; UINT32_MAX: nothing yet. */
static void join_range(uint32_t *parents, const struct revision_range *keys, uint32_t *group) {
    for (uint32_t key = keys->first; key < keys->end; key++) {
        if (*group != UINT32_MAX)
            parents[root_of(parents, key)] = root_of(parents, *group);
        *group = root_of(parents, key);
    }
}

static void join_request(uint32_t *parents, const struct revision_request *request, uint32_t *group) {
    if (request->kind != REVISION_TXN)
        join_range(parents, &request->keys, group);
    for (size_t at = 0; at < request->compare_count; at++)
        join_range(parents, &request->compares[at].keys, group);
    for (size_t at = 0; at < request->success_count; at++)
        join_request(parents, &request->success[at], group);
    for (size_t at = 0; at < request->failure_count; at++)
        join_request(parents, &request->failure[at], group);
}

/* Give each operation its group: one for all where revisions are told, else one for each set of connected keys. */
static bool find_groups(const struct revision_history *history, uint32_t *groups) {
    size_t keys = history->keys.count;
    uint32_t *parents = mem_calloc(keys + 1, sizeof *parents);
    if (!parents)
        return false;
    for (size_t key = 0; key < keys; key++)
        parents[key] = (uint32_t)key;
    for (size_t at = 0; at < history->count; at++) {
        groups[at] = UINT32_MAX;
        join_request(parents, &history->ops[at].request, &groups[at]);
    }
    for (size_t at = 0; at < history->count; at++)
        groups[at] = history->revisions || groups[at] == UINT32_MAX ? 0 : root_of(parents, groups[at]);
    mem_free(parents);
    return true;
}

enum linear_verdict revision_check(const struct revision_history *history, int64_t revision,
                                   const struct linear_limits *limits, struct revision_trouble *trouble) {
    *trouble = (struct revision_trouble){.judged = 0};
    uint32_t *groups = mem_calloc(history->count + 1, sizeof *groups);
    bool *judged = mem_calloc(history->keys.count + 1, sizeof *judged);
    enum linear_verdict worst = groups && judged && find_groups(history, groups) ? LINEAR_YES : LINEAR_UNDECIDED;
    bool go_on = worst == LINEAR_YES;
    for (size_t at = 0; at < history->count && go_on; at++) {
        if (judged[groups[at]])
            continue;
        judged[groups[at]] = true;
        enum linear_verdict verdict = check_group(history, groups, groups[at], revision, limits, trouble);
        worst = verdict == LINEAR_YES ? worst : verdict;
        go_on = verdict != LINEAR_NO;
    }
    mem_free(groups);
    mem_free(judged);
    return worst;
}
