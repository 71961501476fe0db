/* switch_main.c - the switch as a process: signals, privileges, readiness. */
#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clusterctl/lab/switch.h"

#define WAIT_MAX_NS (UINT64_C(3600) * 1000000000)

static int open_signals(struct ray_err *err)
{
    sigset_t set;
    int fd;

    (void)sigemptyset(&set); /* cannot fail with these numbers */
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
        return ray_fail_errno(err, errno, "signal mask");
    }
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? ray_fail_errno(err, errno, "signalfd") : fd;
}

/* Frames are hostile, so whoever handles them keeps nothing but, where it was there, the
 * right to write captures into the lab's folder. */
static int drop_privileges(struct ray_err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    const uint32_t keep = UINT32_C(1) << CAP_DAC_OVERRIDE;

    static_assert(CAP_DAC_OVERRIDE < 32, "in the first word");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return ray_fail_errno(err, errno, "no_new_privs");
    }
    if (syscall(SYS_capget, &header, data) < 0) {
        return ray_fail_errno(err, errno, "capget");
    }
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    if (syscall(SYS_capset, &header, data) < 0) {
        return ray_fail_errno(err, errno, "capset");
    }
    return RAY_OK;
}

static int announce(const struct ray_switch *sw, const struct ray_switch_config *config,
                    struct ray_err *err)
{
    char line[48];
    int size =
        snprintf(line, sizeof line, "ready seed=%llu\n", (unsigned long long)ray_switch_seed(sw));

    ray_log(config->logger, RAY_LOG_INFO, "switch", "ready ports=%zu seed=%llu", config->port_count,
            (unsigned long long)ray_switch_seed(sw));
    if (config->ready_fd >= 0 && write(config->ready_fd, line, (size_t)size) != size) {
        return ray_fail_errno(err, errno, "readiness to descriptor %d", config->ready_fd);
    }
    return RAY_OK;
}

int ray_switch_main(const struct ray_switch_config *config)
{
    struct ray_switch_config own = *config;
    struct ray_switch *sw = NULL;
    struct ray_err err = {0};
    int rc = open_signals(&err);

    if (rc >= 0) {
        own.stop_fd = rc;
        rc = ray_switch_create(&sw, &own, &err);
        if (rc == RAY_OK) {
            rc = drop_privileges(&err);
        }
        if (rc == RAY_OK) {
            rc = announce(sw, &own, &err);
        }
        while (rc == RAY_OK) {
            rc = ray_switch_turn(sw, WAIT_MAX_NS, &err);
        }
        ray_switch_destroy(sw);
        (void)close(own.stop_fd); /* a signal that waits dies with us */
    }
    if (rc == RAY_ECANCELED) {
        ray_log(config->logger, RAY_LOG_INFO, "switch", "stopped");
        return 0;
    }
    ray_log(config->logger, RAY_LOG_ERROR, "switch", "failed error='%s'", err.text);
    return ray_err_exit_status(rc);
}
