/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the calls of each method, by how they ended. The loop's thread counts, any
 * thread reads.
 */
#ifndef LASH_API_TALLY_H
#define LASH_API_TALLY_H

#include "base/grpc_code.h"
#include "base/metric.h"

enum { TALLY_METHODS_MAX = 64 };

struct tally_method {
    _Atomic uint64_t started;
    _Atomic uint64_t handled[GRPC_CODES];
};

/* Reads that are not serializable. */
struct tally_reads {
    _Atomic uint64_t made;
    _Atomic uint64_t ended;
    _Atomic uint64_t failed;   /* of those: with an error */
    _Atomic uint64_t by_lease; /* of those made: asked for as LASH_READ_LEASE, */
    _Atomic uint64_t stale;    /* and as LASH_READ_STALE */
};

struct tally {
    struct tally_method methods[TALLY_METHODS_MAX]; /* by methods_number */
    struct tally_reads reads;
    _Atomic uint64_t received_bytes; /* of request messages */
    _Atomic uint64_t sent_bytes;     /* of answers */
};

#endif
