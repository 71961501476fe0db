/* provision_call.c - a loop for one call; the reply is packed and unpacked again, because it is
 * borrowed in the callback and wanted after it. */
#include "clusterctl/verbs/provision_call.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "base/size.h"
#include "net/rpc.h"

enum { TIMEOUT_S_MAX = 86400 };

struct run {
    const struct provision_call *call;
    struct ray_loop loop;
    struct ray_rpc_client *client;
    struct ray_signal sigint;
    struct ray_signal sigterm;
    ProtobufCMessage *reply;
    struct ray_err err;
    int code;
    bool is_interrupted;
};

static void on_item(void *arg, const ProtobufCMessage *item)
{
    const struct run *run = arg;

    run->call->on_item(run->call->arg, item);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct run *run = arg;

    run->code = result->code;
    if (result->code == RAY_OK) {
        run->reply =
            protobuf_c_message_unpack(run->call->reply, NULL, result->packed_size, result->packed);
        if (run->reply == NULL) {
            run->code = ray_fail(&run->err, RAY_ENOMEM, "no memory for the answer");
        }
    } else {
        (void)ray_fail(&run->err, result->code, "%s", result->text);
        (void)ray_next(&run->err, "%s", result->next_step);
    }
    ray_loop_stop(&run->loop);
}

static void on_signal(void *arg, int signum)
{
    struct run *run = arg;

    (void)signum;
    run->is_interrupted = true;
    ray_loop_stop(&run->loop);
}

static const char *socket_path(const struct ray_args *args)
{
    const char *path = ray_args_value(args, "socket");
    const char *other = getenv("RAYOS_PROVISION_SOCKET");

    /* What was typed wins over the environment, and that over the default. */
    if (other != NULL && other[0] != '\0' && strcmp(path, "/run/rayos/provision.sock") == 0) {
        return other;
    }
    return path;
}

static int start(struct run *run, const struct ray_args *args, struct ray_err *err)
{
    const struct provision_call *call = run->call;
    uint64_t timeout_s = 0;
    int rc;

    if (!call->is_endless &&
        ray_parse_u64(ray_args_value(args, "timeout"), 1, TIMEOUT_S_MAX, &timeout_s) != RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--timeout wants 1 to %d seconds", TIMEOUT_S_MAX);
    }
    rc = ray_rpc_client_create_unix(&run->client, &run->loop,
                                    call->socket != NULL ? call->socket : socket_path(args), err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (call->item != NULL) {
        return ray_rpc_stream_start(run->client, call->method, call->request, call->item,
                                    call->reply, timeout_s * 1000, on_item, on_end, run, NULL, err);
    }
    return ray_rpc_call_start(run->client, call->method, call->request, call->fds, call->fd_count,
                              call->reply, timeout_s * 1000, NULL, on_end, run, NULL, err);
}

int provision_call(const struct ray_args *args, const struct provision_call *call,
                   ProtobufCMessage **out_reply, struct ray_err *err)
{
    struct run run = {.call = call, .code = RAY_EINTERNAL};
    int rc = ray_loop_init(&run.loop, err);

    assert(call->item == NULL || (call->on_item != NULL && call->fd_count == 0));
    if (rc == RAY_OK && call->is_endless) {
        rc = ray_signal_init(&run.sigint, &run.loop, SIGINT, on_signal, &run, err);
        rc = rc == RAY_OK ? ray_signal_init(&run.sigterm, &run.loop, SIGTERM, on_signal, &run, err)
                          : rc;
    }
    rc = rc == RAY_OK ? start(&run, args, err) : rc;
    if (rc == RAY_OK) {
        ray_loop_run(&run.loop);
        rc = run.is_interrupted ? RAY_OK : run.code;
        if (rc != RAY_OK && err != NULL) {
            *err = run.err;
        }
    }
    if (rc == RAY_EUNAVAILABLE && err != NULL && err->next_step[0] == '\0') {
        (void)ray_next(err, "start it with 'clusterctl provision run', or give --socket");
    }
    run.is_interrupted = true; /* what destroy ends is not looked at any more */
    ray_rpc_client_destroy(run.client);
    if (call->is_endless) {
        ray_signal_fini(&run.sigint);
        ray_signal_fini(&run.sigterm);
    }
    ray_loop_fini(&run.loop);
    if (out_reply != NULL) {
        *out_reply = run.reply;
    } else if (run.reply != NULL) {
        protobuf_c_message_free_unpacked(run.reply, NULL);
    }
    return rc;
}

/* ---- printing ---- */

struct list {
    yyjson_mut_doc *doc;
    yyjson_mut_val *items;
    bool has_failed;
};

static void add_item(void *arg, const ProtobufCMessage *item)
{
    struct list *list = arg;
    yyjson_mut_val *value = output_from_message(list->doc, item);

    if (value == NULL || !yyjson_mut_arr_append(list->items, value)) {
        list->has_failed = true;
    }
}

static int print(const struct ray_args *args, yyjson_mut_val *root, const struct output_view *view,
                 struct ray_err *err)
{
    enum output_form form;
    int rc = output_form_parse(ray_args_value(args, "output"), &form, err);

    return rc == RAY_OK ? output_print(stdout, form, root, view, err) : rc;
}

int provision_print_stream(const struct ray_args *args, const struct provision_call *call,
                           const struct output_view *view)
{
    struct provision_call with_list = *call;
    struct list list = {.doc = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = yyjson_mut_obj(list.doc);
    struct ray_err err = {0};
    int rc;

    list.items = yyjson_mut_obj_add_arr(list.doc, root, view->list_key);
    with_list.on_item = add_item;
    with_list.arg = &list;
    rc = list.items == NULL ? RAY_ENOMEM : provision_call(args, &with_list, NULL, &err);
    if (rc == RAY_OK && list.has_failed) {
        rc = RAY_ENOMEM;
    }
    if (rc == RAY_ENOMEM && err.code == RAY_OK) {
        (void)ray_fail(&err, RAY_ENOMEM, "no memory for the list");
    }
    rc = rc == RAY_OK ? print(args, root, view, &err) : rc;
    yyjson_mut_doc_free(list.doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

int provision_print_reply(const struct ray_args *args, const struct provision_call *call,
                          const struct output_view *view)
{
    ProtobufCMessage *reply = NULL;
    struct ray_err err = {0};
    int status;

    if (provision_call(args, call, &reply, &err) != RAY_OK) {
        return output_error(&err);
    }
    status = output_message(args, reply, view);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}
