/* child_exec.c - everything between clone and exec, in an order that matters:
 *
 * what needs privilege comes before it is dropped (nice, namespaces, limits, bounding set); the
 * limits come after the descriptors, which need numbers above the child's; the parent death
 * signal comes after the ids, because the kernel forgets it when they change.
 *
 * Only async-signal-safe calls. The ids are set by plain system calls: libc's wrappers would
 * stop the threads of the parent, which do not exist here. */
#include "base/child_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/analyzer.h"

enum { CAP_COUNT_MAX = 64, STANDARD_FD_COUNT = 3 };

static _Noreturn void fail(const struct ray_child_launch *launch, enum ray_child_step step)
{
    struct ray_child_report report = {.step = step, .errnum = errno};
    ssize_t written;

    do {
        written = write(launch->report_fd, &report, sizeof report);
    } while (written < 0 && errno == EINTR);
    _exit(127);
}

/* By the system call itself: libc refuses the two signals that it keeps to itself, and
 * posix_spawn, by which a shell or make may have started us, leaves just those ignored. */
static int reset_signals(void)
{
    /* The kernel's struct sigaction, all zero: SIG_DFL, no flags, empty mask. It has at most
     * four words of eight bytes on every architecture. */
    const uint64_t by_default[4] = {0};

    for (int signum = 1; signum < NSIG; signum++) {
        if (signum != SIGKILL && signum != SIGSTOP &&
            syscall(SYS_rt_sigaction, signum, by_default, NULL, sizeof(uint64_t)) != 0) {
            return -1;
        }
    }
    return 0;
}

static int write_oom_score(const char *value)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    size_t size = strlen(value);
    ssize_t written;

    if (fd < 0) {
        return -1;
    }
    written = write(fd, value, size);
    if (written >= 0 && (size_t)written != size) {
        errno = EIO;
        written = -1;
    }
    /* The kernel has taken the value or not; close adds nothing. */
    (void)close(fd);
    return written < 0 ? -1 : 0;
}

static int enter_namespaces(const struct ray_child_spec *spec)
{
    int flags = (spec->new_network ? CLONE_NEWNET : 0) | (spec->new_mount ? CLONE_NEWNS : 0);

    if (flags != 0 && unshare(flags) < 0) {
        return -1;
    }
    /* Nothing mounted in there shall come back to us. */
    return spec->new_mount ? mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) : 0;
}

RAY_ANALYZER_FDS_BY_NUMBER_BEGIN

/* Puts every descriptor at its number. First all are copied above the highest number wanted,
 * so that no dup2 closes one that is still to be copied; then everything is marked to close at
 * exec, and the copies made by dup2 are not. */
static int arrange_fds(struct ray_child_launch *launch)
{
    const struct ray_child_spec *spec = launch->spec;
    int moved[RAY_CHILD_FD_COUNT_MAX];
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool is_named[STANDARD_FD_COUNT] = {false};
    int lowest = STANDARD_FD_COUNT;

    for (size_t i = 0; i < spec->fd_count; i++) {
        int child_fd = spec->fds[i].child_fd;

        if (child_fd < STANDARD_FD_COUNT) {
            is_named[child_fd] = true;
        }
        lowest = child_fd >= lowest ? child_fd + 1 : lowest;
    }
    launch->report_fd = fcntl(launch->report_fd, F_DUPFD_CLOEXEC, lowest);
    null_fd = null_fd < 0 ? -1 : fcntl(null_fd, F_DUPFD_CLOEXEC, lowest);
    if (launch->report_fd < 0 || null_fd < 0) {
        return -1;
    }
    for (size_t i = 0; i < spec->fd_count; i++) {
        moved[i] = spec->fds[i].fd < 0 ? null_fd : fcntl(spec->fds[i].fd, F_DUPFD_CLOEXEC, lowest);
        if (moved[i] < 0) {
            return -1;
        }
    }
    if (close_range(STANDARD_FD_COUNT, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
        return -1;
    }
    for (int fd = 0; fd < STANDARD_FD_COUNT; fd++) {
        if (!is_named[fd] && dup2(null_fd, fd) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < spec->fd_count; i++) {
        if (dup2(moved[i], spec->fds[i].child_fd) < 0) {
            return -1;
        }
    }
    return 0;
}

RAY_ANALYZER_FDS_BY_NUMBER_END

static int set_rlimits(const struct ray_child_spec *spec)
{
    for (size_t i = 0; i < spec->rlimit_count; i++) {
        if (syscall(SYS_prlimit64, 0, spec->rlimits[i].resource, &spec->rlimits[i].limit, NULL) <
            0) {
            return -1;
        }
    }
    return 0;
}

/* Both 32-bit halves of a capability set. */
struct cap_sets {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int drop_bounding_set(uint64_t keep_caps)
{
    struct cap_sets now = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};

    if (syscall(SYS_capget, &now.header, now.data) < 0) {
        return -1;
    }
    if ((now.data[0].effective & (1U << CAP_SETPCAP)) == 0) {
        return 0;
    }
    for (unsigned long cap = 0; cap < CAP_COUNT_MAX; cap++) {
        int is_set = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

        if (is_set < 0) {
            break; /* the kernel knows no more of them */
        }
        if (is_set == 1 && (keep_caps & (UINT64_C(1) << cap)) == 0 &&
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            return -1;
        }
    }
    return 0;
}

static int set_ids(const struct ray_child_spec *spec)
{
    if (!spec->has_ids) {
        return 0;
    }
    if (spec->keep_caps != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) {
        return -1;
    }
    if (syscall(SYS_setgroups, spec->group_count, spec->groups) < 0 ||
        syscall(SYS_setresgid, spec->gid, spec->gid, spec->gid) < 0 ||
        syscall(SYS_setresuid, spec->uid, spec->uid, spec->uid) < 0) {
        return -1;
    }
    return 0;
}

/* Permitted, effective, inheritable and ambient become exactly keep_caps. */
static int set_caps(const struct ray_child_spec *spec)
{
    struct cap_sets sets = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};

    if (spec->keeps_all_caps && spec->keep_caps == 0) {
        return 0;
    }
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t half = (uint32_t)(spec->keep_caps >> (32 * i));

        sets.data[i].permitted = half;
        sets.data[i].effective = half;
        sets.data[i].inheritable = half;
    }
    if (syscall(SYS_capset, &sets.header, sets.data) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
        return -1;
    }
    for (unsigned long cap = 0; cap < CAP_COUNT_MAX; cap++) {
        if ((spec->keep_caps & (UINT64_C(1) << cap)) != 0 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) {
            return -1;
        }
    }
    return 0;
}

static int set_parent_death(const struct ray_child_launch *launch)
{
    int signum = launch->spec->parent_death_signal;

    if (signum == 0) {
        return 0;
    }
    if (prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0) < 0) {
        return -1;
    }
    if (getppid() != launch->parent_pid) { /* it died before the call above */
        errno = ESRCH;
        return -1;
    }
    return 0;
}

static void write_pid(char *out)
{
    char digits[RAY_CHILD_PID_TEXT_SIZE];
    size_t count = 0;
    pid_t pid = getpid();

    do {
        digits[count++] = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    while (count > 0) {
        *out++ = digits[--count];
    }
    *out = '\0';
}

static void check(const struct ray_child_launch *launch, enum ray_child_step step, int rc)
{
    if (rc < 0) {
        fail(launch, step);
    }
}

static void prepare(struct ray_child_launch *launch)
{
    const struct ray_child_spec *spec = launch->spec;

    check(launch, RAY_CHILD_STEP_SIGNALS, reset_signals());
    (void)umask(022);
    check(launch, RAY_CHILD_STEP_SESSION, spec->new_session ? setsid() : 0);
    check(launch, RAY_CHILD_STEP_OOM,
          spec->oom_score_adj != NULL ? write_oom_score(spec->oom_score_adj) : 0);
    check(launch, RAY_CHILD_STEP_NICE,
          spec->nice != 0 ? setpriority(PRIO_PROCESS, 0, spec->nice) : 0);
    check(launch, RAY_CHILD_STEP_NAMESPACES, enter_namespaces(spec));
    check(launch, RAY_CHILD_STEP_FDS, arrange_fds(launch));
    check(launch, RAY_CHILD_STEP_RLIMITS, set_rlimits(spec));
    check(launch, RAY_CHILD_STEP_BOUNDING,
          spec->keeps_all_caps ? 0 : drop_bounding_set(spec->keep_caps));
    check(launch, RAY_CHILD_STEP_IDS, set_ids(spec));
    check(launch, RAY_CHILD_STEP_CAPS, set_caps(spec));
    check(launch, RAY_CHILD_STEP_NO_NEW_PRIVS,
          spec->no_new_privs ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0);
    check(launch, RAY_CHILD_STEP_PARENT_DEATH, set_parent_death(launch));
    check(launch, RAY_CHILD_STEP_DIR, chdir(spec->dir != NULL ? spec->dir : "/"));
}

void ray_child_exec(struct ray_child_launch *launch)
{
    const struct ray_child_spec *spec = launch->spec;
    sigset_t none;

    prepare(launch);
    if (launch->pid_text != NULL) {
        write_pid(launch->pid_text);
    }
    (void)sigemptyset(&none);
    check(launch, RAY_CHILD_STEP_SIGNALS, sigprocmask(SIG_SETMASK, &none, NULL));
    if (spec->before_exec != NULL) {
        errno = spec->before_exec(spec->before_exec_arg);
        check(launch, RAY_CHILD_STEP_BEFORE_EXEC, errno != 0 ? -1 : 0);
    }
    /* execve does not change the strings: its type is older than const. */
    (void)execve(spec->path, (char *const *)(uintptr_t)spec->argv, launch->envp);
    fail(launch, RAY_CHILD_STEP_EXEC);
}
