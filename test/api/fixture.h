/* SPDX-License-Identifier: Apache-2.0
 *
 * A server on the loopback, with a real store and the double of a node behind it.
 */
#ifndef LASH_TEST_API_FIXTURE_H
#define LASH_TEST_API_FIXTURE_H

#include "api/server.h"
#include "double.h"
#include "peer.h"
#include "rpc.pb-c.h"

enum { FIXTURE_CLUSTER = 0x22 };

struct fixture {
    char dir[64];
    struct store *store;
    lash_node *node;
    struct server *server;
    uint16_t port;
    struct peer peer; /* a client that is connected */
};

/* For cmocka. `fixture_options` is what the next setup takes beyond the usual. */
extern struct server_options fixture_options;
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Begin and end by hand. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* Put a key through the fixture's client, and expect that to work. */
void fixture_put(struct peer *peer, const char *key, const char *value);

/* The members, as linearizable as it gets; to be freed. */
Etcdserverpb__MemberListResponse *fixture_list(struct fixture *fixture);

/* Wait until the server has published this member's client URLs, which it does by itself. */
void fixture_await_published(struct fixture *fixture);

/* A value of `size` bytes; to be freed. */
char *fixture_value(size_t size);

/* GET `path` over HTTP/1.1: the status line, and a body that ends so. */
void fixture_get(uint16_t port, const char *path, const char *status, const char *body);

#endif
