/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoint status and endpoint health: one question to each endpoint.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lashctl/clock.h"
#include "lashctl/endpoint.h"
#include "lashctl/endpoints.h"
#include "lashctl/member.h"
#include "lashctl/output.h"

#define STATUS_COLUMNS 10
#define HEALTH_COLUMNS 4

/* ---- Which endpoints ------------------------------------------------------------------------------- */

/* With --cluster: the client URLs of all members in place of the endpoints given. Any one member's knowledge will do,
 * for these verbs are asked for when something is wrong. Returns an exit code. */
static int use_cluster(struct ctl *ctl) {
    struct grpc_status status;
    Etcdserverpb__MemberListResponse *members = member_fetch(ctl, false, &status);
    if (!members)
        return ctl_fail_status(&status);
    mem_free(ctl->endpoints);
    ctl->endpoints = NULL;
    ctl->endpoint_count = 0;
    bool room = true;
    for (size_t at = 0; at < members->n_members; at++)
        for (size_t url = 0; url < members->members[at]->n_clienturls; url++)
            room = room && flags_add_endpoints(ctl, members->members[at]->clienturls[url]);
    grpc_message_free(&members->base);
    if (!room)
        return ctl_fail(CTL_ERROR, "out of memory");
    return ctl->endpoint_count > 0 ? CTL_OK : ctl_fail(CTL_ERROR, "no member has announced its client URLs yet");
}

int endpoint_parse(struct ctl *ctl, const struct verb *verb, const struct flag *own, int argc, const char **argv,
                   bool *done) {
    bool cluster = false;
    const struct flag end = {NULL, 0, FLAG_BOOL, NULL, NULL, NULL};
    const struct flag table[] = {
        {"cluster", 0, FLAG_BOOL, &cluster, NULL, "ask all members that the cluster lists"},
        own ? *own : end,
        end,
    };
    struct arguments arguments = flags_parse(ctl, verb, table, argc, argv);
    *done = arguments.done;
    if (arguments.done)
        return arguments.exit_code;
    if (arguments.count != 0)
        return ctl_fail(CTL_BAD_ARGUMENTS, "%s command takes no arguments", verb->name);
    return cluster ? use_cluster(ctl) : CTL_OK;
}

ProtobufCMessage *endpoint_ask(const struct ctl *ctl, const char *endpoint, const char *path,
                               const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type) {
    struct grpc_status status;
    ProtobufCMessage *message =
        endpoints_call_one(ctl, endpoint, path, request, type, clock_after_ms(ctl->command_timeout_ms), &status);
    if (!message) {
        char text[640];
        ctl_status_text(&status, text, sizeof text);
        (void)fprintf(stderr, "Failed to get the status of endpoint %s (%s)\n", endpoint, text);
    }
    return message;
}

/* ---- status ----------------------------------------------------------------------------------------- */

static char *join_errors(const Etcdserverpb__StatusResponse *status) {
    char *text = output_string("%s", "");
    for (size_t at = 0; at < status->n_errors && text; at++) {
        char *longer = output_string("%s%s%s", text, at ? ", " : "", status->errors[at]);
        mem_free(text);
        text = longer;
    }
    return text;
}

static void status_row(const char *endpoint, const Etcdserverpb__StatusResponse *status, char **cells) {
    uint64_t id = status->header ? status->header->member_id : 0;
    char size[32];
    output_size(status->dbsize, size, sizeof size);
    cells[0] = output_string("%s", endpoint);
    cells[1] = output_string("%" PRIx64, id);
    cells[2] = output_string("%s", status->version);
    cells[3] = output_string("%s", size);
    cells[4] = output_string("%s", status->leader == id ? "true" : "false");
    cells[5] = output_string("%s", status->islearner ? "true" : "false");
    cells[6] = output_string("%" PRIu64, status->raftterm);
    cells[7] = output_string("%" PRIu64, status->raftindex);
    cells[8] = output_string("%" PRIu64, status->raftappliedindex);
    cells[9] = join_errors(status);
    for (size_t at = 0; at < STATUS_COLUMNS; at++)
        LASH_ASSERT(cells[at] != NULL);
}

static void status_fields(const char *endpoint, const Etcdserverpb__StatusResponse *status) {
    output_header_fields(status->header);
    printf("\"Version\" : \"%s\"\n\"DBSize\" : %" PRId64 "\n\"Leader\" : %" PRIu64 "\n", status->version,
           status->dbsize, status->leader);
    printf("\"IsLearner\" : %s\n\"RaftIndex\" : %" PRIu64 "\n", status->islearner ? "true" : "false",
           status->raftindex);
    printf("\"RaftTerm\" : %" PRIu64 "\n\"RaftAppliedIndex\" : %" PRIu64 "\n\"Errors\" : [", status->raftterm,
           status->raftappliedindex);
    for (size_t at = 0; at < status->n_errors; at++)
        printf("%s\"%s\"", at ? " " : "", status->errors[at]);
    printf("]\n\"Endpoint\" : \"%s\"\n\n", endpoint);
}

/* What has been gathered from the endpoints that answered. */
struct status_report {
    struct json_object *json;
    char **cells;
    size_t rows;
};

static void status_add(const struct ctl *ctl, struct status_report *report, const char *endpoint,
                       const Etcdserverpb__StatusResponse *status) {
    if (ctl->format == CTL_FIELDS) {
        status_fields(endpoint, status);
    } else if (ctl->format == CTL_JSON) {
        struct json_object *item = json_object_new_object();
        (void)json_object_object_add(item, "Endpoint", json_object_new_string(endpoint));
        (void)json_object_object_add(item, "Status", output_message(&status->base));
        (void)json_object_array_add(report->json, item);
    } else {
        status_row(endpoint, status, report->cells + report->rows++ * STATUS_COLUMNS);
    }
}

static void status_print(const struct ctl *ctl, struct status_report *report) {
    static const char *const titles[STATUS_COLUMNS] = {"ENDPOINT",           "ID",         "VERSION",   "DB SIZE",
                                                       "IS LEADER",          "IS LEARNER", "RAFT TERM", "RAFT INDEX",
                                                       "RAFT APPLIED INDEX", "ERRORS"};
    if (ctl->format == CTL_JSON)
        output_json(report->json);
    else
        (void)json_object_put(report->json);
    if (ctl->format == CTL_TABLE)
        output_table(titles, STATUS_COLUMNS, report->cells, report->rows);
    for (size_t at = 0; at < report->rows * STATUS_COLUMNS; at++) {
        if (ctl->format == CTL_SIMPLE)
            printf("%s%s", report->cells[at], at % STATUS_COLUMNS == STATUS_COLUMNS - 1 ? "\n" : ", ");
        mem_free(report->cells[at]);
    }
    mem_free(report->cells);
}

int endpoint_status(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    bool done = false;
    int rc = endpoint_parse(ctl, verb, NULL, argc, argv, &done);
    if (done || rc != CTL_OK)
        return rc;
    struct status_report report = {json_object_new_array(),
                                   mem_calloc(ctl->endpoint_count * STATUS_COLUMNS, sizeof(char *)), 0};
    LASH_ASSERT(report.json != NULL && report.cells != NULL);
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
        ProtobufCMessage *message = endpoint_ask(ctl, ctl->endpoints[at], "/etcdserverpb.Maintenance/Status",
                                                 &request.base, &etcdserverpb__status_response__descriptor);
        if (message)
            status_add(ctl, &report, ctl->endpoints[at], (const Etcdserverpb__StatusResponse *)message);
        else
            rc = CTL_ERROR;
        grpc_message_free(message);
    }
    status_print(ctl, &report);
    return rc;
}

/* ---- health ----------------------------------------------------------------------------------------- */

struct health {
    bool good;
    char took[32];
    char why[640];
};

/* A linearizable read shows that the endpoint takes part in a majority. What it finds does not matter. */
static struct health health_ask(const struct ctl *ctl, const char *endpoint) {
    static const char key[] = "health";
    union {
        const char *text;
        uint8_t *bytes;
    } view = {.text = key};
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    request.key = (ProtobufCBinaryData){sizeof key - 1, view.bytes};
    struct health health = {.good = false};
    struct grpc_status status;
    uint64_t start = clock_ns();
    ProtobufCMessage *message =
        endpoints_call_one(ctl, endpoint, "/etcdserverpb.KV/Range", &request.base,
                           &etcdserverpb__range_response__descriptor, clock_after_ms(ctl->command_timeout_ms), &status);
    output_duration(clock_ns() - start, health.took, sizeof health.took);
    health.good = message != NULL || status.code == GRPC_PERMISSION_DENIED;
    if (!health.good)
        ctl_status_text(&status, health.why, sizeof health.why);
    grpc_message_free(message);
    return health;
}

static void health_json(const struct ctl *ctl, const struct health *answers) {
    struct json_object *array = json_object_new_array();
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        struct json_object *item = json_object_new_object();
        (void)json_object_object_add(item, "endpoint", json_object_new_string(ctl->endpoints[at]));
        (void)json_object_object_add(item, "health", json_object_new_boolean(answers[at].good));
        (void)json_object_object_add(item, "took", json_object_new_string(answers[at].took));
        if (!answers[at].good)
            (void)json_object_object_add(item, "error", json_object_new_string(answers[at].why));
        (void)json_object_array_add(array, item);
    }
    output_json(array);
}

static void health_table(const struct ctl *ctl, struct health *answers) {
    static const char *const titles[HEALTH_COLUMNS] = {"ENDPOINT", "HEALTH", "TOOK", "ERROR"};
    static char yes[] = "true", no[] = "false";
    char **cells = mem_calloc(ctl->endpoint_count * HEALTH_COLUMNS, sizeof *cells);
    LASH_ASSERT(cells != NULL);
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        cells[at * HEALTH_COLUMNS] = ctl->endpoints[at];
        cells[at * HEALTH_COLUMNS + 1] = answers[at].good ? yes : no;
        cells[at * HEALTH_COLUMNS + 2] = answers[at].took;
        cells[at * HEALTH_COLUMNS + 3] = answers[at].why;
    }
    output_table(titles, HEALTH_COLUMNS, cells, ctl->endpoint_count);
    mem_free(cells);
}

static void health_line(const struct ctl *ctl, const char *endpoint, const struct health *answer) {
    if (ctl->format == CTL_FIELDS)
        printf("\"Health\" : %s\n\"Took\" : \"%s\"\n\"Error\" : \"%s\"\n\"Endpoint\" : \"%s\"\n\n",
               answer->good ? "true" : "false", answer->took, answer->why, endpoint);
    else if (answer->good)
        printf("%s is healthy: successfully committed proposal: took = %s\n", endpoint, answer->took);
    else
        (void)fprintf(stderr, "%s is unhealthy: failed to commit proposal: %s\n", endpoint, answer->why);
}

int endpoint_health(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    bool done = false;
    int rc = endpoint_parse(ctl, verb, NULL, argc, argv, &done);
    if (done || rc != CTL_OK)
        return rc;
    struct health *answers = mem_calloc(ctl->endpoint_count, sizeof *answers);
    LASH_ASSERT(answers != NULL);
    bool all_good = true;
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        answers[at] = health_ask(ctl, ctl->endpoints[at]);
        all_good = all_good && answers[at].good;
    }
    if (ctl->format == CTL_JSON)
        health_json(ctl, answers);
    else if (ctl->format == CTL_TABLE)
        health_table(ctl, answers);
    else
        for (size_t at = 0; at < ctl->endpoint_count; at++)
            health_line(ctl, ctl->endpoints[at], &answers[at]);
    mem_free(answers);
    return all_good ? CTL_OK : ctl_fail(CTL_ERROR, "unhealthy cluster");
}
