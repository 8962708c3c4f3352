/* SPDX-License-Identifier: Apache-2.0
 *
 * The gRPC client's socket; see grpc_socket.h.
 */
#include "lashctl/grpc_socket.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lashctl/clock.h"

#define DEFAULT_PORT "2379"

/* Copy `size` bytes as a string; false when they do not fit or there are none. */
static bool copy_part(char *to, size_t room, const char *from, size_t size) {
    if (size == 0 || size >= room)
        return false;
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

static bool port_is_valid(const char *port) {
    size_t length = strlen(port);
    return length >= 1 && length <= 5 && strspn(port, "0123456789") == length;
}

const char *grpc_address_parse(const char *endpoint, struct grpc_address *address) {
    const char *scheme = strstr(endpoint, "://");
    if (scheme && strncasecmp(endpoint, "http", 4) == 0 && scheme == endpoint + 4)
        endpoint = scheme + 3;
    else if (scheme)
        return "only http:// endpoints are supported";

    size_t length = strcspn(endpoint, "/");
    if (endpoint[length] == '/' && endpoint[length + 1] != '\0')
        return "an endpoint has no path";
    const char *host_end = endpoint + length;
    const char *port = DEFAULT_PORT;
    size_t port_size = strlen(port);
    const char *host = endpoint;
    if (*host == '[') {
        host++;
        host_end = memchr(host, ']', length - 1);
        if (!host_end)
            return "a bracket is not closed";
    } else {
        const char *colon = memchr(host, ':', length);
        host_end = colon ? colon : host_end;
    }
    const char *behind = host_end + (*host_end == ']');
    if (behind < endpoint + length && *behind == ':') {
        port = behind + 1;
        port_size = (size_t)(endpoint + length - port);
    } else if (behind != endpoint + length) {
        return "expected host:port";
    }
    if (!copy_part(address->host, sizeof address->host, host, (size_t)(host_end - host)))
        return "the host is missing or too long";
    if (!copy_part(address->port, sizeof address->port, port, port_size) || !port_is_valid(address->port))
        return "the port is not a number";
    bool v6 = strchr(address->host, ':') != NULL;
    (void)snprintf(address->authority, sizeof address->authority, v6 ? "[%s]:%s" : "%s:%s", address->host,
                   address->port);
    return NULL;
}

bool grpc_socket_wait(int fd, short events, uint64_t deadline) {
    for (;;) {
        uint64_t left = clock_ms_left(deadline);
        struct pollfd watched = {.fd = fd, .events = events, .revents = 0};
        int ready = poll(&watched, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0)
            return true;
        if (ready == 0 && clock_ms_left(deadline) == 0)
            return false;
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return true; /* the next read or write reports what is wrong */
    }
}

/* One address of the name. Returns the socket or -1 with errno. */
static int connect_one(const struct addrinfo *info, uint64_t deadline) {
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    if (fd < 0)
        return -1;
    int error = 0;
    if (connect(fd, info->ai_addr, info->ai_addrlen) != 0) {
        error = errno;
        if (error == EINPROGRESS && !grpc_socket_wait(fd, POLLOUT, deadline)) {
            error = ETIMEDOUT;
        } else if (error == EINPROGRESS) {
            socklen_t size = sizeof error;
            if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
                error = errno;
        }
    }
    int on = 1;
    if (error == 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        error = errno;
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

int grpc_socket_connect(const struct grpc_address *address, uint64_t deadline, const char **why) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(address->host, address->port, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        errno = 0;
        return -1;
    }
    int fd = -1;
    errno = 0;
    for (const struct addrinfo *info = found; info && fd < 0; info = info->ai_next)
        fd = connect_one(info, deadline);
    int error = errno;
    if (fd < 0)
        *why = strerror(error);
    freeaddrinfo(found);
    errno = error;
    return fd;
}
