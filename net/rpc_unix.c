/* rpc_unix.c - a carrier over a connected SOCK_SEQPACKET socket.
 *
 * A message is sent at once when nothing waits before it; else it joins a queue that the
 * loop empties. A queue above RAY_RPC_QUEUE_HIGH_SIZE also stops reading, so that a peer
 * that asks but never reads cannot make us work; above RAY_RPC_QUEUE_SIZE_MAX sending
 * fails. Errors found while sending are reported from the loop: abort shuts the socket
 * down, which makes it readable.
 *
 * To a peer that takes bundles (rpc_bundle.h) messages without descriptors gather in the outbox
 * until the end of the turn. Of a bundle that comes, what is not taken at once, because our own
 * queue is full or the turn has had enough of this peer, waits in `input`; nothing more is read
 * before.
 *
 * Messages may be secret (a token, keys of a connection that is passed on): what was sent, dropped
 * or taken is zeroed. */
#include "net/rpc_unix.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/rpc_bundle.h"
#include "net/rpc_queue.h"

/* Taken in one loop turn: packets, and messages in all of them. */
enum { READ_BURST_COUNT = 16, MESSAGE_BURST_COUNT = 256 };

struct unix_carrier {
    struct ray_rpc_carrier base; /* first */
    int fd;
    struct ray_poll poll;
    struct ray_rpc_peer peer;
    struct ray_rpc_queue queue;
    bool is_aborted;   /* shut down; `why` says for what */
    bool is_deaf;      /* the peer reads no more; what it sent is still to be read */
    bool is_reset;     /* the peer left without reading; what it sent may still be read */
    bool is_reported;  /* on_close has run */
    bool is_destroyed; /* freed when hold_count gets to 0 */
    unsigned hold_count;
    struct ray_err why;
    struct ray_loop *loop;
    struct ray_turn_end turn_end;
    struct ray_buf outbox;
    size_t outbox_count;      /* messages */
    size_t outbox_first_size; /* of what goes before the first, which alone needs none */
    size_t bundle_at;         /* the next message of the bundle in `input` */
    size_t bundle_size;       /* 0: none */
    size_t burst_left;        /* messages that may still be taken in this turn */
    size_t input_size;        /* of what is not zeroed in `input` */
    uint8_t input[RAY_RPC_MESSAGE_SIZE_MAX];
};

static struct unix_carrier *from_base(struct ray_rpc_carrier *carrier)
{
    return (struct unix_carrier *)carrier;
}

static void drop_output(struct unix_carrier *unix_carrier)
{
    ray_rpc_queue_fini(&unix_carrier->queue);
    ray_buf_wipe(&unix_carrier->outbox);
    ray_buf_fini(&unix_carrier->outbox);
    unix_carrier->outbox_count = 0;
    ray_turn_end_cancel(&unix_carrier->turn_end);
}

static void update_events(struct unix_carrier *unix_carrier)
{
    int events = unix_carrier->queue.size < RAY_RPC_QUEUE_HIGH_SIZE ? UV_READABLE : 0;

    /* The rest of a bundle makes the socket no more readable, but it is writable. */
    if (!ray_rpc_queue_is_empty(&unix_carrier->queue) || unix_carrier->bundle_size > 0) {
        events |= UV_WRITABLE;
    }
    /* Fails only for a bad descriptor, which this one is not. */
    (void)ray_poll_set(&unix_carrier->poll, events);
}

/* Tells the user, once. */
static void report_close(struct unix_carrier *unix_carrier, const struct ray_err *why)
{
    const struct ray_rpc_carrier_user *user = &unix_carrier->base.user;

    if (unix_carrier->is_reported || unix_carrier->is_destroyed) {
        return;
    }
    unix_carrier->is_reported = true;
    ray_poll_fini(&unix_carrier->poll);
    drop_output(unix_carrier);
    user->on_close(user->arg, unix_carrier->is_aborted ? &unix_carrier->why : why);
}

static void send_last(struct unix_carrier *unix_carrier);

static void abort_connection(struct ray_rpc_carrier *carrier, const struct ray_err *why)
{
    struct unix_carrier *unix_carrier = from_base(carrier);

    if (unix_carrier->is_aborted || unix_carrier->is_reported) {
        return;
    }
    send_last(unix_carrier);
    unix_carrier->is_aborted = true;
    unix_carrier->why = *why;
    drop_output(unix_carrier);
    (void)shutdown(unix_carrier->fd, SHUT_RDWR); /* ENOTCONN: the peer was faster */
    update_events(unix_carrier);
}

/* ---- sending ---- */

/* 0, or errno. */
static int send_now(const struct unix_carrier *unix_carrier, const uint8_t *bytes, size_t size,
                    const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * RAY_RPC_FD_COUNT_MAX)];
    } control;
    struct iovec iov = {.iov_base = (uint8_t *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    int fault = ray_fault(RAY_FAULT_SEND);
    ssize_t sent;

    if (fault != 0) {
        return fault;
    }
    if (fd_count > 0) {
        struct cmsghdr *header = &control.header;

        assert(fd_count <= RAY_RPC_FD_COUNT_MAX);
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    do {
        sent = sendmsg(unix_carrier->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    assert(sent < 0 || (size_t)sent == size); /* SEQPACKET sends all or nothing */
    return sent < 0 ? errno : 0;
}

/* The peer left: what it sent before is read until the end of the stream reports it. Any
 * other failure cuts the connection. */
static void send_failed(struct unix_carrier *unix_carrier, int why)
{
    struct ray_err err = {0};

    if (why == EPIPE || why == ECONNRESET) {
        unix_carrier->is_deaf = true;
        drop_output(unix_carrier);
        update_events(unix_carrier);
        return;
    }
    ray_fail_errno(&err, why, "cannot send to the peer");
    abort_connection(&unix_carrier->base, &err);
}

static int enqueue(struct unix_carrier *unix_carrier, const uint8_t *bytes, size_t size,
                   const int *fds, size_t fd_count)
{
    int rc = ray_rpc_queue_push(&unix_carrier->queue, bytes, size, fds, fd_count);

    if (rc == RAY_OK) {
        update_events(unix_carrier);
    }
    return rc;
}

static int send_packet(struct unix_carrier *unix_carrier, const uint8_t *bytes, size_t size,
                       const int *fds, size_t fd_count)
{
    int why;

    if (!ray_rpc_queue_is_empty(&unix_carrier->queue)) {
        return enqueue(unix_carrier, bytes, size, fds, fd_count);
    }
    why = send_now(unix_carrier, bytes, size, fds, fd_count);
    if (why == EAGAIN) {
        return enqueue(unix_carrier, bytes, size, fds, fd_count);
    }
    if (why != 0) {
        send_failed(unix_carrier, why);
        return RAY_ECLOSED;
    }
    return RAY_OK;
}

/* What is in the outbox as one packet; a message that is alone goes as it is. */
static const uint8_t *outbox_packet(const struct unix_carrier *unix_carrier, size_t *out_size)
{
    size_t begin = unix_carrier->outbox_count == 1 ? unix_carrier->outbox_first_size : 0;

    *out_size = unix_carrier->outbox.size - begin;
    return unix_carrier->outbox.data + begin;
}

static int flush_outbox(struct unix_carrier *unix_carrier)
{
    const uint8_t *bytes;
    size_t size;
    int rc;

    if (unix_carrier->outbox_count == 0) {
        return RAY_OK;
    }
    bytes = outbox_packet(unix_carrier, &size);
    rc = send_packet(unix_carrier, bytes, size, NULL, 0);
    ray_buf_wipe(&unix_carrier->outbox);
    unix_carrier->outbox_count = 0;
    return rc;
}

static void on_turn_end(void *arg)
{
    struct unix_carrier *unix_carrier = arg;
    int rc = flush_outbox(unix_carrier);
    struct ray_err err = {0};

    if (rc != RAY_OK && rc != RAY_ECLOSED) { /* closed: what is still to be read ends it */
        (void)ray_fail(&err, rc, "the peer does not take what it is sent");
        abort_connection(&unix_carrier->base, &err);
    }
}

/* Before the end; whether it gets through is nobody's concern any more. */
static void send_last(struct unix_carrier *unix_carrier)
{
    if (unix_carrier->outbox_count > 0 && ray_rpc_queue_is_empty(&unix_carrier->queue)) {
        size_t size;
        const uint8_t *bytes = outbox_packet(unix_carrier, &size);

        (void)send_now(unix_carrier, bytes, size, NULL, 0);
    }
}

/* What it has grown out of holds messages, too. */
static int reserve_outbox(struct unix_carrier *unix_carrier, size_t more_size)
{
    struct ray_buf *outbox = &unix_carrier->outbox;
    struct ray_buf larger;
    int rc;

    if (more_size <= outbox->capacity - outbox->size) {
        return RAY_OK;
    }
    ray_buf_init(&larger, outbox->size_max);
    rc = ray_buf_reserve(&larger, outbox->size + more_size);
    if (rc == RAY_OK) {
        (void)ray_buf_append(&larger, outbox->data, outbox->size); /* there is room */
        ray_buf_wipe(outbox);
        ray_buf_fini(outbox);
        *outbox = larger;
    }
    return rc;
}

static int add_to_outbox(struct unix_carrier *unix_carrier, const uint8_t *bytes, size_t size)
{
    struct ray_buf *outbox = &unix_carrier->outbox;
    uint8_t head[RAY_RPC_BUNDLE_HEAD_SIZE_MAX];
    size_t head_size = ray_rpc_bundle_head(head, size);
    int rc = RAY_OK;

    if (outbox->size + head_size + size > RAY_RPC_MESSAGE_SIZE_MAX) {
        rc = flush_outbox(unix_carrier);
    }
    if (rc == RAY_OK) {
        rc = reserve_outbox(unix_carrier, head_size + size);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (unix_carrier->outbox_count == 0) {
        unix_carrier->outbox_first_size = head_size;
    }
    (void)ray_buf_append(outbox, head, head_size); /* there is room */
    (void)ray_buf_append(outbox, bytes, size);
    unix_carrier->outbox_count++;
    ray_turn_end_ask(&unix_carrier->turn_end, unix_carrier->loop);
    return RAY_OK;
}

static int send_message(struct ray_rpc_carrier *carrier, const uint8_t *bytes, size_t size,
                        const int *fds, size_t fd_count)
{
    struct unix_carrier *unix_carrier = from_base(carrier);
    int rc;

    assert(size > 0 && size <= RAY_RPC_MESSAGE_SIZE_MAX);
    assert(fd_count <= RAY_RPC_FD_COUNT_MAX);
    if (unix_carrier->is_aborted || unix_carrier->is_reported || unix_carrier->is_deaf) {
        return RAY_ECLOSED;
    }
    if (carrier->is_bundling && fd_count == 0 &&
        size <= RAY_RPC_MESSAGE_SIZE_MAX - RAY_RPC_BUNDLE_HEAD_SIZE_MAX) {
        return add_to_outbox(unix_carrier, bytes, size);
    }
    rc = flush_outbox(unix_carrier);
    return rc == RAY_OK ? send_packet(unix_carrier, bytes, size, fds, fd_count) : rc;
}

static void flush_queue(struct unix_carrier *unix_carrier)
{
    const struct ray_rpc_carrier_user *user = &unix_carrier->base.user;
    const struct ray_rpc_queued *entry;

    while ((entry = ray_rpc_queue_first(&unix_carrier->queue)) != NULL) {
        int why = send_now(unix_carrier, entry->bytes, entry->size, entry->fds, entry->fd_count);

        if (why == EAGAIN) {
            break;
        }
        if (why != 0) {
            send_failed(unix_carrier, why);
            return;
        }
        ray_rpc_queue_pop(&unix_carrier->queue);
    }
    update_events(unix_carrier);
    if (unix_carrier->queue.size <= RAY_RPC_QUEUE_LOW_SIZE) {
        user->on_writable(user->arg);
    }
}

/* ---- receiving ---- */

/* The descriptors of a message, at most RAY_RPC_FD_COUNT_MAX: the control buffer holds no
 * more, the kernel closes the rest and sets MSG_CTRUNC. */
static size_t take_fds(struct msghdr *message, int fds[static RAY_RPC_FD_COUNT_MAX])
{
    size_t count = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        size_t size = header->cmsg_len - CMSG_LEN(0);

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        assert(count + size / sizeof(int) <= RAY_RPC_FD_COUNT_MAX);
        memcpy(fds + count, CMSG_DATA(header), size);
        count += size / sizeof(int);
    }
    return count;
}

static void wipe_input(struct unix_carrier *unix_carrier)
{
    explicit_bzero(unix_carrier->input, unix_carrier->input_size);
    unix_carrier->input_size = 0;
}

/* Until it is over, our own queue is full, or the turn has had enough of it. */
static int take_bundle(struct unix_carrier *unix_carrier, struct ray_err *err)
{
    const struct ray_rpc_carrier_user *user = &unix_carrier->base.user;

    while (unix_carrier->bundle_at < unix_carrier->bundle_size && unix_carrier->burst_left > 0 &&
           unix_carrier->queue.size < RAY_RPC_QUEUE_HIGH_SIZE) {
        const uint8_t *bytes;
        size_t size;

        unix_carrier->burst_left--;
        if (ray_rpc_bundle_next(unix_carrier->input, unix_carrier->bundle_size,
                                &unix_carrier->bundle_at, &bytes, &size) != RAY_OK) {
            return ray_fail(err, RAY_EMALFORMED, "an rpc bundle that is not whole");
        }
        user->on_message(user->arg, bytes, size, NULL, 0);
        if (unix_carrier->is_destroyed || unix_carrier->is_aborted) {
            return RAY_OK; /* who called looks at that */
        }
    }
    if (unix_carrier->bundle_at == unix_carrier->bundle_size) {
        wipe_input(unix_carrier);
        unix_carrier->bundle_size = 0;
    }
    return RAY_OK;
}

/* Takes one message. RAY_OK: go on; RAY_EAGAIN: no more now; else the connection is over. */
static int receive_one(struct unix_carrier *unix_carrier, struct ray_err *err)
{
    const struct ray_rpc_carrier_user *user = &unix_carrier->base.user;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * RAY_RPC_FD_COUNT_MAX)];
    } control;
    struct iovec iov = {.iov_base = unix_carrier->input, .iov_len = sizeof unix_carrier->input};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    int fds[RAY_RPC_FD_COUNT_MAX];
    size_t fd_count;
    int fault = ray_fault(RAY_FAULT_READ);
    ssize_t size =
        fault != 0 ? -1 : recvmsg(unix_carrier->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int why = fault != 0 ? fault : errno;

    if (size < 0 && (why == EAGAIN || why == EINTR)) {
        return RAY_EAGAIN;
    }
    if (size < 0 && why == ECONNRESET && !unix_carrier->is_reset) {
        unix_carrier->is_reset = true;
        return RAY_OK;
    }
    if (size < 0) {
        return ray_fail_errno(err, why, "cannot read from the peer");
    }
    if (size == 0) {
        return ray_fail(err, RAY_ECLOSED, "the peer closed the connection");
    }
    unix_carrier->input_size = (size_t)size;
    fd_count = take_fds(&message, fds);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        struct ray_err refusal = {0};

        wipe_input(unix_carrier);
        ray_rpc_close_fds(fds, fd_count);
        (void)ray_fail(&refusal, RAY_EMALFORMED,
                       "an rpc message of more than %d bytes or %d descriptors",
                       RAY_RPC_MESSAGE_SIZE_MAX, RAY_RPC_FD_COUNT_MAX);
        ray_rpc_carrier_refuse(&unix_carrier->base, &refusal);
        return RAY_OK; /* who called looks at whether it goes on */
    }
    if (ray_rpc_bundle_is(unix_carrier->input, (size_t)size)) {
        ray_rpc_close_fds(fds, fd_count); /* none goes with a bundle */
        unix_carrier->bundle_at = 0;
        unix_carrier->bundle_size = (size_t)size;
        return take_bundle(unix_carrier, err);
    }
    unix_carrier->burst_left--;
    user->on_message(user->arg, unix_carrier->input, (size_t)size, fds, fd_count);
    wipe_input(unix_carrier);
    ray_rpc_close_fds(fds, fd_count);
    return RAY_OK;
}

/* Takes at most `packet_count` packets and `message_count` messages; reports the end when it comes.
 * Returns whether the connection goes on. */
static bool receive(struct unix_carrier *unix_carrier, size_t packet_count, size_t message_count)
{
    struct ray_err err = {0};
    int rc = RAY_OK;

    unix_carrier->burst_left = message_count;
    for (size_t i = 0; i < packet_count && rc == RAY_OK && unix_carrier->burst_left > 0; i++) {
        rc = unix_carrier->is_aborted        ? unix_carrier->why.code
             : unix_carrier->bundle_size > 0 ? take_bundle(unix_carrier, &err)
                                             : receive_one(unix_carrier, &err);
        if (unix_carrier->is_destroyed) {
            return false;
        }
        if (unix_carrier->queue.size >= RAY_RPC_QUEUE_HIGH_SIZE) {
            return true; /* update_events has paused reading */
        }
    }
    if (rc != RAY_OK && rc != RAY_EAGAIN) {
        report_close(unix_carrier, &err);
        return false;
    }
    return true;
}

/* libuv says "bad descriptor" when the peer left without reading all: what it had said
 * before that, perhaps why, is still to be read. */
static void receive_rest(struct unix_carrier *unix_carrier)
{
    struct ray_err err = {0};

    if (receive(unix_carrier, SIZE_MAX, SIZE_MAX)) {
        ray_fail(&err, RAY_ECLOSED, "the connection broke");
        report_close(unix_carrier, &err);
    }
}

/* ---- life ---- */

static void release(struct unix_carrier *unix_carrier)
{
    assert(unix_carrier->hold_count > 0);
    unix_carrier->hold_count--;
    if (unix_carrier->hold_count == 0 && unix_carrier->is_destroyed) {
        wipe_input(unix_carrier); /* the rest of a bundle */
        free(unix_carrier);
    }
}

/* A bundle was left alone because our queue was full. */
static bool has_room_for_rest(const struct unix_carrier *unix_carrier)
{
    return unix_carrier->bundle_size > 0 && unix_carrier->queue.size < RAY_RPC_QUEUE_HIGH_SIZE;
}

static void on_poll(void *arg, int status, int events)
{
    struct unix_carrier *unix_carrier = arg;

    unix_carrier->hold_count++;
    if (status < 0) {
        receive_rest(unix_carrier);
    }
    if ((events & UV_WRITABLE) != 0 && !unix_carrier->is_destroyed && !unix_carrier->is_reported) {
        flush_queue(unix_carrier);
    }
    if (((events & UV_READABLE) != 0 || has_room_for_rest(unix_carrier)) &&
        !unix_carrier->is_destroyed && !unix_carrier->is_reported) {
        size_t bundle_size = unix_carrier->bundle_size;

        /* The rest in the next turn. */
        if (receive(unix_carrier, READ_BURST_COUNT, MESSAGE_BURST_COUNT) &&
            (bundle_size > 0) != (unix_carrier->bundle_size > 0)) {
            update_events(unix_carrier);
        }
    }
    release(unix_carrier);
}

static size_t queued_size(const struct ray_rpc_carrier *carrier)
{
    const struct unix_carrier *unix_carrier = (const struct unix_carrier *)carrier;

    return unix_carrier->queue.size + unix_carrier->outbox.size;
}

static const struct ray_rpc_peer *peer(const struct ray_rpc_carrier *carrier)
{
    return &((const struct unix_carrier *)carrier)->peer;
}

static void destroy(struct ray_rpc_carrier *carrier)
{
    struct unix_carrier *unix_carrier = from_base(carrier);

    assert(!unix_carrier->is_destroyed);
    send_last(unix_carrier);
    unix_carrier->is_destroyed = true;
    unix_carrier->hold_count++;
    ray_poll_fini(&unix_carrier->poll);
    drop_output(unix_carrier);
    (void)close(unix_carrier->fd); /* what was sent is the kernel's to deliver */
    release(unix_carrier);
}

static const struct ray_rpc_carrier_ops unix_ops = {.send = send_message,
                                                    .queued_size = queued_size,
                                                    .peer = peer,
                                                    .abort = abort_connection,
                                                    .destroy = destroy};

int ray_rpc_unix_carrier_create(struct ray_rpc_carrier **out_carrier, struct ray_loop *loop, int fd,
                                const struct ray_rpc_carrier_user *user, struct ray_err *err)
{
    struct unix_carrier *unix_carrier = ray_rpc_alloc(sizeof *unix_carrier);
    struct ucred cred;
    socklen_t cred_size = sizeof cred;
    int rc;

    assert(fd >= 0);
    assert(user->on_message != NULL && user->on_writable != NULL && user->on_close != NULL);
    if (unix_carrier == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a connection");
    }
    unix_carrier->base = (struct ray_rpc_carrier){.ops = &unix_ops, .user = *user};
    unix_carrier->base.can_bundle = true;
    unix_carrier->fd = fd;
    unix_carrier->loop = loop;
    unix_carrier->turn_end = (struct ray_turn_end){.cb = on_turn_end, .arg = unix_carrier};
    ray_buf_init(&unix_carrier->outbox, RAY_RPC_MESSAGE_SIZE_MAX);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_size) != 0) {
        rc = ray_fail_errno(err, errno, "cannot see who is at the other end");
        goto fail;
    }
    unix_carrier->peer = (struct ray_rpc_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    rc = ray_poll_init(&unix_carrier->poll, loop, fd, on_poll, unix_carrier, err);
    if (rc != RAY_OK) {
        goto fail;
    }
    rc = ray_poll_set(&unix_carrier->poll, UV_READABLE);
    if (rc != RAY_OK) {
        ray_fail(err, rc, "cannot wait for the peer");
        ray_poll_fini(&unix_carrier->poll);
        goto fail;
    }
    *out_carrier = &unix_carrier->base;
    return RAY_OK;
fail:
    free(unix_carrier);
    return rc;
}
