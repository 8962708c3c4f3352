/* SPDX-License-Identifier: Apache-2.0
 *
 * The words: see names.h.
 */
#include "base/names.h"

#include "lash/raft.h"

const char *const names_roles[NAMES_ROLES] = {
    [LASH_FOLLOWER] = "follower",
    [LASH_PRE_CANDIDATE] = "pre-candidate",
    [LASH_CANDIDATE] = "candidate",
    [LASH_LEADER] = "leader",
};

const char *const names_states[NAMES_STATES] = {
    [LASH_PROBE] = "probe",
    [LASH_REPLICATE] = "replicate",
    [LASH_SNAPSHOT] = "snapshot",
};

const char *const names_transfers[NAMES_TRANSFERS] = {
    [LASH_TRANSFER_NONE] = "none",         [LASH_TRANSFER_ASKED] = "asked",    [LASH_TRANSFER_LEAVING] = "leaving",
    [LASH_TRANSFER_PRIORITY] = "priority", [LASH_TRANSFER_SLOW] = "slow-disk",
};
