/* clusterctl/verbs/node_call.h - one call on one of the node's own sockets, for verbs that have
 * --socket-dir and --timeout.
 *
 * Memory: an answer is the caller's (protobuf_c_message_free_unpacked).  Threads: one.
 * Blocks: until the answer or --timeout.  Trust: answers are checked by net/rpc. */
#ifndef RAY_CLUSTERCTL_VERBS_NODE_CALL_H
#define RAY_CLUSTERCTL_VERBS_NODE_CALL_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "base/args.h"
#include "base/err.h"

enum { NODE_CALL_PATH_SIZE_MAX = 108, NODE_CALL_TIMEOUT_S_MAX = 3600 };

#define NODE_SOCKET_DIR_OPTION                                                                     \
    {.name = "socket-dir",                                                                         \
     .value_name = "DIR",                                                                          \
     .default_value = "/run/rayos",                                                                \
     .help = "where the node's sockets are"}
#define NODE_TIMEOUT_OPTION(seconds)                                                               \
    {.name = "timeout",                                                                            \
     .value_name = "SECONDS",                                                                      \
     .default_value = (seconds),                                                                   \
     .help = "give up after so many seconds"}

/* The path of `socket` ("init.sock") and the time that the user gives; RAY_EUSAGE. */
int node_call_path(const struct ray_args *args, const char *socket,
                   char out[static NODE_CALL_PATH_SIZE_MAX], struct ray_err *err);
int node_call_timeout_ms(const struct ray_args *args, uint64_t *out_ms, struct ray_err *err);

/* Calls `method`. Where nobody answers the next step says so. */
int node_call(const struct ray_args *args, const char *socket, const char *method,
              const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
              ProtobufCMessage **out_body, struct ray_err *err);
/* The next step after a failed connection, unless there is one. Returns err's code. */
int node_call_next(struct ray_err *err);

#endif
