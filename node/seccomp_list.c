#include "node/seccomp_list.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/size.h"

static const int loop_calls[] = {
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

static const struct node_seccomp_form loop_forms[] = {
    /* never executable */
    {SCMP_SYS(mmap), 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
    {SCMP_SYS(mprotect), 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
    /* the C library names the memory of its message when an assertion fails */
    {SCMP_SYS(prctl), 1, {{0, SCMP_CMP_EQ, PR_SET_VMA, 0}}},
    {SCMP_SYS(ioctl), 1, {{1, SCMP_CMP_EQ, FIONBIO, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_GETFD, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_SETFD, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_GETFL, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_SETFL, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0}}},
};

static const struct node_seccomp_refusal loop_refusals[] = {
    /* Would go round any filter: libuv hears that there is none. */
    {SCMP_SYS(io_uring_setup), ENOSYS},
};

const struct node_seccomp_list node_seccomp_loop = {
    .calls = loop_calls,
    .call_count = RAY_ARRAY_COUNT(loop_calls),
    .forms = loop_forms,
    .form_count = RAY_ARRAY_COUNT(loop_forms),
    .refusals = loop_refusals,
    .refusal_count = RAY_ARRAY_COUNT(loop_refusals),
};

static int add(scmp_filter_ctx filter, uint32_t action, int call, unsigned condition_count,
               const struct scmp_arg_cmp *conditions)
{
    int rc = seccomp_rule_add_array(filter, action, call, condition_count, conditions);

    return rc == -EDOM ? 0 : rc; /* this architecture has no such call */
}

static int add_list(scmp_filter_ctx filter, const struct node_seccomp_list *list)
{
    int rc = 0;

    for (size_t i = 0; i < list->call_count && rc == 0; i++) {
        rc = add(filter, SCMP_ACT_ALLOW, list->calls[i], 0, NULL);
    }
    for (size_t i = 0; i < list->form_count && rc == 0; i++) {
        const struct node_seccomp_form *form = &list->forms[i];

        assert(form->condition_count > 0 &&
               form->condition_count <= NODE_SECCOMP_CONDITION_COUNT_MAX);
        rc = add(filter, SCMP_ACT_ALLOW, form->call, form->condition_count, form->conditions);
    }
    for (size_t i = 0; i < list->refusal_count && rc == 0; i++) {
        const struct node_seccomp_refusal *refusal = &list->refusals[i];

        rc = add(filter, SCMP_ACT_ERRNO((uint32_t)refusal->errnum), refusal->call, 0, NULL);
    }
    return rc;
}

int node_seccomp_enter(const struct node_seccomp_list *own, const struct node_seccomp_list *more,
                       struct ray_err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc;

    if (filter == NULL) {
        return ray_fail(err, RAY_ENOMEM, "system call filter");
    }
    rc = add_list(filter, &node_seccomp_loop);
    if (rc == 0) {
        rc = add_list(filter, own);
    }
    if (rc == 0 && more != NULL) {
        rc = add_list(filter, more);
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
