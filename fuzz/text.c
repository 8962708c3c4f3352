/* SPDX-License-Identifier: Apache-2.0
 *
 * Small languages: URLs, the heads of HTTP/1.1 requests, gRPC's timeouts and
 * percent-encoding, and what `lashctl txn` reads.
 *
 * Input: a byte that chooses one, the text.
 */
#include <ctype.h>
#include <stdio.h>

#include "api/grpc.h"
#include "api/http1.h"
#include "api/url.h"
#include "base/buf.h"
#include "fuzz.h"
#include "lashctl/txn_parse.h"
#include "transport/address.h"

enum { WORDS_MAX = 8 };

static void check_url(const uint8_t *data, size_t size) {
    struct url url, again;
    char *text = (char *)fuzz_copy(data, size);
    const char *wrong = url_parse(text, size, &url);
    mem_free(text);
    if (wrong) {
        LASH_ASSERT(*wrong);
        return;
    }
    LASH_ASSERT(url.port > 0 && strlen(url.host) > 0 && strlen(url.host) < URL_HOST_MAX);
    LASH_ASSERT(strstr(url.text, url.host));
    LASH_ASSERT(url_parse(url.text, strlen(url.text), &again) == NULL);
    LASH_ASSERT(strcmp(again.text, url.text) == 0 && strcmp(again.host, url.host) == 0 && again.port == url.port);
    struct sockaddr_storage address;
    const char *listen = url_listen_host(&url);
    if (listen)
        LASH_ASSERT(address_from_numbers(listen, url.port, &address) && address_port(&address) == url.port);
}

static void check_http1(const uint8_t *data, size_t size) {
    struct http1_request request;
    char *head = (char *)fuzz_copy(data, size);
    if (http1_parse(head, size, &request)) {
        LASH_ASSERT(request.method >= head && request.method + request.method_size <= head + size);
        LASH_ASSERT(request.target >= head && request.target + request.target_size <= head + size);
        LASH_ASSERT(request.method_size > 0);
    }
    mem_free(head);
}

static int hex_value(char digit) {
    return digit <= '9' ? digit - '0' : digit - 'A' + 10;
}

static void check_grpc_texts(const char *text, size_t size) {
    uint64_t timeout = 0;
    if (grpc_timeout(text, size, &timeout))
        LASH_ASSERT(size >= 2 && size <= 9 && isdigit((unsigned char)text[0]));
    if (grpc_content_type(text, size))
        LASH_ASSERT(size >= 16);
    /* What is percent-encoded and decoded again is the beginning of the text; all of it where there is room. */
    char *out = mem_alloc(3 * size + 1);
    LASH_ASSERT(out);
    for (size_t capacity = 3 * size + 1, tries = 0; tries < 2; capacity = 1 + size / 2, tries++) {
        size_t length = grpc_percent(text, out, capacity), at = 0, decoded = 0;
        LASH_ASSERT(length < capacity && out[length] == '\0');
        for (; at < length; decoded++) {
            bool escape = out[at] == '%';
            int value = escape ? hex_value(out[at + 1]) * 16 + hex_value(out[at + 2]) : out[at];
            LASH_ASSERT((char)value == text[decoded] && out[at] >= 0x20 && out[at] <= 0x7e);
            at += escape ? 3 : 1;
        }
        LASH_ASSERT(tries > 0 || decoded == strlen(text));
    }
    mem_free(out);
}

static void check_txn(char *line, size_t size) {
    Etcdserverpb__Compare compare;
    char problem[512], *copy = mem_strdup(line);
    LASH_ASSERT(copy);
    if (txn_parse_compare(line, &compare, problem, sizeof problem)) {
        const uint8_t *begin = (const uint8_t *)line;
        LASH_ASSERT(compare.key.data > begin && compare.key.data + compare.key.len <= begin + size);
        if (compare.target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE)
            LASH_ASSERT(compare.value.data > begin && compare.value.data + compare.value.len <= begin + size);
    } else {
        LASH_ASSERT(strncmp(problem, "malformed comparison: ", 22) == 0);
    }
    const char *words[WORDS_MAX];
    int count = txn_parse_words(copy, words, WORDS_MAX);
    LASH_ASSERT(count >= -1 && count <= WORDS_MAX);
    for (int at = 0; at < count; at++)
        LASH_ASSERT(words[at] >= copy && words[at] + strlen(words[at]) <= copy + size);
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    unsigned kind = data[0] % 4;
    data++;
    size--;
    char *text = mem_alloc(size + 1);
    LASH_ASSERT(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (kind == 0)
        check_url(data, size);
    else if (kind == 1)
        check_http1(data, size);
    else if (kind == 2)
        check_grpc_texts(text, strlen(text));
    else
        check_txn(text, strlen(text));
    mem_free(text);
    return 0;
}
