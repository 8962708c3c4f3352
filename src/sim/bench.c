/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-sim bench: how many events a second of one core's time the simulator does with
 * the whole node, with bare cores and all judging, and how many steps the core does by
 * itself.
 */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "lash/raft.h"
#include "sim/memory.h"
#include "sim/options.h"
#include "sim/verbs.h"

enum { BENCH_SEEDS = 8, BENCH_STEPS = 4 };

static void bench_ended(const struct run_settings *settings, const struct run_result *result) {
    run_print_failure(settings, result);
}

static double bench_profile(const char *profile, uint64_t events) {
    struct run_result sum = {0};
    for (uint64_t seed = 1; seed <= BENCH_SEEDS; seed++) {
        struct run_settings settings = {.seed = seed, .events = events / BENCH_SEEDS, .nodes = 3, .profile = profile};
        struct run_result result;
        run(&settings, &result, bench_ended);
        run_add(&sum, &result);
        sum.cpu_us += result.cpu_us;
    }
    return (double)sum.events * 1e6 / (double)(sum.cpu_us ? sum.cpu_us : 1);
}

/* A core alone in its group, which proposes, writes, applies and is asked for reads. */
static double bench_core(uint64_t steps) {
    struct lash_raft_options options = {.id = 1, .seed = 1};
    struct lash_raft_saved saved = {.first_index = 1, .configuration = {.count = 1}};
    saved.configuration.members[0] = (struct lash_member){.id = 1, .flags = LASH_MEMBER_VOTER};
    void *block = memory_new(1, lash_raft_size(&options));
    struct lash_raft *raft;
    struct lash_outputs outputs;
    int error = lash_raft_init(block, &options, &saved, 0, &raft);
    uint64_t began_us = run_clock_us();
    struct lash_event event = {.type = LASH_EVENT_TICK, .now_ms = 5000};
    error = error ? error : lash_raft_step(raft, &event, &outputs);
    for (uint64_t i = 0; !error && i < steps / BENCH_STEPS; i++) {
        event = (struct lash_event){.type = LASH_EVENT_WRITTEN, .now_ms = 5000};
        event.written.write = outputs.write;
        event.written.index = outputs.append_last;
        event.written.term = outputs.append_term;
        error = outputs.write ? lash_raft_step(raft, &event, &outputs) : LASH_OK;
        event = (struct lash_event){.type = LASH_EVENT_APPLIED, .now_ms = 5000};
        event.applied.index = outputs.commit;
        error = error ? error : lash_raft_step(raft, &event, &outputs);
        event = (struct lash_event){.type = LASH_EVENT_READ, .now_ms = 5000};
        event.read.context = i + 1;
        error = error ? error : lash_raft_step(raft, &event, &outputs);
        event = (struct lash_event){.type = LASH_EVENT_PROPOSE, .now_ms = 5000};
        event.propose.count = 1;
        error = error ? error : lash_raft_step(raft, &event, &outputs);
        if (error == LASH_NOT_LEADER)
            error = LASH_OK;
    }
    LASH_ASSERT(!error && outputs.commit > steps / BENCH_STEPS / 2);
    uint64_t us = run_clock_us() - began_us;
    memory_free(block);
    return (double)steps * 1e6 / (double)(us ? us : 1);
}

static int bench(const struct options *options) {
    printf("{\"node_events_per_second\": %.0f, ", bench_profile("node", options->events));
    printf("\"calm_events_per_second\": %.0f, ", bench_profile("calm", options->events));
    printf("\"core_events_per_second\": %.0f, ", bench_profile("core", options->events));
    printf("\"core_steps_per_second\": %.0f}\n", bench_core(options->events));
    return OPTIONS_HELD;
}

int bench_main(int argc, const char **argv) {
    struct options options = {.events = 2000000};
    const struct poptOption allowed[] = {
        {"events", 'e', POPT_ARG_LONGLONG, &options.events, 0, "of each [2000000]", "N"}, POPT_AUTOHELP POPT_TABLEEND};
    return options_read("bench", argc, argv, allowed, &options) ? bench(&options) : OPTIONS_USAGE;
}
