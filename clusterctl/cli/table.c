/* table.c - cells are made first, so that widths are known before anything is printed. */
#include "clusterctl/cli/table.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/size.h"

enum {
    COLUMN_COUNT_MAX = 24,
    CELL_SIZE_MAX = 200,
    PATH_SIZE_MAX = 128,
    DEPTH_MAX = 4,
    LINES_SIZE_MAX = 1 << 20
};

struct cells {
    size_t column_count;
    size_t row_count;
    char *texts; /* row_count * column_count cells of CELL_SIZE_MAX */
};

static char *cell_at(const struct cells *cells, size_t row, size_t column)
{
    return cells->texts + (row * cells->column_count + column) * CELL_SIZE_MAX;
}

static void append_text(char *out, size_t out_size, yyjson_mut_val *value, enum output_kind kind);

static void append_list(char *out, size_t out_size, yyjson_mut_val *list)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *value;
    size_t used = 0;

    out[0] = '\0';
    while ((value = yyjson_mut_arr_iter_next(&iter)) != NULL && used + 2 < out_size) {
        if (used > 0) {
            out[used++] = ',';
        }
        /* Of objects in a cell only the name says something. */
        append_text(out + used, out_size - used,
                    yyjson_mut_is_obj(value) ? yyjson_mut_obj_get(value, "name") : value,
                    OUTPUT_AS_TEXT);
        used += strlen(out + used);
    }
}

/* One value as the text of a cell. */
static void append_text(char *out, size_t out_size, yyjson_mut_val *value, enum output_kind kind)
{
    char size_text[16];

    if (yyjson_mut_is_str(value)) {
        (void)ray_escape(out, out_size, yyjson_mut_get_str(value), yyjson_mut_get_len(value));
    } else if (yyjson_mut_is_bool(value)) {
        (void)snprintf(out, out_size, "%s", yyjson_mut_get_bool(value) ? "yes" : "no");
    } else if (yyjson_mut_is_uint(value) && kind == OUTPUT_AS_SIZE) {
        (void)snprintf(out, out_size, "%s", ray_format_size(yyjson_mut_get_uint(value), size_text));
    } else if (yyjson_mut_is_uint(value) && kind == OUTPUT_AS_SECONDS) {
        (void)snprintf(out, out_size, "%.1f s", (double)yyjson_mut_get_uint(value) / 1e6);
    } else if (yyjson_mut_is_uint(value) && kind == OUTPUT_AS_TIME) {
        output_time(yyjson_mut_get_uint(value), out, out_size);
    } else if (yyjson_mut_is_uint(value)) {
        (void)snprintf(out, out_size, "%llu", (unsigned long long)yyjson_mut_get_uint(value));
    } else if (yyjson_mut_is_int(value)) {
        (void)snprintf(out, out_size, "%lld", (long long)yyjson_mut_get_sint(value));
    } else if (yyjson_mut_is_real(value)) {
        (void)snprintf(out, out_size, "%.3f", yyjson_mut_get_real(value));
    } else if (yyjson_mut_is_arr(value)) {
        append_list(out, out_size, value);
    } else {
        out[0] = '\0';
    }
}

/* The text of an object's key, which our trees always have. */
static const char *text_of_key(yyjson_mut_val *key)
{
    const char *text = yyjson_mut_get_str(key);

    return text != NULL ? text : "";
}

/* The kind that a key's unit asks for, where no column says it. */
static enum output_kind kind_of_key(const char *key)
{
    size_t size = strlen(key);

    if (size > 6 && strcmp(key + size - 6, "_bytes") == 0) {
        return OUTPUT_AS_SIZE;
    }
    if (strcmp(key, "at_us") == 0 || (size > 6 && strcmp(key + size - 6, "_at_us") == 0)) {
        return OUTPUT_AS_TIME;
    }
    if (size > 3 && strcmp(key + size - 3, "_us") == 0) {
        return OUTPUT_AS_SECONDS;
    }
    return OUTPUT_AS_TEXT;
}

static void print_cells(FILE *stream, const struct cells *cells)
{
    size_t widths[COLUMN_COUNT_MAX] = {0};

    for (size_t row = 0; row < cells->row_count; row++) {
        for (size_t column = 0; column < cells->column_count; column++) {
            size_t width = strlen(cell_at(cells, row, column));

            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    for (size_t row = 0; row < cells->row_count; row++) {
        size_t last = cells->column_count;

        /* No white space at the end of a line. */
        while (last > 1 && cell_at(cells, row, last - 1)[0] == '\0') {
            last--;
        }
        for (size_t column = 0; column < last; column++) {
            int width = column + 1 == last ? 0 : (int)widths[column] + 2;

            (void)fprintf(stream, "%-*s", width, cell_at(cells, row, column));
        }
        (void)fputc('\n', stream);
    }
}

/* The title of a key: "size_bytes" is SIZE. */
static void title_of_key(char *out, size_t out_size, const char *key)
{
    enum output_kind kind = kind_of_key(key);
    const char *unit = kind == OUTPUT_AS_TEXT ? NULL : strrchr(key, '_');
    size_t size = unit != NULL ? (size_t)(unit - key) : strlen(key);

    if (kind == OUTPUT_AS_TIME && size > strlen("_at")) {
        size -= strlen("_at");
    }
    (void)snprintf(out, out_size, "%.*s", (int)(size < out_size ? size : out_size - 1), key);
    for (char *at = out; *at != '\0'; at++) {
        *at = (char)(*at == '_' ? '-' : toupper((unsigned char)*at));
    }
}

static size_t choose_columns(yyjson_mut_val *list, const struct output_column *given,
                             struct output_column *out)
{
    size_t count = 0;
    yyjson_mut_obj_iter iter;
    yyjson_mut_val *key;

    if (given != NULL) {
        while (count < COLUMN_COUNT_MAX && given[count].title != NULL) {
            out[count] = given[count];
            count++;
        }
        return count;
    }
    iter = yyjson_mut_obj_iter_with(yyjson_mut_arr_get_first(list));
    while ((key = yyjson_mut_obj_iter_next(&iter)) != NULL && count < COLUMN_COUNT_MAX) {
        if (!yyjson_mut_is_obj(yyjson_mut_obj_iter_get_val(key))) {
            const char *name = text_of_key(key);

            out[count++] = (struct output_column){.key = name, .kind = kind_of_key(name)};
        }
    }
    return count;
}

/* The value of a key, or of "a.b" in the object a. */
static yyjson_mut_val *value_at(yyjson_mut_val *entry, const char *key)
{
    const char *dot = strchr(key, '.');

    if (dot == NULL) {
        return yyjson_mut_obj_get(entry, key);
    }
    return yyjson_mut_obj_get(yyjson_mut_obj_getn(entry, key, (size_t)(dot - key)), dot + 1);
}

int table_print_list(FILE *stream, yyjson_mut_val *list, const struct output_column *columns,
                     struct ray_err *err)
{
    struct output_column chosen[COLUMN_COUNT_MAX];
    struct cells cells = {.row_count = yyjson_mut_arr_size(list) + 1};
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *entry;
    size_t size;
    size_t row = 1;

    cells.column_count = choose_columns(list, columns, chosen);
    if (cells.column_count == 0) {
        return RAY_OK; /* an empty list whose columns nobody knows */
    }
    if (ray_mul_size(cells.row_count, cells.column_count * CELL_SIZE_MAX, &size)) {
        cells.texts = calloc(1, size);
    }
    if (cells.texts == NULL) {
        return ray_fail(err, RAY_ENOMEM, "table of %zu rows", cells.row_count);
    }
    for (size_t column = 0; column < cells.column_count; column++) {
        if (chosen[column].title != NULL) {
            (void)snprintf(cell_at(&cells, 0, column), CELL_SIZE_MAX, "%s", chosen[column].title);
        } else {
            title_of_key(cell_at(&cells, 0, column), CELL_SIZE_MAX, chosen[column].key);
        }
    }
    while ((entry = yyjson_mut_arr_iter_next(&iter)) != NULL) {
        for (size_t column = 0; column < cells.column_count; column++) {
            append_text(cell_at(&cells, row, column), CELL_SIZE_MAX,
                        value_at(entry, chosen[column].key), chosen[column].kind);
        }
        row++;
    }
    print_cells(stream, &cells);
    explicit_bzero(cells.texts, size); /* one may be a secret (a token) */
    free(cells.texts);
    return RAY_OK;
}

/* ---- objects ---- */

static bool is_list_of_objects(yyjson_mut_val *value)
{
    return yyjson_mut_is_arr(value) && yyjson_mut_is_obj(yyjson_mut_arr_get_first(value));
}

/* Collects "path<TAB>text<NL>" of every value that is no list of objects. */
static void collect_values(yyjson_mut_val *object, const char *path, int depth, struct ray_buf *out)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    yyjson_mut_val *key;

    while ((key = yyjson_mut_obj_iter_next(&iter)) != NULL) {
        yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);
        const char *name = text_of_key(key);
        char full[PATH_SIZE_MAX];
        char text[CELL_SIZE_MAX];

        (void)snprintf(full, sizeof full, "%s%s%s", path, path[0] == '\0' ? "" : ".", name);
        if (yyjson_mut_is_obj(value) && depth < DEPTH_MAX) {
            collect_values(value, full, depth + 1, out);
        } else if (!is_list_of_objects(value)) {
            append_text(text, sizeof text, value, kind_of_key(name));
            (void)ray_buf_appendf(out, "%s\t%s\n", full, text); /* cut when too long */
            explicit_bzero(text, sizeof text);
        }
    }
}

static void print_values(FILE *stream, char *lines)
{
    size_t width = 0;

    for (const char *at = lines; *at != '\0'; at = strchr(at, '\n') + 1) {
        size_t size = strcspn(at, "\t");

        width = size > width ? size : width;
    }
    for (char *at = lines; *at != '\0';) {
        char *tab = strchr(at, '\t');
        char *end = strchr(at, '\n');

        *tab = '\0';
        *end = '\0';
        (void)fprintf(stream, "%-*s%s\n", tab[1] == '\0' ? 0 : (int)width + 2, at, tab + 1);
        at = end + 1;
    }
}

static int print_lists(FILE *stream, yyjson_mut_val *object, struct ray_err *err)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    yyjson_mut_val *key;
    int rc = RAY_OK;

    while (rc == RAY_OK && (key = yyjson_mut_obj_iter_next(&iter)) != NULL) {
        yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);

        if (is_list_of_objects(value)) {
            (void)fprintf(stream, "\n%s:\n", yyjson_mut_get_str(key));
            rc = table_print_list(stream, value, NULL, err);
        }
    }
    return rc;
}

int table_print_object(FILE *stream, yyjson_mut_val *object, struct ray_err *err)
{
    struct ray_buf lines;

    ray_buf_init(&lines, LINES_SIZE_MAX);
    /* All at once: a value may be a secret (a token), and growing would leave copies. */
    if (ray_buf_reserve(&lines, LINES_SIZE_MAX) != RAY_OK) {
        return ray_fail(err, RAY_ENOMEM, "output");
    }
    collect_values(object, "", 0, &lines);
    if (lines.size > 0) {
        print_values(stream, (char *)lines.data);
    }
    ray_buf_wipe(&lines);
    ray_buf_fini(&lines);
    return print_lists(stream, object, err);
}
