/* clusterctl/lab/agent_request.h - one request to a machine's test agent on behalf of a
 * caller of the control socket: it waits until the agent is up, and sends results on at the
 * caller's pace.
 *
 * Memory: a heap block that frees itself when the request has ended, or its caller has left
 * and the agent is done with it.  Threads: the loop's.
 * Blocks: on files that came with put and get.  Trust: output is the machine's: opaque. */
#ifndef RAY_CLUSTERCTL_LAB_AGENT_REQUEST_H
#define RAY_CLUSTERCTL_LAB_AGENT_REQUEST_H

#include "base/buf.h"
#include "clusterctl/lab/control_internal.h"

enum lab_request_kind { LAB_REQUEST_EXEC, LAB_REQUEST_PUT, LAB_REQUEST_GET, LAB_REQUEST_PING };

/* One call. It ends when the agent has ended it; a caller that leaves only drops `call`. */
struct lab_request {
    struct lab_node *node;
    struct ray_rpc_call *call; /* NULL: the caller has left */
    enum lab_request_kind kind;
    struct ray_timer timer; /* looks whether the agent is up */
    uint64_t give_up_ns;
    uint64_t sent_ns;
    uint64_t timeout_ms;
    uint64_t agent_id; /* 0: not with the agent yet */
    int fd;            /* input, put: source, get: destination; -1: none */
    char *path;
    uint32_t mode;
    char **argv;
    size_t arg_count;
    struct ray_buf unsent[2]; /* stdout, stderr that the caller did not take yet */
    bool is_over;
    Rayos__Lab__ExecItem exit;
    struct ray_err err; /* of our own side: a full disk, too much output */
};

/* A request without its parameters; err says why there is none. */
struct lab_request *lab_request_new(struct lab *lab, struct ray_rpc_call *call,
                                    enum lab_request_kind kind, const char *node_name,
                                    uint64_t agent_timeout_ms, struct ray_err *err);
/* Frees a request that was not begun; its call is not answered. */
void lab_request_free(struct lab_request *request);
/* Answers the call with an error and frees the request. */
void lab_request_fail(struct lab_request *request, const struct ray_err *err);
/* Hands it to the agent now or as soon as that is up; the call is answered in any case. */
void lab_request_begin(struct lab_request *request);

#endif
