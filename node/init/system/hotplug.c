/* Aliases wait in a ring; one libuv work item at a time takes the oldest. At start, and after
 * lost events, one item looks at all devices instead. The item owns what the worker touches, so
 * that the object may be destroyed while a driver still starts: the item then frees itself
 * when it comes back to the loop. */
#include "node/init/system/hotplug.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "node/init/system/kmodule.h"
#include "node/init/system/udev_db.h"

struct job {
    uv_work_t work;
    struct init_hotplug *owner;          /* NULL: destroyed meanwhile */
    char *alias;                         /* NULL: all devices */
    int root_fd;                         /* for all devices; owned; -1: none */
    struct init_kmodule_summary summary; /* of all devices */
    int rc;
    struct ray_err err;
};

struct init_hotplug {
    struct ray_loop *loop;
    int root_fd;
    struct ray_logger *logger;
    void (*on_event)(void *arg, const struct init_uevent *event);
    void (*on_rescan)(void *arg);
    void *arg;
    struct init_uevent_source source;
    char *queue[INIT_HOTPLUG_QUEUE_COUNT_MAX];
    size_t queue_begin;
    size_t queue_count;
    bool is_loading_enabled;
    bool is_rescan_wanted;
    struct job *job; /* NULL: the worker is free */
};

static void start_next(struct init_hotplug *hotplug);

static void run_job(uv_work_t *work)
{
    struct job *job = work->data;
    struct init_kmodule *kmodule = NULL;

    /* A context per job: hot-plug is rare, and a mapped index would stay in memory. */
    job->rc = init_kmodule_create(NULL, &kmodule, &job->err);
    if (job->rc == RAY_OK && job->alias != NULL) {
        job->rc = init_kmodule_load(kmodule, job->alias, &job->err);
    } else if (job->rc == RAY_OK) {
        job->rc = init_kmodule_coldplug_rest(kmodule, job->root_fd, NULL, &job->summary, &job->err);
    }
    init_kmodule_destroy(kmodule);
}

static void free_job(struct job *job)
{
    if (job->root_fd >= 0) {
        (void)close(job->root_fd);
    }
    free(job->alias);
    free(job);
}

static void job_done(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct init_hotplug *hotplug = job->owner;

    if (hotplug != NULL) {
        if (status == 0 && job->rc != RAY_OK && job->rc != RAY_ENOTFOUND) {
            ray_log(hotplug->logger, RAY_LOG_WARN, "hotplug", "alias=%s: %s",
                    job->alias != NULL ? job->alias : "all", job->err.text);
        }
        if (status == 0 && job->rc == RAY_OK && job->alias == NULL) {
            ray_log(hotplug->logger, RAY_LOG_INFO, "modules", "rest modules=%zu failed=%zu",
                    job->summary.module_count, job->summary.failed_count);
        }
        hotplug->job = NULL;
        start_next(hotplug);
    }
    free_job(job);
}

/* Takes the next piece of work out of `hotplug`; NULL without memory or descriptors. */
static struct job *make_job(struct init_hotplug *hotplug)
{
    struct job *job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *job);

    if (job == NULL) {
        return NULL;
    }
    job->owner = hotplug;
    job->work.data = job;
    job->root_fd = -1;
    if (hotplug->is_rescan_wanted) {
        job->root_fd = fcntl(hotplug->root_fd, F_DUPFD_CLOEXEC, 3);
        if (job->root_fd < 0) {
            free(job);
            return NULL;
        }
        hotplug->is_rescan_wanted = false;
        return job;
    }
    job->alias = hotplug->queue[hotplug->queue_begin];
    hotplug->queue_begin = (hotplug->queue_begin + 1) % INIT_HOTPLUG_QUEUE_COUNT_MAX;
    hotplug->queue_count--;
    return job;
}

static void start_next(struct init_hotplug *hotplug)
{
    struct job *job;

    if (!hotplug->is_loading_enabled || hotplug->job != NULL ||
        (hotplug->queue_count == 0 && !hotplug->is_rescan_wanted)) {
        return;
    }
    job = make_job(hotplug);
    if (job == NULL) {
        ray_log(hotplug->logger, RAY_LOG_ERROR, "hotplug", "no memory to load a module");
        return; /* the next event tries again */
    }
    if (uv_queue_work(&hotplug->loop->uv, &job->work, run_job, job_done) != 0) {
        free_job(job); /* only without a work function: cannot be */
        return;
    }
    hotplug->job = job;
}

static void enqueue(struct init_hotplug *hotplug, const char *alias)
{
    size_t slot;
    char *copy;

    for (size_t i = 0; i < hotplug->queue_count; i++) {
        slot = (hotplug->queue_begin + i) % INIT_HOTPLUG_QUEUE_COUNT_MAX;
        if (strcmp(hotplug->queue[slot], alias) == 0) {
            return;
        }
    }
    if (hotplug->queue_count == INIT_HOTPLUG_QUEUE_COUNT_MAX) {
        ray_log(hotplug->logger, RAY_LOG_ERROR, "hotplug", "alias=%s dropped: %d wait already",
                alias, INIT_HOTPLUG_QUEUE_COUNT_MAX);
        return;
    }
    copy = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : strdup(alias);
    if (copy == NULL) {
        ray_log(hotplug->logger, RAY_LOG_ERROR, "hotplug", "alias=%s dropped: no memory", alias);
        return;
    }
    slot = (hotplug->queue_begin + hotplug->queue_count) % INIT_HOTPLUG_QUEUE_COUNT_MAX;
    hotplug->queue[slot] = copy;
    hotplug->queue_count++;
}

static void handle_event(void *arg, const struct init_uevent *event)
{
    struct init_hotplug *hotplug = arg;
    struct ray_err err = {0};

    if (event->modalias != NULL && strcmp(event->action, "add") == 0) {
        enqueue(hotplug, event->modalias);
        start_next(hotplug);
    }
    if (init_udev_db_handle(hotplug->root_fd, event, &err) != RAY_OK) {
        ray_log(hotplug->logger, RAY_LOG_INFO, "hotplug", "device=%s: %s", event->devpath,
                err.text);
    }
    if (hotplug->on_event != NULL) {
        hotplug->on_event(hotplug->arg, event);
    }
}

static void handle_lost(void *arg)
{
    struct init_hotplug *hotplug = arg;
    struct ray_err err = {0};

    ray_log(hotplug->logger, RAY_LOG_WARN, "hotplug", "device events lost, count=%llu",
            (unsigned long long)hotplug->source.lost_count);
    hotplug->is_rescan_wanted = true;
    start_next(hotplug);
    if (init_udev_db_scan(hotplug->root_fd, hotplug->logger, NULL, &err) != RAY_OK) {
        ray_log(hotplug->logger, RAY_LOG_WARN, "hotplug", "rescan: %s", err.text);
    }
    if (hotplug->on_rescan != NULL) {
        hotplug->on_rescan(hotplug->arg);
    }
}

int init_hotplug_create(struct ray_loop *loop, int root_fd, struct ray_logger *logger,
                        void (*on_event)(void *arg, const struct init_uevent *event),
                        void (*on_rescan)(void *arg), void *arg, struct init_hotplug **out,
                        struct ray_err *err)
{
    struct init_hotplug *hotplug;
    int rc;

    hotplug = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *hotplug);
    if (hotplug == NULL) {
        return ray_fail(err, RAY_ENOMEM, "hot-plug");
    }
    hotplug->loop = loop;
    hotplug->root_fd = root_fd;
    hotplug->logger = logger;
    hotplug->on_event = on_event;
    hotplug->on_rescan = on_rescan;
    hotplug->arg = arg;
    init_uevent_source_init(&hotplug->source);
    rc = init_uevent_source_open(&hotplug->source, loop, handle_event, handle_lost, hotplug, err);
    if (rc != RAY_OK) {
        init_hotplug_destroy(hotplug);
        return rc;
    }
    *out = hotplug;
    return RAY_OK;
}

void init_hotplug_enable_loading(struct init_hotplug *hotplug)
{
    hotplug->is_loading_enabled = true;
    hotplug->is_rescan_wanted = true; /* what coldplug left for later */
    start_next(hotplug);
}

void init_hotplug_destroy(struct init_hotplug *hotplug)
{
    if (hotplug == NULL) {
        return;
    }
    init_uevent_source_fini(&hotplug->source);
    if (hotplug->job != NULL) {
        hotplug->job->owner = NULL;
    }
    for (size_t i = 0; i < hotplug->queue_count; i++) {
        free(hotplug->queue[(hotplug->queue_begin + i) % INIT_HOTPLUG_QUEUE_COUNT_MAX]);
    }
    free(hotplug);
}
