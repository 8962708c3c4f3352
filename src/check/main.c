/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-check: walks every state of small clusters of the real core. Exit code 0: all invariants held in all states
 * within the bound; 1: one is broken, with a shortest way to it; 2: wrong usage; 3: cut short before the end.
 */
#include <popt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "check/run.h"

#define EXIT_USAGE 2
#define PROGRESS_SECONDS 5
#define RUNS_MAX 32
#define NOT_GIVEN (-1)

/* The command line. What was not given keeps what the scenario has. */
struct options {
    char *bound;
    char *scenario;
    int nodes, terms, entries, crashes, messages, reads, writes, timeouts, heartbeats, transfers, snapshots;
    int late, pre_vote, check_quorum;
    int no_symmetry, no_reduction, list, quiet, jobs, memory, depth;
    long long states;
    double minutes;
};

static void replace(uint32_t *value, int given) {
    if (given != NOT_GIVEN)
        *value = (uint32_t)given;
}

static void replace_flag(bool *value, int given) {
    if (given != NOT_GIVEN)
        *value = given != 0;
}

static void change_bounds(struct model_bounds *bounds, const struct options *options) {
    replace(&bounds->nodes, options->nodes);
    replace(&bounds->terms, options->terms);
    replace(&bounds->entries, options->entries);
    replace(&bounds->crashes, options->crashes);
    replace(&bounds->messages, options->messages);
    replace(&bounds->reads, options->reads);
    replace(&bounds->writes, options->writes);
    replace(&bounds->timeouts, options->timeouts);
    replace(&bounds->heartbeats, options->heartbeats);
    replace(&bounds->transfers, options->transfers);
    replace(&bounds->depth, options->depth);
    replace(&bounds->snapshots, options->snapshots);
    replace_flag(&bounds->late, options->late);
    replace_flag(&bounds->pre_vote, options->pre_vote);
    replace_flag(&bounds->check_quorum, options->check_quorum);
    bounds->symmetry = !options->no_symmetry;
    bounds->reduction = !options->no_reduction;
}

static const char *bound_name(const struct options *options) {
    return options->bound == NULL ? "default" : options->bound;
}

static int usage(const char *what, const char *more) {
    (void)fprintf(stderr, "lash-check: %s%s%s\n", what, more == NULL ? "" : ": ", more == NULL ? "" : more);
    return EXIT_USAGE;
}

/* The runs that the options ask for. Returns what is wrong with them, or NULL. */
static const char *choose(const struct options *options, struct run *runs, uint32_t *count) {
    unsigned bound = 0;
    while (scenario_bound_name(bound) != NULL && strcmp(scenario_bound_name(bound), bound_name(options)) != 0)
        bound++;
    if (bound == SCENARIO_BOUNDS)
        return "there is no such bound; there are small, default and large";
    *count = 0;
    for (const struct scenario *scenario = scenarios; scenario->name != NULL; scenario++) {
        if (options->scenario != NULL && strcmp(options->scenario, scenario->name) != 0)
            continue;
        if (scenario->bounds[bound].nodes == 0)
            continue;
        struct run *run = &runs[(*count)++];
        memset(run, 0, sizeof *run);
        run->scenario = scenario;
        run->bounds = scenario->bounds[bound];
        change_bounds(&run->bounds, options);
        const struct model_bounds absolute = scenario_bounds(scenario, &run->bounds);
        const char *wrong = scenario_wrong(&absolute);
        if (wrong != NULL)
            return wrong;
    }
    return *count == 0 ? "there is no such scenario at this bound; see --list" : NULL;
}

static int list(void) {
    for (const struct scenario *scenario = scenarios; scenario->name != NULL; scenario++)
        printf("%-14s %s\n", scenario->name, scenario->about);
    return 0;
}

static int search(const struct options *options) {
    struct run runs[RUNS_MAX];
    uint32_t count = 0;
    const char *wrong = choose(options, runs, &count);
    if (wrong != NULL)
        return usage(wrong, NULL);
    if (options->minutes < 0 || options->states < 0 || options->memory < 1 || options->jobs < 1)
        return usage("limits cannot be negative, and --memory and --jobs must be at least 1", NULL);
    struct search_limits limits = {.states = (uint64_t)options->states};
    limits.seconds = options->minutes * 60;
    limits.memory = (size_t)options->memory << 20;
    limits.progress = options->quiet ? 0 : PROGRESS_SECONDS;
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    if (!run_all(runs, count, (uint32_t)options->jobs, &limits, stdout))
        return usage("cannot start a search: no process or file to be had", NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    run_json(stdout, runs, count, bound_name(options), seconds);
    return fflush(stdout) == 0 ? run_status(runs, count) : EXIT_USAGE;
}

static int parse(int argc, const char **argv, struct options *options) {
    const struct poptOption table[] = {
        {"bound", 'b', POPT_ARG_STRING, &options->bound, 0, "small, default or large [default]", "NAME"},
        {"scenario", 's', POPT_ARG_STRING, &options->scenario, 0, "only this one of the bound's scenarios", "NAME"},
        {"list", 0, POPT_ARG_NONE, &options->list, 0, "list the scenarios", NULL},
        {"nodes", 0, POPT_ARG_INT, &options->nodes, 0, "nodes", "N"},
        {"terms", 0, POPT_ARG_INT, &options->terms, 0, "terms after those that a scenario starts with", "N"},
        {"entries", 0, POPT_ARG_INT, &options->entries, 0, "commands proposed", "N"},
        {"crashes", 0, POPT_ARG_INT, &options->crashes, 0, "crashes", "N"},
        {"messages", 0, POPT_ARG_INT, &options->messages, 0, "messages in flight; more are lost, whichever", "N"},
        {"reads", 0, POPT_ARG_INT, &options->reads, 0, "reads", "N"},
        {"writes", 0, POPT_ARG_INT, &options->writes, 0, "writes under way at a node; 0: they take no time", "N"},
        {"timeouts", 0, POPT_ARG_INT, &options->timeouts, 0, "election timeouts, and leaders without a quorum", "N"},
        {"heartbeats", 0, POPT_ARG_INT, &options->heartbeats, 0, "heartbeats that are due", "N"},
        {"transfers", 0, POPT_ARG_INT, &options->transfers, 0, "transfers of leadership asked for", "N"},
        {"snapshots", 0, POPT_ARG_INT, &options->snapshots, 0, "snapshots taken", "N"},
        {"late", 0, POPT_ARG_INT, &options->late, 0, "1: messages of terms that their receiver left may arrive", "0|1"},
        {"pre-vote", 0, POPT_ARG_INT, &options->pre_vote, 0, "1: on", "0|1"},
        {"check-quorum", 0, POPT_ARG_INT, &options->check_quorum, 0, "1: on", "0|1"},
        {"no-symmetry", 0, POPT_ARG_NONE, &options->no_symmetry, 0, "tell renamed states apart", NULL},
        {"no-reduction", 0, POPT_ARG_NONE, &options->no_reduction, 0, "search plainly", NULL},
        {"depth", 0, POPT_ARG_INT, &options->depth, 0, "steps from the start; 0: any number", "N"},
        {"states", 0, POPT_ARG_LONGLONG, &options->states, 0, "give a scenario up after so many states [never]", "N"},
        {"minutes", 0, POPT_ARG_DOUBLE, &options->minutes, 0, "give a scenario up after so many minutes [never]", "M"},
        {"memory", 0, POPT_ARG_INT, &options->memory, 0, "megabytes for a scenario [2048]", "MB"},
        {"jobs", 'j', POPT_ARG_INT, &options->jobs, 0, "scenarios searched at a time [2]", "N"},
        {"quiet", 'q', POPT_ARG_NONE, &options->quiet, 0, "no lines about progress", NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext context = poptGetContext("lash-check", argc, argv, table, 0);
    if (context == NULL)
        return usage("out of memory", NULL);
    int rc = poptGetNextOpt(context);
    int code = EXIT_USAGE;
    if (rc < -1)
        (void)usage(poptBadOption(context, 0), poptStrerror(rc));
    else if (poptPeekArg(context) != NULL)
        (void)usage("unexpected argument", poptPeekArg(context));
    else
        code = options->list ? list() : search(options);
    poptFreeContext(context);
    return code;
}

int main(int argc, const char **argv) {
    struct options options = {.nodes = NOT_GIVEN, .terms = NOT_GIVEN, .entries = NOT_GIVEN, .crashes = NOT_GIVEN};
    options.messages = options.reads = options.writes = options.timeouts = options.heartbeats = options.transfers =
        options.snapshots = NOT_GIVEN;
    options.late = options.pre_vote = options.check_quorum = options.depth = NOT_GIVEN;
    options.jobs = 2;
    options.memory = 2048;
    int code = parse(argc, argv, &options);
    mem_free(options.bound);
    mem_free(options.scenario);
    return code;
}
