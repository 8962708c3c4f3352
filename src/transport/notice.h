/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps trouble that repeats from flooding the log: a peer that is down or
 * refused for an hour is worth a line now and then, not a thousand.
 */
#ifndef LASH_TRANSPORT_NOTICE_H
#define LASH_TRANSPORT_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

/* Kinds of trouble. A refusal's kind is NOTICE_REFUSED + its status. */
enum notice_kind {
    NOTICE_UNREACHABLE = 1, /* no connection could be made */
    NOTICE_HANDSHAKE = 2,   /* the handshake broke off, was late or was garbage */
    NOTICE_BROKEN = 3,      /* an established connection broke */
    NOTICE_BAD_PACKET = 4,
    NOTICE_ACCEPT = 5,
    NOTICE_MEMORY = 6,
    NOTICE_REFUSED = 0x100,    /* by us */
    NOTICE_REFUSED_US = 0x200, /* by a peer */
};

#define NOTICE_SLOTS 64
#define NOTICE_INTERVAL_MS 5000

/* What was logged last. Flat: whoever makes up new node ids only uses up the slots, and then is silent. */
struct notices {
    struct {
        uint32_t kind; /* enum notice_kind; 0: free */
        uint64_t peer; /* 0: unknown */
        uint64_t until_ms;
    } slots[NOTICE_SLOTS];
};

/* Whether this kind of trouble with this peer should be logged now; if so, it is not due again for some seconds. */
bool notice_due(struct notices *notices, uint32_t kind, uint64_t peer, uint64_t now_ms);

/* What a refused handshake (enum packet_status, or a newer one) is about, and what an operator does about it. */
const char *notice_refusal_text(uint16_t status);
const char *notice_refusal_advice(uint16_t status);

#endif
