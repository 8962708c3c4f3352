/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator said: see settings.h.
 */
#include "lashd/settings.h"

#include <ctype.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

enum { SETTINGS_HELP = SETTING_COUNT + 1, SETTINGS_VERSION, SETTINGS_VARIABLE_MAX = 64 };

static const struct {
    const char *name;
    const char *usual; /* the default; NULL: made of other settings */
    const char *means;
} settings_table[SETTING_COUNT] = {
    [SETTING_NAME] = {"name", "default", "this member's name"},
    [SETTING_DATA_DIR] = {"data-dir", NULL, "directory of this member's data (default: NAME.lash)"},
    [SETTING_LISTEN_CLIENT_URLS] = {"listen-client-urls", "http://localhost:2379", "URLs to listen on for clients"},
    [SETTING_ADVERTISE_CLIENT_URLS] = {"advertise-client-urls", "http://localhost:2379",
                                       "this member's client URLs as others reach them"},
    [SETTING_LISTEN_PEER_URLS] = {"listen-peer-urls", "http://localhost:2380", "URL to listen on for peers"},
    [SETTING_INITIAL_ADVERTISE_PEER_URLS] = {"initial-advertise-peer-urls", "http://localhost:2380",
                                             "this member's peer URL as its peers reach it"},
    [SETTING_INITIAL_CLUSTER] = {"initial-cluster", NULL,
                                 "all members, NAME=URL,... (default: this one at its advertised peer URL)"},
    [SETTING_INITIAL_CLUSTER_PRIORITIES] = {"initial-cluster-priorities", NULL,
                                            "NAME=N,...: who had better lead, by numbers up to 1000, the same at all "
                                            "members (default: 0 for each)"},
    [SETTING_INITIAL_CLUSTER_TOKEN] = {"initial-cluster-token", "etcd-cluster", "tells clusters apart"},
    [SETTING_INITIAL_CLUSTER_STATE] = {"initial-cluster-state", "new",
                                       "'new', or 'existing' for a member that was added to a running cluster"},
    [SETTING_STRICT_RECONFIG_CHECK] = {"strict-reconfig-check", "true",
                                       "refuse to change members while too few of them are there"},
    [SETTING_MAX_LEARNERS] = {"max-learners", "1", "members without a vote that the cluster may have"},
    [SETTING_HEARTBEAT_INTERVAL] = {"heartbeat-interval", "100", "milliseconds between heartbeats"},
    [SETTING_ELECTION_TIMEOUT] = {"election-timeout", "1000", "milliseconds without a leader before an election"},
    [SETTING_LEASE_DRIFT] = {"lease-drift", "100",
                             "per mille that clocks may be off, for reads by lease; 0: those take a round"},
    [SETTING_LOG_LEVEL] = {"log-level", "info", "debug, info, warn, error, panic or fatal"},
    [SETTING_MAX_TXN_OPS] = {"max-txn-ops", "128", "operations that a transaction may have"},
    [SETTING_MAX_REQUEST_BYTES] = {"max-request-bytes", "1572864", "bytes that a request may have"},
    [SETTING_LOG_SEGMENT_BYTES] = {"log-segment-bytes", "67108864",
                                   "bytes of a file of the log, of which the next is set aside early"},
    [SETTING_IO_URING] = {"io-uring", "true",
                          "let the kernel make small writes of the log by itself (io_uring), where it may"},
    [SETTING_SNAPSHOT_LOG_BYTES] = {"snapshot-log-bytes", "67108864",
                                    "bytes of log, or as many as the last snapshot has, after which the next is taken"},
    [SETTING_SNAPSHOT_TRAILING_BYTES] = {"snapshot-trailing-bytes", "67108864",
                                         "bytes of log kept before a snapshot, for members that lag behind"},
    [SETTING_SNAPSHOT_RATE] = {"snapshot-rate", "0",
                               "bytes a second at which a snapshot is sent to a member; 0: as fast as possible"},
};

/* Whether it is true or false: then the flag alone means true. */
static bool settings_is_truth(int setting) {
    return setting == SETTING_STRICT_RECONFIG_CHECK || setting == SETTING_IO_URING;
}

const char *settings_name(enum setting setting) {
    LASH_ASSERT(setting < SETTING_COUNT);
    return settings_table[setting].name;
}

const char *settings_text(const struct settings *settings, enum setting setting) {
    LASH_ASSERT(setting < SETTING_COUNT);
    return settings->values[setting] ? settings->values[setting] : settings_table[setting].usual;
}

/* One flag that popt has found; `value` is the caller's. */
static void settings_take(struct settings *settings, int flag, char *value) {
    if (flag == SETTINGS_HELP)
        settings->help = true;
    if (flag == SETTINGS_VERSION)
        settings->version = true;
    if (flag > SETTING_COUNT) {
        mem_free(value);
        return;
    }
    LASH_ASSERT(flag >= 1);
    if (!value && settings_is_truth(flag - 1))
        value = mem_strdup("true");       /* NULL for want of memory: the default, which is the same */
    mem_free(settings->values[flag - 1]); /* as everywhere, the last one counts */
    settings->values[flag - 1] = value;
}

static bool settings_parse(struct settings *settings, poptContext context, char *problem, size_t problem_size) {
    int flag;
    while ((flag = poptGetNextOpt(context)) > 0)
        settings_take(settings, flag, poptGetOptArg(context));
    const char *extra = poptGetArg(context);
    if (flag == POPT_ERROR_BADOPT)
        snprintf(problem, problem_size, "unknown flag %s; see lashd --help", poptBadOption(context, 0));
    else if (flag == POPT_ERROR_NOARG)
        snprintf(problem, problem_size, "flag %s needs a value", poptBadOption(context, 0));
    else if (flag != -1)
        snprintf(problem, problem_size, "%s: %s", poptBadOption(context, 0), poptStrerror(flag));
    else if (extra)
        snprintf(problem, problem_size, "unexpected argument %s; see lashd --help", extra);
    else
        return true;
    return false;
}

static bool settings_read_flags(struct settings *settings, int argc, const char **argv, char *problem,
                                size_t problem_size) {
    struct poptOption options[SETTING_COUNT + 3] = {{0}};
    for (int i = 0; i < SETTING_COUNT; i++)
        options[i] = (struct poptOption){.longName = settings_table[i].name,
                                         .argInfo = POPT_ARG_STRING | POPT_ARGFLAG_ONEDASH |
                                                    (settings_is_truth(i) ? POPT_ARGFLAG_OPTIONAL : 0),
                                         .val = i + 1};
    options[SETTING_COUNT] =
        (struct poptOption){.longName = "version", .argInfo = POPT_ARGFLAG_ONEDASH, .val = SETTINGS_VERSION};
    options[SETTING_COUNT + 1] = (struct poptOption){
        .longName = "help", .shortName = 'h', .argInfo = POPT_ARGFLAG_ONEDASH, .val = SETTINGS_HELP};
    poptContext context = poptGetContext("lashd", argc, argv, options, POPT_CONTEXT_NO_EXEC);
    if (!context) {
        snprintf(problem, problem_size, "out of memory");
        return false;
    }
    bool good = settings_parse(settings, context, problem, problem_size);
    poptFreeContext(context);
    return good;
}

/* "data-dir" is LASH_DATA_DIR. */
static void settings_variable(const char *name, char variable[SETTINGS_VARIABLE_MAX]) {
    snprintf(variable, SETTINGS_VARIABLE_MAX, "LASH_%s", name);
    for (char *at = variable; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static bool settings_read_environment(struct settings *settings) {
    for (int i = 0; i < SETTING_COUNT; i++) {
        char variable[SETTINGS_VARIABLE_MAX];
        settings_variable(settings_table[i].name, variable);
        const char *value = getenv(variable);
        if (settings->values[i] || !value)
            continue;
        settings->values[i] = mem_strdup(value);
        if (!settings->values[i])
            return false;
    }
    return true;
}

bool settings_read(struct settings *settings, int argc, const char **argv, char *problem, size_t problem_size) {
    *settings = (struct settings){0};
    if (!settings_read_flags(settings, argc, argv, problem, problem_size))
        return false;
    if (settings_read_environment(settings))
        return true;
    snprintf(problem, problem_size, "out of memory");
    return false;
}

void settings_free(struct settings *settings) {
    for (int i = 0; i < SETTING_COUNT; i++)
        mem_free(settings->values[i]);
    *settings = (struct settings){0};
}

void settings_print_help(void) {
    printf("Usage: lashd [flags]\n\n"
           "A member of a replicated key-value store that speaks the etcd v3 API.\n\n"
           "Each flag is also read from the environment: --data-dir from LASH_DATA_DIR. A flag wins.\n\n");
    for (int i = 0; i < SETTING_COUNT; i++) {
        printf("  --%s\n        %s", settings_table[i].name, settings_table[i].means);
        if (settings_table[i].usual)
            printf(" (default: %s)", settings_table[i].usual);
        printf("\n");
    }
    printf("  --version\n        print the version\n  --help\n        print this\n");
}
