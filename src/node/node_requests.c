/* SPDX-License-Identifier: Apache-2.0
 *
 * What programs ask of a node, on any thread: each becomes a request that the loop
 * thread takes over.
 */
#include "node/node_state.h"

_Thread_local const struct lash_node *node_telling;

/* Whether too much is committed that this node has yet to apply. */
static bool node_lags(const lash_node *node) {
    const struct lash_raft_status *status = &node->status.raft;
    return node->options.apply_lag_max && status->commit > status->applied &&
           status->commit - status->applied > node->options.apply_lag_max;
}

/* Why the request is not taken, or 0. */
static int node_refusal(const lash_node *node, bool closing, const struct request *request) {
    if (closing || node->status.error != 0)
        return LASH_CLOSED;
    return request->kind == REQUEST_COMMAND && node_lags(node) ? LASH_BACKLOG : 0;
}

/* From any thread. */
static int node_queue(lash_node *node, struct request *request) {
    uv_mutex_lock(&node->mutex);
    int error = node_refusal(node, node->closing, request);
    bool wake = !error && !node->looks_again && list_empty(&node->incoming);
    if (!error)
        list_push(&node->incoming, &request->link);
    if (wake)
        uv_async_send(&node->wake);
    uv_mutex_unlock(&node->mutex);
    return error;
}

/* From a callback, on the loop thread, which looks again before it sleeps: what the lock guards is its own to read. */
static int node_queue_told(lash_node *node, struct request *request) {
    int error = node_refusal(node, node->stopping, request);
    if (!error)
        list_push(&node->asked, &request->link);
    return error;
}

int node_enqueue(lash_node *node, struct request *request) {
    int error = node_telling == node ? node_queue_told(node, request) : node_queue(node, request);
    if (error)
        request_withdraw(request);
    return error;
}

int node_make_request(lash_node *node, enum request_kind kind, const void *data, size_t size, lash_done_fn done,
                      void *argument, struct request **request) {
    if (request_bytes(&node->gauge) + request_cost(size) > node->options.pending_bytes_max)
        return LASH_BUSY;
    int error = request_new(&node->gauge, kind, data, size, request);
    if (error)
        return error;
    (*request)->done = done;
    (*request)->argument = argument;
    return 0;
}

static int node_request(lash_node *node, enum request_kind kind, const void *data, size_t size, void *user,
                        lash_done_fn done, void *argument) {
    struct request *request;
    int error = node_make_request(node, kind, data, size, done, argument, &request);
    if (error)
        return error;
    request->user = user;
    return node_enqueue(node, request);
}

int lash_node_propose(lash_node *node, const void *data, size_t size, void *request, lash_done_fn done,
                      void *argument) {
    if (size > node->options.entry_bytes_max)
        return LASH_TOO_LARGE;
    return node_request(node, REQUEST_COMMAND, data, size, request, done, argument);
}

int lash_node_barrier(lash_node *node, lash_done_fn done, void *argument) {
    return node_request(node, REQUEST_BARRIER, NULL, 0, NULL, done, argument);
}

int lash_node_read(lash_node *node, lash_done_fn done, void *argument) {
    return node_request(node, REQUEST_READ, NULL, 0, NULL, done, argument);
}

int lash_node_read_as(lash_node *node, enum lash_read_kind kind, uint64_t age_ms_max, lash_done_fn done,
                      void *argument) {
    struct request *request;
    if (kind != LASH_READ_INDEX && kind != LASH_READ_LEASE && kind != LASH_READ_STALE)
        return LASH_INVALID;
    int error = node_make_request(node, REQUEST_READ, NULL, 0, done, argument, &request);
    if (error)
        return error;
    request->read_kind = (uint32_t)kind;
    request->age_ms_max = age_ms_max;
    return node_enqueue(node, request);
}

int lash_node_transfer(lash_node *node, lash_id target, lash_done_fn done, void *argument) {
    struct request *request;
    int error = node_make_request(node, REQUEST_TRANSFER, NULL, 0, done, argument, &request);
    if (error)
        return error;
    request->target = target;
    return node_enqueue(node, request);
}

int lash_node_snapshot(lash_node *node, lash_done_fn done, void *argument) {
    if (!node->machine.restore)
        return LASH_INVALID;
    return node_request(node, REQUEST_SNAPSHOT, NULL, 0, NULL, done, argument);
}
