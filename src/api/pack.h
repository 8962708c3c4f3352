/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers that are asked for most, packed straight from the store's results: the same
 * bytes as convert_answer and message_encode make, for an eighth of the work.
 *
 * Threads: pure.
 */
#ifndef LASH_API_PACK_H
#define LASH_API_PACK_H

#include "api/convert.h"
#include "base/buf.h"

/* Whether pack_answer knows results of this type. */
bool pack_knows(enum store_op_type type);

/* The gRPC prefix and the answer made of `result`, whose error is STORE_OK, in a new buffer (one reference, the caller's). NULL when memory
 * ran out or the message is beyond what a prefix can say. */
struct buf *pack_answer(const struct store_result *result, const struct convert_header *header);

#endif
