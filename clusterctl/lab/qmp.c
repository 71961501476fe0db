/* qmp.c - three states: greeting awaited, capabilities asked, ready. All bytes go and come in
 * the callback of one poll, so that a command never calls back into its caller. A callback may
 * destroy the object: it is freed when the outermost callback has returned. */
#include "clusterctl/lab/qmp.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "clusterctl/lab/qmp_message.h"

enum { READ_SIZE = 64 << 10, HANDSHAKE_ID = 0 };

enum state { STATE_GREETING, STATE_NEGOTIATING, STATE_READY, STATE_CLOSED };

struct pending {
    uint64_t id; /* HANDSHAKE_ID: free */
    uint64_t deadline_ns;
    ray_qmp_reply *on_reply;
    void *arg;
};

struct ray_qmp {
    struct ray_loop *loop;
    int fd;
    enum state state;
    struct ray_qmp_handlers handlers;
    void *arg;
    struct ray_poll poll;
    struct ray_timer timer;
    uint64_t greeting_deadline_ns;
    struct ray_buf input;
    size_t searched_size; /* of the input; no end of line is within */
    struct ray_buf output;
    struct ray_buf held; /* commands that wait for STATE_READY */
    struct pending pending[RAY_QMP_PENDING_COUNT_MAX];
    uint64_t next_id;
    unsigned callback_depth;
    bool is_destroyed;
};

static void release(struct ray_qmp *qmp)
{
    ray_timer_fini(&qmp->timer);
    ray_poll_fini(&qmp->poll);
    if (qmp->fd >= 0) {
        (void)close(qmp->fd); /* what was not sent is lost with it */
    }
    ray_buf_fini(&qmp->input);
    ray_buf_fini(&qmp->output);
    ray_buf_fini(&qmp->held);
    free(qmp);
}

static void enter(struct ray_qmp *qmp)
{
    qmp->callback_depth++;
}

static void leave(struct ray_qmp *qmp)
{
    assert(qmp->callback_depth > 0);
    qmp->callback_depth--;
    if (qmp->callback_depth == 0 && qmp->is_destroyed) {
        release(qmp);
    }
}

static struct pending *find_pending(struct ray_qmp *qmp, uint64_t id)
{
    for (size_t i = 0; i < RAY_QMP_PENDING_COUNT_MAX; i++) {
        if (qmp->pending[i].id == id) {
            return &qmp->pending[i];
        }
    }
    return NULL;
}

/* The slot is free before the callback runs, which may start the next command. */
static void finish(struct pending *pending, int rc, yyjson_val *value, const struct ray_err *err)
{
    struct pending done = *pending;

    *pending = (struct pending){.id = HANDSHAKE_ID};
    if (done.on_reply != NULL) {
        done.on_reply(done.arg, rc, value, err);
    }
}

/* Only those that were pending at the call: callbacks find the connection closed. */
static void finish_all(struct ray_qmp *qmp, const struct ray_err *err)
{
    assert(qmp->state == STATE_CLOSED);
    for (size_t i = 0; i < RAY_QMP_PENDING_COUNT_MAX; i++) {
        if (qmp->pending[i].id != HANDSHAKE_ID) {
            finish(&qmp->pending[i], err->code, NULL, err);
        }
    }
}

static void shut(struct ray_qmp *qmp)
{
    qmp->state = STATE_CLOSED;
    ray_timer_stop(&qmp->timer);
    ray_poll_fini(&qmp->poll);
    (void)close(qmp->fd); /* what was not sent is lost with it */
    qmp->fd = -1;
}

static void give_up(struct ray_qmp *qmp, const struct ray_err *err)
{
    if (qmp->state == STATE_CLOSED) {
        return;
    }
    shut(qmp);
    finish_all(qmp, err);
    if (!qmp->is_destroyed) {
        qmp->handlers.on_close(qmp->arg, err);
    }
}

static void arm_timer(struct ray_qmp *qmp)
{
    uint64_t now_ns = ray_clock_monotonic_ns();
    uint64_t deadline_ns = qmp->state == STATE_READY ? UINT64_MAX : qmp->greeting_deadline_ns;

    if (qmp->state == STATE_CLOSED) {
        return;
    }
    for (size_t i = 0; i < RAY_QMP_PENDING_COUNT_MAX; i++) {
        const struct pending *pending = &qmp->pending[i];

        if (pending->id != HANDSHAKE_ID && pending->deadline_ns < deadline_ns) {
            deadline_ns = pending->deadline_ns;
        }
    }
    if (deadline_ns == UINT64_MAX) {
        ray_timer_stop(&qmp->timer);
    } else {
        uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

        ray_timer_start(&qmp->timer, wait_ns / RAY_NS_PER_MS + 1, 0);
    }
}

static void on_timer(void *arg)
{
    struct ray_qmp *qmp = arg;
    uint64_t now_ns = ray_clock_monotonic_ns();
    struct ray_err err = {0};

    enter(qmp);
    for (size_t i = 0; i < RAY_QMP_PENDING_COUNT_MAX && qmp->state != STATE_CLOSED; i++) {
        struct pending *pending = &qmp->pending[i];

        if (pending->id != HANDSHAKE_ID && pending->deadline_ns <= now_ns) {
            (void)ray_fail(&err, RAY_ETIMEOUT, "QEMU did not answer in time");
            finish(pending, RAY_ETIMEOUT, NULL, &err);
        }
    }
    if (qmp->state != STATE_READY && qmp->greeting_deadline_ns <= now_ns) {
        (void)ray_fail(&err, RAY_ETIMEOUT, "no QMP greeting within %d s",
                       RAY_QMP_GREETING_TIMEOUT_MS / 1000);
        give_up(qmp, &err);
    }
    arm_timer(qmp);
    leave(qmp);
}

static int want_events(struct ray_qmp *qmp)
{
    return ray_poll_set(&qmp->poll, UV_READABLE | (qmp->output.size > 0 ? UV_WRITABLE : 0));
}

static int take_greeting(struct ray_qmp *qmp, struct ray_err *err)
{
    char *text;
    size_t size;
    int rc = ray_qmp_command_make("qmp_capabilities", NULL, HANDSHAKE_ID, &text, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_buf_append(&qmp->output, text, size);
    free(text);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "QMP capabilities: %s", ray_err_text(rc));
    }
    qmp->state = STATE_NEGOTIATING;
    return RAY_OK;
}

static int become_ready(struct ray_qmp *qmp, struct ray_err *err)
{
    int rc = RAY_OK;

    if (qmp->held.size > 0) {
        rc = ray_buf_append(&qmp->output, qmp->held.data, qmp->held.size);
    }
    ray_buf_clear(&qmp->held);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "QMP commands that waited: %s", ray_err_text(rc));
    }
    qmp->state = STATE_READY;
    if (qmp->handlers.on_ready != NULL) {
        qmp->handlers.on_ready(qmp->arg);
    }
    return RAY_OK;
}

static int code_of_class(const char *class_name)
{
    bool is_missing =
        strcmp(class_name, "CommandNotFound") == 0 || strcmp(class_name, "DeviceNotFound") == 0;

    return is_missing ? RAY_ENOTFOUND : RAY_EINVAL;
}

static int take_reply(struct ray_qmp *qmp, const struct ray_qmp_message *message,
                      struct ray_err *err)
{
    struct ray_err reply_err = {0};
    struct pending *pending;
    int rc = RAY_OK;

    if (!message->has_id) {
        return ray_fail(err, RAY_EMALFORMED, "QMP: %s",
                        message->text != NULL ? message->text : "a reply without id");
    }
    if (message->kind == RAY_QMP_ERROR) {
        rc = ray_fail(&reply_err, code_of_class(message->name), "%s", message->text);
    }
    if (message->id == HANDSHAKE_ID) {
        if (qmp->state != STATE_NEGOTIATING || rc != RAY_OK) {
            return ray_fail(err, RAY_EMALFORMED, "QMP: capabilities: %s",
                            rc != RAY_OK ? reply_err.text : "answered twice");
        }
        return become_ready(qmp, err);
    }
    /* None: it came after its time limit, and its caller knows that already. */
    pending = find_pending(qmp, message->id);
    if (pending != NULL && qmp->state == STATE_READY) {
        finish(pending, rc, message->value, &reply_err);
    }
    return RAY_OK;
}

static int take_message(struct ray_qmp *qmp, const struct ray_qmp_message *message,
                        struct ray_err *err)
{
    switch (message->kind) {
    case RAY_QMP_GREETING:
        return qmp->state == STATE_GREETING ? take_greeting(qmp, err)
                                            : ray_fail(err, RAY_EMALFORMED, "QMP: greeted twice");
    case RAY_QMP_EVENT:
        if (qmp->handlers.on_event != NULL && qmp->state != STATE_GREETING) {
            qmp->handlers.on_event(qmp->arg, message->name, message->value, message->t_us);
        }
        return RAY_OK;
    case RAY_QMP_RETURN:
    case RAY_QMP_ERROR:
        break;
    }
    return take_reply(qmp, message, err);
}

static int take_line(struct ray_qmp *qmp, const char *line, size_t size, struct ray_err *err)
{
    struct ray_qmp_message message;
    int rc;

    if (size > 0 && line[size - 1] == '\r') {
        size--;
    }
    if (size == 0) {
        return RAY_OK;
    }
    rc = ray_qmp_message_parse(line, size, &message, err);
    if (rc == RAY_OK) {
        rc = take_message(qmp, &message, err);
        ray_qmp_message_fini(&message);
    }
    return rc;
}

/* All whole lines of the input. */
static int take_lines(struct ray_qmp *qmp, struct ray_err *err)
{
    size_t begin = 0;
    int rc = RAY_OK;

    while (rc == RAY_OK && !qmp->is_destroyed) {
        size_t from = begin > qmp->searched_size ? begin : qmp->searched_size;
        const uint8_t *end = from < qmp->input.size
                                 ? memchr(qmp->input.data + from, '\n', qmp->input.size - from)
                                 : NULL;
        size_t end_index;

        if (end == NULL) {
            break;
        }
        end_index = (size_t)(end - qmp->input.data);
        rc = take_line(qmp, (const char *)qmp->input.data + begin, end_index - begin, err);
        begin = end_index + 1;
        qmp->searched_size = begin;
    }
    ray_buf_consume(&qmp->input, begin);
    qmp->searched_size = qmp->input.size;
    return rc;
}

static int read_input(struct ray_qmp *qmp, struct ray_err *err)
{
    size_t space = RAY_QMP_INPUT_SIZE_MAX - qmp->input.size;
    ssize_t n = -1;
    int rc;

    if (space == 0) {
        return ray_fail(err, RAY_EMALFORMED, "QMP: a line of more than %d bytes",
                        RAY_QMP_INPUT_SIZE_MAX);
    }
    space = space < READ_SIZE ? space : READ_SIZE;
    rc = ray_buf_reserve(&qmp->input, space);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "QMP input: %s", ray_err_text(rc));
    }
    errno = ray_fault(RAY_FAULT_READ);
    if (errno == 0) {
        n = recv(qmp->fd, qmp->input.data + qmp->input.size, space, MSG_DONTWAIT);
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? RAY_OK
                                                 : ray_fail_errno(err, errno, "QMP: receive");
    }
    if (n == 0) {
        return ray_fail(err, RAY_ECLOSED, "QEMU closed its QMP connection");
    }
    qmp->input.size += (size_t)n;
    return take_lines(qmp, err);
}

static int write_output(struct ray_qmp *qmp, struct ray_err *err)
{
    ssize_t n = -1;

    if (qmp->output.size == 0) {
        return RAY_OK;
    }
    errno = ray_fault(RAY_FAULT_SEND);
    if (errno == 0) {
        n = send(qmp->fd, qmp->output.data, qmp->output.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (n < 0) {
        /* A peer that closed may have left words to read: the end of file tells it. */
        return errno == EAGAIN || errno == EINTR || errno == EPIPE
                   ? RAY_OK
                   : ray_fail_errno(err, errno, "QMP: send");
    }
    ray_buf_consume(&qmp->output, (size_t)n);
    return RAY_OK;
}

static void on_poll(void *arg, int status, int events)
{
    struct ray_qmp *qmp = arg;
    struct ray_err err = {0};
    int rc = RAY_OK;

    enter(qmp);
    /* An error of the descriptor is read as such, after whatever came before it. */
    if (status != RAY_OK || (events & UV_READABLE) != 0) {
        rc = read_input(qmp, &err);
    }
    if (rc == RAY_OK && status != RAY_OK && qmp->state != STATE_CLOSED) {
        rc = ray_fail(&err, RAY_ECLOSED, "QMP connection: %s", ray_err_text(status));
    }
    if (rc == RAY_OK && qmp->state != STATE_CLOSED && (events & UV_WRITABLE) != 0) {
        rc = write_output(qmp, &err);
    }
    if (rc == RAY_OK && qmp->state != STATE_CLOSED) {
        rc = want_events(qmp);
    }
    if (rc != RAY_OK) {
        if (err.code == RAY_OK) {
            (void)ray_fail(&err, rc, "QMP connection: %s", ray_err_text(rc));
        }
        give_up(qmp, &err);
    }
    arm_timer(qmp);
    leave(qmp);
}

int ray_qmp_create(struct ray_qmp **out, struct ray_loop *loop, int fd,
                   const struct ray_qmp_handlers *handlers, void *arg, struct ray_err *err)
{
    struct ray_qmp *qmp;
    int rc;

    assert(fd >= 0 && handlers->on_close != NULL);
    qmp = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *qmp);
    if (qmp == NULL) {
        (void)close(fd); /* taken, and nothing was sent */
        return ray_fail(err, RAY_ENOMEM, "QMP connection");
    }
    qmp->loop = loop;
    qmp->fd = fd;
    qmp->handlers = *handlers;
    qmp->arg = arg;
    qmp->next_id = HANDSHAKE_ID + 1;
    qmp->greeting_deadline_ns =
        ray_clock_monotonic_ns() + RAY_QMP_GREETING_TIMEOUT_MS * RAY_NS_PER_MS;
    ray_buf_init(&qmp->input, RAY_QMP_INPUT_SIZE_MAX);
    ray_buf_init(&qmp->output, RAY_QMP_OUTPUT_SIZE_MAX);
    ray_buf_init(&qmp->held, RAY_QMP_OUTPUT_SIZE_MAX / 2);
    rc = ray_poll_init(&qmp->poll, loop, fd, on_poll, qmp, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&qmp->timer, loop, on_timer, qmp, err);
    }
    if (rc == RAY_OK) {
        rc = want_events(qmp);
        if (rc != RAY_OK) {
            rc = ray_fail(err, rc, "QMP connection: %s", ray_err_text(rc));
        }
    }
    if (rc != RAY_OK) {
        release(qmp);
        return rc;
    }
    arm_timer(qmp);
    *out = qmp;
    return RAY_OK;
}

void ray_qmp_destroy(struct ray_qmp *qmp)
{
    struct ray_err err = {0};

    if (qmp == NULL || qmp->is_destroyed) {
        return;
    }
    qmp->is_destroyed = true;
    enter(qmp);
    if (qmp->state != STATE_CLOSED) {
        shut(qmp);
        (void)ray_fail(&err, RAY_ECANCELED, "the QMP connection was given up");
        finish_all(qmp, &err);
    }
    leave(qmp);
}

int ray_qmp_connect(const char *path, int *out_fd, struct ray_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = -1;

    if (strlen(path) >= sizeof address.sun_path) {
        return ray_fail(err, RAY_EINVAL, "socket path '%s' has %zu bytes, at most %zu", path,
                        strlen(path), sizeof address.sun_path - 1);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path); /* fits */
    errno = ray_fault(RAY_FAULT_SOCKET);
    if (errno == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0) {
        return ray_fail_errno(err, errno, "QMP socket");
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int errnum = errno == ECONNREFUSED ? ENOENT : errno;

        (void)close(fd); /* never connected */
        return ray_fail_errno(err, errnum, "QMP socket '%s'", path);
    }
    *out_fd = fd;
    return RAY_OK;
}

int ray_qmp_execute(struct ray_qmp *qmp, const char *command, const char *arguments,
                    uint64_t timeout_ms, ray_qmp_reply *on_reply, void *arg, struct ray_err *err)
{
    struct pending *pending = find_pending(qmp, HANDSHAKE_ID);
    struct ray_buf *buffer = qmp->state == STATE_READY ? &qmp->output : &qmp->held;
    char *text;
    size_t size;
    int rc;

    if (qmp->state == STATE_CLOSED || qmp->is_destroyed) {
        return ray_fail(err, RAY_ECLOSED, "%s: the QMP connection has ended", command);
    }
    if (pending == NULL) {
        return ray_fail(err, RAY_ETOOBIG, "%s: %d commands wait for QEMU already", command,
                        RAY_QMP_PENDING_COUNT_MAX);
    }
    rc = ray_qmp_command_make(command, arguments, qmp->next_id, &text, &size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_buf_append(buffer, text, size);
    free(text);
    if (rc != RAY_OK) {
        return ray_fail(err, rc, "%s: %zu bytes wait for QEMU already", command, buffer->size);
    }
    *pending =
        (struct pending){.id = qmp->next_id,
                         .deadline_ns = ray_clock_monotonic_ns() + timeout_ms * RAY_NS_PER_MS,
                         .on_reply = on_reply,
                         .arg = arg};
    qmp->next_id++;
    arm_timer(qmp);
    /* Within a callback on_poll does it at its end; a failure shows there, too. */
    (void)want_events(qmp);
    return RAY_OK;
}

bool ray_qmp_is_ready(const struct ray_qmp *qmp)
{
    return qmp->state == STATE_READY;
}
