#include "node/metrics/strict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 4096, NAME_SIZE = 96, KEY_SIZE = 256 };

enum type { TYPE_NONE, TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

struct reader {
    const char *at;
    unsigned line;
    char family[NAME_SIZE];
    bool has_help;
    enum type type;
    size_t samples; /* of this family */
    /* of a histogram */
    double bound;
    unsigned long long count;
    bool has_inf, has_sum, has_count;
    char (*seen)[KEY_SIZE]; /* series, and "# FAMILY" */
    size_t seen_count;
    char *why;
};

static bool fail(struct reader *reader, const char *why)
{
    if (reader->why[0] == '\0') {
        (void)snprintf(reader->why, STRICT_WHY_SIZE, "line %u: %s", reader->line, why);
    }
    return false;
}

static bool is_new(struct reader *reader, const char *key)
{
    for (size_t i = 0; i < reader->seen_count; i++) {
        if (strcmp(reader->seen[i], key) == 0) {
            return fail(reader, "for the second time");
        }
    }
    if (reader->seen_count == LINES_MAX) {
        return fail(reader, "too many lines");
    }
    (void)snprintf(reader->seen[reader->seen_count++], KEY_SIZE, "%s", key);
    return true;
}

static bool take(struct reader *reader, const char *word)
{
    size_t size = strlen(word);

    if (strncmp(reader->at, word, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

/* [a-z_][a-z0-9_]*: stricter than the format. */
static bool take_name(struct reader *reader, char out[static NAME_SIZE])
{
    size_t size = strspn(reader->at, "abcdefghijklmnopqrstuvwxyz0123456789_");

    if (size == 0 || size >= NAME_SIZE || (reader->at[0] >= '0' && reader->at[0] <= '9')) {
        return fail(reader, "no name");
    }
    memcpy(out, reader->at, size);
    out[size] = '\0';
    reader->at += size;
    return true;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text);
    size_t suffix_size = strlen(suffix);

    return size >= suffix_size && strcmp(text + size - suffix_size, suffix) == 0;
}

static bool end_line(struct reader *reader)
{
    return take(reader, "\n") || fail(reader, "no end of line");
}

/* A family has at least one sample, and a histogram all of its parts. */
static bool end_family(struct reader *reader)
{
    if (reader->family[0] == '\0') {
        return true;
    }
    if (reader->type == TYPE_NONE || reader->samples == 0) {
        return fail(reader, "the family before has no type or no sample");
    }
    return reader->type != TYPE_HISTOGRAM ||
           (reader->has_inf && reader->has_sum && reader->has_count) ||
           fail(reader, "the histogram before is not whole");
}

static bool read_help(struct reader *reader)
{
    char key[KEY_SIZE];
    size_t size;

    if (!end_family(reader) || !take_name(reader, reader->family) ||
        (!take(reader, " ") && !fail(reader, "no help"))) {
        return false;
    }
    (void)snprintf(key, sizeof key, "# %s", reader->family);
    size = strcspn(reader->at, "\n");
    for (size_t i = 0; i < size; i++) {
        if (reader->at[i] == '\\' || (unsigned char)reader->at[i] < 0x20) {
            return fail(reader, "help with a character that wants escaping");
        }
    }
    reader->at += size;
    reader->type = TYPE_NONE;
    reader->samples = 0;
    reader->bound = -1;
    reader->count = 0;
    reader->has_inf = reader->has_sum = reader->has_count = false;
    return size > 0 && strncmp(reader->family, "rayos_", 6) == 0
               ? is_new(reader, key) && end_line(reader)
               : fail(reader, "no help, or a name without the prefix");
}

static bool read_type(struct reader *reader)
{
    char name[NAME_SIZE];

    if (!take_name(reader, name) || strcmp(name, reader->family) != 0 ||
        reader->type != TYPE_NONE) {
        return fail(reader, "a type of another family than the help before");
    }
    reader->type = take(reader, " counter")     ? TYPE_COUNTER
                   : take(reader, " gauge")     ? TYPE_GAUGE
                   : take(reader, " histogram") ? TYPE_HISTOGRAM
                                                : TYPE_NONE;
    if (reader->type == TYPE_NONE) {
        return fail(reader, "no type");
    }
    return (reader->type == TYPE_COUNTER) == ends_with(name, "_total")
               ? end_line(reader)
               : fail(reader, "_total is for counters, and for them alone");
}

/* Behind the opening quote. */
static bool take_value(struct reader *reader)
{
    for (; *reader->at != '"'; reader->at++) {
        if (*reader->at == '\\') {
            reader->at++;
            if (strchr("\\\"n", *reader->at) == NULL || *reader->at == '\0') {
                return fail(reader, "an escape that there is not");
            }
        } else if ((unsigned char)*reader->at < 0x20 || (unsigned char)*reader->at >= 0x7f) {
            return fail(reader, "a label with a byte that is not printable");
        }
    }
    reader->at++;
    return true;
}

/* "{a="b",c="d"}"; names rise, so that none is there twice. le alone is given back. */
static bool take_labels(struct reader *reader, const char **out_le)
{
    char name[NAME_SIZE];

    *out_le = NULL;
    if (!take(reader, "{")) {
        return true;
    }
    do {
        if (!take_name(reader, name) || (!take(reader, "=\"") && !fail(reader, "no label"))) {
            return false;
        }
        if (strcmp(name, "le") == 0) {
            *out_le = reader->at;
        }
        if (!take_value(reader)) {
            return false;
        }
    } while (take(reader, ","));
    return take(reader, "}") || fail(reader, "labels without an end");
}

static bool check_bucket(struct reader *reader, const char *le, double value)
{
    double bound = strncmp(le, "+Inf\"", 5) == 0 ? 1e300 : strtod(le, NULL);

    if (bound <= reader->bound || value < (double)reader->count) {
        return fail(reader, "buckets that do not rise");
    }
    reader->has_inf = bound >= 1e300;
    reader->bound = bound;
    reader->count = (unsigned long long)value;
    return true;
}

static bool check_histogram(struct reader *reader, const char *suffix, const char *le, double value)
{
    if (strcmp(suffix, "_bucket") == 0) {
        return le != NULL ? check_bucket(reader, le, value) : fail(reader, "a bucket without le");
    }
    if (strcmp(suffix, "_sum") == 0 && !reader->has_sum) {
        reader->has_sum = true;
        return true;
    }
    if (strcmp(suffix, "_count") == 0 && !reader->has_count) {
        reader->has_count = true;
        return (unsigned long long)value == reader->count || fail(reader, "another count");
    }
    return fail(reader, "not of a histogram");
}

static bool read_sample(struct reader *reader)
{
    const char *begin = reader->at;
    char name[NAME_SIZE], key[KEY_SIZE];
    const char *le;
    char *end;
    double value;

    if (!take_name(reader, name) || !take_labels(reader, &le)) {
        return false;
    }
    (void)snprintf(key, sizeof key, "%.*s", (int)(reader->at - begin), begin);
    if (reader->type == TYPE_NONE || strncmp(name, reader->family, strlen(reader->family)) != 0 ||
        !take(reader, " ")) {
        return fail(reader, "a sample of another family, or none");
    }
    value = strtod(reader->at, &end);
    if (end == reader->at || value < 0 ||
        strspn(reader->at, "0123456789.") != (size_t)(end - reader->at)) {
        return fail(reader, "no value");
    }
    reader->at = end;
    reader->samples++;
    if (reader->type != TYPE_HISTOGRAM && (strcmp(name, reader->family) != 0 || le != NULL)) {
        return fail(reader, "a name or label of a histogram");
    }
    return (reader->type != TYPE_HISTOGRAM ||
            check_histogram(reader, name + strlen(reader->family), le, value)) &&
           is_new(reader, key) && end_line(reader);
}

bool strict_check(const char *text, char why[static STRICT_WHY_SIZE])
{
    struct reader reader = {.at = text, .why = why};
    bool is_ok = true;

    why[0] = '\0';
    reader.seen = calloc(LINES_MAX, sizeof *reader.seen);
    if (reader.seen == NULL) {
        return false;
    }
    while (is_ok && *reader.at != '\0') {
        reader.line++;
        is_ok = take(&reader, "# HELP ")   ? read_help(&reader)
                : take(&reader, "# TYPE ") ? read_type(&reader)
                                           : read_sample(&reader);
    }
    is_ok = is_ok && end_family(&reader);
    free(reader.seen);
    return is_ok;
}

const char *strict_find(const char *text, const char *series)
{
    size_t size = strlen(series);

    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *next = strchr(line, '\n');

        if (strncmp(line, series, size) == 0 && line[size] == ' ') {
            return line + size + 1;
        }
        line = next == NULL ? NULL : next + 1;
    }
    return NULL;
}
