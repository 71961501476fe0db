/* Behind the filter, what rayosd needs works and everything else ends the process: each in a
 * child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "node/rayosd_seccomp.h"

enum { CANNOT_ENTER = 77 };

/* Not _exit: before that, AddressSanitizer asks for what the filter forbids. */
static void leave(int status)
{
    (void)syscall(SYS_exit_group, status);
}

/* How a child ends that enters the sandbox and does `act`. */
static int end_within(int (*enter)(struct ray_err *err), int (*act)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        if (enter(NULL) != RAY_OK) {
            leave(CANNOT_ENTER);
        }
        leave(act());
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int end_of(int (*act)(void))
{
    return end_within(rayosd_seccomp_enter, act);
}

static int act_nothing(void)
{
    return 0;
}

static int act_facts(void)
{
    struct ifaddrs *addresses = NULL;
    char byte;
    int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, &byte, 1) != 1 || getifaddrs(&addresses) != 0) {
        return 1;
    }
    freeifaddrs(addresses);
    return 0;
}

static int act_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET, 0) < 0;
}

static int act_io_uring(void)
{
    return !(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
}

static int act_write_file(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC) < 0;
}

static int act_make_file(void)
{
    return open("/tmp/x", O_RDONLY | O_CREAT | O_CLOEXEC, 0600) < 0;
}

static int act_internet(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int act_other_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 15) < 0; /* kernel events */
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

static int act_chmod(void)
{
    return chmod("/tmp", 0777);
}

static int act_ptrace(void)
{
    return (int)syscall(SYS_ptrace, 16, getppid(), 0, 0);
}

static void test_allowed(void **state)
{
    static int (*const acts[])(void) = {act_nothing, act_facts, act_unix_socket, act_io_uring};

    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        int status = end_of(acts[i]);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void test_forbidden(void **state)
{
    static int (*const acts[])(void) = {
        act_write_file, act_make_file, act_internet,          act_other_netlink, act_exec,
        act_fork,       act_chmod,     act_executable_memory, act_ptrace};

    (void)state;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        int status = end_of(acts[i]);

        if (!WIFSIGNALED(status)) {
            fail_msg("act %zu was allowed", i);
            return;
        }
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

static int act_datagrams(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0) < 0;
}

static int act_raise_limit(void)
{
    const struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};

    return setrlimit(RLIMIT_NOFILE, &limit);
}

static int act_ask_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_STACK, &limit);
}

static void test_member(void **state)
{
    static int (*const allowed[])(void) = {act_nothing,  act_facts,     act_unix_socket,
                                           act_io_uring, act_make_file, act_write_file,
                                           act_internet, act_ask_limit};
    static int (*const forbidden[])(void) = {
        act_other_netlink,     act_exec,      act_fork,       act_chmod, act_ptrace,
        act_executable_memory, act_datagrams, act_raise_limit};

    (void)state;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        assert_int_equal(end_within(rayosd_seccomp_enter_member, allowed[i]), 0);
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        int status = end_within(rayosd_seccomp_enter_member, forbidden[i]);

        if (!WIFSIGNALED(status)) {
            fail_msg("act %zu was allowed", i);
            return;
        }
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

static void test_no_new_privs(void **state)
{
    pid_t child = fork();
    int status = 0;

    (void)state;
    if (child == 0) {
        bool was_set = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0;
        int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        char text[4096];
        ssize_t size;

        if (fd < 0 || was_set || rayosd_seccomp_enter(NULL) != RAY_OK) {
            leave(1);
        }
        size = read(fd, text, sizeof text - 1);
        text[size > 0 ? size : 0] = '\0';
        leave(strstr(text, "NoNewPrivs:\t1") == NULL || strstr(text, "Seccomp:\t2") == NULL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_forbidden),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_no_new_privs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
