/* clusterctl/lab/control_agent.c - lab.exec, put, get and ping: the test agent of a machine,
 * offered to several callers at once. */
#include <stdlib.h>
#include <string.h>

#include "clusterctl/lab/agent_client.h"
#include "clusterctl/lab/agent_request.h"

static int copy_args(struct lab_request *request, char *const *argv, size_t arg_count,
                     struct ray_err *err)
{
    if (arg_count == 0 || arg_count > RAY_AGENT_ARG_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "a command of 1 to %d words is needed",
                        RAY_AGENT_ARG_COUNT_MAX);
    }
    request->argv = calloc(arg_count + 1, sizeof *request->argv);
    for (size_t i = 0; request->argv != NULL && i < arg_count; i++) {
        request->argv[i] = strdup(argv[i]);
        if (request->argv[i] == NULL) {
            break;
        }
        request->arg_count++;
    }
    return request->arg_count == arg_count ? RAY_OK : ray_fail(err, RAY_ENOMEM, "command");
}

static int set_path(struct lab_request *request, const char *path, struct ray_err *err)
{
    if (path[0] != '/') {
        return ray_fail(err, RAY_EINVAL, "'%s' on the node: an absolute path is needed", path);
    }
    request->path = strdup(path);
    return request->path != NULL ? RAY_OK : ray_fail(err, RAY_ENOMEM, "path");
}

/* ---- methods ---- */

/* Begins the request, or refuses the call. */
static void begin_or_fail(struct lab_request *request, struct ray_rpc_call *call, int rc,
                          const struct ray_err *err)
{
    if (request == NULL) {
        (void)ray_rpc_reply_err(call, err); /* gone: nobody wants it */
    } else if (rc != RAY_OK) {
        lab_request_fail(request, err);
    } else {
        lab_request_begin(request);
    }
}

void lab_method_exec(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__ExecRequest *in = (const Rayos__Lab__ExecRequest *)input;
    struct ray_err err = {0};
    struct lab_request *request =
        lab_request_new(arg, call, LAB_REQUEST_EXEC, in->node, in->agent_timeout_ms, &err);
    int rc = RAY_OK;

    if (request != NULL) {
        request->timeout_ms = in->timeout_ms;
        rc = copy_args(request, in->argv, in->n_argv, &err);
    }
    begin_or_fail(request, call, rc, &err);
}

void lab_method_put(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__PutRequest *in = (const Rayos__Lab__PutRequest *)input;
    struct ray_err err = {0};
    struct lab_request *request =
        lab_request_new(arg, call, LAB_REQUEST_PUT, in->node, in->agent_timeout_ms, &err);
    int rc = RAY_OK;

    if (request != NULL) {
        request->mode = in->mode & 07777;
        rc = set_path(request, in->path, &err);
    }
    begin_or_fail(request, call, rc, &err);
}

void lab_method_get(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__GetRequest *in = (const Rayos__Lab__GetRequest *)input;
    struct ray_err err = {0};
    struct lab_request *request =
        lab_request_new(arg, call, LAB_REQUEST_GET, in->node, in->agent_timeout_ms, &err);
    int rc = RAY_OK;

    if (request != NULL) {
        rc = set_path(request, in->path, &err);
    }
    if (rc == RAY_OK && request != NULL && request->fd < 0) {
        rc = ray_fail(&err, RAY_EINVAL, "a descriptor to write to is needed");
    }
    begin_or_fail(request, call, rc, &err);
}

void lab_method_ping(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Lab__PingRequest *in = (const Rayos__Lab__PingRequest *)input;
    struct ray_err err = {0};
    struct lab_request *request =
        lab_request_new(arg, call, LAB_REQUEST_PING, in->node, in->agent_timeout_ms, &err);

    begin_or_fail(request, call, RAY_OK, &err);
}
