/* SPDX-License-Identifier: Apache-2.0
 *
 * The crash enumerator as a program.
 */
#include <inttypes.h>
#include <popt.h>
#include <stdio.h>
#include <time.h>

#include "sim/crash.h"

enum { REPORT_SECONDS = 5 };

struct arguments {
    long long seed;
    long long script; /* -1: all */
    int scripts;
    int limit;
    int nested;
    int nested_every;
    int faults;
    int seconds;
    long long at;
    long long fault_at;
};

/* The run so far. */
struct run {
    struct crash_counts counts;
    time_t started;
    time_t reported;
    int seconds; /* 0: no end */
    bool over;
};

static time_t now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static bool progress(void *context) {
    struct run *run = context;
    time_t time = now();
    if (run->seconds && time - run->started >= run->seconds)
        run->over = true;
    if (time - run->reported >= REPORT_SECONDS) {
        run->reported = time;
        (void)fprintf(stderr,
                      "crash: %ld s, %" PRIu64 " courses, %" PRIu64 " crashes, %" PRIu64 " outcomes, %" PRIu64
                      " recoveries, %" PRIu64 " violations\n",
                      (long)(time - run->started), run->counts.courses, run->counts.crashes, run->counts.outcomes,
                      run->counts.recoveries, run->counts.violations);
    }
    return !run->over;
}

static void print_counts(const struct run *run, const struct arguments *arguments) {
    const struct crash_counts *counts = &run->counts;
    printf("{\"seed\":%lld,\"courses\":%" PRIu64 ",\"operations\":%" PRIu64 ",\"crashes\":%" PRIu64
           ",\"exhausted\":%" PRIu64 ",\"outcomes\":%" PRIu64 ",\"nested\":%" PRIu64 ",\"faults\":%" PRIu64
           ",\"recoveries\":%" PRIu64 ",\"violations\":%" PRIu64 ",\"seconds\":%ld,\"complete\":%s}\n",
           arguments->seed, counts->courses, counts->operations, counts->crashes, counts->exhausted, counts->outcomes,
           counts->nested, counts->faults, counts->recoveries, counts->violations, (long)(now() - run->started),
           run->over ? "false" : "true");
}

static int enumerate(const struct arguments *arguments) {
    struct run run = {.started = now(), .reported = now(), .seconds = arguments->seconds};
    struct crash_options options = {.seed = (uint64_t)arguments->seed,
                                    .limit = (uint64_t)arguments->limit,
                                    .nested_limit = (uint64_t)arguments->nested,
                                    .nested_every = (uint64_t)arguments->nested_every,
                                    .progress = progress,
                                    .context = &run};
    uint64_t first = arguments->script < 0 ? 0 : (uint64_t)arguments->script;
    uint64_t end = arguments->script < 0 ? (uint64_t)arguments->scripts : first + 1;
    for (uint64_t number = first; number < end && !run.over && !run.counts.violations; number++) {
        if (arguments->fault_at) {
            crash_faults(&options, number, (uint64_t)arguments->fault_at, 0, &run.counts);
            continue;
        }
        crash_course(&options, number, (uint64_t)arguments->at, &run.counts);
        if (arguments->faults && !arguments->at && !run.over)
            crash_faults(&options, number, 1 + number % (uint64_t)arguments->faults, (uint64_t)arguments->faults,
                         &run.counts);
    }
    print_counts(&run, arguments);
    return run.counts.violations ? 1 : 0;
}

static bool arguments_are_valid(const struct arguments *arguments) {
    return arguments->seed >= 0 && arguments->script >= -1 && arguments->scripts > 0 && arguments->limit > 0 &&
           arguments->nested > 0 && arguments->nested_every >= 0 && arguments->faults >= 0 && arguments->seconds >= 0 &&
           arguments->at >= 0 && arguments->fault_at >= 0;
}

int crash_main(int argc, const char **argv) {
    struct arguments arguments = {
        .seed = 1, .script = -1, .scripts = 8, .limit = 1024, .nested = 16, .nested_every = 16, .faults = 1};
    const struct poptOption table[] = {
        {"seed", 's', POPT_ARG_LONGLONG, &arguments.seed, 0, "what all chances are drawn from [1]", "S"},
        {"script", 0, POPT_ARG_LONGLONG, &arguments.script, 0, "only course N; 0 is the fixed one [all]", "N"},
        {"scripts", 0, POPT_ARG_INT, &arguments.scripts, 0, "courses 0 to N-1 [8]", "N"},
        {"limit", 'l', POPT_ARG_INT, &arguments.limit, 0, "all outcomes of a crash up to so many, else a sample [1024]",
         "N"},
        {"nested", 0, POPT_ARG_INT, &arguments.nested, 0, "the same for a crash during recovery [16]", "N"},
        {"nested-every", 0, POPT_ARG_INT, &arguments.nested_every, 0,
         "crash during the recovery of one outcome in so many; 0: never [16]", "N"},
        {"faults", 'f', POPT_ARG_INT, &arguments.faults, 0,
         "also let every N-th operation fail, in five ways; 0: none [1]", "N"},
        {"at", 0, POPT_ARG_LONGLONG, &arguments.at, 0, "crash before this operation only, from 1 [all]", "N"},
        {"fault-at", 0, POPT_ARG_LONGLONG, &arguments.fault_at, 0,
         "nothing but the course with this operation failing, in five ways", "N"},
        {"seconds", 't', POPT_ARG_INT, &arguments.seconds, 0, "end after so many seconds [when done]", "N"},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    argv[0] = "lash-sim crash"; /* what --help begins with */
    poptContext context = poptGetContext(argv[0], argc, argv, table, 0);
    if (!context)
        return 2;
    int rc = poptGetNextOpt(context);
    int code = 2;
    if (rc < -1)
        (void)fprintf(stderr, "lash-sim crash: %s: %s\n", poptBadOption(context, 0), poptStrerror(rc));
    else if (poptPeekArg(context))
        (void)fprintf(stderr, "lash-sim crash: %s: unexpected argument\n", poptPeekArg(context));
    else if (!arguments_are_valid(&arguments))
        (void)fprintf(stderr, "lash-sim crash: a number is out of range; see --help\n");
    else
        code = enumerate(&arguments);
    poptFreeContext(context);
    return code;
}
