/* SPDX-License-Identifier: Apache-2.0
 *
 * The URLs of members and clients: "http://HOST:PORT", nothing more.
 */
#ifndef LASH_API_URL_H
#define LASH_API_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { URL_HOST_MAX = 254, URL_TEXT_MAX = 280 };

struct url {
    char text[URL_TEXT_MAX]; /* as given, without white space around it */
    char host[URL_HOST_MAX]; /* without the brackets of an IPv6 address */
    uint16_t port;
};

/* Parse `size` characters. NULL, or what is wrong with them, as the end of a sentence that names the URL. */
const char *url_parse(const char *text, size_t size, struct url *url);

/* The numeric address to listen on for a URL's host: the host itself, or the loopback address for "localhost"; NULL for
 * other names, which say nothing about this machine's interfaces. */
const char *url_listen_host(const struct url *url);

#endif
