/* spec_walk.c - field by field, messages in messages on a stack of our own. What is refused, and
 * with which words, depends on the bytes and the level alone. */
#include "net/spec_walk.h"

#include <assert.h>
#include <stdbool.h>

#include "base/varint.h"
#include "net/spec.h"

enum {
    DEPTH_MAX = 3, /* of the schema */
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    FIELD_BITS = 3,
    SEEN_MAX = 64, /* field numbers */
    FIRST_LEVEL = 1,
};

/* A message that is being read. */
struct frame {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *at;
    const uint8_t *end;
    uint64_t seen; /* a bit for each field that may come once */
};

struct walk {
    uint32_t level;
    struct frame stack[DEPTH_MAX];
    size_t depth;
    size_t field_count;
    struct ray_err *err;
};

/* The level that brought the field. All came with the first one so far. */
static uint32_t level_of(const ProtobufCMessageDescriptor *type, uint64_t number)
{
    (void)type;
    (void)number;
    return FIRST_LEVEL;
}

static const ProtobufCFieldDescriptor *
find_field(const struct walk *walk, const ProtobufCMessageDescriptor *type, uint64_t number)
{
    if (number == 0 || number >= SEEN_MAX || level_of(type, number) > walk->level) {
        return NULL;
    }
    return protobuf_c_message_descriptor_get_field(type, (unsigned)number);
}

static int refuse(const struct walk *walk, const struct frame *frame, const char *field,
                  const char *why)
{
    return ray_fail(walk->err, RAY_EINVAL, "%s.%s: %s", frame->type->short_name, field, why);
}

/* How many bytes the character at `at` has; 0: it is no UTF-8 (RFC 3629), or one that is not
 * taken. */
static size_t character(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size = 2;

    if (at[0] < 0x80) {
        return (at[0] >= ' ' && at[0] != 0x7f) || at[0] == '\n' || at[0] == '\t' ? 1 : 0;
    }
    if (at[0] < 0xc2 || at[0] > 0xf4) {
        return 0;
    }
    if (at[0] >= 0xe0) {
        size = at[0] >= 0xf0 ? 4 : 3;
        low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : low;
        high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : high;
    } else if (at[0] == 0xc2) {
        low = 0xa0; /* U+0080 to U+009F are control characters */
    }
    if (left < size || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

static bool is_text(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t step = 1;

        if (bytes[i] < ' ' || bytes[i] > '~') { /* mostly not */
            step = character(bytes + i, size - i);
        }
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

static uint64_t value_max(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        return 1;
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_UINT32:
        return UINT32_MAX;
    default:
        assert(type == PROTOBUF_C_TYPE_UINT64);
        return UINT64_MAX;
    }
}

static bool is_sized(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
           field->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* One number at the front of what is left. */
static int take(struct walk *walk, struct frame *frame, const char *what, size_t size_max,
                uint64_t *out)
{
    size_t size = ray_varint_take_short(frame->at, (size_t)(frame->end - frame->at), size_max, out);

    if (size == 0) {
        return refuse(walk, frame, what, "a number that does not end");
    }
    frame->at += size;
    return RAY_OK;
}

static int take_number(struct walk *walk, struct frame *frame,
                       const ProtobufCFieldDescriptor *field)
{
    uint64_t value = 0;
    int rc = take(walk, frame, field->name, RAY_VARINT_SIZE_MAX, &value);

    if (rc == RAY_OK && value > value_max(field->type)) {
        rc = refuse(walk, frame, field->name, "a number that is too large");
    }
    return rc;
}

static int push(struct walk *walk, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                size_t size)
{
    assert(walk->depth < DEPTH_MAX); /* the schema is not that deep */
    walk->stack[walk->depth++] = (struct frame){.type = type, .at = bytes, .end = bytes + size};
    return RAY_OK;
}

static int take_sized(struct walk *walk, struct frame *frame, const ProtobufCFieldDescriptor *field)
{
    const uint8_t *bytes;
    uint64_t size = 0;
    int rc = take(walk, frame, field->name, RAY_VARINT_HEAD_SIZE_MAX, &size);

    if (rc != RAY_OK) {
        return rc;
    }
    if (size > (uint64_t)(frame->end - frame->at)) {
        return refuse(walk, frame, field->name, "it is cut off");
    }
    bytes = frame->at;
    frame->at += size;
    if (field->type == PROTOBUF_C_TYPE_STRING && !is_text(bytes, (size_t)size)) {
        return refuse(walk, frame, field->name, "no UTF-8 text, or one with control characters");
    }
    return field->type == PROTOBUF_C_TYPE_MESSAGE
               ? push(walk, field->descriptor, bytes, (size_t)size)
               : RAY_OK;
}

static int check_once(struct walk *walk, struct frame *frame, const ProtobufCFieldDescriptor *field)
{
    uint64_t bit = UINT64_C(1) << field->id;

    if (++walk->field_count > RAY_SPEC_FIELDS_MAX) {
        return ray_fail(walk->err, RAY_EINVAL, "%s: more than %d fields", frame->type->short_name,
                        RAY_SPEC_FIELDS_MAX);
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED && (frame->seen & bit) != 0) {
        return refuse(walk, frame, field->name, "it is there twice");
    }
    frame->seen |= bit;
    return RAY_OK;
}

static int take_field(struct walk *walk, struct frame *frame)
{
    const ProtobufCFieldDescriptor *field;
    uint64_t key = 0;
    int rc = take(walk, frame, "field", RAY_VARINT_HEAD_SIZE_MAX, &key);

    if (rc != RAY_OK) {
        return rc;
    }
    field = find_field(walk, frame->type, key >> FIELD_BITS);
    if (field == NULL) {
        (void)ray_fail(
            walk->err, RAY_EUNSUPPORTED, "%s has field %llu, which feature level %u does not have",
            frame->type->short_name, (unsigned long long)(key >> FIELD_BITS), walk->level);
        (void)ray_next(walk->err, "leave it out, or raise the cluster's feature level");
        return RAY_EUNSUPPORTED;
    }
    if ((key & ((1U << FIELD_BITS) - 1)) != (is_sized(field) ? WIRE_BYTES : WIRE_VARINT)) {
        return refuse(walk, frame, field->name, "it is of another type");
    }
    rc = check_once(walk, frame, field);
    if (rc != RAY_OK) {
        return rc;
    }
    return is_sized(field) ? take_sized(walk, frame, field) : take_number(walk, frame, field);
}

int ray_spec_walk(const ProtobufCMessageDescriptor *type, uint32_t level, const uint8_t *bytes,
                  size_t size, struct ray_err *err)
{
    static const uint8_t none[1];
    struct walk walk = {.level = level, .err = err};
    int rc = push(&walk, type, bytes != NULL ? bytes : none, size);

    while (rc == RAY_OK && walk.depth > 0) {
        struct frame *frame = &walk.stack[walk.depth - 1];

        if (frame->at == frame->end) {
            walk.depth--;
        } else {
            rc = take_field(&walk, frame);
        }
    }
    return rc;
}
