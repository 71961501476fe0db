/* rayosd_seccomp.c - an allow-list: what is not named here kills the process.
 *
 * The groups are what rayosd does beside its event loop (seccomp_list.c): its Unix sockets,
 * reading facts, asking netlink for addresses. No file can be made, changed, executed or
 * mounted; no process started; no socket but Unix and route netlink ones. */
#include "node/rayosd_seccomp.h"

#include <fcntl.h>
#include <linux/netlink.h>
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

int rayosd_seccomp_enter(struct ray_err *err)
{
    static const struct node_seccomp_list list = {
        .calls = calls,
        .call_count = RAY_ARRAY_COUNT(calls),
        .forms = forms,
        .form_count = RAY_ARRAY_COUNT(forms),
    };

    return node_seccomp_enter(&list, err);
}
