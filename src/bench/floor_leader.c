/* SPDX-License-Identifier: Apache-2.0
 *
 * The leader: a loop thread with the sockets and the clients, and a log thread that
 * writes and syncs. The stream of batches lies in a ring, from which the log and each
 * follower are served as far as they have come.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "bench/floor.h"
#include "lashctl/clock.h"
#include "lashctl/kv_load.h"

/* Batches of this size let a follower write what has come while the rest is on its way; larger ones make all wait for one
 * another. */
#define LEADER_BATCH_BYTES ((size_t)32 << 10)
#define LEADER_RING_MIN ((uint64_t)32 << 20) /* so far may the slowest stay behind */

/* A follower, seen from the leader. */
struct follower_link {
    int connection;
    uint64_t sent;    /* of the stream */
    uint64_t durable; /* as it has answered */
    uint8_t answer[8];
    size_t answer_size; /* of the answer that is being read */
};

/* An operation, from its client's request to its commit. */
struct leader_operation {
    uint64_t began;
    uint64_t end; /* position in the stream behind it */
};

struct floor_leader {
    struct load *load;
    struct floor_disk *disk;
    uint8_t *value;
    size_t clients;
    size_t value_size;
    size_t entry_size;  /* with its header, a multiple of 8 */
    uint64_t batch_max; /* entries */
    uint64_t counter;   /* the state machine */

    uint8_t *ring;
    uint64_t ring_size;                  /* a power of two */
    uint64_t tail;                       /* the stream's end */
    struct leader_operation *operations; /* a ring, by number */
    uint64_t operation_mask;
    uint64_t proposed; /* operations, by number: begun, */
    uint64_t batched;  /* in the stream, */
    uint64_t committed;

    struct follower_link links[CREW_MAX];
    size_t link_count;
    int wake;              /* eventfd: the log thread or floor_leader_start has news */
    atomic_size_t joining; /* clients that are to begin */
    atomic_bool closing;

    pthread_t loop_thread;
    pthread_t log_thread;
    pthread_mutex_t mutex; /* guards what follows, with `work` */
    pthread_cond_t work;
    uint64_t log_target; /* write up to here */
    bool log_closing;
    _Atomic uint64_t written; /* durable here; the log thread's */
};

/* The parts of the ring that hold the stream's bytes from `from` to `to`. */
static int leader_parts(const struct floor_leader *leader, uint64_t from, uint64_t to, struct iovec parts[2]) {
    uint64_t at = from & (leader->ring_size - 1);
    uint64_t first = leader->ring_size - at < to - from ? leader->ring_size - at : to - from;
    parts[0] = (struct iovec){leader->ring + at, (size_t)first};
    parts[1] = (struct iovec){leader->ring, (size_t)(to - from - first)};
    return parts[1].iov_len ? 2 : 1;
}

static void leader_wake(struct floor_leader *leader) {
    uint64_t one = 1;
    ssize_t written = write(leader->wake, &one, sizeof one);
    LASH_ASSERT(written == sizeof one);
}

/* ---- The log thread ---------------------------------------------------------------------------------- */

static void *leader_log(void *argument) {
    struct floor_leader *leader = argument;
    uint64_t written = 0;
    for (;;) {
        (void)pthread_mutex_lock(&leader->mutex);
        while (leader->log_target == written && !leader->log_closing)
            (void)pthread_cond_wait(&leader->work, &leader->mutex);
        uint64_t target = leader->log_target;
        (void)pthread_mutex_unlock(&leader->mutex);
        if (target == written)
            return NULL;
        if (target - written > FLOOR_FILE_BYTES)
            target = written + FLOOR_FILE_BYTES;
        struct iovec parts[2];
        int count = leader_parts(leader, written, target, parts);
        floor_disk_write(leader->disk, parts, count);
        written = target;
        atomic_store_explicit(&leader->written, written, memory_order_release);
        leader_wake(leader);
    }
}

static void leader_log_submit(struct floor_leader *leader) {
    (void)pthread_mutex_lock(&leader->mutex);
    leader->log_target = leader->tail;
    (void)pthread_cond_signal(&leader->work);
    (void)pthread_mutex_unlock(&leader->mutex);
}

/* ---- The stream -------------------------------------------------------------------------------------- */

static void leader_put(struct floor_leader *leader, const void *data, size_t size) {
    uint64_t at = leader->tail & (leader->ring_size - 1);
    size_t first = leader->ring_size - at < size ? (size_t)(leader->ring_size - at) : size;
    memcpy(leader->ring + at, data, first);
    memcpy(leader->ring, (const uint8_t *)data + first, size - first);
    leader->tail += size;
}

/* Bytes of the ring that all have passed. */
static uint64_t leader_room(const struct floor_leader *leader) {
    uint64_t passed = atomic_load_explicit(&leader->written, memory_order_acquire);
    for (size_t i = 0; i < leader->link_count; i++)
        passed = leader->links[i].sent < passed ? leader->links[i].sent : passed;
    return leader->ring_size - (leader->tail - passed);
}

/* The next operations that wait become a batch. Returns false when there are none, or no room for them. */
static bool leader_batch(struct floor_leader *leader) {
    uint64_t count = leader->proposed - leader->batched;
    count = count < leader->batch_max ? count : leader->batch_max;
    uint64_t size = FLOOR_BATCH_HEAD + count * leader->entry_size;
    if (count == 0 || leader_room(leader) < size)
        return false;
    uint8_t head[FLOOR_BATCH_HEAD] = {0};
    le64_put(head, size);
    leader_put(leader, head, sizeof head);
    for (uint64_t end = leader->batched + count; leader->batched < end;) {
        uint8_t entry[FLOOR_ENTRY_HEAD] = {0};
        le64_put(entry, leader->batched);
        leader_put(leader, entry, sizeof entry);
        leader_put(leader, leader->value, leader->value_size);
        leader->tail += leader->entry_size - sizeof entry - leader->value_size;
        leader->operations[leader->batched++ & leader->operation_mask].end = leader->tail;
    }
    return true;
}

static void leader_propose(struct floor_leader *leader) {
    leader->operations[leader->proposed++ & leader->operation_mask].began = clock_ns();
}

/* ---- Followers --------------------------------------------------------------------------------------- */

static bool link_send(const struct floor_leader *leader, struct follower_link *link) {
    if (link->sent == leader->tail)
        return true;
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    message.msg_iovlen = (size_t)leader_parts(leader, link->sent, leader->tail, parts);
    ssize_t sent = sendmsg(link->connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    link->sent += (uint64_t)sent;
    return true;
}

/* Read the answers that are there; the last one counts. */
static bool link_receive(struct follower_link *link) {
    uint8_t data[4096];
    memcpy(data, link->answer, link->answer_size);
    ssize_t got = recv(link->connection, data + link->answer_size, sizeof data - link->answer_size, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    size_t size = link->answer_size + (size_t)got;
    size_t whole = size / 8 * 8;
    if (whole)
        link->durable = le64_get(data + whole - 8);
    link->answer_size = size - whole;
    memcpy(link->answer, data + whole, link->answer_size);
    return got > 0;
}

/* ---- Commits ----------------------------------------------------------------------------------------- */

/* The position that a majority, this member included, has on disk. */
static uint64_t leader_durable(const struct floor_leader *leader) {
    uint64_t positions[CREW_MAX];
    size_t count = 0;
    for (size_t i = 0; i <= leader->link_count; i++) {
        uint64_t position = i < leader->link_count ? leader->links[i].durable
                                                   : atomic_load_explicit(&leader->written, memory_order_acquire);
        size_t at = count++;
        for (; at > 0 && positions[at - 1] < position; at--)
            positions[at] = positions[at - 1];
        positions[at] = position;
    }
    return positions[count / 2];
}

static void leader_commit(struct floor_leader *leader) {
    uint64_t durable = leader_durable(leader);
    while (leader->committed < leader->batched) {
        const struct leader_operation *operation = &leader->operations[leader->committed & leader->operation_mask];
        if (operation->end > durable)
            break;
        uint64_t began = operation->began;
        leader->committed++;
        leader->counter++;
        if (load_ended(leader->load, began, true))
            leader_propose(leader);
    }
}

static void leader_join(struct floor_leader *leader) {
    for (size_t joining = atomic_exchange(&leader->joining, 0); joining > 0; joining--)
        leader_propose(leader);
}

/* ---- The loop ---------------------------------------------------------------------------------------- */

static void leader_lost(void) {
    (void)fprintf(stderr, "lash-bench: the connection to a follower broke\n");
    _exit(1);
}

static void leader_wait(struct floor_leader *leader) {
    struct pollfd polled[CREW_MAX + 1];
    for (size_t i = 0; i < leader->link_count; i++) {
        bool behind = leader->links[i].sent < leader->tail;
        polled[i] =
            (struct pollfd){.fd = leader->links[i].connection, .events = (short)(behind ? POLLIN | POLLOUT : POLLIN)};
    }
    polled[leader->link_count] = (struct pollfd){.fd = leader->wake, .events = POLLIN};
    if (poll(polled, leader->link_count + 1, -1) < 0)
        return;
    for (size_t i = 0; i < leader->link_count; i++)
        if ((polled[i].revents & ~POLLOUT) && !link_receive(&leader->links[i]))
            leader_lost();
    uint64_t count;
    if (polled[leader->link_count].revents)
        LASH_ASSERT(read(leader->wake, &count, sizeof count) == sizeof count);
}

static void *leader_loop(void *argument) {
    struct floor_leader *leader = argument;
    while (!atomic_load(&leader->closing)) {
        leader_join(leader);
        leader_commit(leader);
        bool more = false;
        while (leader_batch(leader))
            more = true;
        if (more)
            leader_log_submit(leader);
        for (size_t i = 0; i < leader->link_count; i++)
            if (!link_send(leader, &leader->links[i]))
                leader_lost();
        leader_wait(leader);
    }
    return NULL;
}

/* ---- Opening and closing ----------------------------------------------------------------------------- */

static uint64_t power_of_two(uint64_t least) {
    uint64_t power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static void leader_free(struct floor_leader *leader) {
    for (size_t i = 0; i < leader->link_count; i++)
        (void)close(leader->links[i].connection);
    if (leader->wake >= 0)
        (void)close(leader->wake);
    mem_free(leader->ring);
    mem_free(leader->operations);
    mem_free(leader->value);
    mem_free(leader);
}

/* A follower's first answer comes when it is prepared. */
static bool leader_connect(struct floor_leader *leader, uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    uint8_t answer[8];
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return false;
    leader->links[leader->link_count++].connection = connection;
    return connect(connection, (struct sockaddr *)&address, sizeof address) == 0 &&
           setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
           recv(connection, answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer;
}

static struct floor_leader *leader_new(const struct bench_options *options) {
    struct floor_leader *leader = mem_calloc(1, sizeof *leader);
    if (!leader)
        return NULL;
    leader->clients = (size_t)options->clients;
    leader->value_size = (size_t)options->value;
    leader->entry_size = (FLOOR_ENTRY_HEAD + leader->value_size + 7) / 8 * 8;
    leader->batch_max = LEADER_BATCH_BYTES / leader->entry_size + 1;
    uint64_t all = FLOOR_BATCH_HEAD + leader->clients * leader->entry_size;
    leader->ring_size = power_of_two(all * 2 > LEADER_RING_MIN ? all * 2 : LEADER_RING_MIN);
    leader->operation_mask = power_of_two(leader->clients) - 1;
    leader->ring = mem_calloc(1, (size_t)leader->ring_size);
    leader->operations = mem_calloc((size_t)leader->operation_mask + 1, sizeof *leader->operations);
    leader->value = mem_alloc(leader->value_size);
    leader->wake = eventfd(0, EFD_CLOEXEC);
    if (!leader->ring || !leader->operations || !leader->value || leader->wake < 0) {
        leader_free(leader);
        return NULL;
    }
    kv_load_fill(leader->value, leader->value_size);
    return leader;
}

static bool leader_run(struct floor_leader *leader) {
    return pthread_mutex_init(&leader->mutex, NULL) == 0 && pthread_cond_init(&leader->work, NULL) == 0 &&
           pthread_create(&leader->log_thread, NULL, leader_log, leader) == 0 &&
           pthread_create(&leader->loop_thread, NULL, leader_loop, leader) == 0;
}

struct floor_leader *floor_leader_open(const struct bench_options *options, const uint16_t *ports, size_t followers,
                                       struct floor_disk *disk, struct load *load) {
    struct floor_leader *leader = leader_new(options);
    bool well = leader != NULL;
    if (well) {
        leader->disk = disk;
        leader->load = load;
    }
    for (size_t i = 0; well && i < followers; i++)
        well = leader_connect(leader, ports[i]);
    if (!well || !leader_run(leader)) {
        perror("lash-bench: the leader cannot begin");
        return NULL;
    }
    return leader;
}

void floor_leader_start(struct floor_leader *leader) {
    atomic_store(&leader->joining, leader->clients);
    leader_wake(leader);
}

void floor_leader_close(struct floor_leader *leader) {
    atomic_store(&leader->closing, true);
    leader_wake(leader);
    (void)pthread_join(leader->loop_thread, NULL);
    (void)pthread_mutex_lock(&leader->mutex);
    leader->log_closing = true;
    (void)pthread_cond_signal(&leader->work);
    (void)pthread_mutex_unlock(&leader->mutex);
    (void)pthread_join(leader->log_thread, NULL);
    leader_free(leader);
}
