/* accel_probe.c - three things may happen first: a byte on the serial line, QEMU's end, or the
 * time limit. The first of them decides; then QEMU is killed and reaped in any case. */
#include "clusterctl/lab/accel_probe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/loop.h"

enum { MESSAGE_SIZE = 128 };

enum verdict { UNDECIDED, HAS_SPOKEN, HAS_ENDED, HAS_TIMED_OUT };

struct probe {
    struct ray_loop loop;
    struct ray_timer timer;
    struct ray_poll poll;
    struct ray_child child;
    int serial[2]; /* read end, write end; -1: closed */
    int message[2];
    enum verdict verdict;
    bool is_reaped;
    struct ray_child_exit how;
};

static void decide(struct probe *probe, enum verdict verdict)
{
    if (probe->verdict == UNDECIDED) {
        probe->verdict = verdict;
        ray_loop_stop(&probe->loop);
    }
}

static bool has_byte(int fd)
{
    char byte;

    return read(fd, &byte, 1) == 1;
}

static void on_serial(void *arg, int status, int events)
{
    struct probe *probe = arg;

    (void)events;
    if (status == RAY_OK && has_byte(probe->serial[0])) {
        decide(probe, HAS_SPOKEN);
    } else {
        ray_poll_fini(&probe->poll); /* end of file: the exit tells the rest */
    }
}

static void on_timer(void *arg)
{
    decide(arg, HAS_TIMED_OUT);
}

static void on_exit_of_qemu(void *arg, const struct ray_child_exit *how)
{
    struct probe *probe = arg;

    probe->is_reaped = true;
    probe->how = *how;
    decide(probe, has_byte(probe->serial[0]) ? HAS_SPOKEN : HAS_ENDED);
    ray_loop_stop(&probe->loop);
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* a pipe: nothing can fail that matters */
    }
    *fd = -1;
}

static int start(struct probe *probe, const struct ray_accel_config *config, struct ray_err *err)
{
    const char *const argv[] = {config->qemu_path,
                                "-accel",
                                "kvm",
                                "-cpu",
                                "host",
                                "-machine",
                                "q35",
                                "-m",
                                "256",
                                "-display",
                                "none",
                                "-nodefaults",
                                "-chardev",
                                "stdio,id=serial,signal=off",
                                "-serial",
                                "chardev:serial",
                                "-kernel",
                                config->kernel_path,
                                "-append",
                                "earlyprintk=ttyS0 console=ttyS0 panic=-1",
                                "-no-reboot",
                                NULL};
    const char *const envp[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", NULL};
    const struct ray_child_fd fds[] = {{.fd = probe->serial[1], .child_fd = STDOUT_FILENO},
                                       {.fd = probe->message[1], .child_fd = STDERR_FILENO}};
    /* QEMU aborts where KVM is broken: that is an answer, no crash to keep. */
    const struct ray_child_rlimit no_core = {.resource = RLIMIT_CORE};
    const struct ray_child_spec spec = {.path = config->qemu_path,
                                        .argv = argv,
                                        .envp = envp,
                                        .fds = fds,
                                        .fd_count = 2,
                                        .no_new_privs = true,
                                        .keeps_all_caps = true, /* /dev/kvm may need them */
                                        .parent_death_signal = SIGKILL,
                                        .cgroup_fd = -1,
                                        .rlimits = &no_core,
                                        .rlimit_count = 1};

    return ray_child_spawn(&probe->child, &probe->loop, &spec, on_exit_of_qemu, probe, err);
}

static int open_all(struct probe *probe, struct ray_err *err)
{
    int rc;

    /* Non-blocking for us alone: the read ends. */
    if (pipe2(probe->serial, O_CLOEXEC) < 0 || pipe2(probe->message, O_CLOEXEC) < 0 ||
        fcntl(probe->serial[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(probe->message[0], F_SETFL, O_NONBLOCK) < 0) {
        return ray_fail_errno(err, errno, "pipes of the KVM probe");
    }
    rc = ray_loop_init(&probe->loop, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&probe->timer, &probe->loop, on_timer, probe, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_init(&probe->poll, &probe->loop, probe->serial[0], on_serial, probe, err);
    }
    if (rc == RAY_OK) {
        rc = ray_poll_set(&probe->poll, UV_READABLE);
        if (rc != RAY_OK) {
            rc = ray_fail(err, rc, "pipe of the KVM probe: %s", ray_err_text(rc));
        }
    }
    return rc;
}

static void close_all(struct probe *probe)
{
    ray_child_fini(&probe->child);
    ray_poll_fini(&probe->poll);
    ray_timer_fini(&probe->timer);
    ray_loop_fini(&probe->loop);
    for (size_t i = 0; i < 2; i++) {
        close_end(&probe->serial[i]);
        close_end(&probe->message[i]);
    }
}

/* The first line of what QEMU said, escaped. */
static void read_message(int fd, char out[static MESSAGE_SIZE])
{
    char text[MESSAGE_SIZE];
    ssize_t size = read(fd, text, sizeof text);
    size_t line_size = 0;

    while (size > 0 && line_size < (size_t)size && text[line_size] != '\n') {
        line_size++;
    }
    (void)ray_escape(out, MESSAGE_SIZE, text, line_size); /* cut to fit is fine */
}

static void explain(const struct probe *probe, uint32_t limit_ms,
                    char reason[static RAY_ACCEL_REASON_SIZE])
{
    char message[MESSAGE_SIZE];
    char how[48];

    switch (probe->verdict) {
    case HAS_SPOKEN:
        (void)snprintf(reason, RAY_ACCEL_REASON_SIZE, "a probe kernel ran under KVM");
        break;
    case HAS_TIMED_OUT:
        (void)snprintf(reason, RAY_ACCEL_REASON_SIZE,
                       "KVM does not work: the probe kernel printed nothing within %u ms",
                       limit_ms);
        break;
    case HAS_ENDED:
        read_message(probe->message[0], message);
        (void)snprintf(
            reason, RAY_ACCEL_REASON_SIZE, "KVM does not work: the probe's QEMU ended with %s%s%s",
            ray_child_exit_text(&probe->how, how), message[0] != '\0' ? ": " : "", message);
        break;
    case UNDECIDED:
        assert(false);
    }
}

int ray_accel_probe(const struct ray_accel_config *config, bool *out_works,
                    char reason[static RAY_ACCEL_REASON_SIZE], struct ray_err *err)
{
    struct probe probe = {.serial = {-1, -1}, .message = {-1, -1}};
    uint32_t limit_ms = config->probe_ms != 0 ? config->probe_ms : RAY_ACCEL_PROBE_MS;
    int rc;

    ray_child_init(&probe.child);
    rc = open_all(&probe, err);
    if (rc == RAY_OK) {
        rc = start(&probe, config, err);
    }
    if (rc != RAY_OK) {
        close_all(&probe);
        return rc;
    }
    close_end(&probe.serial[1]); /* so that QEMU's end is an end of file */
    close_end(&probe.message[1]);
    ray_timer_start(&probe.timer, limit_ms, 0);
    while (probe.verdict == UNDECIDED) {
        ray_loop_run(&probe.loop);
    }
    if (!probe.is_reaped) {
        (void)ray_child_kill(&probe.child, SIGKILL); /* gone already is fine */
        while (!probe.is_reaped) {
            ray_loop_run(&probe.loop);
        }
    }
    *out_works = probe.verdict == HAS_SPOKEN;
    explain(&probe, limit_ms, reason);
    close_all(&probe);
    return RAY_OK;
}
