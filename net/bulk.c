/* bulk.c - a sealed record carries one byte, what it is, and a message. Sent records wait in a
 * chain until the kernel takes them; what was read waits in one buffer until a record is whole.
 *
 * Callbacks run only from the loop, and any of them may destroy the channel: `hold_count` keeps
 * the memory until the last of our own functions has left it. A failure found while sending is
 * kept in `why` and told by the timer. */
#include "net/bulk.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

enum {
    TYPE_MESSAGE = 0,
    TYPE_FINISH = 1,
    TYPE_SIZE = 1,
    RECORD_SIZE_MAX = TYPE_SIZE + RAY_BULK_MESSAGE_SIZE_MAX + RAY_SEAL_OVERHEAD_SIZE,
    READS_PER_TURN = 8,
};

struct queued {
    struct queued *next;
    size_t size;
    size_t sent_size;
    uint8_t bytes[];
};

struct ray_bulk {
    struct ray_bulk_user user;
    struct ray_loop *loop;
    struct ray_poll poll;
    struct ray_timer later; /* work that must not be done within a call of the user */
    struct ray_seal *seal;
    int fd;
    struct queued *first;
    struct queued **last;
    size_t queued_size;
    size_t input_size;
    unsigned hold_count;
    bool is_paused;
    bool is_refusing; /* a send got RAY_EAGAIN: on_writable is due */
    bool has_finished;
    bool has_peer_finished;
    bool is_failed; /* `why` says how */
    bool is_closed; /* on_close has run */
    bool is_destroyed;
    struct ray_err why;
    uint8_t input[RECORD_SIZE_MAX];
};

/* ---- end ---- */

static void free_queue(struct ray_bulk *bulk)
{
    while (bulk->first != NULL) {
        struct queued *next = bulk->first->next;

        free(bulk->first);
        bulk->first = next;
    }
    bulk->last = &bulk->first;
    bulk->queued_size = 0;
}

static void release(struct ray_bulk *bulk)
{
    bulk->hold_count--;
    if (bulk->hold_count == 0 && bulk->is_destroyed) {
        sodium_memzero(bulk->input, bulk->input_size);
        free(bulk);
    }
}

void ray_bulk_destroy(struct ray_bulk *bulk)
{
    if (bulk == NULL || bulk->is_destroyed) {
        return;
    }
    bulk->hold_count++;
    bulk->is_destroyed = true;
    ray_poll_fini(&bulk->poll);
    ray_timer_fini(&bulk->later);
    free_queue(bulk);
    ray_seal_destroy(bulk->seal);
    bulk->seal = NULL;
    (void)close(bulk->fd);
    release(bulk);
}

/* Whether the user is still to be called. */
static bool is_open(const struct ray_bulk *bulk)
{
    return !bulk->is_destroyed && !bulk->is_closed;
}

static void fail(struct ray_bulk *bulk, const struct ray_err *why)
{
    if (bulk->is_failed || bulk->is_destroyed) {
        return;
    }
    bulk->is_failed = true;
    bulk->why = *why;
    free_queue(bulk);
    (void)ray_poll_set(&bulk->poll, 0);
    ray_timer_start(&bulk->later, 0, 0);
}

/* Tells the end, if it has come. */
static void close_when_over(struct ray_bulk *bulk)
{
    bool is_over = bulk->has_finished && bulk->has_peer_finished && bulk->first == NULL;
    struct ray_err why = {0};

    if (!is_open(bulk) || !(bulk->is_failed || is_over)) {
        return;
    }
    bulk->is_closed = true;
    (void)ray_poll_set(&bulk->poll, 0);
    why = is_over ? why : bulk->why;
    bulk->user.on_close(bulk->user.arg, &why);
}

/* ---- sending ---- */

static void update_events(struct ray_bulk *bulk)
{
    int events = 0;

    if (!is_open(bulk) || bulk->is_failed) {
        return;
    }
    if (!bulk->is_paused && !bulk->has_peer_finished) {
        events |= UV_READABLE;
    }
    if (bulk->first != NULL) {
        events |= UV_WRITABLE;
    }
    (void)ray_poll_set(&bulk->poll, events); /* fails only for a bad descriptor */
}

/* Gives the kernel what it takes of the first record: RAY_OK when the record is gone, RAY_EAGAIN,
 * or the channel has failed. */
static int write_first(struct ray_bulk *bulk)
{
    struct queued *first = bulk->first;
    int fault = ray_fault(RAY_FAULT_SEND);
    ssize_t size;

    do {
        size = fault != 0 ? -1
                          : send(bulk->fd, first->bytes + first->sent_size,
                                 first->size - first->sent_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (size < 0 && fault == 0 && errno == EINTR);
    if (size < 0 && fault == 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return RAY_EAGAIN;
    }
    if (size < 0) {
        struct ray_err why = {0};

        (void)ray_fail_errno(&why, fault != 0 ? fault : errno, "sending to the peer");
        fail(bulk, &why);
        return RAY_ECLOSED;
    }
    first->sent_size += (size_t)size;
    bulk->queued_size -= (size_t)size;
    if (first->sent_size < first->size) {
        return RAY_EAGAIN;
    }
    bulk->first = first->next;
    if (bulk->first == NULL) {
        bulk->last = &bulk->first;
    }
    free(first);
    return RAY_OK;
}

static int flush(struct ray_bulk *bulk)
{
    while (bulk->first != NULL) {
        int rc = write_first(bulk);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

/* Seals one message and queues it, or gives it to the kernel at once. */
static int put(struct ray_bulk *bulk, uint8_t type, const void *bytes, size_t size)
{
    size_t record_size = TYPE_SIZE + size + RAY_SEAL_OVERHEAD_SIZE;
    struct queued *queued =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof *queued + record_size);
    int rc;

    if (queued == NULL) {
        return RAY_ENOMEM;
    }
    *queued = (struct queued){.size = record_size};
    queued->bytes[RAY_SEAL_HEAD_SIZE] = type;
    if (size > 0) {
        memcpy(queued->bytes + RAY_SEAL_HEAD_SIZE + TYPE_SIZE, bytes, size);
    }
    rc = ray_seal_encrypt(bulk->seal, ray_clock_boottime_ns(), queued->bytes, TYPE_SIZE + size);
    if (rc != RAY_OK) {
        free(queued);
        return rc;
    }
    *bulk->last = queued;
    bulk->last = &queued->next;
    bulk->queued_size += record_size;
    if (bulk->first == queued) {
        (void)flush(bulk); /* a failure is told by the timer */
    }
    update_events(bulk);
    return bulk->is_failed ? RAY_ECLOSED : RAY_OK;
}

static bool can_send(const struct ray_bulk *bulk)
{
    return is_open(bulk) && !bulk->is_failed && !bulk->has_finished;
}

int ray_bulk_send(struct ray_bulk *bulk, const void *bytes, size_t size)
{
    if (!can_send(bulk)) {
        return RAY_ECLOSED;
    }
    if (size > RAY_BULK_MESSAGE_SIZE_MAX) {
        return RAY_ETOOBIG;
    }
    if (bulk->queued_size + TYPE_SIZE + size + RAY_SEAL_OVERHEAD_SIZE > RAY_BULK_QUEUE_SIZE_MAX) {
        bulk->is_refusing = true;
        return RAY_EAGAIN;
    }
    return put(bulk, TYPE_MESSAGE, bytes, size);
}

int ray_bulk_finish(struct ray_bulk *bulk)
{
    int rc;

    if (!can_send(bulk)) {
        return RAY_ECLOSED;
    }
    rc = put(bulk, TYPE_FINISH, NULL, 0);
    bulk->has_finished = rc == RAY_OK;
    /* Both may be done by this alone, and on_close never runs within a call. */
    ray_timer_start(&bulk->later, 0, 0);
    return rc;
}

size_t ray_bulk_queued_size(const struct ray_bulk *bulk)
{
    return bulk->queued_size;
}

static void on_writable(struct ray_bulk *bulk)
{
    (void)flush(bulk);
    if (is_open(bulk) && !bulk->is_failed && bulk->is_refusing &&
        bulk->queued_size <= RAY_BULK_QUEUE_LOW_SIZE) {
        bulk->is_refusing = false;
        if (bulk->user.on_writable != NULL && !bulk->has_finished) {
            bulk->user.on_writable(bulk->user.arg);
        }
    }
}

/* ---- receiving ---- */

static void fail_with(struct ray_bulk *bulk, int code, const char *text)
{
    struct ray_err why = {0};

    (void)ray_fail(&why, code, "%s", text);
    fail(bulk, &why);
}

static void take_finish(struct ray_bulk *bulk)
{
    bulk->has_peer_finished = true;
    if (!bulk->has_finished) {
        int rc = put(bulk, TYPE_FINISH, NULL, 0);

        bulk->has_finished = true;
        if (rc != RAY_OK) {
            fail_with(bulk, rc, "answering the peer's end");
        }
    }
}

/* One whole record. */
static void take_record(struct ray_bulk *bulk, uint8_t *record, size_t size)
{
    const uint8_t *plain = NULL;
    size_t plain_size = 0;

    if (ray_seal_decrypt(bulk->seal, record, size, &plain, &plain_size) != RAY_OK) {
        fail_with(bulk, RAY_EDENIED, "a record that the peer has not sealed");
    } else if (plain_size >= TYPE_SIZE && plain[0] == TYPE_MESSAGE) {
        bulk->user.on_message(bulk->user.arg, plain + TYPE_SIZE, plain_size - TYPE_SIZE);
        if (bulk->user.is_secret) {
            sodium_memzero(record, size); /* it was opened in place */
        }
    } else if (plain_size == TYPE_SIZE && plain[0] == TYPE_FINISH) {
        take_finish(bulk);
    } else {
        fail_with(bulk, RAY_EMALFORMED, "a record of an unknown type");
    }
}

/* The size of the record at the front of the input when it is whole; 0: not yet. */
static size_t whole_record(struct ray_bulk *bulk, size_t at)
{
    size_t size = 0;
    int rc = ray_seal_record_size(bulk->input + at, bulk->input_size - at, &size);

    if (rc == RAY_EMALFORMED || size > RECORD_SIZE_MAX) {
        fail_with(bulk, RAY_EMALFORMED, "no record begins so");
        return 0;
    }
    return rc == RAY_OK && size <= bulk->input_size - at ? size : 0;
}

static void take_records(struct ray_bulk *bulk)
{
    size_t at = 0;

    while (is_open(bulk) && !bulk->is_failed && !bulk->is_paused && !bulk->has_peer_finished) {
        size_t size = whole_record(bulk, at);

        if (size == 0) {
            break;
        }
        take_record(bulk, bulk->input + at, size);
        at += size;
    }
    if (at > 0) {
        memmove(bulk->input, bulk->input + at, bulk->input_size - at);
        bulk->input_size -= at;
    }
}

/* One read: false when there is nothing more now. */
static bool read_some(struct ray_bulk *bulk)
{
    size_t room = sizeof bulk->input - bulk->input_size;
    int fault = ray_fault(RAY_FAULT_READ);
    struct ray_err why = {0};
    ssize_t size;

    assert(room > 0); /* a whole record was taken, or the channel is paused */
    do {
        size = fault != 0 ? -1 : recv(bulk->fd, bulk->input + bulk->input_size, room, MSG_DONTWAIT);
    } while (size < 0 && fault == 0 && errno == EINTR);
    if (size < 0 && fault == 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return false;
    }
    if (size < 0) {
        (void)ray_fail_errno(&why, fault != 0 ? fault : errno, "reading from the peer");
        fail(bulk, &why);
        return false;
    }
    if (size == 0) {
        fail_with(bulk, RAY_ECLOSED, "the connection ended before the peer's last record");
        return false;
    }
    bulk->input_size += (size_t)size;
    return (size_t)size == room;
}

static void read_all(struct ray_bulk *bulk)
{
    for (unsigned i = 0; i < READS_PER_TURN; i++) {
        bool has_more;

        if (!is_open(bulk) || bulk->is_failed || bulk->is_paused || bulk->has_peer_finished) {
            return;
        }
        has_more = read_some(bulk);
        take_records(bulk);
        if (!has_more) {
            return;
        }
    }
}

/* ---- loop ---- */

static void on_events(void *arg, int status, int events)
{
    struct ray_bulk *bulk = arg;

    bulk->hold_count++;
    if (status != RAY_OK) {
        events = UV_READABLE; /* reading tells what is wrong */
    }
    if ((events & UV_WRITABLE) != 0 && is_open(bulk)) {
        on_writable(bulk);
    }
    if ((events & (UV_READABLE | UV_DISCONNECT)) != 0) {
        read_all(bulk);
    }
    if (status != RAY_OK && is_open(bulk)) {
        fail_with(bulk, RAY_ECLOSED, "the connection broke");
    }
    update_events(bulk);
    close_when_over(bulk);
    release(bulk);
}

static void on_later(void *arg)
{
    struct ray_bulk *bulk = arg;

    bulk->hold_count++;
    take_records(bulk); /* what had come before a pause */
    update_events(bulk);
    close_when_over(bulk);
    release(bulk);
}

void ray_bulk_pause(struct ray_bulk *bulk)
{
    bulk->is_paused = true;
    update_events(bulk);
}

void ray_bulk_resume(struct ray_bulk *bulk)
{
    if (bulk->is_paused && is_open(bulk)) {
        bulk->is_paused = false;
        ray_timer_start(&bulk->later, 0, 0);
        update_events(bulk);
    }
}

int ray_bulk_create(struct ray_bulk **out_bulk, struct ray_loop *loop, int fd,
                    struct ray_seal *seal, const struct ray_bulk_user *user, struct ray_err *err)
{
    struct ray_bulk *bulk;
    int rc;

    assert(user->on_message != NULL && user->on_close != NULL);
    bulk = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof *bulk);
    if (bulk == NULL) {
        return ray_fail(err, RAY_ENOMEM, "bulk channel");
    }
    memset(bulk, 0, offsetof(struct ray_bulk, input)); /* the input is large, and unread */
    bulk->user = *user;
    bulk->loop = loop;
    bulk->fd = fd;
    bulk->last = &bulk->first;
    rc = ray_timer_init(&bulk->later, loop, on_later, bulk, err);
    if (rc == RAY_OK) {
        rc = ray_poll_init(&bulk->poll, loop, fd, on_events, bulk, err);
    }
    if (rc != RAY_OK) {
        ray_timer_fini(&bulk->later);
        free(bulk);
        return rc;
    }
    bulk->seal = seal;
    update_events(bulk);
    *out_bulk = bulk;
    return RAY_OK;
}

/* ---- handing over ---- */

int ray_bulk_export(struct ray_seal *seal, uint8_t out[static RAY_BULK_EXPORT_SIZE])
{
    int rc = ray_seal_export(seal, out);

    ray_seal_destroy(seal);
    return rc;
}

int ray_bulk_import(struct ray_bulk **out_bulk, struct ray_loop *loop, int fd,
                    uint8_t bytes[static RAY_BULK_EXPORT_SIZE], const struct ray_bulk_user *user,
                    struct ray_err *err)
{
    struct ray_seal *seal = NULL;
    int rc = ray_seal_import(&seal, bytes, err);

    sodium_memzero(bytes, RAY_BULK_EXPORT_SIZE);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_bulk_create(out_bulk, loop, fd, seal, user, err);
    if (rc != RAY_OK) {
        ray_seal_destroy(seal);
    }
    return rc;
}
