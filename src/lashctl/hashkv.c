/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoint hashkv: what each endpoint's data hash to, up to a revision.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/buf.h"
#include "lashctl/endpoint.h"
#include "lashctl/output.h"

#define HASHKV_COLUMNS 3

/* What has been gathered from the endpoints that answered. */
struct hashkv_report {
    struct json_object *json;
    char **cells;
    size_t rows;
};

static void hashkv_fields(const char *endpoint, const Etcdserverpb__HashKVResponse *hash) {
    output_header_fields(hash->header);
    printf("\"Endpoint\" : \"%s\"\n\"Hash\" : %" PRIu32 "\n\"HashRevision\" : %" PRId64 "\n\n", endpoint, hash->hash,
           hash->hash_revision);
}

static void hashkv_row(struct hashkv_report *report, const char *endpoint, const Etcdserverpb__HashKVResponse *hash) {
    char **cells = report->cells + report->rows++ * HASHKV_COLUMNS;
    cells[0] = output_string("%s", endpoint);
    cells[1] = output_string("%" PRIu32, hash->hash);
    cells[2] = output_string("%" PRId64, hash->hash_revision);
    for (size_t at = 0; at < HASHKV_COLUMNS; at++)
        LASH_ASSERT(cells[at] != NULL);
}

static void hashkv_add(const struct ctl *ctl, struct hashkv_report *report, const char *endpoint,
                       const Etcdserverpb__HashKVResponse *hash) {
    if (ctl->format == CTL_FIELDS) {
        hashkv_fields(endpoint, hash);
    } else if (ctl->format == CTL_JSON) {
        struct json_object *item = json_object_new_object();
        (void)json_object_object_add(item, "Endpoint", json_object_new_string(endpoint));
        (void)json_object_object_add(item, "HashKV", output_message(&hash->base));
        (void)json_object_array_add(report->json, item);
    } else {
        hashkv_row(report, endpoint, hash);
    }
}

static void hashkv_print(const struct ctl *ctl, struct hashkv_report *report) {
    static const char *const titles[HASHKV_COLUMNS] = {"ENDPOINT", "HASH", "HASH REVISION"};
    if (ctl->format == CTL_JSON)
        output_json(report->json);
    else
        (void)json_object_put(report->json);
    if (ctl->format == CTL_TABLE)
        output_table(titles, HASHKV_COLUMNS, report->cells, report->rows);
    for (size_t at = 0; at < report->rows * HASHKV_COLUMNS; at++) {
        if (ctl->format == CTL_SIMPLE)
            printf("%s%s", report->cells[at], at % HASHKV_COLUMNS == HASHKV_COLUMNS - 1 ? "\n" : ", ");
        mem_free(report->cells[at]);
    }
    mem_free(report->cells);
}

int endpoint_hashkv(struct ctl *ctl, const struct verb *verb, int argc, const char **argv) {
    Etcdserverpb__HashKVRequest request = ETCDSERVERPB__HASH_KVREQUEST__INIT;
    const struct flag rev = {"rev", 0, FLAG_INT, &request.revision, "0", "up to which revision; 0: the newest"};
    bool done = false;
    int rc = endpoint_parse(ctl, verb, &rev, argc, argv, &done);
    if (done || rc != CTL_OK)
        return rc;
    struct hashkv_report report = {json_object_new_array(),
                                   mem_calloc(ctl->endpoint_count * HASHKV_COLUMNS, sizeof(char *)), 0};
    LASH_ASSERT(report.json != NULL && report.cells != NULL);
    for (size_t at = 0; at < ctl->endpoint_count; at++) {
        ProtobufCMessage *message = endpoint_ask(ctl, ctl->endpoints[at], "/etcdserverpb.Maintenance/HashKV",
                                                 &request.base, &etcdserverpb__hash_kvresponse__descriptor);
        if (message)
            hashkv_add(ctl, &report, ctl->endpoints[at], (const Etcdserverpb__HashKVResponse *)message);
        else
            rc = CTL_ERROR;
        grpc_message_free(message);
    }
    hashkv_print(ctl, &report);
    return rc;
}
