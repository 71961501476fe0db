/* coordinator/core/wire.h - the parts of protobuf's wire form that messages need.
 *
 * Memory: the caller's; fields borrow from the input.  Threads: any.  Blocks: never.
 * Trust: what is read is hostile: a bad byte ends the reading. What is written was measured
 * first.  Source: protobuf.dev, Encoding. */
#ifndef RAY_COORDINATOR_CORE_WIRE_H
#define RAY_COORDINATOR_CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Field numbers are below 16, so that a key is one byte. */
struct coord_wire_writer {
    uint8_t *at;
};

/* Of a field; 0 for the value 0, which is not written. */
size_t coord_wire_uint_size(uint64_t value);
/* Key, length and content. */
size_t coord_wire_bytes_size(size_t size);

void coord_wire_put_uint(struct coord_wire_writer *writer, uint32_t number, uint64_t value);
/* Key and length; the content follows. */
void coord_wire_put_length(struct coord_wire_writer *writer, uint32_t number, size_t size);
void coord_wire_put_bytes(struct coord_wire_writer *writer, uint32_t number, const uint8_t *bytes,
                          size_t size);

struct coord_wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

struct coord_wire_field {
    uint32_t number;
    bool is_bytes;
    bool is_uint; /* neither: a fixed-size field, skipped */
    uint64_t value;
    const uint8_t *bytes;
    size_t size;
};

/* False: the end, or is_bad. */
bool coord_wire_next(struct coord_wire_reader *reader, struct coord_wire_field *out);
bool coord_wire_is_uint(const struct coord_wire_field *field, uint32_t number);
bool coord_wire_is_bytes(const struct coord_wire_field *field, uint32_t number);
struct coord_wire_reader coord_wire_inner(const struct coord_wire_field *field);

#endif
