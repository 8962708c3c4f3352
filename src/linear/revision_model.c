/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's rules, as plainly as they can be said; see revision_model.h. They are
 * etcd's: a request that changes anything makes one revision, whatever it changes; compares,
 * those of inner transactions too, are judged against the state before the whole request.
 */
#include "linear/revision_model.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

/* A request being carried out. */
struct run {
    struct revision_model *model;
    size_t begin; /* changes from here on are its own */
    bool nomem;
};

bool revision_model_init(struct revision_model *model, const struct revision_history *history, int64_t revision) {
    *model = (struct revision_model){.history = history, .revision = revision};
    model->newest = mem_calloc(history->keys.count + 1, sizeof *model->newest);
    return model->newest != NULL;
}

void revision_model_free(struct revision_model *model) {
    mem_free(model->events);
    mem_free(model->newest);
}

const struct revision_event *revision_model_newest(const struct revision_model *model, uint32_t key) {
    uint32_t place = model->newest[key];
    return place ? &model->events[place - 1] : NULL;
}

/* ---- States --------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* A state is told by the sum of what its keys are, so that a key's change is one subtraction and one addition. Where
 * ranges look into the past, all that ever was counts. */
static void state_add(struct revision_model *model, const struct revision_event *event, bool add) {
    if (event->deleted && !model->history->past)
        return;
    for (int word = 0; word < 2; word++) {
        uint64_t hash = mix(word ? 0x13198a2e03707344u : 0xa4093822299f31d0u, event->key);
        hash = mix(mix(hash, event->value), (uint64_t)event->deleted);
        hash = mix(mix(mix(hash, (uint64_t)event->create), (uint64_t)event->mod), (uint64_t)event->version);
        model->state.words[word] += add ? hash : -hash;
    }
}

struct revision_mark revision_model_mark(const struct revision_model *model) {
    return (struct revision_mark){model->count, model->revision, model->state};
}

void revision_model_undo(struct revision_model *model, const struct revision_mark *mark) {
    LASH_ASSERT(mark->count <= model->count);
    while (model->count > mark->count) {
        const struct revision_event *event = &model->events[--model->count];
        model->newest[event->key] = event->before;
    }
    model->revision = mark->revision;
    model->state = mark->state;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* What the key was after the first `count` changes, and at `revision` unless that is 0; NULL: not there. */
static const struct revision_event *look(const struct revision_model *model, uint32_t key, size_t count,
                                         int64_t revision) {
    uint32_t place = model->newest[key];
    while (place > 0 && (place > count || (revision > 0 && model->events[place - 1].mod > revision)))
        place = model->events[place - 1].before;
    const struct revision_event *event = place ? &model->events[place - 1] : NULL;
    return event && !event->deleted ? event : NULL;
}

static bool result_holds(enum revision_result result, int order) {
    switch (result) {
    case REVISION_EQUAL:
        return order == 0;
    case REVISION_NOT_EQUAL:
        return order != 0;
    case REVISION_GREATER:
        return order > 0;
    case REVISION_LESS:
        return order < 0;
    }
    return false;
}

static bool compare_one(const struct run *run, const struct revision_compare *compare,
                        const struct revision_event *event) {
    if (compare->target == REVISION_VALUE) {
        char *const *values = run->model->history->values.list;
        return event && result_holds(compare->result, strcmp(values[event->value], values[compare->value]));
    }
    int64_t number = 0;
    if (event && compare->target == REVISION_VERSION)
        number = event->version;
    else if (event)
        number = compare->target == REVISION_CREATE ? event->create : event->mod;
    return result_holds(compare->result, (number > compare->number) - (number < compare->number));
}

/* It holds for each key of a range that is there; where none is, as for a key that is not there. */
static bool compare_holds(const struct run *run, const struct revision_compare *compare) {
    bool found = false, holds = true;
    for (uint32_t key = compare->keys.first; key < compare->keys.end && holds; key++) {
        const struct revision_event *event = look(run->model, key, run->begin, 0);
        found = found || event;
        holds = !event || compare_one(run, compare, event);
    }
    return found ? holds : compare_one(run, compare, NULL);
}

/* ---- Changing ------------------------------------------------------------------------------------- */

static void change(struct run *run, uint32_t key, bool deleted, uint32_t value) {
    struct revision_model *model = run->model;
    if (model->count == model->capacity) {
        size_t capacity = model->capacity ? model->capacity * 2 : 256;
        struct revision_event *events = mem_realloc(model->events, capacity * sizeof *events);
        if (!events) {
            run->nomem = true;
            return;
        }
        model->events = events;
        model->capacity = capacity;
    }
    const struct revision_event *old = look(model, key, model->count, 0);
    const struct revision_event *last = revision_model_newest(model, key);
    bool tells = model->history->revisions;
    struct revision_event event = {.key = key, .before = model->newest[key], .deleted = deleted};
    event.mod = tells ? model->revision + 1 : 0;
    if (!deleted) {
        event.value = value;
        event.version = old ? old->version + 1 : 1;
        event.create = old ? old->create : event.mod;
    }
    if (last && !model->history->past)
        state_add(model, last, false);
    LASH_ASSERT(model->events && model->count < model->capacity);
    model->events[model->count++] = event;
    model->newest[key] = (uint32_t)model->count;
    state_add(model, &event, true);
}

/* ---- Requests ------------------------------------------------------------------------------------- */

/* In what follows, an answer that is NULL is not known: nothing is judged by it. */

static const char *seen_differs(const struct revision_seen *seen, const struct revision_event *event) {
    if (seen->value != event->value)
        return "a key has another value";
    if (seen->mod != REVISION_NOT_RECORDED && seen->mod != event->mod)
        return "a key has another mod revision";
    if (seen->create != REVISION_NOT_RECORDED && seen->create != event->create)
        return "a key has another create revision";
    if (seen->version != REVISION_NOT_RECORDED && seen->version != event->version)
        return "a key has another version";
    return NULL;
}

static const char *do_range(const struct run *run, const struct revision_request *request,
                            const struct revision_answer *answer) {
    const struct revision_model *model = run->model;
    if (!answer)
        return NULL;
    if (request->at > model->revision + (model->count > run->begin))
        return "the revision asked for has not been yet";
    int64_t count = 0;
    size_t shown = 0;
    for (uint32_t key = request->keys.first; key < request->keys.end; key++) {
        const struct revision_event *event = look(model, key, model->count, request->at);
        if (!event)
            continue;
        count++;
        if (!answer->recorded || (request->limit > 0 && count > request->limit))
            continue;
        if (shown == answer->seen_count || answer->seen[shown].key != key)
            return shown < answer->seen_count && answer->seen[shown].key < key ? "a key is not there"
                                                                               : "a key is missing from the answer";
        const char *differs = seen_differs(&answer->seen[shown++], event);
        if (differs)
            return differs;
    }
    if (answer->recorded && shown < answer->seen_count)
        return "a key is not there";
    return answer->count == REVISION_NOT_RECORDED || answer->count == count ? NULL : "the count is another";
}

static const char *do_delete(struct run *run, const struct revision_request *request,
                             const struct revision_answer *answer) {
    int64_t deleted = 0;
    for (uint32_t key = request->keys.first; key < request->keys.end && !run->nomem; key++) {
        if (!look(run->model, key, run->model->count, 0))
            continue;
        change(run, key, true, 0);
        deleted++;
    }
    bool same = !answer || answer->deleted == REVISION_NOT_RECORDED || answer->deleted == deleted;
    return same ? NULL : "another number of keys is deleted";
}

static const char *do_request(struct run *run, const struct revision_request *request,
                              const struct revision_answer *answer);

static const char *do_txn(struct run *run, const struct revision_request *request,
                          const struct revision_answer *answer) {
    bool holds = true;
    for (size_t at = 0; at < request->compare_count && holds; at++)
        holds = compare_holds(run, &request->compares[at]);
    if (answer && holds != answer->succeeded)
        return holds ? "the compares hold" : "the compares do not hold";
    const struct revision_request *taken = holds ? request->success : request->failure;
    size_t count = holds ? request->success_count : request->failure_count;
    const char *wrong = NULL;
    for (size_t at = 0; at < count && !wrong; at++)
        wrong = do_request(run, &taken[at], answer ? &answer->answers[at] : NULL);
    return wrong;
}

static const char *do_request(struct run *run, const struct revision_request *request,
                              const struct revision_answer *answer) {
    switch (request->kind) {
    case REVISION_PUT:
        change(run, request->keys.first, false, request->value);
        return NULL;
    case REVISION_DELETE:
        return do_delete(run, request, answer);
    case REVISION_RANGE:
        return do_range(run, request, answer);
    case REVISION_TXN:
        return do_txn(run, request, answer);
    }
    return NULL;
}

const char *revision_model_apply(struct revision_model *model, const struct revision_op *op, bool *nomem) {
    struct run run = {.model = model, .begin = model->count};
    bool known = op->outcome == HISTORY_OK;
    const char *wrong = do_request(&run, &op->request, known ? &op->answer : NULL);
    *nomem = run.nomem;
    if (wrong || run.nomem)
        return wrong;
    model->revision += model->count > run.begin;
    if (known && op->revision > 0 && op->revision != model->revision)
        return op->revision > model->revision ? "its revision is still to come" : "its revision is past";
    return NULL;
}
