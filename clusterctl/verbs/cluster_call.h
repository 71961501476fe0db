/* clusterctl/verbs/cluster_call.h - how every verb calls the cluster: --socket, else --context or
 * RAYOS_CONTEXT, else this node's own socket when there is one, else the current context.
 *
 * By a context the members are asked in turn, the one that answered last first; one that cannot
 * serve is passed over, as long as a second try cannot do something twice. The verb has --socket
 * and --timeout, which is for all tries together; --context is the program's.
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
     .help = "the member to ask (without: this node's own, else a context's)"}
#define CLUSTER_LINEARIZABLE_OPTION                                                                \
    {.name = "linearizable", .help = "ask a quorum: nothing older than this moment"}
#define CLUSTER_REASON_OPTION                                                                      \
    {.name = "reason", .value_name = "TEXT", .help = "kept with the change (default: the command)"}
/* Of the program, for all verbs. */
#define CLUSTER_CONTEXT_OPTION                                                                     \
    {.name = "context",                                                                            \
     .value_name = "NAME",                                                                         \
     .help = "the cluster to call, of 'clusterctl context list' (or RAYOS_CONTEXT)"}

/* The table of a verb that only looks: --linearizable, -o, --socket, --timeout. */
extern const struct ray_args_option cluster_read_options[];

int cluster_call(const struct ray_args *args, const char *method, const ProtobufCMessage *input,
                 const ProtobufCMessageDescriptor *output, ProtobufCMessage **out_body,
                 struct ray_err *err);
/* The same of this node itself, never of a context. */
int cluster_call_here(const struct ray_args *args, const char *method,
                      const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
                      ProtobufCMessage **out_body, struct ray_err *err);

/* A stream: `on_item` for each item; without a time limit when `is_endless`. out_body may be NULL.
 */
struct cluster_stream {
    const char *method;
    const ProtobufCMessage *input;
    const ProtobufCMessageDescriptor *item;
    const ProtobufCMessageDescriptor *output;
    void (*on_item)(void *arg, const ProtobufCMessage *item);
    /* It begins again at another member, after items have come: forgets them, or changes `input` so
     * that it goes on behind them. NULL: it cannot, and ends with an error. */
    void (*on_again)(void *arg);
    void *arg;
    bool is_endless;
};
int cluster_stream(const struct ray_args *args, const struct cluster_stream *stream,
                   ProtobufCMessage **out_body, struct ray_err *err);

/* Whether calls go to a node's own socket; not by a context. */
bool cluster_is_here(const struct ray_args *args);
/* Each member of the context by itself, once: whether it can be reached and answers. Nobody when
 * calls go to a socket. */
int cluster_each_member(const struct ray_args *args,
                        void (*on_member)(void *arg, const char *address,
                                          const struct ray_err *why),
                        void *arg, struct ray_err *err);

/* --reason, or "clusterctl ..." as the command was. */
const char *cluster_reason(const struct ray_args *args, char *out, size_t out_size);

#endif
