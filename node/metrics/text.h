/* node/metrics/text.h - Prometheus' text format, version 0.0.4: families in the order of
 * node/metrics/families.h, each once, each with HELP and TYPE.
 *
 * Memory: the caller's buffer, which grows up to its limit.  Threads: one owner.  Blocks: never.
 * Trust: values of labels may be anything: what is not printable ASCII is written as \xNN. */
#ifndef RAY_NODE_METRICS_TEXT_H
#define RAY_NODE_METRICS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/histogram.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_text {
    struct ray_buf *out;
    int code;         /* RAY_OK, or what appending failed with: then nothing more comes */
    unsigned next;    /* the first family that may be begun */
    unsigned current; /* that was begun last */
};

struct metrics_label {
    const char *name; /* NULL: none */
    const char *value;
};

void metrics_begin(struct metrics_text *text, struct ray_buf *out);

/* Begins that family, later in the table than the one of before (assert). */
void metrics_family(struct metrics_text *text, const char *name);
/* Samples of the family that was begun; labels: two, the unused without name. */
void metrics_count(struct metrics_text *text, uint64_t value);
void metrics_labelled(struct metrics_text *text, struct metrics_label label, uint64_t value);
void metrics_labelled_twice(struct metrics_text *text, struct metrics_label first,
                            struct metrics_label second, uint64_t value);
/* `value` / `unit`, as a decimal fraction: metrics_ratio(t, 1500, 1000) is 1.5. */
void metrics_ratio(struct metrics_text *text, struct metrics_label label, uint64_t value,
                   uint64_t unit);
void metrics_histogram(struct metrics_text *text, const struct ray_histogram *histogram);

/* A family with one sample. */
void metrics_one(struct metrics_text *text, const char *name, uint64_t value);

#endif
