/* loop.c - libuv handles behind structs that may vanish at any time.
 *
 * libuv frees nothing and closes asynchronously: a handle must outlive uv_close by a turn. So
 * each handle is a heap block of its own that points to its owner; fini cuts that pointer and
 * the close callback frees the block. Invariant: handle->owner is NULL or a struct that has
 * not been fini'd. */
#include "base/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"

struct ray_loop_handle {
    union {
        uv_handle_t any;
        uv_timer_t timer;
        uv_poll_t poll;
        uv_signal_t signal;
    } uv; /* its `data` points to this block */
    void *owner;
    struct ray_loop_handle *next;
    struct ray_loop_handle **link; /* what points to us */
};

static struct ray_loop_handle *handle_new(void *owner)
{
    struct ray_loop_handle *handle =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *handle);

    if (handle != NULL) {
        handle->owner = owner;
    }
    return handle;
}

static void *owner_of(const struct ray_loop_handle *handle)
{
    return handle->owner;
}

static void handle_link(struct ray_loop *loop, struct ray_loop_handle *handle)
{
    handle->next = loop->handles;
    handle->link = &loop->handles;
    if (handle->next != NULL) {
        handle->next->link = &handle->next;
    }
    loop->handles = handle;
    handle->uv.any.data = handle;
}

static void on_handle_closed(uv_handle_t *uv)
{
    free(uv->data);
}

static void handle_close(struct ray_loop_handle *handle)
{
    handle->owner = NULL;
    *handle->link = handle->next;
    if (handle->next != NULL) {
        handle->next->link = handle->link;
    }
    uv_close(&handle->uv.any, on_handle_closed);
}

/* ---- ends of turns ---- */

void ray_turn_end_ask(struct ray_turn_end *end, struct ray_loop *loop)
{
    assert(loop->is_open && end->cb != NULL);
    if (end->link != NULL) {
        return;
    }
    end->next = loop->turn_ends;
    end->link = &loop->turn_ends;
    if (end->next != NULL) {
        end->next->link = &end->next;
    }
    loop->turn_ends = end;
    uv_ref((uv_handle_t *)&loop->turn); /* the loop does not end before */
}

void ray_turn_end_cancel(struct ray_turn_end *end)
{
    if (end->link == NULL) {
        return;
    }
    *end->link = end->next;
    if (end->next != NULL) {
        end->next->link = end->link;
    }
    end->next = NULL;
    end->link = NULL;
}

static void on_turn_end(uv_prepare_t *uv)
{
    struct ray_loop *loop = uv->data;

    while (loop->turn_ends != NULL) {
        struct ray_turn_end *end = loop->turn_ends;

        ray_turn_end_cancel(end);
        end->cb(end->arg);
    }
    uv_unref((uv_handle_t *)&loop->turn);
}

/* libuv calls prepare handles in the order that the last started comes first, so what another of
 * them does is still of this turn. */
static void turn_start(struct ray_loop *loop)
{
    (void)uv_prepare_init(&loop->uv, &loop->turn); /* neither can fail */
    (void)uv_prepare_start(&loop->turn, on_turn_end);
    loop->turn.data = loop;
    uv_unref((uv_handle_t *)&loop->turn);
}

/* ---- loops ---- */

int ray_loop_init(struct ray_loop *loop, struct ray_err *err)
{
    int status;

    assert(loop != NULL);
    *loop = (struct ray_loop){0};
    status = ray_fault(RAY_FAULT_OPEN) != 0 ? UV_EMFILE : uv_loop_init(&loop->uv);
    if (status != 0) {
        return ray_fail_uv(err, status, "event loop");
    }
    loop->is_open = true;
    turn_start(loop);
    return RAY_OK;
}

static void close_any(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void ray_loop_fini(struct ray_loop *loop)
{
    if (loop == NULL || !loop->is_open) {
        return;
    }
    while (loop->turn_ends != NULL) {
        ray_turn_end_cancel(loop->turn_ends);
    }
    while (loop->handles != NULL) {
        handle_close(loop->handles);
    }
    uv_walk(&loop->uv, close_any, NULL);
    while (uv_loop_close(&loop->uv) == UV_EBUSY) {
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    loop->is_open = false;
}

void ray_loop_run(struct ray_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void ray_loop_once(struct ray_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
}

void ray_loop_stop(struct ray_loop *loop)
{
    uv_stop(&loop->uv);
}

uint64_t ray_loop_now_ns(const struct ray_loop *loop)
{
    return uv_now(&loop->uv) * RAY_NS_PER_MS;
}

static void on_timer(uv_timer_t *uv)
{
    struct ray_timer *timer = owner_of(uv->data);

    if (timer != NULL) {
        timer->cb(timer->arg);
    }
}

int ray_timer_init(struct ray_timer *timer, struct ray_loop *loop, void (*cb)(void *arg), void *arg,
                   struct ray_err *err)
{
    struct ray_loop_handle *handle;

    assert(timer != NULL && loop->is_open && cb != NULL);
    *timer = (struct ray_timer){0};
    handle = handle_new(timer);
    if (handle == NULL) {
        return ray_fail(err, RAY_ENOMEM, "timer");
    }
    (void)uv_timer_init(&loop->uv, &handle->uv.timer); /* cannot fail */
    handle_link(loop, handle);
    *timer = (struct ray_timer){.uv = &handle->uv.timer, .cb = cb, .arg = arg};
    return RAY_OK;
}

void ray_timer_start(struct ray_timer *timer, uint64_t after_ms, uint64_t repeat_ms)
{
    assert(timer->uv != NULL);
    /* libuv counts from the start of this turn, which may have been long: without this a
     * timer may fire early. */
    uv_update_time(timer->uv->loop);
    (void)uv_timer_start(timer->uv, on_timer, after_ms, repeat_ms); /* fails only when closing */
}

void ray_timer_stop(struct ray_timer *timer)
{
    if (timer->uv != NULL) {
        (void)uv_timer_stop(timer->uv); /* always 0 */
    }
}

bool ray_timer_is_active(const struct ray_timer *timer)
{
    return timer->uv != NULL && uv_is_active((const uv_handle_t *)timer->uv) != 0;
}

void ray_timer_fini(struct ray_timer *timer)
{
    if (timer != NULL && timer->uv != NULL) {
        handle_close(timer->uv->data);
        timer->uv = NULL;
    }
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct ray_poll *poll = owner_of(uv->data);

    if (poll != NULL) {
        /* libuv says EBADF for any POLLERR. */
        poll->cb(poll->arg, status < 0 ? RAY_ECLOSED : RAY_OK, events);
    }
}

int ray_poll_init(struct ray_poll *poll, struct ray_loop *loop, int fd,
                  void (*cb)(void *arg, int status, int events), void *arg, struct ray_err *err)
{
    struct ray_loop_handle *handle;
    int status;

    assert(poll != NULL && loop->is_open && cb != NULL);
    *poll = (struct ray_poll){0};
    handle = handle_new(poll);
    if (handle == NULL) {
        return ray_fail(err, RAY_ENOMEM, "poll of descriptor %d", fd);
    }
    status = uv_poll_init(&loop->uv, &handle->uv.poll, fd);
    if (status != 0) {
        free(handle);
        return ray_fail_uv(err, status, "poll of descriptor %d", fd);
    }
    handle_link(loop, handle);
    *poll = (struct ray_poll){.uv = &handle->uv.poll, .cb = cb, .arg = arg};
    return RAY_OK;
}

int ray_poll_set(struct ray_poll *poll, int events)
{
    int status;

    assert(poll->uv != NULL);
    status = events == 0 ? uv_poll_stop(poll->uv) : uv_poll_start(poll->uv, events, on_poll);
    return status == 0 ? RAY_OK : ray_err_from_errno(-status);
}

void ray_poll_fini(struct ray_poll *poll)
{
    if (poll != NULL && poll->uv != NULL) {
        handle_close(poll->uv->data);
        poll->uv = NULL;
    }
}

static void on_signal(uv_signal_t *uv, int signum)
{
    struct ray_signal *owner = owner_of(uv->data);

    if (owner != NULL) {
        owner->cb(owner->arg, signum);
    }
}

int ray_signal_init(struct ray_signal *signal, struct ray_loop *loop, int signum,
                    void (*cb)(void *arg, int signum), void *arg, struct ray_err *err)
{
    struct ray_loop_handle *handle;
    int status;

    assert(signal != NULL && loop->is_open && cb != NULL);
    *signal = (struct ray_signal){0};
    handle = handle_new(signal);
    if (handle == NULL) {
        return ray_fail(err, RAY_ENOMEM, "handler of signal %d", signum);
    }
    status = uv_signal_init(&loop->uv, &handle->uv.signal);
    if (status != 0) {
        free(handle);
        return ray_fail_uv(err, status, "handler of signal %d", signum);
    }
    handle_link(loop, handle);
    status = uv_signal_start(&handle->uv.signal, on_signal, signum);
    if (status != 0) {
        handle_close(handle);
        return ray_fail_uv(err, status, "handler of signal %d", signum);
    }
    *signal = (struct ray_signal){.uv = &handle->uv.signal, .cb = cb, .arg = arg};
    return RAY_OK;
}

void ray_signal_fini(struct ray_signal *signal)
{
    if (signal != NULL && signal->uv != NULL) {
        handle_close(signal->uv->data);
        signal->uv = NULL;
    }
}
