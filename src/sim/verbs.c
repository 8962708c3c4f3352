/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-sim run and replay: one seed.
 */
#include "sim/verbs.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/options.h"

static const char *verb_json_seeds; /* NULL: the result is of the settings' own seed */

static void verb_ended(const struct run_settings *settings, const struct run_result *result) {
    run_print_failure(settings, result);
    run_print_json(settings, result, verb_json_seeds);
}

/* P1: again, in a process of its own, with the same outcome. */
static int verb_again(const struct run_settings *settings, const struct run_result *first) {
    struct run_settings again = *settings;
    again.trace = false;
    struct run_result second;
    if (run_apart(&again, &second) && second.hash == first->hash && second.events == first->events)
        return OPTIONS_HELD;
    struct run_result wrong = *first;
    wrong.violations = 1;
    (void)snprintf(wrong.invariant, sizeof wrong.invariant, "P1");
    (void)snprintf(wrong.what, sizeof wrong.what, "the same seed gave the hashes %016" PRIx64 " and %016" PRIx64,
                   first->hash, second.hash);
    verb_ended(settings, &wrong);
    return OPTIONS_VIOLATED;
}

static int verb_run_here(const struct options *options, const struct run_settings *settings) {
    struct run_result result;
    if (settings->trace)
        (void)setvbuf(stdout, NULL, _IOLBF, 0); /* the last line before an assertion is the one that matters */
    run(settings, &result, verb_ended);
    int code = options->twice ? verb_again(settings, &result) : OPTIONS_HELD;
    if (code == OPTIONS_HELD)
        run_print_json(settings, &result, NULL);
    (void)fflush(NULL);
    return code;
}

/* In a process of its own, for an assertion ends it, and which seed that was has to be said all the same. */
static int verb_run(struct options *options) {
    struct run_settings settings;
    int code = OPTIONS_USAGE;
    if (options_settings(options, &settings)) {
        int status = 0;
        (void)fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            _exit(verb_run_here(options, &settings));
        if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)) {
            code = WEXITSTATUS(status);
        } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) {
            code = 128 + SIGPIPE; /* nobody reads the account any more; as a shell has it */
        } else {
            struct run_result result;
            run_died(status, &result);
            verb_ended(&settings, &result);
            code = OPTIONS_VIOLATED;
        }
    }
    options_free(options, &settings);
    return code;
}

int run_main(int argc, const char **argv) {
    struct options options = {.seed = 1, .events = 200000, .nodes = 3};
    const struct poptOption allowed[] = {
        OPTIONS_SEED(options),
        OPTIONS_RUN(options),
        {"twice", 0, POPT_ARG_NONE, &options.twice, 0, "run it twice and compare the hashes (P1)", NULL},
        POPT_AUTOHELP POPT_TABLEEND};
    return options_read("run", argc, argv, allowed, &options) ? verb_run(&options) : OPTIONS_USAGE;
}

int replay_main(int argc, const char **argv) {
    struct options options = {.seed = 1, .events = 200000, .nodes = 3};
    const struct poptOption allowed[] = {
        OPTIONS_SEED(options),
        OPTIONS_RUN(options),
        {"trace", 't', POPT_ARG_NONE, &options.trace, 0, "an account of every event", NULL},
        POPT_AUTOHELP POPT_TABLEEND};
    return options_read("replay", argc, argv, allowed, &options) ? verb_run(&options) : OPTIONS_USAGE;
}
