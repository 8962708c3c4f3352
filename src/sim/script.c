/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries out the steps of a course.
 */
#include "sim/script.h"

#include <stdlib.h>

#include "base/assert.h"
#include "sim/memfs.h"
#include "storage/log_state.h"

enum { BATCH_MAX = 4 };

struct script *script_new(const struct vfs *vfs, const struct course *course) {
    struct script *script = calloc(1, sizeof *script);
    LASH_ASSERT(script);
    script->course = course;
    script->options = kit_options(vfs, course->dir);
    script->states[0].first = 1;
    return script;
}

void script_free(struct script *script) {
    log_close(script->log);
    free(script);
}

/* The state that the next modification leads to, to be filled in; counts as tried. */
static struct kit_state *next_state(struct script *script) {
    LASH_ASSERT(script->done < COURSE_STEPS_MAX);
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

/* What is found is durable. It is less than what was done only when the disk failed while the log was closed, which
 * nobody was told: there the course ends. */
static int step_open(struct script *script) {
    size_t found;
    if (script->log)
        return LASH_OK;
    int rc = script_find(&script->options, script->states, script->synced, script->done, &script->log, &found);
    if (rc) {
        log_close(script->log);
        script->log = NULL;
        return rc;
    }
    LASH_ASSERT(script->log);
    script->begun = true;
    script->lost = found < script->done;
    script->synced = script->done = script->tried = found;
    return script->lost ? LASH_UNKNOWN : LASH_OK;
}

static int step_vote(struct script *script, const struct course_step *step) {
    struct kit_state *state = next_state(script);
    state->term = step->a;
    state->vote = step->b;
    return modified(script, kit_vote(script->log, step->a, step->b));
}

/* Append and sync; what cannot be written past the cache, the log writes itself. */
static int append_directly(struct script *script, const struct log_item *items, size_t count) {
    struct log_write write;
    int rc = log_prepare(script->log);
    if (rc && rc != LASH_FULL)
        return rc;
    rc = log_append_begin(script->log, items, count, &write);
    if (!rc) {
        memfs_carry_out(script->options.vfs, &write);
        rc = log_append_end(script->log, &write, true);
        if (!rc)
            return LASH_OK;
    }
    if (rc == LASH_BUSY)
        rc = log_append(script->log, items, count);
    return rc ? rc : log_sync(script->log);
}

static int step_append(struct script *script, const struct course_step *step) {
    struct kit_state *state = next_state(script);
    uint64_t salt = script->done; /* tells one try from a later one */
    struct log_item items[BATCH_MAX] = {{0}};
    LASH_ASSERT(step->frames >= 1 && step->frames <= BATCH_MAX);
    int rc = LASH_OK;
    for (uint32_t i = 0; i < step->frames; i++) {
        lash_index first = step->a + i * step->b;
        kit_state_append(state, first, (uint32_t)step->b, step->term, salt);
        items[i].first = first;
        items[i].frame = kit_frame(first, (uint32_t)step->b, step->term, salt, step->size);
        if (!items[i].frame)
            rc = LASH_NOMEM;
    }
    if (step->action == COURSE_APPEND_VOTE) {
        items[0].save_vote = true;
        state->term = items[0].term = step->term;
        state->vote = items[0].vote = 2;
    }
    bool direct = step->action == COURSE_DIRECT;
    if (!rc)
        rc = direct ? append_directly(script, items, step->frames) : log_append(script->log, items, step->frames);
    for (uint32_t i = 0; i < step->frames; i++)
        buf_unref(items[i].frame);
    rc = modified(script, rc);
    if (!rc && direct)
        script->synced = script->done;
    return rc;
}

static int step_sync(struct script *script) {
    int rc = log_sync(script->log);
    if (!rc)
        script->synced = script->done;
    return rc;
}

/* A trim that failed half-way is tried again, and is one modification all the same. */
static int step_trim(struct script *script, const struct course_step *step) {
    struct kit_state *state = next_state(script);
    kit_state_trim(state, step->a);
    int rc = modified(script, log_trim(script->log, step->a));
    if (!rc)
        script->synced = script->done;
    return rc;
}

static int step_install(struct script *script, const struct course_step *step) {
    struct kit_state *state = next_state(script);
    kit_state_install(state, step->a, step->term);
    bool resets = state->first != script->states[script->done].first;
    int rc = modified(script, log_install(script->log, step->a, step->term, NULL));
    if (!rc && resets)
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

static int step_run(struct script *script, const struct course_step *step) {
    switch (step->action) {
    case COURSE_OPEN:
        return step_open(script);
    case COURSE_VOTE:
        return step_vote(script, step);
    case COURSE_APPEND:
    case COURSE_APPEND_VOTE:
    case COURSE_BATCH:
    case COURSE_DIRECT:
        return step_append(script, step);
    case COURSE_SYNC:
        return step_sync(script);
    case COURSE_MARK:
        return log_mark(script->log);
    case COURSE_TRIM:
        return step_trim(script, step);
    case COURSE_INSTALL:
        return step_install(script, step);
    case COURSE_READ:
        return step_read(script);
    case COURSE_CLOSE:
        return step_close(script);
    }
    return LASH_INVALID;
}

int script_run(struct script *script) {
    for (; script->at < script->course->count; script->at++) {
        int rc = step_run(script, &script->course->steps[script->at]);
        if (rc)
            return rc;
    }
    return LASH_OK;
}

int script_vote(struct script *script) {
    struct course_step step = {COURSE_VOTE, script->states[script->done].term + 1, 1, 0, 0, 0};
    int rc = step_vote(script, &step);
    return rc ? rc : step_sync(script);
}

int script_find(const struct log_options *options, const struct kit_state *states, size_t low, size_t high,
                struct log **log, size_t *found) {
    struct log_recovered recovered;
    *log = NULL;
    int rc = log_open(options, log, &recovered);
    if (rc)
        return rc;
    struct kit_state state;
    rc = kit_read(*log, &recovered, &state);
    log_recovered_free(&recovered);
    if (rc)
        return rc;
    for (*found = low; *found <= high; ++*found)
        if (kit_equal(&state, &states[*found]))
            return LASH_OK;
    return LASH_UNKNOWN;
}
