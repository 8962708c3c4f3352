/* SPDX-License-Identifier: Apache-2.0
 *
 * bench put, bench get, bench txn: load on a cluster for whoever wants to know what
 * it can bear, with a bar while it runs and a histogram of latencies at the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lashctl/ctl.h"
#include "lashctl/flags.h"
#include "lashctl/kv_load.h"

enum { BAR_WIDTH = 40 };

/* ---- While it runs --------------------------------------------------------------------------------- */

/* `filled` of BAR_WIDTH characters. */
static void bar(char text[BAR_WIDTH + 1], double filled) {
    for (int i = 0; i < BAR_WIDTH; i++)
        text[i] = i + 0.5 < filled * BAR_WIDTH ? '#' : ' ';
    text[BAR_WIDTH] = '\0';
}

static bool show_progress(void *context, const struct grpc_load_result *so_far, double elapsed_seconds) {
    const struct kv_load *load = context;
    char text[BAR_WIDTH + 1];
    bar(text, elapsed_seconds / load->plan.seconds);
    (void)fprintf(stderr, "\r[%s] %.0f s of %.0f s, %.0f operations a second ", text, elapsed_seconds,
                  load->plan.seconds, elapsed_seconds > 0 ? (double)so_far->operations / elapsed_seconds : 0);
    (void)fflush(stderr);
    return true;
}

/* ---- At the end ------------------------------------------------------------------------------------ */

static double us(uint64_t ns) {
    return (double)ns / 1e3;
}

/* A line for each step of 1, 2, 5, 10, ... microseconds from the first that some operations take to the last. */
static void print_histogram(const struct histogram *latency) {
    static const uint64_t factors[] = {1, 2, 5};
    uint64_t before = 0;
    uint64_t power = 1000;
    for (size_t step = 0; before < latency->count; step++) {
        uint64_t limit = power * factors[step % 3];
        uint64_t until = histogram_count_up_to(latency, limit);
        if (until > 0) {
            double share = (double)(until - before) / (double)latency->count;
            char text[BAR_WIDTH + 1];
            bar(text, share);
            printf("  within %10.3f ms  %s  %5.1f %%\n", (double)limit / 1e6, text, share * 100);
        }
        before = until;
        power = step % 3 == 2 ? power * 10 : power;
    }
}

static void print_text(const struct grpc_load_result *result, double rate) {
    printf("%" PRIu64 " operations in %.1f s: %.0f a second\n", result->operations, (double)result->measured_ns / 1e9,
           rate);
    printf("latency: 50 %% within %.3f ms, 99 %% within %.3f ms, 99.9 %% within %.3f ms, all within %.3f ms\n",
           us(histogram_quantile(&result->latency, 0.5)) / 1e3, us(histogram_quantile(&result->latency, 0.99)) / 1e3,
           us(histogram_quantile(&result->latency, 0.999)) / 1e3, us(result->latency.max) / 1e3);
    print_histogram(&result->latency);
}

static void print_json(const struct grpc_load_result *result, double rate) {
    printf("{\"operations\": %" PRIu64 ", \"failures\": %" PRIu64 ", \"seconds\": %.3f, \"ops_per_second\": %.1f",
           result->operations, result->failures, (double)result->measured_ns / 1e9, rate);
    printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           us(histogram_quantile(&result->latency, 0.5)), us(histogram_quantile(&result->latency, 0.99)),
           us(histogram_quantile(&result->latency, 0.999)), us(result->latency.max));
}

static int report(const struct ctl *ctl, const struct grpc_load_result *result) {
    double rate = (double)result->operations / ((double)result->measured_ns / 1e9);
    if (ctl->format == CTL_JSON)
        print_json(result, rate);
    else
        print_text(result, rate);
    if (result->failures > 0)
        return ctl_fail(CTL_ERROR, "%" PRIu64 " operations failed: %s", result->failures, result->failure);
    return CTL_OK;
}

/* ---- The verbs ------------------------------------------------------------------------------------- */

struct bench_flags {
    int64_t clients;
    int64_t connections;
    int64_t keys;
    int64_t value;
    uint64_t duration_ms;
};

static const char *wrong_flag(const struct bench_flags *flags) {
    if (flags->clients < 1 || flags->clients > 1 << 16)
        return "--clients must be from 1 to 65536";
    if (flags->connections < 1 || flags->connections > 1024)
        return "--connections must be from 1 to 1024";
    if (flags->keys < 1 || flags->keys > 1000000000)
        return "--keys must be from 1 to 1000000000";
    if (flags->value < 1 || flags->value > 1 << 20)
        return "--value must be from 1 to 1048576";
    return flags->duration_ms < 1 ? "--duration must be more than nothing" : NULL;
}

static int run(const struct ctl *ctl, enum kv_load_kind kind, const struct bench_flags *flags) {
    static struct grpc_load_result result;
    char problem[512];
    bool bar_wanted = ctl->format == CTL_SIMPLE && isatty(STDERR_FILENO);
    struct kv_load load = {.kind = kind,
                           .endpoints = (const char *const *)ctl->endpoints,
                           .endpoint_count = ctl->endpoint_count,
                           .connections = (size_t)flags->connections,
                           .clients = (size_t)flags->clients,
                           .keys = (size_t)flags->keys,
                           .value_bytes = (size_t)flags->value,
                           .plan = {.seconds = (double)flags->duration_ms / 1e3}};
    if (bar_wanted) {
        load.plan.context = &load;
        load.plan.tick = show_progress;
    }
    bool well = kv_load_run(&load, &result, problem, sizeof problem);
    if (bar_wanted)
        (void)fprintf(stderr, "\r%*s\r", BAR_WIDTH + 56, "");
    return well ? report(ctl, &result) : ctl_fail(CTL_ERROR, "%s", problem);
}

static int parse_and_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv,
                         enum kv_load_kind kind) {
    struct bench_flags flags = {.clients = 100, .connections = 8, .keys = 10000, .value = 256, .duration_ms = 10000};
    const struct flag table[] = {
        {"clients", 0, FLAG_INT, &flags.clients, "100", "each has one operation outstanding"},
        {"connections", 0, FLAG_INT, &flags.connections, "8", "to the endpoints in turn"},
        {"duration", 0, FLAG_DURATION, &flags.duration_ms, "10s", "how long"},
        {"keys", 0, FLAG_INT, &flags.keys, "10000", "how many keys there are"},
        {"value", 0, FLAG_INT, &flags.value, "256", "bytes of each value"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 0)
        return ctl_fail(CTL_BAD_ARGUMENTS, "%s command takes no arguments", verb->name);
    if (ctl->format != CTL_SIMPLE && ctl->format != CTL_JSON)
        return ctl_fail(CTL_BAD_FEATURE, "%s prints as simple or json only", verb->name);
    const char *wrong = wrong_flag(&flags);
    return wrong ? ctl_fail(CTL_BAD_ARGUMENTS, "%s", wrong) : run(ctl, kind, &flags);
}

int bench_put(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    return parse_and_run(ctl, verb, argc, argv, KV_LOAD_PUT);
}

int bench_get(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    return parse_and_run(ctl, verb, argc, argv, KV_LOAD_GET);
}

int bench_txn(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    return parse_and_run(ctl, verb, argc, argv, KV_LOAD_TXN);
}
