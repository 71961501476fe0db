/* agent_client.c - one stream socket, one table of open requests.
 *
 * Session: connect, send a sync block with a fresh nonce, skip everything until the agent
 * echoes that nonce; only then requests are taken. The block is repeated on a timer, because
 * a machine that is still booting reads nothing. Any error, end of file or, once it is up, a
 * sync block that is not ours (an agent says so when it begins) ends the session: all open
 * requests fail, and the next one begins. */
#include "clusterctl/lab/agent_client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "net/frame.h"
#include "net/proto/agent.pb-c.h"
#include "net/proto_codec.h"

enum { SYNC_PERIOD_MS = 1000, SYNC_FIRST_MS = 100 };

struct request {
    uint64_t id; /* 0: free */
    struct ray_agent_handler handler;
    uint64_t deadline_ns; /* 0: none */
    bool is_exec;
};

struct ray_agent_client {
    struct ray_loop *loop;
    char *path;
    int fd; /* -1: not connected */
    struct ray_poll poll;
    struct ray_timer timer; /* connects and begins sessions */
    struct ray_timer limit; /* fires at the nearest deadline */
    struct ray_frame_reader reader;
    struct ray_buf out;
    uint64_t nonce;
    uint64_t last_id;
    bool is_up;
    struct request requests[RAY_AGENT_REQUEST_COUNT_MAX];
    void (*on_change)(void *arg, bool is_up);
    void *on_change_arg;
};

static void end_request(struct request *request, const struct ray_agent_end *end)
{
    struct ray_agent_handler handler = request->handler;

    *request = (struct request){0};
    if (handler.on_end != NULL) {
        handler.on_end(handler.arg, end);
    }
}

static void tell_change(struct ray_agent_client *client)
{
    if (client->on_change != NULL) {
        client->on_change(client->on_change_arg, client->is_up);
    }
}

static void end_session(struct ray_agent_client *client, int code, const char *text)
{
    struct ray_agent_end end = {.code = code, .text = text};
    bool was_up = client->is_up;

    ray_poll_fini(&client->poll);
    if (client->fd >= 0) {
        (void)close(client->fd); /* a socket: nothing can be lost that is not already */
        client->fd = -1;
    }
    ray_frame_reader_reset(&client->reader);
    ray_buf_clear(&client->out);
    client->is_up = false; /* before the callbacks: a request that one starts is refused */
    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        if (client->requests[i].id != 0) {
            end_request(&client->requests[i], &end);
        }
    }
    ray_timer_start(&client->timer, SYNC_FIRST_MS, SYNC_PERIOD_MS);
    if (was_up) {
        tell_change(client);
    }
}

static void flush(struct ray_agent_client *client)
{
    while (client->out.size > 0) {
        ssize_t n =
            send(client->fd, client->out.data, client->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n < 0) {
            end_session(client, RAY_ECLOSED, "the machine's agent port went away");
            return;
        }
        ray_buf_consume(&client->out, (size_t)n);
    }
    (void)ray_poll_set(&client->poll,
                       client->out.size > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void send_sync(struct ray_agent_client *client)
{
    uint8_t block[RAY_FRAME_SYNC_SIZE];

    /* A block that still waits is as good as another one. */
    if (client->out.size == 0) {
        ray_frame_encode_sync(client->nonce, block);
        if (ray_buf_append(&client->out, block, sizeof block) == RAY_OK) {
            flush(client);
        }
    }
}

static int send_message(struct ray_agent_client *client, const Rayos__Agent__Request *message,
                        struct ray_err *err)
{
    size_t size = rayos__agent__request__get_packed_size(message);
    uint8_t header[RAY_FRAME_HEADER_SIZE];
    size_t before = client->out.size;
    int rc;

    rc = ray_frame_encode_header(size, header, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_buf_reserve(&client->out, sizeof header + size);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "%zu bytes do not fit behind the %zu that wait for the machine",
                        size, before);
    }
    (void)ray_buf_append(&client->out, header, sizeof header);
    (void)rayos__agent__request__pack(message, client->out.data + client->out.size);
    client->out.size += size;
    return RAY_OK;
}

static struct request *find_request(struct ray_agent_client *client, uint64_t id)
{
    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        if (id != 0 && client->requests[i].id == id) {
            return &client->requests[i];
        }
    }
    return NULL;
}

static void give_data(const struct request *request, int stream, ProtobufCBinaryData bytes)
{
    if (request->handler.on_data != NULL && bytes.len > 0) {
        request->handler.on_data(request->handler.arg, stream, bytes.data, bytes.len);
    }
}

static void on_answer(struct ray_agent_client *client, const Rayos__Agent__Answer *answer)
{
    struct request *request = find_request(client, answer->id);
    struct ray_agent_end end = {.code = RAY_OK, .text = ""};

    if (request == NULL) {
        return; /* of a request that was given up */
    }
    switch (answer->what_case) {
    case RAYOS__AGENT__ANSWER__WHAT_OUTPUT:
        give_data(request, answer->output->stream == 2 ? 2 : 1, answer->output->bytes);
        return;
    case RAYOS__AGENT__ANSWER__WHAT_DATA:
        give_data(request, 0, answer->data->bytes);
        return;
    case RAYOS__AGENT__ANSWER__WHAT_EXIT:
        end.is_signaled = answer->exit->is_signaled;
        end.status = answer->exit->status;
        end.timed_out = answer->exit->timed_out;
        break;
    case RAYOS__AGENT__ANSWER__WHAT_CLOCKS:
        end.boottime_ns = answer->clocks->boottime_ns;
        end.monotonic_ns = answer->clocks->monotonic_ns;
        end.realtime_ns = answer->clocks->realtime_ns;
        break;
    case RAYOS__AGENT__ANSWER__WHAT_FAILURE:
        end.code = ray_err_from_api_code(answer->failure->code);
        end.text = answer->failure->text;
        break;
    case RAYOS__AGENT__ANSWER__WHAT_DONE:
        break;
    default: /* of a newer agent, or nonsense */
        end.code = RAY_EMALFORMED;
        end.text = "the agent sent an answer of an unknown kind";
        break;
    }
    end_request(request, &end);
}

/* Handles every whole frame; false when the session ended. */
static bool take_frames(struct ray_agent_client *client)
{
    struct ray_frame frame;
    Rayos__Agent__Answer *answer;
    int rc;

    while ((rc = ray_frame_reader_next(&client->reader, &frame, NULL)) == RAY_OK) {
        if (frame.kind == RAY_FRAME_SYNC && frame.nonce != client->nonce) {
            if (client->is_up) {
                end_session(client, RAY_ECLOSED, "the machine's agent began anew");
                return false;
            }
            client->reader.is_synced = false; /* an echo of an older session */
        } else if (frame.kind == RAY_FRAME_SYNC) {
            if (!client->is_up) {
                client->is_up = true;
                tell_change(client);
            }
        } else if (client->is_up) {
            answer = rayos__agent__answer__unpack(NULL, frame.payload_size, frame.payload);
            if (answer == NULL) {
                end_session(client, RAY_EMALFORMED, "the agent sent a malformed answer");
                return false;
            }
            on_answer(client, answer);
            rayos__agent__answer__free_unpacked(answer, NULL);
        }
        if (client->fd < 0) {
            return false; /* a callback led to the end of the session */
        }
    }
    if (rc == RAY_EMALFORMED) {
        end_session(client, RAY_EMALFORMED, "the agent sent a malformed frame");
        return false;
    }
    return true;
}

static void on_io(void *arg, int status, int events)
{
    struct ray_agent_client *client = arg;
    uint8_t bytes[65536];
    ssize_t n;

    if (status != RAY_OK) {
        end_session(client, RAY_ECLOSED, "the machine's agent port failed");
        return;
    }
    if ((events & UV_READABLE) != 0) {
        n = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            end_session(client, RAY_ECLOSED, "the machine's agent port was closed");
            return;
        }
        if (n > 0) {
            if (ray_frame_reader_push(&client->reader, bytes, (size_t)n, NULL) != RAY_OK) {
                end_session(client, RAY_ENOMEM, "out of memory for the agent's answers");
                return;
            }
            if (!take_frames(client)) {
                return;
            }
        }
    }
    if ((events & UV_WRITABLE) != 0) {
        flush(client);
    }
}

static void try_connect(struct ray_agent_client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    memcpy(address.sun_path, client->path, strlen(client->path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return; /* tried again by the timer */
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        ray_poll_init(&client->poll, client->loop, fd, on_io, client, NULL) != RAY_OK) {
        (void)close(fd);
        return;
    }
    client->fd = fd;
    client->nonce += client->nonce == UINT64_MAX ? 2 : 1; /* 0 is the agent's own */
    (void)ray_poll_set(&client->poll, UV_READABLE);
    send_sync(client);
}

static void on_timer(void *arg)
{
    struct ray_agent_client *client = arg;

    if (client->fd < 0) {
        try_connect(client);
    } else if (!client->is_up) {
        send_sync(client);
    }
}

static void client_free(struct ray_agent_client *client)
{
    ray_timer_fini(&client->timer);
    ray_timer_fini(&client->limit);
    ray_frame_reader_fini(&client->reader);
    ray_buf_fini(&client->out);
    free(client->path);
    free(client);
}

/* Fires at the nearest deadline of all requests. */
static void arm_limit(struct ray_agent_client *client)
{
    uint64_t now_ns = ray_clock_monotonic_ns();
    uint64_t nearest_ns = UINT64_MAX;

    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        uint64_t deadline_ns = client->requests[i].deadline_ns;

        if (client->requests[i].id != 0 && deadline_ns != 0 && deadline_ns < nearest_ns) {
            nearest_ns = deadline_ns;
        }
    }
    if (nearest_ns == UINT64_MAX) {
        ray_timer_stop(&client->limit);
    } else {
        uint64_t left_ns = nearest_ns > now_ns ? nearest_ns - now_ns : 0;

        ray_timer_start(&client->limit, left_ns / RAY_NS_PER_MS + 1, 0);
    }
}

static void on_limit(void *arg)
{
    struct ray_agent_client *client = arg;
    struct ray_agent_end end = {.code = RAY_ETIMEOUT, .text = "the machine's agent did not answer"};
    uint64_t now_ns = ray_clock_monotonic_ns();

    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        struct request *request = &client->requests[i];

        if (request->id == 0 || request->deadline_ns == 0 || request->deadline_ns > now_ns) {
            continue;
        }
        if (request->is_exec) {
            (void)ray_agent_kill(client, request->id, NULL); /* if it hears us */
        }
        end_request(request, &end);
    }
    arm_limit(client);
}

int ray_agent_client_create(struct ray_agent_client **out_client, struct ray_loop *loop,
                            const char *socket_path, struct ray_err *err)
{
    struct ray_agent_client *client;
    int rc;

    assert(out_client != NULL && socket_path != NULL);
    if (strlen(socket_path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return ray_fail(err, RAY_ETOOBIG, "socket path %s is too long", socket_path);
    }
    client = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *client);
    if (client == NULL) {
        return ray_fail(err, RAY_ENOMEM, "agent client");
    }
    client->loop = loop;
    client->fd = -1;
    ray_frame_reader_init(&client->reader, true);
    ray_buf_init(&client->out, RAY_AGENT_QUEUE_SIZE_MAX);
    client->path = strdup(socket_path);
    rc = client->path == NULL ? ray_fail(err, RAY_ENOMEM, "agent client") : RAY_OK;
    if (rc == RAY_OK && getrandom(&client->nonce, sizeof client->nonce, 0) < 0) {
        rc = ray_fail_errno(err, errno, "nonce of the agent session");
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&client->timer, loop, on_timer, client, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&client->limit, loop, on_limit, client, err);
    }
    if (rc != RAY_OK) {
        client_free(client);
        return rc;
    }
    ray_timer_start(&client->timer, SYNC_FIRST_MS, SYNC_PERIOD_MS);
    *out_client = client;
    return RAY_OK;
}

void ray_agent_client_destroy(struct ray_agent_client *client)
{
    if (client == NULL) {
        return;
    }
    client->on_change = NULL;
    end_session(client, RAY_ECANCELED, "the lab is going down");
    client_free(client);
}

bool ray_agent_client_is_up(const struct ray_agent_client *client)
{
    return client->is_up;
}

void ray_agent_client_on_change(struct ray_agent_client *client, void (*cb)(void *arg, bool is_up),
                                void *arg)
{
    client->on_change = cb;
    client->on_change_arg = arg;
}

static int request_new(struct ray_agent_client *client, const struct ray_agent_handler *handler,
                       struct request **out_request, struct ray_err *err)
{
    if (!client->is_up) {
        return ray_fail(err, RAY_EUNAVAILABLE, "the test agent does not answer");
    }
    for (size_t i = 0; i < RAY_AGENT_REQUEST_COUNT_MAX; i++) {
        if (client->requests[i].id == 0) {
            client->requests[i] = (struct request){.id = ++client->last_id, .handler = *handler};
            *out_request = &client->requests[i];
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EAGAIN, "%d requests are open already", RAY_AGENT_REQUEST_COUNT_MAX);
}

/* A limit beyond what the clock can count is none. */
static void set_deadline(struct request *request)
{
    uint64_t after_ns;

    if (request->handler.limit_ms == 0 ||
        __builtin_mul_overflow(request->handler.limit_ms, RAY_NS_PER_MS, &after_ns) ||
        __builtin_add_overflow(ray_clock_monotonic_ns(), after_ns, &request->deadline_ns)) {
        request->deadline_ns = 0;
    }
}

/* Queues the first message of a request; frees the slot when that fails. */
static int request_send(struct ray_agent_client *client, struct request *request,
                        Rayos__Agent__Request *message, struct ray_err *err)
{
    int rc;

    assert(request != NULL);
    message->id = request->id;
    rc = send_message(client, message, err);
    if (rc != RAY_OK) {
        *request = (struct request){0};
    } else {
        set_deadline(request);
        arm_limit(client);
        /* From the loop, so that on_end never runs within the caller. */
        (void)ray_poll_set(&client->poll, UV_READABLE | UV_WRITABLE);
    }
    return rc;
}

int ray_agent_exec(struct ray_agent_client *client, const char *const *argv, size_t arg_count,
                   const void *input, size_t input_size, uint64_t timeout_ms,
                   const struct ray_agent_handler *handler, uint64_t *out_id, struct ray_err *err)
{
    Rayos__Agent__Request message = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Exec exec = RAYOS__AGENT__EXEC__INIT;
    char *words[RAY_AGENT_ARG_COUNT_MAX];
    struct request *request = NULL;
    uint64_t id;
    int rc;

    if (arg_count == 0 || arg_count > RAY_AGENT_ARG_COUNT_MAX ||
        input_size > RAY_AGENT_STDIN_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a command has 1 to %d words and %d bytes of input",
                        RAY_AGENT_ARG_COUNT_MAX, RAY_AGENT_STDIN_SIZE_MAX);
    }
    rc = request_new(client, handler, &request, err);
    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = 0; i < arg_count; i++) {
        words[i] = (char *)argv[i]; /* protobuf-c's struct is not const, but only read */
    }
    exec.n_argv = arg_count;
    exec.argv = words;
    exec.input = ray_proto_bytes(input, input_size);
    exec.timeout_ms = timeout_ms;
    message.what_case = RAYOS__AGENT__REQUEST__WHAT_EXEC;
    message.exec = &exec;
    assert(request != NULL);
    id = request->id;
    request->is_exec = true;
    if (timeout_ms > 0 && handler->limit_ms == 0 &&
        timeout_ms <= UINT64_MAX - RAY_AGENT_EXEC_GRACE_MS) {
        request->handler.limit_ms = timeout_ms + RAY_AGENT_EXEC_GRACE_MS;
    }
    rc = request_send(client, request, &message, err);
    if (rc == RAY_OK && out_id != NULL) {
        *out_id = id;
    }
    return rc;
}

int ray_agent_kill(struct ray_agent_client *client, uint64_t id, struct ray_err *err)
{
    Rayos__Agent__Request message = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Kill kill = RAYOS__AGENT__KILL__INIT;
    int rc;

    if (find_request(client, id) == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no open command with id %llu", (unsigned long long)id);
    }
    message.id = id;
    message.what_case = RAYOS__AGENT__REQUEST__WHAT_KILL;
    message.kill = &kill;
    rc = send_message(client, &message, err);
    if (rc == RAY_OK) {
        (void)ray_poll_set(&client->poll, UV_READABLE | UV_WRITABLE);
    }
    return rc;
}

/* The bytes of a put, chunk by chunk behind its first message. */
static int send_chunks(struct ray_agent_client *client, uint64_t id, const uint8_t *bytes,
                       size_t size, struct ray_err *err)
{
    for (size_t at = 0; at < size;) {
        Rayos__Agent__Request message = RAYOS__AGENT__REQUEST__INIT;
        Rayos__Agent__Data data = RAYOS__AGENT__DATA__INIT;
        size_t left = size - at;
        int rc;

        data.bytes = ray_proto_bytes(
            bytes + at, left < RAY_AGENT_DATA_SIZE_MAX ? left : RAY_AGENT_DATA_SIZE_MAX);
        message.id = id;
        message.what_case = RAYOS__AGENT__REQUEST__WHAT_DATA;
        message.data = &data;
        rc = send_message(client, &message, err);
        if (rc != RAY_OK) {
            return rc;
        }
        at += data.bytes.len;
    }
    return RAY_OK;
}

int ray_agent_put(struct ray_agent_client *client, const char *path, mode_t mode, const void *bytes,
                  size_t size, const struct ray_agent_handler *handler, struct ray_err *err)
{
    Rayos__Agent__Request message = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Put put = RAYOS__AGENT__PUT__INIT;
    struct request *request = NULL;
    size_t before = client->out.size;
    uint64_t id;
    int rc;

    rc = request_new(client, handler, &request, err);
    if (rc != RAY_OK) {
        return rc;
    }
    assert(request != NULL);
    id = request->id;
    put.path = (char *)path;
    put.mode = mode;
    put.size = size;
    message.what_case = RAYOS__AGENT__REQUEST__WHAT_PUT;
    message.put = &put;
    rc = request_send(client, request, &message, err);
    if (rc == RAY_OK) {
        rc = send_chunks(client, id, bytes, size, err);
        if (rc != RAY_OK) {
            /* Nothing was written to the socket meanwhile: take the messages back. */
            client->out.size = before;
            *request = (struct request){0};
        }
    }
    return rc;
}

int ray_agent_get(struct ray_agent_client *client, const char *path,
                  const struct ray_agent_handler *handler, struct ray_err *err)
{
    Rayos__Agent__Request message = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Get get = RAYOS__AGENT__GET__INIT;
    struct request *request = NULL;
    int rc;

    rc = request_new(client, handler, &request, err);
    if (rc != RAY_OK) {
        return rc;
    }
    get.path = (char *)path;
    message.what_case = RAYOS__AGENT__REQUEST__WHAT_GET;
    message.get = &get;
    return request_send(client, request, &message, err);
}

int ray_agent_ping(struct ray_agent_client *client, const struct ray_agent_handler *handler,
                   struct ray_err *err)
{
    Rayos__Agent__Request message = RAYOS__AGENT__REQUEST__INIT;
    Rayos__Agent__Ping ping = RAYOS__AGENT__PING__INIT;
    struct request *request = NULL;
    int rc;

    rc = request_new(client, handler, &request, err);
    if (rc != RAY_OK) {
        return rc;
    }
    message.what_case = RAYOS__AGENT__REQUEST__WHAT_PING;
    message.ping = &ping;
    return request_send(client, request, &message, err);
}
