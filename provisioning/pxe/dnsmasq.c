/* States: IDLE -> RUNNING -> (ended) -> WAITING -> RUNNING ..., or GIVEN_UP; STOPPING ends in
 * IDLE. An end counts as quick when it comes within QUICK_MS of the start; QUICK_COUNT_MAX
 * of them in a row, or a configuration that dnsmasq refuses, end the trying. */
#include "provisioning/pxe/dnsmasq.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fault.h"

enum {
    QUICK_MS = 10000,
    QUICK_COUNT_MAX = 7,
    RESTART_GROWTH_MAX = 50,
    STOP_MS = 3000,
    EXIT_CONFIG = 1, /* dnsmasq(8), EXIT CODES */
    EXIT_FILES = 3,
};

enum state { IDLE, RUNNING, WAITING, GIVEN_UP, STOPPING };

struct provision_dnsmasq {
    struct ray_loop *loop;
    struct provision_dnsmasq_config config;
    enum state state;
    bool is_serving;
    struct ray_child child;
    struct ray_timer timer; /* back-off in WAITING, patience in STOPPING */
    int pipe_fd;            /* its output; -1: none */
    struct ray_poll pipe_poll;
    char line[PROVISION_DNSMASQ_LINE_SIZE_MAX];
    size_t line_size;
    char last_words[PROVISION_DNSMASQ_TEXT_SIZE];
    uint64_t start_ns;
    unsigned quick_count;
};

/* What dnsmasq needs of what we have. */
static uint64_t child_caps(void)
{
    const uint64_t wanted = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW |
                            UINT64_C(1) << CAP_NET_BIND_SERVICE;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    static_assert(CAP_NET_RAW < 32 && CAP_NET_ADMIN < 32 && CAP_NET_BIND_SERVICE < 32,
                  "all in the first word");
    return syscall(SYS_capget, &header, data) == 0 ? wanted & data[0].permitted : 0;
}

static void take_line(struct provision_dnsmasq *dnsmasq)
{
    struct provision_dnsmasq_line parsed;
    const char *words;

    dnsmasq->line[dnsmasq->line_size] = '\0';
    provision_dnsmasq_line_parse(dnsmasq->line, dnsmasq->line_size, &parsed);
    words = strstr(dnsmasq->line, ": ");
    words = words != NULL ? words + 2 : dnsmasq->line;
    if (strncmp(words, "FAILED to start", 15) != 0) { /* the reason stands in the line before */
        (void)ray_escape(dnsmasq->last_words, sizeof(dnsmasq->last_words), words, strlen(words));
    }
    dnsmasq->line_size = 0;
    dnsmasq->config.on_line(dnsmasq->config.arg, dnsmasq->line, &parsed);
    if (parsed.kind == PROVISION_DNSMASQ_STARTED && dnsmasq->state == RUNNING) {
        dnsmasq->is_serving = true;
        dnsmasq->config.on_started(dnsmasq->config.arg);
    }
}

/* Cuts bytes into lines; a line that is too long comes in pieces. */
static void take_bytes(struct provision_dnsmasq *dnsmasq, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            take_line(dnsmasq);
            continue;
        }
        if (dnsmasq->line_size == sizeof(dnsmasq->line) - 1) {
            take_line(dnsmasq);
        }
        dnsmasq->line[dnsmasq->line_size++] = bytes[i];
    }
}

static void close_pipe(struct provision_dnsmasq *dnsmasq)
{
    if (dnsmasq->pipe_fd >= 0) {
        ray_poll_fini(&dnsmasq->pipe_poll);
        (void)close(dnsmasq->pipe_fd);
        dnsmasq->pipe_fd = -1;
    }
}

/* Reads what is there; false at the end of the stream. */
static bool read_pipe(struct provision_dnsmasq *dnsmasq)
{
    char bytes[4096];

    for (int i = 0; i < 16; i++) {
        ssize_t count = read(dnsmasq->pipe_fd, bytes, sizeof(bytes));

        if (count > 0) {
            take_bytes(dnsmasq, bytes, (size_t)count);
        } else {
            return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
        }
    }
    return true;
}

static void on_pipe(void *arg, int status, int events)
{
    struct provision_dnsmasq *dnsmasq = arg;

    (void)events;
    if (status < 0 || !read_pipe(dnsmasq)) {
        close_pipe(dnsmasq);
    }
}

static unsigned pause_ms(const struct provision_dnsmasq *dnsmasq)
{
    unsigned growth = 1U << (dnsmasq->quick_count - 1);

    return dnsmasq->config.restart_ms * (growth < RESTART_GROWTH_MAX ? growth : RESTART_GROWTH_MAX);
}

/* Its end was not our wish: decide what follows. */
static void handle_end(struct provision_dnsmasq *dnsmasq, const char *how, bool has_words,
                       bool is_hopeless)
{
    char why[64 + PROVISION_DNSMASQ_TEXT_SIZE];
    uint64_t ran_ms = (ray_clock_monotonic_ns() - dnsmasq->start_ns) / RAY_NS_PER_MS;
    unsigned delay_ms = 0;

    (void)snprintf(why, sizeof(why), "%s%s%s", how, has_words ? ": " : "",
                   has_words ? dnsmasq->last_words : "");
    dnsmasq->quick_count = ran_ms < QUICK_MS ? dnsmasq->quick_count + 1 : 1;
    if (is_hopeless || dnsmasq->quick_count == QUICK_COUNT_MAX) {
        dnsmasq->state = GIVEN_UP;
    } else {
        dnsmasq->state = WAITING;
        delay_ms = pause_ms(dnsmasq);
        ray_timer_start(&dnsmasq->timer, delay_ms, 0);
    }
    dnsmasq->config.on_ended(dnsmasq->config.arg, why, dnsmasq->state == GIVEN_UP, delay_ms);
}

static void on_exit_of_child(void *arg, const struct ray_child_exit *how)
{
    struct provision_dnsmasq *dnsmasq = arg;
    char text[48];

    if (dnsmasq->pipe_fd >= 0) {
        (void)read_pipe(dnsmasq); /* its last words */
        close_pipe(dnsmasq);
    }
    dnsmasq->is_serving = false;
    if (dnsmasq->state == STOPPING) {
        ray_timer_stop(&dnsmasq->timer);
        dnsmasq->state = IDLE;
        dnsmasq->config.on_stopped(dnsmasq->config.arg);
        return;
    }
    handle_end(dnsmasq, ray_child_exit_text(how, text),
               !how->is_signaled && dnsmasq->last_words[0] != '\0',
               !how->is_signaled && (how->status == EXIT_CONFIG || how->status == EXIT_FILES));
}

static int open_pipe(struct provision_dnsmasq *dnsmasq, int *out_write_fd, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);
    int fds[2] = {-1, -1};
    int rc;

    if (errnum == 0 && pipe2(fds, O_CLOEXEC) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "pipe for dnsmasq");
    }
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
        rc = ray_fail_errno(err, errno, "pipe for dnsmasq");
        goto fail;
    }
    rc = ray_poll_init(&dnsmasq->pipe_poll, dnsmasq->loop, fds[0], on_pipe, dnsmasq, err);
    if (rc == RAY_OK) {
        rc = ray_poll_set(&dnsmasq->pipe_poll, UV_READABLE);
    }
    if (rc == RAY_OK) {
        dnsmasq->pipe_fd = fds[0];
        *out_write_fd = fds[1];
        return RAY_OK;
    }
    ray_poll_fini(&dnsmasq->pipe_poll);
fail:
    (void)close(fds[0]); /* nothing was written */
    (void)close(fds[1]);
    return rc;
}

static int spawn(struct provision_dnsmasq *dnsmasq, struct ray_err *err)
{
    char conf_option[4096 + 16];
    const char *const argv[] = {"dnsmasq", "--no-daemon", conf_option, NULL};
    const char *const envp[] = {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    int write_fd = -1;
    struct ray_child_fd fds[2];
    struct ray_child_spec spec = {
        .path = dnsmasq->config.program,
        .argv = argv,
        .envp = envp,
        .fds = fds,
        .fd_count = 2,
        .keep_caps = child_caps(),
        .no_new_privs = true,
        .parent_death_signal = SIGTERM,
        .cgroup_fd = -1,
    };
    int rc;

    if (snprintf(conf_option, sizeof(conf_option), "--conf-file=%s", dnsmasq->config.conf_path) >=
        (int)sizeof(conf_option)) {
        return ray_fail(err, RAY_ETOOBIG, "the path of dnsmasq's configuration is too long");
    }
    rc = open_pipe(dnsmasq, &write_fd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    fds[0] = (struct ray_child_fd){.fd = write_fd, .child_fd = 1};
    fds[1] = (struct ray_child_fd){.fd = write_fd, .child_fd = 2};
    dnsmasq->line_size = 0;
    dnsmasq->last_words[0] = '\0';
    dnsmasq->start_ns = ray_clock_monotonic_ns();
    rc = ray_child_spawn(&dnsmasq->child, dnsmasq->loop, &spec, on_exit_of_child, dnsmasq, err);
    (void)close(write_fd);
    if (rc != RAY_OK) {
        close_pipe(dnsmasq);
        return ray_wrap(err, rc, "start dnsmasq");
    }
    dnsmasq->state = RUNNING;
    return RAY_OK;
}

static void on_timer(void *arg)
{
    struct provision_dnsmasq *dnsmasq = arg;
    struct ray_err err = {0};

    if (dnsmasq->state == STOPPING) {
        (void)ray_child_kill(&dnsmasq->child, SIGKILL); /* gone: its exit is on the way */
    } else if (dnsmasq->state == WAITING && spawn(dnsmasq, &err) != RAY_OK) {
        (void)ray_escape(dnsmasq->last_words, sizeof(dnsmasq->last_words), err.text,
                         strlen(err.text));
        dnsmasq->start_ns = ray_clock_monotonic_ns();
        handle_end(dnsmasq, "not started", true, false);
    }
}

int provision_dnsmasq_create(struct provision_dnsmasq **out_dnsmasq, struct ray_loop *loop,
                             const struct provision_dnsmasq_config *config, struct ray_err *err)
{
    struct provision_dnsmasq *dnsmasq;
    int rc;

    assert(config->on_line != NULL && config->on_started != NULL);
    assert(config->on_ended != NULL && config->on_stopped != NULL && config->restart_ms > 0);
    dnsmasq = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*dnsmasq));
    if (dnsmasq == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for dnsmasq's supervisor");
    }
    dnsmasq->loop = loop;
    dnsmasq->config = *config;
    dnsmasq->pipe_fd = -1;
    ray_child_init(&dnsmasq->child);
    rc = ray_timer_init(&dnsmasq->timer, loop, on_timer, dnsmasq, err);
    if (rc != RAY_OK) {
        free(dnsmasq);
        return rc;
    }
    *out_dnsmasq = dnsmasq;
    return RAY_OK;
}

int provision_dnsmasq_start(struct provision_dnsmasq *dnsmasq, struct ray_err *err)
{
    assert(dnsmasq->state == IDLE);
    dnsmasq->quick_count = 0;
    return spawn(dnsmasq, err);
}

void provision_dnsmasq_stop(struct provision_dnsmasq *dnsmasq)
{
    bool is_running = dnsmasq->state == RUNNING;

    if (dnsmasq->state == STOPPING) {
        return;
    }
    dnsmasq->is_serving = false;
    ray_timer_stop(&dnsmasq->timer);
    dnsmasq->state = is_running ? STOPPING : IDLE;
    if (is_running) {
        (void)ray_child_kill(&dnsmasq->child, SIGTERM); /* gone: its exit is on the way */
        ray_timer_start(&dnsmasq->timer, STOP_MS, 0);
    } else {
        dnsmasq->config.on_stopped(dnsmasq->config.arg);
    }
}

bool provision_dnsmasq_is_serving(const struct provision_dnsmasq *dnsmasq)
{
    return dnsmasq->is_serving;
}

void provision_dnsmasq_destroy(struct provision_dnsmasq *dnsmasq)
{
    if (dnsmasq == NULL) {
        return;
    }
    (void)ray_child_kill(&dnsmasq->child, SIGKILL); /* none: nothing to kill */
    ray_child_fini(&dnsmasq->child);
    close_pipe(dnsmasq);
    ray_timer_fini(&dnsmasq->timer);
    free(dnsmasq);
}
