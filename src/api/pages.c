/* SPDX-License-Identifier: Apache-2.0
 *
 * The pages under plain HTTP: see pages.h.
 */
#include "api/pages.h"

#include <stdio.h>
#include <string.h>

#define PAGES_JSON "application/json"
#define PAGES_TEXT "text/plain; charset=utf-8"
#define PAGES_VERSION "{\"etcdserver\":\"" SERVER_VERSION "\",\"etcdcluster\":\"" SERVER_CLUSTER_VERSION "\"}"

static void pages_health(struct call *call);
static void pages_health_local(struct call *call);

static const struct {
    const char *path;
    const char *body; /* NULL: `start` finds out */
    void (*start)(struct call *call);
} pages[] = {
    {"/version", PAGES_VERSION, NULL},
    {"/health", NULL, pages_health},
    {"/health?serializable=true", NULL, pages_health_local},
    {"/health?serializable=false", NULL, pages_health},
};

static void pages_text(struct page *page, int status, const char *reason, const char *fields, const char *body) {
    *page = (struct page){
        .status = status, .reason = reason, .type = PAGES_TEXT, .fields = fields, .body = body, .size = strlen(body)};
}

void pages_bad_request(struct page *page) {
    pages_text(page, 400, "Bad Request", "", "400 Bad Request");
}

bool pages_get(const char *method, size_t method_size, const char *target, size_t target_size, struct page *page) {
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strlen(pages[i].path) != target_size || memcmp(pages[i].path, target, target_size) != 0)
            continue;
        if (method_size != 3 || memcmp(method, "GET", 3) != 0) {
            pages_text(page, 405, "Method Not Allowed", "Allow: GET\r\n", "Method Not Allowed\n");
            return true;
        }
        pages_text(page, 200, "OK", "", pages[i].body ? pages[i].body : "");
        page->type = PAGES_JSON;
        page->start = pages[i].start;
        return page->start == NULL;
    }
    pages_text(page, 404, "Not Found", "", "404 page not found\n");
    return true;
}

/* ---- Health ------------------------------------------------------------------------------------ */

/* The outcome of the check: an answer for good health, or a reason. */
static void pages_healthy(struct call *call, int error) {
    if (error) {
        call_fail_text(call, GRPC_UNAVAILABLE, "RANGE ERROR:%s", errors_text(errors_of_node(error)));
        return;
    }
    call->encoded = buf_new(0);
    if (call->encoded)
        call_finish(call);
    else
        call_fail(call, API_NO_MEMORY);
}

static void pages_health_local(struct call *call) {
    struct lash_status status;
    bool there = call_status(call, &status);
    pages_healthy(call, there ? status.error : LASH_CLOSED);
}

/* Healthy is a member through which a linearizable read comes to an end. */
static void pages_health(struct call *call) {
    struct lash_status status;
    if (call_status(call, &status) && status.raft.leader == 0)
        call_fail_text(call, GRPC_UNAVAILABLE, "RAFT NO LEADER");
    else
        call_read(call, pages_healthy);
}

void pages_of_call(struct call *call, struct page *page) {
    if (call->code == GRPC_OK) {
        pages_text(page, 200, "OK", "", "{\"health\":\"true\",\"reason\":\"\"}");
        page->type = PAGES_JSON;
        return;
    }
    char *body = arena_calloc(call->arena, 1, sizeof call->text + 64);
    if (body)
        snprintf(body, sizeof call->text + 64, "{\"health\":\"false\",\"reason\":\"%s\"}\n", call->text);
    pages_text(page, 503, "Service Unavailable", "X-Content-Type-Options: nosniff\r\n",
               body ? body : "{\"health\":\"false\",\"reason\":\"out of memory\"}\n");
}
