/* clusterctl/lab/verbs/session.h - a command's connection to the supervisor, on a loop of its
 * own, for calls that stream, carry descriptors or are interrupted.
 *
 * Memory: the caller's struct, closed by lab_session_close.  Threads: one.
 * Blocks: lab_session_call, until the call has ended.
 * Trust: the supervisor is ours; its messages are checked by the rpc layer. */
#ifndef RAY_CLUSTERCTL_LAB_VERBS_SESSION_H
#define RAY_CLUSTERCTL_LAB_VERBS_SESSION_H

#include <stdbool.h>

#include "base/loop.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/rpc.h"

struct lab_call;

struct lab_session {
    struct ray_loop loop;
    struct ray_rpc_client *client;
    struct ray_signal sigint;
    struct ray_signal sigterm;
    struct ray_signal sighup;
    int interrupted_by; /* signal number; 0: none */
    /* Runs when a signal came; NULL: the call is canceled. */
    void (*on_interrupt)(void *arg);
    void *interrupt_arg;
    uint64_t call_id;
    bool is_done;
    int rc;
    ProtobufCMessage *body;
    const struct lab_call *call; /* the one that goes on */
    struct ray_err *err;
};

struct lab_call {
    const char *method;
    const ProtobufCMessage *input;
    const int *fds; /* may be NULL */
    size_t fd_count;
    const ProtobufCMessageDescriptor *output;                 /* of the last answer */
    uint64_t timeout_ms;                                      /* 0: none */
    void (*on_item)(void *arg, const ProtobufCMessage *item); /* may be NULL */
    void *arg;
};

int lab_session_open(struct lab_session *session, const struct lab_client *client,
                     struct ray_err *err);
/* Safe on zeroed and twice. */
void lab_session_close(struct lab_session *session);

/* *out_body (may be NULL) is the last answer, for the caller to free. After a signal the
 * call is canceled: RAY_ECANCELED, and session->interrupted_by says which. */
int lab_session_call(struct lab_session *session, const struct lab_call *call,
                     ProtobufCMessage **out_body, struct ray_err *err);

#endif
