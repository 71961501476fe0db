/* link_uv.c - records one after the other on a TCP connection.
 *
 * Reading fills the set's scratch, and records are opened where they were read. Only a record
 * that was cut waits in a buffer of its own, into which the next read goes first; so an idle
 * peer costs no memory. Writing tries at once; one record at most is half sent, everything else
 * stays in the peer's queue, where it is still joined with what comes. */
#include "net/link_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "net/link_impl.h"

enum { READS_PER_TURN = 4, REST_SIZE_KEPT = 16 << 10 };

struct uv_conn {
    struct link_conn base; /* first */
    int fd;
    struct ray_poll poll;
    struct link_block *sending; /* NULL: nothing is half sent */
    size_t record_size;
    size_t sent_size;
    struct ray_buf rest; /* the beginning of a record */
};

static struct uv_conn *from_base(struct link_conn *conn)
{
    return (struct uv_conn *)conn;
}

static void update_events(struct uv_conn *conn)
{
    int events = conn->sending != NULL ? UV_READABLE | UV_WRITABLE : UV_READABLE;

    (void)ray_poll_set(&conn->poll, events); /* fails only for a bad descriptor */
}

/* ---- sending ---- */

static bool can_send(const struct link_conn *conn)
{
    return ((const struct uv_conn *)conn)->sending == NULL;
}

/* RAY_OK: the record is out; RAY_EAGAIN; or the connection is condemned. */
static int write_record(struct uv_conn *conn)
{
    struct link_block *block = conn->sending;
    int fault = ray_fault(RAY_FAULT_SEND);
    ssize_t sent;

    while (conn->sent_size < conn->record_size) {
        sent = fault != 0 ? -1
                          : send(conn->fd, block->bytes + conn->sent_size,
                                 conn->record_size - conn->sent_size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            conn->sent_size += (size_t)sent;
        } else if (fault == 0 && errno == EAGAIN) {
            return RAY_EAGAIN;
        } else if (fault != 0 || errno != EINTR) {
            link_conn_condemn(&conn->base, "the connection broke while sending");
            return RAY_ECLOSED;
        }
    }
    conn->sending = NULL;
    link_conn_sent(&conn->base, block->size);
    free(block);
    return RAY_OK;
}

static void send_block(struct link_conn *base, struct link_block *block)
{
    struct uv_conn *conn = from_base(base);

    assert(conn->sending == NULL);
    conn->sending = block;
    conn->sent_size = 0;
    conn->record_size = link_conn_seal(base, block->bytes, block->size);
    if (conn->record_size == 0) {
        return; /* condemned; the block goes with it */
    }
    if (write_record(conn) == RAY_EAGAIN) {
        update_events(conn);
    }
}

static void on_writable(struct uv_conn *conn)
{
    if (conn->sending == NULL || conn->record_size == 0 || write_record(conn) != RAY_OK) {
        return;
    }
    update_events(conn);
    link_conn_sendable(&conn->base);
}

/* ---- receiving ---- */

/* RAY_OK and the size of the record that begins so, RAY_EAGAIN, RAY_EMALFORMED. */
static int record_size_of(const uint8_t *bytes, size_t size, size_t *out_size)
{
    int rc = ray_seal_record_size(bytes, size, out_size);

    return rc == RAY_OK && *out_size > LINK_RECORD_SIZE_MAX ? RAY_EMALFORMED : rc;
}

/* Adds to the rest what makes its record whole, or its head. Returns what was used of `bytes`;
 * 0: `conn` has ended. */
static size_t fill_rest(struct uv_conn *conn, const uint8_t *bytes, size_t size)
{
    size_t wanted_size = RAY_SEAL_HEAD_SIZE;
    size_t used;

    if (record_size_of(conn->rest.data, conn->rest.size, &wanted_size) == RAY_EMALFORMED) {
        link_conn_failed(&conn->base, "no record begins so");
        return 0;
    }
    assert(wanted_size > conn->rest.size);
    used = wanted_size - conn->rest.size < size ? wanted_size - conn->rest.size : size;
    if (ray_buf_append(&conn->rest, bytes, used) != RAY_OK) {
        link_conn_failed(&conn->base, "no memory for a record");
        return 0;
    }
    return used;
}

static void clear_rest(struct uv_conn *conn)
{
    if (conn->rest.capacity > REST_SIZE_KEPT) {
        ray_buf_fini(&conn->rest);
        ray_buf_init(&conn->rest, LINK_RECORD_SIZE_MAX);
    } else {
        ray_buf_clear(&conn->rest);
    }
}

/* Opens the rest's record if it is whole. False: `conn` has ended. */
static bool take_rest(struct uv_conn *conn)
{
    size_t record_size = 0;

    if (record_size_of(conn->rest.data, conn->rest.size, &record_size) != RAY_OK ||
        record_size > conn->rest.size) {
        return true; /* fill_rest finds a malformed head */
    }
    if (!link_conn_receive(&conn->base, conn->rest.data, record_size)) {
        return false;
    }
    clear_rest(conn);
    return true;
}

/* The record at the front of `bytes`, or the beginning of one. Returns what was used; 0: `conn`
 * has ended. */
static size_t take_front(struct uv_conn *conn, uint8_t *bytes, size_t size)
{
    size_t record_size = 0;
    int rc = record_size_of(bytes, size, &record_size);

    if (rc == RAY_EMALFORMED) {
        link_conn_failed(&conn->base, "no record begins so");
        return 0;
    }
    if (rc == RAY_OK && record_size <= size) {
        return link_conn_receive(&conn->base, bytes, record_size) ? record_size : 0;
    }
    return fill_rest(conn, bytes, size);
}

/* False: `conn` has ended. */
static bool take_bytes(struct uv_conn *conn, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        bool has_rest = conn->rest.size > 0;
        size_t used = has_rest ? fill_rest(conn, bytes, size) : take_front(conn, bytes, size);

        if (used == 0 || (has_rest && !take_rest(conn))) {
            return false;
        }
        bytes += used;
        size -= used;
    }
    return true;
}

/* One read. False: no more now, or `conn` has ended. */
static bool read_once(struct uv_conn *conn)
{
    uint8_t *scratch = conn->base.set->scratch;
    int fault = ray_fault(RAY_FAULT_READ);
    ssize_t got = fault != 0 ? -1 : recv(conn->fd, scratch, LINK_SCRATCH_SIZE, MSG_DONTWAIT);

    if (got < 0 && fault == 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        link_conn_failed(&conn->base,
                         got == 0 ? "the peer closed the connection" : "the connection broke");
        return false;
    }
    return take_bytes(conn, scratch, (size_t)got) && (size_t)got == LINK_SCRATCH_SIZE;
}

static void on_events(void *arg, int status, int events)
{
    struct uv_conn *conn = arg;

    if (conn->base.is_condemned) {
        (void)ray_poll_set(&conn->poll, 0); /* the end of the turn closes it */
        return;
    }
    if (status != RAY_OK) {
        link_conn_failed(&conn->base, "the connection broke");
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        on_writable(conn);
    }
    for (int i = 0; i < READS_PER_TURN && read_once(conn); i++) {
    }
}

/* ---- life ---- */

static int open_conn(int fd, const struct link_conn *fields, struct link_conn **out_conn,
                     struct ray_err *err)
{
    struct uv_conn *conn = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *conn);
    int rc;

    if (conn == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a link");
    }
    conn->base = *fields;
    conn->fd = fd;
    ray_buf_init(&conn->rest, LINK_RECORD_SIZE_MAX);
    rc = ray_poll_init(&conn->poll, fields->set->loop, fd, on_events, conn, err);
    if (rc != RAY_OK) {
        free(conn);
        return rc;
    }
    *out_conn = &conn->base;
    return RAY_OK;
}

static void start_conn(struct link_conn *conn)
{
    update_events(from_base(conn));
    link_conn_up(conn);
}

static void close_conn(struct link_conn *base)
{
    struct uv_conn *conn = from_base(base);

    ray_poll_fini(&conn->poll);
    (void)close(conn->fd); /* what was sent is the kernel's to deliver */
    ray_buf_fini(&conn->rest);
    free(conn->sending);
    free(conn);
}

static const struct link_transport uv_transport = {
    .code = LINK_TRANSPORT_UV,
    .open = open_conn,
    .start = start_conn,
    .can_send = can_send,
    .send = send_block,
    .close = close_conn,
};

int ray_link_uv_create(struct ray_link **out_link, struct ray_loop *loop,
                       const struct ray_link_config *config, struct ray_err *err)
{
    struct link_set *set = NULL;
    int rc = link_set_create(&set, loop, &uv_transport, config, err);

    if (rc == RAY_OK) {
        *out_link = &set->base;
    }
    return rc;
}
