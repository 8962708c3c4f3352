/* SPDX-License-Identifier: Apache-2.0
 *
 * The checker of the store's revisions against a judge too simple to be wrong: every
 * order of a small random history, carried out on arrays. The hand-written histories are in
 * test_program.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "linear/revision_linear.h"

enum { KEYS = 3, VALUES = 4, OPS_MAX = 6, REVISIONS_MAX = OPS_MAX + 2, LIST_MAX = 2, ROUNDS = 40000 };

static const struct linear_limits generous = {.deadline = 0, .cache_bytes = 256 << 20};

static uint32_t random_next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static bool one_in(uint64_t *seed, uint32_t n) {
    return random_next(seed) % n == 0;
}

/* ---- A store too simple to be wrong --------------------------------------------------------------- */

struct cell {
    bool there;
    uint32_t value;
    int64_t create, mod, version;
};

/* All revisions, oldest first; the last is the present. */
struct simple {
    struct cell at[REVISIONS_MAX][KEYS];
    int64_t revision;
};

static bool simple_compares(const struct simple *store, const struct revision_request *txn) {
    for (size_t i = 0; i < txn->compare_count; i++) {
        const struct revision_compare *compare = &txn->compares[i];
        bool any = false;
        for (uint32_t key = compare->keys.first; key < compare->keys.end; key++)
            any = any || store->at[store->revision][key].there;
        for (uint32_t key = compare->keys.first; key < compare->keys.end; key++) {
            struct cell cell = store->at[store->revision][key];
            if (any && !cell.there)
                continue;
            if (compare->target == REVISION_VALUE && !cell.there)
                return false;
            int64_t left = compare->target == REVISION_VALUE     ? cell.value
                           : compare->target == REVISION_VERSION ? cell.version
                           : compare->target == REVISION_CREATE  ? cell.create
                                                                 : cell.mod;
            int64_t right = compare->target == REVISION_VALUE ? compare->value : compare->number;
            bool holds[] = {left == right, left != right, left > right, left < right};
            if (!holds[compare->result])
                return false;
        }
    }
    return true;
}

/* Carry out on `now`, the revision in the making. Fills `answer`, whose arrays have room. */
static void simple_run(const struct simple *store, struct cell *now, const struct revision_request *request,
                       struct revision_answer *answer) {
    int64_t made = store->revision + 1;
    *answer = (struct revision_answer){.answers = answer->answers, .seen = answer->seen, .recorded = true};
    if (request->kind == REVISION_PUT) {
        struct cell *cell = &now[request->keys.first];
        *cell = (struct cell){true, request->value, cell->there ? cell->create : made, made, cell->version + 1};
    } else if (request->kind == REVISION_DELETE) {
        for (uint32_t key = request->keys.first; key < request->keys.end; key++) {
            answer->deleted += now[key].there;
            now[key] = (struct cell){.there = false};
        }
    } else if (request->kind == REVISION_RANGE) {
        for (uint32_t key = request->keys.first; key < request->keys.end; key++) {
            struct cell cell = request->at ? store->at[request->at][key] : now[key];
            answer->count += cell.there;
            if (cell.there && (request->limit == 0 || answer->count <= request->limit))
                answer->seen[answer->seen_count++] =
                    (struct revision_seen){key, cell.value, cell.create, cell.mod, cell.version};
        }
    } else {
        answer->succeeded = simple_compares(store, request);
        answer->answer_count = answer->succeeded ? request->success_count : request->failure_count;
        for (size_t i = 0; i < answer->answer_count; i++)
            simple_run(store, now, answer->succeeded ? &request->success[i] : &request->failure[i],
                       &answer->answers[i]);
    }
}

static bool differ(const struct cell *a, const struct cell *b) {
    for (size_t key = 0; key < KEYS; key++)
        if (a[key].there != b[key].there || a[key].mod != b[key].mod)
            return true;
    return false;
}

static bool same_answer(const struct revision_answer *a, const struct revision_answer *b, enum revision_kind kind,
                        const struct revision_request *request) {
    if (a->succeeded != b->succeeded || a->answer_count != b->answer_count || a->seen_count != b->seen_count)
        return false;
    if ((kind == REVISION_DELETE && a->deleted != b->deleted) || (kind == REVISION_RANGE && a->count != b->count))
        return false;
    for (size_t i = 0; i < a->seen_count; i++) {
        const struct revision_seen *x = &a->seen[i], *y = &b->seen[i];
        if (x->key != y->key || x->value != y->value || x->version != y->version)
            return false;
        bool told = x->mod != REVISION_NOT_RECORDED && y->mod != REVISION_NOT_RECORDED;
        if (told && (x->mod != y->mod || x->create != y->create))
            return false;
    }
    const struct revision_request *taken = a->succeeded ? request->success : request->failure;
    for (size_t i = 0; i < a->answer_count; i++)
        if (!same_answer(&a->answers[i], &b->answers[i], taken[i].kind, &taken[i]))
            return false;
    return true;
}

/* ---- Random histories ----------------------------------------------------------------------------- */

/* Room for a request or answer with one transaction inside another. */
struct room {
    struct revision_compare compares[2];
    struct revision_request requests[2][LIST_MAX];
    struct revision_answer answers[LIST_MAX];
    struct revision_seen seen[LIST_MAX][KEYS];
    struct revision_seen seen_alone[KEYS];
};

/* A place for an answer's arrays. */
static struct revision_answer answer_in(struct room *room) {
    for (size_t i = 0; i < LIST_MAX; i++)
        room->answers[i] = (struct revision_answer){.seen = room->seen[i]};
    return (struct revision_answer){.answers = room->answers, .seen = room->seen_alone};
}

static struct revision_range random_range(uint64_t *seed) {
    uint32_t first = random_next(seed) % KEYS;
    bool single = one_in(seed, 2);
    return (struct revision_range){first, single ? first + 1 : first + 1 + random_next(seed) % (KEYS - first), single};
}

static struct revision_request random_simple_request(uint64_t *seed, bool told) {
    struct revision_request request = {.kind = (enum revision_kind)(random_next(seed) % 3)};
    request.keys = random_range(seed);
    if (request.kind == REVISION_PUT) {
        request.keys.end = request.keys.first + 1;
        request.value = random_next(seed) % VALUES;
    }
    if (request.kind == REVISION_RANGE && one_in(seed, 4))
        request.limit = 1;
    if (request.kind == REVISION_RANGE && told && one_in(seed, 4))
        request.at = 1;
    return request;
}

static bool clash(const struct revision_request *a, const struct revision_request *b) {
    bool both = a->kind != REVISION_RANGE && b->kind != REVISION_RANGE;
    return both && a->keys.first < b->keys.end && b->keys.first < a->keys.end;
}

static struct revision_request random_request(uint64_t *seed, struct room *room, bool told) {
    if (one_in(seed, 2))
        return random_simple_request(seed, told);
    struct revision_request txn = {.kind = REVISION_TXN, .compares = room->compares};
    txn.compare_count = random_next(seed) % 3;
    for (size_t i = 0; i < txn.compare_count; i++)
        room->compares[i] =
            (struct revision_compare){.keys = random_range(seed),
                                      .target = (enum revision_target)(random_next(seed) % (told ? 4 : 2)),
                                      .result = (enum revision_result)(random_next(seed) % 4),
                                      .value = random_next(seed) % VALUES,
                                      .number = random_next(seed) % 4};
    txn.success = room->requests[0];
    txn.failure = room->requests[1];
    txn.success_count = random_next(seed) % (LIST_MAX + 1);
    txn.failure_count = random_next(seed) % (LIST_MAX + 1);
    for (size_t i = 0; i < LIST_MAX; i++) {
        room->requests[0][i] = random_simple_request(seed, told);
        room->requests[1][i] = random_simple_request(seed, told);
    }
    /* The store refuses a transaction that changes a key twice. */
    for (size_t branch = 0; branch < 2; branch++)
        if (clash(&room->requests[branch][0], &room->requests[branch][1]))
            room->requests[branch][1].kind = REVISION_RANGE;
    return txn;
}

/* A history, and where each operation took effect when it was made. */
struct made {
    struct revision_op ops[OPS_MAX];
    struct room rooms[OPS_MAX];
    size_t count;
    uint64_t moments[OPS_MAX]; /* UINT64_MAX: never */
};

static void make_ops(struct made *made, uint64_t *seed, bool told) {
    uint64_t start = 0;
    made->count = 2 + random_next(seed) % (OPS_MAX - 1);
    for (size_t i = 0; i < made->count; i++) {
        struct revision_op *op = &made->ops[i];
        start += random_next(seed) % 4;
        *op = (struct revision_op){.line = (uint32_t)i + 1, .start = start, .end = start + random_next(seed) % 8};
        op->request = random_request(seed, &made->rooms[i], told);
        op->outcome = one_in(seed, 4) ? HISTORY_UNKNOWN : HISTORY_OK;
        uint64_t span = op->outcome == HISTORY_OK ? op->end - op->start : 20;
        made->moments[i] = op->start + random_next(seed) % (uint32_t)(span + 1);
        if (op->outcome == HISTORY_UNKNOWN && one_in(seed, 2))
            made->moments[i] = UINT64_MAX;
    }
}

/* Give the operations the answers of a true store, in the order of their moments. */
static void answer_ops(struct made *made, bool told) {
    struct simple store = {.revision = 1};
    bool done[OPS_MAX] = {false};
    for (size_t step = 0; step < made->count; step++) {
        size_t next = made->count;
        for (size_t i = 0; i < made->count; i++)
            if (!done[i] && (next == made->count || made->moments[i] < made->moments[next]))
                next = i;
        done[next] = true;
        if (made->moments[next] == UINT64_MAX)
            return;
        struct revision_op *op = &made->ops[next];
        struct cell now[KEYS];
        memcpy(now, store.at[store.revision], sizeof now);
        op->answer = answer_in(&made->rooms[next]);
        simple_run(&store, now, &op->request, &op->answer);
        store.revision += differ(now, store.at[store.revision]);
        memcpy(store.at[store.revision], now, sizeof now);
        op->revision = told ? store.revision : 0;
    }
}

/* Spoil one thing in an answer, as a wrong store might. */
static void spoil(struct made *made, uint64_t *seed) {
    struct revision_op *op = &made->ops[random_next(seed) % made->count];
    struct revision_answer *answer = &op->answer;
    if (op->outcome != HISTORY_OK)
        return;
    if (answer->answer_count > 0)
        answer = &answer->answers[random_next(seed) % answer->answer_count];
    uint32_t luck = random_next(seed) % 5;
    if (luck == 0 && op->revision > 0)
        op->revision += one_in(seed, 2) ? 1 : -1;
    else if (luck == 1)
        answer->deleted++;
    else if (answer->seen_count > 0 && luck == 2)
        answer->seen[0].value = (answer->seen[0].value + 1) % VALUES;
    else if (answer->seen_count > 0 && luck == 3 && answer->seen[0].mod > 0)
        answer->seen[0].mod++;
    else if (answer->seen_count > 0)
        answer->seen_count--;
}

/* Some answers tell of no revision. */
static void forget(struct made *made, uint64_t *seed, bool told) {
    for (size_t i = 0; i < made->count; i++) {
        struct revision_answer *answer = &made->ops[i].answer;
        bool silent = !told || one_in(seed, 4);
        if (silent)
            made->ops[i].revision = 0;
        for (size_t j = 0; j < answer->seen_count && silent; j++)
            answer->seen[j].mod = answer->seen[j].create = REVISION_NOT_RECORDED;
        for (size_t k = 0; k < answer->answer_count && silent; k++)
            for (size_t j = 0; j < answer->answers[k].seen_count; j++)
                answer->answers[k].seen[j].mod = answer->answers[k].seen[j].create = REVISION_NOT_RECORDED;
    }
}

/* ---- A judge too simple to be wrong --------------------------------------------------------------- */

static bool asks_for_the_future(const struct simple *store, const struct revision_request *request) {
    return request->kind == REVISION_RANGE && request->at > store->revision;
}

static bool simple_judge(const struct made *made, unsigned left, const struct simple *store, bool told) {
    bool complete = true;
    for (size_t i = 0; i < made->count; i++)
        complete = complete && !((left >> i & 1) && made->ops[i].outcome == HISTORY_OK);
    if (complete)
        return true;
    for (size_t i = 0; i < made->count; i++) {
        const struct revision_op *op = &made->ops[i];
        bool allowed = (left >> i & 1) && !asks_for_the_future(store, &op->request);
        for (size_t j = 0; j < made->count && allowed; j++)
            if (j != i && (left >> j & 1) && made->ops[j].outcome == HISTORY_OK && made->ops[j].end < op->start)
                allowed = false;
        if (!allowed)
            continue;
        struct simple next = *store;
        struct cell now[KEYS];
        struct room room;
        memcpy(now, store->at[store->revision], sizeof now);
        struct revision_answer answer = answer_in(&room);
        simple_run(store, now, &op->request, &answer);
        next.revision += differ(now, store->at[store->revision]);
        memcpy(next.at[next.revision], now, sizeof now);
        bool known = op->outcome == HISTORY_OK;
        bool right = !known || same_answer(&answer, &op->answer, op->request.kind, &op->request);
        right = right && (!known || !told || op->revision == 0 || op->revision == next.revision);
        if (right && simple_judge(made, left & ~(1u << i), &next, told))
            return true;
    }
    return false;
}

/* ---- The comparison ------------------------------------------------------------------------------- */

static const char *key_names[] = {"a", "b", "c"};
static const char *value_names[] = {"0", "1", "2", "3"};

static void name_all(struct revision_history *history) {
    uint32_t number;
    for (size_t i = 0; i < KEYS; i++)
        assert_true(texts_number(&history->keys, key_names[i], &number));
    for (size_t i = 0; i < VALUES; i++)
        assert_true(texts_number(&history->values, value_names[i], &number));
}

static void compare_with_every_order(bool told, uint64_t seed, size_t least) {
    struct revision_history history = {.revisions = told, .past = told};
    size_t verdicts[2] = {0};
    struct made *made = mem_calloc(1, sizeof *made);
    assert_non_null(made);
    name_all(&history);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < ROUNDS; round++) {
        make_ops(made, &seed, told);
        answer_ops(made, told);
        for (uint32_t spoils = random_next(&seed) % 3; spoils > 0; spoils--)
            spoil(made, &seed);
        forget(made, &seed, told);
        history.ops = made->ops;
        history.count = made->count;
        struct simple store = {.revision = 1};
        struct revision_trouble trouble;
        bool expected = simple_judge(made, (1u << made->count) - 1, &store, told);
        enum linear_verdict verdict = revision_check(&history, 1, &generous, &trouble);
        assert_int_equal(verdict, expected ? LINEAR_YES : LINEAR_NO);
        assert_true(expected || (trouble.judged > 0 && trouble.done < trouble.judged));
        verdicts[expected]++;
    }
    print_message("%zu linearizable, %zu not\n", verdicts[1], verdicts[0]);
    assert_true(verdicts[0] > least && verdicts[1] > least);
    texts_free(&history.keys);
    texts_free(&history.values);
    mem_free(made);
}

static void histories_that_tell_revisions_are_judged_as_by_trying_every_order(void **state) {
    (void)state;
    compare_with_every_order(true, 20261123, 4000);
}

static void histories_that_tell_none_are_judged_as_by_trying_every_order(void **state) {
    (void)state;
    compare_with_every_order(false, 20261124, 2000);
}

static void every_failed_allocation_leaves_the_verdict_open(void **state) {
    (void)state;
    static const char text[] =
        "{\"client\":1,\"op\":\"put\",\"key\":\"a\",\"value\":\"x\",\"start_ns\":0,\"end_ns\":1,\"outcome\":\"ok\","
        "\"revision\":2}\n"
        "{\"client\":1,\"op\":\"range\",\"key\":\"a\",\"range_end\":\"c\",\"kvs\":[{\"key\":\"a\",\"value\":\"x\","
        "\"mod\":2}],\"start_ns\":2,\"end_ns\":3,\"outcome\":\"ok\",\"revision\":2}\n";
    char problem[128], copy[sizeof text];
    memcpy(copy, text, sizeof text);
    size_t whole = 0;
    for (uint64_t nth = 1; nth < 100; nth++) {
        struct revision_history history;
        struct revision_trouble trouble;
        FILE *file = fmemopen(copy, sizeof text - 1, "r");
        assert_non_null(file);
        mem_fail_after(nth);
        bool read = revision_history_read(file, &history, problem, sizeof problem);
        enum linear_verdict verdict = read ? revision_check(&history, 1, &generous, &trouble) : LINEAR_UNDECIDED;
        mem_fail_after(0);
        assert_int_equal(fclose(file), 0);
        assert_true(verdict == LINEAR_UNDECIDED || verdict == LINEAR_YES);
        whole += verdict == LINEAR_YES;
        if (read)
            revision_history_free(&history);
        else
            assert_non_null(strstr(problem, "out of memory"));
    }
    assert_in_range(whole, 1, 85);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_that_tell_revisions_are_judged_as_by_trying_every_order),
        cmocka_unit_test(histories_that_tell_none_are_judged_as_by_trying_every_order),
        cmocka_unit_test(every_failed_allocation_leaves_the_verdict_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
