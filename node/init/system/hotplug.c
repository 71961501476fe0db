/* Aliases wait in a ring; one libuv work item at a time takes the oldest. At start, and after
 * lost events, another item looks at all devices: that takes many seconds, and a disk that has
 * just appeared must not wait for displays. The item owns what the worker touches, so
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
    struct job *alias_job;  /* NULL: none is under way */
    struct job *rescan_job; /* as above */
};

static void start_alias(struct init_hotplug *hotplug);
static void start_rescan(struct init_hotplug *hotplug);

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
        if (job == hotplug->rescan_job) {
            hotplug->rescan_job = NULL;
            start_rescan(hotplug);
        } else {
            hotplug->alias_job = NULL;
            start_alias(hotplug);
        }
    }
    free_job(job);
}

/* NULL without memory. */
static struct job *make_job(struct init_hotplug *hotplug)
{
    struct job *job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *job);

    if (job == NULL) {
        ray_log(hotplug->logger, RAY_LOG_ERROR, "hotplug", "no memory to load a module");
        return NULL; /* the next event tries again */
    }
    job->owner = hotplug;
    job->work.data = job;
    job->root_fd = -1;
    return job;
}

/* Takes over `job`. */
static void queue_job(struct init_hotplug *hotplug, struct job *job, struct job **slot)
{
    if (uv_queue_work(&hotplug->loop->uv, &job->work, run_job, job_done) != 0) {
        free_job(job); /* only without a work function: cannot be */
    } else {
        *slot = job;
    }
}

/* Begins with the oldest alias, unless one is under way. */
static void start_alias(struct init_hotplug *hotplug)
{
    struct job *job;

    if (!hotplug->is_loading_enabled || hotplug->alias_job != NULL || hotplug->queue_count == 0) {
        return;
    }
    job = make_job(hotplug);
    if (job != NULL) {
        job->alias = hotplug->queue[hotplug->queue_begin];
        hotplug->queue_begin = (hotplug->queue_begin + 1) % INIT_HOTPLUG_QUEUE_COUNT_MAX;
        hotplug->queue_count--;
        queue_job(hotplug, job, &hotplug->alias_job);
    }
}

static void start_rescan(struct init_hotplug *hotplug)
{
    struct job *job;

    if (!hotplug->is_loading_enabled || hotplug->rescan_job != NULL || !hotplug->is_rescan_wanted) {
        return;
    }
    job = make_job(hotplug);
    if (job == NULL) {
        return;
    }
    job->root_fd = fcntl(hotplug->root_fd, F_DUPFD_CLOEXEC, 3);
    if (job->root_fd < 0) {
        ray_log(hotplug->logger, RAY_LOG_ERROR, "hotplug", "no descriptor to look for devices");
        free_job(job);
        return;
    }
    hotplug->is_rescan_wanted = false;
    queue_job(hotplug, job, &hotplug->rescan_job);
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
        start_alias(hotplug);
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
    start_rescan(hotplug);
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
    start_alias(hotplug);
    start_rescan(hotplug);
}

void init_hotplug_destroy(struct init_hotplug *hotplug)
{
    if (hotplug == NULL) {
        return;
    }
    init_uevent_source_fini(&hotplug->source);
    if (hotplug->alias_job != NULL) {
        hotplug->alias_job->owner = NULL;
    }
    if (hotplug->rescan_job != NULL) {
        hotplug->rescan_job->owner = NULL;
    }
    for (size_t i = 0; i < hotplug->queue_count; i++) {
        free(hotplug->queue[(hotplug->queue_begin + i) % INIT_HOTPLUG_QUEUE_COUNT_MAX]);
    }
    free(hotplug);
}
