/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-linear: judges a recorded history, key by key. Exit code 0: linearizable;
 * 1: not, with the smallest window that shows it; 2: undecided, or wrong usage or input.
 */
#include <inttypes.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "linear/linear.h"

#define EXIT_LINEARIZABLE 0
#define EXIT_VIOLATION 1
#define EXIT_UNDECIDED 2
#define WINDOW_LINES_MAX 200

/* What --timeout and --memory leave for a key. */
static struct linear_limits limits_now(int seconds, int megabytes) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct linear_limits){
        .deadline = (uint64_t)(now.tv_sec + seconds) * 1000000000u + (uint64_t)now.tv_nsec,
        .cache_bytes = (size_t)megabytes << 20,
    };
}

static void explain(const struct history *history, size_t first, size_t count, const struct linear_limits *limits) {
    const char *key = history->keys.list[history->ops[first].key];
    struct history_op *window = mem_alloc(count * sizeof *window);
    if (!window) {
        printf("key \"%s\": NOT linearizable\n", key);
        return;
    }
    uint32_t initial = 0;
    size_t used = linear_window(history->ops + first, count, limits, window, &initial);
    printf("key \"%s\": NOT linearizable; %zu of its %zu operations show it, beginning with %s:\n", key, used, count,
           initial == LINEAR_ANY ? "any value" : "no value");
    for (size_t at = 0; at < used && at < WINDOW_LINES_MAX; at++)
        history_print(history, &window[at], window[0].start, stdout);
    if (used > WINDOW_LINES_MAX)
        printf("  ... and %zu more\n", used - WINDOW_LINES_MAX);
    mem_free(window);
}

/* Judge every key. */
static int judge(const struct history *history, int seconds, int megabytes) {
    size_t wrong = 0, undecided = 0;
    const struct linear_limits limits = limits_now(seconds, megabytes);
    for (size_t first = 0, end = 0; first < history->count; first = end) {
        end = history_key_end(history, first);
        enum linear_verdict verdict = linear_check(history->ops + first, end - first, HISTORY_ABSENT, &limits);
        if (verdict == LINEAR_NO) {
            const struct linear_limits more = limits_now(seconds, megabytes);
            explain(history, first, end - first, &more);
            wrong++;
        } else if (verdict == LINEAR_UNDECIDED) {
            printf("key \"%s\": unknown: time or memory ran out over its %zu operations\n",
                   history->keys.list[history->ops[first].key], end - first);
            undecided++;
        }
    }
    printf("%zu operations on %zu keys: ", history->count, history->keys.count);
    if (wrong > 0)
        printf("NOT linearizable (%zu keys)\n", wrong);
    else if (undecided > 0)
        printf("unknown (%zu keys)\n", undecided);
    else
        printf("linearizable\n");
    return wrong > 0 ? EXIT_VIOLATION : undecided > 0 ? EXIT_UNDECIDED : EXIT_LINEARIZABLE;
}

static int judge_file(const char *path, int seconds, int megabytes) {
    char problem[256];
    struct history history;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file) {
        (void)fprintf(stderr, "lash-linear: cannot open %s\n", path);
        return EXIT_UNDECIDED;
    }
    bool read = history_read(file, &history, problem, sizeof problem);
    if (file != stdin)
        (void)fclose(file);
    if (!read) {
        (void)fprintf(stderr, "lash-linear: %s, %s\n", path, problem);
        return EXIT_UNDECIDED;
    }
    int code = judge(&history, seconds, megabytes);
    history_free(&history);
    if (fflush(stdout) != 0)
        return EXIT_UNDECIDED;
    return code;
}

int main(int argc, const char **argv) {
    int seconds = 60, megabytes = 1024;
    const struct poptOption options[] = {
        {"timeout", 't', POPT_ARG_INT, &seconds, 0, "give up after so many seconds [60]", "SECONDS"},
        {"memory", 'm', POPT_ARG_INT, &megabytes, 0, "megabytes for states seen before [1024]", "MB"},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext context = poptGetContext("lash-linear", argc, argv, options, 0);
    if (!context)
        return EXIT_UNDECIDED;
    poptSetOtherOptionHelp(context, "[options] HISTORY");
    int rc = poptGetNextOpt(context);
    const char *path = poptGetArg(context);
    int code = EXIT_UNDECIDED;
    if (rc < -1)
        (void)fprintf(stderr, "lash-linear: %s: %s\n", poptBadOption(context, 0), poptStrerror(rc));
    else if (!path || poptPeekArg(context))
        (void)fprintf(stderr, "lash-linear: expected one history, or - for standard input\n");
    else if (seconds < 1 || megabytes < 1)
        (void)fprintf(stderr, "lash-linear: --timeout and --memory must be at least 1\n");
    else
        code = judge_file(path, seconds, megabytes);
    poptFreeContext(context);
    return code;
}
