/* core_sandbox.c - the order matters: the root folder while we may, then the user (which takes
 * the capabilities along), then the filter, after which nothing of this can be asked for.
 *
 * What is left: reading and writing open descriptors, and making, renaming and removing files
 * below the folder of cores, which is the root then. No sockets, no processes, no other user. */
#include "node/core/core_sandbox.h"

#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/size.h"

static const int plain_calls[] = {
    /* the stream, the process's memory, /dev/kmsg, the rate file */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(flock),
    SCMP_SYS(close),
    /* the folder */
    SCMP_SYS(openat),
    SCMP_SYS(mkdirat),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(unlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fchmod),
    SCMP_SYS(fsync),
    SCMP_SYS(fcntl),
    /* memory, time */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(alarm),
    SCMP_SYS(setitimer),
    /* the C library's locks, signals, the end */
    SCMP_SYS(futex),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(tgkill),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static int allow(scmp_filter_ctx filter, int call)
{
    int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, NULL);

    return rc == -EDOM ? 0 : rc; /* this architecture has no such call */
}

/* Never executable. */
static int allow_memory(scmp_filter_ctx filter, int call)
{
    static const struct scmp_arg_cmp condition = {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};

    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition);
}

int core_sandbox_filter(struct ray_err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = 0;

    if (filter == NULL) {
        return ray_fail(err, RAY_ENOMEM, "system call filter");
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(plain_calls) && rc == 0; i++) {
        rc = allow(filter, plain_calls[i]);
    }
    rc = rc == 0 ? allow_memory(filter, SCMP_SYS(mmap)) : rc;
    rc = rc == 0 ? allow_memory(filter, SCMP_SYS(mprotect)) : rc;
    rc = rc == 0 ? seccomp_load(filter) : rc; /* sets no_new_privs, too */
    seccomp_release(filter);
    return rc == 0 ? RAY_OK : ray_fail_errno(err, -rc, "system call filter");
}

int core_sandbox_enter(int cores_fd, uid_t uid, gid_t gid, struct ray_err *err)
{
    /* 1 is the kernel's own sign of a collector, which is never collected itself. */
    static const struct rlimit core = {1, 1};
    static const struct rlimit files = {32, 32};

    if (setrlimit(RLIMIT_CORE, &core) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return ray_fail_errno(err, errno, "limits of this process");
    }
    if (cores_fd >= 0 && (fchdir(cores_fd) != 0 || chroot(".") != 0)) {
        return ray_fail_errno(err, errno, "root folder");
    }
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return ray_fail_errno(err, errno, "user %u", uid);
    }
    /* Neither its user nor a core of another may look at what it holds. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return ray_fail_errno(err, errno, "protection of this process");
    }
    return core_sandbox_filter(err);
}
