/* clusterctl/lab/services.c - see services.h. */
#include "clusterctl/lab/services.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "clusterctl/lab/argv.h"
#include "clusterctl/lab/lab.h"
#include "clusterctl/lab/provision_event.h"
#include "clusterctl/lab/switch_client.h"

enum { STOP_GRACE_MS = 3000, SWITCH_TIMEOUT_MS = 2000, READY_FD = 3 };

#define CAPTURE_SIZE_MAX "512M"

extern char **environ;

static void service_init(struct lab_service *service)
{
    lab_stream_init(&service->stream);
    lab_output_init(&service->output);
}

static void service_close(struct lab_service *service)
{
    if (lab_stream_is_open(&service->stream)) {
        lab_stream_drain(&service->stream);
    }
    lab_stream_close(&service->stream);
    lab_output_close(&service->output);
}

void lab_services_init(struct lab *lab)
{
    lab->services = (struct lab_services){.provision_log = {.fd = -1}};
    service_init(&lab->services.net);
    service_init(&lab->services.provision);
}

void lab_services_fini(struct lab *lab)
{
    service_close(&lab->services.net);
    service_close(&lab->services.provision);
    lab_logfile_close(&lab->services.provision_log);
}

bool lab_services_are_running(const struct lab *lab)
{
    return lab_process_is_running(&lab->services.net.process) ||
           lab_process_is_running(&lab->services.provision.process);
}

void lab_services_stop(struct lab *lab)
{
    lab_process_stop(&lab->services.provision.process, STOP_GRACE_MS);
    lab_process_stop(&lab->services.net.process, STOP_GRACE_MS);
}

/* A program of ours, and what we want of it. */
struct service_spec {
    const struct lab_argv *argv;
    const char *log_name; /* for its standard error */
    int child_fd;         /* the number on which it tells us something */
    void (*on_data)(void *arg, const uint8_t *bytes, size_t size); /* what it tells */
    void (*on_exit)(void *arg, const struct ray_child_exit *how);
};

static int spawn(struct lab *lab, struct lab_service *service, const struct service_spec *spec,
                 const struct ray_child_fd *fds, struct ray_err *err)
{
    const struct ray_child_spec child = {
        .path = spec->argv->items[0],
        .argv = spec->argv->items,
        .envp = (const char *const *)environ,
        .dir = lab->paths.dir,
        .fds = fds,
        .fd_count = 2,
        .keeps_all_caps = true,
        .cgroup_fd = -1,
    };

    return lab_process_start(&service->process, &lab->processes, &child, spec->on_exit, lab, err);
}

static int service_start(struct lab *lab, struct lab_service *service,
                         const struct service_spec *spec, struct ray_err *err)
{
    int pair[2];
    int log_fd = -1;
    int rc =
        lab_output_open(&service->output, &lab->loop, lab->dir_fd, spec->log_name, &log_fd, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        rc = ray_fail_errno(err, errno, "socket pair");
    } else {
        const struct ray_child_fd fds[] = {{log_fd, 2}, {pair[1], spec->child_fd}};

        rc = lab_stream_open(&service->stream, &lab->loop, pair[0], spec->on_data, lab, err);
        rc = rc == RAY_OK ? spawn(lab, service, spec, fds, err) : rc;
        (void)close(pair[1]); /* the service has its own */
    }
    (void)close(log_fd); /* as above */
    if (rc != RAY_OK) {
        service_close(service);
    }
    return rc;
}

/* ---- the switch ---- */

static void start_capture(struct lab *lab)
{
    struct ray_err err = {0};

    if (lab->config.captures &&
        lab_switch_command(lab, NULL, &err, "pcap all " LAB_FILE_CAPTURE " " CAPTURE_SIZE_MAX) !=
            RAY_OK) {
        lab_failed(lab, "capture: %s", err.text);
    }
}

static void on_switch_ready(void *arg, const uint8_t *bytes, size_t size)
{
    struct lab *lab = arg;
    char text[64];

    if (!lab->services.is_switch_ready) {
        lab->services.is_switch_ready = true;
        while (size > 0 && bytes[size - 1] == '\n') {
            size--;
        }
        (void)ray_escape(text, sizeof text, bytes, size);
        lab_event(lab, LAB_KIND_LAB, NULL, "switch %s", text);
        start_capture(lab);
        lab_step_end(lab);
    }
}

static void on_switch_exit(void *arg, const struct ray_child_exit *how)
{
    struct lab *lab = arg;
    char text[48];

    service_close(&lab->services.net);
    if (lab->state != LAB_STATE_STOPPING) {
        lab_failed(lab, "the switch ended with %s: %s", ray_child_exit_text(how, text),
                   lab->services.net.output.last_line);
        lab_stop(lab, "the switch ended");
    }
    lab_check_stopped(lab);
}

int lab_switch_start(struct lab *lab, struct ray_err *err)
{
    struct lab_argv argv;
    int rc;

    lab_argv_init(&argv);
    lab_argv_push(&argv, "%s", lab->paths.program);
    lab_argv_push(&argv, "lab");
    lab_argv_push(&argv, "switch");
    lab_argv_pair(&argv, "--control", "%s", LAB_FILE_SWITCH);
    lab_argv_pair(&argv, "--seed", "%llu", (unsigned long long)lab->config.seed);
    lab_argv_pair(&argv, "--ready-fd", "%d", READY_FD);
    lab_argv_pair(&argv, "--packet", "host=%s", LAB_SWITCH_INTERFACE);
    if (lab_dhcp_has_foreign(lab->config.dhcp)) {
        lab_argv_pair(&argv, "--packet", "foreign=%s", LAB_FOREIGN_SWITCH_INTERFACE);
    }
    for (uint32_t i = 0; i < lab->config.node_count; i++) {
        struct lab_identity who;

        lab_identity(i, &who);
        lab_argv_push(&argv, "%s=" LAB_DIR_PORTS "/%s.sock", who.name, who.name);
    }
    rc = lab_argv_check(&argv, err);
    if (rc == RAY_OK) {
        const struct service_spec spec = {
            .argv = &argv,
            .log_name = LAB_FILE_SWITCH_LOG,
            .child_fd = READY_FD,
            .on_data = on_switch_ready,
            .on_exit = on_switch_exit,
        };

        rc = service_start(lab, &lab->services.net, &spec, err);
    }
    lab_argv_fini(&argv);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "switch");
    }
    lab_step_begin(lab);
    return RAY_OK;
}

int lab_switch_command(const struct lab *lab, struct ray_buf *reply, struct ray_err *err,
                       const char *fmt, ...)
{
    struct ray_buf unwanted;
    char command[LAB_REASON_SIZE];
    va_list ap;
    int size;
    int rc;

    va_start(ap, fmt);
    size = vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    if (!lab->services.is_switch_ready) {
        return ray_fail(err, RAY_EUNAVAILABLE, "the switch is not up yet");
    }
    if (size < 0 || (size_t)size >= sizeof command) {
        return ray_fail(err, RAY_ETOOBIG, "command to the switch of %d bytes", size);
    }
    ray_buf_init(&unwanted, 64 << 10);
    rc = ray_switch_client_call(LAB_FILE_SWITCH, command, SWITCH_TIMEOUT_MS,
                                reply != NULL ? reply : &unwanted, err);
    ray_buf_fini(&unwanted);
    return rc;
}

/* ---- rayos-provision ---- */

/* The machine that an event is about, or NULL. */
static struct lab_node *node_of(struct lab *lab, const struct lab_provision_event *event)
{
    for (size_t i = 0; i < lab->node_count; i++) {
        struct lab_node *node = &lab->nodes[i];

        if (strcmp(node->who.mac, event->mac) == 0 ||
            (event->mac[0] == '\0' && strcmp(node->who.address, event->ip) == 0)) {
            return node;
        }
    }
    return NULL;
}

static void move_phase(struct lab_node *node, const struct lab_provision_event *event,
                       uint64_t t_us)
{
    switch (event->kind) {
    case LAB_PROVISION_DHCP_DISCOVER:
        lab_node_phase_event(node, LAB_EVENT_DHCP_DISCOVER, t_us);
        break;
    case LAB_PROVISION_TFTP:
    case LAB_PROVISION_SCRIPT:
        lab_node_phase_event(node, LAB_EVENT_BOOT_FILE, t_us);
        break;
    case LAB_PROVISION_HTTP_START:
        lab_node_phase_event(node, LAB_EVENT_HTTP_START, t_us);
        break;
    case LAB_PROVISION_HTTP_DONE:
        if (lab_provision_event_ends_download(event)) {
            lab_node_phase_event(node, LAB_EVENT_HTTP_DONE, t_us);
        }
        break;
    default:
        break;
    }
}

static void on_provision_line(void *arg, const char *line, size_t size)
{
    struct lab *lab = arg;
    struct lab_provision_event event;
    struct lab_node *node;
    struct ray_err err = {0};
    uint64_t start_us = lab->start_ns / RAY_NS_PER_US;
    uint64_t t_us;

    lab_logfile_line(&lab->services.provision_log, line, size);
    if (lab_provision_event_parse(line, size, &event, &err) != RAY_OK) {
        lab_event(lab, LAB_KIND_ERROR, NULL, "%s", err.text);
        return;
    }
    t_us = event.t_us > start_us ? event.t_us - start_us : 0;
    node = node_of(lab, &event);
    lab_event(lab, event.kind == LAB_PROVISION_ERROR ? LAB_KIND_ERROR : LAB_KIND_PROVISION, node,
              "%s%s%s%s%s", event.name, event.ip[0] != '\0' ? " " : "", event.ip,
              event.detail[0] != '\0' ? " " : "", event.detail);
    if (event.kind == LAB_PROVISION_LISTENING && !lab->services.is_provision_ready) {
        lab->services.is_provision_ready = true;
        lab_step_end(lab);
    } else if (node != NULL) {
        move_phase(node, &event, t_us);
    }
}

static void on_provision_data(void *arg, const uint8_t *bytes, size_t size)
{
    struct lab *lab = arg;

    lab_lines_feed(&lab->services.provision_lines, bytes, size);
}

static void on_provision_exit(void *arg, const struct ray_child_exit *how)
{
    struct lab *lab = arg;
    char text[48];

    service_close(&lab->services.provision);
    (void)ray_child_exit_text(how, text);
    if (lab->state == LAB_STATE_STARTING) {
        lab_failed(lab, "rayos-provision ended with %s: %s", text,
                   lab->services.provision.output.last_line);
    } else if (lab->state == LAB_STATE_UP) {
        lab_event(lab, LAB_KIND_EXIT, NULL, "rayos-provision ended with %s: %s", text,
                  lab->services.provision.output.last_line);
    }
    lab_check_stopped(lab);
}

/* Beside a foreign server only that one gives addresses. */
static void push_mode(const struct lab *lab, struct lab_argv *argv)
{
    if (lab->config.dhcp == LAB_DHCP_FOREIGN) {
        lab_argv_pair(argv, "--mode", "proxy");
        return;
    }
    lab_argv_pair(argv, "--mode", "dhcp");
    lab_argv_pair(argv, "--range", "10.77.0.100,10.77.0.250");
    for (uint32_t i = 0; i < lab->config.node_count; i++) {
        struct lab_identity who;

        lab_identity(i, &who);
        lab_argv_pair(argv, "--host", "%s,%s,%s", who.mac, who.address, who.name);
    }
}

int lab_provision_kill(struct lab *lab, struct ray_err *err)
{
    if (!lab_process_is_running(&lab->services.provision.process)) {
        return ray_fail(err, RAY_ECONFLICT, "rayos-provision does not run");
    }
    lab_process_stop(&lab->services.provision.process, 0);
    return RAY_OK;
}

int lab_provision_start(struct lab *lab, struct ray_err *err)
{
    struct lab_services *services = &lab->services;
    struct lab_argv argv;
    int rc;

    if (!lab_dhcp_has_provision(lab->config.dhcp)) {
        return ray_fail(err, RAY_ECONFLICT, "this lab has no rayos-provision: --dhcp bare");
    }
    if (lab_process_is_running(&services->provision.process)) {
        return ray_fail(err, RAY_ECONFLICT, "rayos-provision runs already");
    }
    services->is_provision_ready = false;
    lab_logfile_close(&services->provision_log);
    rc = lab_logfile_open(&services->provision_log, lab->dir_fd, LAB_FILE_PROVISION_EVENTS,
                          LAB_LOGFILE_SIZE_MAX, err);
    if (rc != RAY_OK) {
        return rc;
    }
    lab_lines_init(&services->provision_lines, on_provision_line, lab);
    lab_argv_init(&argv);
    lab_argv_push(&argv, "%s/rayos-provision", lab->paths.bin_dir);
    lab_argv_push(&argv, "serve");
    lab_argv_pair(&argv, "--interface", "%s", LAB_INTERFACE);
    lab_argv_pair(&argv, "--address", "%s/%d", LAB_HOST_ADDRESS, LAB_NETWORK_PREFIX);
    push_mode(lab, &argv);
    lab_argv_pair(&argv, "--image-dir", "%s", lab->config.image_dir);
    lab_argv_pair(&argv, "--state-dir", "%s/%s", lab->paths.dir, LAB_DIR_PROVISION);
    lab_argv_pair(&argv, "--http-port", "%d", LAB_HTTP_PORT);
    rc = lab_argv_check(&argv, err);
    if (rc == RAY_OK) {
        const struct service_spec spec = {
            .argv = &argv,
            .log_name = LAB_FILE_PROVISION_LOG,
            .child_fd = STDOUT_FILENO,
            .on_data = on_provision_data,
            .on_exit = on_provision_exit,
        };

        rc = service_start(lab, &services->provision, &spec, err);
    }
    lab_argv_fini(&argv);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "rayos-provision");
    }
    lab_step_begin(lab);
    return RAY_OK;
}
