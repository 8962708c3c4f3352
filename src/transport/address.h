/* SPDX-License-Identifier: Apache-2.0
 *
 * Socket addresses: from numbers, to text for operators, and the options that every peer connection gets.
 */
#ifndef LASH_TRANSPORT_ADDRESS_H
#define LASH_TRANSPORT_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define ADDRESS_TEXT_MAX 80

/* Whether `host` is a numeric IPv4 or IPv6 address, which is then in `address` with `port`. */
bool address_from_numbers(const char *host, uint16_t port, struct sockaddr_storage *address);

/* Copy an IPv4 or IPv6 address of any length into `address`, with `port`. */
void address_copy(const struct sockaddr *from, uint16_t port, struct sockaddr_storage *address);

/* The size that the socket calls want. */
socklen_t address_size(const struct sockaddr_storage *address);

uint16_t address_port(const struct sockaddr_storage *address);

/* "127.0.0.1:2380", "[::1]:2380". */
void address_to_text(const struct sockaddr_storage *address, char text[ADDRESS_TEXT_MAX]);

/* The same for the far end of a connected socket; "unknown" when it is gone already. */
void address_of_peer(const uv_tcp_t *tcp, char text[ADDRESS_TEXT_MAX]);

/* Where the far end of a connected socket listens, if that is at `port`; false when it is gone already. `host` gets its number. */
bool address_behind(const uv_tcp_t *tcp, uint16_t port, struct sockaddr_storage *address, char host[ADDRESS_TEXT_MAX]);

/* Send without delay, and let the kernel give up a connection whose far end is silent for `stall_ms`. Best effort. */
void address_tune(uv_tcp_t *tcp, uint64_t stall_ms);

#endif
