/* SPDX-License-Identifier: Apache-2.0
 *
 * What the settings mean: parsed, checked for contradictions, complete.
 */
#ifndef LASH_LASHD_CONFIG_H
#define LASH_LASHD_CONFIG_H

#include "api/server.h"
#include "api/url.h"
#include "lash/log.h"
#include "lash/raft.h"
#include "lashd/settings.h"

enum { CONFIG_URLS_MAX = 16, CONFIG_NAME_MAX = 256 };

struct config_member {
    uint64_t id;
    char name[CONFIG_NAME_MAX];
    struct url peer;
    uint32_t priority;
};

struct config {
    char name[CONFIG_NAME_MAX];
    char data_dir[4096];
    struct url listen_client[CONFIG_URLS_MAX];
    size_t listen_client_count;
    struct url advertise_client[CONFIG_URLS_MAX];
    size_t advertise_client_count;
    struct url listen_peer;
    struct url advertise_peer;
    bool existing;         /* --initial-cluster-state=existing */
    bool reconfig_checked; /* --strict-reconfig-check */
    bool io_uring;         /* --io-uring */
    size_t learners_max;
    uint64_t heartbeat_ms;
    uint64_t election_ms;
    uint64_t lease_drift; /* per mille; 0: no leases */
    enum lash_log_level log_level;
    size_t ops_max;
    size_t request_bytes_max;
    uint64_t log_segment_bytes;
    uint64_t snapshot_log_bytes;
    uint64_t snapshot_trailing_bytes;
    uint64_t snapshot_rate; /* 0: no bound */

    /* The cluster: by config_make_cluster, by the data that there is, or by the members of the running cluster. */
    struct config_member members[LASH_RAFT_MEMBERS_MAX]; /* in the order of their ids */
    size_t member_count;
    uint64_t member_id; /* this member's */
    uint64_t cluster_id;
    bool joins; /* a running cluster, which has this member in its configuration already */
};

/* Make sense of `settings`, but for the cluster. False and one line in `problem` when that is impossible. */
bool config_make(struct config *config, const struct settings *settings, char *problem, size_t problem_size);

/* And of --initial-cluster and what belongs to it, which count only for a member that has no data yet: the first
 * configuration, with the ids that follow from it. After config_make. */
bool config_make_cluster(struct config *config, const struct settings *settings, char *problem, size_t problem_size);

#endif
