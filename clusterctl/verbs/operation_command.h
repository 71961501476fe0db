/* clusterctl/verbs/operation_command.h - a command that waits for approval, to be read.
 *
 * Memory: in the caller's document.  Threads: any.  Blocks: never.
 * Trust: the bytes are what a member answered; texts are escaped when they are printed. */
#ifndef RAY_CLUSTERCTL_VERBS_OPERATION_COMMAND_H
#define RAY_CLUSTERCTL_VERBS_OPERATION_COMMAND_H

#include <protobuf-c/protobuf-c.h>
#include <yyjson.h>

#include "base/err.h"

/* {"label": {...}}: the command's own name and what it says, specs, labels and rules taken apart.
 * What this version cannot read is hex. RAY_EMALFORMED, RAY_ENOMEM. */
int operation_command_show(yyjson_mut_doc *doc, const ProtobufCBinaryData *bytes,
                           yyjson_mut_val **out_value, struct ray_err *err);

#endif
