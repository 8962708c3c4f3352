/* SPDX-License-Identifier: Apache-2.0
 *
 * What the methods of all services share.
 */
#include "api/answer.h"

struct convert_header answer_header(struct call *call, int64_t revision) {
    return (struct convert_header){
        .cluster_id = call->loop->options->cluster_id,
        .member_id = call->loop->options->member_id,
        .revision = revision,
        .term = loop_term(call->loop),
    };
}

void answer_with(struct call *call, const ProtobufCMessage *answer) {
    if (answer)
        call_encode(call, answer);
    else
        call_record(call, API_NO_MEMORY);
    call_finish(call);
}
