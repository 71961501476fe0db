/* input.c - an object at a time: objects in it wait on a list until it is done, so that nothing
 * calls itself. */
#include "clusterctl/cli/input.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

enum { WAITING_MAX = 256, CHUNK_SIZE = 4096 };

struct waiting {
    yyjson_val *object;
    ProtobufCMessage *message;
};

struct input {
    struct ray_arena *arena;
    struct ray_err *err;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
};

static int no_memory(const struct input *input)
{
    return ray_fail(input->err, RAY_ENOMEM, "the input");
}

static int refuse(const struct input *input, const ProtobufCFieldDescriptor *field,
                  const char *wanted)
{
    return ray_fail(input->err, RAY_EUSAGE, "key '%s': %s is wanted", field->name, wanted);
}

/* Its fields follow when it is its turn. */
static int add_message(struct input *input, const ProtobufCMessageDescriptor *type,
                       yyjson_val *object, ProtobufCMessage **out)
{
    ProtobufCMessage *message = ray_arena_alloc(input->arena, type->sizeof_message);

    if (message == NULL) {
        return no_memory(input);
    }
    if (input->waiting_count == WAITING_MAX) {
        return ray_fail(input->err, RAY_EUSAGE, "more than %d objects", WAITING_MAX);
    }
    type->message_init(message);
    input->waiting[input->waiting_count++] = (struct waiting){object, message};
    *out = message;
    return RAY_OK;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int set_bytes(const struct input *input, const ProtobufCFieldDescriptor *field,
                     yyjson_val *value, void *at)
{
    const char *text = yyjson_get_str(value);
    size_t size = yyjson_get_len(value);
    ProtobufCBinaryData bytes = {.len = size / 2};

    if (text == NULL || size % 2 != 0) {
        return refuse(input, field, "hex, two digits a byte,");
    }
    bytes.data = ray_arena_alloc(input->arena, bytes.len + 1);
    if (bytes.data == NULL) {
        return no_memory(input);
    }
    for (size_t i = 0; i < bytes.len; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return refuse(input, field, "hex, two digits a byte,");
        }
        bytes.data[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(at, &bytes, sizeof bytes);
    return RAY_OK;
}

static int set_text(const struct input *input, const ProtobufCFieldDescriptor *field,
                    yyjson_val *value, void *at)
{
    const char *text = yyjson_get_str(value);
    size_t size = yyjson_get_len(value);
    char *copy;

    if (text == NULL || strlen(text) != size) {
        return refuse(input, field, "a string");
    }
    copy = ray_arena_strndup(input->arena, text, size);
    if (copy == NULL) {
        return no_memory(input);
    }
    memcpy(at, &copy, sizeof copy);
    return RAY_OK;
}

static int set_number(const struct input *input, const ProtobufCFieldDescriptor *field,
                      yyjson_val *value, void *at)
{
    uint64_t number = yyjson_get_uint(value);
    uint32_t low = (uint32_t)number;
    bool is_wide = field->type == PROTOBUF_C_TYPE_UINT64;

    if (!yyjson_is_uint(value) || (!is_wide && number > UINT32_MAX)) {
        return refuse(input, field, "a whole number that fits, not below 0,");
    }
    if (is_wide) {
        memcpy(at, &number, sizeof number);
    } else {
        memcpy(at, &low, sizeof low);
    }
    return RAY_OK;
}

static int set_enum(const struct input *input, const ProtobufCFieldDescriptor *field,
                    yyjson_val *value, void *at)
{
    const char *name = yyjson_get_str(value);
    const ProtobufCEnumValue *found =
        name == NULL ? NULL : protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, name);

    if (found == NULL) {
        return refuse(input, field, "one of the names of the schema");
    }
    memcpy(at, &found->value, sizeof found->value);
    return RAY_OK;
}

static int set_bool(const struct input *input, const ProtobufCFieldDescriptor *field,
                    yyjson_val *value, void *at)
{
    protobuf_c_boolean flag = yyjson_get_bool(value);

    if (!yyjson_is_bool(value)) {
        return refuse(input, field, "true or false");
    }
    memcpy(at, &flag, sizeof flag);
    return RAY_OK;
}

static int set_message(struct input *input, const ProtobufCFieldDescriptor *field,
                       yyjson_val *value, void *at)
{
    ProtobufCMessage *message = NULL;
    int rc;

    if (!yyjson_is_obj(value)) {
        return refuse(input, field, "an object");
    }
    rc = add_message(input, field->descriptor, value, &message);
    if (rc == RAY_OK) {
        memcpy(at, &message, sizeof(void *));
    }
    return rc;
}

static int set_one(struct input *input, const ProtobufCFieldDescriptor *field, yyjson_val *value,
                   void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return set_text(input, field, value, at);
    case PROTOBUF_C_TYPE_BYTES:
        return set_bytes(input, field, value, at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
        return set_number(input, field, value, at);
    case PROTOBUF_C_TYPE_ENUM:
        return set_enum(input, field, value, at);
    case PROTOBUF_C_TYPE_BOOL:
        return set_bool(input, field, value, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return set_message(input, field, value, at);
    default:
        return ray_fail(input->err, RAY_EUNSUPPORTED, "key '%s' is not set by files", field->name);
    }
}

static int set_list(struct input *input, const ProtobufCFieldDescriptor *field, yyjson_val *list,
                    uint8_t *base)
{
    size_t count = yyjson_arr_size(list);
    ProtobufCMessage **messages;
    yyjson_arr_iter iter;

    if (!yyjson_is_arr(list) || field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return refuse(input, field, "a list of objects");
    }
    messages = ray_arena_alloc(input->arena, (count + 1) * sizeof(void *));
    if (messages == NULL) {
        return no_memory(input);
    }
    iter = yyjson_arr_iter_with(list);
    for (size_t i = 0; i < count; i++) {
        int rc = set_message(input, field, yyjson_arr_iter_next(&iter), &messages[i]);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    memcpy(base + field->offset, &messages, sizeof(void *));
    memcpy(base + field->quantifier_offset, &count, sizeof count);
    return RAY_OK;
}

static int set_field(struct input *input, ProtobufCMessage *message, yyjson_val *object,
                     yyjson_val *key)
{
    const char *name = yyjson_get_str(key);
    yyjson_val *value = yyjson_obj_iter_get_val(key);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    uint8_t *base = (uint8_t *)message;

    if (field == NULL) {
        (void)ray_fail(input->err, RAY_EUSAGE, "no key '%s' in %s", name,
                       message->descriptor->short_name);
        return RAY_EUSAGE;
    }
    if (yyjson_obj_get(object, name) != value) {
        return ray_fail(input->err, RAY_EUSAGE, "key '%s' is there twice", name);
    }
    if (yyjson_is_null(value)) {
        return RAY_OK;
    }
    assert((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0);
    return field->label == PROTOBUF_C_LABEL_REPEATED
               ? set_list(input, field, value, base)
               : set_one(input, field, value, base + field->offset);
}

static int set_fields(struct input *input, struct waiting at)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(at.object);
    yyjson_val *key;
    int rc = RAY_OK;

    while (rc == RAY_OK && (key = yyjson_obj_iter_next(&iter)) != NULL) {
        rc = set_field(input, at.message, at.object, key);
    }
    return rc;
}

int input_message(const char *text, size_t size, const ProtobufCMessageDescriptor *type,
                  struct ray_arena *arena, ProtobufCMessage **out_message, struct ray_err *err)
{
    struct input input = {.arena = arena, .err = err};
    yyjson_read_err trouble = {0};
    ProtobufCMessage *message = NULL;
    /* Without the flag that lets yyjson write into the text. */
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)text, size, YYJSON_READ_NOFLAG, NULL, &trouble);
    int rc;

    if (doc == NULL) {
        return ray_fail(err, RAY_EUSAGE, "no JSON at byte %zu: %s", trouble.pos, trouble.msg);
    }
    rc = yyjson_is_obj(yyjson_doc_get_root(doc))
             ? add_message(&input, type, yyjson_doc_get_root(doc), &message)
             : ray_fail(err, RAY_EUSAGE, "the JSON is no object");
    for (size_t i = 0; rc == RAY_OK && i < input.waiting_count; i++) {
        rc = set_fields(&input, input.waiting[i]);
    }
    yyjson_doc_free(doc);
    if (rc == RAY_OK) {
        *out_message = message;
    }
    return rc;
}

int input_read_file(const char *path, struct ray_buf *out, struct ray_err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    uint8_t chunk[CHUNK_SIZE];
    size_t size;
    int rc = RAY_OK;

    if (file == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "%s: %s", path, strerror(errno));
    }
    do {
        size = fread(chunk, 1, sizeof chunk, file);
        if (ray_buf_append(out, chunk, size) != RAY_OK) {
            rc = ray_fail(err, RAY_ETOOBIG, "%s is larger than %zu bytes", path, out->size_max);
        }
    } while (rc == RAY_OK && size == sizeof chunk); /* fewer: its end, or an error */
    if (rc == RAY_OK && ferror(file) != 0) {
        rc = ray_fail(err, RAY_EIO, "%s cannot be read", path);
    }
    if (!is_stdin) {
        (void)fclose(file); /* only read from */
    }
    return rc;
}
