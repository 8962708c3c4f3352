/* SPDX-License-Identifier: Apache-2.0
 *
 * The enumeration. A course runs on a disk in memory whose hook, before each
 * operation, takes copies of the disk and lets each lose its power in another way; the
 * course itself goes on undisturbed. On each copy the log is recovered and judged:
 *
 *   D1  what was synced is there, and the log itself once it was opened
 *   D2  what is there is a state that the log went through: no gap, nothing made up
 *   D3  no outcome of a mere crash is taken for corruption, and nothing synced is dropped
 *
 * Recovery is stopped at each of its operations in the same way: it must then come to the
 * same result. Afterwards the log is written to, crashes once more and is recovered again.
 */
#include "sim/crash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "lash/log.h"
#include "raft/random.h"
#include "sim/script.h"

enum {
    POINTS_MAX = 4096,     /* that one loss of power decides on */
    VIOLATIONS_MAX = 5,    /* then it stops */
    FAULT_CRASHES_MAX = 5, /* moments to stop the machine at after a fault */
    FAULT_LIMIT = 12,      /* outcomes of each */
    LINE_SIZE = 512,
};

/* What recovery may find: states[low] .. states[high]. */
struct range {
    const struct kit_state *states;
    size_t low;
    size_t high;
    bool begun;
};

/* A disk with a process on it. */
struct process {
    struct memfs *fs; /* its own */
    struct vfs vfs;   /* the disk's, or a liar's */
    struct log_options options;
    struct log *log;
};

/* A course under enumeration. */
struct crash {
    const struct crash_options *options;
    struct crash_counts *counts;
    uint64_t number;
    struct course course;
    struct script *script;
    struct process process; /* the course's own; its log is the script's */
    uint64_t operation;     /* of the course, from 1 */
    uint64_t only;          /* 0: at every operation */
    const char *kind;       /* of the operation */
    char path[64];
    const char *fault; /* what the course met with; NULL: nothing */
    uint64_t fault_at;
    unsigned fault_crashes;
    uint64_t limit; /* outcomes of each moment */
    uint64_t nested_every;
    /* The moment looked at last. */
    uint64_t changes;
    size_t tried;
    size_t synced;
    uint64_t random;
    struct kit_state after[4]; /* what a recovered log goes through */
};

static char last_error[LINE_SIZE];

/* The log's lines for operators: the last error is kept, to explain a violation. */
static void keep_line(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    if (level == LASH_LOG_ERROR)
        snprintf(last_error, sizeof last_error, "%s", line);
}

static bool stopped(const struct crash *crash) {
    if (crash->counts->violations >= VIOLATIONS_MAX)
        return true;
    return crash->options->progress && !crash->options->progress(crash->options->context);
}

static void violation(const struct crash *crash, const char *when, int rc, const struct range *range) {
    crash->counts->violations++;
    if (crash->options->quiet)
        return;
    printf("VIOLATION: course %" PRIu64 ", operation %" PRIu64 " (%s %s)", crash->number, crash->operation, crash->kind,
           crash->path);
    if (crash->fault)
        printf(", after %s at operation %" PRIu64, crash->fault, crash->fault_at);
    printf(", %s: %s; allowed were states %zu to %zu%s%s\n", when,
           rc == LASH_UNKNOWN ? "what was recovered must not be" : lash_strerror(rc), range->low, range->high,
           *last_error ? "; the log said: " : "", last_error);
    /* Which outcomes a sample takes depends on all of the limits. */
    printf("  again: lash-sim crash --seed %" PRIu64 " --script %" PRIu64 " %s %" PRIu64 " --limit %" PRIu64
           " --nested %" PRIu64 " --nested-every %" PRIu64 "\n",
           crash->options->seed, crash->number, crash->fault ? "--fault-at" : "--at",
           crash->fault ? crash->fault_at : crash->operation, crash->options->limit, crash->options->nested_limit,
           crash->options->nested_every);
}

/* ---- One process ---------------------------------------------------------------------------------- */

/* Takes `fs` over. */
static void process_begin(const struct crash *crash, struct process *process, struct memfs *fs) {
    *process = (struct process){.fs = fs, .vfs = *memfs_vfs(fs)};
    if (crash->options->lie)
        crash->options->lie(&process->vfs);
    process->options = kit_options(&process->vfs, crash->course.dir);
}

/* The machine stops: what the process does from now on does not reach the disk. */
static void process_stop(struct process *process) {
    memfs_set_hook(process->fs, NULL, NULL);
    memfs_fail(process->fs, 1, MEMFS_POWER_OFF);
    log_close(process->log);
    process->log = NULL;
    memfs_kill(process->fs);
}

static void process_end(struct process *process) {
    process_stop(process);
    memfs_free(process->fs);
}

static void note_segment(void *argument, const char *path, uint64_t size) {
    bool *found = argument;
    (void)size;
    if (strstr(path, "/log-"))
        *found = true;
}

/* Open the log and see that it is what it may be. */
static bool process_recover(const struct crash *crash, struct process *process, const struct range *range,
                            const char *when, size_t *found) {
    bool exists = false;
    *last_error = '\0';
    memfs_files(process->fs, note_segment, &exists);
    crash->counts->recoveries++;
    int rc = script_find(&process->options, range->states, range->low, range->high, &process->log, found);
    if (!rc && range->begun && !exists)
        rc = LASH_UNKNOWN;
    if (rc)
        violation(crash, when, rc, range);
    return rc == LASH_OK;
}

/* ---- Outcomes ------------------------------------------------------------------------------------- */

/* What is done with each disk that a restart finds, and is its owner then. */
typedef void (*outcome_fn)(struct crash *crash, struct memfs *fs, const struct range *range, uint64_t number);

/* The decisions on the points of one loss of power. */
struct outcomes {
    struct crash *crash;
    const struct memfs *fs;
    const struct range *range;
    outcome_fn each;
    uint64_t limit;
    uint64_t number; /* of outcomes so far */
    struct memfs_point points[POINTS_MAX];
    int32_t picks[POINTS_MAX];
    size_t count;
    size_t next;
};

static int32_t next_pick(void *context, struct memfs_point point) {
    struct outcomes *outcomes = context;
    int32_t pick = outcomes->picks[outcomes->next++];
    LASH_ASSERT(outcomes->next <= outcomes->count && (pick < (int32_t)point.options || point.sector));
    return pick;
}

static void try_picks(struct outcomes *outcomes) {
    uint64_t number = outcomes->number++;
    if (outcomes->crash->counts->violations >= VIOLATIONS_MAX)
        return;
    struct memfs *fs = memfs_clone(outcomes->fs);
    memfs_seed(fs, random_next(&outcomes->crash->random));
    outcomes->next = 0;
    memfs_power_on_as(fs, next_pick, outcomes);
    outcomes->crash->counts->outcomes++;
    outcomes->each(outcomes->crash, fs, outcomes->range, number);
}

static void pick_all(struct outcomes *outcomes, bool newest) {
    for (size_t i = 0; i < outcomes->count; i++)
        outcomes->picks[i] = newest ? (int32_t)outcomes->points[i].options - 1 : 0;
}

static void pick_some(struct outcomes *outcomes) {
    for (size_t i = 0; i < outcomes->count; i++)
        outcomes->picks[i] = (int32_t)random_between(&outcomes->crash->random, 0, outcomes->points[i].options);
}

/* The next combination, as counting does; false after the last. */
static bool pick_next(struct outcomes *outcomes) {
    for (size_t i = 0; i < outcomes->count; i++) {
        if (++outcomes->picks[i] < (int32_t)outcomes->points[i].options)
            return true;
        outcomes->picks[i] = 0;
    }
    return false;
}

/* How many combinations there are, or something beyond `limit`. */
static uint64_t combinations(const struct outcomes *outcomes) {
    uint64_t product = 1;
    for (size_t i = 0; i < outcomes->count && product <= outcomes->limit; i++)
        product *= outcomes->points[i].options;
    return product;
}

/* The two ends, each point on its own against either end, and the rest by chance. */
static void sample(struct outcomes *outcomes) {
    for (int newest = 0; newest < 2; newest++) {
        pick_all(outcomes, newest);
        try_picks(outcomes);
    }
    for (size_t i = 0; i < outcomes->count && outcomes->number + 2 <= outcomes->limit; i++) {
        for (int newest = 0; newest < 2; newest++) {
            pick_all(outcomes, newest);
            outcomes->picks[i] = newest ? 0 : (int32_t)outcomes->points[i].options - 1;
            try_picks(outcomes);
        }
    }
    while (outcomes->number < outcomes->limit) {
        pick_some(outcomes);
        try_picks(outcomes);
    }
}

/* Zeros and garbage in each sector, with what else there is new, and once by chance. */
static void spoil(struct outcomes *outcomes) {
    uint64_t end = outcomes->number + outcomes->limit / 4 + 2;
    for (size_t i = 0; i < outcomes->count; i++) {
        for (int variant = 0; variant < 4 && outcomes->points[i].sector && outcomes->number < end; variant++) {
            if (variant < 2)
                pick_all(outcomes, true);
            else
                pick_some(outcomes);
            outcomes->picks[i] = variant % 2 ? MEMFS_RANDOM : MEMFS_ZEROS;
            try_picks(outcomes);
        }
    }
}

/* Every outcome of a loss of power now, or a sample of them. Returns whether it was every one. */
static bool try_outcomes(struct crash *crash, const struct memfs *fs, const struct range *range, uint64_t limit,
                         outcome_fn each) {
    struct outcomes *outcomes = calloc(1, sizeof *outcomes);
    struct memfs *killed = memfs_clone(fs);
    LASH_ASSERT(outcomes);
    *outcomes = (struct outcomes){.crash = crash, .fs = killed, .range = range, .each = each, .limit = limit};
    outcomes->count = memfs_points(killed, outcomes->points, POINTS_MAX);
    LASH_ASSERT(outcomes->count <= POINTS_MAX);
    bool all = combinations(outcomes) <= limit;
    if (all) {
        do
            try_picks(outcomes);
        while (pick_next(outcomes));
    } else {
        sample(outcomes);
    }
    spoil(outcomes);
    memfs_free(killed);
    free(outcomes);
    return all;
}

/* ---- Crashes during recovery ---------------------------------------------------------------------- */

/* A second crash, during recovery: recovery must come to its result all the same. */
static void judge_nested(struct crash *crash, struct memfs *fs, const struct range *range, uint64_t number) {
    struct process process;
    size_t found;
    (void)number;
    crash->counts->nested++;
    process_begin(crash, &process, fs);
    process_recover(crash, &process, range, "crash during recovery", &found);
    process_end(&process);
}

/* A recovery under way. */
struct nested {
    struct crash *crash;
    const struct range *range;
    struct process process;
    uint64_t changes; /* when the machine was stopped last */
};

static enum memfs_fault stop_recovery(void *context, enum memfs_kind kind, const char *path) {
    struct nested *nested = context;
    (void)kind;
    (void)path;
    uint64_t changes = memfs_changes(nested->process.fs);
    if (changes == nested->changes)
        return MEMFS_FINE;
    nested->changes = changes;
    try_outcomes(nested->crash, nested->process.fs, nested->range, nested->crash->options->nested_limit, judge_nested);
    return MEMFS_FINE;
}

/* Recover on `fs`, which is taken over, with crashes at every operation and after the last, when only what was found
 * may be found again. */
static void crash_recovery(struct crash *crash, struct memfs *fs, const struct range *range) {
    struct nested nested = {.crash = crash, .range = range, .changes = memfs_changes(fs)};
    size_t found;
    process_begin(crash, &nested.process, fs);
    memfs_set_hook(fs, stop_recovery, &nested);
    if (process_recover(crash, &nested.process, range, "recovery", &found)) {
        struct range only = {range->states, found, found, true};
        memfs_set_hook(fs, NULL, NULL);
        try_outcomes(crash, fs, &only, crash->options->nested_limit, judge_nested);
    }
    process_end(&nested.process);
}

/* ---- Crashes of a course -------------------------------------------------------------------------- */

/* Append to a recovered log: a vote, a frame that replaces the last entry, and behind a sync, which may be left out,
 * another. Returns what may be found afterwards. */
static int go_on(struct crash *crash, struct process *process, const struct kit_state *now, struct range *range) {
    struct kit_state *after = crash->after;
    lash_term term = now->term + 1;
    lash_index first = now->last > now->first ? now->last : now->last + 1;
    uint64_t chance = random_next(&crash->random);
    after[0] = *now;
    for (lash_index i = now->first - 1; i <= now->last; i++)
        term = term > now->terms[i] ? term : now->terms[i] + 1;
    after[1] = after[0];
    after[1].term = term;
    after[1].vote = 1;
    after[2] = after[1];
    kit_state_append(&after[2], first, 2, term, 99);
    after[3] = after[2];
    kit_state_append(&after[3], first + 2, 1, term, 99);
    *range = (struct range){after, 0, 3, true};
    int rc = kit_vote(process->log, term, 1);
    if (!rc)
        rc = kit_append(process->log, first, 2, term, 99, 16 + chance % 700);
    if (!rc && chance & 1024) {
        rc = log_sync(process->log);
        range->low = rc ? 0 : 2;
    }
    return rc ? rc : kit_append(process->log, first + 2, 1, term, 99, 600);
}

/* The log is of use: it takes appends, and they outlive the next crash. */
static void crash_again(struct crash *crash, struct process *process, const struct kit_state *now) {
    struct range range;
    size_t found;
    *last_error = '\0';
    int rc = go_on(crash, process, now, &range);
    if (rc) {
        violation(crash, "append after recovery", rc, &range);
        return;
    }
    process_stop(process);
    memfs_power_on(process->fs, MEMFS_GARBAGE, random_next(&crash->random));
    process_recover(crash, process, &range, "crash after recovery", &found);
}

/* One outcome of one crash. */
static void judge(struct crash *crash, struct memfs *fs, const struct range *range, uint64_t number) {
    struct process process;
    size_t found;
    bool nested = crash->nested_every && (number < 2 || random_between(&crash->random, 0, crash->nested_every) == 0);
    struct memfs *copy = nested ? memfs_clone(fs) : NULL;
    process_begin(crash, &process, fs);
    if (process_recover(crash, &process, range, "crash", &found)) {
        struct range only = {range->states, found, found, range->begun};
        if (copy)
            crash_recovery(crash, copy, &only);
        crash_again(crash, &process, &range->states[found]);
    } else if (copy) {
        memfs_free(copy);
    }
    process_end(&process);
}

/* The process is killed: what it wrote is seen, whether durable or not, and what the next one finds must become so. */
static void judge_killed(struct crash *crash, const struct memfs *fs, const struct range *range) {
    struct process process;
    size_t found;
    crash_recovery(crash, memfs_clone(fs), range);
    process_begin(crash, &process, memfs_clone(fs));
    if (process_recover(crash, &process, range, "kill", &found))
        crash_again(crash, &process, &range->states[found]);
    process_end(&process);
}

/* Stop the machine now, in every way. */
static void crash_now(struct crash *crash) {
    const struct script *script = crash->script;
    const struct range range = {script->states, script->synced, script->tried, script->begun};
    crash->changes = memfs_changes(crash->process.fs);
    crash->tried = script->tried;
    crash->synced = script->synced;
    crash->random = random_mix(crash->options->seed + random_mix(crash->number * 4096 + crash->operation));
    crash->counts->crashes++;
    crash->counts->exhausted += try_outcomes(crash, crash->process.fs, &range, crash->limit, judge);
    judge_killed(crash, crash->process.fs, &range);
}

/* Whether the last crash was at the same disk, with the same duties. */
static bool seen_already(const struct crash *crash) {
    return crash->changes == memfs_changes(crash->process.fs) && crash->tried == crash->script->tried &&
           crash->synced == crash->script->synced;
}

static enum memfs_fault before_operation(void *context, enum memfs_kind kind, const char *path) {
    struct crash *crash = context;
    crash->operation++;
    crash->kind = memfs_kind_name(kind);
    snprintf(crash->path, sizeof crash->path, "%s", path);
    if (stopped(crash))
        return MEMFS_POWER_OFF;
    if (crash->fault && (!memfs_failed(crash->process.fs) || crash->fault_crashes >= FAULT_CRASHES_MAX))
        return MEMFS_FINE;
    if (crash->only && crash->only != crash->operation)
        return MEMFS_FINE;
    if (!seen_already(crash)) {
        crash->fault_crashes++;
        crash_now(crash);
    }
    return MEMFS_FINE;
}

static struct crash *course_begin(const struct crash_options *options, uint64_t number, struct crash_counts *counts) {
    struct crash *crash = calloc(1, sizeof *crash);
    LASH_ASSERT(crash);
    crash->options = options;
    crash->counts = counts;
    crash->number = number;
    crash->limit = options->limit;
    crash->nested_every = options->nested_every;
    crash->changes = UINT64_MAX;
    if (number == 0)
        course_fixed(&crash->course);
    else
        course_draw(&crash->course, random_mix(options->seed + random_mix(number)));
    process_begin(crash, &crash->process, memfs_new());
    memfs_seed(crash->process.fs, number);
    crash->script = script_new(&crash->process.vfs, &crash->course);
    memfs_set_hook(crash->process.fs, before_operation, crash);
    lash_set_log(keep_line, NULL, LASH_LOG_ERROR);
    return crash;
}

static void course_end(struct crash *crash) {
    crash->process.log = crash->script->log;
    crash->script->log = NULL;
    process_end(&crash->process);
    script_free(crash->script);
    free(crash);
}

void crash_course(const struct crash_options *options, uint64_t number, uint64_t operation,
                  struct crash_counts *counts) {
    struct crash *crash = course_begin(options, number, counts);
    crash->only = operation;
    int rc = script_run(crash->script);
    if (!rc && !operation) {
        crash->kind = "the end of";
        snprintf(crash->path, sizeof crash->path, "the course");
        crash_now(crash);
    }
    const struct range nothing = {.states = crash->script->states};
    if (rc && !stopped(crash))
        violation(crash, "the course failed", rc, &nothing);
    counts->operations += crash->operation;
    counts->courses++;
    course_end(crash);
}

/* ---- Faults --------------------------------------------------------------------------------------- */

static const struct {
    enum memfs_fault fault;
    const char *name;
} faults[] = {
    {MEMFS_EIO, "EIO"},       {MEMFS_EIO_DONE, "EIO though done"},    {MEMFS_EIO_SOME, "EIO though done in part"},
    {MEMFS_ENOSPC, "ENOSPC"}, {MEMFS_SHORT, "a short read or write"},
};

/* After a failed sync nothing may be done any more, and closing must leave nothing open. */
static void expect_dead(struct crash *crash, struct log *log, const struct range *range) {
    bool dead = log_append(log, NULL, 0) == LASH_IO && log_sync(log) == LASH_IO && log_mark(log) == LASH_IO &&
                log_trim(log, 1) == LASH_IO;
    if (!dead)
        violation(crash, "a log that reports a lasting error takes orders", LASH_OK, range);
    log_close(log);
    if (memfs_open_files(crash->process.fs))
        violation(crash, "a closed log leaves files open", LASH_OK, range);
}

/* The course after the fault: what failed is tried once more; a log that is dead by then ends with its process. */
static void go_through_fault(struct crash *crash) {
    struct script *script = crash->script;
    int first = script_run(script);
    int rc = first && !script->lost ? script_run(script) : LASH_OK;
    const struct range range = {script->states, script->synced, script->tried, script->begun};
    if (stopped(crash))
        return;
    if (rc && !(rc == LASH_IO && script->log)) {
        violation(crash, "the step failed again", rc, &range);
        return;
    }
    if (!rc) {
        crash_now(crash);
        return;
    }
    expect_dead(crash, script->log, &range);
    script->log = NULL;
    crash_now(crash);
}

/* Whether the step that failed is one of those that remove files last, or append and sync: what a failed sync leaves may be there. */
static bool may_be_half_done(const struct script *script) {
    if (script->at == script->course->count)
        return false;
    enum course_action action = script->course->steps[script->at].action;
    return action == COURSE_TRIM || action == COURSE_INSTALL || action == COURSE_DIRECT;
}

/* What failed does not count unless power is lost (storage/log.h): the next process must not find it. */
static void kill_after_failure(struct crash *crash) {
    const struct script *script = crash->script;
    const struct range done = {script->states, script->synced, script->done, script->begun};
    struct process process;
    size_t found;
    process_begin(crash, &process, memfs_clone(crash->process.fs));
    process_recover(crash, &process, &done, "kill after the failure", &found);
    process_end(&process);
}

/* The same, but what failed is given up, and a vote is saved instead: a small record, which fits where the failed one
 * may not have. A trim that failed may be half done, and so may an installation. */
static void go_another_way(struct crash *crash) {
    struct script *script = crash->script;
    int rc = script_run(script);
    if (!rc || !script->log || script->lost || may_be_half_done(script) || stopped(crash))
        return;
    memfs_set_hook(crash->process.fs, NULL, NULL);
    kill_after_failure(crash);
    if (!script_vote(script))
        crash_now(crash);
}

/* One run; false when the course ends before its operation `n`. */
static bool crash_fault(const struct crash_options *options, uint64_t number, uint64_t n, size_t kind,
                        void (*go)(struct crash *crash), struct crash_counts *counts) {
    struct crash *crash = course_begin(options, number, counts);
    crash->limit = FAULT_LIMIT < options->limit ? FAULT_LIMIT : options->limit;
    crash->nested_every = 0;
    crash->fault = faults[kind].name;
    crash->fault_at = n;
    memfs_fail(crash->process.fs, n, faults[kind].fault);
    go(crash);
    bool met = memfs_failed(crash->process.fs);
    counts->faults += met;
    course_end(crash);
    return met;
}

void crash_faults(const struct crash_options *options, uint64_t number, uint64_t first, uint64_t every,
                  struct crash_counts *counts) {
    LASH_ASSERT(first);
    for (size_t kind = 0; kind < sizeof faults / sizeof *faults; kind++)
        for (uint64_t n = first; counts->violations < VIOLATIONS_MAX; n += every) {
            crash_fault(options, number, n, kind, go_another_way, counts);
            if (!crash_fault(options, number, n, kind, go_through_fault, counts) || !every)
                break;
        }
}
