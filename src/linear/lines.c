/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of histories; see lines.h.
 */
#include "linear/lines.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

#define LINE_BYTES_MAX (1u << 20)
#define BLANKS " \t\r\n"

const char lines_out_of_memory[] = "out of memory";

const char *lines_read(FILE *file, const char *(*each)(void *history, const char *text, uint32_t line), void *history,
                       uint32_t *line) {
    char *text = mem_alloc(LINE_BYTES_MAX);
    const char *wrong = text ? NULL : lines_out_of_memory;
    *line = 0;
    while (!wrong && fgets(text, LINE_BYTES_MAX, file)) {
        ++*line;
        if (!strchr(text, '\n'))
            wrong = "the line is cut off, or too long";
        else if (text[strspn(text, BLANKS)] != '\0')
            wrong = each(history, text, *line);
    }
    if (!wrong && ferror(file))
        wrong = "it cannot be read";
    mem_free(text);
    return wrong;
}

struct json_object *lines_object(const char *text) {
    struct json_tokener *tokener = json_tokener_new();
    if (!tokener)
        return NULL;
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
    const char *rest = text + json_tokener_get_parse_end(tokener);
    bool whole = json_tokener_get_error(tokener) == json_tokener_success && rest[strspn(rest, BLANKS)] == '\0';
    json_tokener_free(tokener);
    if (whole && json_object_is_type(object, json_type_object))
        return object;
    (void)json_object_put(object);
    return NULL;
}

const char *lines_string(struct json_object *value) {
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    const char *text = json_object_get_string(value);
    return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}
