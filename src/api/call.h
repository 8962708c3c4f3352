/* SPDX-License-Identifier: Apache-2.0
 *
 * A call: one request on its way to an answer. It outlives its client: while the
 * node has it, it waits for the node, whether somebody still wants the answer or
 * not.
 *
 * Threads: the loop's, except that a call's `execute` may run on a worker.
 */
#ifndef LASH_API_CALL_H
#define LASH_API_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "api/errors.h"
#include "api/loop.h"
#include "base/buf.h"
#include "store/arena.h"

struct call;

/* A method of a service. */
struct call_method {
    const char *service;
    const char *name;
    const ProtobufCMessageDescriptor *request;
    void (*start)(struct call *call); /* `message` is decoded; ends in call_fail or call_answer, now or later */
    bool (*by_learner)(const struct call *call); /* whether a learner serves it; NULL: it does not */
    bool by_witness;                             /* whether a witness does */
};

struct call {
    struct loop *loop;
    struct list in_loop;    /* loop->calls while it is not over */
    struct list in_reading; /* of those that ask the node for a read together, while the call is one */
    struct completion completion;
    uint32_t references;  /* the owner's, and one for each thing that the call waits for */
    _Atomic bool over;    /* answered, or nobody waits for the answer; the loop's, workers may look */
    uint64_t deadline_ms; /* loop time; UINT64_MAX: none */
    const struct call_method *method;

    /* Whose call it is. `finished` is called once, from within the loop's turn, unless call_abandon came first. */
    void (*finished)(struct call *call);
    void (*pushed)(struct call *call); /* a message of a stream of answers is in `answer`; ends in call_sent */
    void *owner;

    /* The request. */
    ProtobufCMessage *message;     /* in the arena */
    bool require_leader;           /* the client wants no answer from a member without a leader */
    enum lash_read_kind read_kind; /* how it wants to read, where it reads linearizably */
    uint64_t read_age_ms_max;
    size_t held;               /* bytes counted in loop->buffered */
    struct store_arena *arena; /* for the call's own structures, and the call itself */
    struct store_op op;
    void *kept; /* what the method keeps between its steps, in the arena */

    /* What the call waits for. */
    void (*resume)(struct call *call, int error);
    int resume_error;
    uv_work_t work;
    void (*execute)(struct call *call);

    /* What whoever has the call makes of it, on its thread; call_finish makes it the outcome. */
    uint64_t term;              /* for the answer's header */
    struct store_result result; /* apply's while the node has the call */
    enum api_error recorded;    /* API_OK: `encoded` is the answer */
    struct buf *encoded;        /* with its prefix */

    /* A stream of answers, by call_stream. */
    void (*next)(struct call *call);    /* NULL: there is one answer */
    void (*dispose)(struct call *call); /* before the call is freed, unless NULL */
    void *stream;                       /* what the answers are made of, in the arena */
    bool last;                          /* `answer` is the last message */

    /* The outcome, once it is over; the loop's. */
    enum grpc_code code;
    const char *text;   /* of an error: a constant, or in the arena */
    struct buf *answer; /* NULL unless code is GRPC_OK */
};

enum { CALL_TEXT_MAX = 256 };

/* A call with one reference, the owner's; NULL when memory ran out. Its arena has room for `size` bytes of the owner's. */
struct call *call_new(struct loop *loop, void (*finished)(struct call *call), void *owner, size_t size);

/* When the call fails with API_DEADLINE_EXCEEDED, in loop time. */
void call_deadline(struct call *call, uint64_t deadline_ms);

/* Decode the request, whose bytes are only read during the call, and start its method. */
void call_start(struct call *call, const struct call_method *method, const uint8_t *data, size_t size);

/* The owner does not want the answer any more, and gives up its reference. */
void call_abandon(struct call *call);

/* The owner is done with the answer, and gives up its reference. */
void call_unref(struct call *call);

/* Finish with an error, also while a worker has the call, whose outcome then counts no more, but with a formatted text only while none
 * has: it is the arena's, and cut to CALL_TEXT_MAX. */
void call_fail(struct call *call, enum api_error error);
void call_fail_text(struct call *call, enum grpc_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Encode the answer; any thread that has the call. Records an error when memory runs out. */
void call_encode(struct call *call, const ProtobufCMessage *answer);

/* The answer is `text` (a reference, given up), or, when that is NULL, that memory ran out; as call_encode. */
void call_encoded(struct call *call, struct buf *text);

/* Record an error without finishing yet; any thread that has the call. */
void call_record(struct call *call, enum api_error error);

/* Finish with what was encoded or recorded, by whoever had the call and gave it back. */
void call_finish(struct call *call);

/* The answer is a stream of messages: from now on, whenever the client takes another one, `next` is called, which sees to it that
 * later, not before it returns, call_push or call_fail is. */
void call_stream(struct call *call, void (*next)(struct call *call));

/* What was encoded is the stream's next message, and the last one if `last`; or the call fails with what was recorded. */
void call_push(struct call *call, bool last);

/* For the owner: the message in `answer` is on its way, and the next one is welcome. */
void call_sent(struct call *call);

/* The node's services: `resume` is called with the error once it is through, unless the call is over by then. */
void call_propose(struct call *call, const void *data, size_t size, void (*resume)(struct call *call, int error));
void call_read(struct call *call, void (*resume)(struct call *call, int error));

void call_transfer(struct call *call, uint64_t target, void (*resume)(struct call *call, int error));

/* Whatever `ask` asks of the node, whose end is told to `done` with `call`; it returns an error, if the node does not take it. */
void call_change(struct call *call, int (*ask)(lash_node *node, struct call *call, lash_done_fn done),
                 void (*resume)(struct call *call, int error));

/* The node's state now; false once it is closing. */
bool call_status(struct call *call, struct lash_status *status);

/* Likewise what it counts and measures. */
bool call_metrics(struct call *call, struct lash_metrics *metrics);

/* Run `execute` on a worker thread, then `resume` here. */
void call_offload(struct call *call, void (*execute)(struct call *call), void (*resume)(struct call *call, int error));

/* What the call waited for is through with it. */
void call_resume(struct call *call, int error);

#endif
