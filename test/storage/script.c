/* SPDX-License-Identifier: Apache-2.0
 *
 * The course, as a table.
 */
#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "storage/log_state.h"

enum action { OPEN, VOTE, APPEND, APPEND_VOTE, SYNC, MARK, TRIM, READ, CLOSE };

struct step {
    enum action action;
    uint64_t a; /* term, first index, or index */
    uint64_t b; /* vote, or count */
    lash_term term;
    size_t size;
};

static const struct step steps[] = {
    {OPEN, 0, 0, 0, 0},      {VOTE, 1, 1, 0, 0},
    {SYNC, 0, 0, 0, 0},      {APPEND, 1, 1, 1, 16},
    {SYNC, 0, 0, 0, 0},      {APPEND, 2, 3, 1, 40},
    {APPEND, 5, 1, 1, 8},    {SYNC, 0, 0, 0, 0},
    {MARK, 0, 0, 0, 0},      {APPEND_VOTE, 6, 4, 2, 100},
    {SYNC, 0, 0, 0, 0},      {APPEND, 10, 2, 2, 200}, /* never synced in its place: replaced from index 10 on */
    {APPEND, 10, 1, 3, 300}, {SYNC, 0, 0, 0, 0},
    {APPEND, 7, 2, 3, 600}, /* replaces the middle of a frame */
    {APPEND, 9, 6, 3, 130},  {SYNC, 0, 0, 0, 0},
    {READ, 0, 0, 0, 0},      {MARK, 0, 0, 0, 0},
    {CLOSE, 0, 0, 0, 0},     {OPEN, 0, 0, 0, 0},
    {READ, 0, 0, 0, 0},      {APPEND, 15, 3, 3, 500},
    {APPEND, 18, 3, 3, 500}, {SYNC, 0, 0, 0, 0},
    {VOTE, 4, 3, 0, 0},      {APPEND, 21, 1, 4, 2 * KIT_SEGMENT}, /* a segment of its own size */
    {SYNC, 0, 0, 0, 0},      {TRIM, 10, 0, 0, 0},
    {APPEND, 22, 5, 4, 400}, {APPEND, 27, 5, 4, 400},
    {TRIM, 26, 0, 0, 0},     {APPEND_VOTE, 32, 5, 5, 400},
    {APPEND, 37, 5, 5, 400}, {SYNC, 0, 0, 0, 0},
    {READ, 0, 0, 0, 0},      {MARK, 0, 0, 0, 0},
    {TRIM, 41, 0, 0, 0},     {APPEND, 42, 7, 5, 400}, /* into a recycled file */
    {APPEND, 44, 1, 6, 10},  {SYNC, 0, 0, 0, 0},
    {CLOSE, 0, 0, 0, 0},     {OPEN, 0, 0, 0, 0},
    {VOTE, 9, 2, 0, 0},      {APPEND, 45, 6, 7, 400},
    {SYNC, 0, 0, 0, 0},      {APPEND, 51, 6, 7, 400},
    {APPEND, 57, 1, 7, 10},  {TRIM, 48, 0, 0, 0},
    {READ, 0, 0, 0, 0},      {MARK, 0, 0, 0, 0},
};

struct script *script_new(const struct vfs *vfs) {
    struct script *script = calloc(1, sizeof *script);
    LASH_ASSERT(script);
    script->options = kit_options(vfs, "d");
    script->states[0].first = 1;
    return script;
}

void script_free(struct script *script) {
    log_close(script->log);
    free(script);
}

size_t script_length(void) {
    return sizeof steps / sizeof *steps;
}

/* The state that the next modification leads to, to be filled in; counts as tried. */
static struct kit_state *next_state(struct script *script) {
    LASH_ASSERT(script->done + 1 < SCRIPT_STATES_MAX);
    script->tried = script->done + 1;
    script->states[script->tried] = script->states[script->done];
    return &script->states[script->tried];
}

/* What an error leaves is decided by what follows: the same step again, or recovery. */
static int modified(struct script *script, int rc) {
    if (!rc)
        script->done = script->tried;
    return rc;
}

static int step_open(struct script *script) {
    struct log_recovered recovered;
    if (script->log)
        return LASH_OK;
    int rc = log_open(&script->options, &script->log, &recovered);
    if (rc)
        return rc;
    log_recovered_free(&recovered);
    script->log->index.cached_bytes_max = 2000; /* so that reads come from the disk as well */
    return LASH_OK;
}

static int step_vote(struct script *script, const struct step *step) {
    struct kit_state *state = next_state(script);
    state->term = step->a;
    state->vote = step->b;
    return modified(script, kit_vote(script->log, step->a, step->b));
}

static int step_append(struct script *script, const struct step *step) {
    struct kit_state *state = next_state(script);
    uint64_t salt = script->done; /* tells one try from a later one */
    kit_state_append(state, step->a, (uint32_t)step->b, step->term, salt);
    struct buf *frame = kit_frame(step->a, (uint32_t)step->b, step->term, salt, step->size);
    if (!frame)
        return LASH_NOMEM;
    struct log_item item = {.frame = frame, .first = step->a};
    if (step->action == APPEND_VOTE) {
        item.save_vote = true;
        state->term = item.term = step->term;
        state->vote = item.vote = 2;
    }
    int rc = log_append(script->log, &item, 1);
    buf_unref(frame);
    return modified(script, rc);
}

static int step_sync(struct script *script) {
    int rc = log_sync(script->log);
    if (!rc)
        script->synced = script->done;
    return rc;
}

/* A trim that failed half-way is tried again, and is one modification all the same. */
static int step_trim(struct script *script, const struct step *step) {
    struct kit_state *state = next_state(script);
    kit_state_trim(state, step->a);
    int rc = modified(script, log_trim(script->log, step->a));
    if (!rc)
        script->synced = script->done;
    return rc;
}

/* The log as it is must be the state that was reached; only healthy memory and disks read without an error. */
static int step_read(struct script *script) {
    const struct kit_state *state = &script->states[script->done];
    struct buf **frames;
    size_t count;
    int rc = log_read(script->log, state->first, state->last, UINT64_MAX, &frames, &count);
    if (rc)
        return rc;
    struct frame frame;
    rc = frame_header(frames[0]->data, &frame);
    LASH_ASSERT(!rc && frame.first <= state->first);
    rc = frame_header(frames[count - 1]->data, &frame);
    LASH_ASSERT(!rc && frame.first + frame.count - 1 == state->last);
    for (size_t i = 0; i < count; i++)
        buf_unref(frames[i]);
    mem_free(frames);
    return LASH_OK;
}

/* Closing syncs when it can, and says nothing when it cannot. */
static int step_close(struct script *script) {
    log_close(script->log);
    script->log = NULL;
    return LASH_OK;
}

int script_step(struct script *script, size_t i) {
    const struct step *step = &steps[i];
    switch (step->action) {
    case OPEN:
        return step_open(script);
    case VOTE:
        return step_vote(script, step);
    case APPEND:
    case APPEND_VOTE:
        return step_append(script, step);
    case SYNC:
        return step_sync(script);
    case MARK:
        return log_mark(script->log);
    case TRIM:
        return step_trim(script, step);
    case READ:
        return step_read(script);
    case CLOSE:
        return step_close(script);
    }
    return LASH_INVALID;
}

int script_run(struct script *script, size_t *i) {
    for (; *i < script_length(); ++*i) {
        int rc = script_step(script, *i);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

int script_find(struct script *script, size_t *found) {
    LASH_ASSERT(!script->log);
    struct log_recovered recovered;
    int rc = log_open(&script->options, &script->log, &recovered);
    if (rc)
        return rc;
    struct kit_state state;
    rc = kit_read(script->log, &recovered, &state);
    log_recovered_free(&recovered);
    if (rc)
        return rc;
    for (*found = script->synced; *found <= script->tried; ++*found)
        if (kit_equal(&state, &script->states[*found]))
            return LASH_OK;
    return LASH_UNKNOWN;
}

void script_settle(struct script *script, size_t found) {
    log_close(script->log);
    script->log = NULL;
    script->done = script->tried = script->synced = found;
}
