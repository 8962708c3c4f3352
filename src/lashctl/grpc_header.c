/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and making gRPC's headers and the prefix of its messages.
 */
#include "lashctl/grpc_header.h"

#include <string.h>

#include "lashctl/grpc_client.h"

nghttp2_nv grpc_header(const char *name, const char *value) {
    union {
        const char *text;
        uint8_t *bytes; /* nghttp2 only reads them */
    } n = {.text = name}, v = {.text = value};
    return (nghttp2_nv){n.bytes, v.bytes, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

bool grpc_header_is(const uint8_t *name, size_t size, const char *expected) {
    return size == strlen(expected) && memcmp(name, expected, size) == 0;
}

int grpc_header_number(const uint8_t *digits, size_t size) {
    int number = 0;
    for (size_t at = 0; at < size; at++) {
        if (digits[at] < '0' || digits[at] > '9' || at >= 4)
            return GRPC_UNKNOWN;
        number = number * 10 + (digits[at] - '0');
    }
    return number;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (uint8_t)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_header_text(const uint8_t *from, size_t size, char *to, size_t room) {
    size_t used = 0;
    for (size_t at = 0; at < size && used + 1 < room; at++) {
        if (from[at] == '%' && at + 2 < size && hex_digit(from[at + 1]) >= 0 && hex_digit(from[at + 2]) >= 0) {
            to[used++] = (char)(hex_digit(from[at + 1]) << 4 | hex_digit(from[at + 2]));
            at += 2;
        } else {
            to[used++] = (char)from[at];
        }
    }
    to[used] = '\0';
}

void grpc_prefix_put(uint8_t to[GRPC_PREFIX_BYTES], size_t size) {
    to[0] = 0;
    for (int byte = 0; byte < 4; byte++)
        to[1 + byte] = (uint8_t)(size >> (24 - 8 * byte));
}
