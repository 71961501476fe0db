#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/test.h"

/* PID 1's end: an abstract socket, whose name needs no cleaning up. */
struct listener {
    int fd;
    char name[64];
    char text[512];
    int passed_fd; /* -1: none */
};

static int setup(void **state)
{
    struct listener *listener = calloc(1, sizeof *listener);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size;
    int fd;

    if (listener == NULL) {
        return -1;
    }
    (void)snprintf(listener->name, sizeof listener->name, "@ray-notify-%d", (int)getpid());
    size = strlen(listener->name);
    memcpy(address.sun_path + 1, listener->name + 1, size - 1);
    listener->passed_fd = -1;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    listener->fd = fcntl(fd, F_DUPFD_CLOEXEC, 20); /* 3 and 4 are for kept descriptors */
    (void)close(fd);
    *state = listener;
    return bind(listener->fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) |
           setenv("NOTIFY_SOCKET", listener->name, 1);
}

static int teardown(void **state)
{
    struct listener *listener = *state;

    (void)close(listener->fd);
    if (listener->passed_fd >= 0) {
        (void)close(listener->passed_fd);
    }
    free(listener);
    return unsetenv("NOTIFY_SOCKET") | unsetenv("LISTEN_FDS") | unsetenv("LISTEN_FDNAMES") |
           unsetenv("LISTEN_PID");
}

/* The next message; "" when there is none. */
static const char *receive(struct listener *listener)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec io = {.iov_base = listener->text, .iov_len = sizeof listener->text - 1};
    struct msghdr header = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(listener->fd, &header, MSG_CMSG_CLOEXEC);
    struct cmsghdr *message = got < 0 ? NULL : CMSG_FIRSTHDR(&header);

    listener->text[got > 0 ? got : 0] = '\0';
    if (message != NULL && message->cmsg_type == SCM_RIGHTS) {
        memcpy(&listener->passed_fd, CMSG_DATA(message), sizeof(int));
    }
    return listener->text;
}

static void test_messages(void **state)
{
    struct listener *listener = *state;

    assert_int_equal(ray_notify_ready(NULL), RAY_OK);
    assert_string_equal(receive(listener), "READY=1");
    assert_int_equal(ray_notify("STATUS=fine", NULL), RAY_OK);
    assert_string_equal(receive(listener), "STATUS=fine");
    assert_int_equal(ray_notify_marker(RAY_MARKER_TEST_AGENT, "ready", NULL), RAY_OK);
    assert_string_equal(receive(listener), "X_RAYOS_MARKER=RAYOS_TEST_AGENT:ready\n");
    assert_int_equal(listener->passed_fd, -1);
}

static void test_kept_descriptor_travels(void **state)
{
    struct listener *listener = *state;
    struct stat sent;
    struct stat kept;
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(ray_notify_keep_fd("api", fds[0], NULL), RAY_OK);
    assert_string_equal(receive(listener), "FDSTORE=1\nFDNAME=api");
    assert_true(listener->passed_fd >= 0);
    assert_int_equal(fstat(fds[0], &sent), 0);
    assert_int_equal(fstat(listener->passed_fd, &kept), 0);
    assert_true(sent.st_ino == kept.st_ino);
    assert_int_equal(ray_notify_drop_fd("api", NULL), RAY_OK);
    assert_string_equal(receive(listener), "FDSTOREREMOVE=1\nFDNAME=api");
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_true(ray_notify_keep_fd("api", fds[0], NULL) < 0);
    assert_string_equal(receive(listener), "");
}

static void test_names_of_kept_descriptors(void **state)
{
    char name[260];

    (void)state;
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(ray_notify_keep_fd("", 0, NULL), RAY_EINVAL);
    assert_int_equal(ray_notify_keep_fd("a:b", 0, NULL), RAY_EINVAL);
    assert_int_equal(ray_notify_keep_fd("a\nREADY=1", 0, NULL), RAY_EINVAL);
    assert_int_equal(ray_notify_drop_fd("a b", NULL), RAY_EINVAL);
    assert_int_equal(ray_notify_drop_fd(name, NULL), RAY_EINVAL);
    name[255] = '\0';
    assert_int_equal(ray_notify_drop_fd(name, NULL), RAY_OK);
}

static void test_nobody_listens(void **state)
{
    struct ray_err err = {0};
    char name[200];

    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "@ray-nobody-is-here", 1), 0);
    assert_int_equal(ray_notify_ready(&err), RAY_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "nobody"));
    assert_int_equal(setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1), 0);
    assert_int_equal(ray_notify_ready(NULL), RAY_ENOTFOUND);
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_int_equal(ray_notify_ready(NULL), RAY_EINVAL);
    assert_int_equal(setenv("NOTIFY_SOCKET", "@", 1), 0);
    assert_int_equal(ray_notify_ready(NULL), RAY_EINVAL);
    memset(name, 'n', sizeof name);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(ray_notify_ready(NULL), RAY_ETOOBIG);
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    assert_int_equal(ray_notify_ready(NULL), RAY_OK);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(ray_notify_ready(NULL), RAY_OK);
}

/* A full queue never blocks the service. */
static void test_full(void **state)
{
    int rc = RAY_OK;

    (void)state;
    for (int i = 0; i < 100000 && rc == RAY_OK; i++) {
        rc = ray_notify("WATCHDOG=1", NULL);
    }
    assert_int_equal(rc, RAY_EAGAIN);
}

static void test_faults(void **state)
{
    (void)state;
#ifdef RAY_FAULTS
    ray_test_fault_arm("socket", 1);
    assert_int_equal(ray_notify_ready(NULL), RAY_EUNAVAILABLE);
    assert_true(ray_test_fault_disarm());
    ray_test_fault_arm("send", 1);
    assert_int_equal(ray_notify_ready(NULL), RAY_EUNAVAILABLE);
    assert_true(ray_test_fault_disarm());
#endif
    assert_int_equal(ray_notify_ready(NULL), RAY_OK);
}

static void test_finds_kept(void **state)
{
    char pid[16];
    int fd;

    (void)state;
    assert_int_equal(ray_notify_kept_fd("api"), -1);
    assert_int_equal(setenv("LISTEN_FDS", "2", 1), 0);
    assert_int_equal(ray_notify_kept_fd("api"), -1);
    assert_int_equal(setenv("LISTEN_FDNAMES", "log:api", 1), 0);
    /* The numbers are fixed by the protocol: 3 and 4. */
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(fd >= 0 && (fd == 4 || dup2(fd, 4) == 4));
    assert_int_equal(ray_notify_kept_fd("api"), 4);
    assert_int_equal(fcntl(4, F_GETFD), FD_CLOEXEC);
    assert_int_equal(ray_notify_kept_fd("ap"), -1);
    assert_int_equal(ray_notify_kept_fd("apis"), -1);
    assert_int_equal(ray_notify_kept_fd(""), -1);
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    assert_int_equal(ray_notify_kept_fd("api"), -1);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(ray_notify_kept_fd("api"), 4);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(ray_notify_kept_fd("api"), -1);
    assert_int_equal(setenv("LISTEN_FDS", "2x", 1), 0);
    assert_int_equal(ray_notify_kept_fd("api"), -1);
    assert_int_equal(setenv("LISTEN_FDS", "3", 1), 0);
    assert_int_equal(ray_notify_kept_fd("none"), -1);
    (void)close(4);
    assert_int_equal(ray_notify_kept_fd("api"), -1); /* promised, but not there */
    if (fd != 4) {
        (void)close(fd);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_descriptor_travels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_of_kept_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finds_kept, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
