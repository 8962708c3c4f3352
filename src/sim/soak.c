/* SPDX-License-Identifier: Apache-2.0
 *
 * Many seeds. Each process takes every n-th seed and tells of each run through one
 * pipe; one that ends because an invariant was broken is followed by another, which
 * goes on with the seeds behind.
 */
#include "sim/verbs.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "raft/random.h"
#include "sim/options.h"

enum {
    SOAK_JOBS_MAX = 64,
    SOAK_PROGRESS_MS = 10000,
    SOAK_HANG_SECONDS = 300, /* a run that takes longer does not end */
};

/* What a process says of a run; small enough that a pipe takes it in one piece. */
struct soak_report {
    uint32_t job;
    uint64_t seed;
    uint64_t run_seed; /* of the run that broke an invariant, one of many cores' (run.c), and its events */
    uint64_t run_events;
    struct run_result result;
};

struct soak_job {
    pid_t process; /* 0: it has ended */
    uint64_t next; /* the seed that it goes on with */
    uint64_t events;
    bool told; /* of an invariant that was broken: the last thing that a process does */
};

struct soak {
    const struct options *options;
    uint64_t first_seed;
    uint64_t until_ms;
    uint64_t began_ms;
    int ends[2]; /* of the pipe */
    struct soak_job jobs[SOAK_JOBS_MAX];
    struct run_result sum;
    uint64_t runs;
};

static const char *const soak_profiles[] = {"node",      "swarm",     "node",       "core",    "swarm",
                                            "store",     "calm",      "membership", "session", "lease",
                                            "operators", "operators", "operators"};
static const uint32_t soak_nodes[] = {3, 3, 5, 3, 3, 5, 1, 3, 7, 2, 3, 4};

static uint64_t soak_now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The run that a soak makes of one seed. */
static void soak_settings(const struct options *options, uint64_t seed, struct run_settings *settings) {
    uint64_t random = random_mix(seed ^ 0x736f616b);
    const size_t profiles = sizeof soak_profiles / sizeof soak_profiles[0];
    const size_t nodes = sizeof soak_nodes / sizeof soak_nodes[0];
    settings->seed = seed;
    settings->profile = soak_profiles[random_between(&random, 0, profiles)];
    settings->nodes = soak_nodes[random_between(&random, 0, nodes)];
    settings->events = 10000 * random_between(&random, 1, 12);
    if (strcmp(settings->profile, "store") == 0)
        settings->events /= 8; /* files and transactions take their time */
    if (options->profile)
        settings->profile = options->profile;
    if (options->nodes)
        settings->nodes = (uint32_t)options->nodes;
}

/* ---- In a process of its own ------------------------------------------------------------------------------ */

static struct {
    int pipe;
    uint32_t job;
    uint64_t seed;
} soak_self;

static void soak_tell(const struct run_settings *settings, const struct run_result *result) {
    struct soak_report report = {.job = soak_self.job,
                                 .seed = soak_self.seed,
                                 .run_seed = settings->seed,
                                 .run_events = settings->events,
                                 .result = *result};
    if (write(soak_self.pipe, &report, sizeof report) != sizeof report)
        _exit(OPTIONS_USAGE);
}

_Noreturn static void soak_work(const struct soak *soak, uint32_t job, const struct run_settings *common) {
    uint64_t jobs = (uint64_t)soak->options->jobs;
    uint64_t events_max = soak->options->events / jobs;
    uint64_t events = soak->jobs[job].events;
    soak_self.pipe = soak->ends[1];
    soak_self.job = job;
    for (uint64_t seed = soak->jobs[job].next; soak_now_ms() < soak->until_ms; seed += jobs) {
        struct run_settings settings = *common;
        struct run_result result;
        if (events_max && events >= events_max)
            break;
        soak_settings(soak->options, seed, &settings);
        soak_self.seed = seed;
        (void)alarm(SOAK_HANG_SECONDS);
        run(&settings, &result, soak_tell);
        soak_tell(&settings, &result);
        events += result.events;
    }
    _exit(OPTIONS_HELD);
}

/* ---- The parent --------------------------------------------------------------------------------------------- */

static void soak_start(struct soak *soak, uint32_t job, const struct run_settings *common) {
    (void)fflush(NULL);
    pid_t process = fork();
    LASH_ASSERT(process >= 0);
    if (process == 0)
        soak_work(soak, job, common);
    soak->jobs[job].process = process;
    soak->jobs[job].told = false;
}

static void soak_progress(const struct soak *soak) {
    double seconds = (double)(soak_now_ms() - soak->began_ms) / 1000;
    (void)fprintf(stderr,
                  "%6.0f s: %" PRIu64 " runs, %" PRIu64 " events, %.0f events/s, %.6f simulated years, %" PRIu64
                  " violations\n",
                  seconds, soak->runs, soak->sum.events, (double)soak->sum.events / (seconds > 0 ? seconds : 1),
                  (double)soak->sum.simulated_us / 1e6 / 86400 / 365.25, soak->sum.violations);
}

/* A run has ended. What does not belong to a known job cannot be. */
static void soak_hear(struct soak *soak, const struct soak_report *report, const struct run_settings *common) {
    struct run_settings settings = *common;
    LASH_ASSERT(report->job < (uint32_t)soak->options->jobs);
    soak->jobs[report->job].next = report->seed + (uint64_t)soak->options->jobs;
    soak->jobs[report->job].events += report->result.events;
    run_add(&soak->sum, &report->result);
    soak->runs++;
    if (!report->result.violations)
        return;
    soak->jobs[report->job].told = true;
    soak_settings(soak->options, report->seed, &settings);
    settings.seed = report->run_seed;
    settings.events = report->run_events;
    if (!soak->sum.invariant[0])
        memcpy(soak->sum.invariant, report->result.invariant, sizeof soak->sum.invariant);
    run_print_failure(&settings, &report->result);
}

static bool soak_read(struct soak *soak, int timeout_ms, const struct run_settings *common) {
    struct soak_report report;
    struct pollfd wait = {.fd = soak->ends[0], .events = POLLIN};
    if (poll(&wait, 1, timeout_ms) <= 0 || !(wait.revents & POLLIN))
        return false;
    ssize_t size = read(soak->ends[0], &report, sizeof report);
    LASH_ASSERT(size == (ssize_t)sizeof report);
    soak_hear(soak, &report, common);
    return true;
}

/* A process has ended in the middle of a run: what it was about is known. */
static void soak_mourn(struct soak *soak, uint32_t job, int status, const struct run_settings *common) {
    struct run_settings settings = *common;
    struct soak_report report = {.job = job, .seed = soak->jobs[job].next};
    soak_settings(soak->options, report.seed, &settings);
    report.run_seed = settings.seed;
    report.run_events = settings.events;
    run_died(status, &report.result);
    soak_hear(soak, &report, common);
}

/* Processes that have ended; those that broke off are followed by others. Returns how many are left. */
static int soak_reap(struct soak *soak, const struct run_settings *common) {
    int left = 0;
    for (uint32_t job = 0; job < (uint32_t)soak->options->jobs; job++) {
        int status = 0;
        struct soak_job *its = &soak->jobs[job];
        if (its->process && waitpid(its->process, &status, WNOHANG) == its->process) {
            bool held = WIFEXITED(status) && WEXITSTATUS(status) == OPTIONS_HELD;
            its->process = 0;
            while (soak_read(soak, 0, common))
                continue;
            if (!held && !its->told)
                soak_mourn(soak, job, status, common);
            if (!held && soak_now_ms() < soak->until_ms)
                soak_start(soak, job, common);
        }
        left += its->process != 0;
    }
    return left;
}

static void soak_until_all_ended(struct soak *soak, const struct run_settings *common) {
    uint64_t said_ms = soak->began_ms;
    for (;;) {
        while (soak_read(soak, 200, common))
            continue;
        int left = soak_reap(soak, common);
        if (left == 0 && !soak_read(soak, 0, common))
            return;
        if (soak_now_ms() - said_ms >= SOAK_PROGRESS_MS) {
            said_ms = soak_now_ms();
            soak_progress(soak);
        }
    }
}

static int soak(const struct options *options) {
    struct soak soak = {.options = options, .first_seed = options->seed};
    struct run_settings common;
    struct options checked = *options;
    if (!checked.nodes)
        checked.nodes = 1;
    if (!options_settings(&checked, &common))
        return OPTIONS_USAGE;
    if (options->jobs < 1 || options->jobs > SOAK_JOBS_MAX || options->minutes < 0 || options->seconds < 0) {
        (void)fprintf(stderr, "lash-sim: --jobs must be 1 to %d, and times not negative\n", SOAK_JOBS_MAX);
        return OPTIONS_USAGE;
    }
    if (!options->seed_given && getrandom(&soak.first_seed, sizeof soak.first_seed, 0) != sizeof soak.first_seed)
        soak.first_seed = (uint64_t)time(NULL);
    soak.first_seed &= INT64_MAX >> 8;
    soak.began_ms = soak_now_ms();
    uint64_t seconds = (uint64_t)options->minutes * 60 + (uint64_t)options->seconds;
    soak.until_ms = seconds ? soak.began_ms + seconds * 1000 : UINT64_MAX;
    if (!seconds && !options->events)
        soak.until_ms = soak.began_ms + 60000;
    if (pipe(soak.ends) != 0)
        return OPTIONS_USAGE;
    for (uint32_t job = 0; job < (uint32_t)options->jobs; job++) {
        soak.jobs[job].next = soak.first_seed + job;
        soak_start(&soak, job, &common);
    }
    soak_until_all_ended(&soak, &common);
    soak_progress(&soak);
    char seeds[80];
    (void)snprintf(seeds, sizeof seeds, "{\"first\": %" PRIu64 ", \"count\": %" PRIu64 "}", soak.first_seed, soak.runs);
    soak.sum.cpu_us = (soak_now_ms() - soak.began_ms) * 1000; /* of all together, by the clock on the wall */
    common.profile = options->profile ? options->profile : "mixed";
    common.nodes = (uint32_t)options->nodes;
    run_print_json(&common, &soak.sum, seeds);
    return soak.sum.violations ? OPTIONS_VIOLATED : OPTIONS_HELD;
}

int soak_main(int argc, const char **argv) {
    struct options options = {.jobs = 1};
    const struct poptOption allowed[] = {
        OPTIONS_RUN(options),
        {"seed", 's', POPT_ARG_LONGLONG, &options.seed, 's', "the first seed [random]", "S"},
        {"minutes", 'm', POPT_ARG_INT, &options.minutes, 0, "for so long [1, unless --events is given]", "M"},
        {"seconds", 0, POPT_ARG_INT, &options.seconds, 0, "and so long", "S"},
        {"jobs", 'j', POPT_ARG_INT, &options.jobs, 0, "processes [1]", "J"},
        POPT_AUTOHELP POPT_TABLEEND};
    struct run_settings none = {0};
    int code = options_read("soak", argc, argv, allowed, &options) ? soak(&options) : OPTIONS_USAGE;
    options_free(&options, &none);
    return code;
}
