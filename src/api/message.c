/* SPDX-License-Identifier: Apache-2.0
 *
 * Protobuf messages from and to bytes: see message.h.
 */
#include "api/message.h"

#include "api/grpc.h"
#include "base/assert.h"
#include "base/bytes.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* Walk the bytes as protobuf-c would, but with a bound on the depth. */
static enum api_error message_check(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                                    unsigned depth_left) {
    struct reader reader = reader_make(data, size);
    while (reader_left(&reader) > 0) {
        uint64_t tag = read_varint(&reader);
        unsigned wire = tag & 7;
        if (wire == WIRE_VARINT) {
            read_varint(&reader);
        } else if (wire == WIRE_64 || wire == WIRE_32) {
            read_bytes(&reader, wire == WIRE_64 ? 8 : 4);
        } else if (wire == WIRE_BYTES) {
            size_t length = (size_t)read_varint(&reader);
            const uint8_t *bytes = read_bytes(&reader, length);
            const ProtobufCFieldDescriptor *field =
                tag >> 3 > UINT32_MAX ? NULL : protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
            if (bytes && field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
                if (depth_left == 0)
                    return API_TOO_MANY_OPS;
                enum api_error error = message_check(field->descriptor, bytes, length, depth_left - 1);
                if (error)
                    return error;
            }
        } else {
            return API_BAD_MESSAGE;
        }
        if (reader.failed)
            return API_BAD_MESSAGE;
    }
    return API_OK;
}

/* What protobuf-c's allocator is told. */
struct message_memory {
    struct store_arena *arena; /* NULL: none */
    bool exhausted;            /* memory ran out, which the decoder does not tell from bad bytes */
};

static void *message_alloc(void *data, size_t size) {
    struct message_memory *memory = data;
    size_t some = size ? size : 1;
    void *block = memory->arena ? arena_alloc(memory->arena, some, 1) : mem_alloc(some);
    if (!block)
        memory->exhausted = true;
    return block;
}

static void message_release(void *data, void *block) {
    const struct message_memory *memory = data;
    if (!memory->arena)
        mem_free(block);
}

enum api_error message_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                              struct store_arena *arena, ProtobufCMessage **message) {
    static const uint8_t nothing[1];
    enum api_error error = message_check(type, data, size, MESSAGE_DEPTH_MAX);
    if (error)
        return error;
    struct message_memory memory = {.arena = arena};
    ProtobufCAllocator allocator = {.alloc = message_alloc, .free = message_release, .allocator_data = &memory};
    *message = protobuf_c_message_unpack(type, &allocator, size, size ? data : nothing);
    if (*message)
        return API_OK;
    return memory.exhausted ? API_NO_MEMORY : API_BAD_MESSAGE;
}

void message_free(ProtobufCMessage *message) {
    struct message_memory memory = {.arena = NULL};
    ProtobufCAllocator allocator = {.alloc = message_alloc, .free = message_release, .allocator_data = &memory};
    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}

struct buf *message_encode(const ProtobufCMessage *message) {
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > UINT32_MAX)
        return NULL;
    struct buf *buf = buf_new(GRPC_PREFIX_SIZE + size);
    if (!buf)
        return NULL;
    grpc_prefix(buf->data, (uint32_t)size);
    size_t packed = protobuf_c_message_pack(message, buf->data + GRPC_PREFIX_SIZE);
    LASH_ASSERT(packed == size);
    buf->size = GRPC_PREFIX_SIZE + size;
    return buf;
}
