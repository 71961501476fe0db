/* clusterctl/lab/supervisor.c - see supervisor.h.
 *
 * Order of a start: namespaces, folders, control socket ("ok" to whoever started us), then in
 * parallel switch, data disks and rayos-provision; when the last of these steps has ended
 * the machines are switched on. Order of a stop: machines, then services, then the report,
 * then everything but report and logs is removed. */
#include "clusterctl/lab/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "clusterctl/lab/control.h"
#include "clusterctl/lab/foreign_dhcp.h"
#include "clusterctl/lab/lab.h"
#include "clusterctl/lab/machine.h"
#include "clusterctl/lab/netns.h"
#include "clusterctl/lab/prepare.h"
#include "clusterctl/lab/record.h"
#include "clusterctl/lab/report.h"
#include "clusterctl/lab/tidy.h"

enum { STATE_SIZE_MAX = 256 << 10, SWITCH_STATS_SIZE_MAX = 256 << 10, STOP_GRACE_MS = 3000 };

uint64_t lab_now_us(const struct lab *lab)
{
    return (ray_clock_monotonic_ns() - lab->start_ns) / RAY_NS_PER_US;
}

void lab_event(struct lab *lab, enum lab_event_kind kind, const struct lab_node *node,
               const char *fmt, ...)
{
    const struct lab_event *event;
    va_list ap;

    va_start(ap, fmt);
    event = lab_events_add(&lab->events, lab_now_us(lab), kind,
                           node != NULL ? (int)node->index : LAB_EVENT_NO_NODE, fmt, ap);
    va_end(ap);
    lab_report_event(lab, event);
    /* What machines bring about at will stays in the bounded list of events. */
    if (kind != LAB_KIND_MARKER && kind != LAB_KIND_PROVISION) {
        ray_log(lab->logger, kind == LAB_KIND_ERROR ? RAY_LOG_ERROR : RAY_LOG_INFO, "lab",
                "%s%s%s: %s", lab_event_kind_name(kind), node != NULL ? " " : "",
                node != NULL ? node->who.name : "", event->text);
    }
    lab_control_changed(lab);
}

void lab_failed(struct lab *lab, const char *fmt, ...)
{
    char text[LAB_REASON_SIZE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (lab->failure[0] == '\0') {
        (void)snprintf(lab->failure, sizeof lab->failure, "%s", text);
    }
    lab_event(lab, LAB_KIND_ERROR, NULL, "%s", text);
}

struct lab_node *lab_node_by_name(struct lab *lab, const char *name, struct ray_err *err)
{
    size_t index;

    if (lab_node_find(&lab->config, name, &index, err) != RAY_OK) {
        return NULL;
    }
    assert(index < lab->node_count);
    return &lab->nodes[index];
}

size_t lab_ready_count(const struct lab *lab)
{
    size_t count = 0;

    for (size_t i = 0; i < lab->node_count; i++) {
        count += lab->nodes[i].phases.phase == LAB_PHASE_READY ? 1 : 0;
    }
    return count;
}

static size_t quorate_count(const struct lab *lab)
{
    size_t count = 0;

    for (size_t i = 0; i < lab->node_count; i++) {
        const struct lab_node *node = &lab->nodes[i];

        count += lab_cluster_heard(&node->markers, node->phases.boot_count) ==
                 lab_cluster_voters(lab->config.node_count);
    }
    return count;
}

static void check_quorate(struct lab *lab)
{
    if (lab->config.makes_cluster && lab->quorate_us == 0 &&
        quorate_count(lab) == lab->config.node_count) {
        lab->quorate_us = lab_now_us(lab);
        lab_event(lab, LAB_KIND_LAB, NULL, "all nodes are in one cluster: %u voters",
                  lab_cluster_voters(lab->config.node_count));
    }
}

void lab_check_ready(struct lab *lab)
{
    if (lab->ready_us == 0 && lab_ready_count(lab) == lab->config.node_count) {
        lab->ready_us = lab_now_us(lab);
        lab_event(lab, LAB_KIND_LAB, NULL, "all %u nodes are ready", lab->config.node_count);
    }
    check_quorate(lab);
}

/* ---- start ---- */

static void power_on_all(struct lab *lab)
{
    struct ray_err err = {0};

    lab->state = LAB_STATE_UP;
    for (size_t i = 0; i < lab->node_count; i++) {
        if (lab_node_power_on(&lab->nodes[i], &err) != RAY_OK) {
            lab_failed(lab, "%s", err.text);
        }
    }
}

void lab_step_begin(struct lab *lab)
{
    lab->preparing_count++;
}

void lab_step_end(struct lab *lab)
{
    assert(lab->preparing_count > 0);
    lab->preparing_count--;
    if (lab->preparing_count == 0 && lab->state == LAB_STATE_STARTING && lab->failure[0] == '\0') {
        power_on_all(lab);
    }
}

static void on_signal(void *arg, int signum)
{
    lab_stop(arg, signum == SIGINT ? "interrupted" : "terminated");
}

static int read_config(struct lab *lab, struct ray_err *err)
{
    uint8_t *text = NULL;
    size_t size = 0;
    int rc = ray_file_read(lab->dir_fd, LAB_FILE_STATE, STATE_SIZE_MAX, &text, &size, err);

    if (rc == RAY_OK) {
        rc = lab_config_read((const char *)text, size, &lab->config, err);
    }
    free(text);
    return rc;
}

static int record_self(struct lab *lab, struct ray_err *err)
{
    uint64_t ticks;
    int rc = lab_process_start_ticks(0, &ticks, err);

    return rc == RAY_OK ? lab_record_write(&lab->paths, lab->host_pid, ticks, err) : rc;
}

/* Everything that the control socket shows. */
static int open_lab(struct lab *lab, struct ray_err *err)
{
    int rc = record_self(lab, err);

    rc = rc == RAY_OK ? lab_image_read(lab, err) : rc;
    rc = rc == RAY_OK ? lab_prepare_folders(lab, err) : rc;
    rc = rc == RAY_OK ? lab_events_init(&lab->events, err) : rc;
    rc = rc == RAY_OK ? lab_logfile_open(&lab->events_log, lab->dir_fd, LAB_FILE_EVENTS,
                                         LAB_LOGFILE_SIZE_MAX, err)
                      : rc;
    rc = rc == RAY_OK ? ray_loop_init(&lab->loop, err) : rc;
    rc = rc == RAY_OK ? lab_processes_init(&lab->processes, &lab->loop, err) : rc;
    rc = rc == RAY_OK ? ray_signal_init(&lab->sigterm, &lab->loop, SIGTERM, on_signal, lab, err)
                      : rc;
    rc = rc == RAY_OK ? ray_signal_init(&lab->sigint, &lab->loop, SIGINT, on_signal, lab, err) : rc;
    rc = rc == RAY_OK && lab->config.makes_cluster
             ? lab_cluster_init(&lab->cluster, &lab->config, err)
             : rc;
    for (size_t i = 0; rc == RAY_OK && i < lab->config.node_count; i++) {
        lab->node_count++;
        rc = lab_node_init(&lab->nodes[i], lab, i, err);
        rc = rc == RAY_OK ? lab_prepare_credentials(lab, &lab->nodes[i], err) : rc;
    }
    return rc == RAY_OK ? lab_control_create(lab, err) : rc;
}

static int start_steps(struct lab *lab, struct ray_err *err)
{
    int rc;

    lab_step_begin(lab); /* this function is a step: nothing is over before it is */
    rc = lab_switch_start(lab, err);
    rc = rc == RAY_OK ? lab_prepare_disks(lab, err) : rc;
    /* Machines that boot without it get their addresses from it all the same. */
    if (rc == RAY_OK && lab_dhcp_has_provision(lab->config.dhcp)) {
        rc = lab_provision_start(lab, err);
    }
    rc = rc == RAY_OK ? lab_foreign_dhcp_start(lab, err) : rc;
    if (rc != RAY_OK) {
        lab_failed(lab, "%s", err->text);
    }
    lab_step_end(lab);
    return rc;
}

/* ---- stop ---- */

void lab_stop(struct lab *lab, const char *reason)
{
    if (lab->state == LAB_STATE_STOPPING) {
        return;
    }
    lab->state = LAB_STATE_STOPPING;
    lab_event(lab, LAB_KIND_LAB, NULL, "going down: %s", reason);
    lab_report_keep_switch(lab);
    /* Machines, makers of disks, commands of `lab enter`; the services are last. */
    lab_processes_stop_others(&lab->processes, &lab->services.net.process,
                              &lab->services.provision.process, STOP_GRACE_MS);
    lab_check_stopped(lab);
}

void lab_check_stopped(struct lab *lab)
{
    if (lab->state != LAB_STATE_STOPPING) {
        return;
    }
    if (lab_processes_other_run(&lab->processes, &lab->services.net.process,
                                &lab->services.provision.process)) {
        return;
    }
    if (lab_services_are_running(lab)) {
        lab_services_stop(lab);
        return;
    }
    ray_loop_stop(&lab->loop);
}

/* The answer to lab.down comes when nothing is left to do but to end. */
static void close_lab(struct lab *lab)
{
    struct ray_err err = {0};

    if (lab->events.items != NULL && lab_report_write(lab, &err) != RAY_OK) {
        ray_log(lab->logger, RAY_LOG_ERROR, "lab", "report: %s", err.text);
    }
    if (lab_tidy(lab->dir_fd, ".", &err) != RAY_OK) {
        ray_log(lab->logger, RAY_LOG_ERROR, "lab", "tidying up: %s", err.text);
    }
    lab_control_stopped(lab);
    lab_control_destroy(lab);
    for (size_t i = 0; i < lab->node_count; i++) {
        lab_node_fini(&lab->nodes[i]);
    }
    lab_cluster_fini(&lab->cluster);
    lab_services_fini(lab);
    lab_processes_fini(&lab->processes);
    ray_signal_fini(&lab->sigterm);
    ray_signal_fini(&lab->sigint);
    ray_loop_fini(&lab->loop);
    lab_logfile_close(&lab->events_log);
    lab_events_fini(&lab->events);
    ray_buf_fini(&lab->switch_stats);
}

/* ---- the process ---- */

/* One line to whoever started us. */
static void tell(int ready_fd, int rc, const struct ray_err *err)
{
    char line[2 * RAY_ERR_TEXT_SIZE];
    int size = rc == RAY_OK ? snprintf(line, sizeof line, "ok\n")
                            : snprintf(line, sizeof line, "error %s\t%s\t%s\n",
                                       ray_err_api_code(rc), err->text, err->next_step);

    /* Nobody listens any more: then nobody needs to know. */
    if (write(ready_fd, line, (size_t)size) < 0) {
        (void)0;
    }
    (void)close(ready_fd);
}

/* Before the namespaces: /dev/kvm may be out of reach in them. */
static int choose_accel(struct lab *lab, struct ray_err *err)
{
    char kernel[LAB_PATH_SIZE];
    const struct ray_accel_config config = {
        .choice = lab->config.accel,
        .qemu_path = LAB_QEMU_PATH,
        .kernel_path = kernel,
        .state_dir = lab->paths.labs_dir,
    };
    int rc = lab_path_join(kernel, sizeof kernel, lab->config.image_dir, "vmlinuz", err);

    return rc == RAY_OK ? ray_accel_choose(&config, &lab->accel, err) : rc;
}

static int enter_namespaces(struct lab *lab, struct ray_err *err)
{
    bool has_foreign_dhcp = lab_dhcp_has_foreign(lab->config.dhcp);
    const struct ray_netns_config config = {
        .user = RAY_NETNS_USER_AUTO,
        .host_name = LAB_INTERFACE,
        .switch_name = LAB_SWITCH_INTERFACE,
        .address = LAB_HOST_ADDRESS "/24",
        .second_host_name = has_foreign_dhcp ? LAB_FOREIGN_INTERFACE : NULL,
        .second_switch_name = LAB_FOREIGN_SWITCH_INTERFACE,
        .second_address = LAB_FOREIGN_ADDRESS "/32",
    };
    struct ray_netns namespaces;
    int rc = ray_netns_enter_new(&config, &namespaces, err);

    if (rc == RAY_OK) {
        lab->host_pid = namespaces.pid;
    }
    return rc;
}

static int run(struct lab *lab, int ready_fd)
{
    struct ray_err err = {0};
    int rc;

    lab->dir_fd = open(lab->paths.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lab->dir_fd < 0 || fchdir(lab->dir_fd) < 0) {
        rc = ray_fail_errno(&err, errno, "%s", lab->paths.dir);
    } else {
        rc = read_config(lab, &err);
    }
    rc = rc == RAY_OK ? choose_accel(lab, &err) : rc;
    rc = rc == RAY_OK ? enter_namespaces(lab, &err) : rc;
    if (rc != RAY_OK) {
        ray_log(lab->logger, RAY_LOG_ERROR, "lab", "%s", err.text);
        tell(ready_fd, rc, &err);
        return 1;
    }
    lab->start_ns = ray_clock_monotonic_ns();
    lab->start_real_ns = ray_clock_realtime_ns();
    rc = open_lab(lab, &err);
    if (rc == RAY_OK) {
        rc = start_steps(lab, &err);
    }
    tell(ready_fd, rc, &err);
    if (rc != RAY_OK) {
        ray_log(lab->logger, RAY_LOG_ERROR, "lab", "%s", err.text);
        if (lab->control != NULL) {
            lab_stop(lab, err.text);
        }
    }
    if (rc == RAY_OK || lab->control != NULL) {
        ray_loop_run(&lab->loop);
    }
    close_lab(lab);
    return rc == RAY_OK && lab->failure[0] == '\0' ? 0 : 1;
}

int lab_supervisor_main(const struct lab_paths *paths, int ready_fd)
{
    struct lab *lab = calloc(1, sizeof *lab);
    struct ray_logger logger;
    int status;

    ray_logger_init(&logger, STDERR_FILENO, RAY_LOG_PLAIN, RAY_LOG_INFO);
    if (lab == NULL) {
        struct ray_err err = {0};

        tell(ready_fd, ray_fail(&err, RAY_ENOMEM, "supervisor"), &err);
        return 1;
    }
    lab->paths = *paths;
    lab->logger = &logger;
    lab->events_log.fd = -1;
    lab->dir_fd = -1;
    ray_buf_init(&lab->switch_stats, SWITCH_STATS_SIZE_MAX);
    lab_services_init(lab);
    status = run(lab, ready_fd);
    if (lab->dir_fd >= 0) {
        (void)close(lab->dir_fd);
    }
    free(lab);
    return status;
}
