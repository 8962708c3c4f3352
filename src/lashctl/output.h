/* SPDX-License-Identifier: Apache-2.0
 *
 * How lashctl prints answers: the same bytes as etcdctl, so that scripts can use either.
 */
#ifndef LASH_LASHCTL_OUTPUT_H
#define LASH_LASHCTL_OUTPUT_H

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lashctl/ctl.h"
#include "rpc.pb-c.h"

/* A message as JSON: proto names, zero fields left out, bytes in base64, 64-bit numbers as numbers. */
struct json_object *output_message(const ProtobufCMessage *message);

/* Print `object` in one line, and release it. */
void output_json(struct json_object *object);

/* Print a message as one line of JSON. */
void output_message_json(const ProtobufCMessage *message);

/* Key and value on lines of their own, as simple output has them. */
void output_kv(const struct ctl *ctl, const Mvccpb__KeyValue *kv, bool keys_only, bool value_only);

/* A response of the KV service, in the ctl's format (simple, json or fields). */
void output_put(const struct ctl *ctl, const Etcdserverpb__PutResponse *response);
void output_delete(const struct ctl *ctl, const Etcdserverpb__DeleteRangeResponse *response);
void output_range(const struct ctl *ctl, const Etcdserverpb__RangeResponse *response, bool keys_only, bool value_only);
void output_txn(const struct ctl *ctl, const Etcdserverpb__TxnResponse *response);

/* The header's lines of fields output; a header left out reads as zeros. */
void output_header_fields(const Etcdserverpb__ResponseHeader *header);

/* A bordered table of `columns` columns; cells holds `rows` rows one after another. Cells are aligned to the right. */
void output_table(const char *const *titles, size_t columns, char *const *cells, size_t rows);

/* "20 kB" */
void output_size(int64_t bytes, char *text, size_t room);

/* "1.744444ms" */
void output_duration(uint64_t ns, char *text, size_t room);

/* A new string by printf's rules, to be mem_free'd; NULL when memory ran out. */
char *output_string(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
