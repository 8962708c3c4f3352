/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC bodies: the message comes out the same in whatever pieces its bytes come; what
 * the protobuf decoder takes, it takes again once encoded; and a request that passes the
 * checks becomes a command that survives the log.
 *
 * Input: a byte that chooses the method, one that the sizes of the pieces follow from, the body.
 */
#include "api/grpc.h"
#include "api/convert.h"
#include "api/message.h"
#include "base/buf.h"
#include "fuzz.h"
#include "health.pb-c.h"
#include "lash/error.h"
#include "store/arena.h"

enum { MESSAGE_BYTES_MAX = 1 << 20, OPS_MAX = 128 };

static enum grpc_feed feed(struct grpc_reader *reader, const uint8_t *data, size_t size, uint32_t step) {
    enum grpc_feed result = GRPC_FEED_OK;
    uint32_t pace = step;
    reader->bytes_max = MESSAGE_BYTES_MAX;
    while (size > 0 && result == GRPC_FEED_OK) {
        pace = pace * 1664525 + 1013904223;
        size_t piece = step ? 1 + (pace >> 16) % step : size;
        piece = piece < size ? piece : size;
        result = grpc_reader_feed(reader, data, piece);
        data += piece;
        size -= piece;
    }
    LASH_ASSERT(reader->size <= reader->announced && reader->capacity <= MESSAGE_BYTES_MAX);
    return result;
}

static enum api_error to_op(unsigned method, const ProtobufCMessage *message, struct store_arena *arena,
                            struct store_op *op) {
    enum api_error error = API_OK;
    if (method == 0)
        convert_range((const void *)message, op);
    else if (method == 1)
        convert_put((const void *)message, op);
    else if (method == 2)
        convert_delete_range((const void *)message, op);
    else if (method == 3)
        error = convert_txn((const void *)message, arena, op);
    else
        convert_compaction((const void *)message, op);
    return error;
}

static void check_command(const struct store_op *op) {
    uint8_t *command, *again;
    size_t size, again_size;
    struct store_op decoded;
    struct store_arena *arena;
    LASH_ASSERT(store_encode(op, &command, &size) == LASH_OK);
    LASH_ASSERT(store_decode(command, size, &decoded, &arena) == LASH_OK);
    LASH_ASSERT(store_check(&decoded, OPS_MAX) == STORE_OK);
    LASH_ASSERT(store_encode(&decoded, &again, &again_size) == LASH_OK);
    LASH_ASSERT(again_size == size && memcmp(again, command, size) == 0);
    mem_free(again);
    store_arena_free(arena);
    mem_free(command);
}

static void check_request(unsigned method, const ProtobufCMessage *message) {
    struct store_arena *arena = arena_new();
    LASH_ASSERT(arena);
    struct store_op op = {0};
    enum api_error error = to_op(method, message, arena, &op);
    LASH_ASSERT(error == API_OK || error == API_KEY_NOT_FOUND);
    if (error == API_OK && store_check(&op, OPS_MAX) == STORE_OK && !store_is_read(&op))
        check_command(&op);
    store_arena_free(arena);
}

static void check_message(unsigned method, const uint8_t *data, size_t size) {
    static const ProtobufCMessageDescriptor *const types[] = {
        &etcdserverpb__range_request__descriptor,        &etcdserverpb__put_request__descriptor,
        &etcdserverpb__delete_range_request__descriptor, &etcdserverpb__txn_request__descriptor,
        &etcdserverpb__compaction_request__descriptor,   &grpc__health__v1__health_check_request__descriptor,
    };
    enum { TYPES = sizeof types / sizeof *types, REQUESTS = TYPES - 1 };
    ProtobufCMessage *message, *again;
    method %= TYPES;
    enum api_error error = message_decode(types[method], data, size, NULL, &message);
    LASH_ASSERT(error == API_OK || error == API_BAD_MESSAGE || error == API_TOO_MANY_OPS);
    if (error != API_OK)
        return;
    struct buf *encoded = message_encode(message);
    LASH_ASSERT(encoded && encoded->size >= GRPC_PREFIX_SIZE);
    size_t encoded_size = encoded->size - GRPC_PREFIX_SIZE;
    LASH_ASSERT(message_decode(types[method], encoded->data + GRPC_PREFIX_SIZE, encoded_size, NULL, &again) == API_OK);
    struct buf *twice = message_encode(again);
    LASH_ASSERT(twice && twice->size == encoded->size && memcmp(twice->data, encoded->data, encoded->size) == 0);
    if (method < REQUESTS)
        check_request(method, message);
    buf_unref(encoded);
    buf_unref(twice);
    message_free(message);
    message_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct grpc_reader whole = {0}, pieces = {0};
    enum grpc_feed result = feed(&whole, data + 2, size - 2, 0);
    LASH_ASSERT(feed(&pieces, data + 2, size - 2, data[1] + 1u) == result);
    LASH_ASSERT(result != GRPC_FEED_NO_MEMORY && whole.announced == pieces.announced);
    if (result == GRPC_FEED_OK && grpc_reader_whole(&whole)) {
        LASH_ASSERT(grpc_reader_whole(&pieces) && whole.size == pieces.size);
        LASH_ASSERT(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
        check_message(data[0], whole.data, whole.size);
    }
    grpc_reader_free(&whole);
    grpc_reader_free(&pieces);
    return 0;
}
