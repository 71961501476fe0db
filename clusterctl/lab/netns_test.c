/* netns_test.c - a lab's namespaces as root and as an ordinary user; the packet port of the
 * switch on the veth pair that they bring. Where the system forbids a kind it is skipped. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "clusterctl/lab/netns.h"
#include "clusterctl/lab/netns_link.h"
#include "clusterctl/lab/switch.h"
#include "clusterctl/lab/switch_frame.h"

enum { STATUS_SKIP = 77, STATUS_OK = 42, WAIT_MS = 20000, ORDINARY_ID = 1000 };

enum kind { AS_ROOT, WITH_USER_NS, AS_ORDINARY_USER };

static const struct ray_netns_config base_config = {
    .host_name = "lab0", .switch_name = "lab0sw", .address = "10.77.0.1/24"};

/* In a child cmocka cannot report; it says where and ends. */
static _Noreturn void child_fail(int line, const char *what)
{
    (void)fprintf(stderr, "netns_test.c:%d: %s (errno: %s)\n", line, what, strerror(errno));
    _exit(1);
}

#define CHILD_CHECK(condition) ((condition) ? (void)0 : child_fail(__LINE__, #condition))

static void become_ordinary(void)
{
    CHILD_CHECK(setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) == 0);
    CHILD_CHECK(setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) == 0);
    /* As after exec: else /proc/self belongs to root. */
    CHILD_CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

static void enter(enum kind kind, struct ray_netns *netns)
{
    struct ray_netns_config config = base_config;
    struct ray_err err = {0};
    int rc;

    config.user = kind == WITH_USER_NS ? RAY_NETNS_USER_ALWAYS : RAY_NETNS_USER_AUTO;
    if (kind == AS_ORDINARY_USER) {
        become_ordinary();
    }
    rc = ray_netns_enter_new(&config, netns, &err);
    if (rc == RAY_EDENIED) {
        (void)fprintf(stderr, "skipped: %s\n", err.text);
        _exit(STATUS_SKIP);
    }
    if (rc != RAY_OK) {
        child_fail(__LINE__, err.text);
    }
}

static bool is_up(const char *name)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc;

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    rc = ioctl(fd, SIOCGIFFLAGS, &request);
    (void)close(fd);
    return rc == 0 && (request.ifr_flags & IFF_UP) != 0;
}

static int read_mtu(const char *name)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc;

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    rc = ioctl(fd, SIOCGIFMTU, &request);
    (void)close(fd);
    return rc == 0 ? request.ifr_mtu : -1;
}

static void check_inside(const struct ray_netns *netns, enum kind kind)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char text[32] = "";
    int fd;

    CHILD_CHECK(getpid() == 1);
    CHILD_CHECK(netns->pid > 1);
    CHILD_CHECK(geteuid() == 0); /* also the ordinary user is root in here */
    CHILD_CHECK(netns->has_user_ns == (kind != AS_ROOT));
    CHILD_CHECK(readlink("/proc/self", text, sizeof text - 1) > 0);
    CHILD_CHECK(!netns->has_private_proc || strcmp(text, "1") == 0);
    CHILD_CHECK(is_up("lo") && is_up("lab0") && is_up("lab0sw"));
    CHILD_CHECK(read_mtu("lab0") == 1500);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHILD_CHECK(fd >= 0 && inet_pton(AF_INET, "10.77.0.1", &address.sin_addr) == 1);
    CHILD_CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    (void)close(fd);
}

/* Reads as in a process that only wants to talk to the lab. */
static void check_join(pid_t lab_pid, enum kind kind)
{
    struct ray_err err = {0};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (kind == AS_ORDINARY_USER) {
            become_ordinary();
        }
        CHILD_CHECK(!is_up("lab0"));
        if (ray_netns_join(lab_pid, &err) != RAY_OK) {
            child_fail(__LINE__, err.text);
        }
        CHILD_CHECK(is_up("lab0"));
        _exit(STATUS_OK);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), STATUS_OK);
}

static int wait_status(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct guarded {
    pid_t guardian;
    pid_t lab_pid;
    int hold_fd; /* the lab ends with STATUS_OK when this is closed */
};

/* False: skipped. */
static bool start_lab(enum kind kind, struct guarded *out)
{
    int to_lab[2];
    int from_lab[2];

    assert_int_equal(pipe2(to_lab, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from_lab, O_CLOEXEC), 0);
    out->guardian = fork();
    if (out->guardian == 0) {
        struct ray_netns netns;
        char byte;

        (void)close(to_lab[1]);
        (void)close(from_lab[0]);
        enter(kind, &netns);
        check_inside(&netns, kind);
        CHILD_CHECK(write(from_lab[1], &netns.pid, sizeof netns.pid) == sizeof netns.pid);
        CHILD_CHECK(read(to_lab[0], &byte, 1) == 0); /* end of file */
        _exit(STATUS_OK);
    }
    (void)close(to_lab[0]);
    (void)close(from_lab[1]);
    out->hold_fd = to_lab[1];
    if (read(from_lab[0], &out->lab_pid, sizeof out->lab_pid) != sizeof out->lab_pid) {
        int status = wait_status(out->guardian);

        (void)close(from_lab[0]);
        (void)close(out->hold_fd);
        assert_int_equal(status, STATUS_SKIP);
        return false;
    }
    (void)close(from_lab[0]);
    return true;
}

static void check_kind(enum kind kind)
{
    struct guarded lab;

    if (!start_lab(kind, &lab)) {
        skip();
    }
    check_join(lab.lab_pid, kind);
    (void)close(lab.hold_fd);
    assert_int_equal(wait_status(lab.guardian), STATUS_OK);
}

static void require_root(void)
{
    if (geteuid() != 0) {
        skip();
    }
}

static void test_as_root(void **state)
{
    (void)state;
    require_root();
    check_kind(AS_ROOT);
}

static void test_with_user_ns(void **state)
{
    (void)state;
    require_root();
    check_kind(WITH_USER_NS);
}

static void test_as_ordinary_user(void **state)
{
    struct guarded lab;
    pid_t pid;
    (void)state;

    /* In a user namespace with one id mapped there is nobody else to become; then the caller
     * is ordinary already or the kind is covered by the others. */
    require_root();
    pid = fork();
    if (pid == 0) {
        _exit(setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) == 0 ? 0 : STATUS_SKIP);
    }
    if (wait_status(pid) == STATUS_SKIP || !start_lab(AS_ORDINARY_USER, &lab)) {
        skip();
    }
    check_join(lab.lab_pid, AS_ORDINARY_USER);
    (void)close(lab.hold_fd);
    assert_int_equal(wait_status(lab.guardian), STATUS_OK);
}

/* A signal to the guardian reaches the lab, which may handle it or not: pid 1 without a handler
 * ignores SIGTERM. SIGKILL of the guardian takes the lab along. */
static void test_guardian_killed(void **state)
{
    struct guarded lab;
    struct pollfd poll_fd = {.events = POLLIN};
    (void)state;

    if (!start_lab(WITH_USER_NS, &lab)) {
        skip();
    }
    poll_fd.fd = (int)syscall(SYS_pidfd_open, lab.lab_pid, 0);
    assert_true(poll_fd.fd >= 0);
    assert_int_equal(kill(lab.guardian, SIGTERM), 0);
    assert_int_equal(kill(lab.guardian, SIGKILL), 0);
    assert_int_equal(wait_status(lab.guardian), 128 + SIGKILL);
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
    (void)close(poll_fd.fd);
    (void)close(lab.hold_fd);
}

static void test_signal_is_handed_on(void **state)
{
    int from_lab[2];
    pid_t guardian;
    char byte;
    (void)state;

    assert_int_equal(pipe2(from_lab, O_CLOEXEC), 0);
    guardian = fork();
    if (guardian == 0) {
        struct ray_netns netns;
        sigset_t set;
        int signum = 0;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        enter(WITH_USER_NS, &netns);
        CHILD_CHECK(write(from_lab[1], "r", 1) == 1);
        CHILD_CHECK(sigwait(&set, &signum) == 0);
        _exit(signum == SIGTERM ? STATUS_OK : 1);
    }
    (void)close(from_lab[1]);
    if (read(from_lab[0], &byte, 1) != 1) {
        assert_int_equal(wait_status(guardian), STATUS_SKIP);
        (void)close(from_lab[0]);
        skip();
    }
    (void)close(from_lab[0]);
    assert_int_equal(kill(guardian, SIGTERM), 0);
    assert_int_equal(wait_status(guardian), STATUS_OK);
}

/* The limit of a user namespace holds for its children: a system that forbids them. */
static void test_denied(void **state)
{
    pid_t pid = fork();
    (void)state;

    if (pid == 0) {
        struct ray_netns_config config = base_config;
        struct ray_netns netns;
        struct ray_err err = {0};
        int fd;

        if (unshare(CLONE_NEWUSER) < 0) {
            _exit(STATUS_SKIP);
        }
        fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0\n", 2) != 2) {
            _exit(STATUS_SKIP);
        }
        config.user = RAY_NETNS_USER_ALWAYS;
        CHILD_CHECK(ray_netns_enter_new(&config, &netns, &err) == RAY_EDENIED);
        CHILD_CHECK(strstr(err.text, "namespaces") != NULL);
        _exit(STATUS_OK);
    }
    if (wait_status(pid) == STATUS_SKIP) {
        skip();
    }
}

static void test_join_refused(void **state)
{
    struct ray_err err = {0};
    pid_t pid = fork();
    (void)state;

    if (pid == 0) {
        _exit(0);
    }
    (void)wait_status(pid);
    assert_int_equal(ray_netns_join(pid, &err), RAY_ENOTFOUND); /* reaped: the pid is free */
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"",
                                      "10.77.0.1",
                                      "10.77.0/24",
                                      "10.77.0.1/33",
                                      "10.77.0.1/",
                                      "10.77.0.1/0",
                                      "10.77.0.256/8",
                                      "10.77.0.1/-1",
                                      "1111111111111111111/8"};
    struct ray_err err = {0};
    uint32_t address;
    uint8_t prefix_size;
    (void)state;

    assert_int_equal(ray_netns_parse_address("10.77.0.1/24", &address, &prefix_size, &err), RAY_OK);
    assert_int_equal(address, 0x0a4d0001);
    assert_int_equal(prefix_size, 24);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ray_netns_parse_address(bad[i], &address, &prefix_size, &err), RAY_EINVAL);
    }
}

/* Every step that can fail does so once; each time the error says which. */
static void test_faults(void **state)
{
    static const char *const points[] = {"fork", "mount", "socket", "send"};
    (void)state;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            int status;
            pid_t pid = fork();

            assert_true(n < 100);
            if (pid == 0) {
                struct ray_netns_config config = base_config;
                struct ray_netns netns;
                struct ray_err err = {0};
                int rc;

                config.user = RAY_NETNS_USER_ALWAYS;
                ray_test_fault_arm(points[i], n);
                rc = ray_netns_enter_new(&config, &netns, &err);
                if (!ray_test_fault_disarm()) {
                    _exit(rc == RAY_OK ? STATUS_OK : STATUS_SKIP);
                }
                CHILD_CHECK(rc < 0 && err.text[0] != '\0');
                _exit(0);
            }
            status = wait_status(pid);
            if (status == STATUS_SKIP) {
                skip();
            }
            if (status == STATUS_OK) {
                break;
            }
            assert_int_equal(status, 0);
        }
    }
}

static void settle(struct ray_switch *sw)
{
    struct ray_err err = {0};

    for (int i = 0; i < 8; i++) {
        CHILD_CHECK(ray_switch_turn(sw, 1000000, &err) == RAY_OK);
    }
}

/* The next frame at the machine's end whose type is `type`. */
static size_t receive_type(struct ray_switch *sw, int fd, uint16_t type, uint8_t *frame)
{
    for (int tries = 0; tries < 1000; tries++) {
        uint8_t header[4];
        size_t size;

        settle(sw);
        if (recv(fd, header, sizeof header, MSG_DONTWAIT) != sizeof header) {
            continue;
        }
        size = (size_t)header[2] << 8 | header[3];
        CHILD_CHECK(size <= 2000 && recv(fd, frame, size, MSG_DONTWAIT) == (ssize_t)size);
        if ((frame[12] << 8 | frame[13]) == type) {
            return size;
        }
    }
    child_fail(__LINE__, "the frame did not come");
}

static uint16_t checksum(const uint8_t *bytes, size_t size, uint32_t sum)
{
    for (size_t i = 0; i < size; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* Services -> machine: a datagram of the kernel arrives whole, its checksum computed. */
static void check_udp_out(struct ray_switch *sw, int node)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;
    uint8_t frame[2048];
    size_t size;

    CHILD_CHECK(fd >= 0 && inet_pton(AF_INET, "10.77.0.255", &address.sin_addr) == 1);
    CHILD_CHECK(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) == 0);
    CHILD_CHECK(sendto(fd, "hello machines", 14, 0, (struct sockaddr *)&address, sizeof address) ==
                14);
    (void)close(fd);
    size = receive_type(sw, node, 0x0800, frame);
    CHILD_CHECK(size == 14 + 20 + 8 + 14);
    CHILD_CHECK(memcmp(frame + 42, "hello machines", 14) == 0);
    /* Pseudo header: both addresses, protocol 17, length 22. */
    CHILD_CHECK(frame[40] != 0 || frame[41] != 0);
    CHILD_CHECK(checksum(frame + 26, 8 + 22, 17 + 22) == 0);
}

/* Machine -> services and back: the kernel answers who has 10.77.0.1. */
static void check_arp(struct ray_switch *sw, int node)
{
    static const uint8_t request[] = {
        0,    0,    0,    42,                                                         /* length */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x77, 0, 0x15, 0x08, 0x06, /* Ethernet */
        0,    1,    0x08, 0,    6,    4,    0,    1,                                  /* who has */
        0x52, 0x54, 0,    0x77, 0,    0x15, 10,   77,   0, 21, /* I am 10.77.0.21 */
        0,    0,    0,    0,    0,    0,    10,   77,   0, 1,  /* 10.77.0.1 */
    };
    uint8_t frame[2048];

    CHILD_CHECK(send(node, request, sizeof request, 0) == sizeof request);
    (void)receive_type(sw, node, 0x0806, frame);
    CHILD_CHECK(memcmp(frame, request + 10, 6) == 0); /* to me */
    CHILD_CHECK(frame[21] == 2);                      /* a reply */
    CHILD_CHECK(memcmp(frame + 28, request + 42, 4) == 0);
}

static void run_packet_port(enum kind kind)
{
    char folder[] = "/tmp/netns_test.XXXXXX";
    char control[64];
    char path[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct ray_switch_port_config ports[] = {
        {.name = "host", .kind = RAY_SWITCH_PORT_PACKET, .path = "lab0sw"},
        {.name = "node1", .kind = RAY_SWITCH_PORT_STREAM, .path = path},
    };
    const struct ray_switch_config config = {
        .ports = ports, .port_count = 2, .control_path = control, .stop_fd = -1, .ready_fd = -1};
    struct ray_switch *sw = NULL;
    struct ray_err err = {0};
    struct ray_netns netns;
    int node;

    enter(kind, &netns);
    CHILD_CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(control, sizeof control, "%s/control", folder);
    (void)snprintf(path, sizeof path, "%s/node1", folder);
    if (ray_switch_create(&sw, &config, &err) != RAY_OK) {
        child_fail(__LINE__, err.text);
    }
    node = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHILD_CHECK(node >= 0);
    CHILD_CHECK(connect(node, (struct sockaddr *)&address, sizeof address) == 0);
    settle(sw);
    check_udp_out(sw, node);
    check_arp(sw, node);
    (void)close(node);
    ray_switch_destroy(sw);
    (void)rmdir(folder);
    _exit(STATUS_OK);
}

static void test_packet_port(void **state)
{
    (void)state;
    for (enum kind kind = AS_ROOT; kind <= WITH_USER_NS; kind++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            run_packet_port(kind);
        }
        status = wait_status(pid);
        if (status == STATUS_SKIP) {
            skip();
        }
        assert_int_equal(status, STATUS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_root),
        cmocka_unit_test(test_with_user_ns),
        cmocka_unit_test(test_as_ordinary_user),
        cmocka_unit_test(test_guardian_killed),
        cmocka_unit_test(test_signal_is_handed_on),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_join_refused),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_packet_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
