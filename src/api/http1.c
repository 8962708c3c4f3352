/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on the client port: see http1.h.
 */
#include "api/http1.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "api/call.h"
#include "api/pages.h"
#include "base/assert.h"
#include "base/buf.h"

enum { HTTP1_HEAD_MAX = 8192, HTTP1_IDLE_MS = 60000, HTTP1_HEAD_MS = 10000, HTTP1_ANSWER_HEAD_MAX = 512 };

#define HTTP1_UNSENT "cannot be answered"

struct http1 {
    struct call *call;                                    /* under way: the next request waits for its answer */
    bool finished;                                        /* that answer is there */
    void (*finish)(struct call *call, struct page *page); /* which makes it a page */
    bool keep_alive;                                      /* after that answer */
    bool draining;
    size_t size;
    char input[HTTP1_HEAD_MAX];
};

/* ---- The parser -------------------------------------------------------------------------------- */

static bool http1_is_token(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return false;
    return size > 0;
}

static bool http1_equals(const char *text, size_t size, const char *word) {
    return size == strlen(word) && strncasecmp(text, word, size) == 0;
}

/* Whether a comma-separated header value holds the word. */
static bool http1_lists(const char *text, size_t size, const char *word) {
    while (size > 0) {
        const char *comma = memchr(text, ',', size);
        size_t length = comma ? (size_t)(comma - text) : size;
        const char *item = text;
        size_t item_size = length;
        while (item_size > 0 && (*item == ' ' || *item == '\t')) {
            item++;
            item_size--;
        }
        while (item_size > 0 && (item[item_size - 1] == ' ' || item[item_size - 1] == '\t'))
            item_size--;
        if (http1_equals(item, item_size, word))
            return true;
        text += length + (comma ? 1 : 0);
        size -= length + (comma ? 1 : 0);
    }
    return false;
}

static bool http1_parse_line(const char *line, size_t size, struct http1_request *request) {
    const char *space = memchr(line, ' ', size);
    if (!space)
        return false;
    const char *target = space + 1;
    const char *second = memchr(target, ' ', (size_t)(line + size - target));
    if (!second)
        return false;
    const char *version = second + 1;
    if (line + size - version != 8 || memcmp(version, "HTTP/1.", 7) != 0 || (version[7] != '0' && version[7] != '1'))
        return false;
    request->method = line;
    request->method_size = (size_t)(space - line);
    request->target = target;
    request->target_size = (size_t)(second - target);
    request->keep_alive = version[7] == '1';
    return http1_is_token(line, request->method_size) && http1_is_token(target, request->target_size);
}

static bool http1_parse_field(const char *line, size_t size, struct http1_request *request) {
    const char *colon = memchr(line, ':', size);
    if (!colon || !http1_is_token(line, (size_t)(colon - line)))
        return false;
    size_t name_size = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_size = size - name_size - 1;
    if (http1_equals(line, name_size, "connection")) {
        if (http1_lists(value, value_size, "close"))
            request->keep_alive = false;
        else if (http1_lists(value, value_size, "keep-alive"))
            request->keep_alive = true;
    } else if (http1_equals(line, name_size, "content-length")) {
        request->has_body |= !http1_lists(value, value_size, "0");
    } else if (http1_equals(line, name_size, "transfer-encoding")) {
        request->has_body = true;
    }
    return true;
}

bool http1_parse(const char *head, size_t size, struct http1_request *request) {
    *request = (struct http1_request){0};
    const char *end = head + size;
    for (const char *line = head; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline || newline == line || newline[-1] != '\r')
            return false;
        size_t length = (size_t)(newline - 1 - line);
        if (length == 0)
            return request->method && newline + 1 == end;
        if (!(request->method ? http1_parse_field : http1_parse_line)(line, length, request))
            return false;
        line = newline + 1;
    }
    return false;
}

/* ---- Answers ----------------------------------------------------------------------------------- */

static bool http1_answer(struct connection *connection, const struct page *page) {
    struct http1 *http = connection->state;
    char head[HTTP1_ANSWER_HEAD_MAX];
    char date[64];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int size =
        snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\n%sContent-Type: %s\r\nDate: %s\r\nContent-Length: %zu\r\n%s\r\n",
                 page->status, page->reason, page->fields, page->type, date, page->size,
                 http->keep_alive ? "" : "Connection: close\r\n");
    LASH_ASSERT(size > 0 && (size_t)size < sizeof head);
    connection->deadline_ms = uv_now(&connection->loop->uv) + HTTP1_IDLE_MS;
    if (!connection_write(connection, (const uint8_t *)head, (size_t)size) ||
        (page->size > 0 && !connection_write(connection, (const uint8_t *)page->body, page->size)))
        return false;
    if (!http->keep_alive)
        connection_end(connection);
    return true;
}

/* The page that had to be waited for is there; flush sends it. */
static void http1_finished(struct call *call) {
    struct connection *connection = call->owner;
    struct http1 *http = connection->state;
    http->finished = true;
    connection_dirty(connection);
}

static bool http1_answer_call(struct connection *connection) {
    struct http1 *http = connection->state;
    struct page page;
    http->finish(http->call, &page);
    bool sent = http1_answer(connection, &page);
    call_unref(http->call);
    http->call = NULL;
    http->finished = false;
    return sent;
}

/* Handle the request whose head is the first `size` bytes of the input, and take it off the input. */
static const char *http1_handle(struct connection *connection, size_t size) {
    struct http1 *http = connection->state;
    struct http1_request request;
    struct page page;
    bool ready = true;
    bool good = http1_parse(http->input, size, &request);
    http->keep_alive = good && request.keep_alive && !request.has_body && !http->draining;
    if (good)
        ready = pages_get(request.method, request.method_size, request.target, request.target_size, &page);
    else
        pages_bad_request(&page);
    http->size -= size;
    memmove(http->input, http->input + size, http->size);
    if (ready)
        return http1_answer(connection, &page) ? NULL : HTTP1_UNSENT;
    connection->deadline_ms = 0; /* the node bounds what is waited for */
    http->call = call_new(connection->loop, http1_finished, connection, 0);
    if (!http->call)
        return lash_strerror(LASH_NOMEM);
    http->finish = page.finish;
    page.start(http->call, page.flags);
    return NULL;
}

/* ---- The protocol ------------------------------------------------------------------------------ */

static const char *http1_receive(struct connection *connection, const uint8_t *data, size_t size) {
    struct http1 *http = connection->state;
    if (http->size == 0 && size > 0 && data[0] < 0x20 && data[0] != '\r' && data[0] != '\n')
        return data[0] == 0x16 ? "speaks TLS to a port without" : "speaks neither HTTP/1 nor HTTP/2";
    if (http->size == 0 && !http->call)
        connection->deadline_ms = uv_now(&connection->loop->uv) + HTTP1_HEAD_MS;
    if (size > HTTP1_HEAD_MAX - http->size)
        return "request head too long";
    memcpy(http->input + http->size, data, size);
    http->size += size;
    return NULL;
}

/* Answer what requests the input holds, one after the other. */
static const char *http1_flush(struct connection *connection) {
    struct http1 *http = connection->state;
    while (!connection->ending) {
        if (http->finished && !http1_answer_call(connection))
            return HTTP1_UNSENT;
        if (http->call || connection->ending)
            return NULL;
        const char *end = memmem(http->input, http->size, "\r\n\r\n", 4);
        if (!end)
            return http->size == HTTP1_HEAD_MAX ? "request head too long" : NULL;
        const char *trouble = http1_handle(connection, (size_t)(end + 4 - http->input));
        if (trouble)
            return trouble;
    }
    return NULL;
}

static void http1_drain(struct connection *connection) {
    struct http1 *http = connection->state;
    http->draining = true;
    http->keep_alive = false;
    if (!http->call)
        connection_close(connection, NULL);
}

static void http1_close(struct connection *connection) {
    struct http1 *http = connection->state;
    if (http->call)
        call_abandon(http->call);
    mem_free(http);
}

static const struct connection_protocol http1_protocol = {
    .receive = http1_receive,
    .flush = http1_flush,
    .drain = http1_drain,
    .close = http1_close,
};

const char *http1_open(struct connection *connection) {
    struct http1 *http = mem_calloc(1, sizeof *http);
    if (!http)
        return lash_strerror(LASH_NOMEM);
    connection->protocol = &http1_protocol;
    connection->state = http;
    return NULL;
}
