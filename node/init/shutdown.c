#include "node/init/shutdown.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "base/clock.h"
#include "node/init/unmount.h"

static void enter(struct shutdown *shutdown, enum shutdown_phase phase);

const char *shutdown_mode_name(enum shutdown_mode mode)
{
    switch (mode) {
    case SHUTDOWN_POWEROFF:
        return "poweroff";
    case SHUTDOWN_REBOOT:
        return "reboot";
    case SHUTDOWN_HALT:
        return "halt";
    }
    return "?";
}

int shutdown_mode_parse(const char *name, enum shutdown_mode *out)
{
    static const enum shutdown_mode modes[] = {SHUTDOWN_POWEROFF, SHUTDOWN_REBOOT, SHUTDOWN_HALT};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(name, shutdown_mode_name(modes[i])) == 0) {
            *out = modes[i];
            return RAY_OK;
        }
    }
    return RAY_EINVAL;
}

/* ---- what is left beside us ---- */

bool shutdown_is_user_process(const char *cmdline, size_t size)
{
    return size > 0 && cmdline[0] != '\0';
}

static bool has_cmdline(int proc_fd, const char *pid)
{
    char path[300];
    char text[2];
    ssize_t size;
    int fd;

    (void)snprintf(path, sizeof path, "%s/cmdline", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false; /* gone */
    }
    size = read(fd, text, sizeof text);
    (void)close(fd);
    return size > 0 && shutdown_is_user_process(text, (size_t)size);
}

static bool others_are_left(void)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    bool is_found = false;
    int proc_fd = folder != NULL ? dirfd(folder) : -1;

    while (proc_fd >= 0 && !is_found && (entry = readdir(folder)) != NULL) {
        is_found = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
                   strcmp(entry->d_name, "1") != 0 && has_cmdline(proc_fd, entry->d_name);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return is_found;
}

/* ---- the end ---- */

static void end_machine(struct shutdown *shutdown)
{
    static const int commands[] = {
        [SHUTDOWN_POWEROFF] = RB_POWER_OFF,
        [SHUTDOWN_REBOOT] = RB_AUTOBOOT,
        [SHUTDOWN_HALT] = (int)RB_HALT_SYSTEM,
    };
    struct ray_err err = {0};

    shutdown->phase = SHUTDOWN_END;
    ray_timer_stop(&shutdown->poll);
    ray_timer_stop(&shutdown->total);
    marker_sink_flush(shutdown->config.sink);
    if (shutdown->config.is_hosted) {
        shutdown->config.over(shutdown->config.arg, shutdown->mode);
        return;
    }
    if (shutdown->mode == SHUTDOWN_REBOOT ||
        watchdog_disarm(shutdown->config.watchdog, &err) != RAY_OK) {
        watchdog_last_feed(shutdown->config.watchdog);
    }
    (void)reboot(commands[shutdown->mode]);
    /* Only a kernel without power management comes back from a power-off. */
    (void)reboot((int)RB_HALT_SYSTEM);
    (void)reboot(RB_AUTOBOOT);
}

static void on_total(void *arg)
{
    struct shutdown *shutdown = arg;

    marker_sink_say(shutdown->config.sink, "shutdown is not done after %d s: ending it by force",
                    SHUTDOWN_TOTAL_MS / 1000);
    end_machine(shutdown);
}

void shutdown_force(struct shutdown *shutdown, enum shutdown_mode mode)
{
    shutdown->mode = mode;
    marker_sink_say(shutdown->config.sink, "%s by force", shutdown_mode_name(mode));
    end_machine(shutdown);
}

/* ---- work on pool threads ---- */

static void save_work(uv_work_t *request)
{
    struct shutdown *shutdown = request->data;

    shutdown->config.save(shutdown->config.arg);
}

static void unmount_work(uv_work_t *request)
{
    const struct shutdown *shutdown = request->data;
    struct unmount_report report;

    if (shutdown->config.is_hosted) {
        return;
    }
    swap_off_all();
    unmount_all(&report);
    sync();
}

static void after_save(uv_work_t *request, int status)
{
    (void)status;
    enter(request->data, SHUTDOWN_LOG);
}

static void after_unmount(uv_work_t *request, int status)
{
    struct shutdown *shutdown = request->data;

    (void)status;
    if (shutdown->phase == SHUTDOWN_UNMOUNT) {
        end_machine(shutdown);
    }
}

static void start_work(struct shutdown *shutdown, uv_work_cb work, uv_after_work_cb after)
{
    shutdown->work.data = shutdown;
    if (uv_queue_work(&shutdown->config.loop->uv, &shutdown->work, work, after) != 0) {
        after(&shutdown->work, 0); /* cannot happen: work is given */
    }
}

/* ---- phases ---- */

static void on_log_closed(void *arg)
{
    struct shutdown *shutdown = arg;

    if (shutdown->phase == SHUTDOWN_LOG) {
        enter(shutdown, SHUTDOWN_UNMOUNT);
    }
}

static void signal_others(int signum)
{
    /* Only as PID 1 does -1 mean "our machine", or our own pid namespace. */
    if (getpid() == 1) {
        (void)kill(-1, signum); /* nobody there: fine */
    }
}

static void enter(struct shutdown *shutdown, enum shutdown_phase phase)
{
    struct shutdown_config *config = &shutdown->config;

    if (phase <= shutdown->phase) {
        return; /* a late callback of a phase that its deadline has ended */
    }
    shutdown->phase = phase;
    shutdown->phase_began_ns = ray_clock_monotonic_ns();
    switch (phase) {
    case SHUTDOWN_SERVICES:
        ray_timer_start(&shutdown->poll, SHUTDOWN_POLL_MS, SHUTDOWN_POLL_MS);
        supervise_stop_all(config->supervise);
        break;
    case SHUTDOWN_PROCESSES:
        signal_others(SIGTERM);
        break;
    case SHUTDOWN_KILL:
        signal_others(SIGKILL);
        break;
    case SHUTDOWN_SAVE:
        start_work(shutdown, save_work, after_save);
        break;
    case SHUTDOWN_LOG:
        ray_log(config->logger, RAY_LOG_NOTICE, "init", "log ends here, in order");
        persist_log_close(config->log, on_log_closed, shutdown);
        break;
    case SHUTDOWN_UNMOUNT:
        ray_timer_stop(&shutdown->poll);
        config->close(config->arg);
        start_work(shutdown, unmount_work, after_unmount);
        break;
    case SHUTDOWN_NOT:
    case SHUTDOWN_END:
        break;
    }
}

/* Deadlines of the phases that wait for processes. */
static void on_poll(void *arg)
{
    struct shutdown *shutdown = arg;
    uint64_t in_phase_ms = (ray_clock_monotonic_ns() - shutdown->phase_began_ns) / RAY_NS_PER_MS;

    switch (shutdown->phase) {
    case SHUTDOWN_SERVICES:
        if (in_phase_ms >= SHUTDOWN_SERVICES_MS) {
            enter(shutdown, SHUTDOWN_PROCESSES);
        }
        break;
    case SHUTDOWN_PROCESSES:
        if (getpid() != 1 || !others_are_left()) {
            enter(shutdown, SHUTDOWN_SAVE);
        } else if (in_phase_ms >= SHUTDOWN_TERM_MS) {
            enter(shutdown, SHUTDOWN_KILL);
        }
        break;
    case SHUTDOWN_KILL:
        if (!others_are_left() || in_phase_ms >= SHUTDOWN_KILL_MS) {
            enter(shutdown, SHUTDOWN_SAVE);
        }
        break;
    default:
        break;
    }
}

void shutdown_services_stopped(struct shutdown *shutdown)
{
    if (shutdown->phase == SHUTDOWN_SERVICES) {
        enter(shutdown, SHUTDOWN_PROCESSES);
    }
}

int shutdown_begin(struct shutdown *shutdown, enum shutdown_mode mode, const char *reason,
                   struct ray_err *err)
{
    char escaped[201];

    if (shutdown->phase != SHUTDOWN_NOT) {
        return ray_fail(err, RAY_ECONFLICT, "the node is shutting down already (%s)",
                        shutdown_mode_name(shutdown->mode));
    }
    shutdown->mode = mode;
    (void)ray_escape(escaped, sizeof escaped, reason, strlen(reason));
    ray_log(shutdown->config.logger, RAY_LOG_NOTICE, "init", "shutdown mode=%s reason=\"%s\"",
            shutdown_mode_name(mode), escaped);
    marker_sink_emit(shutdown->config.sink, RAY_MARKER_NODE_STOPPING, shutdown_mode_name(mode));
    ray_timer_start(&shutdown->total, SHUTDOWN_TOTAL_MS, 0);
    enter(shutdown, SHUTDOWN_SERVICES);
    return RAY_OK;
}

int shutdown_init(struct shutdown *shutdown, const struct shutdown_config *config,
                  struct ray_err *err)
{
    int rc;

    assert(config->save != NULL && config->close != NULL && config->over != NULL);
    *shutdown = (struct shutdown){.config = *config};
    rc = ray_timer_init(&shutdown->total, config->loop, on_total, shutdown, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&shutdown->poll, config->loop, on_poll, shutdown, err);
    }
    if (rc != RAY_OK) {
        shutdown_fini(shutdown);
    }
    return rc;
}

void shutdown_fini(struct shutdown *shutdown)
{
    ray_timer_fini(&shutdown->total);
    ray_timer_fini(&shutdown->poll);
}
