/* SPDX-License-Identifier: Apache-2.0
 *
 * Protobuf messages from and to bytes, with Lash's allocator and with bounds
 * that protobuf-c does not have itself.
 */
#ifndef LASH_API_MESSAGE_H
#define LASH_API_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "api/errors.h"
#include "base/buf.h"
#include "store/arena.h"

/* Messages may nest this deep (two levels for each nested Txn): the decoder is recursive. Deeper than any
 * --max-txn-ops in use allows; beyond it the answer is API_TOO_MANY_OPS. */
enum { MESSAGE_DEPTH_MAX = 300 };

/* Decode `size` bytes; trusts nothing. On API_OK *message lives as long as `arena`; without one (NULL) it is the caller's, for message_free.
 * Errors: API_BAD_MESSAGE, API_TOO_MANY_OPS, API_NO_MEMORY. */
enum api_error message_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                              struct store_arena *arena, ProtobufCMessage **message);
void message_free(ProtobufCMessage *message);

/* Encode into a new buffer (one reference, the caller's): the gRPC prefix and the message. NULL when memory ran out or
 * the message is beyond what a prefix can say. */
struct buf *message_encode(const ProtobufCMessage *message);

#endif
