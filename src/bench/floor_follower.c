/* SPDX-License-Identifier: Apache-2.0
 *
 * A follower: one thread that reads, writes, syncs and answers. While it syncs, the
 * socket's buffer gathers what comes next.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "bench/floor.h"

struct follower {
    int connection;
    uint8_t *data;
    size_t size;       /* bytes in `data` */
    size_t whole;      /* of them, those of whole batches */
    uint64_t received; /* bytes written to disk before */
};

/* How far whole batches reach; each begins with its length. */
static void follower_measure(struct follower *follower) {
    while (follower->size - follower->whole >= FLOOR_BATCH_HEAD) {
        uint64_t batch = le64_get(follower->data + follower->whole);
        if (batch > follower->size - follower->whole)
            break;
        follower->whole += (size_t)batch;
    }
}

/* Read what is there; wait until that is one batch at least. False when the leader is gone. */
static bool follower_read(struct follower *follower) {
    while (follower->size < FLOOR_BATCH_MAX) {
        ssize_t got = recv(follower->connection, follower->data + follower->size, FLOOR_BATCH_MAX - follower->size,
                           follower->whole ? MSG_DONTWAIT : 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0)
            return false;
        bool partial = (size_t)got < FLOOR_BATCH_MAX - follower->size;
        follower->size += (size_t)got;
        follower_measure(follower);
        if (partial && follower->whole == follower->size)
            return true;
    }
    return true;
}

static bool follower_answer(struct follower *follower) {
    uint8_t answer[8];
    le64_put(answer, follower->received);
    return send(follower->connection, answer, sizeof answer, MSG_NOSIGNAL) == (ssize_t)sizeof answer;
}

bool floor_follow(int listener, struct floor_disk *disk) {
    int one = 1;
    struct follower follower = {.connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
    (void)close(listener);
    if (follower.connection >= 0)
        follower.data = mem_alloc(FLOOR_BATCH_MAX);
    if (!follower.data || setsockopt(follower.connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        !follower_answer(&follower)) {
        (void)fprintf(stderr, "lash-bench: a follower cannot begin\n");
        return false;
    }
    while (follower_read(&follower)) {
        struct iovec part = {follower.data, follower.whole};
        floor_disk_write(disk, &part, 1);
        follower.received += follower.whole;
        if (!follower_answer(&follower))
            break;
        memmove(follower.data, follower.data + follower.whole, follower.size - follower.whole);
        follower.size -= follower.whole;
        follower.whole = 0;
    }
    (void)close(follower.connection);
    mem_free(follower.data);
    return true;
}
