/* clusterctl/lab/agent_request.c - see agent_request.h.
 *
 * What a command prints waits in memory while its caller is slow; above a limit the command
 * is killed, because the agent has no way to pause it. */
#include "clusterctl/lab/agent_request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "clusterctl/lab/agent_client.h"
#include "net/proto_codec.h"

enum {
    POLL_MS = 100,
    PING_LIMIT_MS = 10000,
    FILE_LIMIT_MS = 600000,
    ITEM_SIZE_MAX = 32 << 10,
    UNSENT_SIZE_MAX = 64 << 20,
    PUT_SIZE_MAX = 6 << 20, /* what the agent client queues at once */
};

void lab_request_free(struct lab_request *request)
{
    ray_timer_fini(&request->timer);
    ray_buf_fini(&request->unsent[0]);
    ray_buf_fini(&request->unsent[1]);
    if (request->fd >= 0) {
        (void)close(request->fd);
    }
    for (size_t i = 0; i < request->arg_count; i++) {
        free(request->argv[i]);
    }
    free(request->argv);
    free(request->path);
    free(request);
}

void lab_request_fail(struct lab_request *request, const struct ray_err *err)
{
    if (request->call != NULL) {
        (void)ray_rpc_reply_err(request->call, err); /* gone: nobody wants it */
    }
    lab_request_free(request);
}

/* Sends output that waits; true: nothing waits any more. */
static bool send_unsent(struct lab_request *request)
{
    for (uint32_t stream = 1; stream <= 2 && request->call != NULL; stream++) {
        struct ray_buf *unsent = &request->unsent[stream - 1];

        while (unsent->size > 0) {
            Rayos__Lab__ExecItem item = RAYOS__LAB__EXEC_ITEM__INIT;

            item.stream = stream;
            item.data = ray_proto_bytes(unsent->data, unsent->size < ITEM_SIZE_MAX ? unsent->size
                                                                                   : ITEM_SIZE_MAX);
            if (ray_rpc_send(request->call, &item.base) != RAY_OK) {
                return false; /* slow: on_drain follows; gone: on_cancel follows */
            }
            ray_buf_consume(unsent, item.data.len);
        }
    }
    return true;
}

/* The agent is done; the caller is told once it has all of the output. */
static void finish(struct lab_request *request)
{
    if (!send_unsent(request)) {
        return;
    }
    if (request->err.code != RAY_OK) {
        lab_request_fail(request, &request->err);
        return;
    }
    if (request->call != NULL && request->kind == LAB_REQUEST_EXEC) {
        (void)ray_rpc_reply(request->call, &request->exit.base); /* gone: nobody wants it */
    } else if (request->call != NULL) {
        lab_reply_done(request->call);
    }
    lab_request_free(request);
}

static void on_drain(void *arg)
{
    struct lab_request *request = arg;

    if (request->is_over) {
        finish(request);
    } else {
        (void)send_unsent(request);
    }
}

static void on_cancel(void *arg)
{
    struct lab_request *request = arg;

    request->call = NULL;
    if (request->is_over || request->agent_id == 0) {
        lab_request_free(request); /* not with the agent yet, or back from it */
    } else if (request->kind == LAB_REQUEST_EXEC) {
        (void)ray_agent_kill(request->node->agent, request->agent_id, NULL); /* or it is over */
    }
}

static void write_file(struct lab_request *request, const uint8_t *bytes, size_t size)
{
    while (size > 0 && request->err.code == RAY_OK) {
        ssize_t written = write(request->fd, bytes, size);

        if (written < 0 && errno != EINTR) {
            (void)ray_fail_errno(&request->err, errno, "local file");
        } else if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
}

static void on_data(void *arg, int stream, const uint8_t *bytes, size_t size)
{
    struct lab_request *request = arg;

    if (request->call == NULL) {
        return;
    }
    if (request->kind == LAB_REQUEST_GET) {
        write_file(request, bytes, size);
        return;
    }
    if (request->err.code == RAY_OK &&
        ray_buf_append(&request->unsent[stream == 2 ? 1 : 0], bytes, size) != RAY_OK) {
        (void)ray_fail(&request->err, RAY_ETOOBIG,
                       "more than %d MiB of output wait to be read: the command is killed",
                       UNSENT_SIZE_MAX >> 20);
        (void)ray_agent_kill(request->node->agent, request->agent_id, NULL); /* or it is over */
    }
    (void)send_unsent(request);
}

static void on_end(void *arg, const struct ray_agent_end *end)
{
    struct lab_request *request = arg;

    request->is_over = true;
    if (end->code != RAY_OK && request->err.code == RAY_OK) {
        (void)ray_fail(&request->err, end->code, "%s: %s", request->node->who.name, end->text);
    }
    if (request->kind == LAB_REQUEST_PING && request->call != NULL && end->code == RAY_OK) {
        Rayos__Lab__PingReply body = RAYOS__LAB__PING_REPLY__INIT;

        body.boottime_ns = end->boottime_ns;
        body.monotonic_ns = end->monotonic_ns;
        body.realtime_ns = end->realtime_ns;
        body.host_sent_ns = request->sent_ns;
        body.host_received_ns = ray_clock_monotonic_ns();
        (void)ray_rpc_reply(request->call, &body.base); /* gone: nobody wants it */
        lab_request_free(request);
        return;
    }
    request->exit.is_signaled = end->is_signaled;
    request->exit.status = end->status;
    request->exit.timed_out = end->timed_out;
    finish(request);
}

/* ---- starting ---- */

/* The whole of a regular file, mapped; *out_size 0 and NULL for an empty one. */
static int map_file(int fd, size_t size_max, void **out_bytes, size_t *out_size,
                    struct ray_err *err)
{
    struct stat info;
    void *bytes = NULL;

    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        return ray_fail(err, RAY_EINVAL, "a regular file is needed");
    }
    if ((uint64_t)info.st_size > size_max) {
        return ray_fail(err, RAY_ETOOBIG, "%lld bytes: at most %zu", (long long)info.st_size,
                        size_max);
    }
    if (info.st_size > 0) {
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) {
            return ray_fail_errno(err, errno, "file");
        }
    }
    *out_bytes = bytes;
    *out_size = (size_t)info.st_size;
    return RAY_OK;
}

/* A machine that hangs must not hold a caller for ever; a command has its own limit. */
static uint64_t limit_ms(enum lab_request_kind kind)
{
    switch (kind) {
    case LAB_REQUEST_EXEC:
        return 0;
    case LAB_REQUEST_PING:
        return PING_LIMIT_MS;
    case LAB_REQUEST_PUT:
    case LAB_REQUEST_GET:
        return FILE_LIMIT_MS;
    }
    return 0;
}

static int hand_over(struct lab_request *request, struct ray_err *err)
{
    const struct ray_agent_handler handler = {
        .on_data = on_data,
        .on_end = on_end,
        .arg = request,
        .limit_ms = limit_ms(request->kind),
    };
    struct ray_agent_client *agent = request->node->agent;
    void *bytes = NULL;
    size_t size = 0;
    int rc = RAY_OK;

    if (request->kind == LAB_REQUEST_PUT ||
        (request->kind == LAB_REQUEST_EXEC && request->fd >= 0)) {
        rc = map_file(request->fd,
                      request->kind == LAB_REQUEST_PUT ? PUT_SIZE_MAX : RAY_AGENT_STDIN_SIZE_MAX,
                      &bytes, &size, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    request->sent_ns = ray_clock_monotonic_ns();
    request->agent_id = UINT64_MAX; /* on its way: only an exec gets an id of its own */
    switch (request->kind) {
    case LAB_REQUEST_EXEC:
        rc = ray_agent_exec(agent, (const char *const *)request->argv, request->arg_count, bytes,
                            size, request->timeout_ms, &handler, &request->agent_id, err);
        break;
    case LAB_REQUEST_PUT:
        rc = ray_agent_put(agent, request->path, request->mode, bytes, size, &handler, err);
        break;
    case LAB_REQUEST_GET:
        rc = ray_agent_get(agent, request->path, &handler, err);
        break;
    case LAB_REQUEST_PING:
        rc = ray_agent_ping(agent, &handler, err);
        break;
    }
    if (bytes != NULL) {
        (void)munmap(bytes, size);
    }
    return rc;
}

/* Looks whether the agent is there, and waits for it up to the limit. */
static void try_start(void *arg)
{
    struct lab_request *request = arg;
    struct lab_node *node = request->node;
    struct ray_err err = {0};
    bool is_up = node->agent != NULL && ray_agent_client_is_up(node->agent);

    if (is_up) {
        ray_timer_stop(&request->timer);
        if (hand_over(request, &err) != RAY_OK) {
            lab_request_fail(request, &err);
        }
    } else if (node->state == LAB_NODE_OFF) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "%s is off", node->who.name);
        (void)ray_next(&err, "clusterctl lab chaos start %s", node->who.name);
        lab_request_fail(request, &err);
    } else if (ray_clock_monotonic_ns() >= request->give_up_ns) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE,
                       "%s: the test agent does not answer (machine %s, %s)", node->who.name,
                       lab_node_state_name(node), lab_phase_name(node->phases.phase));
        lab_request_fail(request, &err);
    }
}

/* Why a machine of this lab takes no such requests; RAY_OK when it does. */
static int check_agent(const struct lab *lab, struct ray_err *err)
{
    if (lab->has_agent) {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EDENIED,
                   "this lab runs the real image: nothing can run commands or move files in it "
                   "from outside; only the test image has an agent for that");
    return ray_next(err, "clusterctl lab up --test-image");
}

struct lab_request *lab_request_new(struct lab *lab, struct ray_rpc_call *call,
                                    enum lab_request_kind kind, const char *node_name,
                                    uint64_t agent_timeout_ms, struct ray_err *err)
{
    struct lab_node *node = lab_node_by_name(lab, node_name, err);
    struct lab_request *request;

    if (node == NULL || check_agent(lab, err) != RAY_OK) {
        return NULL;
    }
    request = calloc(1, sizeof *request);
    if (request == NULL) {
        (void)ray_fail(err, RAY_ENOMEM, "request");
        return NULL;
    }
    request->node = node;
    request->call = call;
    request->kind = kind;
    request->fd = ray_rpc_call_take_fd(call, 0);
    request->give_up_ns = ray_clock_monotonic_ns() + agent_timeout_ms * RAY_NS_PER_MS;
    rayos__lab__exec_item__init(&request->exit);
    ray_buf_init(&request->unsent[0], UNSENT_SIZE_MAX);
    ray_buf_init(&request->unsent[1], UNSENT_SIZE_MAX);
    if (ray_timer_init(&request->timer, &lab->loop, try_start, request, err) != RAY_OK) {
        request->call = NULL;
        lab_request_free(request);
        return NULL;
    }
    return request;
}

void lab_request_begin(struct lab_request *request)
{
    ray_rpc_call_on_cancel(request->call, on_cancel, request);
    ray_rpc_call_on_drain(request->call, on_drain, request);
    ray_timer_start(&request->timer, 0, POLL_MS);
}
