/* hello_seccomp.c - an allow-list: what is not named here kills the process.
 *
 * Beside its event loop (node/seccomp_list.c) rayos-hello makes Unix sockets, to PID 1, and TCP
 * sockets that it connects. No file can be opened at all: when the first byte comes from the
 * network there is nothing left to read. (libuv tries one of Ubuntu's and does without.) */
#include "node/hello/hello_seccomp.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/size.h"
#include "node/seccomp_list.h"

enum { SOCKET_TYPE_MASK = 0xf }; /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

static const int calls[] = {
    SCMP_SYS(connect),     SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(sendmsg),    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),     SCMP_SYS(recvfrom),   SCMP_SYS(shutdown),
};

#define TCP_SOCKET(family)                                                                         \
    {                                                                                              \
        SCMP_SYS(socket), 3,                                                                       \
        {                                                                                          \
            {0, SCMP_CMP_EQ, (family), 0}, {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, SOCK_STREAM}, \
                {2, SCMP_CMP_EQ, 0, 0},                                                            \
        }                                                                                          \
    }

static const struct node_seccomp_form forms[] = {
    {SCMP_SYS(socket), 1, {{0, SCMP_CMP_EQ, AF_UNIX, 0}}},
    TCP_SOCKET(AF_INET),
    TCP_SOCKET(AF_INET6),
};

static const struct node_seccomp_refusal refusals[] = {
    {SCMP_SYS(openat), EACCES},
};

int hello_seccomp_enter(struct ray_err *err)
{
    static const struct node_seccomp_list list = {
        .calls = calls,
        .call_count = RAY_ARRAY_COUNT(calls),
        .forms = forms,
        .form_count = RAY_ARRAY_COUNT(forms),
        .refusals = refusals,
        .refusal_count = RAY_ARRAY_COUNT(refusals),
    };

    return node_seccomp_enter(&list, NULL, err);
}
