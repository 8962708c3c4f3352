/* SPDX-License-Identifier: Apache-2.0
 *
 * move-leader: asks the leader, which must be among the endpoints, to hand over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lashctl/clock.h"
#include "lashctl/endpoints.h"
#include "lashctl/flags.h"
#include "lashctl/output.h"
#include "rpc.pb-c.h"

/* The endpoint that leads, and its member's id; NULL when there is none, or when one does not answer (see `status`). */
static const char *leader_find(const struct ctl *ctl, uint64_t deadline, uint64_t *id, struct grpc_status *status) {
    *status = (struct grpc_status){0};
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
        Etcdserverpb__StatusResponse *response = (Etcdserverpb__StatusResponse *)endpoints_call_one(
            ctl, ctl->endpoints[at], "/etcdserverpb.Maintenance/Status", &request.base,
            &etcdserverpb__status_response__descriptor, deadline, status);
        if (!response)
            return NULL;
        *id = response->header ? response->header->member_id : 0;
        bool leads = response->leader != 0 && response->leader == *id;
        grpc_message_free(&response->base);
        if (leads)
            return ctl->endpoints[at];
    }
    return NULL;
}

/* "no leader endpoint given at [a b]", as etcdctl words it. */
static int leader_missing(const struct ctl *ctl) {
    fprintf(stderr, "Error: no leader endpoint given at [");
    for (size_t at = 0; at < ctl->endpoint_count; at++)
        fprintf(stderr, "%s%s", at ? " " : "", ctl->endpoints[at]);
    fprintf(stderr, "]\n");
    return CTL_BAD_ARGUMENTS;
}

int leader_move(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    const struct flag table[] = {{NULL, 0, FLAG_BOOL, NULL, NULL, NULL}};
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 1)
        return ctl_fail(CTL_BAD_ARGUMENTS, "move-leader command needs 1 argument");
    char *end = NULL;
    errno = 0;
    uint64_t target = strtoull(arguments.words[0], &end, 16);
    if (errno != 0 || end == arguments.words[0] || *end != '\0')
        return ctl_fail(CTL_BAD_ARGUMENTS, "bad member ID arg (%s), expecting ID in Hex", arguments.words[0]);

    uint64_t deadline = clock_after_ms(ctl->command_timeout_ms);
    struct grpc_status status;
    uint64_t leader;
    const char *endpoint = leader_find(ctl, deadline, &leader, &status);
    if (!endpoint)
        return status.code ? ctl_fail_status(&status) : leader_missing(ctl);
    Etcdserverpb__MoveLeaderRequest request = ETCDSERVERPB__MOVE_LEADER_REQUEST__INIT;
    request.targetid = target;
    ProtobufCMessage *response =
        endpoints_call_one(ctl, endpoint, "/etcdserverpb.Maintenance/MoveLeader", &request.base,
                           &etcdserverpb__move_leader_response__descriptor, deadline, &status);
    if (!response)
        return ctl_fail_status(&status);
    if (ctl->format == CTL_JSON)
        output_message_json(response);
    else
        printf("Leadership transferred from %" PRIx64 " to %" PRIx64 "\n", leader, target);
    grpc_message_free(response);
    return CTL_OK;
}
