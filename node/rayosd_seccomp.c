/* rayosd_seccomp.c - an allow-list: what is not named here kills the process.
 *
 * The groups are what rayosd does: the event loop, its Unix sockets, reading facts, asking
 * netlink for addresses, memory, and leaving. No file can be made, changed, executed or mounted;
 * no process started; no socket but Unix and route netlink ones. io_uring would go round the
 * filter: libuv asks for one, hears that there is none, and does without. */
#include "node/rayosd_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/size.h"

static const int plain_calls[] = {
    /* event loop */
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    /* sockets that are there, and new Unix and netlink ones (below) */
    SCMP_SYS(accept4),
    SCMP_SYS(accept),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(shutdown),
    /* facts */
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(fstatfs),
    SCMP_SYS(uname),
    /* memory, time, identity */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    /* the C library's locks, signals, the end */
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
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

static int allow_if(scmp_filter_ctx filter, int call, struct scmp_arg_cmp condition)
{
    int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition);

    return rc == -EDOM ? 0 : rc;
}

/* Calls of which only some forms are allowed. */
static int add_conditional(scmp_filter_ctx filter)
{
    static const struct scmp_arg_cmp unix_sockets[] = {{0, SCMP_CMP_EQ, AF_UNIX, 0}};
    static const struct scmp_arg_cmp route_sockets[] = {{0, SCMP_CMP_EQ, AF_NETLINK, 0},
                                                        {2, SCMP_CMP_EQ, NETLINK_ROUTE, 0}};
    static const scmp_datum_t fcntl_commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL,
                                                  F_DUPFD_CLOEXEC};
    const scmp_datum_t write_flags = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, unix_sockets);

    if (rc == 0) {
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, route_sockets);
    }
    if (rc == 0) { /* only for reading */
        rc = allow_if(filter, SCMP_SYS(openat),
                      (struct scmp_arg_cmp){2, SCMP_CMP_MASKED_EQ, write_flags, 0});
    }
    if (rc == 0) { /* never executable */
        rc = allow_if(filter, SCMP_SYS(mmap),
                      (struct scmp_arg_cmp){2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0});
    }
    if (rc == 0) {
        rc = allow_if(filter, SCMP_SYS(mprotect),
                      (struct scmp_arg_cmp){2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0});
    }
    if (rc == 0) { /* the C library names the memory of its message when an assertion fails */
        rc =
            allow_if(filter, SCMP_SYS(prctl), (struct scmp_arg_cmp){0, SCMP_CMP_EQ, PR_SET_VMA, 0});
    }
    if (rc == 0) {
        rc = allow_if(filter, SCMP_SYS(ioctl), (struct scmp_arg_cmp){1, SCMP_CMP_EQ, FIONBIO, 0});
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fcntl_commands) && rc == 0; i++) {
        rc = allow_if(filter, SCMP_SYS(fcntl),
                      (struct scmp_arg_cmp){1, SCMP_CMP_EQ, fcntl_commands[i], 0});
    }
    return rc;
}

int rayosd_seccomp_enter(struct ray_err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = 0;

    if (filter == NULL) {
        return ray_fail(err, RAY_ENOMEM, "system call filter");
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(plain_calls) && rc == 0; i++) {
        rc = allow(filter, plain_calls[i]);
    }
    if (rc == 0) {
        rc = add_conditional(filter);
    }
    if (rc == 0) {
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0,
                                    NULL);
    }
    if (rc == 0) {
        rc = seccomp_load(filter); /* sets no_new_privs, too */
    }
    seccomp_release(filter);
    if (rc != 0) {
        return ray_fail_errno(err, -rc, "system call filter");
    }
    return RAY_OK;
}
