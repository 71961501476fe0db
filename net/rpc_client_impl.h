/* net/rpc_client_impl.h - what rpc_client.c (calls, deadlines) and rpc_client_receive.c
 * (answers) share; nobody else includes it.
 *
 * Memory: a call is freed by its end, the client by its last release.
 * Threads: the loop's.  Blocks: never.  Trust: checked fields only. */
#ifndef RAY_NET_RPC_CLIENT_IMPL_H
#define RAY_NET_RPC_CLIENT_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "net/rpc_client.h"
#include "net/rpc_envelope.h"

enum { RAY_RPC_CLIENT_SEND_ARENA_SIZE_MAX = 4 * RAY_RPC_MESSAGE_SIZE_MAX };

struct ray_rpc_client_call {
    TAILQ_ENTRY(ray_rpc_client_call) entry;
    uint64_t id;
    uint64_t deadline_ns;                     /* monotonic; 0: none */
    const ProtobufCMessageDescriptor *item;   /* type of an item */
    const ProtobufCMessageDescriptor *output; /* type of the last body */
    uint32_t window;                          /* items that the server may still send */
    uint32_t consumed;                        /* items taken since credit was given */
    bool is_canceled;                         /* on_end is owed, nothing else happens */
    bool is_held;                             /* no credit goes back */
    void (*on_item)(void *arg, const ProtobufCMessage *item);
    void (*on_end)(void *arg, const struct ray_rpc_result *result);
    void *arg;
};

struct ray_rpc_client {
    struct ray_loop *loop;
    struct ray_rpc_carrier *carrier; /* NULL: closed */
    TAILQ_HEAD(, ray_rpc_client_call) calls;
    size_t call_count;
    uint64_t last_id;
    struct ray_timer timer;
    unsigned hold_count; /* one until destroy */
    bool is_destroyed;
    bool wants_bundles;
    struct ray_err why; /* why it is closed */
    struct ray_arena receive_arena;
    struct ray_arena send_arena;
    void (*on_close)(void *arg);
    void *on_close_arg;
};

void ray_rpc_client_release(struct ray_rpc_client *client);
struct ray_rpc_client_call *ray_rpc_client_find(struct ray_rpc_client *client, uint64_t id);

/* Takes the call out, tells its owner, frees it. */
void ray_rpc_client_end(struct ray_rpc_client *client, struct ray_rpc_client_call *call,
                        const struct ray_rpc_result *result);
void ray_rpc_client_fail(struct ray_rpc_client *client, struct ray_rpc_client_call *call,
                         const struct ray_err *why);

/* Of what is in the send arena; it may be secret, and nothing of it stays. */
int ray_rpc_client_post(struct ray_rpc_client *client, const struct ray_rpc_message *message,
                        const int *fds, size_t fd_count, struct ray_err *err);
/* rpc_client_large.c: a request whose input of `size` bytes needs more than one message. The id is
 * used up, whatever is returned, when *out_has_begun. */
int ray_rpc_client_post_large(struct ray_rpc_client *client, const struct ray_rpc_message *head,
                              const ProtobufCMessage *input, size_t size, bool *out_has_begun,
                              struct ray_err *err);

/* Cancel and credit: if they do not get through, the connection is of no use. */
void ray_rpc_client_post_or_abort(struct ray_rpc_client *client,
                                  const struct ray_rpc_message *message);
void ray_rpc_client_post_cancel(struct ray_rpc_client *client, uint64_t id);

/* Gives credit back for what was taken, when it is worth a message. */
void ray_rpc_client_give_credit(struct ray_rpc_client *client, uint64_t id);

/* The carrier's callback. */
void ray_rpc_client_on_message(void *arg, const uint8_t *bytes, size_t size, int *fds,
                               size_t fd_count);

#endif
