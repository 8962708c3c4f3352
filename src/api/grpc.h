/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC's own formats, pure: length-prefixed messages, timeouts, and
 * percent-encoded texts.
 */
#ifndef LASH_API_GRPC_H
#define LASH_API_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before each message: a byte that says whether it is compressed, and its length, big-endian. */
enum { GRPC_PREFIX_SIZE = 5 };

/* Messages up to this long are kept without an allocation of their own. */
enum { GRPC_FEW = 64 };

/* Gathers the one request message of a unary call from pieces of any size. Make it zero but for `bytes_max`. */
struct grpc_reader {
    size_t bytes_max; /* a longer message is refused */
    uint8_t prefix[GRPC_PREFIX_SIZE];
    size_t prefix_size; /* bytes of the prefix received */
    size_t announced;   /* the message's length, as its prefix said */
    uint8_t *data;      /* the message so far; `few`, if it is no longer than that */
    size_t size;
    size_t capacity;
    uint8_t few[GRPC_FEW];
};

enum grpc_feed {
    GRPC_FEED_OK = 0,
    GRPC_FEED_TOO_LARGE,  /* `announced` is above `bytes_max` */
    GRPC_FEED_COMPRESSED, /* the compressed flag is set */
    GRPC_FEED_BAD_FLAG,   /* neither 0 nor 1 */
    GRPC_FEED_MANY,       /* bytes after the message's end */
    GRPC_FEED_NO_MEMORY,
};

/* Take `size` more bytes. After anything but OK the reader takes no more. */
enum grpc_feed grpc_reader_feed(struct grpc_reader *reader, const uint8_t *data, size_t size);

/* Forget the message. */
void grpc_reader_free(struct grpc_reader *reader);

/* Whether the message is whole. */
bool grpc_reader_whole(const struct grpc_reader *reader);

/* Write the prefix of an uncompressed message of `size` bytes. */
void grpc_prefix(uint8_t at[GRPC_PREFIX_SIZE], uint32_t size);

/* Parse a grpc-timeout ("100m": up to eight digits and one of HMSmun) into milliseconds, rounded up; false if malformed. */
bool grpc_timeout(const char *text, size_t size, uint64_t *timeout_ms);

/* Percent-encode `text` for grpc-message into `out`, which ends with a NUL and holds as many whole characters as fit.
 * Returns the length. */
size_t grpc_percent(const char *text, char *out, size_t capacity);

/* Whether a content-type is gRPC's: "application/grpc", alone or followed by '+' or ';'. */
bool grpc_content_type(const char *text, size_t size);

#endif
