/* SPDX-License-Identifier: Apache-2.0
 *
 * Breadth-first search. Of a state that was expanded there remain its fingerprint, and
 * where it came from: its predecessor and which of that one's steps led here.
 * That is enough to walk the way to it once more. Of those at the limit of depth
 * there is the fingerprint alone.
 */
#include "check/search.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/buf.h"
#include "check/fingerprints.h"
#include "check/frontier.h"

#define SEARCH_CHUNK ((uint64_t)1 << 16)
#define SEARCH_CHUNKS_MAX ((uint64_t)1 << 14)
#define SEARCH_NO_ORIGIN UINT32_MAX
#define SEARCH_CLOCK_EVERY 1024

/* Where a state came from. */
struct search_origin {
    uint32_t from; /* the predecessor's number; SEARCH_NO_ORIGIN for initial states */
    uint32_t step; /* which step of it; of an initial state: which one it is */
};

/* A step that leads to a state which may be new. */
struct search_candidate {
    uint64_t fingerprint;
    uint32_t spent;
    uint32_t step;
    uint32_t state[SPACE_WORDS_MAX];
};

struct search {
    struct space *space;
    struct search_limits limits;
    uint32_t words;
    struct fingerprints seen;
    struct fingerprints projections;
    uint64_t projections_hash;
    struct search_origin *origins[SEARCH_CHUNKS_MAX]; /* in chunks, by number */
    struct frontier frontier;                         /* numbered states that were not expanded */
    uint64_t states;
    uint64_t numbered; /* all but those at the limit of depth */
    uint64_t expanded;
    uint64_t level_end; /* the number of the first state of the next level */
    uint32_t *initial;  /* states */
    uint32_t initial_count;
    struct search_candidate *candidates; /* of the state being expanded */
    uint32_t candidate_count;
    uint32_t candidates_max;
    uint32_t steps; /* of that state */
    bool no_memory;
    double started;
    double told;
    uint64_t told_states;
    struct search_result result;
    uint64_t violation_from;
    uint32_t violation_step;
};

static double search_clock(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct search *search_new(struct space *space, const struct search_limits *limits) {
    struct search *search = mem_calloc(1, sizeof *search);
    if (search == NULL)
        return NULL;
    search->space = space;
    search->limits = *limits;
    search->words = space_words(space);
    frontier_init(&search->frontier, space_bounds(space)->nodes + 1, search->words);
    if (!fingerprints_init(&search->seen) || !fingerprints_init(&search->projections)) {
        search_free(search);
        return NULL;
    }
    return search;
}

void search_free(struct search *search) {
    if (search == NULL)
        return;
    for (uint64_t i = 0; i < SEARCH_CHUNKS_MAX; i++)
        mem_free(search->origins[i]);
    frontier_free(&search->frontier);
    fingerprints_free(&search->seen);
    fingerprints_free(&search->projections);
    mem_free(search->initial);
    mem_free(search->candidates);
    mem_free(search);
}

/* ---- Visited and to be visited ----------------------------------------------------------------- */

static size_t search_memory(const struct search *search) {
    uint64_t chunks = search->numbered / SEARCH_CHUNK + 1;
    return space_memory(search->space) + fingerprints_memory(&search->seen) +
           fingerprints_memory(&search->projections) + search->frontier.memory +
           (size_t)(chunks * SEARCH_CHUNK * sizeof(struct search_origin));
}

/* Give the state a number, and put it into the frontier. */
static bool search_number(struct search *search, const uint32_t *state, uint32_t from, uint32_t step) {
    uint64_t chunk = search->numbered / SEARCH_CHUNK;
    if (search->numbered % SEARCH_CHUNK == 0) {
        if (chunk == SEARCH_CHUNKS_MAX || search->numbered >= SEARCH_NO_ORIGIN - SEARCH_CHUNK)
            return false;
        if (search->limits.memory != 0 && search_memory(search) > search->limits.memory)
            return false;
        search->origins[chunk] = mem_alloc(SEARCH_CHUNK * sizeof(struct search_origin));
        if (search->origins[chunk] == NULL)
            return false;
    }
    search->origins[chunk][search->numbered % SEARCH_CHUNK] = (struct search_origin){.from = from, .step = step};
    search->numbered++;
    return frontier_push(&search->frontier, state);
}

static void search_project(struct search *search, const uint32_t *state) {
    uint64_t projection = space_projection(search->space, state);
    enum fingerprints_added added = fingerprints_add(&search->projections, projection, 0, search->limits.memory);
    search->no_memory |= added == FINGERPRINTS_NO_MEMORY;
    if (added == FINGERPRINTS_NEW)
        search->projections_hash += projection;
}

/* Whether what is visited now is as far as the search goes. */
static bool search_at_limit(const struct search *search) {
    return search->limits.depth != 0 && search->result.depth + 1 == search->limits.depth && search->level_end > 0;
}

/* Note a state unless it was seen. */
static void search_visit(struct search *search, const struct search_candidate *candidate, uint32_t from) {
    /* Half of the memory is the most for the set: the other half is for where states came from, and the frontier. */
    enum fingerprints_added added =
        fingerprints_add(&search->seen, candidate->fingerprint, candidate->spent, search->limits.memory);
    search->no_memory |= added == FINGERPRINTS_NO_MEMORY;
    if (added != FINGERPRINTS_NEW)
        return;
    if (!search_at_limit(search) && !search_number(search, candidate->state, from, candidate->step)) {
        search->no_memory = true;
        return;
    }
    search->states++;
    if (search->limits.projections)
        search_project(search, candidate->state);
}

bool search_add(struct search *search, const uint32_t *state) {
    size_t size = search->words * sizeof state[0];
    struct search_candidate candidate = {.step = search->initial_count};
    uint32_t *initial = mem_realloc(search->initial, (search->initial_count + 1) * size);
    if (initial == NULL)
        return false;
    search->initial = initial;
    memcpy(&initial[(size_t)search->initial_count * search->words], state, size);
    memcpy(candidate.state, state, size);
    candidate.fingerprint = space_fingerprint(search->space, state);
    candidate.spent = space_spent(search->space, state);
    search_visit(search, &candidate, SEARCH_NO_ORIGIN);
    search->initial_count++;
    return !search->no_memory;
}

/* ---- Expansion --------------------------------------------------------------------------------- */

static bool search_candidate_room(struct search *search) {
    if (search->candidate_count < search->candidates_max)
        return true;
    uint32_t max = search->candidates_max == 0 ? 256 : search->candidates_max * 2;
    struct search_candidate *candidates = mem_realloc(search->candidates, max * sizeof candidates[0]);
    if (candidates == NULL)
        return false;
    search->candidates = candidates;
    search->candidates_max = max;
    return true;
}

/* Note a step; its fingerprint is looked up once the memory that holds it was fetched. */
static bool search_note(void *context, const struct space_step *step) {
    struct search *search = context;
    uint32_t number = search->steps++;
    if (step->verdict != NULL) {
        search->result.verdict = *step->verdict;
        search->violation_step = number;
        return false;
    }
    if (!search_candidate_room(search)) {
        search->no_memory = true;
        return false;
    }
    struct search_candidate *candidate = &search->candidates[search->candidate_count++];
    candidate->fingerprint = step->fingerprint;
    candidate->spent = step->spent;
    candidate->step = number;
    memcpy(candidate->state, step->state, search->words * sizeof step->state[0]);
    fingerprints_prefetch(&search->seen, step->fingerprint);
    return true;
}

static void search_expand(struct search *search) {
    uint32_t state[SPACE_WORDS_MAX];
    uint64_t number = search->expanded;
    frontier_pop(&search->frontier, state);
    search->steps = 0;
    search->candidate_count = 0;
    search->no_memory |= !space_expand(search->space, state, search_note, search);
    if (search->result.verdict.invariant != NULL) {
        search->violation_from = number;
        return;
    }
    search->result.transitions += search->candidate_count;
    bool in_flight = state[space_bounds(search->space)->nodes + 1] != 0;
    search->result.stuck += search->candidate_count == 0 && in_flight;
    for (uint32_t i = 0; i < search->candidate_count && !search->no_memory; i++)
        search_visit(search, &search->candidates[i], (uint32_t)number);
    search->expanded = number + 1;
}

static void search_tell(struct search *search, double now) {
    if (search->limits.progress <= 0 || now < search->told + search->limits.progress)
        return;
    (void)fprintf(stderr, "%s: %llu states, depth %u, %llu in the queue, %.0f states/s, %zu MB\n", search->limits.name,
                  (unsigned long long)search->states, search->result.depth,
                  (unsigned long long)(search->numbered - search->expanded),
                  (double)(search->states - search->told_states) / (now - search->told), search_memory(search) >> 20);
    search->told = now;
    search->told_states = search->states;
}

/* SEARCH_COMPLETE while the search may go on. */
static enum search_end search_limit(struct search *search) {
    const struct search_limits *limits = &search->limits;
    if (search->result.verdict.invariant != NULL)
        return SEARCH_VIOLATION;
    if (search->no_memory)
        return SEARCH_MEMORY;
    if (limits->states != 0 && search->states >= limits->states)
        return SEARCH_STATES;
    if (search->expanded % SEARCH_CLOCK_EVERY != 0)
        return SEARCH_COMPLETE;
    double now = search_clock();
    search_tell(search, now);
    return limits->seconds > 0 && now > search->started + limits->seconds ? SEARCH_TIME : SEARCH_COMPLETE;
}

/* Expand one level after the other. */
static enum search_end search_levels(struct search *search) {
    while (search->expanded < search->numbered) {
        search->level_end = search->numbered;
        while (search->expanded < search->level_end) {
            enum search_end end = search_limit(search);
            if (end != SEARCH_COMPLETE)
                return end;
            search_expand(search);
        }
        enum search_end end = search_limit(search);
        if (end == SEARCH_VIOLATION || end == SEARCH_MEMORY)
            return end;
        /* The last level led to nothing new. */
        if (search->states > search->level_end)
            search->result.depth++;
    }
    return search->states > search->numbered ? SEARCH_DEPTH : SEARCH_COMPLETE;
}

void search_run(struct search *search, struct search_result *result) {
    search->started = search->told = search_clock();
    for (uint32_t i = 0; i < search->initial_count && search->result.verdict.invariant == NULL; i++) {
        search->violation_from = UINT64_MAX - i;
        (void)space_judge(search->space, &search->initial[(size_t)i * search->words], &search->result.verdict);
    }
    search->result.end = search_levels(search);
    search->result.states = search->states;
    search->result.frontier = search->states - search->expanded;
    search->result.steps = replicas_steps(space_replicas(search->space));
    search->result.clipped = space_clipped(search->space);
    search->result.projections = search->projections.count;
    search->result.projections_hash = search->projections_hash;
    search->result.seconds = search_clock() - search->started;
    search->result.memory = search_memory(search);
    *result = search->result;
}

/* ---- The way to a violation -------------------------------------------------------------------- */

/* Looks for one step by its number. */
struct search_retrace_one {
    uint32_t wanted;
    uint32_t seen;
    struct space_step step;
    uint32_t state[SPACE_WORDS_MAX];
    uint32_t words;
};

static bool search_pick(void *context, const struct space_step *step) {
    struct search_retrace_one *one = context;
    if (one->seen++ != one->wanted)
        return true;
    one->step = *step;
    memcpy(one->state, step->state, one->words * sizeof one->state[0]);
    one->step.state = one->state;
    return false;
}

void search_retrace(struct search *search,
                    void (*show)(void *context, uint32_t number, const uint32_t *before, const struct space_step *step),
                    void *context) {
    LASH_ASSERT(search->result.verdict.invariant != NULL);
    bool at_once = search->violation_from > UINT32_MAX;
    uint32_t length = 0;
    uint64_t at = search->violation_from;
    const struct search_origin *origin = NULL;
    uint32_t initial = at_once ? (uint32_t)(UINT64_MAX - at) : 0;
    for (; !at_once; at = origin->from) {
        origin = &search->origins[at / SEARCH_CHUNK][at % SEARCH_CHUNK];
        if (origin->from == SEARCH_NO_ORIGIN) {
            initial = origin->step;
            break;
        }
        length++;
    }
    uint32_t state[SPACE_WORDS_MAX];
    memcpy(state, &search->initial[(size_t)initial * search->words], search->words * sizeof state[0]);
    show(context, 0, state, NULL);
    for (uint32_t number = 1; !at_once && number <= length + 1; number++) {
        struct search_retrace_one one = {.wanted = search->violation_step, .words = search->words};
        at = search->violation_from;
        for (uint32_t back = length; back >= number; back--) {
            origin = &search->origins[at / SEARCH_CHUNK][at % SEARCH_CHUNK];
            one.wanted = origin->step;
            at = origin->from;
        }
        (void)space_expand(search->space, state, search_pick, &one);
        LASH_ASSERT(one.seen == one.wanted + 1);
        show(context, number, state, &one.step);
        memcpy(state, one.state, search->words * sizeof state[0]);
    }
}
