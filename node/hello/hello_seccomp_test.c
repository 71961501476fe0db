/* Behind the filter, what rayos-hello needs works and everything else ends the process: each in
 * a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/size.h"
#include "base/test.h"
#include "node/hello/hello_seccomp.h"

enum { CANNOT_ENTER = 77 };

/* Not _exit: before that, AddressSanitizer asks for what the filter forbids. */
static void leave(int status)
{
    (void)syscall(SYS_exit_group, status);
}

/* How a child ends that enters the sandbox and does `act`. */
static int end_of(int (*act)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        if (hello_seccomp_enter(NULL) != RAY_OK) {
            leave(CANNOT_ENTER);
        }
        leave(act());
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int act_loop(void)
{
    struct ray_loop loop;

    if (ray_loop_init(&loop, NULL) != RAY_OK) {
        return 1;
    }
    ray_loop_run(&loop);
    ray_loop_fini(&loop);
    return 0;
}

static int act_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                                  .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return 1;
    }
    /* Nobody is there, so it is refused now or later: but by the network. */
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 && errno == EPERM) {
        return 1;
    }
    return close(fd);
}

static int act_tcp_v6(void)
{
    /* Allowed; there may be no IPv6 on this machine. */
    return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT;
}

static int act_unix_sockets(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) < 0 ||
           socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0;
}

static int act_io_uring(void)
{
    return !(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
}

static int act_read_file(void)
{
    return !(open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
}

static int act_udp(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0) < 0;
}

static int act_raw(void)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0;
}

static int act_sctp(void)
{
    return socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) < 0;
}

static int act_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) < 0;
}

static int act_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? 1 : (int)syscall(SYS_listen, fd, 1);
}

static int act_exec(void)
{
    char *argv[] = {(char *)"true", NULL};

    return execv("/bin/true", argv);
}

static int act_fork(void)
{
    return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static int act_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
}

static int act_unlink(void)
{
    return unlink("/tmp/none");
}

static void test_allowed(void **state)
{
    static int (*const acts[])(void) = {act_loop,         act_tcp,      act_tcp_v6,
                                        act_unix_sockets, act_io_uring, act_read_file};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(acts); i++) {
        int status = end_of(acts[i]);

        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fail_msg("act %zu ended with %d", i, status);
        }
    }
}

static void test_forbidden(void **state)
{
    static int (*const acts[])(void) = {act_udp,    act_raw,  act_sctp, act_netlink,
                                        act_listen, act_exec, act_fork, act_executable_memory,
                                        act_unlink};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(acts); i++) {
        int status = end_of(acts[i]);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            fail_msg("act %zu ended with %d", i, status);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_forbidden),
    };

    return cmocka_run_group_tests_name("node/hello/seccomp", tests, NULL, NULL);
}
