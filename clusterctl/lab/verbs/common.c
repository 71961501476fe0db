/* clusterctl/lab/verbs/common.c - see verbs.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/lab/record.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"
#include "net/rpc.h"

int lab_fail(const struct ray_err *err)
{
    return output_error(err);
}

static int fail_not_running(const struct lab_paths *paths, struct ray_err *err)
{
    (void)ray_fail(err, RAY_ENOTFOUND, "no lab named '%s' is running", paths->name);
    (void)ray_next(err, "clusterctl lab up --name %s", paths->name);
    return RAY_ENOTFOUND;
}

int lab_client_open(struct lab_client *client, const struct ray_args *args, struct ray_err *err)
{
    int rc;

    *client = (struct lab_client){.dir_fd = -1};
    rc = lab_paths_find(&client->paths, ray_args_value(args, "name"), err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (!lab_lock_is_held(&client->paths)) {
        return fail_not_running(&client->paths, err);
    }
    client->dir_fd = open(client->paths.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (client->dir_fd < 0) {
        return ray_fail_errno(err, errno, "%s", client->paths.dir);
    }
    return lab_socket_path(client->dir_fd, LAB_FILE_CONTROL, client->socket, err);
}

void lab_client_close(struct lab_client *client)
{
    if (client->dir_fd >= 0) {
        (void)close(client->dir_fd); /* O_PATH: nothing to lose */
    }
    client->dir_fd = -1;
}

int lab_client_call(const struct lab_client *client, const char *method,
                    const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
                    uint64_t timeout_ms, ProtobufCMessage **out_body, struct ray_err *err)
{
    return ray_rpc_call_unix(client->socket, method, input, output, timeout_ms, out_body, err);
}

int lab_option_u64(const struct ray_args *args, const char *name, uint64_t min, uint64_t max,
                   uint64_t *out, struct ray_err *err)
{
    const char *text = ray_args_value(args, name);

    if (ray_parse_u64(text, min, max, out) != RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--%s '%s': a whole number from %llu to %llu is needed",
                        name, text, (unsigned long long)min, (unsigned long long)max);
    }
    return RAY_OK;
}

void lab_complete_node(const struct ray_args *args, size_t index, void *context)
{
    Rayos__Lab__StatusRequest request = RAYOS__LAB__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct lab_client client;

    (void)index;
    (void)context;
    if (lab_client_open(&client, args, NULL) == RAY_OK &&
        lab_client_call(&client, "lab.status", &request.base, &rayos__lab__status__descriptor,
                        LAB_CALL_TIMEOUT_MS, &body, NULL) == RAY_OK) {
        const Rayos__Lab__Status *status = (const Rayos__Lab__Status *)body;

        for (size_t i = 0; i < status->n_nodes; i++) {
            (void)puts(status->nodes[i]->name);
        }
        protobuf_c_message_free_unpacked(body, NULL);
    }
    lab_client_close(&client);
}
