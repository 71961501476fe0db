/* switch_wire_test.c - the real parts together: two QEMUs boot their network ROM through the
 * switch process and its packet port against a dnsmasq on the veth pair, all in the lab's own
 * namespaces; then the switch is killed and started again under the running machines. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/test.h"
#include "clusterctl/lab/netns.h"
#include "clusterctl/lab/switch.h"
#include "clusterctl/lab/switch_client.h"

enum { NODE_COUNT = 2, LIMIT_MS = 120000, STATUS_OK = 42, STATUS_SKIP = 77 };

static const char qemu_path[] = "/usr/bin/qemu-system-x86_64";
static const char dnsmasq_path[] = "/usr/sbin/dnsmasq";

struct wire {
    char folder[64];
    char control[96];
    char nodes[NODE_COUNT][96];
    int log_fd; /* what dnsmasq says */
    pid_t switch_pid;
};

static _Noreturn void child_fail(int line, const char *what)
{
    (void)fprintf(stderr, "switch_wire_test.c:%d: %s (errno: %s)\n", line, what, strerror(errno));
    _exit(1);
}

#define CHILD_CHECK(condition) ((condition) ? (void)0 : child_fail(__LINE__, #condition))

static void on_alarm(int signum)
{
    (void)signum;
    _exit(1); /* async-signal-safe; ends the whole lab */
}

static void start_switch(struct wire *wire)
{
    const struct ray_switch_port_config ports[] = {
        {.name = "host", .kind = RAY_SWITCH_PORT_PACKET, .path = "lab0sw"},
        {.name = "node1", .kind = RAY_SWITCH_PORT_STREAM, .path = wire->nodes[0]},
        {.name = "node2", .kind = RAY_SWITCH_PORT_STREAM, .path = wire->nodes[1]},
    };
    int pipes[2];
    char line[64];

    CHILD_CHECK(pipe(pipes) == 0);
    wire->switch_pid = fork();
    CHILD_CHECK(wire->switch_pid >= 0);
    if (wire->switch_pid == 0) {
        const struct ray_switch_config config = {.ports = ports,
                                                 .port_count = NODE_COUNT + 1,
                                                 .control_path = wire->control,
                                                 .ready_fd = pipes[1]};

        (void)close(pipes[0]);
        _exit(ray_switch_main(&config));
    }
    (void)close(pipes[1]);
    CHILD_CHECK(read(pipes[0], line, sizeof line) > 0);
    (void)close(pipes[0]);
}

static void start_dnsmasq(struct wire *wire)
{
    char leases[96];
    char root[96];
    int pipes[2];
    pid_t pid;

    (void)snprintf(leases, sizeof leases, "--dhcp-leasefile=%s/leases", wire->folder);
    (void)snprintf(root, sizeof root, "--tftp-root=%s", wire->folder);
    CHILD_CHECK(pipe(pipes) == 0);
    pid = fork();
    CHILD_CHECK(pid >= 0);
    if (pid == 0) {
        CHILD_CHECK(dup2(pipes[1], 1) == 1 && dup2(pipes[1], 2) == 2);
        /* Without --no-daemon it calls setgroups, which a user namespace of one id denies. */
        (void)execl(dnsmasq_path, "dnsmasq", "--no-daemon", "--no-ping", "--conf-file=/dev/null",
                    "--port=0", "--interface=lab0", "--bind-interfaces",
                    "--dhcp-range=10.77.0.20,10.77.0.250,255.255.255.0,1h", "--enable-tftp",
                    "--dhcp-boot=wire.ipxe", leases, root, (char *)NULL);
        child_fail(__LINE__, "exec of dnsmasq");
    }
    (void)close(pipes[1]);
    wire->log_fd = pipes[0];
}

static void start_qemu(const struct wire *wire, size_t index)
{
    char netdev[256];
    char device[128];
    pid_t pid = fork();

    CHILD_CHECK(pid >= 0);
    if (pid != 0) {
        return;
    }
    (void)snprintf(netdev, sizeof netdev,
                   "stream,id=n,server=off,addr.type=unix,addr.path=%s,reconnect-ms=300",
                   wire->nodes[index]);
    (void)snprintf(device, sizeof device, "virtio-net-pci,netdev=n,mac=52:54:00:77:00:%02zx",
                   index + 21);
    (void)execl(qemu_path, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "128",
                "-display", "none", "-nodefaults", "-boot", "n", "-netdev", netdev, "-device",
                device, (char *)NULL);
    child_fail(__LINE__, "exec of QEMU");
}

/* Waits until dnsmasq has given each machine an address and sent it the file. */
static void wait_for_boots(struct wire *wire)
{
    uint64_t deadline_ns = ray_clock_monotonic_ns() + LIMIT_MS * RAY_NS_PER_MS;
    bool has_address[NODE_COUNT] = {false};
    size_t sent_count = 0;
    FILE *log = fdopen(wire->log_fd, "r");
    char line[512];

    CHILD_CHECK(log != NULL);
    /* A silent dnsmasq; pid 1 gets only the signals that it handles. */
    CHILD_CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
    (void)alarm(LIMIT_MS / 1000);
    while (!has_address[0] || !has_address[1] || sent_count < NODE_COUNT) {
        CHILD_CHECK(fgets(line, sizeof line, log) != NULL);
        CHILD_CHECK(ray_clock_monotonic_ns() < deadline_ns);
        (void)fputs(line, stderr);
        if (strstr(line, "DHCPACK(lab0)") != NULL) {
            has_address[0] = has_address[0] || strstr(line, "52:54:00:77:00:15") != NULL;
            has_address[1] = has_address[1] || strstr(line, "52:54:00:77:00:16") != NULL;
        }
        sent_count += strstr(line, "dnsmasq-tftp") != NULL && strstr(line, ": sent ") != NULL;
    }
    (void)alarm(0);
    (void)fclose(log); /* dnsmasq has done its work and may find nobody listening */
}

static yyjson_doc *read_stats(const struct wire *wire)
{
    struct ray_err err = {0};
    struct ray_buf reply;
    yyjson_doc *doc;

    ray_buf_init(&reply, 1 << 20);
    if (ray_switch_client_call(wire->control, "stats", LIMIT_MS, &reply, &err) != RAY_OK) {
        child_fail(__LINE__, err.text);
    }
    doc = yyjson_read(ray_buf_text(&reply), reply.size, 0);
    CHILD_CHECK(doc != NULL);
    ray_buf_fini(&reply);
    return doc;
}

/* Nothing was lost that a fault did not take. */
static void check_counts(const struct wire *wire)
{
    static const char *const drops[] = {"queue_drops", "age_drops", "oversize_drops", "runt_drops",
                                        "kernel_drops"};
    yyjson_doc *doc = read_stats(wire);
    yyjson_val *port;
    size_t index;
    size_t max;

    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "ports"), index, max, port)
    {
        for (size_t i = 0; i < sizeof drops / sizeof drops[0]; i++) {
            CHILD_CHECK(yyjson_get_uint(yyjson_obj_get(port, drops[i])) == 0);
        }
        CHILD_CHECK(yyjson_get_uint(yyjson_obj_get(port, "rx_frames")) > 0);
    }
    yyjson_doc_free(doc);
}

static size_t connected_count(const struct wire *wire)
{
    yyjson_doc *doc = read_stats(wire);
    size_t count = 0;
    yyjson_val *port;
    size_t index;
    size_t max;

    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "ports"), index, max, port)
    {
        count += yyjson_get_bool(yyjson_obj_get(port, "connected"));
    }
    yyjson_doc_free(doc);
    return count;
}

/* The machines find a new switch by themselves. */
static void replace_switch(struct wire *wire)
{
    uint64_t deadline_ns = ray_clock_monotonic_ns() + LIMIT_MS * RAY_NS_PER_MS;

    CHILD_CHECK(kill(wire->switch_pid, SIGKILL) == 0);
    CHILD_CHECK(waitpid(wire->switch_pid, NULL, 0) == wire->switch_pid);
    start_switch(wire);
    while (connected_count(wire) < NODE_COUNT + 1) {
        CHILD_CHECK(ray_clock_monotonic_ns() < deadline_ns);
        (void)poll(NULL, 0, 10); /* between two questions */
    }
}

static _Noreturn void run(enum ray_netns_user user)
{
    const struct ray_netns_config config = {
        .user = user, .host_name = "lab0", .switch_name = "lab0sw", .address = "10.77.0.1/24"};
    static const char script[] = "#!ipxe\nshell\n";
    struct wire wire = {.folder = "/tmp/switch_wire.XXXXXX"};
    struct ray_netns netns;
    struct ray_err err = {0};
    char path[96];
    int rc = ray_netns_enter_new(&config, &netns, &err);

    if (rc != RAY_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        _exit(rc == RAY_EDENIED ? STATUS_SKIP : 1);
    }
    CHILD_CHECK(mkdtemp(wire.folder) != NULL && chmod(wire.folder, 0755) == 0);
    (void)snprintf(wire.control, sizeof wire.control, "%s/control", wire.folder);
    for (size_t i = 0; i < NODE_COUNT; i++) {
        (void)snprintf(wire.nodes[i], sizeof wire.nodes[i], "%s/node%zu", wire.folder, i + 1);
    }
    (void)snprintf(path, sizeof path, "%s/wire.ipxe", wire.folder);
    CHILD_CHECK(ray_atomic_write(AT_FDCWD, path, script, sizeof script - 1, 0644, &err) == RAY_OK);
    start_switch(&wire);
    start_dnsmasq(&wire);
    for (size_t i = 0; i < NODE_COUNT; i++) {
        start_qemu(&wire, i);
    }
    wait_for_boots(&wire);
    check_counts(&wire);
    replace_switch(&wire);
    _exit(STATUS_OK); /* as pid 1: the kernel ends the rest */
}

static void check(enum ray_netns_user user)
{
    int status = 0;
    pid_t pid;

    if (access(qemu_path, X_OK) != 0 || access(dnsmasq_path, X_OK) != 0) {
        skip();
    }
    pid = fork();
    if (pid == 0) {
        run(user);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == STATUS_SKIP) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), STATUS_OK);
}

static void test_plain_namespaces(void **state)
{
    (void)state;
    check(RAY_NETNS_USER_AUTO);
}

static void test_user_namespace(void **state)
{
    (void)state;
    check(RAY_NETNS_USER_ALWAYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_namespaces),
        cmocka_unit_test(test_user_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
