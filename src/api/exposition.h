/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes metrics in Prometheus' text format, version 0.0.4: families with HELP and
 * TYPE, and samples with labels. Numbers are written from integers, so that no counter
 * loses its last digits.
 *
 * Threads: an exposition belongs to one at a time.
 */
#ifndef LASH_API_EXPOSITION_H
#define LASH_API_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "lash/metrics.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

struct exposition_label {
    const char *name;
    const char *value; /* any text; it is escaped */
};

enum { EXPOSITION_LABELS_MAX = 4 };

/* What samples are told apart by: labels up to the first without a name. */
struct exposition_labels {
    struct exposition_label labels[EXPOSITION_LABELS_MAX];
};

/* Being written. Begin with all zeros. */
struct exposition {
    struct buf *text; /* NULL when nothing was written, or when memory ran out */
    bool failed;      /* memory ran out */
    const char *family;
};

/* Begin a family: what is written next are its samples. The name stays the caller's. */
void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type, const char *help);

/* A sample; `labels` may be NULL. */
void exposition_count(struct exposition *exposition, const struct exposition_labels *labels, uint64_t value);
void exposition_integer(struct exposition *exposition, const struct exposition_labels *labels, int64_t value);

/* A sample in seconds. */
void exposition_seconds(struct exposition *exposition, const struct exposition_labels *labels, uint64_t ns);

/* The samples of a histogram, in seconds. */
void exposition_histogram(struct exposition *exposition, const struct exposition_labels *labels,
                          const struct lash_histogram *histogram);

/* The text, which is the caller's from now on; NULL when memory ran out. */
struct buf *exposition_finish(struct exposition *exposition);

#endif
