/* SPDX-License-Identifier: Apache-2.0
 *
 * recover: makes the survivors of a cluster that lost its majority for good a new one.
 */
#include "lashctl/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lash/log.h"
#include "lash/offline.h"
#include "lashctl/clock.h"
#include "lashctl/flags.h"
#include "lashctl/grpc_socket.h"

#define RECOVER_RISK "risk-two-clusters-and-lost-writes"

struct recover {
    const char *data_dir;
    const char *survivors;
    bool alone; /* this member is the only survivor */
    bool show;
    bool risk;
    struct lash_inspection inspection;
    lash_id ids[LASH_RAFT_MEMBERS_MAX]; /* of the survivors */
    size_t count;
};

/* ---- What there is --------------------------------------------------------------------------------- */

static void recover_print_members(const struct lash_members *members) {
    for (size_t i = 0; i < members->count; i++) {
        const struct lash_node_member *member = &members->members[i];
        printf("  %" PRIx64 ", %s, ", member->id, member->flags & LASH_MEMBER_VOTER ? "voter" : "learner");
        if (member->port)
            printf("%s:%u\n", member->host, (unsigned)member->port);
        else
            printf("address unknown\n");
    }
}

static void recover_show(const struct recover *recover) {
    const struct lash_inspection *inspection = &recover->inspection;
    if (inspection->unfinished) {
        printf("A recovery was begun in %s and not finished; run it again.\n", recover->data_dir);
        return;
    }
    printf("Member: %" PRIx64 "\nCluster: %" PRIx64 "\nRemoved: %s\n", inspection->identity.id,
           inspection->identity.cluster_id, inspection->identity.removed ? "true" : "false");
    printf("Term: %" PRIu64 "\nVote: %" PRIx64 "\n", inspection->term, inspection->vote);
    printf("Last entry: %" PRIu64 " of term %" PRIu64 "\nLog begins at: %" PRIu64 "\nNewest snapshot: %" PRIu64 "\n",
           inspection->last_index, inspection->last_term, inspection->first_index, inspection->snapshot);
    if (inspection->members) {
        printf("Members, by entry %" PRIu64 "%s:\n", inspection->members->index,
               inspection->members->joint ? ", which are about to change" : "");
        recover_print_members(inspection->members);
    }
    printf(
        "Of several survivors the one with the highest term of its last entry, and of those the one with the highest "
        "last\nentry, has all that the others have.\n");
}

/* ---- Who survives ---------------------------------------------------------------------------------- */

static int recover_parse_survivors(struct recover *recover) {
    if (recover->alone) {
        recover->ids[recover->count++] = recover->inspection.identity.id;
        return CTL_OK;
    }
    for (const char *at = recover->survivors;; at++) {
        char *end = NULL;
        errno = 0;
        uint64_t id = strtoull(at, &end, 16);
        if (errno || end == at || (*end != ',' && *end != '\0') || recover->count == LASH_RAFT_MEMBERS_MAX)
            return ctl_fail(CTL_BAD_ARGUMENTS,
                            "bad list of survivors (%s), expecting member IDs in hex, separated by commas",
                            recover->survivors);
        recover->ids[recover->count++] = id;
        at = end;
        if (*end == '\0')
            return CTL_OK;
    }
}

static bool recover_survives(const struct recover *recover, lash_id id) {
    for (size_t i = 0; i < recover->count; i++)
        if (recover->ids[i] == id)
            return true;
    return false;
}

static int recover_check_survivors(const struct recover *recover) {
    const struct lash_members *members = recover->inspection.members;
    size_t found = 0, voters = 0, surviving = 0;
    for (size_t i = 0; members && i < members->count; i++) {
        bool survives = recover_survives(recover, members->members[i].id);
        bool votes = members->members[i].flags & LASH_MEMBER_VOTER;
        found += survives;
        voters += votes;
        surviving += votes && survives;
    }
    if (found != recover->count)
        return ctl_fail(CTL_BAD_ARGUMENTS, "one of the survivors is named twice or is no member; see --show");
    if (!recover_survives(recover, recover->inspection.identity.id))
        return ctl_fail(CTL_BAD_ARGUMENTS, "member %" PRIx64 ", whose data this is, is not among the survivors",
                        recover->inspection.identity.id);
    if (2 * surviving > voters && !recover->risk)
        return ctl_fail(CTL_ERROR,
                        "%zu of %zu voting members are a majority: start them, and nothing is lost; then remove the "
                        "others with 'member remove'",
                        surviving, voters);
    return CTL_OK;
}

/* ---- Who may be alive ------------------------------------------------------------------------------ */

/* Look at a member's peer port. Only a machine that refuses the connection proves anything: nobody listens there now. */
static bool recover_is_gone(const struct ctl *ctl, const struct lash_node_member *member, const char **why) {
    struct grpc_address address;
    *why = "its address is not known";
    if (!member->port)
        return false;
    (void)snprintf(address.host, sizeof address.host, "%s", member->host);
    (void)snprintf(address.port, sizeof address.port, "%u", (unsigned)member->port);
    int socket = grpc_socket_connect(&address, clock_after_ms(ctl->dial_timeout_ms), why);
    if (socket < 0)
        return errno == ECONNREFUSED;
    (void)close(socket);
    *why = "it answers";
    return false;
}

static int recover_check_others(const struct ctl *ctl, const struct recover *recover) {
    const struct lash_members *members = recover->inspection.members;
    size_t doubtful = 0;
    for (size_t i = 0; i < members->count; i++) {
        const struct lash_node_member *member = &members->members[i];
        const char *why;
        if (member->id == recover->inspection.identity.id || recover_is_gone(ctl, member, &why))
            continue;
        doubtful++;
        (void)fprintf(stderr, "%s %" PRIx64 " at %s:%u may be alive: %s\n",
                      recover_survives(recover, member->id) ? "survivor" : "member", member->id, member->host,
                      (unsigned)member->port, why);
    }
    if (doubtful == 0 || recover->risk)
        return CTL_OK;
    return ctl_fail(
        CTL_ERROR,
        "members may be alive, see above. Stop them, survivors too, before they are recovered; where they cannot be "
        "reached,\nmake sure that they never run again. If one does, there are two clusters, and whatever was written "
        "to either of\nthem since is lost when one is given up. If that is what you want: --" RECOVER_RISK);
}

/* ---- The verb -------------------------------------------------------------------------------------- */

static int recover_do(const struct recover *recover) {
    static struct lash_recovery recovery; /* large */
    recovery.data_dir = recover->data_dir;
    recovery.survivors = recover->ids;
    recovery.survivor_count = recover->count;
    int error = lash_node_recover(&recovery);
    if (error)
        return ctl_fail(CTL_ERROR, "cannot recover %s: %s; see above", recover->data_dir, lash_strerror(error));
    printf("%sThis was written to %s; log and snapshots as they were are in %s/replaced.\n", recovery.record,
           recovery.record_path, recover->data_dir);
    if (recover->count > 1)
        printf("Run the same command on the other survivors, then start all of them.\n");
    return CTL_OK;
}

static int recover_with(const struct ctl *ctl, struct recover *recover) {
    if (recover->show) {
        recover_show(recover);
        return CTL_OK;
    }
    if (recover->inspection.unfinished)
        return recover_do(recover);
    int rc = recover_parse_survivors(recover);
    if (rc == CTL_OK)
        rc = recover_check_survivors(recover);
    if (rc == CTL_OK)
        rc = recover_check_others(ctl, recover);
    return rc == CTL_OK ? recover_do(recover) : rc;
}

int recover_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    struct recover recover = {.data_dir = NULL};
    const struct flag table[] = {
        {"data-dir", 0, FLAG_STRING, &recover.data_dir, NULL, "a survivor's data directory; its lashd must not run"},
        {"survivors", 0, FLAG_STRING, &recover.survivors, NULL,
         "IDs of all members that survived, in hex: the new cluster"},
        {"force-new-cluster", 0, FLAG_BOOL, &recover.alone, NULL, "this member is the only survivor"},
        {"show", 0, FLAG_BOOL, &recover.show, NULL,
         "only print how far this member's log goes, and who the members are"},
        {RECOVER_RISK, 0, FLAG_BOOL, &recover.risk, NULL, "even though other members may be alive"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 0 || !recover.data_dir)
        return ctl_fail(CTL_BAD_ARGUMENTS, "recover command needs --data-dir and no arguments");
    if (!recover.show && !recover.alone == !recover.survivors)
        return ctl_fail(CTL_BAD_ARGUMENTS, "recover command needs either --survivors or --force-new-cluster");
    lash_set_log(NULL, NULL, LASH_LOG_WARN);
    int error = lash_node_inspect(recover.data_dir, &recover.inspection);
    if (error)
        return ctl_fail(CTL_ERROR, "cannot use the data in %s: %s", recover.data_dir,
                        error == LASH_BUSY ? "a process has it open; stop that first" : lash_strerror(error));
    int rc = recover_with(ctl, &recover);
    lash_inspection_free(&recover.inspection);
    return rc;
}
