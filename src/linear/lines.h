/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of histories share: lines of a file, each one JSON object.
 */
#ifndef LASH_LINEAR_LINES_H
#define LASH_LINEAR_LINES_H

#include <stdint.h>
#include <stdio.h>

struct json_object;

/* Said by readers when memory ran out. */
extern const char lines_out_of_memory[];

/* Give every line but blank ones to `each`, which returns what is wrong with it, or NULL. Returns NULL when the file was
 * read to its end; else what is wrong, and *line tells where. */
const char *lines_read(FILE *file, const char *(*each)(void *history, const char *text, uint32_t line), void *history,
                       uint32_t *line);

/* The JSON object that `text` is, to be released with json_object_put; NULL: it is something else, or more than one. */
struct json_object *lines_object(const char *text);

/* The text of a JSON string, as long as that lives; NULL: it is none, or has a zero byte in it. */
const char *lines_string(struct json_object *value);

#endif
