/* exec.c - one struct per command: its process group, two pipes, a timer. A command has ended
 * when its process was reaped; what its pipes hold by then still goes out, but a background
 * process that keeps them open does not delay the end.
 *
 * When a session ends its commands are killed and answer no more: the next host counts its ids
 * from the beginning. They stay in the table until they are reaped. */
#include "tests/agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fault.h"
#include "net/proto_codec.h"

enum { CHUNK_SIZE = 65536, DRAIN_TURNS_MAX = 2, WORD_COUNT_MAX = 64 };

#define SEARCH_PATH "/usr/bin:/bin:/usr/sbin:/sbin:/usr/lib/rayos:/run/tools/usr/bin"

struct stream {
    struct exec *exec;
    unsigned number; /* 1 stdout, 2 stderr */
    int fd;          /* -1: ended */
    struct ray_poll poll;
};

struct exec {
    struct execs *owner;
    uint64_t id;
    struct ray_child child;
    pid_t group;
    struct stream streams[2];
    struct ray_timer timer;
    bool timed_out;
    bool is_forgotten; /* its session is over */
};

static void stream_close(struct stream *stream)
{
    ray_poll_fini(&stream->poll);
    if (stream->fd >= 0) {
        (void)close(stream->fd);
        stream->fd = -1;
    }
}

static bool is_idle(const struct execs *execs)
{
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        if (execs->running[i] != NULL) {
            return false;
        }
    }
    return true;
}

static void exec_free(struct exec *exec)
{
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        if (exec->owner->running[i] == exec) {
            exec->owner->running[i] = NULL;
        }
    }
    stream_close(&exec->streams[0]);
    stream_close(&exec->streams[1]);
    ray_timer_fini(&exec->timer);
    ray_child_fini(&exec->child);
    free(exec);
}

/* Reads once; false when nothing more is there. */
static bool stream_forward(struct stream *stream)
{
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Output output = RAYOS__AGENT__OUTPUT__INIT;
    uint8_t bytes[CHUNK_SIZE];
    ssize_t got;

    if (stream->fd < 0) {
        return false;
    }
    got = read(stream->fd, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        stream_close(stream);
        return false;
    }
    output.stream = stream->number;
    output.bytes = ray_proto_bytes(bytes, (size_t)got);
    answer.id = stream->exec->id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_OUTPUT;
    answer.output = &output;
    if (!stream->exec->is_forgotten) {
        (void)port_send(stream->exec->owner->port, &answer); /* lost only with its session */
    }
    return true;
}

static void on_stream(void *arg, int status, int events)
{
    struct stream *stream = arg;

    (void)events;
    if (status != RAY_OK) {
        stream_close(stream);
    } else if (port_is_full(stream->exec->owner->port)) {
        (void)ray_poll_set(&stream->poll, 0); /* execs_resume goes on */
    } else {
        (void)stream_forward(stream);
    }
}

static void on_timeout(void *arg)
{
    struct exec *exec = arg;

    exec->timed_out = true;
    (void)kill(-exec->group, SIGKILL);
}

static void on_exit_of(void *arg, const struct ray_child_exit *how)
{
    struct exec *exec = arg;
    struct execs *owner = exec->owner;
    Rayos__Agent__Answer answer = RAYOS__AGENT__ANSWER__INIT;
    Rayos__Agent__Exit end = RAYOS__AGENT__EXIT__INIT;

    /* A pipe holds CHUNK_SIZE. Bounded, because a background process may write for ever. */
    for (int turn = 0; turn < DRAIN_TURNS_MAX; turn++) {
        bool more = stream_forward(&exec->streams[0]);

        more = stream_forward(&exec->streams[1]) || more;
        if (!more) {
            break;
        }
    }
    end.is_signaled = how->is_signaled;
    end.status = how->status;
    end.timed_out = exec->timed_out;
    answer.id = exec->id;
    answer.what_case = RAYOS__AGENT__ANSWER__WHAT_EXIT;
    answer.exit = &end;
    if (!exec->is_forgotten) {
        (void)port_send(exec->owner->port, &answer); /* lost only with its session */
    }
    exec_free(exec);
    if (owner->on_idle != NULL && is_idle(owner)) {
        owner->on_idle(owner->idle_arg);
    }
}

/* argv[0] with a slash as it is, else the first executable along SEARCH_PATH. */
static int find_program(const char *name, char *out, size_t out_size, struct ray_err *err)
{
    const char *folder = SEARCH_PATH;

    if (strchr(name, '/') != NULL) {
        if ((size_t)snprintf(out, out_size, "%s", name) >= out_size) {
            return ray_fail(err, RAY_ETOOBIG, "a program's path of %zu bytes", strlen(name));
        }
        return RAY_OK;
    }
    while (*folder != '\0') {
        size_t size = strcspn(folder, ":");
        int length = snprintf(out, out_size, "%.*s/%s", (int)size, folder, name);

        if (length > 0 && (size_t)length < out_size && access(out, X_OK) == 0) {
            return RAY_OK;
        }
        folder += size + (folder[size] == ':' ? 1 : 0);
    }
    return ray_fail(err, RAY_ENOTFOUND, "no program named '%.100s' in the image", name);
}

static int input_fd(const ProtobufCBinaryData *input, int *out_fd, struct ray_err *err)
{
    int fd = memfd_create("stdin", MFD_CLOEXEC);
    size_t done = 0;

    while (fd >= 0 && done < input->len) {
        ssize_t written = write(fd, input->data + done, input->len - done);

        if (written <= 0) {
            int rc = ray_fail_errno(err, errno, "input of the command");

            (void)close(fd);
            return rc;
        }
        done += (size_t)written;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        int saved = errno;

        if (fd >= 0) {
            (void)close(fd);
        }
        return ray_fail_errno(err, saved, "input of the command");
    }
    *out_fd = fd;
    return RAY_OK;
}

static int exec_spawn(struct exec *exec, const Rayos__Agent__Exec *request, const int fds[3],
                      struct ray_err *err)
{
    static const char *const envp[] = {"PATH=" SEARCH_PATH, "HOME=/root", "LANG=C.UTF-8", NULL};
    const struct ray_child_fd map[] = {{fds[0], 0}, {fds[1], 1}, {fds[2], 2}};
    struct ray_child_spec spec = {.envp = envp,
                                  .dir = request->dir[0] == '\0' ? "/" : request->dir,
                                  .fds = map,
                                  .fd_count = 3,
                                  .keeps_all_caps = true,
                                  .new_session = true,
                                  /* PID 1 spares us, not them. */
                                  .oom_score_adj = exec->owner->port->is_virtio ? "0" : NULL,
                                  .cgroup_fd = -1};
    const char *argv[WORD_COUNT_MAX + 1];
    char path[512];
    int rc;

    if (request->n_argv == 0 || request->n_argv > WORD_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "a command has 1 to %d words", WORD_COUNT_MAX);
    }
    rc = find_program(request->argv[0], path, sizeof path, err);
    if (rc != RAY_OK) {
        return rc;
    }
    for (size_t i = 0; i < request->n_argv; i++) {
        argv[i] = request->argv[i];
    }
    argv[request->n_argv] = NULL;
    spec.path = path;
    spec.argv = argv;
    rc = ray_child_spawn(&exec->child, exec->owner->loop, &spec, on_exit_of, exec, err);
    exec->group = exec->child.pid;
    return rc;
}

static int stream_open(struct exec *exec, unsigned number, int *out_write_fd, struct ray_err *err)
{
    struct stream *stream = &exec->streams[number - 1];
    int pipes[2];
    int rc;

    if (pipe2(pipes, O_CLOEXEC) != 0) {
        return ray_fail_errno(err, errno, "pipe for the command");
    }
    stream->fd = pipes[0];
    *out_write_fd = pipes[1];
    if (fcntl(pipes[0], F_SETFL, O_NONBLOCK) < 0) {
        return ray_fail_errno(err, errno, "pipe for the command");
    }
    rc = ray_poll_init(&stream->poll, exec->owner->loop, stream->fd, on_stream, stream, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&stream->poll, UV_READABLE);
    }
    return rc;
}

int execs_start(struct execs *execs, uint64_t id, const Rayos__Agent__Exec *request,
                struct ray_err *err)
{
    int fds[3] = {-1, -1, -1};
    struct exec *exec;
    size_t slot = 0;
    int rc;

    while (slot < EXEC_COUNT_MAX && execs->running[slot] != NULL) {
        slot++;
    }
    if (slot == EXEC_COUNT_MAX) {
        return ray_fail(err, RAY_EAGAIN, "%d commands are running already", EXEC_COUNT_MAX);
    }
    exec = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *exec);
    if (exec == NULL) {
        return ray_fail(err, RAY_ENOMEM, "command");
    }
    exec->owner = execs;
    exec->id = id;
    exec->streams[0] = (struct stream){.exec = exec, .number = 1, .fd = -1};
    exec->streams[1] = (struct stream){.exec = exec, .number = 2, .fd = -1};
    ray_child_init(&exec->child);
    rc = ray_timer_init(&exec->timer, execs->loop, on_timeout, exec, err);
    if (rc == RAY_OK) {
        rc = input_fd(&request->input, &fds[0], err);
    }
    if (rc == RAY_OK) {
        rc = stream_open(exec, 1, &fds[1], err);
    }
    if (rc == RAY_OK) {
        rc = stream_open(exec, 2, &fds[2], err);
    }
    if (rc == RAY_OK) {
        rc = exec_spawn(exec, request, fds, err);
    }
    for (size_t i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    if (rc != RAY_OK) {
        exec_free(exec);
        return rc;
    }
    execs->running[slot] = exec;
    if (request->timeout_ms > 0) {
        ray_timer_start(&exec->timer, request->timeout_ms, 0);
    }
    return RAY_OK;
}

void execs_init(struct execs *execs, struct ray_loop *loop, struct port *port)
{
    *execs = (struct execs){.loop = loop, .port = port};
}

static void kill_group(const struct exec *exec)
{
    if (exec->group > 0) {
        (void)kill(-exec->group, SIGKILL);
    }
}

void execs_kill(struct execs *execs, uint64_t id)
{
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        if (execs->running[i] != NULL && !execs->running[i]->is_forgotten &&
            execs->running[i]->id == id) {
            kill_group(execs->running[i]);
        }
    }
}

void execs_forget(struct execs *execs)
{
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        if (execs->running[i] != NULL) {
            execs->running[i]->is_forgotten = true;
            kill_group(execs->running[i]);
        }
    }
}

void execs_terminate(struct execs *execs, void (*on_idle)(void *arg), void *arg)
{
    execs->on_idle = on_idle;
    execs->idle_arg = arg;
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        if (execs->running[i] != NULL && execs->running[i]->group > 0) {
            (void)kill(-execs->running[i]->group, SIGTERM); /* gone already: its exit follows */
        }
    }
    if (is_idle(execs)) {
        on_idle(arg);
    }
}

void execs_resume(struct execs *execs)
{
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        for (size_t s = 0; execs->running[i] != NULL && s < 2; s++) {
            if (execs->running[i]->streams[s].fd >= 0) {
                (void)ray_poll_set(&execs->running[i]->streams[s].poll, UV_READABLE);
            }
        }
    }
}

void execs_fini(struct execs *execs)
{
    execs_forget(execs);
    for (size_t i = 0; i < EXEC_COUNT_MAX; i++) {
        if (execs->running[i] != NULL) {
            exec_free(execs->running[i]);
        }
    }
}
