/* SPDX-License-Identifier: Apache-2.0
 *
 * What the command lines of the simulator's parts have in common.
 */
#ifndef LASH_SIM_OPTIONS_H
#define LASH_SIM_OPTIONS_H

#include <popt.h>
#include <stdbool.h>

#include "sim/run.h"

enum { OPTIONS_HELD = 0, OPTIONS_VIOLATED = 1, OPTIONS_USAGE = 2 };

/* As they come from popt. */
struct options {
    unsigned long long seed;
    unsigned long long events;
    int nodes;
    int minutes;
    int seconds;
    int jobs;
    int trace;
    int twice;
    char *profile;
    char *without;
    char *forbid;
    char *only;
    bool seed_given;
};

/* Read the arguments behind the verb, of which those in `allowed`, popt's tables for `options`, are known. False after a
 * line that says what is wrong. --help ends the process. */
bool options_read(const char *verb, int argc, const char **argv, const struct poptOption *allowed,
                  struct options *options);

/* Make settings of them. False after a line that says what is wrong. The settings hold memory until options_free. */
bool options_settings(const struct options *options, struct run_settings *settings);
void options_free(struct options *options, struct run_settings *settings);

/* The tables: of all that say which run it is, and for runs without a seed of their own. */
#define OPTIONS_RUN(options)                                                                                           \
    {"events", 'e', POPT_ARG_LONGLONG, &(options).events, 0, "events before the healing; of a soak, of all its runs",  \
     "N"},                                                                                                             \
        {"nodes", 'n', POPT_ARG_INT, &(options).nodes, 0, "nodes of the cluster, 1 to 9 [3]", "K"},                    \
        {"forbid",  0, POPT_ARG_STRING, &(options).forbid, 0, "kinds that count as a broken invariant, for tests",     \
         "KIND,..."},                                                                                                  \
        {"profile",                                                                                                    \
         'p',                                                                                                          \
         POPT_ARG_STRING,                                                                                              \
         &(options).profile,                                                                                           \
         0,                                                                                                            \
         "node, store, session, operators, swarm, calm, core, membership or lease [node]",                             \
         "NAME"},                                                                                                      \
    {                                                                                                                  \
        "without", 0, POPT_ARG_STRING, &(options).without, 0, "kinds of faults that do not happen", "KIND,..."         \
    }
#define OPTIONS_SEED(options)                                                                                          \
    {"seed", 's', POPT_ARG_LONGLONG, &(options).seed, 's', "the seed [1]", "S"}, {                                     \
        "only", 0, POPT_ARG_STRING, &(options).only, 0, "no faults with times of their own but these, or none",        \
            "KIND:N,..."                                                                                               \
    }

#endif
