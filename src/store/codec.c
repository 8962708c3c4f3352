/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands as bytes in the log. Little-endian; `bytes` is a 32-bit size and that many bytes:
 *
 *   command     version u8 = 1 | op
 *   op          type u8 (enum store_op_type) | body
 *   range       key bytes | range_end bytes | limit i64 | revision i64 | order u8 | target u8 | flags u8
 *               | min_mod i64 | max_mod i64 | min_create i64 | max_create i64
 *   put         key bytes | value bytes | lease i64 | flags u8
 *   delete      key bytes | range_end bytes | flags u8
 *   txn         compares u32 | success u32 | failure u32 | the compares | the ops of success | the ops of failure
 *   compare     result u8 | target u8 | key bytes | range_end bytes | number i64 | value bytes
 *   compaction  revision i64 | flags u8
 *   member      id i64 | name bytes | URLs u32 | the URLs, bytes each
 *
 * A number, flag or version that is not known here was written by a newer version. The
 * log is never rewritten, so the version and every number stay what they are for good.
 */
#include "store/codec.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "store/arena.h"

enum { CODEC_VERSION = 1 };

enum codec_flags {
    CODEC_KEYS_ONLY = 1, /* range */
    CODEC_COUNT_ONLY = 2,
    CODEC_PREV_KV = 1, /* put, delete */
    CODEC_IGNORE_VALUE = 2,
    CODEC_IGNORE_LEASE = 4,
    CODEC_PHYSICAL = 1, /* compaction */
};

/* The least that a compare, an op and a byte string take. All counts together cannot claim more than the command's bytes, so that a wrong one
 * cannot ask for more memory than a multiple of the command's size. */
enum { CODEC_COMPARE_MIN = 2 + 4 + 4 + 8 + 4, CODEC_OP_MIN = 1 + 4 + 4 + 1, CODEC_BYTES_MIN = 4 };

/* ---- Encoding ------------------------------------------------------------------------------------ */

/* Bytes written; without room it only counts them. */
struct encoder {
    struct writer writer;
    bool counting;
    size_t size;
};

static void encode_u8(struct encoder *encoder, uint8_t value) {
    encoder->size += 1;
    if (!encoder->counting)
        write_u8(&encoder->writer, value);
}

static void encode_u32(struct encoder *encoder, size_t value) {
    LASH_ASSERT(value <= UINT32_MAX);
    encoder->size += 4;
    if (!encoder->counting)
        write_u32(&encoder->writer, (uint32_t)value);
}

static void encode_i64(struct encoder *encoder, int64_t value) {
    encoder->size += 8;
    if (!encoder->counting)
        write_u64(&encoder->writer, (uint64_t)value);
}

static void encode_bytes(struct encoder *encoder, struct store_bytes bytes) {
    encode_u32(encoder, bytes.size);
    encoder->size += bytes.size;
    if (!encoder->counting)
        write_bytes(&encoder->writer, bytes.data, bytes.size);
}

static void encode_range(struct encoder *encoder, const struct store_range *range) {
    encode_bytes(encoder, range->key);
    encode_bytes(encoder, range->range_end);
    encode_i64(encoder, range->limit);
    encode_i64(encoder, range->revision);
    encode_u8(encoder, (uint8_t)range->sort_order);
    encode_u8(encoder, (uint8_t)range->sort_target);
    encode_u8(encoder,
              (uint8_t)((range->keys_only ? CODEC_KEYS_ONLY : 0) | (range->count_only ? CODEC_COUNT_ONLY : 0)));
    encode_i64(encoder, range->min_mod_revision);
    encode_i64(encoder, range->max_mod_revision);
    encode_i64(encoder, range->min_create_revision);
    encode_i64(encoder, range->max_create_revision);
}

static void encode_put(struct encoder *encoder, const struct store_put *put) {
    encode_bytes(encoder, put->key);
    encode_bytes(encoder, put->value);
    encode_i64(encoder, put->lease);
    encode_u8(encoder, (uint8_t)((put->prev_kv ? CODEC_PREV_KV : 0) | (put->ignore_value ? CODEC_IGNORE_VALUE : 0) |
                                 (put->ignore_lease ? CODEC_IGNORE_LEASE : 0)));
}

static void encode_op(struct encoder *encoder, const struct store_op *op);

static void encode_txn(struct encoder *encoder, const struct store_txn *txn) {
    encode_u32(encoder, txn->compare_count);
    encode_u32(encoder, txn->success_count);
    encode_u32(encoder, txn->failure_count);
    for (size_t i = 0; i < txn->compare_count; i++) {
        const struct store_compare *compare = &txn->compares[i];
        encode_u8(encoder, (uint8_t)compare->result);
        encode_u8(encoder, (uint8_t)compare->target);
        encode_bytes(encoder, compare->key);
        encode_bytes(encoder, compare->range_end);
        encode_i64(encoder, compare->number);
        encode_bytes(encoder, compare->value);
    }
    for (size_t i = 0; i < txn->success_count; i++)
        encode_op(encoder, &txn->success[i]);
    for (size_t i = 0; i < txn->failure_count; i++)
        encode_op(encoder, &txn->failure[i]);
}

static void encode_member(struct encoder *encoder, const struct store_member *member) {
    encode_i64(encoder, (int64_t)member->id);
    encode_bytes(encoder, member->name);
    encode_u32(encoder, member->client_url_count);
    for (size_t i = 0; i < member->client_url_count; i++)
        encode_bytes(encoder, member->client_urls[i]);
}

static void encode_op(struct encoder *encoder, const struct store_op *op) {
    encode_u8(encoder, (uint8_t)op->type);
    switch (op->type) {
    case STORE_RANGE:
        encode_range(encoder, &op->range);
        break;
    case STORE_PUT:
        encode_put(encoder, &op->put);
        break;
    case STORE_DELETE:
        encode_bytes(encoder, op->delete_range.key);
        encode_bytes(encoder, op->delete_range.range_end);
        encode_u8(encoder, op->delete_range.prev_kv ? CODEC_PREV_KV : 0);
        break;
    case STORE_TXN:
        encode_txn(encoder, &op->txn);
        break;
    case STORE_COMPACT:
        encode_i64(encoder, op->compaction.revision);
        encode_u8(encoder, op->compaction.physical ? CODEC_PHYSICAL : 0);
        break;
    case STORE_MEMBER:
        encode_member(encoder, &op->member);
        break;
    case STORE_RAISE:
        encode_u32(encoder, op->raise.version);
        break;
    }
}

int store_encode(const struct store_op *op, uint8_t **command, size_t *size) {
    LASH_ASSERT(op->type != STORE_RANGE); /* a read is not for the log */
    struct encoder encoder = {.counting = true, .size = 1};
    encode_op(&encoder, op);
    uint8_t *bytes = mem_alloc(encoder.size);
    if (!bytes)
        return LASH_NOMEM;
    *size = encoder.size;
    encoder = (struct encoder){.writer = writer_make(bytes, *size)};
    encode_u8(&encoder, CODEC_VERSION);
    encode_op(&encoder, op);
    LASH_ASSERT(!encoder.writer.failed && encoder.size == *size);
    *command = bytes;
    return LASH_OK;
}

/* ---- Decoding ------------------------------------------------------------------------------------ */

struct decoder {
    struct reader reader;
    struct store_arena *arena;
    size_t unclaimed; /* bytes of the command that no count has claimed yet */
};

static struct store_bytes decode_bytes(struct decoder *decoder) {
    struct store_bytes bytes = {.size = read_u32(&decoder->reader)};
    bytes.data = read_bytes(&decoder->reader, bytes.size);
    if (!bytes.data)
        bytes.size = 0;
    return bytes;
}

static int64_t decode_i64(struct decoder *decoder) {
    return (int64_t)read_u64(&decoder->reader);
}

/* One of 0..max. */
static int decode_number(struct decoder *decoder, int max, int *error) {
    int number = read_u8(&decoder->reader);
    if (number > max)
        *error = LASH_VERSION;
    return number > max ? 0 : number;
}

static int decode_range(struct decoder *decoder, struct store_range *range) {
    int error = LASH_OK;
    range->key = decode_bytes(decoder);
    range->range_end = decode_bytes(decoder);
    range->limit = decode_i64(decoder);
    range->revision = decode_i64(decoder);
    range->sort_order = decode_number(decoder, STORE_SORT_DESCEND, &error);
    range->sort_target = decode_number(decoder, STORE_SORT_VALUE, &error);
    int flags = decode_number(decoder, CODEC_KEYS_ONLY | CODEC_COUNT_ONLY, &error);
    range->keys_only = flags & CODEC_KEYS_ONLY;
    range->count_only = flags & CODEC_COUNT_ONLY;
    range->min_mod_revision = decode_i64(decoder);
    range->max_mod_revision = decode_i64(decoder);
    range->min_create_revision = decode_i64(decoder);
    range->max_create_revision = decode_i64(decoder);
    return error;
}

static int decode_put(struct decoder *decoder, struct store_put *put) {
    int error = LASH_OK;
    put->key = decode_bytes(decoder);
    put->value = decode_bytes(decoder);
    put->lease = decode_i64(decoder);
    int flags = decode_number(decoder, CODEC_PREV_KV | CODEC_IGNORE_VALUE | CODEC_IGNORE_LEASE, &error);
    put->prev_kv = flags & CODEC_PREV_KV;
    put->ignore_value = flags & CODEC_IGNORE_VALUE;
    put->ignore_lease = flags & CODEC_IGNORE_LEASE;
    return error;
}

static int decode_delete(struct decoder *decoder, struct store_delete *request) {
    int error = LASH_OK;
    request->key = decode_bytes(decoder);
    request->range_end = decode_bytes(decoder);
    request->prev_kv = decode_number(decoder, CODEC_PREV_KV, &error);
    return error;
}

static int decode_compaction(struct decoder *decoder, struct store_compaction *compaction) {
    int error = LASH_OK;
    compaction->revision = decode_i64(decoder);
    compaction->physical = decode_number(decoder, CODEC_PHYSICAL, &error);
    return error;
}

/* Room for `count` elements that take `least` bytes each of the command; NULL and an error otherwise. */
static void *decode_room(struct decoder *decoder, size_t count, size_t least, size_t size, int *error) {
    if (*error)
        return NULL;
    if (count > decoder->unclaimed / least) {
        *error = LASH_CORRUPT;
        return NULL;
    }
    decoder->unclaimed -= count * least;
    void *room = arena_calloc(decoder->arena, count, size);
    if (!room)
        *error = LASH_NOMEM;
    return room;
}

static int decode_compares(struct decoder *decoder, struct store_compare *compares, size_t count) {
    int error = LASH_OK;
    for (size_t i = 0; i < count && !error && !decoder->reader.failed; i++) {
        compares[i].result = decode_number(decoder, STORE_NOT_EQUAL, &error);
        compares[i].target = decode_number(decoder, STORE_COMPARE_LEASE, &error);
        compares[i].key = decode_bytes(decoder);
        compares[i].range_end = decode_bytes(decoder);
        compares[i].number = decode_i64(decoder);
        compares[i].value = decode_bytes(decoder);
    }
    return error;
}

static int decode_op(struct decoder *decoder, unsigned depth, struct store_op *op);

static int decode_ops(struct decoder *decoder, unsigned depth, struct store_op *ops, size_t count) {
    int error = LASH_OK;
    for (size_t i = 0; i < count && !error && !decoder->reader.failed; i++)
        error = decode_op(decoder, depth, &ops[i]);
    return error;
}

static int decode_txn(struct decoder *decoder, unsigned depth, struct store_txn *txn) {
    if (depth > CODEC_DEPTH_MAX)
        return LASH_CORRUPT;
    int error = LASH_OK;
    txn->compare_count = read_u32(&decoder->reader);
    txn->success_count = read_u32(&decoder->reader);
    txn->failure_count = read_u32(&decoder->reader);
    struct store_compare *compares =
        decode_room(decoder, txn->compare_count, CODEC_COMPARE_MIN, sizeof *compares, &error);
    struct store_op *success = decode_room(decoder, txn->success_count, CODEC_OP_MIN, sizeof *success, &error);
    struct store_op *failure = decode_room(decoder, txn->failure_count, CODEC_OP_MIN, sizeof *failure, &error);
    txn->compares = compares;
    txn->success = success;
    txn->failure = failure;
    if (!error)
        error = decode_compares(decoder, compares, txn->compare_count);
    if (!error)
        error = decode_ops(decoder, depth, success, txn->success_count);
    return error ? error : decode_ops(decoder, depth, failure, txn->failure_count);
}

static int decode_member(struct decoder *decoder, struct store_member *member) {
    int error = LASH_OK;
    member->id = (uint64_t)decode_i64(decoder);
    member->name = decode_bytes(decoder);
    member->client_url_count = read_u32(&decoder->reader);
    struct store_bytes *urls = decode_room(decoder, member->client_url_count, CODEC_BYTES_MIN, sizeof *urls, &error);
    for (size_t i = 0; i < member->client_url_count && !error; i++)
        urls[i] = decode_bytes(decoder);
    member->client_urls = urls;
    return error;
}

/* The command itself is at depth 0. A compaction, a member's and a raise are no part of a transaction, a range no command. */
static int decode_op(struct decoder *decoder, unsigned depth, struct store_op *op) {
    uint8_t type = read_u8(&decoder->reader);
    op->type = (enum store_op_type)type;
    switch (type) {
    case STORE_RANGE:
        return depth > 0 ? decode_range(decoder, &op->range) : LASH_VERSION;
    case STORE_PUT:
        return decode_put(decoder, &op->put);
    case STORE_DELETE:
        return decode_delete(decoder, &op->delete_range);
    case STORE_TXN:
        return decode_txn(decoder, depth + 1, &op->txn);
    case STORE_COMPACT:
        return depth == 0 ? decode_compaction(decoder, &op->compaction) : LASH_VERSION;
    case STORE_MEMBER:
        return depth == 0 ? decode_member(decoder, &op->member) : LASH_VERSION;
    case STORE_RAISE:
        op->raise.version = read_u32(&decoder->reader);
        return depth == 0 && op->raise.version <= STORE_VERSION_NEWEST ? LASH_OK : LASH_VERSION;
    default:
        return LASH_VERSION;
    }
}

int store_decode(const uint8_t *command, size_t size, struct store_op *op, struct store_arena **arena) {
    *op = (struct store_op){0};
    *arena = NULL;
    struct decoder decoder = {.reader = reader_make(command, size), .arena = arena_new(), .unclaimed = size};
    if (!decoder.arena)
        return LASH_NOMEM;
    int error = LASH_OK;
    uint8_t version = read_u8(&decoder.reader);
    if (version > CODEC_VERSION)
        error = LASH_VERSION;
    else if (version == 0)
        error = LASH_CORRUPT;
    if (!error)
        error = decode_op(&decoder, 0, op);
    /* What was read past the end are zeros: that they made no sense is not the fault. */
    if (error != LASH_NOMEM && (decoder.reader.failed || (!error && reader_left(&decoder.reader) > 0)))
        error = LASH_CORRUPT;
    if (error) {
        store_arena_free(decoder.arena);
        *op = (struct store_op){0};
        return error;
    }
    *arena = decoder.arena;
    return LASH_OK;
}
