/* clusterctl/cli/input.h - JSON as a message: the way back from output_from_message, for what an
 * operator writes or edits.
 *
 * Memory: the message lies in the caller's arena.  Threads: any.  Blocks: never (read_file: on the
 * file).  Trust: the text is the user's; what is unknown, twice there or of another type is refused
 * with the name of its key. */
#ifndef RAY_CLUSTERCTL_CLI_INPUT_H
#define RAY_CLUSTERCTL_CLI_INPUT_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* One JSON object. Keys are the field names of the schema, enums their names, bytes hex; what is
 * left out or null has its default. Lists of messages, messages, strings, bytes, bools, enums and
 * unsigned numbers are known; no oneof. RAY_EUSAGE, RAY_ENOMEM. */
int input_message(const char *text, size_t size, const ProtobufCMessageDescriptor *type,
                  struct ray_arena *arena, ProtobufCMessage **out_message, struct ray_err *err);

/* The whole file, "-": of stdin, behind what is in `out`, up to its limit. RAY_ENOTFOUND, RAY_EIO,
 * RAY_ETOOBIG. */
int input_read_file(const char *path, struct ray_buf *out, struct ray_err *err);

#endif
