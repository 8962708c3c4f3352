/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-sim: whole clusters of the production code on simulated clocks, networks and
 * disks. Exit code 0: all held; 1: an invariant was broken; 2: wrong usage.
 */
#include <stdio.h>
#include <string.h>

#include "sim/crash.h"
#include "sim/options.h"
#include "sim/verbs.h"

static const struct {
    const char *name;
    int (*main)(int argc, const char **argv);
    const char *help;
} verbs[] = {
    {"run", run_main, "one seed"},
    {"replay", replay_main, "one seed again, with an account of every event"},
    {"soak", soak_main, "new seeds, for as long as wanted"},
    {"shrink", shrink_main, "the fewest faults and events with which a seed still fails"},
    {"bench", bench_main, "how fast it is"},
    {"crash", crash_main, "the log alone, stopped everywhere and in every way"},
};

static void help(FILE *out) {
    (void)fprintf(out, "Usage: lash-sim VERB [options]; lash-sim VERB --help tells more\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        (void)fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].help);
}

int main(int argc, const char **argv) {
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
        help(stdout);
        return OPTIONS_HELD;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].main(argc - 1, argv + 1);
    if (argc >= 2)
        (void)fprintf(stderr, "lash-sim: no such verb: %s; lash-sim --help lists them\n", argv[1]);
    else
        help(stderr);
    return OPTIONS_USAGE;
}
