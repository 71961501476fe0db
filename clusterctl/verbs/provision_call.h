/* clusterctl/verbs/provision_call.h - one call on the control socket of rayos-provision, for the
 * verbs machine, provision and image-release, which share --socket, --timeout and --reason.
 *
 * Memory: an answer is the caller's (protobuf_c_message_free_unpacked).  Threads: one, with a loop
 * of its own.  Blocks: until the answer, the stream's end or --timeout.
 * Trust: answers are checked by net/rpc; texts are escaped when printed. */
#ifndef RAY_CLUSTERCTL_VERBS_PROVISION_CALL_H
#define RAY_CLUSTERCTL_VERBS_PROVISION_CALL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/args.h"
#include "base/err.h"
#include "clusterctl/cli/output.h"

#define PROVISION_SOCKET_OPTION                                                                    \
    {.name = "socket",                                                                             \
     .value_name = "PATH",                                                                         \
     .default_value = "/run/rayos/provision.sock",                                                 \
     .help = "of rayos-provision; $RAYOS_PROVISION_SOCKET is the default where it is set"}
#define PROVISION_TIMEOUT_OPTION                                                                   \
    {.name = "timeout",                                                                            \
     .value_name = "SECONDS",                                                                      \
     .default_value = "60",                                                                        \
     .help = "give up after so many seconds"}
#define PROVISION_REASON_OPTION                                                                    \
    {.name = "reason", .value_name = "TEXT", .help = "why, for timeline and log"}
#define PROVISION_DRY_RUN_OPTION                                                                   \
    {.name = "dry-run", .help = "say what would happen, change nothing"}

struct provision_call {
    const char *socket; /* NULL: --socket */
    const char *method;
    const ProtobufCMessage *request;
    const ProtobufCMessageDescriptor *reply;
    const ProtobufCMessageDescriptor *item; /* NULL: no stream */
    const int *fds;                         /* sent with the request */
    size_t fd_count;
    bool is_endless; /* a watch: --timeout does not hold, a signal ends it well */
    void (*on_item)(void *arg, const ProtobufCMessage *item);
    void *arg;
};

/* *out_reply may be NULL when nobody wants it. Where nobody answers, the next step says how the
 * service is started. */
int provision_call(const struct ray_args *args, const struct provision_call *call,
                   ProtobufCMessage **out_reply, struct ray_err *err);

/* A stream whose items are printed as one list under `list_key`. Returns the exit status. */
int provision_print_stream(const struct ray_args *args, const struct provision_call *call,
                           const struct output_view *view);
/* A call whose answer is printed. Returns the exit status. */
int provision_print_reply(const struct ray_args *args, const struct provision_call *call,
                          const struct output_view *view);

#endif
