/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers packed from results: see pack.h. As proto3 has it, a number that is 0 and bytes that are none
 * are left out, and a message is not.
 */
#include "api/pack.h"

#include "api/grpc.h"
#include "base/assert.h"
#include "base/bytes.h"

enum { PACK_NUMBER = 0, PACK_BYTES = 2 }; /* wire types */

/* Numbers of the fields, all of which are below 16, so that a tag is one byte. */
enum {
    PACK_HEADER = 1, /* of every answer */

    PACK_HEADER_CLUSTER = 1,
    PACK_HEADER_MEMBER = 2,
    PACK_HEADER_REVISION = 3,
    PACK_HEADER_TERM = 4,

    PACK_KV_KEY = 1,
    PACK_KV_CREATE = 2,
    PACK_KV_MOD = 3,
    PACK_KV_VERSION = 4,
    PACK_KV_VALUE = 5,
    PACK_KV_LEASE = 6,

    PACK_RANGE_KVS = 2,
    PACK_RANGE_MORE = 3,
    PACK_RANGE_COUNT = 4,

    PACK_PUT_PREVIOUS = 2,
};

/* ---- Sizes ------------------------------------------------------------------------------------- */

static size_t pack_varint_size(uint64_t value) {
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

static size_t pack_number_size(uint64_t value) {
    return value ? 1 + pack_varint_size(value) : 0;
}

static size_t pack_message_size(size_t size) {
    return 1 + pack_varint_size(size) + size;
}

static size_t pack_bytes_size(struct store_bytes bytes) {
    return bytes.size ? pack_message_size(bytes.size) : 0;
}

static size_t pack_header_size(const struct convert_header *header) {
    return pack_number_size(header->cluster_id) + pack_number_size(header->member_id) +
           pack_number_size((uint64_t)header->revision) + pack_number_size(header->term);
}

static size_t pack_kv_size(const struct store_kv *kv) {
    return pack_bytes_size(kv->key) + pack_number_size((uint64_t)kv->create_revision) +
           pack_number_size((uint64_t)kv->mod_revision) + pack_number_size((uint64_t)kv->version) +
           pack_bytes_size(kv->value) + pack_number_size((uint64_t)kv->lease);
}

static size_t pack_range_size(const struct store_range_result *range) {
    size_t size = pack_number_size(range->more) + pack_number_size((uint64_t)range->count);
    for (size_t i = 0; i < range->kv_count; i++)
        size += pack_message_size(pack_kv_size(&range->kvs[i]));
    return size;
}

static size_t pack_put_size(const struct store_put_result *put) {
    return put->prev_kv ? pack_message_size(pack_kv_size(put->prev_kv)) : 0;
}

/* ---- Bytes ------------------------------------------------------------------------------------- */

static void pack_number(struct writer *to, unsigned field, uint64_t value) {
    if (!value)
        return;
    write_u8(to, (uint8_t)(field << 3 | PACK_NUMBER));
    write_varint(to, value);
}

/* Of a message of `size` bytes, which follow. */
static void pack_message(struct writer *to, unsigned field, size_t size) {
    write_u8(to, (uint8_t)(field << 3 | PACK_BYTES));
    write_varint(to, size);
}

static void pack_bytes(struct writer *to, unsigned field, struct store_bytes bytes) {
    if (!bytes.size)
        return;
    pack_message(to, field, bytes.size);
    write_bytes(to, bytes.data, bytes.size);
}

static void pack_header(struct writer *to, const struct convert_header *header) {
    pack_message(to, PACK_HEADER, pack_header_size(header));
    pack_number(to, PACK_HEADER_CLUSTER, header->cluster_id);
    pack_number(to, PACK_HEADER_MEMBER, header->member_id);
    pack_number(to, PACK_HEADER_REVISION, (uint64_t)header->revision);
    pack_number(to, PACK_HEADER_TERM, header->term);
}

static void pack_kv(struct writer *to, unsigned field, const struct store_kv *kv) {
    pack_message(to, field, pack_kv_size(kv));
    pack_bytes(to, PACK_KV_KEY, kv->key);
    pack_number(to, PACK_KV_CREATE, (uint64_t)kv->create_revision);
    pack_number(to, PACK_KV_MOD, (uint64_t)kv->mod_revision);
    pack_number(to, PACK_KV_VERSION, (uint64_t)kv->version);
    pack_bytes(to, PACK_KV_VALUE, kv->value);
    pack_number(to, PACK_KV_LEASE, (uint64_t)kv->lease);
}

static void pack_range(struct writer *to, const struct store_range_result *range) {
    for (size_t i = 0; i < range->kv_count; i++)
        pack_kv(to, PACK_RANGE_KVS, &range->kvs[i]);
    pack_number(to, PACK_RANGE_MORE, range->more);
    pack_number(to, PACK_RANGE_COUNT, (uint64_t)range->count);
}

static void pack_put(struct writer *to, const struct store_put_result *put) {
    if (put->prev_kv)
        pack_kv(to, PACK_PUT_PREVIOUS, put->prev_kv);
}

/* ---- Answers ----------------------------------------------------------------------------------- */

bool pack_knows(enum store_op_type type) {
    return type == STORE_RANGE || type == STORE_PUT;
}

struct buf *pack_answer(const struct store_result *result, const struct convert_header *header) {
    const struct store_op_result *op = &result->op;
    bool range = op->type == STORE_RANGE;
    LASH_ASSERT(result->error == STORE_OK && pack_knows(op->type));
    size_t size =
        pack_message_size(pack_header_size(header)) + (range ? pack_range_size(&op->range) : pack_put_size(&op->put));
    struct buf *buf = size > UINT32_MAX ? NULL : buf_new(GRPC_PREFIX_SIZE + size);
    if (!buf)
        return NULL;
    buf->size = GRPC_PREFIX_SIZE + size;
    grpc_prefix(buf->data, (uint32_t)size);
    struct writer to = writer_make(buf->data + GRPC_PREFIX_SIZE, size);
    pack_header(&to, header);
    if (range)
        pack_range(&to, &op->range);
    else
        pack_put(&to, &op->put);
    LASH_ASSERT(!to.failed && to.at == to.end);
    return buf;
}
