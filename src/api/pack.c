/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers packed from results: see pack.h. As proto3 has it, a number that is 0 and bytes that are none
 * are left out, and a message is not.
 */
#include "api/pack.h"

#include <string.h>

#include "api/grpc.h"
#include "base/assert.h"

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

/* ---- Bytes: each function returns where the next field goes ------------------------------------- */

static uint8_t *pack_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *pack_number(uint8_t *at, unsigned field, uint64_t value) {
    if (!value)
        return at;
    *at++ = (uint8_t)(field << 3 | PACK_NUMBER);
    return pack_varint(at, value);
}

/* Of a message of `size` bytes, which follow. */
static uint8_t *pack_message(uint8_t *at, unsigned field, size_t size) {
    *at++ = (uint8_t)(field << 3 | PACK_BYTES);
    return pack_varint(at, size);
}

static uint8_t *pack_bytes(uint8_t *at, unsigned field, struct store_bytes bytes) {
    if (!bytes.size)
        return at;
    at = pack_message(at, field, bytes.size);
    memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static uint8_t *pack_header(uint8_t *at, const struct convert_header *header) {
    at = pack_message(at, PACK_HEADER, pack_header_size(header));
    at = pack_number(at, PACK_HEADER_CLUSTER, header->cluster_id);
    at = pack_number(at, PACK_HEADER_MEMBER, header->member_id);
    at = pack_number(at, PACK_HEADER_REVISION, (uint64_t)header->revision);
    return pack_number(at, PACK_HEADER_TERM, header->term);
}

static uint8_t *pack_kv(uint8_t *at, unsigned field, const struct store_kv *kv) {
    at = pack_message(at, field, pack_kv_size(kv));
    at = pack_bytes(at, PACK_KV_KEY, kv->key);
    at = pack_number(at, PACK_KV_CREATE, (uint64_t)kv->create_revision);
    at = pack_number(at, PACK_KV_MOD, (uint64_t)kv->mod_revision);
    at = pack_number(at, PACK_KV_VERSION, (uint64_t)kv->version);
    at = pack_bytes(at, PACK_KV_VALUE, kv->value);
    return pack_number(at, PACK_KV_LEASE, (uint64_t)kv->lease);
}

static uint8_t *pack_range(uint8_t *at, const struct store_range_result *range) {
    for (size_t i = 0; i < range->kv_count; i++)
        at = pack_kv(at, PACK_RANGE_KVS, &range->kvs[i]);
    at = pack_number(at, PACK_RANGE_MORE, range->more);
    return pack_number(at, PACK_RANGE_COUNT, (uint64_t)range->count);
}

static uint8_t *pack_put(uint8_t *at, const struct store_put_result *put) {
    return put->prev_kv ? pack_kv(at, PACK_PUT_PREVIOUS, put->prev_kv) : at;
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
    uint8_t *at = pack_header(buf->data + GRPC_PREFIX_SIZE, header);
    at = range ? pack_range(at, &op->range) : pack_put(at, &op->put);
    LASH_ASSERT(at == buf->data + buf->size);
    return buf;
}
