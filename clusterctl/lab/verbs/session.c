/* clusterctl/lab/verbs/session.c - see session.h. */
#include "clusterctl/lab/verbs/session.h"

#include <signal.h>

static void on_signal(void *arg, int signum)
{
    struct lab_session *session = arg;

    session->interrupted_by = signum;
    if (session->on_interrupt != NULL) {
        session->on_interrupt(session->interrupt_arg);
    } else {
        ray_rpc_call_cancel(session->client, session->call_id);
    }
}

int lab_session_open(struct lab_session *session, const struct lab_client *client,
                     struct ray_err *err)
{
    int rc;

    *session = (struct lab_session){0};
    rc = ray_loop_init(&session->loop, err);
    if (rc == RAY_OK) {
        rc = ray_rpc_client_create_unix(&session->client, &session->loop, client->socket, err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&session->sigint, &session->loop, SIGINT, on_signal, session, err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&session->sigterm, &session->loop, SIGTERM, on_signal, session, err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&session->sighup, &session->loop, SIGHUP, on_signal, session, err);
    }
    return rc;
}

void lab_session_close(struct lab_session *session)
{
    ray_rpc_client_destroy(session->client);
    session->client = NULL;
    ray_signal_fini(&session->sigint);
    ray_signal_fini(&session->sigterm);
    ray_signal_fini(&session->sighup);
    ray_loop_fini(&session->loop);
}

static void on_item(void *arg, const ProtobufCMessage *item)
{
    const struct lab_session *session = arg;

    session->call->on_item(session->call->arg, item);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct lab_session *session = arg;

    session->is_done = true;
    session->rc = result->code;
    if (result->code != RAY_OK) {
        (void)ray_fail(session->err, result->code, "%s", result->text);
        (void)ray_next(session->err, "%s", result->next_step);
        return;
    }
    session->body =
        protobuf_c_message_unpack(session->call->output, NULL, result->packed_size, result->packed);
    if (session->body == NULL) {
        session->rc = ray_fail(session->err, RAY_ENOMEM, "answer of the supervisor");
    }
}

int lab_session_call(struct lab_session *session, const struct lab_call *call,
                     ProtobufCMessage **out_body, struct ray_err *err)
{
    int rc;

    session->is_done = false;
    session->body = NULL;
    session->call = call;
    session->err = err;
    rc = ray_rpc_call_start(session->client, call->method, call->input, call->fds, call->fd_count,
                            call->output, call->timeout_ms, call->on_item != NULL ? on_item : NULL,
                            on_end, session, &session->call_id, err);
    if (rc != RAY_OK) {
        return rc;
    }
    while (!session->is_done) {
        ray_loop_once(&session->loop);
    }
    if (out_body != NULL) {
        *out_body = session->body;
    } else if (session->body != NULL) {
        protobuf_c_message_free_unpacked(session->body, NULL);
    }
    return session->rc;
}
