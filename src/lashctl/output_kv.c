/* SPDX-License-Identifier: Apache-2.0
 *
 * Printing the responses of the KV service in simple, json and fields format.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lashctl/output.h"

static void print_bytes(const struct ctl *ctl, const ProtobufCBinaryData *bytes) {
    for (size_t at = 0; at < bytes->len && ctl->hex; at++)
        printf("\\x%02x", bytes->data[at]);
    if (bytes->len > 0 && !ctl->hex)
        (void)fwrite(bytes->data, 1, bytes->len, stdout);
}

void output_kv(const struct ctl *ctl, const Mvccpb__KeyValue *kv, bool keys_only, bool value_only) {
    static const ProtobufCBinaryData nothing = {0, NULL};
    if (!value_only) {
        print_bytes(ctl, &kv->key);
        putchar('\n');
    }
    print_bytes(ctl, keys_only ? &nothing : &kv->value);
    putchar('\n');
}

/* The length of the UTF-8 sequence at `at`, or 0 when it is none. */
static size_t utf8_length(const uint8_t *at, size_t left) {
    size_t length = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    if (*at < 0xc2 || *at > 0xf4 || left < length)
        return 0;
    for (size_t byte = 1; byte < length; byte++)
        if ((at[byte] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* A string in double quotes with escapes, as fields output has keys and values. */
static void print_quoted(const ProtobufCBinaryData *bytes) {
    static const char escapes[] = "\a\b\f\n\r\t\v\"\\";
    static const char letters[] = "abfnrtv\"\\";
    putchar('"');
    for (size_t at = 0; at < bytes->len; at++) {
        uint8_t byte = bytes->data[at];
        const char *escape = byte ? strchr(escapes, byte) : NULL;
        size_t length = byte >= 0x80 ? utf8_length(bytes->data + at, bytes->len - at) : 0;
        if (escape) {
            printf("\\%c", letters[escape - escapes]);
        } else if (length > 0) {
            (void)fwrite(bytes->data + at, 1, length, stdout);
            at += length - 1;
        } else if (byte >= 0x20 && byte < 0x7f) {
            putchar(byte);
        } else {
            printf("\\x%02x", byte);
        }
    }
    putchar('"');
}

void output_header_fields(const Etcdserverpb__ResponseHeader *header) {
    static const Etcdserverpb__ResponseHeader none = ETCDSERVERPB__RESPONSE_HEADER__INIT;
    header = header ? header : &none;
    printf("\"ClusterID\" : %" PRIu64 "\n\"MemberID\" : %" PRIu64 "\n", header->cluster_id, header->member_id);
    printf("\"Revision\" : %" PRId64 "\n\"RaftTerm\" : %" PRIu64 "\n", header->revision, header->raft_term);
}

static void print_kv_fields(const char *prefix, const Mvccpb__KeyValue *kv) {
    printf("\"%sKey\" : ", prefix);
    print_quoted(&kv->key);
    printf("\n\"%sCreateRevision\" : %" PRId64 "\n", prefix, kv->create_revision);
    printf("\"%sModRevision\" : %" PRId64 "\n", prefix, kv->mod_revision);
    printf("\"%sVersion\" : %" PRId64 "\n\"%sValue\" : ", prefix, kv->version, prefix);
    print_quoted(&kv->value);
    printf("\n\"%sLease\" : %" PRId64 "\n", prefix, kv->lease);
}

void output_put(const struct ctl *ctl, const Etcdserverpb__PutResponse *response) {
    if (ctl->format == CTL_JSON) {
        output_message_json(&response->base);
    } else if (ctl->format == CTL_FIELDS) {
        output_header_fields(response->header);
        if (response->prev_kv)
            print_kv_fields("Prev", response->prev_kv);
    } else {
        printf("OK\n");
        if (response->prev_kv)
            output_kv(ctl, response->prev_kv, false, false);
    }
}

void output_delete(const struct ctl *ctl, const Etcdserverpb__DeleteRangeResponse *response) {
    if (ctl->format == CTL_JSON) {
        output_message_json(&response->base);
        return;
    }
    if (ctl->format == CTL_FIELDS) {
        output_header_fields(response->header);
        printf("\"Deleted\" : ");
    }
    printf("%" PRId64 "\n", response->deleted);
    for (size_t at = 0; at < response->n_prev_kvs; at++) {
        if (ctl->format == CTL_FIELDS)
            print_kv_fields("Prev", response->prev_kvs[at]);
        else
            output_kv(ctl, response->prev_kvs[at], false, false);
    }
}

void output_range(const struct ctl *ctl, const Etcdserverpb__RangeResponse *response, bool keys_only, bool value_only) {
    if (ctl->format == CTL_JSON) {
        output_message_json(&response->base);
        return;
    }
    if (ctl->format == CTL_FIELDS)
        output_header_fields(response->header);
    for (size_t at = 0; at < response->n_kvs; at++) {
        if (ctl->format == CTL_FIELDS)
            print_kv_fields("", response->kvs[at]);
        else
            output_kv(ctl, response->kvs[at], keys_only, value_only);
    }
    if (ctl->format == CTL_FIELDS)
        printf("\"More\" : %s\n\"Count\" : %" PRId64 "\n", response->more ? "true" : "false", response->count);
}

void output_txn(const struct ctl *ctl, const Etcdserverpb__TxnResponse *response) {
    if (ctl->format == CTL_JSON) {
        output_message_json(&response->base);
        return;
    }
    if (ctl->format == CTL_FIELDS) {
        output_header_fields(response->header);
        printf("\"Succeeded\" : %s\n", response->succeeded ? "true" : "false");
    } else {
        printf("%s\n", response->succeeded ? "SUCCESS" : "FAILURE");
    }
    for (size_t at = 0; at < response->n_responses; at++) {
        const Etcdserverpb__ResponseOp *op = response->responses[at];
        if (ctl->format == CTL_SIMPLE)
            putchar('\n');
        if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT)
            output_put(ctl, op->response_put);
        else if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE)
            output_range(ctl, op->response_range, false, false);
        else if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE)
            output_delete(ctl, op->response_delete_range);
    }
}
