/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches in processes: one that runs out of memory or ends by a signal takes no other with it.
 */
#include "check/run.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/transcript.h"

/* ---- One scenario ------------------------------------------------------------------------------ */

static const char *run_end_name(enum search_end end) {
    static const char *const names[] = {
        [SEARCH_STATES] = "the limit on states",
        [SEARCH_TIME] = "the limit on time",
        [SEARCH_MEMORY] = "the limit on memory",
    };
    return names[end];
}

/* Whether all was visited that the bounds, that on depth included, allow. */
static bool run_complete(const struct run *run) {
    return run->done && (run->result.end == SEARCH_COMPLETE || run->result.end == SEARCH_DEPTH);
}

static void run_say(const struct run *run, FILE *file) {
    const struct search_result *result = &run->result;
    const char *name = run->scenario->name;
    (void)fprintf(file,
                  "%s: %llu states, %llu transitions, depth %u, %.1f s, %.0f states/s, %zu MB, %llu steps of the core",
                  name, (unsigned long long)result->states, (unsigned long long)result->transitions, result->depth,
                  result->seconds, result->seconds > 0 ? (double)result->states / result->seconds : 0,
                  result->memory >> 20, (unsigned long long)result->steps);
    if (result->stuck > 0)
        (void)fprintf(file, ", %llu states in which nothing can happen any more", (unsigned long long)result->stuck);
    if (result->end == SEARCH_VIOLATION)
        (void)fprintf(file, "\n%s: VIOLATION of %s: %s\n", name, result->verdict.invariant, result->verdict.text);
    else if (result->end == SEARCH_COMPLETE)
        (void)fprintf(file, "; complete, all invariants held\n");
    else if (result->end == SEARCH_DEPTH)
        (void)fprintf(file, "; every state within %u steps, %llu of them on the edge; all invariants held\n",
                      result->depth, (unsigned long long)result->frontier);
    else
        (void)fprintf(file, "\n%s: INCOMPLETE, ended by %s; every state within %u steps, no violation so far\n", name,
                      run_end_name(result->end), result->depth);
}

static void run_search(struct run *run, struct space *space, struct search *search, FILE *file) {
    uint32_t state[SPACE_WORDS_MAX];
    if (!scenario_start(run->scenario, space, state) || !search_add(search, state)) {
        run->result.end = SEARCH_MEMORY;
        return;
    }
    search_run(search, &run->result);
    if (run->result.end == SEARCH_VIOLATION)
        transcript_print(file, search, space, &run->result);
    else if (!space_audit(space, &run->audited, &run->result.verdict))
        run->result.end = SEARCH_VIOLATION;
}

void run_here(struct run *run, const struct search_limits *limits, FILE *file) {
    const struct model_bounds bounds = scenario_bounds(run->scenario, &run->bounds);
    struct search_limits own = *limits;
    own.name = run->scenario->name;
    own.depth = bounds.depth;
    run->result.end = SEARCH_MEMORY;
    struct space *space = space_new(&bounds, run->fault);
    struct search *search = space == NULL ? NULL : search_new(space, &own);
    if (search != NULL)
        run_search(run, space, search, file);
    run->done = true;
    run_say(run, file);
    search_free(search);
    space_free(space);
}

/* ---- Many -------------------------------------------------------------------------------------- */

struct run_process {
    struct run *run;
    pid_t pid;  /* 0: none */
    int result; /* the pipe's end to read from */
};

/* What a process sends back. Invariants are named by literals, which lie at the same place in both. */
struct run_report {
    struct search_result result;
    uint64_t audited;
};

static bool run_begin(struct run *run, const struct search_limits *limits, struct run_process *process) {
    int ends[2];
    run->text = tmpfile();
    if (run->text == NULL || pipe(ends) != 0)
        return false;
    (void)fflush(NULL);
    process->pid = fork();
    if (process->pid == 0) {
        run_here(run, limits, run->text);
        struct run_report report = {.result = run->result, .audited = run->audited};
        bool told = fflush(run->text) == 0 && write(ends[1], &report, sizeof report) == (ssize_t)sizeof report;
        _exit(told ? 0 : 1);
    }
    (void)close(ends[1]);
    process->run = run;
    process->result = ends[0];
    if (process->pid > 0)
        return true;
    process->pid = 0;
    (void)close(ends[0]);
    return false;
}

static void run_finish(struct run_process *process) {
    struct run_report report;
    struct run *run = process->run;
    run->done = read(process->result, &report, sizeof report) == (ssize_t)sizeof report;
    if (run->done) {
        run->result = report.result;
        run->audited = report.audited;
    }
    (void)close(process->result);
    process->pid = 0;
}

/* Wait for one of the processes to end. */
static void run_wait(struct run_process *processes, uint32_t jobs) {
    pid_t pid = wait(NULL);
    while (pid < 0 && errno == EINTR)
        pid = wait(NULL);
    for (uint32_t i = 0; i < jobs; i++) {
        if (processes[i].pid != 0 && (processes[i].pid == pid || pid < 0))
            run_finish(&processes[i]);
    }
}

static bool run_busy(const struct run_process *processes, uint32_t jobs) {
    for (uint32_t i = 0; i < jobs; i++) {
        if (processes[i].pid != 0)
            return true;
    }
    return false;
}

static struct run_process *run_idle(struct run_process *processes, uint32_t jobs) {
    for (;;) {
        for (uint32_t i = 0; i < jobs; i++) {
            if (processes[i].pid == 0)
                return &processes[i];
        }
        run_wait(processes, jobs);
    }
}

/* Print what a run had to say. */
static void run_print(struct run *run, FILE *file) {
    char line[512];
    if (run->text == NULL)
        return;
    rewind(run->text);
    while (fgets(line, sizeof line, run->text) != NULL)
        (void)fputs(line, file);
    (void)fclose(run->text);
    run->text = NULL;
    if (!run->done)
        (void)fprintf(file, "%s: VIOLATION: the search ended by itself, without a result\n", run->scenario->name);
}

#define RUN_JOBS_MAX 64

bool run_all(struct run *runs, uint32_t count, uint32_t jobs, const struct search_limits *limits, FILE *file) {
    struct run_process processes[RUN_JOBS_MAX];
    memset(processes, 0, sizeof processes);
    jobs = jobs > RUN_JOBS_MAX ? RUN_JOBS_MAX : jobs;
    bool begun = true;
    for (uint32_t i = 0; i < count && begun; i++)
        begun = run_begin(&runs[i], limits, run_idle(processes, jobs));
    while (run_busy(processes, jobs))
        run_wait(processes, jobs);
    for (uint32_t i = 0; i < count; i++)
        run_print(&runs[i], file);
    return begun;
}

/* ---- Results ----------------------------------------------------------------------------------- */

static bool run_violated(const struct run *run) {
    return !run->done || run->result.end == SEARCH_VIOLATION;
}

static const char *run_invariant(const struct run *run) {
    return run->done ? run->result.verdict.invariant : "crash";
}

static void run_json_one(FILE *file, const struct run *run) {
    (void)fprintf(file,
                  "{\"name\":\"%s\",\"states\":%llu,\"transitions\":%llu,\"depth\":%u,\"complete\":%s,"
                  "\"complete_to_depth\":%u,\"frontier\":%llu,\"violation\":",
                  run->scenario->name, (unsigned long long)run->result.states,
                  (unsigned long long)run->result.transitions, run->result.depth, run_complete(run) ? "true" : "false",
                  run->result.depth, (unsigned long long)run->result.frontier);
    if (run_violated(run))
        (void)fprintf(file, "\"%s\"}", run_invariant(run));
    else
        (void)fprintf(file, "null}");
}

void run_json(FILE *file, const struct run *runs, uint32_t count, const char *bound, double seconds) {
    unsigned long long states = 0, transitions = 0, stuck = 0, audited = 0;
    double collision = 0;
    uint32_t depth = 0;
    bool complete = true;
    const struct run *violated = NULL;
    for (uint32_t i = 0; i < count; i++) {
        states += runs[i].result.states;
        transitions += runs[i].result.transitions;
        stuck += runs[i].result.stuck;
        /* Each pair of n states shares a fingerprint of 64 bits with a probability of 2^-64. */
        collision += (double)runs[i].result.states * (double)runs[i].result.states / 0x1p65;
        audited += runs[i].audited;
        depth = runs[i].result.depth > depth ? runs[i].result.depth : depth;
        complete = complete && run_complete(&runs[i]);
        if (violated == NULL && run_violated(&runs[i]))
            violated = &runs[i];
    }
    (void)fprintf(file,
                  "{\"bound\":\"%s\",\"states\":%llu,\"transitions\":%llu,\"depth\":%u,\"seconds\":%.1f,"
                  "\"states_per_second\":%.0f,\"complete\":%s,\"stuck\":%llu,\"audited\":%llu,"
                  "\"collision_probability\":%.1e,\"violation\":",
                  bound, states, transitions, depth, seconds, seconds > 0 ? (double)states / seconds : 0,
                  complete ? "true" : "false", stuck, audited, collision);
    (void)fprintf(file, violated == NULL ? "null" : "\"%s\"", violated == NULL ? "" : run_invariant(violated));
    (void)fprintf(file, ",\"scenarios\":[");
    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(file, i == 0 ? "" : ",");
        run_json_one(file, &runs[i]);
    }
    (void)fprintf(file, "]}\n");
}

int run_status(const struct run *runs, uint32_t count) {
    bool complete = true;
    for (uint32_t i = 0; i < count; i++) {
        if (run_violated(&runs[i]))
            return 1;
        complete = complete && run_complete(&runs[i]);
    }
    return complete ? 0 : 3;
}
