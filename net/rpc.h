/* net/rpc.h - one request/reply and stream layer over message carriers.
 *
 * A connection carries messages of at most RAY_RPC_MESSAGE_SIZE_MAX bytes in order; the
 * envelope is net/proto/rpc.proto. A call has a method name and a body (which travels in parts
 * where it is larger than a message, and the service takes that), and gets any number of items,
 * then exactly one end (a last body, or an error with code, text, next step). Carriers: Unix
 * SOCK_SEQPACKET here; between machines net/rpc_link.h and net/rpc_bulk.h.
 *
 * Memory: create/destroy; bodies handed to callbacks are borrowed for the call.
 * Threads: the loop's.  Blocks: never (queues are bounded: a peer that does not read gets
 * RAY_EAGAIN on send and, above the limit, is closed).
 * Trust: every byte from the peer is hostile; a malformed message closes the connection. */
#ifndef RAY_NET_RPC_H
#define RAY_NET_RPC_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/id.h"
#include "base/loop.h"
#include "net/key.h"

enum {
    RAY_RPC_MESSAGE_SIZE_MAX = 65536,
    RAY_RPC_BODY_SIZE_MAX = 60000,               /* leaves room for the envelope */
    RAY_RPC_LARGE_SIZE_MAX = (512 << 10) + 8192, /* body of a request that comes in parts */
    RAY_RPC_METHOD_SIZE_MAX = 64,
    RAY_RPC_CALLS_PER_CONN_MAX = 256,    /* in flight */
    RAY_RPC_CONN_COUNT_MAX = 256,        /* per server */
    RAY_RPC_QUEUE_SIZE_MAX = 4 << 20,    /* bytes waiting to be sent, per connection */
    RAY_RPC_FD_COUNT_MAX = 8,            /* descriptors in one message (Unix only) */
    RAY_RPC_CALLS_PER_SERVER_MAX = 4096, /* in flight, over all connections */
    RAY_RPC_CONN_PER_UID_MAX = 64,       /* of one user other than root, per server */
    RAY_RPC_STREAM_WINDOW = 32,          /* items that a client lets come unread, per call */
};

/* Who is at the other end. Of a Unix connection (SO_PEERCRED): pid, uid, gid. Of another machine,
 * proven by its handshake: node or identity; its pid is 0, its uid and gid are RAY_RPC_NO_UID,
 * so that nobody takes it for root. */
struct ray_rpc_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    bool is_remote;
    struct ray_id node;             /* a member, or whoever joins; else none */
    uint8_t identity[RAY_KEY_SIZE]; /* an operator's or a joiner's; else zeros */
};

#define RAY_RPC_NO_UID ((uid_t)UINT32_MAX)

/* ---- server ---- */
struct ray_rpc_server;
struct ray_rpc_call; /* one call on the server side, alive until it is ended */

struct ray_rpc_method {
    const char *name;                        /* "node.facts" */
    const ProtobufCMessageDescriptor *input; /* decoded and checked before `run` */
    /* `input` is borrowed for the duration of run. The call must be ended now or later
     * with reply or reply_err. */
    void (*run)(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
};

/* Listens at `path` (a stale socket file is replaced, a live one is RAY_EEXISTS) with `mode`.
 * `methods` ends with a NULL name and must outlive the server. */
int ray_rpc_server_create_unix(struct ray_rpc_server **out_server, struct ray_loop *loop,
                               const char *path, mode_t mode, const struct ray_rpc_method *methods,
                               void *arg, struct ray_err *err);
/* A bound and listening descriptor of the same kind, for servers whose socket outlives them. */
int ray_rpc_unix_listen(const char *path, mode_t mode, int *out_fd, struct ray_err *err);
/* Same on a listening SOCK_SEQPACKET descriptor, which the server takes over. */
int ray_rpc_server_create_fd(struct ray_rpc_server **out_server, struct ray_loop *loop, int fd,
                             const struct ray_rpc_method *methods, void *arg, struct ray_err *err);
void ray_rpc_server_destroy(struct ray_rpc_server *server); /* ends open calls; NULL is fine */
/* From now on requests may be larger than a message, up to RAY_RPC_LARGE_SIZE_MAX. What is held of
 * those that are not whole yet is bounded, per server and per user. */
void ray_rpc_server_take_large(struct ray_rpc_server *server);

const struct ray_rpc_peer *ray_rpc_call_peer(const struct ray_rpc_call *call);
/* How long the caller still waits, for calls made on its behalf; 0: for ever. */
uint64_t ray_rpc_call_remaining_ms(const struct ray_rpc_call *call);
/* Descriptors that came with the request; the call owns them until taken (-1 then). */
int ray_rpc_call_take_fd(struct ray_rpc_call *call, size_t index);
/* Ends the call with a body. The call is gone afterwards, whatever is returned. */
int ray_rpc_reply(struct ray_rpc_call *call, const ProtobufCMessage *body);
/* The same with descriptors beside the body (Unix only); they stay the method's. */
int ray_rpc_reply_fds(struct ray_rpc_call *call, const ProtobufCMessage *body, const int *fds,
                      size_t fd_count);
/* Ends the call with an error: code (never RAY_OK), text and next_step of `err`. */
int ray_rpc_reply_err(struct ray_rpc_call *call, const struct ray_err *err);
/* One item of a stream; RAY_EAGAIN: the peer is slow, nothing was queued, `on_drain`
 * follows; RAY_ECLOSED: the peer left, on_cancel follows. Other failures are of this item
 * (RAY_ETOOBIG, RAY_ENOMEM): the method still has to end the call. */
int ray_rpc_send(struct ray_rpc_call *call, const ProtobufCMessage *item);
void ray_rpc_call_on_drain(struct ray_rpc_call *call, void (*cb)(void *arg), void *arg);
/* Called once when the peer cancels or leaves, or the server is destroyed, before the call was
 * ended; the call is gone after the callback. Without a callback the call stays until it is
 * ended by reply, which then returns RAY_ECLOSED. */
void ray_rpc_call_on_cancel(struct ray_rpc_call *call, void (*cb)(void *arg), void *arg);

/* ---- client ---- */
struct ray_rpc_client;
struct ray_rpc_result {
    int code;         /* RAY_OK or the error */
    const char *text; /* borrowed; "" for RAY_OK */
    const char *next_step;
    const ProtobufCMessage *body; /* borrowed; of the type asked for; NULL on error */
    const uint8_t *packed;        /* borrowed; the same body's bytes */
    size_t packed_size;
    int *fds; /* borrowed; what came beside the body. Those not taken (set to -1) are closed */
    size_t fd_count;
};

int ray_rpc_client_create_unix(struct ray_rpc_client **out_client, struct ray_loop *loop,
                               const char *path, struct ray_err *err);
/* For one with many calls at once: what a turn of the loop sends goes in one packet, here and at
 * the server. A call is then sent when the loop runs, not from within its start. */
void ray_rpc_client_bundle(struct ray_rpc_client *client);
void ray_rpc_client_destroy(struct ray_rpc_client *client); /* open calls end with ECANCELED */

/* timeout_ms 0: none. Items are of type `output`, as the end is; `on_item` may be NULL (items are
 * then an error); `on_end` runs exactly once, never from within this function. Returns RAY_EAGAIN
 * when too many are in flight, RAY_ETOOBIG for an input above RAY_RPC_LARGE_SIZE_MAX. *out_id may
 * be NULL; it is for cancel. fds may be NULL. */
int ray_rpc_call_start(struct ray_rpc_client *client, const char *method,
                       const ProtobufCMessage *input, const int *fds, size_t fd_count,
                       const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                       void (*on_item)(void *arg, const ProtobufCMessage *item),
                       void (*on_end)(void *arg, const struct ray_rpc_result *result), void *arg,
                       uint64_t *out_id, struct ray_err *err);
/* The same for a method whose items are of another type than its end. */
int ray_rpc_stream_start(struct ray_rpc_client *client, const char *method,
                         const ProtobufCMessage *input, const ProtobufCMessageDescriptor *item,
                         const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                         void (*on_item)(void *arg, const ProtobufCMessage *item),
                         void (*on_end)(void *arg, const struct ray_rpc_result *result), void *arg,
                         uint64_t *out_id, struct ray_err *err);
/* While it is held, no credit goes back to the server: at most RAY_RPC_STREAM_WINDOW items more
 * come, for whoever hands them on to somebody slow. An id that has ended is ignored. */
void ray_rpc_call_hold(struct ray_rpc_client *client, uint64_t id, bool is_held);
/* on_end follows from the loop with RAY_ECANCELED; items that are under way are dropped. An id
 * that has ended is ignored. */
void ray_rpc_call_cancel(struct ray_rpc_client *client, uint64_t id);
/* The connection is gone; calls in flight have been ended with RAY_ECLOSED before. */
void ray_rpc_client_on_close(struct ray_rpc_client *client, void (*cb)(void *arg), void *arg);

/* For command lines: connects, calls, runs an own loop until the end, disconnects.
 * *out_body is unpacked with malloc for the caller (protobuf_c_message_free_unpacked). */
int ray_rpc_call_unix(const char *path, const char *method, const ProtobufCMessage *input,
                      const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                      ProtobufCMessage **out_body, struct ray_err *err);
/* The same for an answer with descriptors, which are the caller's then. */
int ray_rpc_call_unix_fds(const char *path, const char *method, const ProtobufCMessage *input,
                          const ProtobufCMessageDescriptor *output, uint64_t timeout_ms,
                          ProtobufCMessage **out_body, int out_fds[static RAY_RPC_FD_COUNT_MAX],
                          size_t *out_fd_count, struct ray_err *err);

#endif
