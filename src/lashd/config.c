/* SPDX-License-Identifier: Apache-2.0
 *
 * What the settings mean: see config.h.
 */
#include "lashd/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ids.h"

enum { CONFIG_ELECTION_MS_MAX = 50000, CONFIG_ELECTION_HEARTBEATS_MIN = 5 };

/* Where to report, so that a check is one line. */
struct config_maker {
    struct config *config;
    const struct settings *settings;
    char *problem;
    size_t problem_size;
};

static bool config_wrong(struct config_maker *maker, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool config_wrong(struct config_maker *maker, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(maker->problem, maker->problem_size, format, arguments);
    va_end(arguments);
    return false;
}

static const char *config_text(const struct config_maker *maker, enum setting setting) {
    return settings_text(maker->settings, setting);
}

/* ---- Single values ----------------------------------------------------------------------------- */

static bool config_number_from(struct config_maker *maker, enum setting setting, uint64_t min, uint64_t max,
                               uint64_t *number) {
    const char *text = config_text(maker, setting);
    char *end = NULL;
    bool digits = text[0] >= '0' && text[0] <= '9';
    unsigned long long value = digits ? strtoull(text, &end, 10) : 0;
    if (!digits || *end != '\0' || value < min || value > max)
        return config_wrong(maker, "--%s=%s is not a number between %llu and %llu", settings_name(setting), text,
                            (unsigned long long)min, (unsigned long long)max);
    *number = value;
    return true;
}

static bool config_number(struct config_maker *maker, enum setting setting, uint64_t max, uint64_t *number) {
    return config_number_from(maker, setting, 1, max, number);
}

static bool config_truth(struct config_maker *maker, enum setting setting, bool *truth) {
    const char *text = config_text(maker, setting);
    *truth = strcmp(text, "true") == 0;
    return *truth || strcmp(text, "false") == 0 ||
           config_wrong(maker, "--%s=%s is neither 'true' nor 'false'", settings_name(setting), text);
}

static bool config_snapshots(struct config_maker *maker) {
    struct config *config = maker->config;
    const uint64_t max = (uint64_t)1 << 50;
    return config_number(maker, SETTING_SNAPSHOT_LOG_BYTES, max, &config->snapshot_log_bytes) &&
           config_number(maker, SETTING_SNAPSHOT_TRAILING_BYTES, max, &config->snapshot_trailing_bytes) &&
           config_number_from(maker, SETTING_SNAPSHOT_RATE, 0, max, &config->snapshot_rate);
}

static bool config_limits(struct config_maker *maker) {
    struct config *config = maker->config;
    uint64_t ops = 0, bytes = 0;
    const uint64_t mib = (uint64_t)1 << 20;
    if (!config_number(maker, SETTING_HEARTBEAT_INTERVAL, CONFIG_ELECTION_MS_MAX, &config->heartbeat_ms) ||
        !config_number(maker, SETTING_ELECTION_TIMEOUT, CONFIG_ELECTION_MS_MAX, &config->election_ms) ||
        !config_number_from(maker, SETTING_LEASE_DRIFT, 0, 999, &config->lease_drift) ||
        !config_number(maker, SETTING_MAX_TXN_OPS, 1000000, &ops) ||
        !config_number(maker, SETTING_MAX_REQUEST_BYTES, 512 * mib, &bytes) ||
        !config_number(maker, SETTING_LOG_SEGMENT_BYTES, 4096 * mib, &config->log_segment_bytes) ||
        !config_truth(maker, SETTING_IO_URING, &config->io_uring))
        return false;
    if (config->log_segment_bytes < mib)
        return config_wrong(maker, "--log-segment-bytes=%llu is less than a MiB",
                            (unsigned long long)config->log_segment_bytes);
    if (config->election_ms < CONFIG_ELECTION_HEARTBEATS_MIN * config->heartbeat_ms)
        return config_wrong(maker, "--election-timeout=%llu must be at least %d times --heartbeat-interval=%llu",
                            (unsigned long long)config->election_ms, CONFIG_ELECTION_HEARTBEATS_MIN,
                            (unsigned long long)config->heartbeat_ms);
    config->ops_max = (size_t)ops;
    config->request_bytes_max = (size_t)bytes;
    return true;
}

static bool config_log_level(struct config_maker *maker) {
    static const struct {
        const char *name;
        enum lash_log_level level;
    } levels[] = {{"debug", LASH_LOG_DEBUG}, {"info", LASH_LOG_INFO},   {"warn", LASH_LOG_WARN},
                  {"error", LASH_LOG_ERROR}, {"panic", LASH_LOG_ERROR}, {"fatal", LASH_LOG_ERROR}};
    const char *text = config_text(maker, SETTING_LOG_LEVEL);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            maker->config->log_level = levels[i].level;
            return true;
        }
    }
    return config_wrong(maker, "--log-level=%s is not debug, info, warn, error, panic or fatal", text);
}

static bool config_state(struct config_maker *maker) {
    const char *text = config_text(maker, SETTING_INITIAL_CLUSTER_STATE);
    maker->config->existing = strcmp(text, "existing") == 0;
    if (maker->config->existing || strcmp(text, "new") == 0)
        return true;
    return config_wrong(maker, "--initial-cluster-state=%s is neither 'new' nor 'existing'", text);
}

/* How members may be changed. */
static bool config_changes(struct config_maker *maker) {
    uint64_t learners = 0;
    if (!config_number(maker, SETTING_MAX_LEARNERS, LASH_RAFT_MEMBERS_MAX, &learners))
        return false;
    maker->config->learners_max = (size_t)learners;
    return config_truth(maker, SETTING_STRICT_RECONFIG_CHECK, &maker->config->reconfig_checked);
}

static bool config_names(struct config_maker *maker) {
    struct config *config = maker->config;
    const char *name = config_text(maker, SETTING_NAME);
    const char *dir = config_text(maker, SETTING_DATA_DIR);
    if (!*name || strlen(name) >= sizeof config->name || strpbrk(name, ",="))
        return config_wrong(maker, "--name=%s must be 1 to %d characters without ',' and '='", name,
                            CONFIG_NAME_MAX - 1);
    snprintf(config->name, sizeof config->name, "%s", name);
    int size = dir ? snprintf(config->data_dir, sizeof config->data_dir, "%s", dir)
                   : snprintf(config->data_dir, sizeof config->data_dir, "%s.lash", name);
    if (size <= 0 || (size_t)size >= sizeof config->data_dir)
        return config_wrong(maker, "--data-dir is empty or too long");
    return true;
}

/* ---- URLs -------------------------------------------------------------------------------------- */

static bool config_urls(struct config_maker *maker, enum setting setting, struct url *urls, size_t urls_max,
                        size_t *count) {
    *count = 0;
    for (const char *at = config_text(maker, setting);; at++) {
        size_t size = strcspn(at, ",");
        if (*count == urls_max)
            return config_wrong(maker, "--%s has more than %zu URL%s", settings_name(setting), urls_max,
                                urls_max == 1 ? "; this version takes one" : "s");
        const char *wrong = url_parse(at, size, &urls[*count]);
        if (wrong)
            return config_wrong(maker, "--%s: \"%.*s\" %s", settings_name(setting), (int)size, at, wrong);
        for (size_t i = 0; i < *count; i++)
            if (strcmp(urls[i].text, urls[*count].text) == 0)
                return config_wrong(maker, "--%s names %s twice", settings_name(setting), urls[i].text);
        ++*count;
        at += size;
        if (*at == '\0')
            return true;
    }
}

static bool config_listens(struct config_maker *maker, enum setting setting, const struct url *urls, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!url_listen_host(&urls[i]))
            return config_wrong(maker, "--%s: %s names a host; give an IP address of this machine or localhost",
                                settings_name(setting), urls[i].text);
    return true;
}

static bool config_client_urls(struct config_maker *maker) {
    struct config *config = maker->config;
    if (maker->settings->values[SETTING_LISTEN_CLIENT_URLS] && !maker->settings->values[SETTING_ADVERTISE_CLIENT_URLS])
        return config_wrong(maker, "--advertise-client-urls is required when --listen-client-urls is set");
    return config_urls(maker, SETTING_LISTEN_CLIENT_URLS, config->listen_client, CONFIG_URLS_MAX,
                       &config->listen_client_count) &&
           config_urls(maker, SETTING_ADVERTISE_CLIENT_URLS, config->advertise_client, CONFIG_URLS_MAX,
                       &config->advertise_client_count) &&
           config_listens(maker, SETTING_LISTEN_CLIENT_URLS, config->listen_client, config->listen_client_count);
}

/* ---- The cluster ------------------------------------------------------------------------------- */

static bool config_add_member(struct config_maker *maker, const char *text, size_t size) {
    struct config *config = maker->config;
    const char *equals = memchr(text, '=', size);
    size_t name_size = equals ? (size_t)(equals - text) : 0;
    if (name_size == 0 || name_size >= CONFIG_NAME_MAX)
        return config_wrong(maker, "--initial-cluster: \"%.*s\" does not have the form NAME=URL", (int)size, text);
    if (config->member_count == LASH_RAFT_MEMBERS_MAX)
        return config_wrong(maker, "--initial-cluster has more than %d members", LASH_RAFT_MEMBERS_MAX);
    struct config_member *member = &config->members[config->member_count];
    snprintf(member->name, sizeof member->name, "%.*s", (int)name_size, text);
    size_t url_size = size - name_size - 1;
    const char *wrong = url_parse(equals + 1, url_size, &member->peer);
    if (wrong)
        return config_wrong(maker, "--initial-cluster: \"%.*s\" %s", (int)url_size, equals + 1, wrong);
    for (size_t i = 0; i < config->member_count; i++) {
        if (strcmp(config->members[i].name, member->name) == 0)
            return config_wrong(maker, "--initial-cluster names %s twice; this version takes one peer URL for each",
                                member->name);
        if (strcmp(config->members[i].peer.text, member->peer.text) == 0)
            return config_wrong(maker, "--initial-cluster gives %s and %s the same peer URL %s",
                                config->members[i].name, member->name, member->peer.text);
    }
    config->member_count++;
    return true;
}

static bool config_members(struct config_maker *maker) {
    const char *at = config_text(maker, SETTING_INITIAL_CLUSTER);
    char alone[CONFIG_NAME_MAX + URL_TEXT_MAX];
    if (!at) {
        snprintf(alone, sizeof alone, "%s=%s", maker->config->name, maker->config->advertise_peer.text);
        at = alone;
    }
    for (;; at++) {
        size_t size = strcspn(at, ",");
        if (!config_add_member(maker, at, size))
            return false;
        at += size;
        if (*at == '\0')
            return true;
    }
}

/* One NAME=N of --initial-cluster-priorities. */
static bool config_add_priority(struct config_maker *maker, const char *text, size_t size) {
    struct config *config = maker->config;
    const char *equals = memchr(text, '=', size);
    const char *number = equals ? equals + 1 : text;
    char *end = NULL;
    unsigned long value = equals && *number >= '0' && *number <= '9' ? strtoul(number, &end, 10) : 0;
    if (end != text + size || value > LASH_RAFT_PRIORITY_MAX)
        return config_wrong(maker, "--%s: \"%.*s\" does not have the form NAME=N, with N between 0 and %d",
                            settings_name(SETTING_INITIAL_CLUSTER_PRIORITIES), (int)size, text, LASH_RAFT_PRIORITY_MAX);
    for (size_t i = 0; i < config->member_count; i++) {
        struct config_member *member = &config->members[i];
        if (strlen(member->name) != (size_t)(equals - text) || memcmp(member->name, text, (size_t)(equals - text)) != 0)
            continue;
        member->priority = (uint32_t)value;
        return true;
    }
    return config_wrong(maker, "--%s: \"%.*s\" names no member of --initial-cluster",
                        settings_name(SETTING_INITIAL_CLUSTER_PRIORITIES), (int)size, text);
}

static bool config_priorities(struct config_maker *maker) {
    const char *at = config_text(maker, SETTING_INITIAL_CLUSTER_PRIORITIES);
    while (at) {
        size_t size = strcspn(at, ",");
        if (!config_add_priority(maker, at, size))
            return false;
        at = at[size] ? at + size + 1 : NULL;
    }
    return true;
}

static int config_compare_members(const void *a, const void *b) {
    uint64_t x = ((const struct config_member *)a)->id;
    uint64_t y = ((const struct config_member *)b)->id;
    return x < y ? -1 : x > y;
}

static bool config_ids(struct config_maker *maker) {
    struct config *config = maker->config;
    uint64_t ids[LASH_RAFT_MEMBERS_MAX];
    const char *token = config_text(maker, SETTING_INITIAL_CLUSTER_TOKEN);
    for (size_t i = 0; i < config->member_count; i++)
        if (!ids_member(config->members[i].peer.text, token, 0, &config->members[i].id))
            return config_wrong(maker, "cannot compute SHA-1");
    qsort(config->members, config->member_count, sizeof *config->members, config_compare_members);
    for (size_t i = 0; i < config->member_count; i++) {
        ids[i] = config->members[i].id;
        if (strcmp(config->members[i].name, config->name) == 0)
            config->member_id = ids[i];
        if (ids[i] == 0 || (i > 0 && ids[i] == ids[i - 1]))
            return config_wrong(maker, "--initial-cluster gives two members the same id; change a peer URL");
    }
    return ids_cluster(ids, config->member_count, &config->cluster_id) || config_wrong(maker, "cannot compute SHA-1");
}

/* This member is among the members, where it says that it is. */
static bool config_self(struct config_maker *maker) {
    const struct config *config = maker->config;
    for (size_t i = 0; i < config->member_count; i++) {
        const struct config_member *member = &config->members[i];
        if (strcmp(member->name, config->name) != 0)
            continue;
        if (strcmp(member->peer.text, config->advertise_peer.text) == 0)
            return true;
        return config_wrong(maker, "--initial-cluster has %s=%s, but --initial-advertise-peer-urls is %s", config->name,
                            member->peer.text, config->advertise_peer.text);
    }
    return config_wrong(maker, "--initial-cluster does not name this member, --name=%s", config->name);
}

static bool config_peer_urls(struct config_maker *maker) {
    struct config *config = maker->config;
    size_t count;
    return config_urls(maker, SETTING_LISTEN_PEER_URLS, &config->listen_peer, 1, &count) &&
           config_listens(maker, SETTING_LISTEN_PEER_URLS, &config->listen_peer, 1) &&
           config_urls(maker, SETTING_INITIAL_ADVERTISE_PEER_URLS, &config->advertise_peer, 1, &count);
}

/* The two kinds of clients would fight for the port. */
static bool config_ports(struct config_maker *maker) {
    const struct config *config = maker->config;
    for (size_t i = 0; i < config->listen_client_count; i++)
        if (config->listen_client[i].port == config->listen_peer.port &&
            strcmp(url_listen_host(&config->listen_client[i]), url_listen_host(&config->listen_peer)) == 0)
            return config_wrong(maker, "--listen-client-urls and --listen-peer-urls are both %s",
                                config->listen_peer.text);
    return true;
}

bool config_make(struct config *config, const struct settings *settings, char *problem, size_t problem_size) {
    struct config_maker maker = {.config = config, .settings = settings, .problem_size = problem_size};
    maker.problem = problem;
    memset(config, 0, sizeof *config);
    return config_names(&maker) && config_state(&maker) && config_changes(&maker) && config_log_level(&maker) &&
           config_limits(&maker) && config_snapshots(&maker) && config_client_urls(&maker) &&
           config_peer_urls(&maker) && config_ports(&maker);
}

bool config_make_cluster(struct config *config, const struct settings *settings, char *problem, size_t problem_size) {
    struct config_maker maker = {.config = config, .settings = settings, .problem_size = problem_size};
    maker.problem = problem;
    config->member_count = 0;
    return config_members(&maker) && config_priorities(&maker) && config_self(&maker) && config_ids(&maker);
}
