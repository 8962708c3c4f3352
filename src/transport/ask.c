/* SPDX-License-Identifier: Apache-2.0
 *
 * The asking side of the question for the membership (packet.h), on plain sockets:
 * whoever asks is not part of a cluster yet, and has no loop.
 */
#include "transport/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "lash/error.h"
#include "transport/packet.h"

/* A longer answer is not believed. */
#define ASK_ANSWER_MAX ((uint64_t)1 << 20)

static uint64_t ask_now_ms(void) {
    return uv_hrtime() / 1000000;
}

/* Wait until the socket can be read or written. */
static int ask_wait(int fd, short events, uint64_t deadline_ms) {
    for (;;) {
        uint64_t now_ms = ask_now_ms();
        if (now_ms >= deadline_ms)
            return LASH_TIMEOUT;
        uint64_t left_ms = deadline_ms - now_ms;
        struct pollfd polled = {.fd = fd, .events = events};
        int ready = poll(&polled, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return LASH_NOT_FOUND;
    }
}

static int ask_read(int fd, uint8_t *data, size_t size, uint64_t deadline_ms) {
    while (size > 0) {
        int error = ask_wait(fd, POLLIN, deadline_ms);
        if (error)
            return error;
        ssize_t got = recv(fd, data, size, 0);
        if (got == 0)
            return LASH_NOT_FOUND;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return LASH_NOT_FOUND;
        if (got > 0) {
            data += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

static int ask_connect(const struct addrinfo *address, uint64_t deadline_ms, int *fd) {
    *fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return LASH_NOT_FOUND;
    if (connect(*fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    int error = errno == EINPROGRESS ? ask_wait(*fd, POLLOUT, deadline_ms) : LASH_NOT_FOUND;
    int failed = 0;
    socklen_t size = sizeof failed;
    if (!error && (getsockopt(*fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed != 0))
        error = LASH_NOT_FOUND;
    return error;
}

/* The packet behind an accepting reply. */
static int ask_body(int fd, uint64_t deadline_ms, uint8_t **answer, size_t *size) {
    uint8_t bytes[PACKET_HEADER_SIZE];
    struct packet_header header;
    int error = ask_read(fd, bytes, sizeof bytes, deadline_ms);
    if (!error && (packet_header_decode(bytes, sizeof bytes, ASK_ANSWER_MAX, &header) || header.tail_size > 0))
        error = LASH_CORRUPT;
    if (error)
        return error;
    uint8_t *packet = mem_alloc((size_t)packet_size(&header));
    if (!packet)
        return LASH_NOMEM;
    memcpy(packet, bytes, sizeof bytes);
    error = ask_read(fd, packet + sizeof bytes, (size_t)packet_size(&header) - sizeof bytes, deadline_ms);
    if (!error)
        error = packet_body_check(&header, packet);
    if (error) {
        mem_free(packet);
        return error;
    }
    memmove(packet, packet + sizeof bytes, header.head_size);
    *answer = packet;
    *size = header.head_size;
    return 0;
}

static int ask_over(int fd, uint64_t deadline_ms, uint64_t *cluster_id, uint8_t **answer, size_t *size) {
    const struct packet_hello hello = {.version_min = PACKET_VERSION_MIN, .version_max = PACKET_VERSION_MAX};
    uint8_t bytes[PACKET_HELLO_SIZE];
    packet_hello_encode(&hello, bytes);
    /* The first that the socket is given, and smaller than any send buffer. */
    if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) != (ssize_t)sizeof bytes)
        return LASH_NOT_FOUND;
    uint8_t reply_bytes[PACKET_REPLY_SIZE];
    struct packet_reply reply;
    int error = ask_read(fd, reply_bytes, sizeof reply_bytes, deadline_ms);
    if (!error)
        error = packet_reply_decode(reply_bytes, sizeof reply_bytes, &reply);
    if (!error && reply.status != PACKET_ACCEPTED)
        error = LASH_VERSION; /* it took the question for a member's hello */
    if (error)
        return error;
    *cluster_id = reply.cluster_id;
    return ask_body(fd, deadline_ms, answer, size);
}

int transport_ask(const char *host, uint16_t port, uint64_t timeout_ms, uint64_t *cluster_id, uint8_t **answer,
                  size_t *size) {
    if (!host || !*host || port == 0)
        return LASH_INVALID;
    uint64_t deadline_ms = ask_now_ms() + timeout_ms;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return LASH_NOT_FOUND;
    int error = LASH_NOT_FOUND;
    for (const struct addrinfo *at = found; at && error && error != LASH_NOMEM; at = at->ai_next) {
        int fd;
        error = ask_connect(at, deadline_ms, &fd);
        if (!error)
            error = ask_over(fd, deadline_ms, cluster_id, answer, size);
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    return error;
}
