/* SPDX-License-Identifier: Apache-2.0
 *
 * Socket addresses and socket options.
 */
#include "transport/address.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"

#define ADDRESS_KEEPALIVE_S 10

bool address_from_numbers(const char *host, uint16_t port, struct sockaddr_storage *address) {
    memset(address, 0, sizeof *address);
    return uv_ip4_addr(host, port, (struct sockaddr_in *)address) == 0 ||
           uv_ip6_addr(host, port, (struct sockaddr_in6 *)address) == 0;
}

socklen_t address_size(const struct sockaddr_storage *address) {
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

uint16_t address_port(const struct sockaddr_storage *address) {
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

void address_copy(const struct sockaddr *from, uint16_t port, struct sockaddr_storage *address) {
    LASH_ASSERT(from->sa_family == AF_INET || from->sa_family == AF_INET6);
    memset(address, 0, sizeof *address);
    address->ss_family = from->sa_family;
    memcpy(address, from, address_size(address));
    if (from->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

void address_to_text(const struct sockaddr_storage *address, char text[ADDRESS_TEXT_MAX]) {
    char host[INET6_ADDRSTRLEN] = "unknown";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        (void)uv_ip6_name(in6, host, sizeof host);
        (void)snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        (void)uv_ip4_name(in, host, sizeof host);
        (void)snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(in->sin_port));
    }
}

void address_of_peer(const uv_tcp_t *tcp, char text[ADDRESS_TEXT_MAX]) {
    struct sockaddr_storage address = {0};
    int size = sizeof address;
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &size) == 0)
        address_to_text(&address, text);
    else
        (void)snprintf(text, ADDRESS_TEXT_MAX, "unknown");
}

bool address_behind(const uv_tcp_t *tcp, uint16_t port, struct sockaddr_storage *address, char host[ADDRESS_TEXT_MAX]) {
    struct sockaddr_storage found = {0};
    int size = sizeof found;
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&found, &size) != 0)
        return false;
    memset(address, 0, sizeof *address);
    address_copy((const struct sockaddr *)&found, port, address);
    if (address->ss_family == AF_INET6)
        return uv_ip6_name((const struct sockaddr_in6 *)address, host, ADDRESS_TEXT_MAX) == 0;
    return uv_ip4_name((const struct sockaddr_in *)address, host, ADDRESS_TEXT_MAX) == 0;
}

void address_tune(uv_tcp_t *tcp, uint64_t stall_ms) {
    (void)uv_tcp_nodelay(tcp, 1);
    (void)uv_tcp_keepalive(tcp, 1, ADDRESS_KEEPALIVE_S);
#ifdef TCP_USER_TIMEOUT
    /* Without it heartbeats to a host that vanished pile up in the kernel for a quarter of an hour, unnoticed. */
    uv_os_fd_t fd;
    unsigned timeout = stall_ms < INT_MAX ? (unsigned)stall_ms : INT_MAX;
    if (uv_fileno((const uv_handle_t *)tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
#else
    (void)stall_ms;
#endif
}
