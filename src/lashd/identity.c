/* SPDX-License-Identifier: Apache-2.0
 *
 * Who this member is: see identity.h.
 */
#include "lashd/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/logger.h"
#include "lash/node.h"

enum { IDENTITY_ASK_MS = 3000 }; /* one member */

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

/* ---- By the running cluster -------------------------------------------------------------------- */

static bool identity_is_at(const struct lash_node_member *member, const struct url *url) {
    return member->port == url->port && member->host && strcmp(member->host, url->host) == 0;
}

/* Every member of the running cluster is among those that the flags name, and the other way round. */
static bool identity_match(const struct config *config, const struct lash_members *members, char *problem,
                           size_t problem_size) {
    if (members->count != config->member_count) {
        snprintf(problem, problem_size,
                 "the running cluster has %zu members, but --initial-cluster names %zu; give all that \"lashctl member "
                 "list\" prints, this one too, after it was added (lashctl member add)",
                 members->count, config->member_count);
        return false;
    }
    for (size_t i = 0; i < members->count; i++) {
        const struct lash_node_member *member = &members->members[i];
        bool named = false;
        for (size_t at = 0; at < config->member_count; at++)
            named = named || identity_is_at(member, &config->members[at].peer);
        if (!named) {
            snprintf(problem, problem_size,
                     "the running cluster has member %" PRIx64 " at %s port %u, which --initial-cluster does not name",
                     member->id, member->host ? member->host : "no address", (unsigned)member->port);
            return false;
        }
    }
    return true;
}

/* Take the ids that the running cluster's members have there; this member's own is NULL when there is none at its URL. */
static const struct lash_node_member *identity_take_ids(struct config *config, const struct lash_members *members) {
    const struct lash_node_member *self = NULL;
    for (size_t i = 0; i < members->count; i++) {
        const struct lash_node_member *member = &members->members[i];
        for (size_t at = 0; at < config->member_count; at++)
            if (identity_is_at(member, &config->members[at].peer))
                config->members[at].id = member->id;
        if (identity_is_at(member, &config->advertise_peer))
            self = member;
    }
    return self;
}

/* What the running cluster says, taken into `config`. */
static bool identity_take(struct config *config, const struct lash_members *members, char *problem,
                          size_t problem_size) {
    if (!identity_match(config, members, problem, problem_size))
        return false;
    const struct lash_node_member *self = identity_take_ids(config, members);
    if (!self) {
        snprintf(problem, problem_size,
                 "the running cluster has no member at %s; add it there first (lashctl member add)",
                 config->advertise_peer.text);
        return false;
    }
    /* Who was added has a note; a member of the first configuration has none, and may have run before anybody noted its disk. */
    if (self->disk != 0 || self->note_size == 0) {
        snprintf(
            problem, problem_size,
            "%s holds no data, but member %" PRIx64
            " at %s has run before, and may have acknowledged what is lost with its data; remove it, and add it again "
            "(lashctl member remove, lashctl member add)",
            config->data_dir, self->id, config->advertise_peer.text);
        return false;
    }
    config->member_id = self->id;
    config->cluster_id = members->cluster_id;
    config->joins = true;
    return true;
}

/* Ask every other member, and keep the newest answer: one that lags may not know yet that this member was added. Returns an error
 * when nobody answered. */
static int identity_ask(const struct config *config, struct lash_members **newest) {
    int error = LASH_NOT_FOUND;
    *newest = NULL;
    for (size_t i = 0; i < config->member_count; i++) {
        const struct url *url = &config->members[i].peer;
        const struct lash_peer other = {.host = url->host, .port = url->port};
        struct lash_members *members;
        if (strcmp(url->text, config->advertise_peer.text) == 0)
            continue;
        int failed = lash_node_ask(&other, 1, IDENTITY_ASK_MS, &members);
        if (failed) {
            log_warn("cannot ask a member of the running cluster", F_STR("url", url->text), F_ERR(failed));
            error = *newest ? LASH_OK : failed;
            continue;
        }
        bool newer = !*newest || (*newest)->index < members->index;
        lash_members_free(newer ? *newest : members);
        *newest = newer ? members : *newest;
        error = LASH_OK;
    }
    return error;
}

enum lashd_exit identity_join(struct config *config, char *problem, size_t problem_size) {
    struct lash_members *members;
    if (config->member_count < 2) {
        snprintf(
            problem, problem_size,
            "--initial-cluster-state=existing, but --initial-cluster names no other member; give all members of the "
            "running cluster, or start a new one with 'new'");
        return LASHD_EXIT_FAILED;
    }
    int error = identity_ask(config, &members);
    if (error) {
        snprintf(problem, problem_size,
                 "cannot learn the members of the running cluster from those that --initial-cluster names: %s; see "
                 "that they run, and that this machine reaches them",
                 lash_strerror(error));
        return LASHD_EXIT_FAILED;
    }
    bool taken = identity_take(config, members, problem, problem_size);
    lash_members_free(members);
    return taken ? LASHD_EXIT_OK : LASHD_EXIT_FAILED;
}
