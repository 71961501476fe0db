/* link_nng.c - the authenticated connection becomes the only pipe of a PAIR socket.
 *
 * The descriptor goes to NNG by its "socket://" transport. One socket per epoch: NNG never
 * connects again by itself, so a message of an old epoch cannot come out of a new one, and what
 * NNG's queues held is gone with them. The epoch begins when NNG reports the pipe (ADD_POST) and
 * ends when it reports its end (REM_POST).
 *
 * Callbacks run on NNG's threads. Each pushes the event that belongs to it (one per callback, so
 * none is ever allocated) and wakes the loop; the next receive is asked for only when the loop
 * has taken the last one, so at most RECEIVE_BUFFER_COUNT + 2 messages of a peer wait in memory.
 * Closing a socket waits for its callbacks; after that its events are thrown away.
 *
 * NNG 1.10 loses a pipe, with its descriptor, when a socket is closed at the very moment at which
 * the pipe's negotiation ends (sockfd.c: it goes to a list that nobody looks at any more). So a
 * socket without a pipe is not closed at once: its connection is shut down, which ends the
 * negotiation, and SETTLE_MS later it goes.
 *
 * It also loses a message that arrives at the very moment at which a pipe ends while the queue of
 * received ones is full (pair.c: pair0_pipe_recv_cb notes that a message waits in the pipe after
 * pair0_pipe_stop has looked). So the queue is given room before its pipe is taken down. */
#include "net/link_nng.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "net/link_impl.h"
#include "net/link_ring.h"

enum {
    SEND_BUFFER_COUNT = 1,
    RECEIVE_BUFFER_COUNT = 2,
    LAST_BUFFER_COUNT = 64, /* of what comes while a pipe is taken down */
    PIPE_TIMEOUT_MS = 5000,
    SETTLE_MS = 200
};

enum nng_event_kind { PIPE_UP, PIPE_DOWN, RECEIVED, SENT, NNG_EVENT_COUNT };

struct nng_conn;

struct nng_event {
    struct link_event ring_entry; /* first */
    struct nng_conn *conn;
    enum nng_event_kind kind;
};

/* Outlives the set until libuv has closed it. */
struct nng_state {
    uv_async_t uv;
    struct link_ring ring;
    LIST_HEAD(, nng_conn) settling;
};

struct nng_conn {
    struct link_conn base; /* first */
    struct nng_state *state;
    nng_socket socket;
    nng_aio *send_aio;
    nng_aio *receive_aio;
    struct nng_event events[NNG_EVENT_COUNT];
    LIST_ENTRY(nng_conn) entry; /* while settling */
    bool is_settling;           /* nobody's any more */
    struct ray_timer pipe_timeout;
    int watched_fd; /* until there is a pipe; -1: none */
    struct ray_poll watch;
    bool has_pipe;
    bool is_sending;
    size_t sending_size;
};

static struct nng_conn *from_base(struct link_conn *conn)
{
    return (struct nng_conn *)conn;
}

/* ---- on NNG's threads ---- */

static void push(struct nng_conn *conn, enum nng_event_kind kind)
{
    struct nng_state *state = conn->state;

    if (link_ring_push(&state->ring, &conn->events[kind].ring_entry)) {
        (void)uv_async_send(&state->uv); /* fails only while closing */
    }
}

/* On any thread. */
static void make_last_room(struct nng_conn *conn)
{
    /* Fails only for a socket that is closed already, and without memory: then it may leak. */
    (void)nng_socket_set_int(conn->socket, NNG_OPT_RECVBUF, LAST_BUFFER_COUNT);
}

/* The end is reported before NNG takes the pipe down. */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    (void)pipe; /* the socket has no other */
    if (event == NNG_PIPE_EV_REM_POST) {
        make_last_room(arg);
    }
    push(arg, event == NNG_PIPE_EV_ADD_POST ? PIPE_UP : PIPE_DOWN);
}

static void on_received(void *arg)
{
    push(arg, RECEIVED);
}

static void on_sent(void *arg)
{
    push(arg, SENT);
}

/* ---- on the loop ---- */

static int fail_nng(struct ray_err *err, int code, const char *what)
{
    return ray_fail(err, code == NNG_ENOMEM ? RAY_ENOMEM : RAY_EIO, "%s: %s", what,
                    nng_strerror(code));
}

static bool can_send(const struct link_conn *conn)
{
    return !((const struct nng_conn *)conn)->is_sending;
}

static void send_block(struct link_conn *base, struct link_block *block)
{
    struct nng_conn *conn = from_base(base);
    size_t plain_size = block->size;
    nng_msg *message = NULL;

    assert(!conn->is_sending && conn->has_pipe);
    if (ray_fault(RAY_FAULT_ALLOC) != 0 ||
        nng_msg_alloc(&message, plain_size + RAY_SEAL_OVERHEAD_SIZE) != 0) {
        free(block);
        link_conn_condemn(base, "no memory for a message");
        return;
    }
    memcpy((uint8_t *)nng_msg_body(message) + RAY_SEAL_HEAD_SIZE, block->bytes + RAY_SEAL_HEAD_SIZE,
           plain_size);
    free(block);
    if (link_conn_seal(base, nng_msg_body(message), plain_size) == 0) {
        nng_msg_free(message);
        return;
    }
    conn->is_sending = true;
    conn->sending_size = plain_size;
    nng_aio_set_msg(conn->send_aio, message);
    nng_send_aio(conn->socket, conn->send_aio);
}

/* May be the end of `conn`. */
static void take_sent(struct nng_conn *conn)
{
    int result = nng_aio_result(conn->send_aio);

    conn->is_sending = false;
    if (result != 0) {
        nng_msg_free(nng_aio_get_msg(conn->send_aio)); /* still ours */
        nng_aio_set_msg(conn->send_aio, NULL);
        link_conn_failed(&conn->base, "the connection broke while sending");
        return;
    }
    link_conn_sent(&conn->base, conn->sending_size);
    link_conn_sendable(&conn->base);
}

/* Whether the message is one record and nothing else. */
static bool is_record(nng_msg *message)
{
    size_t size = 0;

    return nng_msg_len(message) <= LINK_RECORD_SIZE_MAX &&
           ray_seal_record_size(nng_msg_body(message), nng_msg_len(message), &size) == RAY_OK &&
           size == nng_msg_len(message);
}

/* May be the end of `conn`. */
static void take_received(struct nng_conn *conn)
{
    nng_msg *message;
    bool goes_on;

    if (nng_aio_result(conn->receive_aio) != 0) {
        link_conn_failed(&conn->base, "the peer closed the connection");
        return;
    }
    message = nng_aio_get_msg(conn->receive_aio);
    nng_aio_set_msg(conn->receive_aio, NULL);
    if (!is_record(message)) {
        nng_msg_free(message);
        link_conn_failed(&conn->base, "no record begins so");
        return;
    }
    goes_on = link_conn_receive(&conn->base, nng_msg_body(message), nng_msg_len(message));
    nng_msg_free(message);
    if (goes_on) {
        nng_recv_aio(conn->socket, conn->receive_aio);
    }
}

static void stop_watching(struct nng_conn *conn)
{
    ray_timer_stop(&conn->pipe_timeout);
    ray_poll_fini(&conn->watch);
    if (conn->watched_fd >= 0) {
        (void)close(conn->watched_fd); /* the connection is NNG's */
        conn->watched_fd = -1;
    }
}

/* May be the end of `conn`. */
static void take_pipe_up(struct nng_conn *conn)
{
    conn->has_pipe = true;
    stop_watching(conn);
    nng_recv_aio(conn->socket, conn->receive_aio);
    link_conn_up(&conn->base);
}

static void take_event(struct nng_event *event)
{
    struct nng_conn *conn = event->conn;

    if (conn->is_settling) {
        return;
    }
    switch (event->kind) {
    case PIPE_UP:
        take_pipe_up(conn);
        break;
    case PIPE_DOWN:
        link_conn_failed(&conn->base, "the peer closed the connection");
        break;
    case RECEIVED:
        take_received(conn);
        break;
    case SENT:
        take_sent(conn);
        break;
    case NNG_EVENT_COUNT:
        break;
    }
}

/* What happens here may close connections, which takes their events out of the ring. */
static void on_wake(uv_async_t *uv)
{
    struct nng_state *state = uv->data;
    struct link_event *event;

    link_ring_gather(&state->ring);
    for (event = link_ring_next(&state->ring); event != NULL;
         event = link_ring_next(&state->ring)) {
        take_event((struct nng_event *)event);
    }
}

static bool is_of(const struct link_event *event, const void *conn)
{
    return ((const struct nng_event *)event)->conn == conn;
}

static void conn_free(struct nng_conn *conn);

static void on_pipe_timeout(void *arg)
{
    struct nng_conn *conn = arg;

    if (conn->is_settling) {
        conn_free(conn);
    } else {
        link_conn_failed(&conn->base, "the peer made no pipe of the connection");
    }
}

/* NNG says nothing of a connection that ends before it is a pipe. */
static void on_disconnect(void *arg, int status, int events)
{
    struct nng_conn *conn = arg;

    (void)status;
    (void)events;
    link_conn_failed(&conn->base, "the peer closed the connection");
}

/* ---- life ---- */

/* Waits for its callback; a message that nobody took is freed. */
static void aio_free(nng_aio *aio)
{
    nng_msg *message;

    if (aio == NULL) {
        return;
    }
    nng_aio_stop(aio);
    message = nng_aio_get_msg(aio);
    if (message != NULL) {
        nng_msg_free(message);
    }
    nng_aio_free(aio);
}

/* Waits for callbacks that run, which wait for nothing. */
static void conn_free(struct nng_conn *conn)
{
    if (conn->is_settling) {
        LIST_REMOVE(conn, entry);
    }
    if (conn->socket.id != 0) {
        make_last_room(conn);
        (void)nng_close(conn->socket); /* fails only when closed already */
    }
    aio_free(conn->send_aio);
    aio_free(conn->receive_aio);
    link_ring_drop(&conn->state->ring, is_of, conn);
    stop_watching(conn);
    ray_timer_fini(&conn->pipe_timeout);
    free(conn);
}

static void close_conn(struct link_conn *base)
{
    struct nng_conn *conn = from_base(base);

    if (conn->has_pipe) {
        conn_free(conn);
        return;
    }
    conn->is_settling = true;
    LIST_INSERT_HEAD(&conn->state->settling, conn, entry);
    (void)shutdown(conn->watched_fd, SHUT_RDWR); /* ENOTCONN: the peer was faster */
    ray_poll_fini(&conn->watch);
    ray_timer_start(&conn->pipe_timeout, SETTLE_MS, 0);
}

static int make_aios(struct nng_conn *conn)
{
    int rc = nng_aio_alloc(&conn->send_aio, on_sent, conn);

    return rc != 0 ? rc : nng_aio_alloc(&conn->receive_aio, on_received, conn);
}

static int make_socket(struct nng_conn *conn)
{
    int rc = nng_pair0_open(&conn->socket);

    if (rc == 0) {
        rc = nng_socket_set_int(conn->socket, NNG_OPT_SENDBUF, SEND_BUFFER_COUNT);
    }
    if (rc == 0) {
        rc = nng_socket_set_int(conn->socket, NNG_OPT_RECVBUF, RECEIVE_BUFFER_COUNT);
    }
    if (rc == 0) { /* by default 1 MiB: a full record would end the connection */
        rc = nng_socket_set_size(conn->socket, NNG_OPT_RECVMAXSZ, LINK_RECORD_SIZE_MAX);
    }
    if (rc == 0) {
        rc = nng_pipe_notify(conn->socket, NNG_PIPE_EV_ADD_POST, on_pipe, conn);
    }
    return rc != 0 ? rc : nng_pipe_notify(conn->socket, NNG_PIPE_EV_REM_POST, on_pipe, conn);
}

/* On success the descriptor is NNG's. */
static int give_descriptor(struct nng_conn *conn, int fd)
{
    nng_listener listener;
    int rc = nng_listener_create(&listener, conn->socket, "socket://");

    if (rc == 0) {
        rc = nng_listener_start(listener, 0);
    }
    return rc != 0 ? rc : nng_listener_set_int(listener, NNG_OPT_SOCKET_FD, fd);
}

/* A descriptor of its own, because NNG closes the other one when it likes. */
static int make_watch(struct nng_conn *conn, int fd, struct ray_err *err)
{
    int rc;

    conn->watched_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (conn->watched_fd < 0) {
        return ray_fail_errno(err, errno, "a link");
    }
    rc = ray_timer_init(&conn->pipe_timeout, conn->base.set->loop, on_pipe_timeout, conn, err);
    return rc != RAY_OK ? rc
                        : ray_poll_init(&conn->watch, conn->base.set->loop, conn->watched_fd,
                                        on_disconnect, conn, err);
}

static int open_conn(int fd, const struct link_conn *fields, struct link_conn **out_conn,
                     struct ray_err *err)
{
    struct nng_conn *conn = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *conn);
    int rc;

    if (conn == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a link");
    }
    conn->base = *fields;
    conn->watched_fd = -1;
    conn->state = fields->set->transport_state;
    for (int kind = 0; kind < NNG_EVENT_COUNT; kind++) {
        conn->events[kind] = (struct nng_event){.conn = conn, .kind = (enum nng_event_kind)kind};
    }
    rc = make_watch(conn, fd, err);
    if (rc != RAY_OK) {
        conn_free(conn);
        return rc;
    }
    rc = make_aios(conn);
    if (rc == 0) {
        rc = make_socket(conn);
    }
    if (rc == 0) {
        rc = give_descriptor(conn, fd);
    }
    if (rc != 0) {
        conn_free(conn);
        return fail_nng(err, rc, "a link");
    }
    *out_conn = &conn->base;
    return RAY_OK;
}

static void start_conn(struct link_conn *conn)
{
    ray_timer_start(&from_base(conn)->pipe_timeout, PIPE_TIMEOUT_MS, 0);
    (void)ray_poll_set(&from_base(conn)->watch,
                       UV_DISCONNECT); /* fails only for a bad descriptor */
}

static void on_state_closed(uv_handle_t *uv)
{
    free(uv->data);
}

static void fini(struct link_set *set)
{
    struct nng_state *state = set->transport_state;
    struct nng_conn *conn;

    if (state != NULL) {
        while ((conn = LIST_FIRST(&state->settling)) != NULL) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see LIST_REMOVE unlink */
            conn_free(conn);
        }
        uv_close((uv_handle_t *)&state->uv, on_state_closed);
        set->transport_state = NULL;
    }
}

static const struct link_transport nng_transport = {
    .code = LINK_TRANSPORT_NNG,
    .open = open_conn,
    .start = start_conn,
    .can_send = can_send,
    .send = send_block,
    .close = close_conn,
    .fini = fini,
};

static bool is_sigpipe_ignored(void)
{
    struct sigaction action = {0};

    return sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler != SIG_DFL;
}

static int make_state(struct link_set *set, struct ray_err *err)
{
    struct nng_state *state = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *state);
    int status;

    if (state == NULL) {
        return ray_fail(err, RAY_ENOMEM, "links");
    }
    link_ring_init(&state->ring);
    LIST_INIT(&state->settling);
    status = uv_async_init(&set->loop->uv, &state->uv, on_wake);
    state->uv.data = state;
    if (status != 0) {
        free(state);
        return ray_fail_uv(err, status, "links");
    }
    set->transport_state = state;
    return RAY_OK;
}

int ray_link_nng_create(struct ray_link **out_link, struct ray_loop *loop,
                        const struct ray_link_config *config, struct ray_err *err)
{
    struct link_set *set = NULL;
    int rc;

    assert(is_sigpipe_ignored());
    rc = link_set_create(&set, loop, &nng_transport, config, err);
    if (rc == RAY_OK) {
        rc = make_state(set, err); /* before the loop runs: nobody has connected yet */
        if (rc != RAY_OK) {
            link_set_destroy(set);
        }
    }
    if (rc == RAY_OK) {
        *out_link = &set->base;
    }
    return rc;
}
