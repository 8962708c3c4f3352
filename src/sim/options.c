/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines.
 */
#include "sim/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/world.h"

bool options_read(const char *verb, int argc, const char **argv, const struct poptOption *allowed,
                  struct options *options) {
    char name[32];
    (void)snprintf(name, sizeof name, "lash-sim %s", verb);
    argv[0] = name; /* what --help begins with */
    poptContext context = poptGetContext(name, argc, argv, allowed, 0);
    int rc;
    while ((rc = poptGetNextOpt(context)) > 0)
        options->seed_given |= rc == 's';
    const char *extra = poptPeekArg(context);
    if (rc < -1)
        (void)fprintf(stderr, "lash-sim: %s: %s\n", poptBadOption(context, 0), poptStrerror(rc));
    else if (extra)
        (void)fprintf(stderr, "lash-sim: unexpected argument: %s\n", extra);
    bool fine = rc == -1 && !extra;
    poptFreeContext(context);
    return fine;
}

/* Call `each` for every part of a list with commas; false when it says so. */
static bool options_each(const char *list, bool (*each)(struct run_settings *settings, const char *part, unsigned size),
                         struct run_settings *settings) {
    while (list && *list) {
        unsigned size = (unsigned)strcspn(list, ",");
        if (!each(settings, list, size)) {
            (void)fprintf(stderr, "lash-sim: no such fault: %.*s\n", (int)size, list);
            return false;
        }
        list += size + (list[size] == ',');
    }
    return true;
}

static bool options_without(struct run_settings *settings, const char *part, unsigned size) {
    enum fault kind = fault_named(part, size);
    if (kind == FAULT_KINDS)
        return false;
    settings->without[kind] = true;
    return true;
}

static bool options_forbid(struct run_settings *settings, const char *part, unsigned size) {
    enum fault kind = fault_named(part, size);
    if (kind >= FAULT_PACKET)
        return false;
    settings->forbid[kind] = true;
    return true;
}

static bool options_only(struct run_settings *settings, const char *part, unsigned size) {
    unsigned colon = (unsigned)strcspn(part, ":");
    enum fault kind = colon < size ? fault_named(part, colon) : FAULT_KINDS;
    char *end = NULL;
    unsigned long long count = kind < FAULT_PACKET ? strtoull(part + colon + 1, &end, 10) : 0;
    if (kind >= FAULT_PACKET || end != part + size || settings->only_count == RUN_ONLY_MAX)
        return false;
    settings->only[settings->only_count++] = (uint64_t)kind << 32 | count;
    return true;
}

bool options_settings(const struct options *options, struct run_settings *settings) {
    *settings = (struct run_settings){.seed = options->seed,
                                      .events = options->events,
                                      .nodes = (uint32_t)options->nodes,
                                      .profile = options->profile ? options->profile : "node",
                                      .trace = options->trace};
    if (options->nodes < 1 || options->nodes > WORLD_FOUNDERS_MAX) {
        (void)fprintf(stderr, "lash-sim: --nodes must be 1 to %d\n", WORLD_FOUNDERS_MAX);
        return false;
    }
    if (!run_known_profile(settings->profile)) {
        (void)fprintf(stderr, "lash-sim: no such profile: %s\n", settings->profile);
        return false;
    }
    if (options->only && !run_numbers_faults(settings->profile)) {
        (void)fprintf(stderr, "lash-sim: --only: faults of the profile %s have no numbers\n", settings->profile);
        return false;
    }
    if (options->only)
        settings->only = memory_new(RUN_ONLY_MAX, sizeof *settings->only);
    const char *only = options->only && strcmp(options->only, "none") != 0 ? options->only : NULL;
    return options_each(options->without, options_without, settings) &&
           options_each(options->forbid, options_forbid, settings) && options_each(only, options_only, settings);
}

void options_free(struct options *options, struct run_settings *settings) {
    memory_free(settings->only);
    free(options->profile);
    free(options->without);
    free(options->forbid);
    free(options->only);
}
