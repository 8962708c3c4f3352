/* SPDX-License-Identifier: Apache-2.0
 *
 * A small table of what was logged lately.
 */
#include "transport/notice.h"

#include <stddef.h>

#include "base/assert.h"
#include "transport/packet.h"

struct notice_refusal {
    const char *text;
    const char *advice;
};

static const struct notice_refusal notice_refusals[] = {
    [PACKET_ACCEPTED] = {"none", "none"},
    [PACKET_OTHER_CLUSTER] = {"it belongs to another cluster",
                              "check the peer addresses, and that all members have the same cluster token"},
    [PACKET_OTHER_NODE] = {"another node was meant",
                           "check the peer's address, and that all members have the same member list"},
    [PACKET_NO_COMMON_VERSION] = {"no protocol version in common", "upgrade the older of the two nodes"},
    [PACKET_UNKNOWN_PEER] = {"it is not a member", "add it to the member list of the refusing node, or stop it"},
    [PACKET_OTHER_DISK] = {"its data is not what this member had",
                           "it lost its data: remove this member from the cluster, and add it as a new one"},
};

static const struct notice_refusal notice_refusal_newer = {"a reason that this version does not know",
                                                           "see the log of the refusing node"};

static const struct notice_refusal *notice_refusal(uint16_t status) {
    bool known = status < sizeof notice_refusals / sizeof notice_refusals[0];
    return known ? &notice_refusals[status] : &notice_refusal_newer;
}

const char *notice_refusal_text(uint16_t status) {
    return notice_refusal(status)->text;
}

const char *notice_refusal_advice(uint16_t status) {
    return notice_refusal(status)->advice;
}

bool notice_due(struct notices *notices, uint32_t kind, uint64_t peer, uint64_t now_ms) {
    LASH_ASSERT(kind != 0);
    size_t free_slot = NOTICE_SLOTS;
    for (size_t i = 0; i < NOTICE_SLOTS; i++) {
        bool live = notices->slots[i].kind != 0 && notices->slots[i].until_ms > now_ms;
        if (live && notices->slots[i].kind == kind && notices->slots[i].peer == peer)
            return false;
        if (!live)
            free_slot = i;
    }
    if (free_slot == NOTICE_SLOTS)
        return false;
    notices->slots[free_slot].kind = kind;
    notices->slots[free_slot].peer = peer;
    notices->slots[free_slot].until_ms = now_ms + NOTICE_INTERVAL_MS;
    return true;
}
