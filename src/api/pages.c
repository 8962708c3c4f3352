/* SPDX-License-Identifier: Apache-2.0
 *
 * The pages under plain HTTP: see pages.h.
 */
#include "api/pages.h"

#include <stdio.h>
#include <string.h>

#include "api/exposition.h"
#include "api/metrics.h"

#define PAGES_JSON "application/json"
#define PAGES_TEXT "text/plain; charset=utf-8"
#define PAGES_VERSION "{\"etcdserver\":\"" SERVER_VERSION "\",\"etcdcluster\":\"" SERVER_CLUSTER_VERSION "\"}"

/* What a query asks for; the rest of it is ignored. */
enum { PAGES_SERIALIZABLE = 1, PAGES_WITHOUT_NOSPACE = 2 };

static void pages_health(struct call *call, unsigned flags);
static void pages_of_health(struct call *call, struct page *page);
static void pages_of_metrics(struct call *call, struct page *page);

static const struct {
    const char *path;
    const char *body; /* NULL: `start` finds out */
    void (*start)(struct call *call, unsigned flags);
    void (*finish)(struct call *call, struct page *page);
} pages[] = {
    {"/version", PAGES_VERSION, NULL, NULL},
    {"/health", NULL, pages_health, pages_of_health},
    {"/metrics", NULL, metrics_start, pages_of_metrics},
};

static unsigned pages_flags(const char *query, size_t size) {
    static const struct {
        const char *item;
        unsigned flag;
    } items[] = {{"serializable=true", PAGES_SERIALIZABLE}, {"exclude=NOSPACE", PAGES_WITHOUT_NOSPACE}};
    unsigned flags = 0;
    for (const char *end = query + size; query < end; query++) {
        const char *next = memchr(query, '&', (size_t)(end - query));
        size_t length = (size_t)((next ? next : end) - query);
        for (size_t i = 0; i < sizeof items / sizeof *items; i++)
            if (strlen(items[i].item) == length && memcmp(items[i].item, query, length) == 0)
                flags |= items[i].flag;
        query += length;
    }
    return flags;
}

static void pages_text(struct page *page, int status, const char *reason, const char *fields, const char *body) {
    *page = (struct page){
        .status = status, .reason = reason, .type = PAGES_TEXT, .fields = fields, .body = body, .size = strlen(body)};
}

void pages_bad_request(struct page *page) {
    pages_text(page, 400, "Bad Request", "", "400 Bad Request");
}

bool pages_get(const char *method, size_t method_size, const char *target, size_t target_size, struct page *page) {
    const char *query = memchr(target, '?', target_size);
    size_t path_size = query ? (size_t)(query - target) : target_size;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strlen(pages[i].path) != path_size || memcmp(pages[i].path, target, path_size) != 0)
            continue;
        if (method_size != 3 || memcmp(method, "GET", 3) != 0) {
            pages_text(page, 405, "Method Not Allowed", "Allow: GET\r\n", "Method Not Allowed\n");
            return true;
        }
        pages_text(page, 200, "OK", "", pages[i].body ? pages[i].body : "");
        page->type = PAGES_JSON;
        page->start = pages[i].start;
        page->flags = query ? pages_flags(query + 1, target_size - path_size - 1) : 0;
        page->finish = pages[i].finish;
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

/* Whether a disk is known to be full: a leader knows of everyone's, others of their own. */
static bool pages_no_space(const struct lash_raft_status *raft) {
    bool full = raft->full;
    for (uint32_t i = 0; i < raft->progress_count; i++)
        full |= raft->progress[i].full != 0;
    return full;
}

/* Healthy is a member with room, through which a linearizable read comes to an end; or, for one that wants to hear of this
 * member alone, and for a witness, which has nothing to read, one that takes part. */
static void pages_health(struct call *call, unsigned flags) {
    struct lash_status status;
    bool there = call_status(call, &status);
    if (there && !(flags & PAGES_WITHOUT_NOSPACE) && pages_no_space(&status.raft))
        call_fail_text(call, GRPC_UNAVAILABLE, "ALARM NOSPACE");
    else if (there && !(flags & PAGES_SERIALIZABLE) && status.raft.leader == 0)
        call_fail_text(call, GRPC_UNAVAILABLE, "RAFT NO LEADER");
    else if ((flags & PAGES_SERIALIZABLE) || loop_is_witness(call->loop))
        pages_healthy(call, there ? status.error : LASH_CLOSED);
    else
        call_read(call, pages_healthy);
}

static void pages_of_health(struct call *call, struct page *page) {
    if (call->code == GRPC_OK) {
        pages_text(page, 200, "OK", "", "{\"health\":\"true\",\"reason\":\"\"}");
        page->type = PAGES_JSON;
        return;
    }
    char *body = arena_calloc(call->arena, 1, CALL_TEXT_MAX + 64);
    if (body)
        snprintf(body, CALL_TEXT_MAX + 64, "{\"health\":\"false\",\"reason\":\"%s\"}\n", call->text);
    pages_text(page, 503, "Service Unavailable", "X-Content-Type-Options: nosniff\r\n",
               body ? body : "{\"health\":\"false\",\"reason\":\"out of memory\"}\n");
}

/* ---- Metrics ----------------------------------------------------------------------------------- */

static void pages_of_metrics(struct call *call, struct page *page) {
    if (call->code != GRPC_OK) {
        pages_text(page, 503, "Service Unavailable", "", call->text);
        return;
    }
    *page = (struct page){.status = 200,
                          .reason = "OK",
                          .type = EXPOSITION_TYPE,
                          .fields = "",
                          .body = (const char *)call->answer->data,
                          .size = call->answer->size};
}
