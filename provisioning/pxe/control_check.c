/* provision.check: what can be looked at is looked at at once; the network is asked for some
 * seconds, one check at a time. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "provisioning/pxe/check.h"
#include "provisioning/pxe/control_internal.h"
#include "provisioning/pxe/privileges.h"
#include "provisioning/pxe/probe.h"

enum { PROC_SIZE_MAX = 1 << 20 };

struct control_check {
    struct provision_control *control;
    struct ray_rpc_call *call;
    struct provision_dhcp_probe *probe;
    int http_fd; /* connects to our own HTTP port meanwhile */
    struct provision_checks checks;
};

static const struct provision_config *config_of(const struct control_check *check)
{
    return check->control->service->config.config;
}

/* ---- facts ---- */

static void add_err(struct provision_checks *checks, const char *name,
                    enum provision_check_state state, const struct ray_err *err)
{
    provision_check_next(provision_check_add(checks, name, state, "%s", err->text), "%s",
                         err->next_step);
}

static bool has_carrier(const char *interface)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_running;

    memcpy(request.ifr_name, interface, strnlen(interface, sizeof(request.ifr_name) - 1));
    is_running = fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0 ||
                 (request.ifr_flags & IFF_RUNNING) != 0; /* unknown is no finding */
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_running;
}

static void check_interface(struct control_check *check)
{
    const struct provision_config *config = config_of(check);
    struct ray_err err = {0};

    if (provision_probe_interface(config, &err) != RAY_OK) {
        add_err(&check->checks, "interface", PROVISION_CHECK_FAILED, &err);
    } else if (!has_carrier(config->interface)) {
        provision_check_next(
            provision_check_add(&check->checks, "interface", PROVISION_CHECK_FAILED,
                                "interface '%s' has no carrier", config->interface),
            "look at cable and switch port");
    } else {
        (void)provision_check_add(&check->checks, "interface", PROVISION_CHECK_OK,
                                  "%s is up and has our address", config->interface);
    }
}

static void check_dnsmasq(struct control_check *check)
{
    const struct provision_service *service = check->control->service;

    if (!provision_mode_has_dnsmasq(config_of(check)->mode)) {
        (void)provision_check_add(&check->checks, "dnsmasq", PROVISION_CHECK_SKIPPED,
                                  "mode http runs none");
    } else if (service->dnsmasq != NULL && provision_dnsmasq_is_serving(service->dnsmasq)) {
        (void)provision_check_add(&check->checks, "dnsmasq", PROVISION_CHECK_OK,
                                  "dnsmasq serves DHCP and TFTP");
    } else {
        provision_check_next(provision_check_add(&check->checks, "dnsmasq", PROVISION_CHECK_FAILED,
                                                 "dnsmasq does not serve; it is started again"),
                             "see its last words in the log; run '%s --test --conf-file=%s'",
                             config_of(check)->dnsmasq_path, service->state_dir.conf_path);
    }
}

static void check_ports(struct control_check *check)
{
    const struct provision_service *service = check->control->service;
    uint8_t *text = NULL;
    size_t size = 0;
    struct ray_err err = {0};

    if (ray_file_read(AT_FDCWD, "/proc/net/udp", PROC_SIZE_MAX, &text, &size, &err) != RAY_OK) {
        add_err(&check->checks, "port-67", PROVISION_CHECK_SKIPPED, &err);
        return;
    }
    provision_check_ports(&check->checks, config_of(check), (const char *)text,
                          service->dnsmasq != NULL &&
                              provision_dnsmasq_is_serving(service->dnsmasq));
    free(text);
}

static void check_store(struct control_check *check)
{
    const struct provision_service *service = check->control->service;
    const struct provision_store_image *images = NULL;
    size_t count = provision_store_list(service->store, &images);
    uint64_t now_us = provision_time_now().real_us;
    struct statvfs room;

    provision_check_images(&check->checks, images, count);
    provision_check_clock(&check->checks, images, count, now_us);
    if (statvfs(service->state_dir.path, &room) == 0) {
        provision_check_disk(&check->checks, (uint64_t)room.f_bavail * room.f_frsize, images,
                             count);
    } else {
        struct ray_err err = {0};

        (void)ray_fail_errno(&err, errno, "state folder %s", service->state_dir.path);
        add_err(&check->checks, "disk", PROVISION_CHECK_FAILED, &err);
    }
    provision_check_machines(&check->checks, service->table, now_us);
}

/* ---- our own HTTP port, as a machine would reach it ---- */

static void connect_http(struct control_check *check)
{
    const struct provision_config *config = config_of(check);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(config->http_port),
                                        .sin_addr.s_addr = htonl(config->address)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 &&
        errno != EINPROGRESS) {
        (void)close(fd);
        fd = -1;
    }
    check->http_fd = fd;
}

static void finish_http(struct control_check *check)
{
    struct pollfd done = {.fd = check->http_fd, .events = POLLOUT};
    unsigned port = config_of(check)->http_port;
    socklen_t size = sizeof(int);
    int errnum = ETIMEDOUT;

    if (check->http_fd >= 0 && poll(&done, 1, 0) == 1 &&
        getsockopt(check->http_fd, SOL_SOCKET, SO_ERROR, &errnum, &size) != 0) {
        errnum = errno;
    }
    if (check->http_fd >= 0 && errnum == 0) {
        (void)provision_check_add(&check->checks, "port-http", PROVISION_CHECK_OK,
                                  "TCP port %u answers", port);
    } else {
        provision_check_next(provision_check_add(&check->checks, "port-http",
                                                 PROVISION_CHECK_FAILED,
                                                 "TCP port %u of our address does not answer: %s",
                                                 port, strerror(errnum)),
                             "look for a firewall: run 'nft list ruleset'");
    }
}

/* ---- a check from its call to its answer ---- */

static void free_check(struct control_check *check)
{
    assert(check->control->check == check);
    check->control->check = NULL;
    provision_dhcp_probe_destroy(check->probe);
    if (check->http_fd >= 0) {
        (void)close(check->http_fd);
    }
    free(check);
}

static void on_left(void *arg)
{
    free_check(arg);
}

static void reply(struct control_check *check)
{
    Rayos__Provision__CheckReport report = RAYOS__PROVISION__CHECK_REPORT__INIT;
    Rayos__Provision__CheckResult results[PROVISION_CHECK_COUNT_MAX];
    Rayos__Provision__CheckResult *table[PROVISION_CHECK_COUNT_MAX];

    for (size_t i = 0; i < check->checks.count; i++) {
        struct provision_check *item = &check->checks.items[i];

        rayos__provision__check_result__init(&results[i]);
        results[i].name = control_text(item->name);
        results[i].state = control_text(provision_check_state_word(item->state));
        results[i].text = item->text;
        results[i].next = item->next;
        table[i] = &results[i];
    }
    report.results = table;
    report.n_results = check->checks.count;
    (void)ray_rpc_reply(check->call, &report.base); /* the caller may have left */
    free_check(check);
}

static void on_servers(void *arg, const struct provision_probe_server *servers, size_t count)
{
    struct control_check *check = arg;

    provision_check_servers(&check->checks, config_of(check), servers, count);
    finish_http(check);
    reply(check);
}

/* The service has put its capabilities to rest; this one is needed for one call. */
static int start_probe(struct control_check *check, struct ray_err *err)
{
    const struct provision_dhcp_probe_config probe = {.interface = config_of(check)->interface,
                                                      .own_address = config_of(check)->address,
                                                      .on_end = on_servers,
                                                      .arg = check};
    int rc;

    provision_privileges_raise();
    rc = provision_dhcp_probe_create(&check->probe, check->control->service->loop, &probe, err);
    if (config_of(check)->user[0] != '\0') {
        (void)provision_privileges_rest(NULL); /* what could be raised can be lowered */
    }
    return rc;
}

void control_check(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct provision_control *control = arg;
    struct control_check *check;
    struct ray_err err = {0};

    (void)input;
    if (!control_may_change(control, call)) {
        return;
    }
    if (control->check != NULL) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "another check is going on");
        (void)ray_next(&err, "try again in some seconds");
        control_fail(call, &err);
        return;
    }
    check = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*check));
    if (check == NULL) {
        control_fail_memory(call);
        return;
    }
    check->control = control;
    check->call = call;
    control->check = check;
    check_interface(check);
    check_dnsmasq(check);
    check_ports(check);
    check_store(check);
    connect_http(check);
    ray_rpc_call_on_cancel(call, on_left, check);
    if (start_probe(check, &err) != RAY_OK) {
        add_err(&check->checks, "dhcp-server", PROVISION_CHECK_SKIPPED, &err);
        finish_http(check);
        reply(check);
    }
}

void control_check_abandon(struct provision_control *control)
{
    if (control->check != NULL) {
        struct ray_rpc_call *call = control->check->call;
        struct ray_err err = {0};

        free_check(control->check);
        (void)ray_fail(&err, RAY_ECANCELED, "the service is stopping");
        control_fail(call, &err);
    }
}
