/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/2 headers as gRPC uses them; shared by the client and the load generator.
 */
#ifndef LASH_LASHCTL_GRPC_HEADER_H
#define LASH_LASHCTL_GRPC_HEADER_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GRPC_PREFIX_BYTES = 5 /* of a message: compressed flag and a big-endian length */ };

/* A header of two texts, to which it points. */
nghttp2_nv grpc_header(const char *name, const char *value);

/* Whether a received name is `expected`. */
bool grpc_header_is(const uint8_t *name, size_t size, const char *expected);

/* A received status code; GRPC_UNKNOWN for what is none. */
int grpc_header_number(const uint8_t *digits, size_t size);

/* A received grpc-message, percent-decoded into `room` bytes with a zero at the end; what is malformed stays as it is. */
void grpc_header_text(const uint8_t *from, size_t size, char *to, size_t room);

/* Write the prefix of a message of `size` bytes. */
void grpc_prefix_put(uint8_t to[GRPC_PREFIX_BYTES], size_t size);

#endif
