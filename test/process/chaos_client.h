/* SPDX-License-Identifier: Apache-2.0
 *
 * One client of the load generator: it keeps a connection to one of the endpoints,
 * goes to the next when that fails, and says of each operation what became of it.
 */
#ifndef LASH_TEST_PROCESS_CHAOS_CLIENT_H
#define LASH_TEST_PROCESS_CHAOS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lashctl/grpc_client.h"
#include "linear/history.h"

#define CHAOS_TEXT_BYTES 64
#define CHAOS_REMEMBERED 16
#define CHAOS_MULTI_KEYS 6

/* An operation, as asked (kind, key, value) and answered. Texts are short and end with a zero. */
struct chaos_op {
    enum history_kind kind;
    char key[CHAOS_TEXT_BYTES];
    char value[CHAOS_TEXT_BYTES]; /* put, cas: to be written */
    bool expected_present;        /* cas: filled by chaos_client_do with what this client saw last */
    char expected[CHAOS_TEXT_BYTES];
    enum history_outcome outcome;
    bool sent;    /* whether a server may have seen it */
    bool swapped; /* cas */
    bool seen_present;
    char seen[CHAOS_TEXT_BYTES]; /* get, and a cas that did not happen */
    int64_t revision;            /* of the write, or the mod revision of what was seen */
    int64_t header;              /* the answer's own revision; 0: unknown */
    uint64_t start, end;
    char problem[256]; /* unless HISTORY_OK */
};

/* What this client saw last of a key. */
struct chaos_memory {
    char key[CHAOS_TEXT_BYTES];
    bool present;
    char value[CHAOS_TEXT_BYTES];
};

struct chaos_client {
    const char *const *endpoints;
    size_t count;
    size_t at; /* the endpoint in use */
    struct grpc_client *connection;
    struct chaos_memory memory[CHAOS_REMEMBERED];
    size_t remembered;
    int64_t multi_mods[CHAOS_MULTI_KEYS]; /* mod revisions that this client saw last, for chaos_multi */
    int64_t multi_revision;               /* of the latest answer there */
};

/* `endpoints` must outlive the client, which begins with the one numbered `first` modulo `count`. */
void chaos_client_init(struct chaos_client *client, const char *const *endpoints, size_t count, size_t first);
void chaos_client_close(struct chaos_client *client);

/* Make one call on the endpoint in use, and go to the next one for the next call when it is of no use. The answer is
 * for grpc_message_free; NULL: *status says why there is none. */
ProtobufCMessage *chaos_client_call(struct chaos_client *client, const char *path, const ProtobufCMessage *request,
                                    const ProtobufCMessageDescriptor *type, uint64_t deadline,
                                    struct grpc_status *status);

/* What became of a request that got no answer; `reads`: it could not change anything. */
enum history_outcome chaos_client_outcome(const struct grpc_status *status, bool reads);

/* Do `op`, linearizably, until `deadline`. */
void chaos_client_do(struct chaos_client *client, struct chaos_op *op, uint64_t deadline);

/* Read `op->key` as it was at `revision`, from what the endpoint itself has (serializable). */
void chaos_client_get_at(struct chaos_client *client, struct chaos_op *op, int64_t revision, uint64_t deadline);

#endif
