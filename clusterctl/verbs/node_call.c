#include "clusterctl/verbs/node_call.h"

#include <stdio.h>

#include "base/size.h"
#include "net/rpc.h"

int node_call_path(const struct ray_args *args, const char *socket,
                   char out[static NODE_CALL_PATH_SIZE_MAX], struct ray_err *err)
{
    int n =
        snprintf(out, NODE_CALL_PATH_SIZE_MAX, "%s/%s", ray_args_value(args, "socket-dir"), socket);

    if (n < 0 || n >= NODE_CALL_PATH_SIZE_MAX) {
        return ray_fail(err, RAY_EUSAGE, "--socket-dir is too long for a socket's path");
    }
    return RAY_OK;
}

int node_call_timeout_ms(const struct ray_args *args, uint64_t *out_ms, struct ray_err *err)
{
    uint64_t timeout_s;

    if (ray_parse_u64(ray_args_value(args, "timeout"), 1, NODE_CALL_TIMEOUT_S_MAX, &timeout_s) !=
        RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--timeout wants 1 to %d seconds",
                        NODE_CALL_TIMEOUT_S_MAX);
    }
    *out_ms = timeout_s * 1000;
    return RAY_OK;
}

int node_call_next(struct ray_err *err)
{
    if (err->code == RAY_EUNAVAILABLE && err->next_step[0] == '\0') {
        (void)ray_next(err, "run this on a RayOS node, or give --socket-dir");
    }
    return err->code;
}

int node_call(const struct ray_args *args, const char *socket, const char *method,
              const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
              ProtobufCMessage **out_body, struct ray_err *err)
{
    char path[NODE_CALL_PATH_SIZE_MAX];
    uint64_t timeout_ms = 0;
    int rc = node_call_timeout_ms(args, &timeout_ms, err);

    if (rc == RAY_OK) {
        rc = node_call_path(args, socket, path, err);
    }
    if (rc == RAY_OK) {
        rc = ray_rpc_call_unix(path, method, input, output, timeout_ms, out_body, err);
    }
    return rc == RAY_OK ? RAY_OK : node_call_next(err);
}
