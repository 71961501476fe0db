/* netns.c - unshare, map the one id, fork into the process namespace, then mounts and network.
 * The order matters: the user namespace first gives the rights that all others need. */
#include "clusterctl/lab/netns.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "clusterctl/lab/netns_link.h"

static bool has_sys_admin(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    static_assert(CAP_SYS_ADMIN < 32, "in the first word");
    return syscall(SYS_capget, &header, data) == 0 &&
           (data[0].effective & UINT32_C(1) << CAP_SYS_ADMIN) != 0;
}

static int fail_denied(struct ray_err *err, int errnum, bool wants_user_ns)
{
    (void)ray_fail(err, RAY_EDENIED, "this system does not allow a lab's namespaces: %s",
                   strerror(errnum));
    if (wants_user_ns) {
        return ray_next(err,
                        "run as root, or allow user namespaces: "
                        "sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 "
                        "kernel.apparmor_restrict_unprivileged_userns=0 (those that exist)");
    }
    return ray_next(err, "a container needs CAP_SYS_ADMIN and unshare(2) allowed by its seccomp "
                         "filter; or run the lab as an ordinary user outside of it");
}

static int do_unshare(int flags)
{
    errno = ray_fault(RAY_FAULT_FORK);
    return errno != 0 ? -1 : unshare(flags);
}

/* Our own ids only: the kernel lets everyone map himself, to the root of the new namespace. */
static int map_ids(uid_t uid, gid_t gid, struct ray_err *err)
{
    char text[64];
    int rc = ray_file_write_existing(AT_FDCWD, "/proc/self/setgroups", "deny", err);

    if (rc == RAY_OK) {
        (void)snprintf(text, sizeof text, "0 %u 1\n", uid); /* fits */
        rc = ray_file_write_existing(AT_FDCWD, "/proc/self/uid_map", text, err);
    }
    if (rc == RAY_OK) {
        (void)snprintf(text, sizeof text, "0 %u 1\n", gid); /* fits */
        rc = ray_file_write_existing(AT_FDCWD, "/proc/self/gid_map", text, err);
    }
    return rc;
}

static int unshare_all(bool wants_user_ns, struct ray_err *err)
{
    int flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int rc = RAY_OK;

    if (wants_user_ns) {
        if (do_unshare(CLONE_NEWUSER) < 0) {
            return fail_denied(err, errno, true);
        }
        rc = map_ids(uid, gid, err);
        if (rc != RAY_OK) {
            return fail_denied(err, EPERM, true);
        }
    }
    if (do_unshare(flags) < 0) {
        return fail_denied(err, errno, wants_user_ns);
    }
    return RAY_OK;
}

/* The guardian's life. SIGKILL of the guardian kills pid 1 by its parent death signal, and that
 * kills the namespace. It keeps no descriptor, so that an end of file from the lab is one. */
static _Noreturn void guard(pid_t pid, const sigset_t *watched)
{
    (void)close_range(3, UINT_MAX, 0); /* 0 to 2 may still carry words of the kernel or libc */
    for (;;) {
        siginfo_t info;
        int status;
        int signum = sigwaitinfo(watched, &info);

        if (signum > 0 && signum != SIGCHLD) {
            (void)kill(pid, signum); /* it is ours and not reaped yet, so it is still there */
        }
        if (waitpid(pid, &status, WNOHANG) == pid) {
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
    }
}

static void watched_signals(sigset_t *set)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

    (void)sigemptyset(set); /* cannot fail with these numbers */
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)sigaddset(set, signals[i]);
    }
}

/* Forks pid 1 of the new process namespace; only the child returns. The pipe brings it its
 * pid as seen from outside, and its end of file shows that the parent died in between. */
static int fork_first(pid_t *out_pid, struct ray_err *err)
{
    sigset_t watched;
    sigset_t old;
    int pipes[2];
    pid_t pid;
    ssize_t n;

    watched_signals(&watched);
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return ray_fail_errno(err, errno, "pipe");
    }
    (void)sigprocmask(SIG_BLOCK, &watched, &old); /* cannot fail: the arguments are right */
    (void)signal(SIGCHLD, SIG_DFL);               /* were it ignored, the status would be lost */
    errno = ray_fault(RAY_FAULT_FORK);
    pid = errno != 0 ? -1 : fork();
    if (pid < 0) {
        int rc = ray_fail_errno(err, errno, "first process of the lab");

        (void)sigprocmask(SIG_SETMASK, &old, NULL);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        return rc;
    }
    if (pid > 0) {
        /* The pipe is empty and has a reader: four bytes go at once. */
        n = write(pipes[1], &pid, sizeof pid);
        (void)n; /* a child that died meanwhile is seen by waitpid */
        guard(pid, &watched);
    }
    (void)close(pipes[1]);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail: the signal is right */
    n = read(pipes[0], &pid, sizeof pid);
    (void)close(pipes[0]);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    if (n != sizeof pid) {
        return ray_fail(err, RAY_ECANCELED, "the guardian died");
    }
    *out_pid = pid;
    return RAY_OK;
}

static int set_up_mounts(bool *out_has_proc, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_MOUNT);

    if (errnum == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "private mounts");
    }
    /* Refused in containers that hide parts of their own /proc. The old one still serves
     * /proc/self, it only shows pids of outside. */
    *out_has_proc = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
    return RAY_OK;
}

static int set_up_pair(const char *host_name, const char *switch_name, const char *address,
                       uint32_t mtu, struct ray_err *err)
{
    uint32_t number;
    uint8_t prefix_size;
    int rc = ray_netns_parse_address(address, &number, &prefix_size, err);

    if (rc == RAY_OK) {
        rc = ray_netns_add_veth(host_name, switch_name, err);
    }
    if (rc == RAY_OK) {
        rc = ray_netns_no_ipv6_address(switch_name, err);
    }
    if (rc == RAY_OK) {
        rc = ray_netns_disable_tx_offload(host_name, err);
    }
    if (rc == RAY_OK) {
        rc = ray_netns_set_up(switch_name, mtu, err);
    }
    if (rc == RAY_OK) {
        rc = ray_netns_set_up(host_name, mtu, err);
    }
    if (rc == RAY_OK) {
        rc = ray_netns_add_address(host_name, number, prefix_size, err);
    }
    return rc;
}

static int set_up_network(const struct ray_netns_config *config, struct ray_err *err)
{
    uint32_t mtu = config->mtu == 0 ? 1500 : config->mtu;
    int rc = ray_netns_set_up("lo", 0, err);

    if (rc == RAY_OK) {
        rc = set_up_pair(config->host_name, config->switch_name, config->address, mtu, err);
    }
    if (rc == RAY_OK && config->second_host_name != NULL) {
        rc = set_up_pair(config->second_host_name, config->second_switch_name,
                         config->second_address, mtu, err);
        if (rc == RAY_OK) {
            /* Each end answers for its own address only, or the machines would see both
             * addresses at both ends. */
            rc = ray_file_write_existing(AT_FDCWD, "/proc/sys/net/ipv4/conf/all/arp_ignore", "1",
                                         err);
        }
    }
    return rc;
}

int ray_netns_enter_new(const struct ray_netns_config *config, struct ray_netns *out,
                        struct ray_err *err)
{
    struct ray_netns netns = {.has_user_ns =
                                  config->user == RAY_NETNS_USER_ALWAYS || !has_sys_admin()};
    uint32_t number;
    uint8_t prefix_size;
    /* Before anything is changed: a wrong address is the caller's mistake. */
    int rc = ray_netns_parse_address(config->address, &number, &prefix_size, err);

    if (rc == RAY_OK) {
        rc = unshare_all(netns.has_user_ns, err);
    }
    if (rc == RAY_OK) {
        rc = fork_first(&netns.pid, err);
    }
    if (rc == RAY_OK) {
        rc = set_up_mounts(&netns.has_private_proc, err);
    }
    if (rc == RAY_OK) {
        rc = set_up_network(config, err);
    }
    if (rc == RAY_OK) {
        *out = netns;
    }
    return rc;
}

/* setns refuses the user namespace that one is in already, so that one is left out. */
static int flags_to_join(pid_t pid)
{
    struct stat ours;
    struct stat theirs;
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid); /* fits */
    if (stat("/proc/self/ns/user", &ours) == 0 && stat(path, &theirs) == 0 &&
        ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev) {
        return CLONE_NEWNS | CLONE_NEWNET;
    }
    return CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET;
}

int ray_netns_join(pid_t pid, struct ray_err *err)
{
    char folder[PATH_MAX];
    bool has_folder = getcwd(folder, sizeof folder) != NULL;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int rc = RAY_OK;

    if (fd < 0) {
        return errno == ESRCH ? ray_fail(err, RAY_ENOTFOUND, "no process %d", (int)pid)
                              : ray_fail_errno(err, errno, "process %d", (int)pid);
    }
    if (setns(fd, flags_to_join(pid)) < 0) {
        rc = ray_fail_errno(err, errno, "namespaces of process %d", (int)pid);
        if (rc == RAY_EDENIED) {
            (void)ray_next(err, "run as the user who started the lab, outside of any other user "
                                "namespace");
        }
    }
    (void)close(fd);
    if (rc == RAY_OK && has_folder && chdir(folder) < 0) {
        rc = ray_fail_errno(err, errno, "folder '%s' inside of the lab", folder);
    }
    return rc;
}
