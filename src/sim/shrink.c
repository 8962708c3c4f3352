/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-sim shrink: the fewest faults and events with which a seed still breaks the
 * same invariant. Each attempt is a run in a process of its own. Faults with times of
 * their own are left out one by one, in halves first; those of packets by their kind.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/options.h"
#include "sim/verbs.h"

struct shrink {
    struct run_settings best; /* the smallest so far that fails */
    struct run_result result;
    uint64_t attempts;
};

/* Whether these settings break the same invariant; then they are the best so far. */
static bool shrink_try(struct shrink *shrink, const struct run_settings *settings) {
    struct run_result result;
    shrink->attempts++;
    if (run_apart(settings, &result) || strcmp(result.invariant, shrink->result.invariant) != 0)
        return false;
    shrink->best = *settings;
    shrink->result = result;
    return true;
}

/* No more events than it took, and then fewer by halves, quarters, eighths. */
static void shrink_events(struct shrink *shrink) {
    struct run_settings settings = shrink->best;
    if (shrink->result.events < settings.events) {
        settings.events = shrink->result.events;
        (void)shrink_try(shrink, &settings);
    }
    for (uint64_t part = 2; part <= 64 && shrink->best.events / part > 0; part *= 2) {
        do {
            settings = shrink->best;
            settings.events -= settings.events / part;
        } while (settings.events < shrink->best.events && shrink_try(shrink, &settings));
    }
}

/* Without some of its faults it may fail some events later. */
static void shrink_room(struct shrink *shrink) {
    uint64_t room = 2 * shrink->result.events;
    if (room < shrink->best.events)
        shrink->best.events = room;
}

static void shrink_kinds(struct shrink *shrink) {
    for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
        struct run_settings settings = shrink->best;
        if (settings.without[kind])
            continue;
        settings.without[kind] = true;
        (void)shrink_try(shrink, &settings);
    }
}

/* Leave out `count` of the faults from `first` on. */
static bool shrink_leave_out(struct shrink *shrink, size_t first, size_t count) {
    struct run_settings settings = shrink->best;
    uint64_t *only = memory_new(settings.only_count + 1, sizeof *only);
    memcpy(only, settings.only, first * sizeof *only);
    memcpy(only + first, settings.only + first + count, (settings.only_count - first - count) * sizeof *only);
    uint64_t *before = settings.only;
    settings.only = only;
    settings.only_count -= count;
    bool fails = shrink_try(shrink, &settings);
    memory_free(fails ? before : only);
    return fails;
}

static void shrink_faults(struct shrink *shrink) {
    for (size_t count = (shrink->best.only_count + 1) / 2; count > 0; count /= 2) {
        size_t first = 0;
        while (first < shrink->best.only_count) {
            size_t left = shrink->best.only_count - first;
            size_t now = count < left ? count : left;
            if (!shrink_leave_out(shrink, first, now))
                first += now;
        }
    }
}

/* The faults that the run carries out become a list, from which some can be left out. */
static void shrink_list(struct shrink *shrink) {
    struct run_settings settings = shrink->best;
    struct run_result result;
    char line[32];
    settings.faults = tmpfile();
    if (!settings.faults)
        return;
    (void)run_apart(&settings, &result);
    rewind(settings.faults);
    if (!settings.only)
        settings.only = memory_new(RUN_ONLY_MAX, sizeof *settings.only);
    settings.only_count = 0;
    while (settings.only_count < RUN_ONLY_MAX && fgets(line, sizeof line, settings.faults))
        settings.only[settings.only_count++] = strtoull(line, NULL, 10);
    (void)fclose(settings.faults);
    settings.faults = NULL;
    if (!shrink_try(shrink, &settings) && settings.only != shrink->best.only)
        memory_free(settings.only);
}

static int shrink(struct options *options) {
    struct shrink shrink = {0};
    struct run_settings settings;
    if (!options_settings(options, &settings))
        return OPTIONS_USAGE;
    shrink.best = settings;
    if (run_apart(&settings, &shrink.result)) {
        printf("seed %" PRIu64 " breaks no invariant: there is nothing to shrink\n", settings.seed);
        options_free(options, &settings);
        return OPTIONS_HELD;
    }
    shrink_room(&shrink);
    if (run_numbers_faults(settings.profile))
        shrink_list(&shrink);
    shrink_kinds(&shrink);
    if (shrink.best.only)
        shrink_faults(&shrink);
    shrink_events(&shrink);
    printf("%" PRIu64 " attempts; %" PRIu64 " events", shrink.attempts, shrink.best.events);
    if (shrink.best.only)
        printf(" and %zu faults", shrink.best.only_count);
    printf(" are left\n");
    (void)fflush(stdout);
    run_print_failure(&shrink.best, &shrink.result);
    run_print_json(&shrink.best, &shrink.result, NULL);
    options_free(options, &shrink.best);
    return OPTIONS_VIOLATED;
}

int shrink_main(int argc, const char **argv) {
    struct options options = {.seed = 1, .events = 200000, .nodes = 3};
    const struct poptOption allowed[] = {OPTIONS_SEED(options), OPTIONS_RUN(options), POPT_AUTOHELP POPT_TABLEEND};
    return options_read("shrink", argc, argv, allowed, &options) ? shrink(&options) : OPTIONS_USAGE;
}
