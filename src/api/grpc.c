/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC's own formats: see grpc.h.
 */
#include "api/grpc.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

enum { GRPC_GROW_MIN = 256, GRPC_TIMEOUT_DIGITS_MAX = 8 };

bool grpc_reader_whole(const struct grpc_reader *reader) {
    return reader->prefix_size == GRPC_PREFIX_SIZE && reader->size == reader->announced;
}

/* Room for `size` more bytes of the announced message. Grows with what arrives rather than with what is announced, so
 * that a prefix alone costs its sender more than it costs us. */
static bool grpc_reader_reserve(struct grpc_reader *reader, size_t size) {
    size_t need = reader->size + size;
    if (need <= reader->capacity)
        return true;
    if (reader->announced <= GRPC_FEW) {
        reader->data = reader->few;
        reader->capacity = GRPC_FEW;
        return true;
    }
    size_t capacity = reader->capacity ? reader->capacity * 2 : GRPC_GROW_MIN;
    if (capacity < need)
        capacity = need;
    if (capacity > reader->announced)
        capacity = reader->announced;
    LASH_ASSERT(capacity >= need);
    uint8_t *data = mem_realloc(reader->data, capacity);
    if (!data)
        return false;
    reader->data = data;
    reader->capacity = capacity;
    return true;
}

void grpc_reader_free(struct grpc_reader *reader) {
    if (reader->data != reader->few)
        mem_free(reader->data);
    reader->data = NULL;
}

static enum grpc_feed grpc_reader_prefix(struct grpc_reader *reader) {
    const uint8_t *p = reader->prefix;
    reader->announced = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (p[0] > 1)
        return GRPC_FEED_BAD_FLAG;
    if (p[0] == 1)
        return GRPC_FEED_COMPRESSED;
    return reader->announced > reader->bytes_max ? GRPC_FEED_TOO_LARGE : GRPC_FEED_OK;
}

enum grpc_feed grpc_reader_feed(struct grpc_reader *reader, const uint8_t *data, size_t size) {
    if (reader->prefix_size < GRPC_PREFIX_SIZE) {
        size_t take = GRPC_PREFIX_SIZE - reader->prefix_size;
        if (take > size)
            take = size;
        memcpy(reader->prefix + reader->prefix_size, data, take);
        reader->prefix_size += take;
        data += take;
        size -= take;
        if (reader->prefix_size < GRPC_PREFIX_SIZE)
            return GRPC_FEED_OK;
        enum grpc_feed feed = grpc_reader_prefix(reader);
        if (feed != GRPC_FEED_OK)
            return feed;
    }
    if (size > reader->announced - reader->size)
        return GRPC_FEED_MANY;
    if (size == 0)
        return GRPC_FEED_OK;
    if (!grpc_reader_reserve(reader, size))
        return GRPC_FEED_NO_MEMORY;
    memcpy(reader->data + reader->size, data, size);
    reader->size += size;
    return GRPC_FEED_OK;
}

void grpc_prefix(uint8_t at[GRPC_PREFIX_SIZE], uint32_t size) {
    at[0] = 0;
    at[1] = (uint8_t)(size >> 24);
    at[2] = (uint8_t)(size >> 16);
    at[3] = (uint8_t)(size >> 8);
    at[4] = (uint8_t)size;
}

bool grpc_timeout(const char *text, size_t size, uint64_t *timeout_ms) {
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000}, {'m', 1000000}, {'u', 1000}, {'n', 1}};
    if (size < 2 || size > GRPC_TIMEOUT_DIGITS_MAX + 1)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].unit != text[size - 1])
            continue;
        uint64_t ns_max = UINT64_MAX - 999999; /* 8 digits of hours exceed 64 bits of nanoseconds */
        uint64_t ns = number > ns_max / units[i].ns ? ns_max : number * units[i].ns;
        *timeout_ms = (ns + 999999) / 1000000;
        return true;
    }
    return false;
}

size_t grpc_percent(const char *text, char *out, size_t capacity) {
    static const char hex[] = "0123456789ABCDEF";
    size_t length = 0;
    LASH_ASSERT(capacity > 0);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= 0x20 && c <= 0x7e && c != '%';
        if (length + (plain ? 1 : 3) >= capacity)
            break;
        if (plain) {
            out[length++] = (char)c;
        } else {
            out[length++] = '%';
            out[length++] = hex[c >> 4];
            out[length++] = hex[c & 15];
        }
    }
    out[length] = '\0';
    return length;
}

bool grpc_content_type(const char *text, size_t size) {
    static const char type[] = "application/grpc";
    size_t length = sizeof type - 1;
    if (size < length || memcmp(text, type, length) != 0)
        return false;
    return size == length || text[length] == '+' || text[length] == ';';
}
