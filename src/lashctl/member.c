/* SPDX-License-Identifier: Apache-2.0
 *
 * member list.
 */
#include "lashctl/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lashctl/endpoints.h"
#include "lashctl/flags.h"
#include "lashctl/output.h"

#define COLUMNS 7

Etcdserverpb__MemberListResponse *member_fetch(const struct ctl *ctl, bool linearizable, struct grpc_status *status) {
    Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    request.linearizable = linearizable;
    return (Etcdserverpb__MemberListResponse *)endpoints_call(ctl, ENDPOINTS_READ, "/etcdserverpb.Cluster/MemberList",
                                                              &request.base,
                                                              &etcdserverpb__member_list_response__descriptor, status);
}

/* URLs with commas between them. */
static char *join(char *const *urls, size_t count) {
    char *text = output_string("%s", "");
    for (size_t at = 0; at < count; at++) {
        LASH_ASSERT(text != NULL);
        char *longer = output_string("%s%s%s", text, at ? "," : "", urls[at]);
        mem_free(text);
        text = longer;
    }
    LASH_ASSERT(text != NULL);
    return text;
}

/* The cells of one member's row; each is mem_free'd by the caller. */
static void member_row(const Etcdserverpb__Member *member, char **cells) {
    cells[0] = output_string("%" PRIx64, member->id);
    cells[1] = output_string("%s", member->iswitness ? "witness" : *member->name ? "started" : "unstarted");
    cells[2] = output_string("%s", member->name);
    cells[3] = join(member->peerurls, member->n_peerurls);
    cells[4] = join(member->clienturls, member->n_clienturls);
    cells[5] = output_string("%s", member->islearner ? "true" : "false");
    cells[6] = output_string("%" PRIu32, member->priority);
    LASH_ASSERT(cells[0] && cells[1] && cells[2] && cells[5] && cells[6]);
}

static void print_fields(const Etcdserverpb__MemberListResponse *response) {
    output_header_fields(response->header);
    for (size_t at = 0; at < response->n_members; at++) {
        const Etcdserverpb__Member *member = response->members[at];
        printf("\"ID\" : %" PRIu64 "\n\"Name\" : \"%s\"\n", member->id, member->name);
        for (size_t url = 0; url < member->n_peerurls; url++)
            printf("\"PeerURL\" : \"%s\"\n", member->peerurls[url]);
        for (size_t url = 0; url < member->n_clienturls; url++)
            printf("\"ClientURL\" : \"%s\"\n", member->clienturls[url]);
        printf("\"IsLearner\" : %s\n", member->islearner ? "true" : "false");
        if (member->iswitness)
            printf("\"IsWitness\" : true\n");
        if (member->priority)
            printf("\"Priority\" : %" PRIu32 "\n", member->priority);
        printf("\n");
    }
}

/* Priorities are shown where they are used; elsewhere the list is as etcdctl's. */
static bool any_priority(const Etcdserverpb__MemberListResponse *response) {
    for (size_t at = 0; at < response->n_members; at++)
        if (response->members[at]->priority)
            return true;
    return false;
}

static void print_rows(const struct ctl *ctl, const Etcdserverpb__MemberListResponse *response) {
    static const char *const titles[COLUMNS] = {"ID",           "STATUS",     "NAME",    "PEER ADDRS",
                                                "CLIENT ADDRS", "IS LEARNER", "PRIORITY"};
    size_t columns = any_priority(response) ? COLUMNS : COLUMNS - 1;
    char *cells[COLUMNS];
    char **rows = mem_calloc(response->n_members * columns + 1, sizeof *rows);
    LASH_ASSERT(rows != NULL);
    for (size_t at = 0; at < response->n_members; at++) {
        member_row(response->members[at], cells);
        memcpy(rows + at * columns, cells, columns * sizeof *rows);
        for (size_t left = columns; left < COLUMNS; left++)
            mem_free(cells[left]);
    }
    if (ctl->format == CTL_TABLE)
        output_table(titles, columns, rows, response->n_members);
    for (size_t at = 0; at < response->n_members * columns; at++) {
        if (ctl->format == CTL_SIMPLE)
            printf("%s%s", rows[at], at % columns == columns - 1 ? "\n" : ", ");
        mem_free(rows[at]);
    }
    mem_free(rows);
}

int member_list(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const char *consistency = "l";
    const struct flag table[] = {
        {"consistency", 0, FLAG_STRING, &consistency, "l", "l: linearizable, s: what one member knows"},
        {NULL, 0, FLAG_BOOL, NULL, NULL, NULL},
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 0)
        return ctl_fail(CTL_BAD_ARGUMENTS, "member list command takes no arguments");
    if (strcmp(consistency, "l") != 0 && strcmp(consistency, "s") != 0)
        return ctl_fail(CTL_BAD_FEATURE, "unknown consistency flag \"%s\"", consistency);
    struct grpc_status status;
    Etcdserverpb__MemberListResponse *response = member_fetch(ctl, *consistency == 'l', &status);
    if (!response)
        return ctl_fail_status(&status);
    if (ctl->format == CTL_JSON)
        output_message_json(&response->base);
    else if (ctl->format == CTL_FIELDS)
        print_fields(response);
    else
        print_rows(ctl, response);
    grpc_message_free(&response->base);
    return CTL_OK;
}
