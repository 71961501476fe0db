#include "net/http/send.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"

/* The most that one step sends, so that clients take turns in the pool. */
enum { STEP_SIZE_MAX = 512 * 1024 };

struct ray_http_send {
    uv_work_t work;
    uv_loop_t *loop;
    int file_fd;
    int sock_fd;
    uint64_t offset;
    uint64_t size;      /* still to be sent */
    uint64_t sent_size; /* by the step */
    int errnum;         /* of the step; 0: none */
    bool is_ended;      /* the file ended before `size` */
    bool is_busy;
    bool is_abandoned;
    void (*cb)(void *arg, enum ray_http_send_result result, uint64_t sent_size);
    void *arg;
};

static void send_free(struct ray_http_send *send)
{
    if (send->file_fd >= 0) {
        (void)close(send->file_fd); /* read only: nothing can be lost */
    }
    if (send->sock_fd >= 0) {
        (void)close(send->sock_fd);
    }
    free(send);
}

int ray_http_send_create(struct ray_http_send **out_send, struct ray_loop *loop, int file_fd,
                         int sock_fd, uint64_t offset, uint64_t size,
                         void (*cb)(void *arg, enum ray_http_send_result result,
                                    uint64_t sent_size),
                         void *arg, struct ray_err *err)
{
    struct ray_http_send *send;
    int errnum;

    assert(size > 0 && file_fd >= 0 && cb != NULL);
    send = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*send));
    if (send == NULL) {
        (void)close(file_fd);
        return ray_fail(err, RAY_ENOMEM, "no memory for a transfer");
    }
    *send = (struct ray_http_send){.loop = &loop->uv,
                                   .file_fd = file_fd,
                                   .sock_fd = -1,
                                   .offset = offset,
                                   .size = size,
                                   .cb = cb,
                                   .arg = arg};
    errnum = ray_fault(RAY_FAULT_SOCKET);
    if (errnum == 0) {
        send->sock_fd = fcntl(sock_fd, F_DUPFD_CLOEXEC, 3);
        errnum = send->sock_fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        send_free(send);
        return ray_fail_errno(err, errnum, "duplicate a socket");
    }
    send->work.data = send;
    *out_send = send;
    return RAY_OK;
}

/* Runs in the pool; touches only what no one else does while is_busy. */
static void step_run(uv_work_t *work)
{
    struct ray_http_send *send = work->data;
    uint64_t want_size = send->size < STEP_SIZE_MAX ? send->size : STEP_SIZE_MAX;
    sigset_t pipe_only;

    /* sendfile has no MSG_NOSIGNAL. The signal stays pending in this pool thread, which
     * nobody minds. */
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, NULL);

    send->errnum = ray_fault(RAY_FAULT_READ);
    if (send->errnum == 0) {
        send->errnum = ray_fault(RAY_FAULT_SEND);
    }
    while (send->errnum == 0 && send->sent_size < want_size) {
        off_t offset = (off_t)(send->offset + send->sent_size);
        ssize_t count =
            sendfile(send->sock_fd, send->file_fd, &offset, (size_t)(want_size - send->sent_size));
        if (count > 0) {
            send->sent_size += (uint64_t)count;
        } else if (count == 0) {
            send->is_ended = true;
            break;
        } else if (errno != EINTR) {
            send->errnum = errno;
        }
    }
}

static void step_done(uv_work_t *work, int status)
{
    struct ray_http_send *send = work->data;
    enum ray_http_send_result result = RAY_HTTP_SEND_MORE;

    send->is_busy = false;
    if (send->is_abandoned) {
        send_free(send);
        return;
    }
    assert(send->sent_size <= send->size);
    send->offset += send->sent_size;
    send->size -= send->sent_size;
    if (send->size == 0) {
        result = RAY_HTTP_SEND_DONE;
    } else if (status != 0 || send->is_ended ||
               (send->errnum != 0 && send->errnum != EAGAIN && send->errnum != EWOULDBLOCK)) {
        result = RAY_HTTP_SEND_BROKEN;
    } else if (send->errnum != 0) {
        result = RAY_HTTP_SEND_FULL;
    }
    send->cb(send->arg, result, send->sent_size); /* may destroy `send` */
}

int ray_http_send_step(struct ray_http_send *send, struct ray_err *err)
{
    int status;

    assert(!send->is_busy && send->size > 0);
    send->sent_size = 0;
    send->errnum = 0;
    status = uv_queue_work(send->loop, &send->work, step_run, step_done);
    if (status != 0) {
        return ray_fail_uv(err, status, "queue a file read");
    }
    send->is_busy = true;
    return RAY_OK;
}

void ray_http_send_destroy(struct ray_http_send *send)
{
    if (send == NULL) {
        return;
    }
    if (send->is_busy) {
        send->is_abandoned = true;
        (void)shutdown(send->sock_fd, SHUT_RDWR); /* the step fails soon */
        return;
    }
    send_free(send);
}
