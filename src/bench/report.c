/* SPDX-License-Identifier: Apache-2.0
 *
 * A run's result for people and, in the last line, for programs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

double bench_us(uint64_t ns) {
    return (double)ns / 1e3;
}

void bench_report_latency(const struct histogram *latency) {
    printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
           bench_us(histogram_quantile(latency, 0.5)), bench_us(histogram_quantile(latency, 0.99)),
           bench_us(histogram_quantile(latency, 0.999)), bench_us(latency->max));
}

/* A number that the kernel may not tell. */
static void print_known(const char *name, bool known, double value) {
    if (known)
        printf(", \"%s\": %.3f", name, value);
    else
        printf(", \"%s\": null", name);
}

static void print_json(const char *name, const struct bench_options *options, const struct load_result *load,
                       const struct usage *used, const struct histogram *syncs) {
    double operations = load->operations ? (double)load->operations : 1;
    double seconds = (double)load->measured_ns / 1e9;
    printf("{\"bench\": \"%s\", \"replicas\": %d, \"clients\": %d, \"value\": %d", name, options->replicas,
           options->clients, options->value);
    printf(", \"seconds\": %.3f, \"operations\": %" PRIu64 ", \"ops_per_second\": %.1f", seconds, load->operations,
           (double)load->operations / seconds);
    bench_report_latency(&load->latency);
    printf(", \"cpu_us_per_op\": %.3f", bench_us(used->cpu_ns) / operations);
    print_known("syscalls_per_op", used->io_known, (double)(used->transfers + used->syncs) / operations);
    printf(", \"waits_per_op\": %.3f", (double)used->waits / operations);
    printf(", \"fsyncs_per_second\": %.1f", (double)used->syncs / seconds);
    printf(", \"fsync_p50_us\": %.1f, \"fsync_p99_us\": %.1f", bench_us(histogram_quantile(syncs, 0.5)),
           bench_us(histogram_quantile(syncs, 0.99)));
    print_known("bytes_written_per_op", used->io_known, (double)used->bytes_written / operations);
    printf(", \"max_rss\": %" PRIu64 "}\n", used->max_rss);
}

void bench_report(const char *name, const struct bench_options *options, const struct crew_result *result) {
    struct usage used = result->used[0];
    struct histogram syncs = result->syncs[0];
    for (int i = 1; i < options->replicas; i++) {
        usage_add(&used, &result->used[i]);
        histogram_merge(&syncs, &result->syncs[i]);
    }
    const struct load_result *load = &result->load;
    printf(
        "%s: %d replicas, %d clients, %d bytes: %.0f operations a second; 50 %% within %.0f us, 99 %% within %.0f us\n",
        name, options->replicas, options->clients, options->value,
        (double)load->operations / ((double)load->measured_ns / 1e9), bench_us(histogram_quantile(&load->latency, 0.5)),
        bench_us(histogram_quantile(&load->latency, 0.99)));
    print_json(name, options, load, &used, &syncs);
}
