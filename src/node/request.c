/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: made on any thread, ended on the loop thread.
 */
#include "node/request.h"

#include <string.h>

#include "base/buf.h"

size_t request_cost(size_t size) {
    return sizeof(struct request) + size;
}

int request_new(struct request_gauge *gauge, enum request_kind kind, const void *data, size_t size,
                struct request **request) {
    struct request *new = mem_alloc(request_cost(size));
    if (!new)
        return LASH_NOMEM;
    memset(new, 0, sizeof *new);
    list_init(&new->age);
    list_init(&new->link);
    new->gauge = gauge;
    new->cost = request_cost(size);
    new->kind = kind;
    new->size = size;
    if (size)
        memcpy(new->data, data, size);
    gauge->count++;
    gauge->bytes += new->cost;
    *request = new;
    return 0;
}

void request_end(struct request *request, int error, lash_index index, struct list *ended) {
    list_remove(&request->age);
    list_remove(&request->link);
    request->error = error;
    request->index = index;
    list_push(ended, &request->link);
}

void request_deliver(struct list *ended) {
    struct list *at;
    while ((at = list_pop(ended))) {
        struct request *request = list_entry(at, struct request, link);
        lash_done_fn done = request->done;
        void *argument = request->argument;
        int error = request->error;
        lash_index index = request->index;
        request_free(request);
        done(argument, error, index);
    }
}

void request_free(struct request *request) {
    request->gauge->count--;
    request->gauge->bytes -= request->cost;
    mem_free(request);
}
