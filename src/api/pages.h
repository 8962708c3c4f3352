/* SPDX-License-Identifier: Apache-2.0
 *
 * The pages under plain HTTP: GET /health, GET /version and
 * GET /metrics, with etcd's texts.
 */
#ifndef LASH_API_PAGES_H
#define LASH_API_PAGES_H

#include "api/call.h"

/* A page to send, or a call to make for it. Strings are static, or the call's. */
struct page {
    int status;
    const char *reason;
    const char *type;
    const char *fields; /* further header lines, each with its end */
    const char *body;
    size_t size;
    void (*start)(struct call *call, unsigned flags);
    unsigned flags; /* for `start` */
    void (*finish)(struct call *call,
                   struct page *page); /* makes the page of what `start` came to; valid while the call is */
};

/* The page for a request. False when it has to be waited for: then a call is to be started by `page->start`,
 * and its end made a page by `page->finish`. */
bool pages_get(const char *method, size_t method_size, const char *target, size_t target_size, struct page *page);

/* The answer to what is not HTTP. */
void pages_bad_request(struct page *page);

#endif
