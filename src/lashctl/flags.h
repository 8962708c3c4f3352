/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags of verbs, and the global ones, which may stand anywhere: tables of names
 * and targets, parsed with popt.
 */
#ifndef LASH_LASHCTL_FLAGS_H
#define LASH_LASHCTL_FLAGS_H

#include "lashctl/ctl.h"

enum flag_kind {
    FLAG_BOOL,     /* bool; --name or --name=true|false */
    FLAG_STRING,   /* const char *, valid until flags_free */
    FLAG_INT,      /* int64_t */
    FLAG_DURATION, /* uint64_t, milliseconds; written as 5s, 300ms, 1m30s */
    FLAG_LIST      /* the global list of endpoints */
};

struct flag {
    const char *name; /* NULL ends a table */
    char letter;      /* or 0 */
    enum flag_kind kind;
    void *target;
    const char *fallback; /* the default, as the help shows it */
    const char *help;
};

/* What flags_parse left to do. */
struct arguments {
    const char **words; /* the positional arguments, valid until flags_free */
    int count;
    int exit_code; /* when done */
    bool done;     /* help was printed, or an error: return exit_code */
};

/* Parse argv, without a program's name, by `table` and the global flags. */
struct arguments flags_parse(struct ctl *ctl, const struct verb *verb, const struct flag *table, int argc,
                             const char **argv);

/* Defaults, then the environment's LASHCTL_ENDPOINTS and so on. Returns an exit code. */
int flags_defaults(struct ctl *ctl);

/* Release what flags_parse and flags_defaults keep. */
void flags_free(struct ctl *ctl);

/* How many words of argv, from `at` on, a global flag takes: 0 when it is no flag, 2 when its value is the next word. */
int flags_skip(const char *word);

/* The section of the help on global flags. */
void flags_print_globals(void);

/* Split a comma-separated list of endpoints. Returns false when memory ran out. */
bool flags_add_endpoints(struct ctl *ctl, const char *list);

#endif
