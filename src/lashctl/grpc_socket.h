/* SPDX-License-Identifier: Apache-2.0
 *
 * The gRPC client's socket: names resolved, connected with a deadline.
 */
#ifndef LASH_LASHCTL_GRPC_SOCKET_H
#define LASH_LASHCTL_GRPC_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An endpoint taken apart. */
struct grpc_address {
    char host[256];      /* name or address, without brackets */
    char port[8];        /* decimal */
    char authority[272]; /* host:port as the :authority header has it */
};

/* Parse an endpoint. Returns NULL, or what is wrong with it. */
const char *grpc_address_parse(const char *endpoint, struct grpc_address *address);

/* Connect; returns a non-blocking socket, or -1 with the reason in *why (static storage, or of strerror/gai_strerror) and in errno,
 * which is 0 when the name is not known. */
int grpc_socket_connect(const struct grpc_address *address, uint64_t deadline, const char **why);

/* Wait until the socket is ready for the poll events `events`. False when `deadline` passed first. */
bool grpc_socket_wait(int fd, short events, uint64_t deadline);

#endif
