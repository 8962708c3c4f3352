/* SPDX-License-Identifier: Apache-2.0
 *
 * Valid requests of clients, as bodies, as commands and on a connection; see seeds.h.
 */
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "api/convert.h"
#include "api/message.h"
#include "base/buf.h"
#include "fuzz.h"
#include "health.pb-c.h"
#include "lash/error.h"
#include "seeds.h"
#include "store/arena.h"

/* One request in all its forms. */
struct request {
    uint8_t method; /* as the target `grpc` numbers them */
    const char *path;
    const ProtobufCMessage *message;
};

static ProtobufCBinaryData bytes_of(const char *text) {
    static uint8_t room[16][64];
    static size_t next;
    uint8_t *copy = room[next++ % 16];
    memcpy(copy, text, strlen(text));
    return (ProtobufCBinaryData){strlen(text), copy};
}

/* ---- On a connection ------------------------------------------------------------------------------ */

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user) {
    (void)session;
    (void)stream;
    (void)user;
    const struct buf *body = source->ptr;
    LASH_ASSERT(body->size <= room);
    memcpy(out, body->data, body->size);
    *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)body->size;
}

static nghttp2_nv header(const char *name, const char *value) {
    union {
        const char *constant;
        uint8_t *plain;
    } n = {.constant = name}, v = {.constant = value}; /* nghttp2 copies them */
    return (nghttp2_nv){n.plain, v.plain, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* All requests on one connection, each on its stream. */
static void write_connection(const struct request *requests, size_t count) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    struct buf *bodies[8];
    uint8_t input[8192] = {255};
    size_t used = 1;
    LASH_ASSERT(count <= 8);
    LASH_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0);
    LASH_ASSERT(nghttp2_session_client_new(&session, callbacks, NULL) == 0);
    LASH_ASSERT(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0) == 0);
    for (size_t i = 0; i < count; i++) {
        nghttp2_nv headers[] = {header(":method", "POST"),
                                header(":scheme", "http"),
                                header(":path", requests[i].path),
                                header(":authority", "a"),
                                header("content-type", "application/grpc"),
                                header("te", "trailers"),
                                header("grpc-timeout", "9S")};
        bodies[i] = message_encode(requests[i].message);
        LASH_ASSERT(bodies[i]);
        nghttp2_data_provider body = {.source = {.ptr = bodies[i]}, .read_callback = read_body};
        LASH_ASSERT(nghttp2_submit_request(session, NULL, headers, 7, &body, NULL) > 0);
    }
    const uint8_t *out;
    for (ssize_t size; (size = nghttp2_session_mem_send(session, &out)) > 0; used += (size_t)size) {
        LASH_ASSERT(used + (size_t)size <= sizeof input);
        memcpy(input + used, out, (size_t)size);
    }
    seed_write("http", input, used);
    nghttp2_session_del(session);
    nghttp2_session_callbacks_del(callbacks);
    for (size_t i = 0; i < count; i++)
        buf_unref(bodies[i]);
}

/* ---- As bodies and commands ----------------------------------------------------------------------- */

static void write_body(const struct request *request) {
    struct buf *body = message_encode(request->message);
    LASH_ASSERT(body);
    seed_write_behind("grpc", (const uint8_t[]){request->method, 3}, 2, body->data, body->size);
    buf_unref(body);
}

static void write_command(const struct request *request) {
    struct store_arena *arena = arena_new();
    struct store_op op = {0};
    uint8_t *command;
    size_t size;
    LASH_ASSERT(arena);
    if (request->method == 1)
        convert_put((const void *)request->message, &op);
    else if (request->method == 2)
        convert_delete_range((const void *)request->message, &op);
    else if (request->method == 3)
        LASH_ASSERT(convert_txn((const void *)request->message, arena, &op) == API_OK);
    else
        convert_compaction((const void *)request->message, &op);
    LASH_ASSERT(store_encode(&op, &command, &size) == LASH_OK);
    seed_write("command", command, size);
    mem_free(command);
    store_arena_free(arena);
}

static void write_member_command(void) {
    static const uint8_t url[] = "http://client:1";
    struct store_bytes urls[] = {{url, 15}, {url, 12}};
    struct store_op op = {.type = STORE_MEMBER,
                          .member = {.id = 7, .name = {url, 4}, .client_urls = urls, .client_url_count = 2}};
    uint8_t *command;
    size_t size;
    LASH_ASSERT(store_encode(&op, &command, &size) == LASH_OK);
    seed_write("command", command, size);
    mem_free(command);
}

static void seed_http1(void) {
    static const char *const heads[] = {"\377GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /version HTTP/1.1\r\n\r\n",
                                        "\003GET /nothing HTTP/1.0\r\n\r\n",
                                        "\003GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.0\r\n\r\n",
                                        "\001POST /v3/kv/range HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        seed_write("http", heads[i], strlen(heads[i]));
}

void seed_requests(void) {
    Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
    range.key = bytes_of("a");
    range.range_end = bytes_of("z");
    range.limit = 3;
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    put.key = bytes_of("key");
    put.value = bytes_of("value");
    put.prev_kv = true;
    Etcdserverpb__DeleteRangeRequest del = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    del.key = bytes_of("b");
    del.range_end = bytes_of("c");
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    compare.key = bytes_of("key");
    compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
    compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE;
    compare.value = bytes_of("value");
    Etcdserverpb__RequestOp ops[3] = {ETCDSERVERPB__REQUEST_OP__INIT, ETCDSERVERPB__REQUEST_OP__INIT,
                                      ETCDSERVERPB__REQUEST_OP__INIT};
    Etcdserverpb__TxnRequest inner = ETCDSERVERPB__TXN_REQUEST__INIT, txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    ops[0].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    ops[0].request_put = &put;
    ops[1].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    ops[1].request_range = &range;
    ops[2].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    ops[2].request_txn = &inner;
    Etcdserverpb__RequestOp delete_op = ETCDSERVERPB__REQUEST_OP__INIT;
    delete_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
    delete_op.request_delete_range = &del;
    Etcdserverpb__RequestOp *list[] = {&ops[0], &ops[1], &ops[2]}, *inner_list[] = {&delete_op};
    Etcdserverpb__Compare *compares[] = {&compare};
    inner.success = inner_list;
    txn.compare = inner.compare = compares;
    txn.success = txn.failure = list;
    inner.n_success = inner.n_compare = txn.n_compare = 1;
    txn.n_success = 3;
    txn.n_failure = 2;
    Etcdserverpb__CompactionRequest compaction = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
    compaction.revision = 2;
    compaction.physical = true;
    Grpc__Health__V1__HealthCheckRequest health;
    grpc__health__v1__health_check_request__init(&health);
    const struct request requests[] = {
        {0, "/etcdserverpb.KV/Range", &range.base},        {1, "/etcdserverpb.KV/Put", &put.base},
        {2, "/etcdserverpb.KV/DeleteRange", &del.base},    {3, "/etcdserverpb.KV/Txn", &txn.base},
        {4, "/etcdserverpb.KV/Compact", &compaction.base}, {5, "/grpc.health.v1.Health/Check", &health.base},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        write_body(&requests[i]);
        write_connection(&requests[i], 1);
        if (i >= 1 && i <= 4)
            write_command(&requests[i]);
    }
    write_connection(requests, sizeof requests / sizeof *requests);
    write_member_command();
    seed_http1();
}
