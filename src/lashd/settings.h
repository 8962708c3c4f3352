/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator said: flags, environment variables and defaults, as texts.
 */
#ifndef LASH_LASHD_SETTINGS_H
#define LASH_LASHD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

enum setting {
    SETTING_NAME,
    SETTING_DATA_DIR,
    SETTING_LISTEN_CLIENT_URLS,
    SETTING_ADVERTISE_CLIENT_URLS,
    SETTING_LISTEN_PEER_URLS,
    SETTING_INITIAL_ADVERTISE_PEER_URLS,
    SETTING_INITIAL_CLUSTER,
    SETTING_INITIAL_CLUSTER_PRIORITIES,
    SETTING_INITIAL_CLUSTER_TOKEN,
    SETTING_INITIAL_CLUSTER_STATE,
    SETTING_STRICT_RECONFIG_CHECK,
    SETTING_MAX_LEARNERS,
    SETTING_HEARTBEAT_INTERVAL,
    SETTING_ELECTION_TIMEOUT,
    SETTING_LEASE_DRIFT,
    SETTING_LOG_LEVEL,
    SETTING_MAX_TXN_OPS,
    SETTING_MAX_REQUEST_BYTES,
    SETTING_LOG_SEGMENT_BYTES,
    SETTING_IO_URING,
    SETTING_SNAPSHOT_LOG_BYTES,
    SETTING_SNAPSHOT_TRAILING_BYTES,
    SETTING_SNAPSHOT_RATE,
    SETTING_COUNT,
};

struct settings {
    char *values[SETTING_COUNT]; /* NULL: neither flag nor variable */
    bool help;
    bool version;
};

/* The flag's name, without dashes. */
const char *settings_name(enum setting setting);

/* Its text: what was given, or its default; NULL for the defaults that are made of other settings. */
const char *settings_text(const struct settings *settings, enum setting setting);

/* Read the command line, then the variables (LASH_NAME and so on) for what it leaves open. False and one line in `problem`
 * when something is unknown or incomplete. */
bool settings_read(struct settings *settings, int argc, const char **argv, char *problem, size_t problem_size);
void settings_free(struct settings *settings);

/* Print the flags to stdout. */
void settings_print_help(void);

#endif
