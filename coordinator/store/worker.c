/* A ring with one writer on each side: the loop moves `submitted`, the thread `finished`; what
 * lies between belongs to the thread. */
#include "coordinator/store/worker.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fault.h"

struct job {
    void (*run)(void *arg);
    void (*done)(void *arg, bool is_canceled);
    void *arg;
};

struct coord_worker {
    struct job jobs[COORD_WORKER_JOBS_MAX];
    atomic_size_t submitted;
    atomic_size_t finished;
    size_t delivered; /* of the finished: told */
    atomic_bool is_stopping;
    uv_sem_t wake;
    uv_thread_t thread;
    uv_async_t *async; /* frees itself */
};

static struct job *job_at(struct coord_worker *worker, size_t number)
{
    return &worker->jobs[number % COORD_WORKER_JOBS_MAX];
}

static void thread_main(void *arg)
{
    struct coord_worker *worker = arg;

    for (;;) {
        size_t number = atomic_load_explicit(&worker->finished, memory_order_relaxed);

        uv_sem_wait(&worker->wake);
        if (atomic_load_explicit(&worker->is_stopping, memory_order_acquire)) {
            return;
        }
        assert(number != atomic_load_explicit(&worker->submitted, memory_order_acquire));
        job_at(worker, number)->run(job_at(worker, number)->arg);
        atomic_store_explicit(&worker->finished, number + 1, memory_order_release);
        (void)uv_async_send(worker->async); /* fails only on a closed handle */
    }
}

static void deliver(struct coord_worker *worker, size_t until, bool is_canceled)
{
    while (worker->delivered != until) {
        struct job job = *job_at(worker, worker->delivered);

        worker->delivered++;
        job.done(job.arg, is_canceled);
    }
}

static void on_async(uv_async_t *async)
{
    struct coord_worker *worker = async->data;

    deliver(worker, atomic_load_explicit(&worker->finished, memory_order_acquire), false);
    if (worker->delivered == atomic_load_explicit(&worker->submitted, memory_order_relaxed)) {
        uv_unref((uv_handle_t *)async); /* an idle worker keeps no loop alive */
    }
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static int async_create(struct coord_worker *worker, struct ray_loop *loop, struct ray_err *err)
{
    uv_async_t *async = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *async);
    int rc;

    if (async == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a worker");
    }
    rc = uv_async_init(&loop->uv, async, on_async);
    if (rc != 0) {
        free(async);
        return ray_fail_uv(err, rc, "a worker's signal");
    }
    async->data = worker;
    uv_unref((uv_handle_t *)async);
    worker->async = async;
    return RAY_OK;
}

int coord_worker_create(struct coord_worker **out, struct ray_loop *loop, struct ray_err *err)
{
    struct coord_worker *worker = ray_fault(RAY_FAULT_ALLOC) ? NULL : calloc(1, sizeof *worker);
    int rc;

    if (worker == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a worker");
    }
    rc = async_create(worker, loop, err);
    if (rc != RAY_OK) {
        free(worker);
        return rc;
    }
    rc = uv_sem_init(&worker->wake, 0);
    if (rc == 0) {
        rc = uv_thread_create(&worker->thread, thread_main, worker);
        if (rc != 0) {
            uv_sem_destroy(&worker->wake);
        }
    }
    if (rc != 0) {
        uv_close((uv_handle_t *)worker->async, on_closed);
        free(worker);
        return ray_fail_uv(err, rc, "a worker's thread");
    }
    *out = worker;
    return RAY_OK;
}

void coord_worker_submit(struct coord_worker *worker, void (*run)(void *arg),
                         void (*done)(void *arg, bool is_canceled), void *arg)
{
    size_t number = atomic_load_explicit(&worker->submitted, memory_order_relaxed);

    assert(number - worker->delivered < COORD_WORKER_JOBS_MAX);
    *job_at(worker, number) = (struct job){.run = run, .done = done, .arg = arg};
    atomic_store_explicit(&worker->submitted, number + 1, memory_order_release);
    uv_ref((uv_handle_t *)worker->async);
    uv_sem_post(&worker->wake);
}

void coord_worker_destroy(struct coord_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    atomic_store_explicit(&worker->is_stopping, true, memory_order_release);
    uv_sem_post(&worker->wake);
    (void)uv_thread_join(&worker->thread); /* fails only on a thread that is none */
    deliver(worker, atomic_load_explicit(&worker->submitted, memory_order_relaxed), true);
    uv_close((uv_handle_t *)worker->async, on_closed);
    uv_sem_destroy(&worker->wake);
    free(worker);
}
