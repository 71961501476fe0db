#include "node/init/supervise.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "net/rpc.h"

enum { ENV_COUNT_MAX = 12, ENV_SIZE_MAX = FD_STORE_COUNT_MAX * NOTIFY_FD_NAME_SIZE_MAX + 512 };

static_assert(FD_STORE_COUNT_MAX + 3 <= RAY_CHILD_FD_COUNT_MAX, "kept descriptors must fit");

static void feed(struct supervise *supervise, const struct supervise_event *event);

/* ---- starting one service ---- */

struct environment {
    const char *entries[ENV_COUNT_MAX];
    size_t count;
    char fd_names[ENV_SIZE_MAX];
    char fd_count[32];
    char notify[256];
    char watchdog[48];
};

static void add_entry(struct environment *env, const char *entry)
{
    assert(env->count + 1 < ENV_COUNT_MAX);
    env->entries[env->count++] = entry;
    env->entries[env->count] = NULL;
}

static void fill_environment(struct supervise_unit *unit, struct environment *env)
{
    struct supervise *supervise = unit->owner;
    size_t at = 0;

    env->count = 0;
    add_entry(env, "PATH=/usr/sbin:/usr/bin");
    add_entry(env, "HOME=/");
    add_entry(env, "LANG=C.UTF-8");
    add_entry(env, "RAYOS_SUPERVISED=1");
    (void)snprintf(env->notify, sizeof env->notify, "NOTIFY_SOCKET=%s",
                   supervise->config.notify_path);
    add_entry(env, env->notify);
    if (unit->def->watchdog_ms != 0) {
        (void)snprintf(env->watchdog, sizeof env->watchdog, "WATCHDOG_USEC=%" PRIu64,
                       (uint64_t)unit->def->watchdog_ms * 1000);
        add_entry(env, env->watchdog);
    }
    if (unit->kept.count == 0) {
        return;
    }
    (void)snprintf(env->fd_count, sizeof env->fd_count, "LISTEN_FDS=%zu", unit->kept.count);
    add_entry(env, env->fd_count);
    add_entry(env, "LISTEN_PID="); /* ray_child_spawn puts the pid behind it */
    at += (size_t)snprintf(env->fd_names, sizeof env->fd_names, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < unit->kept.count; i++) {
        /* The sizes were checked at compile time and when the names came. */
        at += (size_t)snprintf(env->fd_names + at, sizeof env->fd_names - at, "%s%s",
                               i > 0 ? ":" : "", unit->kept.entries[i].name);
    }
    add_entry(env, env->fd_names);
}

/* 0 is /dev/null, 1 and 2 the pipe to the log, 3 and up what was kept. */
static size_t fill_fds(const struct supervise_unit *unit, int output_fd,
                       struct ray_child_fd fds[static RAY_CHILD_FD_COUNT_MAX])
{
    size_t count = 0;

    fds[count++] = (struct ray_child_fd){.fd = output_fd, .child_fd = STDOUT_FILENO};
    fds[count++] = (struct ray_child_fd){.fd = output_fd, .child_fd = STDERR_FILENO};
    for (size_t i = 0; i < unit->kept.count; i++) {
        fds[count++] = (struct ray_child_fd){.fd = unit->kept.entries[i].fd,
                                             .child_fd = STDERR_FILENO + 1 + (int)i};
    }
    return count;
}

static void on_child_exit(void *arg, const struct ray_child_exit *how);

static int spawn_with(struct supervise_unit *unit, int output_fd, struct ray_err *err)
{
    const struct service_def *def = unit->def;
    const struct supervise_config *config = &unit->owner->config;
    struct ray_child_fd fds[RAY_CHILD_FD_COUNT_MAX];
    struct environment env;
    char path[512];
    struct ray_child_spec spec = {
        .path = path,
        .argv = config->argv != NULL ? config->argv(config->arg, def) : def->argv,
        .fds = fds,
        .has_ids = def->has_ids && !config->is_hosted,
        .uid = def->uid,
        .gid = def->gid,
        .keep_caps = def->keep_caps,
        .keeps_all_caps = def->keeps_all_caps || config->is_hosted,
        .no_new_privs = true,
        .new_session = true,
        .cgroup_fd = unit->cgroup_fd,
        .oom_score_adj = config->is_hosted ? NULL : def->oom_score_adj,
        .nice = def->nice,
        .rlimits = config->is_hosted ? NULL : def->rlimits,
        .rlimit_count = config->is_hosted ? 0 : def->rlimit_count,
    };
    int size = snprintf(path, sizeof path, "%s%s", config->root, def->argv[0]);

    if (size < 0 || (size_t)size >= sizeof path) {
        return ray_fail(err, RAY_ETOOBIG, "path of %s", def->name);
    }
    fill_environment(unit, &env);
    spec.envp = env.entries;
    spec.fd_count = fill_fds(unit, output_fd, fds);
    return ray_child_spawn(&unit->child, config->loop, &spec, on_child_exit, unit, err);
}

static int make_cgroup(struct supervise_unit *unit, struct ray_err *err)
{
    struct init_cgroup *cgroup = unit->owner->config.cgroup;

    if (unit->cgroup_fd >= 0 || cgroup == NULL || cgroup->fd < 0) {
        return RAY_OK;
    }
    return init_cgroup_make(cgroup, INIT_CGROUP_SERVICES, unit->def->name, &unit->def->limits,
                            &unit->cgroup_fd, err);
}

/* The socket that we listen at for it; made once, then it is among what is kept. */
static int make_socket(struct supervise_unit *unit, struct ray_err *err)
{
    const char *name = unit->def->listens;
    char path[256];
    int size;
    int fd;
    int rc;

    if (name == NULL || fd_store_has(&unit->kept, name)) {
        return RAY_OK;
    }
    size = snprintf(path, sizeof path, "%s/%s", unit->owner->config.run_path, name);
    if (size < 0 || (size_t)size >= sizeof path) {
        return ray_fail(err, RAY_ETOOBIG, "socket %s", name);
    }
    rc = ray_rpc_unix_listen(path, 0666, &fd, err);
    return rc == RAY_OK ? fd_store_add(&unit->kept, name, fd, err) : rc;
}

static int spawn(struct supervise_unit *unit, struct ray_err *err)
{
    struct supervise *supervise = unit->owner;
    int pipe_fds[2];
    int fault = ray_fault(RAY_FAULT_OPEN);
    int rc;

    rc = make_cgroup(unit, err);
    if (rc == RAY_OK) {
        rc = make_socket(unit, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (fault != 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return ray_fail_errno(err, fault != 0 ? fault : errno, "pipe for %s", unit->def->name);
    }
    /* Only our end does not block: a service that floods waits for us. */
    if (fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) < 0) {
        rc = ray_fail_errno(err, errno, "pipe for %s", unit->def->name);
        (void)close(pipe_fds[0]);
    } else {
        rc = service_log_open(&unit->output, supervise->config.loop, pipe_fds[0], unit->def->name,
                              supervise->config.put, supervise->config.arg, err);
    }
    if (rc == RAY_OK) {
        rc = spawn_with(unit, pipe_fds[1], err);
    }
    (void)close(pipe_fds[1]);
    return rc;
}

/* ---- performing effects ---- */

static uint32_t random_u32(void)
{
    uint32_t value;

    /* Jitter only: before the pool is ready any number will do. */
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value) {
        value = (uint32_t)ray_clock_monotonic_ns();
    }
    return value;
}

static void enqueue(struct supervise *supervise, const struct supervise_event *event)
{
    if (supervise->queue_count >= SUPERVISE_QUEUE_COUNT_MAX) {
        /* At most one answer to a spawn and one exit per service can wait. */
        ray_log(supervise->config.logger, RAY_LOG_ERROR, "supervise",
                "bug: event queue full, event %d of service %zu dropped", (int)event->kind,
                event->index);
        return;
    }
    supervise->queue[supervise->queue_count++] = *event;
}

static void do_spawn(struct supervise_unit *unit)
{
    struct supervise_event answer = {.kind = SUPERVISE_EVENT_SPAWNED, .index = unit->index};
    struct ray_err err = {0};
    int rc = spawn(unit, &err);

    unit->status_text[0] = '\0';
    if (rc != RAY_OK) {
        answer.kind = SUPERVISE_EVENT_SPAWN_FAILED;
        answer.random = random_u32();
        (void)snprintf(unit->last_exit, sizeof unit->last_exit, "%.*s",
                       (int)sizeof unit->last_exit - 1, err.text);
        ray_log(unit->owner->config.logger, RAY_LOG_WARN, "supervise", "%s: %s", unit->def->name,
                err.text);
    } else {
        ray_log(unit->owner->config.logger, RAY_LOG_INFO, "supervise", "%s started pid=%d",
                unit->def->name, (int)unit->child.pid);
    }
    enqueue(unit->owner, &answer);
}

static void do_kill(struct supervise_unit *unit)
{
    struct ray_err err = {0};

    if (unit->cgroup_fd >= 0 && init_cgroup_kill(unit->cgroup_fd, &err) != RAY_OK) {
        ray_log(unit->owner->config.logger, RAY_LOG_WARN, "supervise", "kill the group of %s: %s",
                unit->def->name, err.text);
    }
    (void)ray_child_kill(&unit->child, SIGKILL); /* gone already: fine */
}

static void perform(struct supervise *supervise, const struct supervise_effect *effect)
{
    struct supervise_unit *unit = &supervise->units[effect->index];

    switch (effect->kind) {
    case SUPERVISE_EFFECT_SPAWN:
        do_spawn(unit);
        break;
    case SUPERVISE_EFFECT_TERMINATE:
        (void)ray_child_kill(&unit->child, SIGTERM); /* gone already: its exit follows */
        break;
    case SUPERVISE_EFFECT_KILL:
        do_kill(unit);
        break;
    case SUPERVISE_EFFECT_CHANGED:
        supervise->config.on_changed(supervise->config.arg, unit);
        break;
    case SUPERVISE_EFFECT_ALL_READY:
        supervise->config.on_all_ready(supervise->config.arg);
        break;
    case SUPERVISE_EFFECT_ALL_STOPPED:
        supervise->config.on_all_stopped(supervise->config.arg);
        break;
    }
}

static void arm(struct supervise *supervise)
{
    uint64_t next_ns = supervise_core_next_ns(&supervise->core);
    uint64_t now_ns = ray_clock_boottime_ns();

    if (next_ns == UINT64_MAX) {
        ray_timer_stop(&supervise->tick);
    } else {
        uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
        ray_timer_start(&supervise->tick, wait_ns / RAY_NS_PER_MS + 1, 0);
    }
}

/* Steps are never nested: what an effect causes waits until all effects are performed. */
static void feed(struct supervise *supervise, const struct supervise_event *event)
{
    struct supervise_effects effects;

    enqueue(supervise, event);
    if (supervise->is_stepping) {
        return;
    }
    supervise->is_stepping = true;
    while (supervise->queue_count > 0) {
        struct supervise_event next = supervise->queue[0];
        supervise->queue_count--;
        memmove(&supervise->queue[0], &supervise->queue[1],
                supervise->queue_count * sizeof supervise->queue[0]);
        supervise_core_step(&supervise->core, &next, ray_clock_boottime_ns(), &effects);
        for (size_t i = 0; i < effects.count; i++) {
            perform(supervise, &effects.items[i]);
        }
    }
    supervise->is_stepping = false;
    arm(supervise);
}

static void on_child_exit(void *arg, const struct ray_child_exit *how)
{
    struct supervise_unit *unit = arg;
    char text[48];
    struct supervise_event event = {
        .kind = SUPERVISE_EVENT_EXITED,
        .index = unit->index,
        .is_clean = !how->is_signaled && how->status == 0,
        .random = random_u32(),
    };

    (void)snprintf(unit->last_exit, sizeof unit->last_exit, "%s", ray_child_exit_text(how, text));
    ray_log(unit->owner->config.logger, RAY_LOG_NOTICE, "supervise", "%s ended: %s",
            unit->def->name, unit->last_exit);
    feed(unit->owner, &event);
}

static void on_tick(void *arg)
{
    feed(arg, &(struct supervise_event){.kind = SUPERVISE_EVENT_TICK});
}

/* ---- the interface ---- */

int supervise_init(struct supervise *supervise, const struct supervise_config *config,
                   const struct service_def *table, size_t count, struct ray_err *err)
{
    int rc;

    memset(supervise, 0, sizeof *supervise);
    supervise->config = *config;
    rc = services_specs(table, count, config->root, supervise->specs, err);
    if (rc == RAY_OK) {
        rc = supervise_core_init(&supervise->core, supervise->specs, count, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&supervise->tick, config->loop, on_tick, supervise, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    supervise->count = count;
    for (size_t i = 0; i < count; i++) {
        struct supervise_unit *unit = &supervise->units[i];
        unit->owner = supervise;
        unit->def = &table[i];
        unit->index = i;
        unit->cgroup_fd = -1;
        ray_child_init(&unit->child);
        service_log_init(&unit->output);
    }
    return RAY_OK;
}

void supervise_fini(struct supervise *supervise)
{
    for (size_t i = 0; i < supervise->count; i++) {
        struct supervise_unit *unit = &supervise->units[i];
        (void)ray_child_kill(&unit->child, SIGKILL);
        ray_child_fini(&unit->child);
        service_log_close(&unit->output);
        fd_store_fini(&unit->kept);
        if (unit->cgroup_fd >= 0) {
            (void)close(unit->cgroup_fd);
        }
    }
    supervise->count = 0;
    ray_timer_fini(&supervise->tick);
}

void supervise_start(struct supervise *supervise)
{
    feed(supervise, &(struct supervise_event){.kind = SUPERVISE_EVENT_START});
}

void supervise_stop_all(struct supervise *supervise)
{
    feed(supervise, &(struct supervise_event){.kind = SUPERVISE_EVENT_STOP_ALL});
}

void supervise_set_conditions(struct supervise *supervise, uint32_t conditions)
{
    feed(supervise,
         &(struct supervise_event){.kind = SUPERVISE_EVENT_CONDITIONS, .conditions = conditions});
}

void supervise_clear_conditions(struct supervise *supervise, uint32_t conditions)
{
    feed(supervise, &(struct supervise_event){.kind = SUPERVISE_EVENT_CONDITIONS_LOST,
                                              .conditions = conditions});
}

int supervise_restart(struct supervise *supervise, const char *name, struct ray_err *err)
{
    struct supervise_unit *unit = supervise_find(supervise, name);

    if (unit == NULL || supervise_unit_state(unit)->state == SUPERVISE_ABSENT) {
        return ray_fail(err, RAY_ENOTFOUND, "no service %.64s on this node", name);
    }
    if (supervise->core.is_stopping) {
        return ray_fail(err, RAY_ECONFLICT, "the node is shutting down");
    }
    feed(supervise,
         &(struct supervise_event){.kind = SUPERVISE_EVENT_RESTART, .index = unit->index});
    return RAY_OK;
}

struct supervise_unit *supervise_find(struct supervise *supervise, const char *name)
{
    for (size_t i = 0; i < supervise->count; i++) {
        if (strcmp(supervise->units[i].def->name, name) == 0) {
            return &supervise->units[i];
        }
    }
    return NULL;
}

struct supervise_unit *supervise_find_pid(struct supervise *supervise, pid_t pid)
{
    for (size_t i = 0; i < supervise->count; i++) {
        if (pid > 0 && supervise->units[i].child.pid == pid) {
            return &supervise->units[i];
        }
    }
    return NULL;
}

const struct supervise_service *supervise_unit_state(const struct supervise_unit *unit)
{
    return &unit->owner->core.services[unit->index];
}

static void take_fds(struct supervise_unit *unit, const struct notify_message *message,
                     const int *fds, size_t fd_count)
{
    for (size_t i = 0; i < fd_count; i++) {
        struct ray_err err = {0};
        if (!message->stores_fds || !unit->def->keeps_fds) {
            (void)close(fds[i]);
            continue;
        }
        if (fd_store_add(&unit->kept, message->fd_name, fds[i], &err) != RAY_OK) {
            ray_log(unit->owner->config.logger, RAY_LOG_WARN, "supervise", "%s: %s",
                    unit->def->name, err.text);
        }
    }
    if (message->removes_fds) {
        (void)fd_store_remove(&unit->kept, message->fd_name);
    }
}

void supervise_notified(struct supervise_unit *unit, const struct notify_message *message,
                        const int *fds, size_t fd_count)
{
    struct supervise_event event = {.index = unit->index};

    take_fds(unit, message, fds, fd_count);
    if (message->has_status) {
        memcpy(unit->status_text, message->status, sizeof unit->status_text);
    }
    if (message->is_ready) {
        event.kind = SUPERVISE_EVENT_READY;
        feed(unit->owner, &event);
    }
    if (message->is_alive) {
        event.kind = SUPERVISE_EVENT_ALIVE;
        feed(unit->owner, &event);
    }
    if (message->is_stopping) {
        event.kind = SUPERVISE_EVENT_STOPPING;
        feed(unit->owner, &event);
    }
}

const char *supervise_wedged(const struct supervise *supervise, uint64_t now_ns, uint64_t limit_ns)
{
    for (size_t i = 0; i < supervise->count; i++) {
        const struct supervise_service *service = &supervise->core.services[i];
        uint64_t allowed_ns =
            (uint64_t)supervise->specs[i].stop_deadline_ms * RAY_NS_PER_MS + limit_ns;
        if (supervise->specs[i].needed_for_ready && service->state == SUPERVISE_STOPPING &&
            service->has_process && now_ns - service->since_ns > allowed_ns) {
            return supervise->specs[i].name;
        }
    }
    return NULL;
}
