/* SPDX-License-Identifier: Apache-2.0
 *
 * status: what each member knows of itself and of its peers, for operators.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lash.pb-c.h"
#include "lashctl/endpoint.h"
#include "lashctl/output.h"

enum { STATUS_CELL_SIZE = 64 };

/* ---- Tables ----------------------------------------------------------------------------------------- */

/* A table that grows cell by cell. */
struct status_table {
    const char *const *titles;
    size_t columns;
    char **cells;
    size_t count;
    size_t capacity;
};

static void status_cell(struct status_table *table, const char *text) {
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->cells = mem_realloc(table->cells, table->capacity * sizeof *table->cells);
        LASH_ASSERT(table->cells != NULL);
    }
    char *copy = mem_strdup(text);
    LASH_ASSERT(copy != NULL);
    table->cells[table->count++] = copy;
}

static void status_number(struct status_table *table, uint64_t number) {
    char text[STATUS_CELL_SIZE];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    status_cell(table, text);
}

/* An id; none is a dash. */
static void status_id(struct status_table *table, uint64_t id) {
    char text[STATUS_CELL_SIZE] = "-";
    if (id)
        (void)snprintf(text, sizeof text, "%" PRIx64, id);
    status_cell(table, text);
}

static void status_size(struct status_table *table, uint64_t bytes) {
    char text[STATUS_CELL_SIZE];
    output_size(bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes, text, sizeof text);
    status_cell(table, text);
}

/* A duration; none is a dash. */
static void status_duration(struct status_table *table, uint64_t ns) {
    char text[STATUS_CELL_SIZE] = "-";
    if (ns)
        output_duration(ns, text, sizeof text);
    status_cell(table, text);
}

static void status_print(struct status_table *table) {
    if (table->count)
        output_table(table->titles, table->columns, table->cells, table->count / table->columns);
    for (size_t at = 0; at < table->count; at++)
        mem_free(table->cells[at]);
    mem_free(table->cells);
}

/* ---- Rows ------------------------------------------------------------------------------------------- */

static const char *const status_member_titles[] = {
    "ENDPOINT", "ID",       "NAME",    "ROLE",     "TERM",       "VOTE",      "COMMIT",  "APPLIED",
    "LOG",      "LOG SIZE", "PENDING", "SYNC P99", "COMMIT P99", "APPLY P99", "VERSION", "TROUBLE"};
static const char *const status_peer_titles[] = {"FROM",     "TO",     "CONNECTED", "ROUND TRIP", "SENT",
                                                 "RECEIVED", "QUEUED", "FAILED",    "STATE",      "MATCH",
                                                 "NEXT",     "LAG",    "ANSWERS",   "DISK"};

/* A p99 that exceeds all bounds, and one of nothing, are dashes. */
static void status_p99(struct status_table *table, const Lash__Durations *durations) {
    status_duration(table, durations ? durations->p99_ns : 0);
}

/* The cluster's version, and what the member knows beyond it. */
static void status_version(struct status_table *table, const Lash__StatusResponse *status) {
    char text[STATUS_CELL_SIZE];
    (void)snprintf(text, sizeof text,
                   status->version > status->cluster_version ? "%" PRIu32 " (knows %" PRIu32 ")" : "%" PRIu32,
                   status->cluster_version, status->version);
    status_cell(table, text);
}

static void status_member(struct status_table *table, const char *endpoint, const Lash__StatusResponse *status) {
    char log[STATUS_CELL_SIZE];
    bool behind = status->log_durable < status->log_last;
    (void)snprintf(log, sizeof log, behind ? "%" PRIu64 "..%" PRIu64 " (%" PRIu64 " durable)" : "%" PRIu64 "..%" PRIu64,
                   status->log_first, status->log_last, status->log_durable);
    status_cell(table, endpoint);
    status_id(table, status->member_id);
    status_cell(table, status->name);
    status_cell(table, status->learner ? "learner" : status->role);
    status_number(table, status->term);
    status_id(table, status->vote);
    status_number(table, status->commit);
    status_number(table, status->applied);
    status_cell(table, log);
    status_size(table, status->log_bytes);
    status_number(table, status->proposals_pending + status->reads_pending);
    status_p99(table, status->sync);
    status_p99(table, status->commitment);
    status_p99(table, status->application);
    status_version(table, status);
    status_cell(table, status->error[0]    ? status->error
                       : status->disk_full ? "disk full"
                       : status->disk_slow ? "disk slow"
                       : status->leader    ? ""
                                           : "no leader");
}

/* What a leader says of its member, or nothing. */
static void status_progress(struct status_table *table, const Lash__Progress *progress) {
    if (!progress) {
        for (int at = 0; at < 6; at++)
            status_cell(table, "");
        return;
    }
    status_cell(table, progress->state);
    status_number(table, progress->match);
    status_number(table, progress->next);
    status_number(table, progress->lag);
    status_cell(table, progress->active ? "true" : "false");
    status_cell(table, progress->disk_full ? "full" : progress->disk_slow ? "slow" : "ok");
}

static void status_peers(struct status_table *table, const Lash__StatusResponse *status) {
    for (size_t at = 0; at < status->n_peers; at++) {
        const Lash__Peer *peer = status->peers[at];
        if (status->name[0])
            status_cell(table, status->name);
        else
            status_id(table, status->member_id);
        if (peer->name[0])
            status_cell(table, peer->name);
        else
            status_id(table, peer->id);
        status_cell(table, peer->connected ? "true" : "false");
        status_duration(table, peer->round_trip_ns);
        status_size(table, peer->sent_bytes);
        status_size(table, peer->received_bytes);
        status_size(table, peer->queued_bytes);
        status_number(table, peer->send_failures);
        status_progress(table, peer->progress);
    }
}

static void status_json(struct json_object *array, const char *endpoint, const Lash__StatusResponse *status) {
    struct json_object *item = json_object_new_object();
    LASH_ASSERT(item != NULL);
    (void)json_object_object_add(item, "endpoint", json_object_new_string(endpoint));
    (void)json_object_object_add(item, "status", output_message(&status->base));
    (void)json_object_array_add(array, item);
}

int status_run(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    bool done = false;
    int rc = endpoint_parse(ctl, verb, NULL, argc, argv, &done);
    if (done || rc != CTL_OK)
        return rc;
    struct status_table members = {.titles = status_member_titles,
                                   .columns = sizeof status_member_titles / sizeof status_member_titles[0]};
    struct status_table peers = {.titles = status_peer_titles,
                                 .columns = sizeof status_peer_titles / sizeof status_peer_titles[0]};
    struct json_object *array = json_object_new_array();
    LASH_ASSERT(array != NULL);
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        const Lash__StatusRequest request = LASH__STATUS_REQUEST__INIT;
        ProtobufCMessage *message = endpoint_ask(ctl, ctl->endpoints[at], "/lash.Observation/Status", &request.base,
                                                 &lash__status_response__descriptor);
        const Lash__StatusResponse *status = (const Lash__StatusResponse *)message;
        if (!message) {
            rc = CTL_ERROR;
        } else if (ctl->format == CTL_JSON) {
            status_json(array, ctl->endpoints[at], status);
        } else {
            status_member(&members, ctl->endpoints[at], status);
            status_peers(&peers, status);
        }
        grpc_message_free(message);
    }
    if (ctl->format == CTL_JSON)
        output_json(array);
    else
        (void)json_object_put(array);
    status_print(&members);
    status_print(&peers);
    return rc;
}
