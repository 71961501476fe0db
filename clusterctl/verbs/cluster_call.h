/* clusterctl/verbs/cluster_call.h - calls on a member's socket, for verbs that have --socket and
 * --timeout.
 *
 * Memory: an answer is the caller's (protobuf_c_message_free_unpacked).  Threads: one.
 * Blocks: until the end or --timeout.  Trust: answers are checked by net/rpc. */
#ifndef RAY_CLUSTERCTL_VERBS_CLUSTER_CALL_H
#define RAY_CLUSTERCTL_VERBS_CLUSTER_CALL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "base/args.h"
#include "base/err.h"

#define CLUSTER_SOCKET_OPTION                                                                      \
    {.name = "socket",                                                                             \
     .value_name = "PATH",                                                                         \
     .default_value = "/run/rayos/node.sock",                                                      \
     .help = "the member to ask"}
#define CLUSTER_LINEARIZABLE_OPTION                                                                \
    {.name = "linearizable", .help = "ask a quorum: nothing older than this moment"}
#define CLUSTER_REASON_OPTION                                                                      \
    {.name = "reason", .value_name = "TEXT", .help = "kept with the change (default: the command)"}

int cluster_call(const struct ray_args *args, const char *method, const ProtobufCMessage *input,
                 const ProtobufCMessageDescriptor *output, ProtobufCMessage **out_body,
                 struct ray_err *err);

/* A stream: `on_item` for each item; without a time limit when `is_endless`. out_body may be NULL.
 */
struct cluster_stream {
    const char *method;
    const ProtobufCMessage *input;
    const ProtobufCMessageDescriptor *item;
    const ProtobufCMessageDescriptor *output;
    void (*on_item)(void *arg, const ProtobufCMessage *item);
    void *arg;
    bool is_endless;
};
int cluster_stream(const struct ray_args *args, const struct cluster_stream *stream,
                   ProtobufCMessage **out_body, struct ray_err *err);

/* --reason, or "clusterctl ..." as the command was. */
const char *cluster_reason(const struct ray_args *args, char *out, size_t out_size);

#endif
