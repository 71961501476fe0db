/* child.c - the parent's side: clone3 gives pid, pidfd and cgroup in one step, the error pipe
 * tells whether exec happened, the pidfd tells the end. */
#include "base/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child_exec.h"
#include "base/fault.h"
#include "base/size.h"

#define PID_ENTRY "LISTEN_PID="

static const char *const step_texts[RAY_CHILD_STEP_COUNT] = {
#define STEP_TEXT(id, text) text,
    RAY_CHILD_STEP_MAP(STEP_TEXT)
#undef STEP_TEXT
};

/* The environment, with room for the pid when an entry asks for it. */
struct environment {
    const char **entries; /* owned; NULL when the spec's own array does */
    char pid_entry[sizeof PID_ENTRY + RAY_CHILD_PID_TEXT_SIZE];
    bool has_pid_entry;
};

void ray_child_init(struct ray_child *child)
{
    assert(child != NULL);
    *child = (struct ray_child){.pidfd = -1};
}

static int environment_init(struct environment *env, const char *const *envp, struct ray_err *err)
{
    size_t count = 0;

    *env = (struct environment){0};
    for (; envp != NULL && envp[count] != NULL; count++) {
        env->has_pid_entry = env->has_pid_entry || strcmp(envp[count], PID_ENTRY) == 0;
    }
    if (!env->has_pid_entry) {
        return RAY_OK;
    }
    env->entries =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(count + 1, sizeof env->entries[0]);
    if (env->entries == NULL) {
        return ray_fail(err, RAY_ENOMEM, "environment of %zu entries", count);
    }
    memcpy(env->pid_entry, PID_ENTRY, sizeof PID_ENTRY);
    for (size_t i = 0; i < count; i++) {
        env->entries[i] = strcmp(envp[i], PID_ENTRY) == 0 ? env->pid_entry : envp[i];
    }
    return RAY_OK;
}

static int check_spec(const struct ray_child_spec *spec, struct ray_err *err)
{
    if (spec->path[0] != '/') {
        return ray_fail(err, RAY_EINVAL, "program '%s' is not an absolute path", spec->path);
    }
    if (spec->fd_count > RAY_CHILD_FD_COUNT_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "%zu descriptors for a child, at most %d", spec->fd_count,
                        RAY_CHILD_FD_COUNT_MAX);
    }
    if (spec->rlimit_count > RAY_CHILD_RLIMIT_COUNT_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "%zu limits for a child, at most %d", spec->rlimit_count,
                        RAY_CHILD_RLIMIT_COUNT_MAX);
    }
    for (size_t i = 0; i < spec->fd_count; i++) {
        if (spec->fds[i].child_fd < 0) {
            return ray_fail(err, RAY_EINVAL, "descriptor %d for a child", spec->fds[i].child_fd);
        }
        for (size_t j = 0; j < i; j++) {
            if (spec->fds[i].child_fd == spec->fds[j].child_fd) {
                return ray_fail(err, RAY_EINVAL, "two descriptors for the child's %d",
                                spec->fds[i].child_fd);
            }
        }
    }
    return RAY_OK;
}

/* As fork. Signals are blocked meanwhile, so that no handler of ours runs in the child. */
static pid_t clone_child(struct ray_child_launch *launch, int *out_pidfd)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    sigset_t all;
    sigset_t old;
    int saved_errno;
    pid_t pid;

    if (launch->spec->cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)launch->spec->cgroup_fd;
    }
    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0) {
        errno = EINVAL;
        return -1;
    }
    pid = ray_fault(RAY_FAULT_FORK) != 0 ? -1 : (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        ray_child_exec(launch);
    }
    saved_errno = errno;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL); /* restoring what was there cannot fail */
    errno = saved_errno;
    if (pid > 0) {
        *out_pidfd = pidfd;
    }
    return pid;
}

/* true: the program runs; false: *out_report says why not. */
static bool read_report(int fd, struct ray_child_report *out_report)
{
    struct ray_child_report report;
    ssize_t got;

    do {
        got = read(fd, &report, sizeof report);
    } while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof report) {
        *out_report = report;
        return false;
    }
    return true;
}

static void reap_now(int pidfd)
{
    siginfo_t info;

    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR) {
    }
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd); /* pipe or pidfd: nothing can be lost */
    }
}

/* Starts the program; on success *out_pid and *out_pidfd are set. */
static int launch_child(const struct ray_child_spec *spec, pid_t *out_pid, int *out_pidfd,
                        struct ray_err *err)
{
    struct ray_child_launch launch = {.spec = spec, .parent_pid = getpid()};
    const char *const no_entries[] = {NULL};
    const char *const *entries = spec->envp != NULL ? spec->envp : no_entries;
    struct ray_child_report report;
    struct environment env;
    int pipe_fds[2] = {-1, -1};
    int pidfd = -1;
    pid_t pid;
    int rc;

    rc = environment_init(&env, spec->envp, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (env.has_pid_entry) {
        launch.pid_text = env.pid_entry + strlen(PID_ENTRY);
        entries = env.entries;
    }
    launch.envp = (char *const *)(uintptr_t)entries;
    if (ray_fault(RAY_FAULT_OPEN) != 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
        rc = ray_fail_errno(err, errno, "start '%s': pipe", spec->path);
        goto done;
    }
    launch.report_fd = pipe_fds[1];
    pid = clone_child(&launch, &pidfd);
    if (pid < 0) {
        rc = ray_fail_errno(err, errno, "start '%s': clone", spec->path);
        goto done;
    }
    close_fd(pipe_fds[1]);
    pipe_fds[1] = -1;
    if (read_report(pipe_fds[0], &report)) {
        *out_pid = pid;
        *out_pidfd = pidfd;
    } else {
        reap_now(pidfd);
        close_fd(pidfd);
        rc = ray_fail_errno(err, report.errnum, "start '%s': %s", spec->path,
                            step_texts[report.step]);
    }
done:
    close_fd(pipe_fds[0]);
    close_fd(pipe_fds[1]);
    free(env.entries);
    return rc;
}

static void set_exit(struct ray_child_exit *how, const siginfo_t *info)
{
    how->status = info->si_status;
    how->is_signaled = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
    how->dumped_core = info->si_code == CLD_DUMPED;
}

bool ray_child_reap(struct ray_child *child)
{
    struct ray_child_exit how = {.status = -1};
    void (*on_exit)(void *arg, const struct ray_child_exit *how) = child->on_exit;
    void *arg = child->arg;
    siginfo_t info = {0};
    int rc;

    if (child->pid == 0) {
        return false;
    }
    do {
        rc = waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG);
    } while (rc < 0 && errno == EINTR);
    if (rc == 0 && info.si_pid == 0) {
        return false;
    }
    if (rc == 0) {
        set_exit(&how, &info);
    }
    /* rc < 0 is ECHILD: it has ended, but another has taken its status. */
    ray_child_fini(child);
    on_exit(arg, &how);
    return true;
}

static void on_pidfd(void *arg, int status, int events)
{
    (void)status;
    (void)events;
    (void)ray_child_reap(arg);
}

int ray_child_spawn(struct ray_child *child, struct ray_loop *loop,
                    const struct ray_child_spec *spec,
                    void (*on_exit)(void *arg, const struct ray_child_exit *how), void *arg,
                    struct ray_err *err)
{
    int pidfd = -1;
    pid_t pid = 0;
    int rc;

    assert(child->pid == 0 && on_exit != NULL);
    assert(spec->path != NULL && spec->argv != NULL);
    rc = check_spec(spec, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = launch_child(spec, &pid, &pidfd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_poll_init(&child->poll, loop, pidfd, on_pidfd, child, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&child->poll, UV_READABLE);
        if (rc != RAY_OK) {
            (void)ray_fail(err, rc, "poll of pidfd: %s", ray_err_text(rc));
        }
    }
    if (rc != RAY_OK) {
        /* A child that nobody would ever reap is worse than none. */
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        reap_now(pidfd);
        ray_poll_fini(&child->poll);
        close_fd(pidfd);
        return ray_wrap(err, rc, "start '%s'", spec->path);
    }
    child->pid = pid;
    child->pidfd = pidfd;
    child->on_exit = on_exit;
    child->arg = arg;
    return RAY_OK;
}

int ray_child_kill(struct ray_child *child, int signum)
{
    if (child->pid == 0) {
        return RAY_ENOTFOUND;
    }
    if (syscall(SYS_pidfd_send_signal, child->pidfd, signum, NULL, 0) < 0) {
        return ray_err_from_errno(errno);
    }
    return RAY_OK;
}

void ray_child_fini(struct ray_child *child)
{
    if (child == NULL || child->pid == 0) {
        return;
    }
    ray_poll_fini(&child->poll);
    close_fd(child->pidfd);
    ray_child_init(child);
}

const char *ray_child_exit_text(const struct ray_child_exit *how, char out[static 48])
{
    const char *name;

    if (!how->is_signaled) {
        if (how->status < 0) {
            (void)snprintf(out, 48, "exit status lost");
        } else {
            (void)snprintf(out, 48, "exit status %d", how->status);
        }
        return out;
    }
    name = sigabbrev_np(how->status);
    (void)snprintf(out, 48, "signal %d (%s%s)%s", how->status, name != NULL ? "SIG" : "",
                   name != NULL ? name : "?", how->dumped_core ? ", core dumped" : "");
    return out;
}
