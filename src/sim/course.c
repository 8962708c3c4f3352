/* SPDX-License-Identifier: Apache-2.0
 *
 * The courses.
 */
#include "sim/course.h"

#include <string.h>

#include "base/assert.h"
#include "raft/random.h"
#include "sim/kit.h"

static const struct course_step fixed[] = {
    {COURSE_OPEN, 0, 0, 0, 0, 0},
    {COURSE_VOTE, 1, 1, 0, 0, 0},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_APPEND, 1, 1, 1, 16, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_APPEND, 2, 3, 1, 40, 1},
    {COURSE_APPEND, 5, 1, 1, 8, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_MARK, 0, 0, 0, 0, 0},
    {COURSE_APPEND_VOTE, 6, 4, 2, 100, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_APPEND, 10, 2, 2, 200, 1}, /* never synced in its place: replaced from index 10 on */
    {COURSE_APPEND, 10, 1, 3, 300, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_APPEND, 7, 2, 3, 600, 1}, /* replaces the middle of a frame */
    {COURSE_APPEND, 9, 6, 3, 130, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_READ, 0, 0, 0, 0, 0},
    {COURSE_MARK, 0, 0, 0, 0, 0},
    {COURSE_CLOSE, 0, 0, 0, 0, 0},
    {COURSE_OPEN, 0, 0, 0, 0, 0},
    {COURSE_READ, 0, 0, 0, 0, 0},
    {COURSE_BATCH, 15, 1, 3, 500, 3},
    {COURSE_APPEND, 18, 3, 3, 500, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_VOTE, 4, 3, 0, 0, 0},
    {COURSE_APPEND, 21, 1, 4, (size_t)2 * KIT_SEGMENT, 1}, /* a segment of its own size */
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_TRIM, 10, 0, 0, 0, 0},
    {COURSE_APPEND, 22, 5, 4, 400, 1},
    {COURSE_APPEND, 27, 5, 4, 400, 1},
    {COURSE_TRIM, 26, 0, 0, 0, 0},
    {COURSE_APPEND_VOTE, 32, 5, 5, 400, 1},
    {COURSE_APPEND, 37, 5, 5, 400, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_READ, 0, 0, 0, 0, 0},
    {COURSE_MARK, 0, 0, 0, 0, 0},
    {COURSE_TRIM, 41, 0, 0, 0, 0},
    {COURSE_APPEND, 42, 7, 5, 400, 1}, /* into a recycled file */
    {COURSE_APPEND, 44, 1, 6, 10, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_CLOSE, 0, 0, 0, 0, 0},
    {COURSE_OPEN, 0, 0, 0, 0, 0},
    {COURSE_VOTE, 9, 2, 0, 0, 0},
    {COURSE_APPEND, 45, 6, 7, 400, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_APPEND, 51, 6, 7, 400, 1},
    {COURSE_APPEND, 57, 1, 7, 10, 1},
    {COURSE_TRIM, 48, 0, 0, 0, 0},
    {COURSE_READ, 0, 0, 0, 0, 0},
    {COURSE_INSTALL, 52, 0, 7, 0, 0}, /* an entry that the log has: nothing goes */
    {COURSE_INSTALL, 70, 0, 9, 0, 0}, /* far beyond its end */
    {COURSE_APPEND, 71, 5, 9, 400, 1},
    {COURSE_SYNC, 0, 0, 0, 0, 0},
    {COURSE_APPEND, 76, 2, 9, 400, 1},
    {COURSE_INSTALL, 73, 0, 12, 0, 0}, /* an entry of another term, in a term that the log has not reached */
    {COURSE_APPEND, 74, 1, 12, 40, 1},
    {COURSE_DIRECT, 75, 2, 12, 40, 1},  /* behind what is not synced */
    {COURSE_DIRECT, 76, 1, 13, 300, 1}, /* replaces */
    {COURSE_APPEND, 77, 1, 13, 40, 1},
    {COURSE_DIRECT, 78, 1, 13, (size_t)2 * KIT_SEGMENT,
     1}, /* which takes a segment, so that the log itself writes it */
    {COURSE_DIRECT, 79, 1, 13, 40, 1},
    {COURSE_CLOSE, 0, 0, 0, 0, 0},
    {COURSE_OPEN, 0, 0, 0, 0, 0},
    {COURSE_READ, 0, 0, 0, 0, 0},
    {COURSE_MARK, 0, 0, 0, 0, 0},
};

_Static_assert(sizeof fixed / sizeof *fixed <= COURSE_STEPS_MAX, "the course fits");

void course_fixed(struct course *course) {
    course->dir = "d";
    course->count = sizeof fixed / sizeof *fixed;
    memcpy(course->steps, fixed, sizeof fixed);
}

/* ---- By chance ------------------------------------------------------------------------------------ */

enum { DRAWN_STEPS = 64, ENTRIES_MAX = KIT_ENTRIES_MAX - 64 };

/* What the log will be by then. */
struct drawing {
    struct course *course;
    uint64_t random;
    lash_index first;
    lash_index last;
    lash_term term; /* of the last entry, and of the last vote */
};

static uint64_t draw(struct drawing *drawing, uint64_t low, uint64_t high) {
    return random_between(&drawing->random, low, high - low + 1);
}

static void add(struct drawing *drawing, struct course_step step) {
    LASH_ASSERT(drawing->course->count < COURSE_STEPS_MAX);
    drawing->course->steps[drawing->course->count++] = step;
}

/* Most entries are small; some take several sectors, and one in twenty a segment of its own size. */
static size_t draw_size(struct drawing *drawing) {
    switch (draw(drawing, 0, 19)) {
    case 0:
        return KIT_SEGMENT + (size_t)draw(drawing, 0, KIT_SEGMENT);
    case 1:
    case 2:
    case 3:
    case 4:
        return (size_t)draw(drawing, 400, 1300);
    default:
        return (size_t)draw(drawing, 8, 200);
    }
}

static void add_append(struct drawing *drawing, enum course_action action) {
    struct course_step step = {action, drawing->last + 1, draw(drawing, 1, 4), drawing->term, draw_size(drawing), 1};
    if (action == COURSE_BATCH)
        step.frames = (uint32_t)draw(drawing, 2, 4);
    if (step.size > KIT_SEGMENT)
        step.b = step.frames = 1;
    bool truncates = draw(drawing, 0, 3) == 0 && drawing->last >= drawing->first;
    if (truncates) {
        lash_index low = drawing->last - drawing->first > 8 ? drawing->last - 8 : drawing->first;
        step.a = draw(drawing, low, drawing->last);
    }
    if (truncates || action == COURSE_APPEND_VOTE || drawing->term == 0)
        step.term = ++drawing->term;
    drawing->last = step.a + step.b * step.frames - 1;
    add(drawing, step);
}

static void add_trim(struct drawing *drawing) {
    if (drawing->last < drawing->first)
        return;
    lash_index index = draw(drawing, drawing->first, drawing->last);
    add(drawing, (struct course_step){COURSE_TRIM, index, 0, 0, 0, 0});
    drawing->first = index + 1;
}

/* Mostly beyond the end, else somewhere in the log, in whose place the script knows what to expect. */
static void add_install(struct drawing *drawing) {
    lash_index index = drawing->last + draw(drawing, 1, 9);
    if (draw(drawing, 0, 2) == 0 && drawing->last >= drawing->first)
        index = draw(drawing, drawing->first, drawing->last);
    add(drawing, (struct course_step){COURSE_INSTALL, index, 0, ++drawing->term, 0, 0});
    drawing->first = index + 1;
    drawing->last = index;
}

static void add_some(struct drawing *drawing) {
    uint64_t chance = draw(drawing, 0, 99);
    bool room = drawing->last < ENTRIES_MAX;
    if (chance < 28 && room) {
        add_append(drawing, COURSE_APPEND);
    } else if (chance < 36 && room) {
        add_append(drawing, COURSE_DIRECT);
    } else if (chance < 44 && room) {
        add_append(drawing, COURSE_APPEND_VOTE);
    } else if (chance < 54 && room) {
        add_append(drawing, COURSE_BATCH);
    } else if (chance < 60) {
        add(drawing, (struct course_step){COURSE_VOTE, ++drawing->term, draw(drawing, 0, 3), 0, 0, 0});
    } else if (chance < 82) {
        add(drawing, (struct course_step){COURSE_SYNC, 0, 0, 0, 0, 0});
    } else if (chance < 87) {
        add(drawing, (struct course_step){COURSE_MARK, 0, 0, 0, 0, 0});
    } else if (chance < 92) {
        add_trim(drawing);
    } else if (chance < 94 && room) {
        add_install(drawing);
    } else if (chance < 96) {
        add(drawing, (struct course_step){COURSE_CLOSE, 0, 0, 0, 0, 0});
        add(drawing, (struct course_step){COURSE_OPEN, 0, 0, 0, 0, 0});
    } else if (drawing->last >= drawing->first) {
        add(drawing, (struct course_step){COURSE_READ, 0, 0, 0, 0, 0});
    }
}

void course_draw(struct course *course, uint64_t seed) {
    struct drawing drawing = {.course = course, .random = seed, .first = 1};
    course->dir = "a/b/d";
    course->count = 0;
    add(&drawing, (struct course_step){COURSE_OPEN, 0, 0, 0, 0, 0});
    while (course->count < DRAWN_STEPS)
        add_some(&drawing);
}
