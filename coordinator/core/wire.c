/* coordinator/core/wire.c */
#include "coordinator/core/wire.h"

#include <assert.h>
#include <string.h>

#include "base/varint.h"

enum { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_BYTES = 2, TYPE_FIXED32 = 5 };
enum { NUMBER_WRITTEN_MAX = 15 };

size_t coord_wire_uint_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + ray_varint_size(value);
}

size_t coord_wire_bytes_size(size_t size)
{
    return 1 + ray_varint_size(size) + size;
}

void coord_wire_put_uint(struct coord_wire_writer *writer, uint32_t number, uint64_t value)
{
    assert(number > 0 && number <= NUMBER_WRITTEN_MAX);
    if (value != 0) {
        *writer->at++ = (uint8_t)(number << 3 | TYPE_VARINT);
        writer->at = ray_varint_put(writer->at, value);
    }
}

void coord_wire_put_length(struct coord_wire_writer *writer, uint32_t number, size_t size)
{
    assert(number > 0 && number <= NUMBER_WRITTEN_MAX);
    *writer->at++ = (uint8_t)(number << 3 | TYPE_BYTES);
    writer->at = ray_varint_put(writer->at, size);
}

void coord_wire_put_bytes(struct coord_wire_writer *writer, uint32_t number, const uint8_t *bytes,
                          size_t size)
{
    coord_wire_put_length(writer, number, size);
    if (size > 0) {
        memcpy(writer->at, bytes, size);
        writer->at += size;
    }
}

static bool get_varint(struct coord_wire_reader *reader, uint64_t *out)
{
    size_t size = ray_varint_take(reader->at, (size_t)(reader->end - reader->at), out);

    if (size == 0) {
        reader->is_bad = true;
        return false;
    }
    reader->at += size;
    return true;
}

static bool skip(struct coord_wire_reader *reader, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size) {
        reader->is_bad = true;
        return false;
    }
    reader->at += size;
    return true;
}

static bool get_bytes(struct coord_wire_reader *reader, struct coord_wire_field *field)
{
    uint64_t size;

    if (!get_varint(reader, &size)) {
        return false;
    }
    if (size > (uint64_t)(reader->end - reader->at)) {
        reader->is_bad = true;
        return false;
    }
    field->is_bytes = true;
    field->bytes = reader->at;
    field->size = (size_t)size;
    return skip(reader, field->size);
}

bool coord_wire_next(struct coord_wire_reader *reader, struct coord_wire_field *out)
{
    uint64_t key;

    *out = (struct coord_wire_field){0};
    if (reader->is_bad || reader->at >= reader->end || !get_varint(reader, &key)) {
        return false;
    }
    if (key >> 3 == 0 || key > UINT32_MAX) {
        reader->is_bad = true;
        return false;
    }
    out->number = (uint32_t)(key >> 3);
    switch (key & 7) {
    case TYPE_VARINT:
        out->is_uint = true;
        return get_varint(reader, &out->value);
    case TYPE_BYTES:
        return get_bytes(reader, out);
    case TYPE_FIXED64:
        return skip(reader, 8);
    case TYPE_FIXED32:
        return skip(reader, 4);
    default:
        reader->is_bad = true;
        return false;
    }
}

bool coord_wire_is_uint(const struct coord_wire_field *field, uint32_t number)
{
    return field->is_uint && field->number == number;
}

bool coord_wire_is_bytes(const struct coord_wire_field *field, uint32_t number)
{
    return field->is_bytes && field->number == number;
}

struct coord_wire_reader coord_wire_inner(const struct coord_wire_field *field)
{
    return (struct coord_wire_reader){.at = field->bytes, .end = field->bytes + field->size};
}
