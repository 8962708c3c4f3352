/* SPDX-License-Identifier: Apache-2.0
 *
 * Prometheus' text format: see exposition.h.
 */
#include "api/exposition.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum { EXPOSITION_ROOM_MIN = 16 * 1024, EXPOSITION_NUMBER_SIZE = 32 };

/* ---- Text ---------------------------------------------------------------------------------------- */

/* Room for `size` bytes more. */
static bool exposition_reserve(struct exposition *exposition, size_t size) {
    struct buf *text = exposition->text;
    if (exposition->failed)
        return false;
    if (text && text->capacity - text->size >= size)
        return true;
    size_t used = text ? text->size : 0;
    size_t capacity = (used + size) * 2;
    struct buf *longer = buf_new(capacity < EXPOSITION_ROOM_MIN ? EXPOSITION_ROOM_MIN : capacity);
    if (longer && text)
        memcpy(longer->data, text->data, used);
    if (longer)
        longer->size = used;
    buf_unref(text);
    exposition->text = longer;
    exposition->failed = longer == NULL;
    return longer != NULL;
}

static void exposition_add(struct exposition *exposition, const char *text, size_t size) {
    if (!exposition_reserve(exposition, size))
        return;
    memcpy(exposition->text->data + exposition->text->size, text, size);
    exposition->text->size += size;
}

static void exposition_text(struct exposition *exposition, const char *text) {
    exposition_add(exposition, text, strlen(text));
}

/* A label's value, or, without `quotes`, a help text: in that quotes stay as they are. */
static void exposition_escaped(struct exposition *exposition, const char *text, bool quotes) {
    for (; *text; text++) {
        if (*text == '\\')
            exposition_text(exposition, "\\\\");
        else if (*text == '\n')
            exposition_text(exposition, "\\n");
        else if (*text == '"' && quotes)
            exposition_text(exposition, "\\\"");
        else
            exposition_add(exposition, text, 1);
    }
}

/* ---- Samples ------------------------------------------------------------------------------------- */

static void exposition_label(struct exposition *exposition, bool first, const char *name, const char *value) {
    exposition_text(exposition, first ? "{" : ",");
    exposition_text(exposition, name);
    exposition_text(exposition, "=\"");
    exposition_escaped(exposition, value, true);
    exposition_text(exposition, "\"");
}

/* One line; `bound` is a bucket's, or NULL. */
static void exposition_sample(struct exposition *exposition, const char *suffix, const struct exposition_labels *labels,
                              const char *bound, const char *value) {
    bool any = false;
    LASH_ASSERT(exposition->family);
    exposition_text(exposition, exposition->family);
    exposition_text(exposition, suffix);
    for (size_t i = 0; labels && i < EXPOSITION_LABELS_MAX && labels->labels[i].name; i++) {
        exposition_label(exposition, !any, labels->labels[i].name, labels->labels[i].value);
        any = true;
    }
    if (bound)
        exposition_label(exposition, !any, "le", bound);
    exposition_text(exposition, any || bound ? "} " : " ");
    exposition_text(exposition, value);
    exposition_text(exposition, "\n");
}

void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type, const char *help) {
    static const char *const types[] = {
        [EXPOSITION_COUNTER] = "counter", [EXPOSITION_GAUGE] = "gauge", [EXPOSITION_HISTOGRAM] = "histogram"};
    exposition->family = name;
    exposition_text(exposition, "# HELP ");
    exposition_text(exposition, name);
    exposition_text(exposition, " ");
    exposition_escaped(exposition, help, false);
    exposition_text(exposition, "\n# TYPE ");
    exposition_text(exposition, name);
    exposition_text(exposition, " ");
    exposition_text(exposition, types[type]);
    exposition_text(exposition, "\n");
}

void exposition_count(struct exposition *exposition, const struct exposition_labels *labels, uint64_t value) {
    char text[EXPOSITION_NUMBER_SIZE];
    snprintf(text, sizeof text, "%" PRIu64, value);
    exposition_sample(exposition, "", labels, NULL, text);
}

void exposition_integer(struct exposition *exposition, const struct exposition_labels *labels, int64_t value) {
    char text[EXPOSITION_NUMBER_SIZE];
    snprintf(text, sizeof text, "%" PRId64, value);
    exposition_sample(exposition, "", labels, NULL, text);
}

/* Seconds with as many digits behind the point as there are. */
static void exposition_decimal(uint64_t ns, char text[EXPOSITION_NUMBER_SIZE]) {
    int size = snprintf(text, EXPOSITION_NUMBER_SIZE, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
    while (text[size - 1] == '0')
        text[--size] = '\0';
    if (text[size - 1] == '.')
        text[size - 1] = '\0';
}

void exposition_seconds(struct exposition *exposition, const struct exposition_labels *labels, uint64_t ns) {
    char text[EXPOSITION_NUMBER_SIZE];
    exposition_decimal(ns, text);
    exposition_sample(exposition, "", labels, NULL, text);
}

void exposition_histogram(struct exposition *exposition, const struct exposition_labels *labels,
                          const struct lash_histogram *histogram) {
    uint64_t total = 0;
    char value[EXPOSITION_NUMBER_SIZE];
    for (uint32_t i = 0; i <= histogram->bucket_count; i++) {
        char bound[EXPOSITION_NUMBER_SIZE] = "+Inf";
        if (i < histogram->bucket_count)
            exposition_decimal(histogram->bound_ns << i, bound);
        total += histogram->counts[i];
        snprintf(value, sizeof value, "%" PRIu64, total);
        exposition_sample(exposition, "_bucket", labels, bound, value);
    }
    char sum[EXPOSITION_NUMBER_SIZE];
    exposition_decimal(histogram->sum_ns, sum);
    exposition_sample(exposition, "_sum", labels, NULL, sum);
    exposition_sample(exposition, "_count", labels, NULL, value);
}

struct buf *exposition_finish(struct exposition *exposition) {
    struct buf *text = exposition->text;
    LASH_ASSERT(exposition->failed == (text == NULL));
    exposition->text = NULL;
    return text;
}
