/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of the node's profiles, and how they end.
 */
#include "sim/run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/logger.h"
#include "raft/random.h"
#include "sim/core.h"
#include "sim/version.h"
#include "sim/world_store.h"

enum { RUN_CORE_EVENTS = 20000 /* of bare cores with one seed */ };

/* The run under way, for when it ends before its time. */
static struct {
    const struct run_settings *settings;
    struct run_result *result;
    void (*ended)(const struct run_settings *settings, const struct run_result *result);
    struct world *world;
    uint64_t began_us;
} run_now;

uint64_t run_clock_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool run_known_profile(const char *name) {
    struct profile profile;
    return core_profile(name) || profile_draw(name, 0, &profile);
}

bool run_numbers_faults(const char *profile) {
    return !core_profile(profile);
}

static void run_collect(void) {
    const struct world *world = run_now.world;
    struct run_result *result = run_now.result;
    result->cpu_us = run_clock_us() - run_now.began_us;
    if (!world)
        return;
    result->events = world->tally.events;
    result->simulated_us = world->now_us;
    result->commits = judge_committed(world->judge);
    result->done = world->tally.done;
    result->reads = world->tally.reads;
    result->packets = world->tally.packets;
    result->starts = world->tally.starts;
    result->repairs = world->tally.repairs;
    result->snapshots = world->tally.snapshots;
    result->installed = world->tally.installed;
    result->restored = world->tally.restored;
    result->changes = world->tally.changes;
    result->removals = world->tally.removals;
    result->stuck = world->tally.stuck;
    result->parts = world->tally.parts;
    result->hollow = world->tally.hollow;
    result->hash = world->hash;
    memcpy(result->faults, world->tally.faults, sizeof result->faults);
}

_Noreturn static void run_end(const char *invariant, const char *what) {
    struct run_result *result = run_now.result;
    run_collect();
    if (run_now.world)
        world_store_clean(run_now.world);
    result->violations = 1;
    (void)snprintf(result->invariant, sizeof result->invariant, "%s", invariant);
    (void)snprintf(result->what, sizeof result->what, "%s", what);
    run_now.ended(run_now.settings, result);
    (void)fflush(NULL);
    _exit(1);
}

static void run_failed(void *context, const char *invariant, const char *what) {
    (void)context;
    run_end(invariant, what);
}

static void run_fault(void *context, uint64_t number) {
    const struct run_settings *settings = context;
    if (settings->faults)
        (void)fprintf(settings->faults, "%" PRIu64 "\n", number);
    if (settings->forbid[number >> 32])
        run_end("forbidden", fault_names[number >> 32]);
}

static void run_world(const struct run_settings *settings) {
    struct run_settings *context = (struct run_settings *)(uintptr_t)settings;
    struct world_options options = {.seed = settings->seed,
                                    .nodes = settings->nodes,
                                    .failed = run_failed,
                                    .context = context,
                                    .fault = run_fault,
                                    .trace = settings->trace ? stdout : NULL,
                                    .only = settings->only,
                                    .only_count = settings->only_count};
    bool known = profile_draw(settings->profile, settings->seed, &options.profile);
    LASH_ASSERT(known);
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
        if (settings->without[kind])
            options.profile.every[kind] = 0;
    run_now.world = world_new(&options);
    while (run_now.world->tally.events < settings->events && world_step(run_now.world))
        continue;
    world_heal(run_now.world);
    world_ask_all(run_now.world);
    world_office(run_now.world);
    world_ask_apart(run_now.world);
    run_collect();
    world_free(run_now.world);
    run_now.world = NULL;
}

/* The seed of the i-th of many short runs: of the first its own, of the others some far away, which neither this run's
 * neighbours in a soak nor theirs have. */
static uint64_t run_core_seed(uint64_t seed, uint64_t i) {
    return i == 0 ? seed : random_mix(seed ^ random_mix(i)) & INT64_MAX >> 8;
}

/* Restarts of cores cost as much as their logs are long; so a long run is many short ones, each with a seed of its own
 * that is enough to run it again. */
static void run_cores(void) {
    const struct run_settings *all = run_now.settings;
    struct run_result *sum = run_now.result;
    for (uint64_t i = 0; sum->events < all->events; i++) {
        struct run_settings settings = *all;
        struct run_result result = {0};
        settings.seed = run_core_seed(all->seed, i);
        if (settings.events > RUN_CORE_EVENTS)
            settings.events = RUN_CORE_EVENTS;
        run_now.settings = &settings;
        run_now.result = &result;
        core_run(&settings, &result, run_failed);
        run_add(sum, &result);
    }
    run_now.settings = all;
    run_now.result = sum;
    run_collect();
}

/* Production's log lines are a part of the account, and else nobody's concern. */
static void run_log_line(void *context, enum lash_log_level level, const char *line) {
    (void)context;
    (void)level;
    printf("             log: %s\n", line);
}

void run(const struct run_settings *settings, struct run_result *result,
         void (*ended)(const struct run_settings *settings, const struct run_result *result)) {
    memset(result, 0, sizeof *result);
    run_now.settings = settings;
    run_now.result = result;
    run_now.ended = ended;
    run_now.world = NULL;
    run_now.began_us = run_clock_us();
    lash_set_log(settings->trace ? run_log_line : NULL, NULL, settings->trace ? LASH_LOG_INFO : LASH_LOG_ERROR + 1);
    if (run_numbers_faults(settings->profile))
        run_world(settings);
    else
        run_cores();
}

void run_died(int status, struct run_result *result) {
    bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    memset(result, 0, sizeof *result);
    result->violations = 1;
    (void)snprintf(result->invariant, sizeof result->invariant, "%s", hung ? "P2" : "assert");
    (void)snprintf(result->what, sizeof result->what, "%s",
                   hung ? "the run does not end" : "the process ended at an assertion, or worse; see above");
}

/* ---- In a process of its own ------------------------------------------------------------------------------ */

static int run_pipe;

static void run_report(const struct run_settings *settings, const struct run_result *result) {
    (void)settings;
    (void)!write(run_pipe, result, sizeof *result);
}

bool run_apart(const struct run_settings *settings, struct run_result *result) {
    int ends[2];
    (void)fflush(NULL);
    memset(result, 0, sizeof *result);
    if (pipe(ends) != 0)
        abort();
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        (void)close(ends[0]);
        run_pipe = ends[1];
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        run(settings, result, run_report);
        run_report(settings, result);
        (void)fflush(NULL);
        _exit(0);
    }
    (void)close(ends[1]);
    ssize_t size = read(ends[0], result, sizeof *result);
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (size != (ssize_t)sizeof *result)
        run_died(status, result);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- What is said ------------------------------------------------------------------------------------------- */

static void run_print_kinds(FILE *out, const char *before, const bool *kinds) {
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        if (!kinds[kind])
            continue;
        (void)fprintf(out, "%s%s", before, fault_names[kind]);
        before = ",";
    }
}

/* The command that runs this again. */
static void run_print_command(FILE *out, const char *verb, const struct run_settings *settings) {
    (void)fprintf(out, "lash-sim %s --seed %" PRIu64 " --events %" PRIu64 " --nodes %u --profile %s", verb,
                  settings->seed, settings->events, settings->nodes, settings->profile);
    run_print_kinds(out, " --without ", settings->without);
    run_print_kinds(out, " --forbid ", settings->forbid);
    const char *before = settings->only && settings->only_count == 0 ? " --only none" : " --only ";
    if (settings->only && settings->only_count == 0)
        (void)fputs(before, out);
    for (size_t i = 0; settings->only && i < settings->only_count; i++) {
        (void)fprintf(out, "%s%s:%" PRIu64, before, fault_names[settings->only[i] >> 32],
                      settings->only[i] & UINT32_MAX);
        before = ",";
    }
    (void)fputc('\n', out);
}

void run_print_failure(const struct run_settings *settings, const struct run_result *result) {
    (void)fprintf(stderr,
                  "invariant %s broken after %" PRIu64 " events, at %.6f s: %s\nseed %" PRIu64 ", commit %s\nagain: ",
                  result->invariant, result->events, (double)result->simulated_us / 1e6, result->what, settings->seed,
                  SIM_VERSION);
    run_print_command(stderr, "replay", settings);
}

void run_print_json(const struct run_settings *settings, const struct run_result *result, const char *seeds) {
    double seconds = (double)(result->cpu_us ? result->cpu_us : 1) / 1e6;
    char one[24];
    char nodes[16] = "null"; /* they differ */
    if (settings->nodes)
        (void)snprintf(nodes, sizeof nodes, "%u", settings->nodes);
    (void)snprintf(one, sizeof one, "%" PRIu64, settings->seed);
    printf("{\"%s\": %s, \"profile\": \"%s\", \"nodes\": %s, \"events\": %" PRIu64 ", \"simulated_seconds\": %.6f, "
           "\"faults\": {",
           seeds ? "seeds" : "seed", seeds ? seeds : one, settings->profile, nodes, result->events,
           (double)result->simulated_us / 1e6);
    const char *before = "";
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        printf("%s\"%s\": %" PRIu64, before, fault_names[kind], result->faults[kind]);
        before = ", ";
    }
    printf("}, \"commits\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"reads\": %" PRIu64 ", \"packets\": %" PRIu64
           ", \"starts\": %" PRIu64 ", \"repairs\": %" PRIu64 ", \"snapshots\": %" PRIu64 ", \"installed\": %" PRIu64
           ", \"restored\": %" PRIu64 ", \"parts\": %" PRIu64 ", \"hollow\": %" PRIu64 ", \"changes\": %" PRIu64
           ", \"removals\": %" PRIu64 ", \"stuck\": %" PRIu64 ", \"violations\": %" PRIu64
           ", \"invariant\": \"%s\", \"trace_hash\": \"%016" PRIx64 "\", \"events_per_second\": %.0f}\n",
           result->commits, result->done, result->reads, result->packets, result->starts, result->repairs,
           result->snapshots, result->installed, result->restored, result->parts, result->hollow, result->changes,
           result->removals, result->stuck, result->violations, result->invariant, result->hash,
           (double)result->events / seconds);
}

void run_add(struct run_result *sum, const struct run_result *result) {
    sum->events += result->events;
    sum->simulated_us += result->simulated_us;
    sum->commits += result->commits;
    sum->done += result->done;
    sum->reads += result->reads;
    sum->packets += result->packets;
    sum->starts += result->starts;
    sum->repairs += result->repairs;
    sum->snapshots += result->snapshots;
    sum->installed += result->installed;
    sum->restored += result->restored;
    sum->changes += result->changes;
    sum->removals += result->removals;
    sum->stuck += result->stuck;
    sum->parts += result->parts;
    sum->hollow += result->hollow;
    sum->violations += result->violations;
    sum->hash ^= result->hash;
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
        sum->faults[kind] += result->faults[kind];
}
