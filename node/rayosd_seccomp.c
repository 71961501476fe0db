/* rayosd_seccomp.c - an allow-list: what is not named here kills the process.
 *
 * The groups are what rayosd does beside its event loop (seccomp_list.c): its Unix sockets,
 * reading facts, asking netlink for addresses. No file can be made, changed, executed or
 * mounted; no process started; no socket but Unix and route netlink ones. A member of a cluster
 * may make and change files and open IP sockets, too; that it writes nowhere but in its data
 * folder is then up to the file modes of its user. */
#include "node/rayosd_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/size.h"
#include "node/seccomp_list.h"

enum { WRITE_FLAGS = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND };

static const int calls[] = {
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
};

static const struct node_seccomp_form forms[] = {
    {SCMP_SYS(socket), 1, {{0, SCMP_CMP_EQ, AF_UNIX, 0}}},
    {SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_NETLINK, 0}, {2, SCMP_CMP_EQ, NETLINK_ROUTE, 0}}},
    /* only for reading */
    {SCMP_SYS(openat), 1, {{2, SCMP_CMP_MASKED_EQ, WRITE_FLAGS, 0}}},
};

/* What a member does beyond that. */
static const int member_calls[] = {
    SCMP_SYS(openat), /* for writing, too */
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(msync),
    SCMP_SYS(fallocate),
    SCMP_SYS(ftruncate),
    SCMP_SYS(flock),
    SCMP_SYS(mkdirat),
    SCMP_SYS(mkdir),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(rename),
    SCMP_SYS(unlinkat),
    SCMP_SYS(unlink),
    SCMP_SYS(fchmod),
    SCMP_SYS(umask),
    SCMP_SYS(statfs),
    /* secrets: locked, out of cores */
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    /* threads of the disk: the C library's own */
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(listen),
    SCMP_SYS(getpeername),
};

enum { THREAD_FLAGS = CLONE_VM | CLONE_THREAD, SOCKET_TYPE_MASK = 0xf };

#define STREAM_TYPE {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, SOCK_STREAM}

static const struct node_seccomp_form member_forms[] = {
    {SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, STREAM_TYPE}},
    {SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, STREAM_TYPE}},
    {SCMP_SYS(prlimit64), 1, {{2, SCMP_CMP_EQ, 0, 0}}}, /* asks only */
    {SCMP_SYS(clone), 1, {{0, SCMP_CMP_MASKED_EQ, THREAD_FLAGS, THREAD_FLAGS}}},
    /* LMDB's lock of its file */
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_SETLK, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_SETLKW, 0}}},
    {SCMP_SYS(fcntl), 1, {{1, SCMP_CMP_EQ, F_GETLK, 0}}},
    {SCMP_SYS(prctl), 1, {{0, SCMP_CMP_EQ, PR_SET_NAME, 0}}},
};

static const struct node_seccomp_refusal member_refusals[] = {
    /* Its flags lie in memory, where a filter cannot see them: the C library takes clone then. */
    {SCMP_SYS(clone3), ENOSYS},
};

static int enter(const struct node_seccomp_list *more, struct ray_err *err)
{
    static const struct node_seccomp_list list = {
        .calls = calls,
        .call_count = RAY_ARRAY_COUNT(calls),
        .forms = forms,
        .form_count = RAY_ARRAY_COUNT(forms),
    };

    return node_seccomp_enter(&list, more, err);
}

int rayosd_seccomp_enter(struct ray_err *err)
{
    return enter(NULL, err);
}

int rayosd_seccomp_enter_member(struct ray_err *err)
{
    static const struct node_seccomp_list more = {
        .calls = member_calls,
        .call_count = RAY_ARRAY_COUNT(member_calls),
        .forms = member_forms,
        .form_count = RAY_ARRAY_COUNT(member_forms),
        .refusals = member_refusals,
        .refusal_count = RAY_ARRAY_COUNT(member_refusals),
    };

    return enter(&more, err);
}
