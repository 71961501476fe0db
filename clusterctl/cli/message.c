/* message.c - protobuf-c's descriptors tell the type and offset of each field, so one walk
 * turns any message into JSON, and the schema is the only description of the output. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/cli/output.h"

enum { DEPTH_MAX = 16 };

static yyjson_mut_val *convert(yyjson_mut_doc *doc, const ProtobufCMessage *message, int depth);

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    }
    return 0;
}

static yyjson_mut_val *hex(yyjson_mut_doc *doc, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(bytes->len * 2 + 1);
    yyjson_mut_val *value;

    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < bytes->len; i++) {
        text[2 * i] = digits[bytes->data[i] >> 4];
        text[2 * i + 1] = digits[bytes->data[i] & 0xf];
    }
    value = yyjson_mut_strncpy(doc, text, bytes->len * 2);
    free(text);
    return value;
}

static int32_t load_i32(const void *at)
{
    int32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static int64_t load_i64(const void *at)
{
    int64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static const void *load_pointer(const void *at)
{
    const void *value;

    memcpy(&value, at, sizeof value);
    return value;
}

yyjson_mut_val *output_age(yyjson_mut_doc *doc, uint64_t age_ms)
{
    return age_ms == UINT64_MAX ? yyjson_mut_sint(doc, -1) : yyjson_mut_uint(doc, age_ms);
}

static yyjson_mut_val *enum_name(yyjson_mut_doc *doc, const ProtobufCFieldDescriptor *field,
                                 const void *at)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, load_i32(at));

    return value == NULL ? yyjson_mut_sint(doc, load_i32(at)) : yyjson_mut_str(doc, value->name);
}

static yyjson_mut_val *scalar(yyjson_mut_doc *doc, const ProtobufCFieldDescriptor *field,
                              const void *at, int depth)
{
    const ProtobufCMessage *message;
    const char *text;
    float number_float;
    double number_double;
    protobuf_c_boolean flag;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return yyjson_mut_sint(doc, load_i32(at));
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return yyjson_mut_uint(doc, (uint32_t)load_i32(at));
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return yyjson_mut_sint(doc, load_i64(at));
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return strcmp(field->name, "age_ms") == 0 ? output_age(doc, (uint64_t)load_i64(at))
                                                  : yyjson_mut_uint(doc, (uint64_t)load_i64(at));
    case PROTOBUF_C_TYPE_FLOAT:
        memcpy(&number_float, at, sizeof number_float);
        return yyjson_mut_real(doc, (double)number_float);
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(&number_double, at, sizeof number_double);
        return yyjson_mut_real(doc, number_double);
    case PROTOBUF_C_TYPE_BOOL:
        memcpy(&flag, at, sizeof flag);
        return yyjson_mut_bool(doc, flag != 0);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_name(doc, field, at);
    case PROTOBUF_C_TYPE_STRING:
        text = load_pointer(at);
        return yyjson_mut_strcpy(doc, text == NULL ? "" : text);
    case PROTOBUF_C_TYPE_BYTES:
        return hex(doc, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        message = load_pointer(at);
        return message == NULL ? yyjson_mut_null(doc) : convert(doc, message, depth + 1);
    }
    return NULL;
}

static yyjson_mut_val *repeated(yyjson_mut_doc *doc, const ProtobufCFieldDescriptor *field,
                                const uint8_t *base, int depth)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    size_t size = element_size(field->type);
    const uint8_t *elements;
    size_t count;

    memcpy(&count, base + field->quantifier_offset, sizeof count);
    memcpy(&elements, base + field->offset, sizeof elements);
    for (size_t i = 0; i < count; i++) {
        if (!yyjson_mut_arr_append(list, scalar(doc, field, elements + i * size, depth))) {
            return NULL;
        }
    }
    return list;
}

/* Whether a member of a oneof is not the one that is set. */
static bool is_other_choice(const ProtobufCFieldDescriptor *field, const uint8_t *base)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
           (uint32_t)load_i32(base + field->quantifier_offset) != field->id;
}

static yyjson_mut_val *convert(yyjson_mut_doc *doc, const ProtobufCMessage *message, int depth)
{
    const uint8_t *base = (const uint8_t *)message;
    yyjson_mut_val *object = yyjson_mut_obj(doc);

    if (object == NULL || depth > DEPTH_MAX) {
        return NULL;
    }
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        yyjson_mut_val *value;

        if (is_other_choice(field, base)) {
            continue;
        }
        value = field->label == PROTOBUF_C_LABEL_REPEATED
                    ? repeated(doc, field, base, depth)
                    : scalar(doc, field, base + field->offset, depth);
        /* Names live in the descriptor, which outlives every document. */
        if (value == NULL || !yyjson_mut_obj_add(object, yyjson_mut_str(doc, field->name), value)) {
            return NULL;
        }
    }
    return object;
}

yyjson_mut_val *output_from_message(yyjson_mut_doc *doc, const ProtobufCMessage *message)
{
    assert(message != NULL && message->descriptor != NULL);
    return convert(doc, message, 0);
}
