/* SPDX-License-Identifier: Apache-2.0
 *
 * Who this member is: see identity.h.
 */
#include "lashd/identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/logger.h"
#include "lash/node.h"

/* ---- By the data ------------------------------------------------------------------------------- */

static const char *identity_explain(int error) {
    switch (error) {
    case LASH_CORRUPT:
        return "the log there is damaged, so that nobody can tell whose it is; keep the directory for inspection";
    case LASH_VERSION:
        return "a newer version wrote it; start that version";
    default:
        return lash_strerror(error);
    }
}

enum lashd_exit identity_look(struct config *config, bool *known, char *problem, size_t problem_size) {
    struct lash_identity identity;
    int error = lash_node_identify(config->data_dir, &identity);
    *known = error == LASH_OK;
    if (*known && identity.removed) {
        snprintf(problem, problem_size,
                 "member %" PRIx64
                 " was removed from its cluster, and the data in %s is of no use to it any more; to come "
                 "back, move that directory away, add the member again (lashctl member add), and start it with "
                 "--initial-cluster-state=existing",
                 identity.id, config->data_dir);
        return LASHD_EXIT_REMOVED;
    }
    if (*known) {
        config->member_id = identity.id;
        config->cluster_id = identity.cluster_id;
        return LASHD_EXIT_OK;
    }
    if (error == LASH_NOT_FOUND)
        return LASHD_EXIT_OK;
    if (error == LASH_CORRUPT && config->member_count > 0) { /* the node finds out how bad it is */
        log_warn("cannot tell whose data there is; going by the flags", F_STR("data", config->data_dir), F_ERR(error));
        *known = true;
        return LASHD_EXIT_OK;
    }
    snprintf(problem, problem_size, "cannot use the data in %s: %s", config->data_dir, identity_explain(error));
    return LASHD_EXIT_FAILED;
}

enum lashd_exit identity_join(struct config *config, char *problem, size_t problem_size) {
    snprintf(problem, problem_size,
             "--initial-cluster-state=existing, but %s holds no data: this version cannot join a running "
             "cluster, and a member that lost its data must not come back; start a new cluster with 'new'",
             config->data_dir);
    return LASHD_EXIT_FAILED;
}
