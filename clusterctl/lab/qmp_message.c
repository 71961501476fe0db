/* qmp_message.c - a line is a JSON object with one of the keys QMP, return, error, event. The
 * parser does not recurse, so depth needs no limit of its own. */
#include "clusterctl/lab/qmp_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static bool take_event(yyjson_val *root, struct ray_qmp_message *message)
{
    yyjson_val *time = yyjson_obj_get(root, "timestamp");
    yyjson_val *seconds = yyjson_obj_get(time, "seconds");
    yyjson_val *microseconds = yyjson_obj_get(time, "microseconds");

    message->name = yyjson_get_str(yyjson_obj_get(root, "event"));
    message->value = yyjson_obj_get(root, "data");
    /* QEMU says -1 when it does not know; then the time stays 0. */
    if (yyjson_is_uint(seconds) && yyjson_is_uint(microseconds)) {
        uint64_t s = yyjson_get_uint(seconds);
        uint64_t us = yyjson_get_uint(microseconds);

        message->t_us = s < UINT64_C(1) << 40 && us < 1000000 ? s * 1000000 + us : 0;
    }
    return message->name != NULL;
}

static bool take_error(yyjson_val *root, struct ray_qmp_message *message)
{
    yyjson_val *error = yyjson_obj_get(root, "error");

    message->name = yyjson_get_str(yyjson_obj_get(error, "class"));
    message->text = yyjson_get_str(yyjson_obj_get(error, "desc"));
    return message->name != NULL && message->text != NULL;
}

static bool take(yyjson_val *root, struct ray_qmp_message *message)
{
    yyjson_val *id = yyjson_obj_get(root, "id");

    message->has_id = yyjson_is_uint(id);
    message->id = yyjson_get_uint(id);
    if (yyjson_obj_get(root, "event") != NULL) {
        message->kind = RAY_QMP_EVENT;
        return take_event(root, message);
    }
    if (yyjson_obj_get(root, "error") != NULL) {
        message->kind = RAY_QMP_ERROR;
        return take_error(root, message);
    }
    if (yyjson_obj_get(root, "return") != NULL) {
        message->kind = RAY_QMP_RETURN;
        message->value = yyjson_obj_get(root, "return");
        return true;
    }
    message->kind = RAY_QMP_GREETING;
    return yyjson_is_obj(yyjson_obj_get(root, "QMP"));
}

static int fail_line(struct ray_err *err, const char *what, const char *line, size_t size)
{
    char shown[80];

    (void)ray_escape(shown, sizeof shown, line, size); /* cut to fit is fine here */
    return ray_fail(err, RAY_EMALFORMED, "QMP: %s: '%s'", what, shown);
}

int ray_qmp_message_parse(const char *line, size_t size, struct ray_qmp_message *out,
                          struct ray_err *err)
{
    struct ray_qmp_message message = {0};
    yyjson_read_err read_err = {0};

    if (ray_fault(RAY_FAULT_ALLOC) != 0) {
        return ray_fail(err, RAY_ENOMEM, "QMP message of %zu bytes", size);
    }
    /* The cast: the parser writes to its input only with a flag that is not given. */
    message.doc = yyjson_read_opts((char *)(uintptr_t)line, size, 0, NULL, &read_err);
    if (message.doc == NULL) {
        return read_err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
                   ? ray_fail(err, RAY_ENOMEM, "QMP message of %zu bytes", size)
                   : fail_line(err, read_err.msg, line, size);
    }
    if (!yyjson_is_obj(yyjson_doc_get_root(message.doc)) ||
        !take(yyjson_doc_get_root(message.doc), &message)) {
        ray_qmp_message_fini(&message);
        return fail_line(err, "neither reply nor event", line, size);
    }
    *out = message;
    return RAY_OK;
}

void ray_qmp_message_fini(struct ray_qmp_message *message)
{
    yyjson_doc_free(message->doc);
    *message = (struct ray_qmp_message){0};
}

int ray_qmp_command_make(const char *command, const char *arguments, uint64_t id, char **out_text,
                         size_t *out_size, struct ray_err *err)
{
    yyjson_doc *given = NULL;
    yyjson_mut_doc *doc = NULL;
    yyjson_mut_val *root;
    char *text = NULL;
    size_t size = 0;
    int rc = RAY_OK;

    if (arguments != NULL) {
        given = yyjson_read(arguments, strlen(arguments), 0);
        if (!yyjson_is_obj(yyjson_doc_get_root(given))) {
            rc = ray_fail(err, RAY_EINVAL, "arguments of %s are not a JSON object", command);
            goto done;
        }
    }
    doc = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : yyjson_mut_doc_new(NULL);
    root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    (void)yyjson_mut_obj_add_str(doc, root, "execute", command); /* failures show below */
    if (given != NULL) {
        (void)yyjson_mut_obj_add_val(doc, root, "arguments",
                                     yyjson_val_mut_copy(doc, yyjson_doc_get_root(given)));
    }
    if (yyjson_mut_obj_add_uint(doc, root, "id", id)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, &size);
    }
    if (text == NULL) {
        rc = ray_fail(err, RAY_ENOMEM, "QMP command %s", command);
        goto done;
    }
    *out_text = text;
    *out_size = size;
done:
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(given);
    return rc;
}
