/* output.c - see output.h */
#include "clusterctl/cli/output.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clusterctl/cli/table.h"
#include "clusterctl/cli/yaml.h"

enum { WIDE_COUNT_MAX = 24 }; /* columns of a table */

int output_form_parse(const char *text, enum output_form *out, struct ray_err *err)
{
    static const char *const words[] = {[OUTPUT_TABLE] = "table",
                                        [OUTPUT_WIDE] = "wide",
                                        [OUTPUT_JSON] = "json",
                                        [OUTPUT_YAML] = "yaml",
                                        [OUTPUT_NAME] = "name"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (enum output_form)i;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EUSAGE, "no output form '%.20s'; there are " OUTPUT_CHOICES, text);
}

static void print_name(FILE *stream, yyjson_mut_val *entry, const char *key)
{
    yyjson_mut_val *value = yyjson_mut_obj_get(entry, key);
    char text[256];

    if (yyjson_mut_is_str(value)) {
        (void)ray_escape(text, sizeof text, yyjson_mut_get_str(value), yyjson_mut_get_len(value));
        (void)fprintf(stream, "%s\n", text);
    }
}

static void print_names(FILE *stream, yyjson_mut_val *what, const struct output_view *view)
{
    const char *key = view->name_key == NULL ? "name" : view->name_key;
    yyjson_mut_arr_iter iter;
    yyjson_mut_val *entry;

    if (!yyjson_mut_is_arr(what)) {
        print_name(stream, what, key);
        return;
    }
    iter = yyjson_mut_arr_iter_with(what);
    while ((entry = yyjson_mut_arr_iter_next(&iter)) != NULL) {
        print_name(stream, entry, key);
    }
}

/* ---- memory that may hold a secret (a token): zeroed before it is freed ---- */

static void *wiping_malloc(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void wiping_free(void *context, void *block)
{
    (void)context;
    if (block != NULL) {
        explicit_bzero(block, malloc_usable_size(block));
        free(block);
    }
}

static void *wiping_realloc(void *context, void *block, size_t old_size, size_t size)
{
    void *larger = malloc(size);

    if (larger != NULL && block != NULL) {
        memcpy(larger, block, old_size < size ? old_size : size);
        wiping_free(context, block);
    }
    return larger;
}

static const yyjson_alc wiping = {
    .malloc = wiping_malloc, .realloc = wiping_realloc, .free = wiping_free};

static int print_json(FILE *stream, yyjson_mut_val *root, struct ray_err *err)
{
    char *text =
        yyjson_mut_val_write_opts(root, YYJSON_WRITE_PRETTY_TWO_SPACES, &wiping, NULL, NULL);

    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "output");
    }
    (void)fprintf(stream, "%s\n", text);
    wiping_free(NULL, text);
    return RAY_OK;
}

static int print_list(FILE *stream, yyjson_mut_val *list, const struct output_view *view,
                      bool is_wide, struct ray_err *err)
{
    struct output_column columns[WIDE_COUNT_MAX + 1] = {{0}};
    size_t count = 0;

    if (!is_wide || view->columns == NULL || view->wide == NULL) {
        return table_print_list(stream, list, view->columns, err);
    }
    for (size_t i = 0; view->columns[i].title != NULL && count < WIDE_COUNT_MAX; i++) {
        columns[count++] = view->columns[i];
    }
    for (size_t i = 0; view->wide[i].title != NULL && count < WIDE_COUNT_MAX; i++) {
        columns[count++] = view->wide[i];
    }
    return table_print_list(stream, list, columns, err);
}

int output_print(FILE *stream, enum output_form form, yyjson_mut_val *root,
                 const struct output_view *view, struct ray_err *err)
{
    static const struct output_view whole = {0};
    yyjson_mut_val *what = root;
    int rc = RAY_OK;

    assert(root != NULL);
    if (view == NULL) {
        view = &whole;
    }
    if (view->list_key != NULL) {
        what = yyjson_mut_obj_get(root, view->list_key);
    }
    switch (form) {
    case OUTPUT_JSON: /* machines get everything, not only the list */
        rc = print_json(stream, root, err);
        break;
    case OUTPUT_YAML:
        (void)yaml_print(stream, root); /* the stream is looked at below */
        break;
    case OUTPUT_NAME:
        print_names(stream, what, view);
        break;
    case OUTPUT_TABLE:
    case OUTPUT_WIDE:
        rc = yyjson_mut_is_arr(what) ? print_list(stream, what, view, form == OUTPUT_WIDE, err)
                                     : table_print_object(stream, what, err);
        break;
    }
    if (rc == RAY_OK && (fflush(stream) != 0 || ferror(stream) != 0)) {
        rc = ray_fail(err, RAY_EIO, "cannot write the output");
    }
    return rc;
}

void output_time(uint64_t at_us, char *out, size_t out_size)
{
    time_t seconds = (time_t)(at_us / 1000000);
    struct tm parts;

    out[0] = '\0';
    if (at_us != 0 && gmtime_r(&seconds, &parts) != NULL &&
        strftime(out, out_size, "%Y-%m-%d %H:%M:%SZ", &parts) == 0) {
        out[0] = '\0'; /* no room */
    }
}

int output_error(const struct ray_err *err)
{
    (void)fprintf(stderr, "clusterctl: %s\n",
                  err->text[0] == '\0' ? ray_err_text(err->code) : err->text);
    if (err->next_step[0] != '\0') {
        (void)fprintf(stderr, "next: %s\n", err->next_step);
    }
    return ray_err_exit_status(err->code);
}

int output_tree(const struct ray_args *args, yyjson_mut_val *root, const struct output_view *view)
{
    enum output_form form = OUTPUT_TABLE;
    struct ray_err err = {0};
    int rc = output_form_parse(ray_args_value(args, "output"), &form, &err);

    if (rc == RAY_OK) {
        rc = root == NULL ? ray_fail(&err, RAY_ENOMEM, "output")
                          : output_print(stdout, form, root, view, &err);
    }
    return rc == RAY_OK ? 0 : output_error(&err);
}

int output_message(const struct ray_args *args, const ProtobufCMessage *message,
                   const struct output_view *view)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&wiping);
    int status = output_tree(args, output_from_message(doc, message), view);

    yyjson_mut_doc_free(doc);
    return status;
}
