/* Behind the filter, what the collector does works and everything else ends the process: each in
 * a child of its own. Users and root folder are seen in the lab, where it runs as root. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "node/core/core_sandbox.h"

enum { CANNOT_ENTER = 77 };

/* Not _exit: before that, AddressSanitizer asks for what the filter forbids. */
static void leave(int status)
{
    (void)syscall(SYS_exit_group, status);
}

static int end_of(int (*act)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        if (core_sandbox_filter(NULL) != RAY_OK) {
            leave(CANNOT_ENTER);
        }
        leave(act());
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int act_file(void)
{
    char byte;
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

    return fd >= 0 && read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1 && close(fd) == 0 ? 0 : 1;
}

static int act_folder(void)
{
    return mkdir("/tmp/core_sandbox_test", 0700) == 0 || rmdir("/tmp/core_sandbox_test") == 0;
}

static int act_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int act_fork(void)
{
    return fork();
}

static int act_exec(void)
{
    return execl("/bin/true", "true", (char *)NULL);
}

static int act_setuid(void)
{
    return setresuid(0, 0, 0);
}

static int act_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
}

static int act_link(void)
{
    return symlink("/", "/tmp/core_sandbox_link");
}

static void expect_killed(int (*act)(void))
{
    int status = end_of(act);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_allowed(void **state)
{
    (void)state;
    assert_int_equal(end_of(act_file), 0);
}

static void test_forbidden(void **state)
{
    (void)state;
    expect_killed(act_folder); /* mkdir by path: we only use mkdirat */
    expect_killed(act_socket);
    expect_killed(act_fork);
    expect_killed(act_exec);
    expect_killed(act_setuid);
    expect_killed(act_code);
    expect_killed(act_link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_forbidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
