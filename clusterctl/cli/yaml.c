/* yaml.c - indentation follows nesting; lists are written at the indentation of their key. */
#include "clusterctl/cli/yaml.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 32 };

/* Words that some YAML reader takes for something else than a string. */
static bool is_reserved(const char *text)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                        "off",  "y",    "n",     "nan", "inf"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_plain(const char *text, size_t size)
{
    if (size == 0 || size != strlen(text) || isalpha((unsigned char)text[0]) == 0) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (isalnum(c) == 0 && strchr("_-./+", c) == NULL) {
            return false;
        }
    }
    return !is_reserved(text);
}

static void print_scalar(FILE *stream, yyjson_mut_val *value)
{
    const char *text = yyjson_mut_get_str(value);
    char *json;

    if (text != NULL && is_plain(text, yyjson_mut_get_len(value))) {
        (void)fputs(text, stream); /* the stream's error flag is looked at in the end */
        return;
    }
    json = yyjson_mut_val_write(value, 0, NULL);
    (void)fputs(json == NULL ? "null" : json, stream);
    free(json);
}

static void indent(FILE *stream, int depth)
{
    (void)fprintf(stream, "%*s", depth * 2, "");
}

static bool is_empty(yyjson_mut_val *value)
{
    return yyjson_mut_is_ctn(value) && yyjson_mut_get_len(value) == 0;
}

static void print_value(FILE *stream, yyjson_mut_val *value, int depth, bool is_in_line);

static void print_object(FILE *stream, yyjson_mut_val *object, int depth, bool is_in_line)
{
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(object);
    yyjson_mut_val *key;

    while ((key = yyjson_mut_obj_iter_next(&iter)) != NULL) {
        yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);

        if (!is_in_line) {
            indent(stream, depth);
        }
        is_in_line = false;
        print_scalar(stream, key);
        (void)fputc(':', stream);
        if (yyjson_mut_is_ctn(value) && !is_empty(value)) {
            (void)fputc('\n', stream);
            print_value(stream, value, yyjson_mut_is_arr(value) ? depth : depth + 1, false);
        } else {
            (void)fputc(' ', stream);
            print_value(stream, value, depth + 1, true);
        }
    }
}

static void print_list(FILE *stream, yyjson_mut_val *list, int depth)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(list);
    yyjson_mut_val *value;

    while ((value = yyjson_mut_arr_iter_next(&iter)) != NULL) {
        indent(stream, depth);
        (void)fputs("- ", stream);
        print_value(stream, value, depth + 1, true);
    }
}

static void print_value(FILE *stream, yyjson_mut_val *value, int depth, bool is_in_line)
{
    if (depth > DEPTH_MAX) {
        (void)fputs("null\n", stream);
    } else if (is_empty(value)) {
        (void)fputs(yyjson_mut_is_arr(value) ? "[]\n" : "{}\n", stream);
    } else if (yyjson_mut_is_obj(value)) {
        print_object(stream, value, depth, is_in_line);
    } else if (yyjson_mut_is_arr(value)) {
        if (is_in_line) { /* a list in a list */
            (void)fputc('\n', stream);
        }
        print_list(stream, value, depth);
    } else {
        print_scalar(stream, value);
        (void)fputc('\n', stream);
    }
}

bool yaml_print(FILE *stream, yyjson_mut_val *root)
{
    print_value(stream, root, 0, false);
    return ferror(stream) == 0;
}
