/* SPDX-License-Identifier: Apache-2.0
 *
 * lash-linear: judges a recorded history, as one of registers, key by key, or as one of the
 * whole store. Exit code 0: linearizable; 1: not, with what shows it; 2: unknown, because time or memory
 * ran out; 3: wrong usage or input.
 */
#include <inttypes.h>
#include <popt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "linear/linear.h"
#include "linear/revision_linear.h"

#define EXIT_LINEARIZABLE 0
#define EXIT_VIOLATION 1
#define EXIT_UNDECIDED 2
#define EXIT_UNUSABLE 3
#define WINDOW_LINES_MAX 200

#define MODEL_REGISTER "register"
#define MODEL_STORE "store"

struct settings {
    const char *model;
    int seconds;
    int megabytes;
    int revision; /* of the store at first */
};

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
    if (history->left_out > 0)
        printf("%zu operations that only --model=store knows are left out\n", history->left_out);
    printf("%zu operations on %zu keys: ", history->count, history->keys.count);
    if (wrong > 0)
        printf("NOT linearizable (%zu keys)\n", wrong);
    else if (undecided > 0)
        printf("unknown (%zu keys)\n", undecided);
    else
        printf("linearizable\n");
    return wrong > 0 ? EXIT_VIOLATION : undecided > 0 ? EXIT_UNDECIDED : EXIT_LINEARIZABLE;
}

static int judge_registers(FILE *file, const struct settings *settings, char *problem, size_t room) {
    struct history history;
    if (!history_read(file, &history, problem, room))
        return EXIT_UNUSABLE;
    int code = judge(&history, settings->seconds, settings->megabytes);
    history_free(&history);
    return code;
}

static void explain_trouble(const struct revision_history *history, const struct revision_trouble *trouble) {
    printf("NOT linearizable: at most %zu of %zu operations judged together find a place, up to revision %" PRId64
           "; then one of these would have to come:\n",
           trouble->done, trouble->judged, trouble->revision);
    for (size_t at = 0; at < trouble->next_count; at++) {
        const struct revision_obstacle *next = &trouble->next[at];
        revision_op_print(history, next->op, trouble->next[0].op->start, stdout);
        printf("      but %s\n", next->behind ? "then this could not have answered at its revision:" : next->why);
        if (next->behind)
            revision_op_print(history, next->behind, trouble->next[0].op->start, stdout);
    }
}

static int judge_store(FILE *file, const struct settings *settings, char *problem, size_t room) {
    struct revision_history history;
    struct revision_trouble trouble;
    if (!revision_history_read(file, &history, problem, room))
        return EXIT_UNUSABLE;
    const struct linear_limits limits = limits_now(settings->seconds, settings->megabytes);
    enum linear_verdict verdict = revision_check(&history, settings->revision, &limits, &trouble);
    if (verdict == LINEAR_NO)
        explain_trouble(&history, &trouble);
    printf("%zu operations on the store: %s\n", history.count,
           verdict == LINEAR_YES  ? "linearizable"
           : verdict == LINEAR_NO ? "NOT linearizable"
                                  : "unknown: time or memory ran out");
    revision_history_free(&history);
    return verdict == LINEAR_YES ? EXIT_LINEARIZABLE : verdict == LINEAR_NO ? EXIT_VIOLATION : EXIT_UNDECIDED;
}

static int judge_file(const char *path, const struct settings *settings) {
    char problem[256] = "";
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file) {
        (void)fprintf(stderr, "lash-linear: cannot open %s\n", path);
        return EXIT_UNUSABLE;
    }
    bool store = strcmp(settings->model, MODEL_STORE) == 0;
    int code = store ? judge_store(file, settings, problem, sizeof problem)
                     : judge_registers(file, settings, problem, sizeof problem);
    if (file != stdin)
        (void)fclose(file);
    if (code == EXIT_UNUSABLE)
        (void)fprintf(stderr, "lash-linear: %s, %s\n", path, problem);
    if (fflush(stdout) != 0)
        return EXIT_UNUSABLE;
    return code;
}

/* What is wrong with the settings, or NULL. */
static const char *check_settings(const struct settings *settings) {
    if (settings->seconds < 1 || settings->megabytes < 1)
        return "--timeout and --memory must be at least 1";
    if (settings->revision < 0)
        return "--revision must not be negative";
    if (strcmp(settings->model, MODEL_REGISTER) != 0 && strcmp(settings->model, MODEL_STORE) != 0)
        return "--model must be register or store";
    return NULL;
}

int main(int argc, const char **argv) {
    struct settings settings = {.seconds = 60, .megabytes = 1024, .revision = 1};
    char *model = NULL;
    const struct poptOption options[] = {
        {"model", 0, POPT_ARG_STRING, &model, 0, "what to judge by: register, or store [register]", "MODEL"},
        {"revision", 0, POPT_ARG_INT, &settings.revision, 0, "of the empty store that it began with [1]", "NUMBER"},
        {"timeout", 't', POPT_ARG_INT, &settings.seconds, 0, "give up after so many seconds [60]", "SECONDS"},
        {"memory", 'm', POPT_ARG_INT, &settings.megabytes, 0, "megabytes for states seen before [1024]", "MB"},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext context = poptGetContext("lash-linear", argc, argv, options, 0);
    if (!context)
        return EXIT_UNUSABLE;
    poptSetOtherOptionHelp(context, "[options] HISTORY");
    int rc = poptGetNextOpt(context);
    const char *path = poptGetArg(context);
    settings.model = model ? model : MODEL_REGISTER;
    int code = EXIT_UNUSABLE;
    if (rc < -1)
        (void)fprintf(stderr, "lash-linear: %s: %s\n", poptBadOption(context, 0), poptStrerror(rc));
    else if (!path || poptPeekArg(context))
        (void)fprintf(stderr, "lash-linear: expected one history, or - for standard input\n");
    else if (check_settings(&settings))
        (void)fprintf(stderr, "lash-linear: %s\n", check_settings(&settings));
    else
        code = judge_file(path, &settings);
    poptFreeContext(context);
    mem_free(model);
    return code;
}
