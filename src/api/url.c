/* SPDX-License-Identifier: Apache-2.0
 *
 * The URLs of members and clients: see url.h.
 */
#include "api/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define URL_SCHEME "http://"
#define URL_FORM "does not have the form http://HOST:PORT"

static bool url_is_ip(const char *host) {
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* A name of letters, digits, dots, hyphens and underscores, or an IPv4 address. */
static bool url_is_name(const char *host, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)host[i]) && !strchr("-._", host[i]))
            return false;
    return size > 0;
}

static bool url_parse_port(const char *text, size_t size, uint16_t *port) {
    unsigned number = 0;
    if (size == 0 || size > 5)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        number = number * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)number;
    return number >= 1 && number <= UINT16_MAX;
}

/* Split "HOST:PORT" or "[IPV6]:PORT". */
static const char *url_parse_address(const char *text, size_t size, struct url *url) {
    bool bracket = size > 0 && text[0] == '[';
    const char *end = bracket ? memchr(text, ']', size) : memchr(text, ':', size);
    if (!end)
        return URL_FORM;
    const char *host = text + (bracket ? 1 : 0);
    size_t host_size = (size_t)(end - host);
    const char *colon = end + (bracket ? 1 : 0);
    if (colon == text + size || *colon != ':' || host_size == 0)
        return URL_FORM;
    if (host_size >= URL_HOST_MAX)
        return "has a host name that is too long";
    memcpy(url->host, host, host_size);
    url->host[host_size] = '\0';
    if (bracket ? !url_is_ip(url->host) : !url_is_name(host, host_size))
        return "has a host that is neither a name nor an address";
    const char *port = colon + 1;
    if (memchr(port, '/', (size_t)(text + size - port)))
        return "must not contain a path";
    return url_parse_port(port, (size_t)(text + size - port), &url->port) ? NULL : "has no port between 1 and 65535";
}

const char *url_parse(const char *text, size_t size, struct url *url) {
    while (size > 0 && isspace((unsigned char)text[0])) {
        text++;
        size--;
    }
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        size--;
    if (size == 0)
        return "is empty";
    if (size >= URL_TEXT_MAX)
        return "is too long";
    if (memchr(text, '\0', size))
        return URL_FORM; /* a name could end at it and pass for a shorter one */
    *url = (struct url){0};
    memcpy(url->text, text, size);
    if (strncmp(url->text, "https://", 8) == 0)
        return "asks for TLS, which this version does not speak: use http";
    if (strncmp(url->text, URL_SCHEME, strlen(URL_SCHEME)) != 0)
        return URL_FORM;
    return url_parse_address(url->text + strlen(URL_SCHEME), size - strlen(URL_SCHEME), url);
}

const char *url_listen_host(const struct url *url) {
    if (strcmp(url->host, "localhost") == 0)
        return "127.0.0.1";
    return url_is_ip(url->host) ? url->host : NULL;
}
