/* SPDX-License-Identifier: Apache-2.0
 *
 * The gRPC health service: Check. As etcd does, a member without a leader still
 * counts as serving: it answers serializable reads, and the rest with errors that
 * send clients elsewhere.
 */
#include "api/answer.h"
#include "api/methods.h"
#include "health.pb-c.h"

void health_check(struct call *call) {
    struct lash_status status;
    if (((const Grpc__Health__V1__HealthCheckRequest *)call->message)->service[0] != '\0') {
        call_fail(call, API_UNKNOWN_SERVICE);
        return;
    }
    bool serving = !call->loop->draining && call_status(call, &status) && status.error == 0;
    Grpc__Health__V1__HealthCheckResponse answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    answer.status = serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                            : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    answer_with(call, &answer.base);
}
