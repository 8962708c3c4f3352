/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection to the real server loop, store included, on the loopback:
 * whatever bytes come, what goes back are HTTP/2 frames or an HTTP/1.1 answer, and when the
 * client is gone nothing is left of its calls.
 *
 * Input: a byte: the bytes come in pieces of so many times 16 (0: as one), the bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/call.h"
#include "api/connection.h"
#include "base/buf.h"
#include "fuzz.h"
#include "lash/error.h"

enum { MEMBER = 0x11, CLUSTER = 0x22, TERM = 7, BACKLOG = 4, USES_MAX = 5000, OUTPUT_MAX = 16 << 20 };
enum { FRAME_HEADER = 9, FRAME_PAYLOAD_MAX = 16384, FRAME_TYPE_MAX = 9, PIECE = 16 };

/* The server's node: everything is committed at once. */
struct lash_node {
    struct lash_state_machine machine;
    lash_index index;
};

static struct lash_node node;
static struct store *store;
static struct loop *loop;
static struct server_options options;
static struct sockaddr_in address;
static unsigned uses;

/* ---- The node ------------------------------------------------------------------------------------ */

int lash_node_propose(lash_node *to, const void *data, size_t size, void *request, lash_done_fn done, void *argument) {
    struct lash_command command = {
        .index = to->index + 1, .term = TERM, .data = data, .size = size, .request = request};
    int error = to->machine.apply(to->machine.context, &command, 1, command.index);
    LASH_ASSERT(error == LASH_OK || error == LASH_FULL);
    to->index += error == LASH_OK;
    done(argument, error, to->index);
    return 0;
}

int lash_node_read_as(lash_node *of, enum lash_read_kind kind, uint64_t age_ms_max, lash_done_fn done, void *argument) {
    (void)kind;
    (void)age_ms_max;
    done(argument, 0, of->index);
    return 0;
}

int lash_node_transfer(lash_node *to, lash_id target, lash_done_fn done, void *argument) {
    (void)target;
    return lash_node_read_as(to, LASH_READ_INDEX, 0, done, argument);
}

int lash_node_members(lash_node *of, struct lash_members **members) {
    (void)of;
    *members = mem_calloc(1, sizeof **members);
    if (!*members)
        return LASH_NOMEM;
    (*members)->count = 1;
    (*members)->members[0] =
        (struct lash_node_member){.id = MEMBER, .flags = LASH_MEMBER_VOTER, .host = "127.0.0.1", .port = 1};
    return 0;
}

void lash_members_free(struct lash_members *members) {
    mem_free(members);
}

/* Changes of the membership are taken, and change nothing. */
int lash_node_add(lash_node *to, const struct lash_node_member *member, lash_done_fn done, void *argument) {
    (void)member;
    return lash_node_read_as(to, LASH_READ_INDEX, 0, done, argument);
}

int lash_node_update(lash_node *to, const struct lash_node_member *member, lash_done_fn done, void *argument) {
    return lash_node_add(to, member, done, argument);
}

int lash_node_remove(lash_node *to, lash_id id, lash_done_fn done, void *argument) {
    return lash_node_transfer(to, id, done, argument);
}

int lash_node_promote(lash_node *to, lash_id id, lash_done_fn done, void *argument) {
    return lash_node_transfer(to, id, done, argument);
}

int lash_node_status(lash_node *of, struct lash_status *status) {
    memset(status, 0, sizeof *status);
    status->raft.id = status->raft.leader = MEMBER;
    status->raft.term = TERM;
    status->raft.commit = status->raft.applied = of->index;
    return 0;
}

int lash_node_metrics(lash_node *of, struct lash_metrics *metrics) {
    (void)of;
    memset(metrics, 0, sizeof *metrics);
    return 0;
}

/* ---- The server ---------------------------------------------------------------------------------- */

static int remove_file(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

/* A store whose files are gone as soon as they are open. */
static void open_store(void) {
    char path[] = "/tmp/lash-fuzz-http-XXXXXX";
    LASH_ASSERT(mkdtemp(path));
    struct store_options store_options = {.dir = path, .map_bytes = 64 << 20};
    LASH_ASSERT(store_open(&store_options, &store, &node.index) == LASH_OK);
    (void)nftw(path, remove_file, 8, FTW_DEPTH | FTW_PHYS);
    node.machine = store_machine(store);
    options.store = store;
}

static void on_connection(uv_stream_t *listener, int status) {
    LASH_ASSERT(status == 0 && listener == (uv_stream_t *)&loop->listeners[0]);
    loop_accept(loop, 0);
}

static void on_prepare(uv_prepare_t *prepare) {
    (void)prepare;
    loop_end_turn(loop);
}

static void open_server(void) {
    options = (struct server_options){.cluster_id = CLUSTER,
                                      .member_id = MEMBER,
                                      .name = "n1",
                                      .learners_max = 1,
                                      .reconfig_unchecked = true,
                                      .ops_max = 128,
                                      .request_bytes_max = 1 << 20,
                                      .buffered_max = 16 << 20,
                                      .connections_max = 4};
    open_store();
    (void)signal(SIGPIPE, SIG_IGN);
    loop = mem_alloc(sizeof *loop);
    LASH_ASSERT(loop && loop_open(loop, &options) == LASH_OK);
    loop->node = &node;
    uv_prepare_start(&loop->flush, on_prepare);
    uv_tcp_t *listener = &loop->listeners[loop->listener_count++];
    int length = sizeof address;
    LASH_ASSERT(uv_ip4_addr("127.0.0.1", 0, &address) == 0 && uv_tcp_init(&loop->uv, listener) == 0);
    LASH_ASSERT(uv_tcp_bind(listener, (const struct sockaddr *)&address, 0) == 0);
    LASH_ASSERT(uv_listen((uv_stream_t *)listener, BACKLOG, on_connection) == 0);
    LASH_ASSERT(uv_tcp_getsockname(listener, (struct sockaddr *)&address, &length) == 0);
}

/* ---- The client ---------------------------------------------------------------------------------- */

struct client {
    int file;
    size_t size; /* of what came back */
    uint8_t *output;
};

/* Each time from another address, as a port that was used waits for a while. */
static int dial(void) {
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint32_t host = INADDR_LOOPBACK + (1 + uses % UINT16_MAX) * 16;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(host)}};
    LASH_ASSERT(file >= 0 && bind(file, (const struct sockaddr *)&from, sizeof from) == 0);
    LASH_ASSERT(connect(file, (const struct sockaddr *)&address, sizeof address) == 0);
    LASH_ASSERT(fcntl(file, F_SETFL, O_NONBLOCK) == 0);
    /* Closing resets, so that no port waits for anything. */
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    LASH_ASSERT(setsockopt(file, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    return file;
}

/* Take what has come; whether anything has. */
static bool drain(struct client *client) {
    ssize_t got = recv(client->file, client->output + client->size, OUTPUT_MAX - client->size, 0);
    client->size += got > 0 ? (size_t)got : 0;
    LASH_ASSERT(client->size < OUTPUT_MAX);
    return got > 0;
}

/* Let the server work until it has nothing to do but wait for more bytes. */
static void settle(struct client *client) {
    bool busy = true;
    while (busy) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        busy = drain(client);
        /* writes, and what is on a worker */
        for (; loop->uv.active_reqs.count > 0; busy = true) {
            (void)uv_run(&loop->uv, UV_RUN_ONCE);
            (void)drain(client);
        }
    }
}

/* Send all of it in pieces, and wait until the server is done with it. */
static void converse(struct client *client, const uint8_t *data, size_t size, size_t piece) {
    while (loop->connection_count == 0)
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    while (size > 0) {
        size_t part = piece < size ? piece : size;
        ssize_t sent = send(client->file, data, part, 0);
        if (sent < 0 && errno != EAGAIN)
            break; /* the server has closed it */
        data += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
        settle(client);
    }
    settle(client);
    (void)shutdown(client->file, SHUT_WR);
    while (loop->connection_count > 0) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
        (void)drain(client);
    }
    settle(client);
}

static struct client talk(const uint8_t *data, size_t size, size_t piece) {
    struct client client = {.file = dial(), .output = mem_alloc(OUTPUT_MAX)};
    LASH_ASSERT(client.output);
    converse(&client, data, size, piece);
    (void)close(client.file);
    LASH_ASSERT(list_empty(&loop->connections) && list_empty(&loop->dirty));
    LASH_ASSERT(list_empty(&loop->calls) && atomic_load(&loop->buffered) == 0);
    return client;
}

/* ---- What came back ------------------------------------------------------------------------------ */

static void check_frames(const struct client *client) {
    size_t at = 0;
    while (client->size - at >= FRAME_HEADER) {
        const uint8_t *header = client->output + at;
        size_t length = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
        LASH_ASSERT(length <= FRAME_PAYLOAD_MAX && header[3] <= FRAME_TYPE_MAX);
        LASH_ASSERT(at > 0 || header[3] == 4); /* a server begins with its settings */
        if (client->size - at - FRAME_HEADER < length)
            return; /* the end was cut off with the connection */
        at += FRAME_HEADER + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_quiet();
    if (size < 1)
        return 0;
    if (!loop)
        open_server();
    if (++uses % USES_MAX == 0) {
        store_close(store);
        open_store();
    }
    size_t piece = data[0] ? (size_t)data[0] * PIECE : SIZE_MAX;
    struct client client = talk(data + 1, size - 1, piece);
    if (client.size > 0 && client.output[0] != 'H') {
        check_frames(&client);
    } else if (client.size > 0) {
        LASH_ASSERT(client.size >= 9 && memcmp(client.output, "HTTP/1.1 ", 9) == 0);
    }
    mem_free(client.output);
    return 0;
}
