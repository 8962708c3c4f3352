/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster's members, for the verbs that need them.
 */
#ifndef LASH_LASHCTL_MEMBER_H
#define LASH_LASHCTL_MEMBER_H

#include "lashctl/ctl.h"
#include "rpc.pb-c.h"

/* Ask for the members; with `linearizable`, a majority must agree. To be freed with grpc_message_free; NULL with the
 * reason in `status`. */
Etcdserverpb__MemberListResponse *member_fetch(const struct ctl *ctl, bool linearizable, struct grpc_status *status);

#endif
