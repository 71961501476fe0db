#include "node/init/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

enum { READS_PER_TURN = 16, TURNS_AT_END = 4 };

/* Hands on what is there; false at the end of the stream. */
static bool read_some(struct job *job)
{
    char bytes[1024];

    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t size = read(job->fd, bytes, sizeof bytes);
        if (size > 0) {
            job->on_output(job->arg, bytes, (size_t)size);
        } else if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        } else {
            return false;
        }
    }
    return true;
}

static void close_output(struct job *job)
{
    ray_poll_fini(&job->poll);
    if (job->fd > 0) {
        (void)close(job->fd);
    }
    job->fd = -1;
}

static void on_readable(void *arg, int status, int events)
{
    struct job *job = arg;

    (void)events;
    if (status < 0 || !read_some(job)) {
        close_output(job);
    }
}

static void on_child_exit(void *arg, const struct ray_child_exit *how)
{
    struct job *job = arg;

    for (int i = 0; i < TURNS_AT_END && job->fd > 0 && read_some(job); i++) {
    } /* as much as a pipe holds */
    close_output(job);
    ray_timer_stop(&job->deadline);
    job->is_running = false;
    job->on_end(job->arg, how);
}

static void on_deadline(void *arg)
{
    struct job *job = arg;

    (void)ray_child_kill(&job->child, SIGKILL); /* its exit follows, or has come */
}

int job_init(struct job *job, struct ray_loop *loop, struct ray_err *err)
{
    *job = (struct job){.fd = -1};
    ray_child_init(&job->child);
    return ray_timer_init(&job->deadline, loop, on_deadline, job, err);
}

void job_fini(struct job *job)
{
    if (job->is_running) {
        (void)ray_child_kill(&job->child, SIGKILL); /* ended just now: fine */
        ray_child_fini(&job->child);
        job->is_running = false;
    }
    close_output(job);
    ray_timer_fini(&job->deadline);
}

int job_start(struct job *job, struct ray_loop *loop, const char *const *argv, uint64_t deadline_ms,
              void (*on_output)(void *arg, const char *bytes, size_t size),
              void (*on_end)(void *arg, const struct ray_child_exit *how), void *arg,
              struct ray_err *err)
{
    static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8", NULL};
    struct ray_child_fd fds[2];
    struct ray_child_spec spec = {
        .path = argv[0],
        .argv = argv,
        .envp = environment,
        .fds = fds,
        .fd_count = 2,
        .keeps_all_caps = true,
        .new_session = true,
        .cgroup_fd = -1,
        .oom_score_adj = "0",
    };
    int pipe_fds[2];
    int rc;

    if (job->is_running) {
        return ray_fail(err, RAY_ECONFLICT, "another command still runs");
    }
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return ray_fail_errno(err, errno, "pipe for %s", argv[0]);
    }
    (void)fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK); /* cannot fail on a fresh pipe */
    job->on_output = on_output;
    job->on_end = on_end;
    job->arg = arg;
    job->fd = pipe_fds[0];
    fds[0] = (struct ray_child_fd){.fd = pipe_fds[1], .child_fd = STDOUT_FILENO};
    fds[1] = (struct ray_child_fd){.fd = pipe_fds[1], .child_fd = STDERR_FILENO};
    rc = ray_poll_init(&job->poll, loop, job->fd, on_readable, job, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&job->poll, UV_READABLE);
    }
    if (rc == RAY_OK) {
        rc = ray_child_spawn(&job->child, loop, &spec, on_child_exit, job, err);
    }
    (void)close(pipe_fds[1]);
    if (rc != RAY_OK) {
        close_output(job);
        return rc;
    }
    job->is_running = true;
    ray_timer_start(&job->deadline, deadline_ms, 0);
    return RAY_OK;
}
