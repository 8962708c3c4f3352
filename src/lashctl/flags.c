/* SPDX-License-Identifier: Apache-2.0
 *
 * Flags of verbs and global flags; see flags.h.
 */
#include "lashctl/flags.h"

#include <errno.h>
#include <inttypes.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

#define FLAGS_MAX 32
#define HELP_VALUE (FLAGS_MAX + 1)
#define ENVIRONMENT_PREFIX "LASHCTL_"

static const char *const format_names[] = {"simple", "table", "json", "fields"};

/* The global flags; their targets are offsets into struct ctl, so that the table can be constant. */
struct global {
    const char *name;
    char letter;
    enum flag_kind kind;
    size_t offset;
    const char *fallback;
    const char *help;
};

static const struct global globals[] = {
    {"endpoints", 0, FLAG_LIST, 0, "127.0.0.1:2379", "members' client addresses, separated by commas"},
    {"write-out", 'w', FLAG_STRING, 0, "simple", "output format: simple, table, json or fields"},
    {"hex", 0, FLAG_BOOL, offsetof(struct ctl, hex), NULL, "print keys and values as hex-encoded strings"},
    {"command-timeout", 0, FLAG_DURATION, offsetof(struct ctl, command_timeout_ms), "5s", "time allowed for a command"},
    {"dial-timeout", 0, FLAG_DURATION, offsetof(struct ctl, dial_timeout_ms), "2s", "time allowed for connecting"},
};
#define GLOBAL_COUNT (sizeof globals / sizeof globals[0])

/* ---- Memory that lives as long as the command ------------------------------------------------------ */

/* Takes `memory` over, to be freed by flags_free. Returns it; NULL (and freed) when memory ran out. */
static void *keep(struct ctl *ctl, void *memory) {
    void **kept = memory ? mem_realloc(ctl->kept, (ctl->kept_count + 1) * sizeof *kept) : NULL;
    if (!kept) {
        mem_free(memory);
        return NULL;
    }
    ctl->kept = kept;
    ctl->kept[ctl->kept_count++] = memory;
    return memory;
}

void flags_free(struct ctl *ctl) {
    for (size_t at = 0; at < ctl->kept_count; at++)
        mem_free(ctl->kept[at]);
    mem_free(ctl->kept);
    mem_free(ctl->endpoints);
    ctl->kept = NULL;
    ctl->endpoints = NULL;
    ctl->kept_count = ctl->endpoint_count = 0;
}

bool flags_add_endpoints(struct ctl *ctl, const char *list) {
    char *copy = keep(ctl, mem_strdup(list));
    if (!copy)
        return false;
    char *rest = NULL;
    for (char *name = strtok_r(copy, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
        char **endpoints = mem_realloc(ctl->endpoints, (ctl->endpoint_count + 1) * sizeof *endpoints);
        if (!endpoints)
            return false;
        ctl->endpoints = endpoints;
        ctl->endpoints[ctl->endpoint_count++] = name;
    }
    return true;
}

/* ---- Values --------------------------------------------------------------------------------------- */

static bool parse_bool(const char *text, bool *value) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t at = 0; at < sizeof yes / sizeof yes[0]; at++) {
        if (strcmp(text, yes[at]) == 0 || strcmp(text, no[at]) == 0) {
            *value = strcmp(text, yes[at]) == 0;
            return true;
        }
    }
    return false;
}

static bool parse_int(const char *text, int64_t *value) {
    char *end = NULL;
    errno = 0;
    *value = strtoll(text, &end, 0);
    return errno == 0 && end != text && *end == '\0';
}

/* 1m30s, 300ms, 1.5s: numbers with units, added up. */
static bool parse_duration(const char *text, uint64_t *ms) {
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    double total = 0;
    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return true;
    }
    do {
        char *end = NULL;
        if (strchr("0123456789.", *text) == NULL || *text == '\0')
            return false;
        double number = strtod(text, &end);
        size_t length = strcspn(end, "0123456789.");
        size_t unit = 0;
        while (unit < sizeof units / sizeof units[0] &&
               (strlen(units[unit].name) != length || strncmp(units[unit].name, end, length) != 0))
            unit++;
        if (end == text || unit == sizeof units / sizeof units[0])
            return false;
        total += number * units[unit].ms;
        text = end + length;
    } while (*text != '\0');
    if (total > 1e12)
        return false;
    *ms = (uint64_t)total;
    return true;
}

static int set_format(struct ctl *ctl, const char *name) {
    for (size_t at = 0; at < sizeof format_names / sizeof format_names[0]; at++) {
        if (strcmp(name, format_names[at]) == 0) {
            ctl->format = (enum ctl_format)at;
            return CTL_OK;
        }
    }
    return ctl_fail(CTL_BAD_FEATURE, "unsupported output format");
}

static int bad_value(const struct flag *flag, const char *value, const char *expected) {
    return ctl_fail(CTL_ERROR, "invalid argument \"%s\" for \"--%s\" flag: %s", value, flag->name, expected);
}

/* Store a value, given on the command line or in the environment. `value` stays valid. Returns an exit code. */
static int flag_set(struct ctl *ctl, const struct flag *flag, const char *value) {
    union {
        void *memory;
        bool *boolean;
        const char **string;
        int64_t *number;
        uint64_t *ms;
    } target = {.memory = flag->target};
    switch (flag->kind) {
    case FLAG_BOOL:
        return parse_bool(value, target.boolean) ? CTL_OK : bad_value(flag, value, "expected true or false");
    case FLAG_INT:
        return parse_int(value, target.number) ? CTL_OK : bad_value(flag, value, "expected a number");
    case FLAG_DURATION:
        return parse_duration(value, target.ms) ? CTL_OK
                                                : bad_value(flag, value, "expected a time such as 5s or 300ms");
    case FLAG_LIST:
        return flags_add_endpoints(ctl, value) ? CTL_OK : ctl_fail(CTL_ERROR, "out of memory");
    case FLAG_STRING:
        if (flag->target)
            *target.string = value;
        return flag->target ? CTL_OK : set_format(ctl, value);
    }
    return CTL_ERROR;
}

static struct flag global_flag(struct ctl *ctl, const struct global *global) {
    bool in_ctl = global->kind == FLAG_BOOL || global->kind == FLAG_DURATION;
    return (struct flag){global->name,     global->letter, global->kind, in_ctl ? (char *)ctl + global->offset : NULL,
                         global->fallback, global->help};
}

/* ---- Help ------------------------------------------------------------------------------------------ */

static void print_flag(const struct flag *flag) {
    static const char *const placeholders[] = {"", "=TEXT", "=NUMBER", "=TIME", "=LIST"};
    char name[64];
    (void)snprintf(name, sizeof name, "--%s%s", flag->name, placeholders[flag->kind]);
    printf("  %c%c%c %-24s %s", flag->letter ? '-' : ' ', flag->letter ? flag->letter : ' ', flag->letter ? ',' : ' ',
           name, flag->help);
    if (flag->fallback)
        printf(" (default %s)", flag->fallback);
    printf("\n");
}

void flags_print_globals(void) {
    printf("\nGLOBAL OPTIONS (also as environment variables, such as " ENVIRONMENT_PREFIX "ENDPOINTS):\n");
    for (size_t at = 0; at < GLOBAL_COUNT; at++) {
        struct flag flag = {globals[at].name,     globals[at].letter, globals[at].kind, NULL,
                            globals[at].fallback, globals[at].help};
        print_flag(&flag);
    }
    printf("  -h, --help                   print this\n");
}

static void print_help(const struct verb *verb, const struct flag *table) {
    printf("NAME:\n  %s - %s\n\nUSAGE:\n  lashctl %s%s%s\n", verb->name, verb->summary, verb->name,
           *verb->usage ? " " : "", verb->usage);
    if (verb->description)
        printf("\nDESCRIPTION:\n%s\n", verb->description);
    if (table->name)
        printf("\nOPTIONS:\n");
    for (; table->name; table++)
        print_flag(table);
    flags_print_globals();
}

/* ---- Parsing --------------------------------------------------------------------------------------- */

/* The tables put together, for popt. */
struct parser {
    struct ctl *ctl;
    const struct verb *verb;
    struct flag flags[FLAGS_MAX];
    struct poptOption options[FLAGS_MAX + 3]; /* the callback, the flags, help, the end */
    size_t count;                             /* of flags */
    bool help;                                /* was asked for */
    int exit_code;                            /* of the first wrong value */
};

/* What popt hands to the callback, as const data. */
struct parser_link {
    struct parser *parser;
};

/* One flag, and its value, which lives only during the call. */
static void parser_flag(poptContext context, enum poptCallbackReason reason, const struct poptOption *option,
                        const char *value, const void *data) {
    (void)context;
    struct parser *parser = ((const struct parser_link *)data)->parser;
    if (reason != POPT_CALLBACK_REASON_OPTION || parser->exit_code != CTL_OK)
        return;
    if (option->val == HELP_VALUE) {
        parser->help = true;
        return;
    }
    const struct flag *flag = &parser->flags[option->val - 1];
    const char *kept = flag->kind == FLAG_BOOL ? "true" : keep(parser->ctl, value ? mem_strdup(value) : NULL);
    if (!kept)
        parser->exit_code = ctl_fail(CTL_ERROR, "out of memory");
    else /* "-w=json" */
        parser->exit_code = flag_set(parser->ctl, flag, flag->letter && *kept == '=' ? kept + 1 : kept);
}

static void parser_add(struct parser *parser, const struct flag *flag) {
    LASH_ASSERT(parser->count < FLAGS_MAX);
    parser->flags[parser->count++] = *flag;
    parser->options[parser->count] = (struct poptOption){
        .longName = flag->name,
        .shortName = flag->letter,
        .argInfo = flag->kind == FLAG_BOOL ? POPT_ARG_NONE : POPT_ARG_STRING,
        .val = (int)parser->count,
    };
}

static void parser_init(struct parser *parser, const struct parser_link *link, struct ctl *ctl, const struct verb *verb,
                        const struct flag *table) {
    /* POSIX knows no cast from a function to void *; a union is what popt's own macros come down to. */
    union {
        poptCallbackType function;
        void *object;
    } callback = {.function = parser_flag};
    *parser = (struct parser){.ctl = ctl, .verb = verb};
    parser->options[0] =
        (struct poptOption){.argInfo = POPT_ARG_CALLBACK, .arg = callback.object, .descrip = (const char *)link};
    for (; table->name; table++)
        parser_add(parser, table);
    for (size_t at = 0; at < GLOBAL_COUNT; at++) {
        struct flag flag = global_flag(ctl, &globals[at]);
        parser_add(parser, &flag);
    }
    parser->options[parser->count + 1] =
        (struct poptOption){.longName = "help", .shortName = 'h', .argInfo = POPT_ARG_NONE, .val = HELP_VALUE};
}

/* popt takes "--name=value" of a flag without a value for an error; for a bool it is not. */
static int parser_bool(struct parser *parser, const char *word) {
    const char *name = word + strspn(word, "-");
    size_t length = strcspn(name, "=");
    for (size_t at = 0; at < parser->count; at++) {
        const struct flag *flag = &parser->flags[at];
        if (strlen(flag->name) == length && strncmp(flag->name, name, length) == 0 && name[length] == '=')
            return flag_set(parser->ctl, flag, name + length + 1);
    }
    return ctl_fail(CTL_ERROR, "%s takes no value", word);
}

static int parser_problem(struct parser *parser, poptContext context, int rc) {
    const char *word = poptBadOption(context, 0);
    if (rc == POPT_ERROR_UNWANTEDARG)
        return parser_bool(parser, word);
    if (rc == POPT_ERROR_BADOPT)
        return ctl_fail(CTL_ERROR, "unknown flag: %s (see 'lashctl %s --help')", word, parser->verb->name);
    if (rc == POPT_ERROR_NOARG)
        return ctl_fail(CTL_ERROR, "flag needs an argument: %s", word);
    return ctl_fail(CTL_ERROR, "%s: %s", word, poptStrerror(rc));
}

/* All flags, up to the first problem. */
static void parser_run(struct parser *parser, poptContext context) {
    int rc = 0;
    while (parser->exit_code == CTL_OK && !parser->help && (rc = poptGetNextOpt(context)) != -1)
        if (rc < -1 && parser->exit_code == CTL_OK)
            parser->exit_code = parser_problem(parser, context, rc);
}

/* The positional arguments, copied since the context goes. */
static bool parser_words(struct ctl *ctl, poptContext context, struct arguments *arguments) {
    const char **words = poptGetArgs(context);
    size_t count = 0;
    while (words && words[count])
        count++;
    arguments->words = keep(ctl, mem_calloc(count + 1, sizeof *arguments->words));
    for (size_t at = 0; at < count && arguments->words; at++) {
        arguments->words[at] = keep(ctl, mem_strdup(words[at]));
        if (!arguments->words[at])
            return false;
    }
    arguments->count = (int)count;
    return arguments->words != NULL;
}

struct arguments flags_parse(struct ctl *ctl, const struct verb *verb, const struct flag *table, int argc,
                             const char **argv) {
    struct arguments arguments = {.exit_code = CTL_OK};
    struct parser parser;
    const struct parser_link link = {&parser};
    parser_init(&parser, &link, ctl, verb, table);
    char **endpoints = ctl->endpoints;
    size_t endpoint_count = ctl->endpoint_count;
    ctl->endpoints = NULL; /* what the command line lists replaces the default */
    ctl->endpoint_count = 0;

    poptContext context = poptGetContext(NULL, argc, argv, parser.options, POPT_CONTEXT_KEEP_FIRST);
    if (context)
        parser_run(&parser, context);
    if (!context || (parser.exit_code == CTL_OK && !parser_words(ctl, context, &arguments)))
        parser.exit_code = ctl_fail(CTL_ERROR, "out of memory");
    poptFreeContext(context);
    if (ctl->endpoint_count == 0) {
        ctl->endpoints = endpoints;
        ctl->endpoint_count = endpoint_count;
    } else {
        mem_free(endpoints);
    }
    if (parser.help && parser.exit_code == CTL_OK)
        print_help(verb, table);
    arguments.exit_code = parser.exit_code;
    arguments.done = parser.help || parser.exit_code != CTL_OK;
    return arguments;
}

int flags_skip(const char *word) {
    if (word[0] != '-' || word[1] == '\0')
        return 0;
    for (size_t at = 0; at < GLOBAL_COUNT; at++) {
        bool by_letter = word[1] == globals[at].letter && word[1] != '\0' && word[2] == '\0';
        bool by_name = word[1] == '-' && strcmp(word + 2, globals[at].name) == 0;
        if ((by_letter || by_name) && globals[at].kind != FLAG_BOOL)
            return 2;
    }
    return 1;
}

/* ---- Defaults and environment ---------------------------------------------------------------------- */

/* LASHCTL_COMMAND_TIMEOUT for command-timeout. */
static const char *environment_value(const char *name) {
    char variable[64] = ENVIRONMENT_PREFIX;
    size_t used = strlen(variable);
    for (; *name && used + 1 < sizeof variable; name++)
        variable[used++] = *name == '-' ? '_' : (char)(*name - 'a' + 'A');
    variable[used] = '\0';
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

int flags_defaults(struct ctl *ctl) {
    for (size_t at = 0; at < GLOBAL_COUNT; at++) {
        struct flag flag = global_flag(ctl, &globals[at]);
        const char *value = environment_value(flag.name);
        value = value ? value : flag.fallback;
        int rc = value ? flag_set(ctl, &flag, value) : CTL_OK;
        if (rc != CTL_OK)
            return rc;
    }
    return ctl->endpoint_count > 0 ? CTL_OK : ctl_fail(CTL_BAD_ARGUMENTS, "no endpoints given");
}
