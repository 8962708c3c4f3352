/* SPDX-License-Identifier: Apache-2.0
 *
 * What the methods of all services share: the header of an answer.
 */
#ifndef LASH_API_ANSWER_H
#define LASH_API_ANSWER_H

#include "api/call.h"
#include "api/convert.h"

/* The header of this call's answer, with the term now and `revision`. On the loop's thread. */
struct convert_header answer_header(struct call *call, int64_t revision);

/* Encode `answer` and finish the call; NULL: memory ran out. */
void answer_with(struct call *call, const ProtobufCMessage *answer);

#endif
