/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's side of HTTP/2 (RFC 9113) for unary calls: see grpc_channel.h.
 */
#include "lashctl/grpc_channel.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

enum {
    CHANNEL_HEAD = 9, /* of a frame */
    CHANNEL_FRAME_MAX = 16384,
    CHANNEL_WINDOW = 16 << 20, /* what the server may send ahead */
    CHANNEL_WINDOW_FIRST = 65535,
    CHANNEL_OUT = 256 << 10,
    CHANNEL_BLOCK_MAX = 64 << 10,   /* of an answer's headers */
    CHANNEL_REQUEST_MAX = 4096,     /* of packed request headers */
    CHANNEL_CONTROL_ROOM = 1 << 10, /* of the output, left for what has to be answered at once */
    CHANNEL_BUCKETS = 1024,
    CHANNEL_TABLE = 4096,     /* of header compression, until the server wants less */
    CHANNEL_TABLE_ENTRY = 32, /* what an entry counts for in it, besides its bytes */
    CHANNEL_TABLE_FIRST = 62, /* the index of the newest entry; what is fixed comes before */
    CHANNEL_HEADERS_MAX = 64, /* so that an index takes a byte */
    CHANNEL_HEADER_HEAD = 7,  /* how it is written, and the lengths of its name and value, of three bytes at most */
    CHANNEL_ID_MAX = 0x7fffffff,
};

enum channel_setting {
    CHANNEL_SETTING_TABLE = 1,
    CHANNEL_SETTING_PUSH = 2,
    CHANNEL_SETTING_STREAMS = 3,
    CHANNEL_SETTING_WINDOW = 4,
};

static const char channel_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct channel_frame {
    size_t size; /* of the payload */
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    const uint8_t *payload;
};

struct grpc_channel {
    const struct grpc_channel_events *events;
    void *context;
    const char *trouble;
    struct list waiting; /* struct grpc_channel_call.link: those that have something to send and may, in order */
    struct grpc_channel_call *buckets[CHANNEL_BUCKETS]; /* calls that have begun, by id */
    size_t active;                                      /* of them */
    size_t active_max;                                  /* the server's bound; 0 until its first settings came */
    bool settled;                                       /* they have */
    uint32_t next_id;
    int64_t window;      /* bytes that the server lets all calls send */
    int64_t call_window; /* what each begins with */
    size_t unconfirmed;  /* bytes received that the server was not told to be taken */

    const nghttp2_nv *headers;
    size_t header_count;
    nghttp2_hd_inflater *inflater;
    uint8_t request[CHANNEL_REQUEST_MAX]; /* the packed headers */
    size_t request_size;
    bool table_is_small; /* the server's is smaller than by default: nothing is put there */
    bool table_is_told;  /* and that it is empty was said */
    bool indexed;        /* the headers are the newest entries of the table */
    bool request_stays;  /* it may be sent again as it is */

    uint32_t block_id; /* whose headers are being received in parts; 0: none */
    bool block_ends;   /* they end the call */
    uint8_t *block;    /* CHANNEL_BLOCK_MAX */
    size_t block_size;

    uint8_t partial[CHANNEL_HEAD + CHANNEL_FRAME_MAX]; /* the beginning of a frame */
    size_t partial_size;

    uint8_t *out; /* CHANNEL_OUT */
    size_t out_at;
    size_t out_size;
};

static void channel_fail(struct grpc_channel *channel, const char *why) {
    if (!channel->trouble)
        channel->trouble = why;
}

static uint32_t channel_number(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void channel_put_number(uint8_t *at, uint32_t number) {
    at[0] = (uint8_t)(number >> 24);
    at[1] = (uint8_t)(number >> 16);
    at[2] = (uint8_t)(number >> 8);
    at[3] = (uint8_t)number;
}

/* ---- Calls by their ids -------------------------------------------------------------------------- */

/* Where the call with this id is linked, or would be. */
static struct grpc_channel_call **channel_find(struct grpc_channel *channel, uint32_t id) {
    struct grpc_channel_call **at = &channel->buckets[id / 2 % CHANNEL_BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static void channel_end(struct grpc_channel *channel, struct grpc_channel_call *call, uint32_t error) {
    struct grpc_channel_call **at = channel_find(channel, call->id);
    LASH_ASSERT(*at == call && channel->active > 0);
    *at = call->next;
    channel->active--;
    list_remove(&call->link);
    channel->events->end(channel->context, call, error);
}

/* ---- Output -------------------------------------------------------------------------------------- */

/* Room for a frame's payload of `size` bytes, behind its head; NULL: there is none. */
static uint8_t *channel_frame(struct grpc_channel *channel, uint8_t type, uint8_t flags, uint32_t id, size_t size) {
    if (CHANNEL_OUT - channel->out_size < CHANNEL_HEAD + size)
        return NULL;
    uint8_t *at = channel->out + channel->out_size;
    channel_put_number(at, (uint32_t)size << 8 | type);
    at[4] = flags;
    channel_put_number(at + 5, id);
    channel->out_size += CHANNEL_HEAD + size;
    return at + CHANNEL_HEAD;
}

/* Answers to the server go ahead of calls: a server that asks for more than there is room for gets no more of us. */
static void channel_control(struct grpc_channel *channel, uint8_t type, uint8_t flags, uint32_t id,
                            const uint8_t *payload, size_t size) {
    uint8_t *at = channel_frame(channel, type, flags, id, size);
    if (!at)
        channel_fail(channel, "the server asks too much of its client");
    else if (size)
        memcpy(at, payload, size);
}

static void channel_confirm(struct grpc_channel *channel, uint32_t id, size_t *unconfirmed) {
    if (*unconfirmed < CHANNEL_WINDOW / 2)
        return;
    uint8_t increment[4];
    channel_put_number(increment, (uint32_t)*unconfirmed);
    channel_control(channel, NGHTTP2_WINDOW_UPDATE, 0, id, increment, sizeof increment);
    *unconfirmed = 0;
}

/* A name or a value, behind its length (RFC 7541, 5.1 and 5.2). */
static uint8_t *channel_put_text(uint8_t *at, const uint8_t *text, size_t size) {
    const size_t prefix = 0x7f;
    if (size < prefix) {
        *at++ = (uint8_t)size;
    } else {
        *at++ = (uint8_t)prefix;
        size_t left = size - prefix;
        for (; left >= 0x80; left >>= 7)
            *at++ = (uint8_t)(left | 0x80);
        *at++ = (uint8_t)left;
    }
    memcpy(at, text, size);
    return at + size;
}

/* Whether the headers fit a block of ours; *in_table says whether they fit the table, too. */
static bool channel_fits(const struct grpc_channel *channel, bool *in_table) {
    size_t packed = 1, entries = 0;
    for (size_t i = 0; i < channel->header_count; i++) {
        size_t texts = channel->headers[i].namelen + channel->headers[i].valuelen;
        packed += CHANNEL_HEADER_HEAD + texts;
        entries += CHANNEL_TABLE_ENTRY + texts;
    }
    *in_table = entries <= CHANNEL_TABLE && !channel->table_is_small;
    return packed <= CHANNEL_REQUEST_MAX && channel->header_count <= CHANNEL_HEADERS_MAX;
}

/* Pack the headers: all of them as they are, to be put in the table if they fit, and from then on as references to it, the last
 * header's being the newest entry. Those leave the table as it is, and will do for all calls. */
static bool channel_pack(struct grpc_channel *channel) {
    bool in_table;
    if (!channel_fits(channel, &in_table)) {
        channel_fail(channel, "the headers are too long");
        return false;
    }
    uint8_t *at = channel->request;
    if (channel->table_is_small && !channel->table_is_told)
        *at++ = 0x20; /* a size update: none */
    channel->table_is_told = channel->table_is_small;
    for (size_t i = 0; i < channel->header_count; i++) {
        const nghttp2_nv *header = &channel->headers[i];
        if (channel->indexed) {
            *at++ = (uint8_t)(0x80 | (CHANNEL_TABLE_FIRST + channel->header_count - 1 - i));
            continue;
        }
        *at++ = in_table ? 0x40 : 0; /* a literal, with or without indexing */
        at = channel_put_text(at, header->name, header->namelen);
        at = channel_put_text(at, header->value, header->valuelen);
    }
    channel->request_stays = channel->indexed;
    channel->indexed = in_table;
    channel->request_size = (size_t)(at - channel->request);
    return true;
}

/* Send the call's headers. False: it has to wait. */
static bool channel_open_call(struct grpc_channel *channel, struct grpc_channel_call *call) {
    if (channel->active >= channel->active_max ||
        CHANNEL_OUT - channel->out_size < CHANNEL_HEAD + CHANNEL_REQUEST_MAX + CHANNEL_CONTROL_ROOM)
        return false;
    if (channel->next_id > CHANNEL_ID_MAX) {
        channel_fail(channel, "the connection has had all calls that it can");
        return false;
    }
    if (!channel->request_stays && !channel_pack(channel))
        return false;
    call->id = channel->next_id;
    channel->next_id += 2;
    call->window = channel->call_window;
    struct grpc_channel_call **at = channel_find(channel, call->id);
    LASH_ASSERT(!*at);
    *at = call;
    channel->active++;
    uint8_t *block = channel_frame(channel, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, call->id, channel->request_size);
    memcpy(block, channel->request, channel->request_size);
    return true;
}

/* Send some of the body. False: the channel has no room for it. */
static bool channel_send_body(struct grpc_channel *channel, struct grpc_channel_call *call) {
    size_t size = call->body_size - call->body_at;
    size_t room = CHANNEL_OUT - channel->out_size;
    if (channel->window <= 0 || room <= CHANNEL_HEAD + CHANNEL_CONTROL_ROOM)
        return false;
    room -= CHANNEL_HEAD + CHANNEL_CONTROL_ROOM;
    if (room < CHANNEL_FRAME_MAX && room < size)
        return false; /* soon there is more */
    if (size > CHANNEL_FRAME_MAX)
        size = CHANNEL_FRAME_MAX;
    if ((int64_t)size > call->window)
        size = (size_t)call->window;
    if ((int64_t)size > channel->window)
        size = (size_t)channel->window;
    bool last = call->body_at + size == call->body_size;
    uint8_t *to = channel_frame(channel, NGHTTP2_DATA, last ? NGHTTP2_FLAG_END_STREAM : 0, call->id, size);
    memcpy(to, call->body + call->body_at, size);
    call->body_at += size;
    call->window -= (int64_t)size;
    channel->window -= (int64_t)size;
    return true;
}

/* Let the calls that wait send what they may. */
static void channel_pump(struct grpc_channel *channel) {
    while (!list_empty(&channel->waiting) && !channel->trouble) {
        struct grpc_channel_call *call = list_entry(channel->waiting.next, struct grpc_channel_call, link);
        if (call->id == 0 && !channel_open_call(channel, call))
            return;
        while (call->body_at < call->body_size && call->window > 0)
            if (!channel_send_body(channel, call))
                return;
        list_remove(&call->link); /* who has used up its window waits for more of it */
    }
}

size_t grpc_channel_output(struct grpc_channel *channel, const uint8_t **data) {
    channel_pump(channel);
    *data = channel->out + channel->out_at;
    return channel->out_size - channel->out_at;
}

void grpc_channel_sent(struct grpc_channel *channel, size_t size) {
    LASH_ASSERT(size <= channel->out_size - channel->out_at);
    channel->out_at += size;
    if (channel->out_at < channel->out_size)
        return;
    channel->out_at = 0;
    channel->out_size = 0;
}

/* ---- Input --------------------------------------------------------------------------------------- */

/* Take the padding off. False: it is longer than the frame. */
static bool channel_unpad(struct channel_frame *frame) {
    if (!(frame->flags & NGHTTP2_FLAG_PADDED))
        return true;
    if (frame->size == 0 || frame->payload[0] >= frame->size)
        return false;
    frame->size -= 1u + frame->payload[0];
    frame->payload++;
    return true;
}

/* The server has ended the call: before all of it was sent, it wants none of the rest. */
static void channel_answered(struct grpc_channel *channel, struct grpc_channel_call *call) {
    uint8_t code[4];
    channel_put_number(code, NGHTTP2_NO_ERROR);
    if (call->body_at < call->body_size)
        channel_control(channel, NGHTTP2_RST_STREAM, 0, call->id, code, sizeof code);
    channel_end(channel, call, 0);
}

static void channel_take_data(struct grpc_channel *channel, struct channel_frame *frame) {
    struct grpc_channel_call *call = *channel_find(channel, frame->id);
    channel->unconfirmed += frame->size;
    channel_confirm(channel, 0, &channel->unconfirmed);
    if (!call)
        return;
    call->unconfirmed += frame->size;
    if (!channel_unpad(frame)) {
        channel_fail(channel, "the server's padding is too long");
        return;
    }
    channel->events->data(channel->context, call, frame->size);
    if (frame->flags & NGHTTP2_FLAG_END_STREAM)
        channel_answered(channel, call);
    else
        channel_confirm(channel, call->id, &call->unconfirmed);
}

/* Unpack a whole block, also for a call that is gone: the tables change with it. */
static void channel_take_block(struct grpc_channel *channel, uint32_t id, const uint8_t *block, size_t size,
                               bool ends) {
    struct grpc_channel_call *call = *channel_find(channel, id);
    for (;;) {
        nghttp2_nv header;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(channel->inflater, &header, &flags, block, size, 1);
        if (used < 0) {
            channel_fail(channel, "the server's headers cannot be unpacked");
            return;
        }
        block += used;
        size -= (size_t)used;
        if (call && (flags & NGHTTP2_HD_INFLATE_EMIT))
            channel->events->header(channel->context, call, &header);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    (void)nghttp2_hd_inflate_end_headers(channel->inflater);
    if (call && ends)
        channel_answered(channel, call);
}

static void channel_take_headers(struct grpc_channel *channel, struct channel_frame *frame) {
    const size_t priority = frame->flags & NGHTTP2_FLAG_PRIORITY ? 5 : 0;
    bool sound = channel_unpad(frame) && frame->size >= priority;
    bool ends = frame->flags & NGHTTP2_FLAG_END_STREAM;
    if (!sound) {
        channel_fail(channel, "the server's frame of headers is too short");
        return;
    }
    frame->payload += priority;
    frame->size -= priority;
    if (frame->flags & NGHTTP2_FLAG_END_HEADERS) {
        channel_take_block(channel, frame->id, frame->payload, frame->size, ends);
        return;
    }
    channel->block_id = frame->id;
    channel->block_ends = ends;
    channel->block_size = frame->size;
    memcpy(channel->block, frame->payload, frame->size);
}

static void channel_take_continuation(struct grpc_channel *channel, struct channel_frame *frame) {
    if (channel->block_id == 0 || frame->size > CHANNEL_BLOCK_MAX - channel->block_size) {
        channel_fail(channel, "the server's headers are too long, or continue none");
        return;
    }
    memcpy(channel->block + channel->block_size, frame->payload, frame->size);
    channel->block_size += frame->size;
    if (!(frame->flags & NGHTTP2_FLAG_END_HEADERS))
        return;
    channel->block_id = 0;
    channel_take_block(channel, frame->id, channel->block, channel->block_size, channel->block_ends);
}

static void channel_take_reset(struct grpc_channel *channel, struct channel_frame *frame) {
    struct grpc_channel_call *call = *channel_find(channel, frame->id);
    if (frame->size != 4) {
        channel_fail(channel, "the server's reset has a wrong size");
        return;
    }
    /* Any reset before the end leaves the call without an answer. */
    uint32_t error = channel_number(frame->payload);
    if (call)
        channel_end(channel, call, error ? error : NGHTTP2_CANCEL);
}

/* The call may send again, if it has something left. */
static void channel_wake(struct grpc_channel *channel, struct grpc_channel_call *call) {
    if (call->body_at < call->body_size && call->window > 0 && list_empty(&call->link))
        list_push(&channel->waiting, &call->link);
}

/* The windows of all calls change by as much as the first one does. */
static void channel_set_window(struct grpc_channel *channel, uint32_t window) {
    int64_t more = (int64_t)window - channel->call_window;
    channel->call_window = window;
    for (size_t i = 0; i < CHANNEL_BUCKETS; i++) {
        for (struct grpc_channel_call *call = channel->buckets[i]; call; call = call->next) {
            call->window += more;
            channel_wake(channel, call);
        }
    }
}

static void channel_set(struct grpc_channel *channel, uint16_t setting, uint32_t value) {
    if (setting == CHANNEL_SETTING_TABLE && value < CHANNEL_TABLE) {
        channel->table_is_small = true;
        channel->indexed = channel->request_stays = false;
    } else if (setting == CHANNEL_SETTING_STREAMS) {
        channel->active_max = value;
    } else if (setting == CHANNEL_SETTING_WINDOW) {
        channel_set_window(channel, value);
    }
}

static void channel_take_settings(struct grpc_channel *channel, struct channel_frame *frame) {
    if (frame->flags & NGHTTP2_FLAG_ACK)
        return;
    if (frame->size % 6 != 0) {
        channel_fail(channel, "the server's settings have a wrong size");
        return;
    }
    if (!channel->settled)
        channel->active_max = SIZE_MAX;
    channel->settled = true;
    for (const uint8_t *at = frame->payload; at < frame->payload + frame->size; at += 6)
        channel_set(channel, (uint16_t)(at[0] << 8 | at[1]), channel_number(at + 2));
    channel_control(channel, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
}

static void channel_take_ping(struct grpc_channel *channel, struct channel_frame *frame) {
    if (frame->size != 8)
        channel_fail(channel, "the server's ping has a wrong size");
    else if (!(frame->flags & NGHTTP2_FLAG_ACK))
        channel_control(channel, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, frame->payload, frame->size);
}

static void channel_take_window(struct grpc_channel *channel, struct channel_frame *frame) {
    if (frame->size != 4) {
        channel_fail(channel, "the server's window has a wrong size");
        return;
    }
    uint32_t more = channel_number(frame->payload) & CHANNEL_ID_MAX;
    struct grpc_channel_call *call = frame->id ? *channel_find(channel, frame->id) : NULL;
    if (frame->id == 0)
        channel->window += more;
    else if (call) {
        call->window += more;
        channel_wake(channel, call);
    }
}

static void channel_take_goaway(struct grpc_channel *channel, struct channel_frame *frame) {
    (void)frame;
    channel_fail(channel, "the server is going away");
}

static void channel_take_push(struct grpc_channel *channel, struct channel_frame *frame) {
    (void)frame;
    channel_fail(channel, "the server pushes what it was told not to");
}

/* A frame of a kind that says nothing to us is left alone. */
static void channel_take_frame(struct grpc_channel *channel, struct channel_frame *frame) {
    static void (*const takers[])(struct grpc_channel * channel, struct channel_frame * frame) = {
        [NGHTTP2_DATA] = channel_take_data,
        [NGHTTP2_HEADERS] = channel_take_headers,
        [NGHTTP2_RST_STREAM] = channel_take_reset,
        [NGHTTP2_SETTINGS] = channel_take_settings,
        [NGHTTP2_PUSH_PROMISE] = channel_take_push,
        [NGHTTP2_PING] = channel_take_ping,
        [NGHTTP2_GOAWAY] = channel_take_goaway,
        [NGHTTP2_WINDOW_UPDATE] = channel_take_window,
        [NGHTTP2_CONTINUATION] = channel_take_continuation,
    };
    if (channel->block_id != 0 && (frame->type != NGHTTP2_CONTINUATION || frame->id != channel->block_id))
        channel_fail(channel, "the server interrupts its headers");
    else if (frame->type < sizeof takers / sizeof *takers && takers[frame->type])
        takers[frame->type](channel, frame);
}

/* Take the frame at `data`, if it is whole. Returns its size; 0: more is needed. */
static size_t channel_take(struct grpc_channel *channel, const uint8_t *data, size_t size) {
    if (size < CHANNEL_HEAD)
        return 0;
    struct channel_frame frame = {.size = channel_number(data) >> 8,
                                  .type = data[3],
                                  .flags = data[4],
                                  .id = channel_number(data + 5) & CHANNEL_ID_MAX,
                                  .payload = data + CHANNEL_HEAD};
    size_t whole = CHANNEL_HEAD + frame.size;
    if (frame.size > CHANNEL_FRAME_MAX)
        channel_fail(channel, "the server's frame is too long");
    else if (size >= whole)
        channel_take_frame(channel, &frame);
    return size >= whole ? whole : 0;
}

/* Add to the frame that has begun, as much as it is known to be. Returns how much of `data` was taken. */
static size_t channel_complete(struct grpc_channel *channel, const uint8_t *data, size_t size) {
    size_t known = CHANNEL_HEAD;
    if (channel->partial_size >= CHANNEL_HEAD)
        known += channel_number(channel->partial) >> 8;
    size_t taken = known - channel->partial_size < size ? known - channel->partial_size : size;
    memcpy(channel->partial + channel->partial_size, data, taken);
    channel->partial_size += taken;
    if (channel_take(channel, channel->partial, channel->partial_size) > 0)
        channel->partial_size = 0;
    return taken;
}

const char *grpc_channel_receive(struct grpc_channel *channel, const uint8_t *data, size_t size) {
    while (size > 0 && !channel->trouble) {
        size_t taken = channel->partial_size ? 0 : channel_take(channel, data, size);
        if (taken == 0 && !channel->trouble)
            taken = channel_complete(channel, data, size);
        data += taken;
        size -= taken;
    }
    return channel->trouble;
}

/* ---- Life ---------------------------------------------------------------------------------------- */

/* What a client says first: that it wants nothing pushed, and takes a lot at once. */
static void channel_greet(struct grpc_channel *channel) {
    uint8_t settings[12] = {0, CHANNEL_SETTING_PUSH, 0, 0, 0, 0, 0, CHANNEL_SETTING_WINDOW};
    uint8_t more[4];
    memcpy(channel->out, channel_preface, sizeof channel_preface - 1);
    channel->out_size = sizeof channel_preface - 1;
    channel_put_number(settings + 8, CHANNEL_WINDOW);
    channel_control(channel, NGHTTP2_SETTINGS, 0, 0, settings, sizeof settings);
    channel_put_number(more, CHANNEL_WINDOW - CHANNEL_WINDOW_FIRST);
    channel_control(channel, NGHTTP2_WINDOW_UPDATE, 0, 0, more, sizeof more);
}

struct grpc_channel *grpc_channel_new(const struct grpc_channel_events *events, void *context) {
    struct grpc_channel *channel = mem_calloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    channel->events = events;
    channel->context = context;
    channel->next_id = 1;
    channel->window = CHANNEL_WINDOW_FIRST;
    channel->call_window = CHANNEL_WINDOW_FIRST;
    list_init(&channel->waiting);
    channel->out = mem_alloc(CHANNEL_OUT);
    channel->block = mem_alloc(CHANNEL_BLOCK_MAX);
    if (!channel->out || !channel->block || nghttp2_hd_inflate_new(&channel->inflater)) {
        grpc_channel_free(channel);
        return NULL;
    }
    channel_greet(channel);
    return channel;
}

void grpc_channel_free(struct grpc_channel *channel) {
    if (!channel)
        return;
    nghttp2_hd_inflate_del(channel->inflater);
    mem_free(channel->out);
    mem_free(channel->block);
    mem_free(channel);
}

void grpc_channel_headers(struct grpc_channel *channel, const nghttp2_nv *headers, size_t count) {
    channel->headers = headers;
    channel->header_count = count;
    channel->indexed = channel->request_stays = false;
}

void grpc_channel_begin(struct grpc_channel *channel, struct grpc_channel_call *call, const uint8_t *message,
                        size_t size) {
    LASH_ASSERT(size > 0 && channel->headers);
    *call = (struct grpc_channel_call){.body = message, .body_size = size};
    list_init(&call->link);
    list_push(&channel->waiting, &call->link);
}

const char *grpc_channel_trouble(const struct grpc_channel *channel) {
    return channel->trouble;
}
