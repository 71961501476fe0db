/* The rows of a status screen as bytes for a terminal, and lines of the log as problems. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"
#include "node/init/status_screen.h"

static const char *style_code(enum status_style style)
{
    static const char *const codes[] = {
        [STATUS_PLAIN] = "",          [STATUS_TITLE] = "\033[1m",  [STATUS_GOOD] = "\033[1;32m",
        [STATUS_UNSURE] = "\033[93m", [STATUS_BAD] = "\033[1;31m", [STATUS_FAINT] = "\033[90m",
    };

    return (size_t)style < RAY_ARRAY_COUNT(codes) ? codes[style] : "";
}

static int encode_row(const struct status_screen *screen, unsigned index, bool has_lines,
                      struct ray_buf *out)
{
    const struct status_row *row = &screen->rows[index];
    size_t size = strlen(row->text);
    const char *code = style_code(row->style);
    int rc = ray_buf_appendf(out, "\033[%u;1H\033[0m", index + 1);

    if (row->is_rule) {
        for (unsigned i = 0; rc == RAY_OK && i < screen->width; i++) {
            rc = ray_buf_appendf(out, "%s", has_lines ? "\u2500" : "-");
        }
        return rc;
    }
    assert(row->begin <= size && row->begin <= row->end && row->end <= size);
    rc = rc != RAY_OK ? rc
                      : ray_buf_appendf(out, "%.*s%s%.*s%s%s", (int)row->begin, row->text, code,
                                        (int)(row->end - row->begin), row->text + row->begin,
                                        code[0] != '\0' ? "\033[0m" : "", row->text + row->end);
    /* Erasing behind a full row would erase its last cell: the cursor stays upon it. */
    return rc == RAY_OK && size < screen->width ? ray_buf_appendf(out, "\033[K") : rc;
}

static bool is_equal(const struct status_row *a, const struct status_row *b)
{
    return a->is_rule == b->is_rule && a->style == b->style && a->begin == b->begin &&
           a->end == b->end && strcmp(a->text, b->text) == 0;
}

int status_screen_encode(const struct status_screen *now, const struct status_screen *before,
                         bool has_lines, struct ray_buf *out)
{
    bool is_reset =
        before != NULL && (before->width != now->width || before->height != now->height);
    /* Reset, UTF-8, no cursor, no wrapping at the last column, not blanked for silence. */
    int rc =
        is_reset ? ray_buf_appendf(out, "\033c\033%%G\033[?25l\033[?7l\033[9;0]\033[2J") : RAY_OK;

    for (unsigned i = 0; rc == RAY_OK && i < now->height; i++) {
        if (before == NULL || is_reset || !is_equal(&now->rows[i], &before->rows[i])) {
            rc = encode_row(now, i, has_lines, out);
        }
    }
    return rc;
}

/* ---- lines of the log ---- */

bool status_problem_parse(const char *line, char out[static STATUS_PROBLEM_SIZE_MAX])
{
    char *end;
    unsigned long long at_us = strtoull(line, &end, 10);
    const char *text;

    if (end == line || *end != ' ') {
        return false;
    }
    if (strncmp(end, " error ", 7) == 0) {
        text = end + 7;
    } else if (strncmp(end, " warn ", 6) == 0) {
        text = end + 6;
    } else {
        return false;
    }
    (void)snprintf(out, STATUS_PROBLEM_SIZE_MAX, "%8.2f s  %s", (double)at_us / 1e6, text);
    return true;
}
