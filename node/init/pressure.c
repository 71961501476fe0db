#include "node/init/pressure.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

enum { PATH_SIZE_MAX = 64 };

static void format_path(enum pressure_kind kind, char out[static PATH_SIZE_MAX])
{
    (void)snprintf(out, PATH_SIZE_MAX, "proc/pressure/%s", pressure_rule(kind)->name);
}

static void arm(struct pressure *pressure)
{
    uint64_t next_ns = UINT64_MAX;
    uint64_t now_ns = ray_clock_boottime_ns();

    for (int kind = 0; kind < PRESSURE_KIND_COUNT; kind++) {
        uint64_t its_ns = pressure_next_ns(&pressure->watches[kind].level,
                                           pressure_rule((enum pressure_kind)kind));
        next_ns = its_ns < next_ns ? its_ns : next_ns;
    }
    if (next_ns == UINT64_MAX) {
        ray_timer_stop(&pressure->timer);
    } else {
        uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
        ray_timer_start(&pressure->timer, wait_ns / RAY_NS_PER_MS + 1, 0);
    }
}

static void on_timer(void *arg)
{
    struct pressure *pressure = arg;

    for (int kind = 0; kind < PRESSURE_KIND_COUNT; kind++) {
        struct pressure_watch *watch = &pressure->watches[kind];
        if (pressure_tick(&watch->level, pressure_rule(watch->kind), ray_clock_boottime_ns())) {
            pressure->on_change(pressure->arg, watch->kind);
        }
    }
    arm(pressure);
}

static void stop_watching(struct pressure_watch *watch)
{
    ray_poll_fini(&watch->poll);
    if (watch->fd > 0) {
        (void)close(watch->fd); /* ends the trigger */
    }
    watch->fd = -1;
}

static void on_alarm(void *arg, int status, int events)
{
    struct pressure_watch *watch = arg;
    struct pressure *pressure = watch->owner;

    if (status < 0) {
        stop_watching(watch); /* the kernel took it away; the averages can still be read */
        return;
    }
    if ((events & UV_PRIORITIZED) != 0 &&
        pressure_alarm(&watch->level, pressure_rule(watch->kind), ray_clock_boottime_ns())) {
        pressure->on_change(pressure->arg, watch->kind);
    }
    arm(pressure);
}

/* The trigger is the text that is written to the descriptor, with its NUL. */
static int watch_one(struct pressure_watch *watch, struct ray_loop *loop, struct ray_err *err)
{
    const char *trigger = pressure_rule(watch->kind)->trigger;
    int errnum = ray_fault(RAY_FAULT_OPEN);
    char path[PATH_SIZE_MAX];
    ssize_t written;
    int rc;

    format_path(watch->kind, path);
    if (errnum == 0) {
        watch->fd = openat(watch->owner->root_fd, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        errnum = watch->fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return errnum == ENOENT || errnum == EOPNOTSUPP
                   ? ray_fail(err, RAY_EUNSUPPORTED, "the kernel does not measure pressure")
                   : ray_fail_errno(err, errnum, "/%s", path);
    }
    errnum = ray_fault(RAY_FAULT_WRITE);
    written = errnum == 0 ? write(watch->fd, trigger, strlen(trigger) + 1) : -1;
    if (written != (ssize_t)(strlen(trigger) + 1)) {
        rc = ray_fail_errno(err, errnum != 0 ? errnum : errno, "/%s: %s", path, trigger);
    } else {
        rc = ray_poll_init(&watch->poll, loop, watch->fd, on_alarm, watch, err);
        rc = rc == RAY_OK ? ray_poll_set(&watch->poll, UV_PRIORITIZED) : rc;
    }
    if (rc != RAY_OK) {
        stop_watching(watch);
    }
    return rc;
}

int pressure_init(struct pressure *pressure, struct ray_loop *loop, int root_fd,
                  void (*on_change)(void *arg, enum pressure_kind kind), void *arg,
                  struct ray_err *err)
{
    bool watches_any = false;
    int rc;

    assert(on_change != NULL);
    *pressure = (struct pressure){.root_fd = root_fd, .on_change = on_change, .arg = arg};
    for (int kind = 0; kind < PRESSURE_KIND_COUNT; kind++) {
        pressure->watches[kind] =
            (struct pressure_watch){.owner = pressure, .kind = (enum pressure_kind)kind, .fd = -1};
    }
    rc = ray_timer_init(&pressure->timer, loop, on_timer, pressure, err);
    for (int kind = 0; rc != RAY_ENOMEM && kind < PRESSURE_KIND_COUNT; kind++) {
        rc = watch_one(&pressure->watches[kind], loop, err);
        watches_any = watches_any || rc == RAY_OK;
    }
    return watches_any ? RAY_OK : rc;
}

void pressure_fini(struct pressure *pressure)
{
    for (int kind = 0; kind < PRESSURE_KIND_COUNT; kind++) {
        stop_watching(&pressure->watches[kind]);
    }
    ray_timer_fini(&pressure->timer);
}

bool pressure_is_watched(const struct pressure *pressure, enum pressure_kind kind)
{
    return pressure->watches[kind].fd > 0;
}

const struct pressure_level *pressure_level(const struct pressure *pressure,
                                            enum pressure_kind kind)
{
    return &pressure->watches[kind].level;
}

int pressure_read(const struct pressure *pressure, enum pressure_kind kind, struct init_psi *out,
                  struct ray_err *err)
{
    char path[PATH_SIZE_MAX];

    format_path(kind, path);
    return init_psi_read(pressure->root_fd, path, out, err);
}
