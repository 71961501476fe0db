/* clusterctl/lab/node.c - see node.h.
 *
 * Power: a machine is on while its QEMU process lives. What arrives on the channels after
 * the process has ended is still read, then all of them close; so a log never misses the
 * last words. */
#include "clusterctl/lab/node.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clusterctl/lab/agent_client.h"
#include "clusterctl/lab/control.h"
#include "clusterctl/lab/lab.h"
#include "clusterctl/lab/machine.h"
#include "clusterctl/lab/node_qmp.h"

extern char **environ;

/* ---- what the machine says ---- */

void lab_node_phase_event(struct lab_node *node, enum lab_phase_event event, uint64_t t_us)
{
    if (lab_phases_event(&node->phases, event, t_us)) {
        lab_event(node->lab, LAB_KIND_PHASE, node, "%s", lab_phase_name(node->phases.phase));
    }
}

static void on_console_line(void *arg, const char *line, size_t size)
{
    struct lab_node *node = arg;
    uint64_t now_us = lab_now_us(node->lab);

    lab_logfile_stamped(&node->console_log, now_us, line, size);
    if (size > 0) {
        (void)ray_escape(node->last_line, sizeof node->last_line, line, size);
    }
    /* With a quiet console the marker is the first that the kernel phase's end is known by;
     * the marker port opens later. */
    if (strstr(line, "Linux version ") != NULL) {
        lab_node_phase_event(node, LAB_EVENT_KERNEL_TEXT, now_us);
    } else if (strstr(line, ray_marker_info(RAY_MARKER_BOOT_KERNEL)->prefix) != NULL) {
        lab_node_phase_event(node, LAB_EVENT_INIT, now_us);
    }
}

static void on_console_data(void *arg, const uint8_t *bytes, size_t size)
{
    struct lab_node *node = arg;

    lab_ring_append(&node->history, bytes, size);
    lab_lines_feed(&node->console_lines, bytes, size);
    lab_control_console_moved(node->lab, node);
}

/* "root:4500000:4512000": the first step of a boot begins when PID 1 takes over, by the
 * node's own clock; so the kernel's time is known also when its console is quiet. */
static void on_timeline(struct lab_node *node, const char *detail, uint64_t now_us)
{
    const char *begin = strchr(detail, ':');
    char *end = NULL;
    unsigned long long uptime_us;

    if (begin == NULL) {
        return;
    }
    uptime_us = strtoull(begin + 1, &end, 10);
    if (end != begin + 1 && *end == ':') {
        lab_node_phase_event(node, LAB_EVENT_INIT, now_us); /* where there is no console */
        lab_phases_kernel_took(&node->phases, uptime_us);   /* heeds the first of a boot */
    }
}

static void on_marker_line(void *arg, const char *line, size_t size)
{
    struct lab_node *node = arg;
    uint64_t now_us = lab_now_us(node->lab);
    const struct lab_marker *marker;
    const char *detail;

    lab_logfile_stamped(&node->marker_log, now_us, line, size);
    marker = lab_markers_add(&node->markers, now_us, node->phases.boot_count, line, size);
    if (marker == NULL) {
        return;
    }
    detail = marker->line + strlen(ray_marker_info(marker->marker)->prefix);
    detail += *detail == ':' ? 1 : 0;
    if (marker->marker == RAY_MARKER_BOOT_TIMELINE) {
        on_timeline(node, detail, now_us);
        lab_control_changed(node->lab); /* they are too many for an event each */
        return;
    }
    lab_event(node->lab, LAB_KIND_MARKER, node, "%s", marker->line);
    if (marker->marker == RAY_MARKER_BOOT_KERNEL) {
        lab_node_phase_event(node, LAB_EVENT_INIT, now_us);
    } else if (marker->marker == RAY_MARKER_NODE_READY) {
        (void)snprintf(node->ready_name, sizeof node->ready_name, "%s", detail);
        lab_node_phase_event(node, LAB_EVENT_READY, now_us);
        lab_check_ready(node->lab);
    } else if (marker->marker == RAY_MARKER_CLUSTER_QUORATE) {
        lab_check_ready(node->lab);
    }
}

static void on_marker_data(void *arg, const uint8_t *bytes, size_t size)
{
    struct lab_node *node = arg;

    lab_lines_feed(&node->marker_lines, bytes, size);
}

/* ---- init and fini ---- */

int lab_node_init(struct lab_node *node, struct lab *lab, size_t index, struct ray_err *err)
{
    char path[64];
    int rc;

    *node = (struct lab_node){
        .lab = lab,
        .index = index,
        .dir_fd = -1,
        .console_log = {.fd = -1},
        .marker_log = {.fd = -1},
        .is_link_up = true,
    };
    lab_identity(index, &node->who);
    lab_stream_init(&node->console);
    lab_stream_init(&node->marker);
    lab_output_init(&node->qemu_output);
    lab_lines_init(&node->console_lines, on_console_line, node);
    lab_lines_init(&node->marker_lines, on_marker_line, node);
    lab_markers_init(&node->markers);
    lab_phases_init(&node->phases);
    (void)snprintf(path, sizeof path, LAB_DIR_MACHINES "/%s", node->who.name);
    node->dir_fd = openat(lab->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (node->dir_fd < 0) {
        return ray_fail_errno(err, errno, "folder %s", path);
    }
    rc = lab_ring_init(&node->history, LAB_NODE_HISTORY_SIZE, err);
    if (rc == RAY_OK) {
        rc = lab_logfile_open(&node->console_log, node->dir_fd, LAB_MACHINE_CONSOLE_LOG,
                              LAB_LOGFILE_SIZE_MAX, err);
    }
    if (rc == RAY_OK) {
        rc = lab_logfile_open(&node->marker_log, node->dir_fd, LAB_MACHINE_MARKER_LOG,
                              LAB_LOGFILE_SIZE_MAX, err);
    }
    return rc;
}

static void close_channels(struct lab_node *node)
{
    lab_node_qmp_close(node);
    ray_agent_client_destroy(node->agent);
    node->agent = NULL;
    lab_stream_close(&node->console);
    lab_stream_close(&node->marker);
    lab_output_close(&node->qemu_output);
}

void lab_node_fini(struct lab_node *node)
{
    if (node->lab == NULL) {
        return;
    }
    close_channels(node);
    lab_logfile_close(&node->console_log);
    lab_logfile_close(&node->marker_log);
    lab_ring_fini(&node->history);
    lab_markers_fini(&node->markers);
    if (node->dir_fd >= 0) {
        (void)close(node->dir_fd);
    }
    *node = (struct lab_node){.dir_fd = -1};
}

/* ---- power ---- */

static void on_qemu_exit(void *arg, const struct ray_child_exit *how)
{
    struct lab_node *node = arg;
    bool was_asked_for = node->qemu.is_stopping || node->is_power_cut;

    lab_stream_drain(&node->console);
    lab_stream_drain(&node->marker);
    lab_lines_end(&node->console_lines);
    lab_lines_end(&node->marker_lines);
    close_channels(node);
    (void)ray_child_exit_text(how, node->last_exit);
    node->state = LAB_NODE_OFF;
    lab_node_phase_event(node, LAB_EVENT_POWER_OFF, lab_now_us(node->lab));
    if (was_asked_for || (!how->is_signaled && how->status == 0)) {
        lab_event(node->lab, LAB_KIND_POWER, node, "off");
    } else {
        const char *words = node->qemu_output.last_line;

        lab_event(node->lab, LAB_KIND_EXIT, node, "QEMU ended with %s: %s", node->last_exit,
                  words[0] != '\0' ? words : "it said nothing");
    }
    lab_check_stopped(node->lab);
}

struct channel_pairs {
    int ours[3]; /* console, marker, QMP */
    int theirs[3];
};

static void close_pairs(int fds[3])
{
    for (size_t i = 0; i < 3; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
        fds[i] = -1;
    }
}

static int open_pairs(struct channel_pairs *pairs, struct ray_err *err)
{
    *pairs = (struct channel_pairs){{-1, -1, -1}, {-1, -1, -1}};
    for (size_t i = 0; i < 3; i++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
            int rc = ray_fail_errno(err, errno, "socket pair");

            close_pairs(pairs->ours);
            close_pairs(pairs->theirs);
            return rc;
        }
        pairs->ours[i] = pair[0];
        pairs->theirs[i] = pair[1];
    }
    return RAY_OK;
}

static int spawn(struct lab_node *node, const struct lab_argv *argv,
                 const struct channel_pairs *pairs, struct ray_err *err)
{
    char dir[LAB_PATH_SIZE + 32];
    int output_fd = -1;
    int rc = lab_output_open(&node->qemu_output, &node->lab->loop, node->dir_fd,
                             LAB_MACHINE_QEMU_LOG, &output_fd, err);

    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(dir, sizeof dir, "%s/" LAB_DIR_MACHINES "/%s", node->lab->paths.dir,
                   node->who.name);
    {
        const struct ray_child_fd fds[] = {
            {output_fd, 1},
            {output_fd, 2},
            {pairs->theirs[0], LAB_MACHINE_FD_CONSOLE},
            {pairs->theirs[1], LAB_MACHINE_FD_MARKER},
            {pairs->theirs[2], LAB_MACHINE_FD_QMP},
        };
        const struct ray_child_spec spec = {
            .path = LAB_QEMU_PATH,
            .argv = argv->items,
            .envp = (const char *const *)environ,
            .dir = dir,
            .fds = fds,
            .fd_count = sizeof fds / sizeof fds[0],
            .keeps_all_caps = true,
            .no_new_privs = true,
            .cgroup_fd = -1,
        };

        rc = lab_process_start(&node->qemu, &node->lab->processes, &spec, on_qemu_exit, node, err);
    }
    (void)close(output_fd); /* QEMU has its own */
    if (rc != RAY_OK) {
        lab_output_close(&node->qemu_output);
    }
    return rc;
}

/* Connects the supervisor's ends; takes them out of `pairs`. */
static int attach(struct lab_node *node, struct channel_pairs *pairs, struct ray_err *err)
{
    struct ray_loop *loop = &node->lab->loop;
    char path[64];
    int rc;

    rc = lab_stream_open(&node->console, loop, pairs->ours[0], on_console_data, node, err);
    pairs->ours[0] = -1;
    if (rc == RAY_OK) {
        rc = lab_stream_open(&node->marker, loop, pairs->ours[1], on_marker_data, node, err);
        pairs->ours[1] = -1;
    }
    if (rc == RAY_OK) {
        rc = lab_node_qmp_open(node, pairs->ours[2], err);
        pairs->ours[2] = -1;
    }
    if (rc == RAY_OK && node->lab->has_agent) {
        (void)snprintf(path, sizeof path, LAB_DIR_MACHINES "/%s/" LAB_MACHINE_TEST_SOCKET,
                       node->who.name);
        rc = ray_agent_client_create(&node->agent, loop, path, err);
    }
    return rc;
}

int lab_node_power_on(struct lab_node *node, struct ray_err *err)
{
    const char *const credentials[] = {"rayos.name", node->credential};
    const struct lab_machine_spec spec = {
        .config = &node->lab->config,
        .index = node->index,
        .accel_args = node->lab->accel.args,
        .kernel_cmdline = node->lab->kernel_cmdline,
        .credentials = credentials,
        .credential_count = node->credential != NULL ? 2 : 1,
    };
    struct channel_pairs pairs;
    struct lab_argv argv;
    int rc;

    if (node->state != LAB_NODE_OFF) {
        return ray_fail(err, RAY_ECONFLICT, "%s is on already", node->who.name);
    }
    if (node->wipe != LAB_WIPE_NONE) {
        return ray_fail(err, RAY_ECONFLICT, "%s is being wiped", node->who.name);
    }
    if (node->lab->state == LAB_STATE_STOPPING) {
        return ray_fail(err, RAY_ECONFLICT, "the lab is going down");
    }
    rc = open_pairs(&pairs, err);
    if (rc != RAY_OK) {
        return rc;
    }
    (void)unlinkat(node->dir_fd, LAB_MACHINE_TEST_SOCKET, 0); /* of the QEMU before, if any */
    node->is_power_cut = false;
    lab_argv_init(&argv);
    rc = lab_machine_argv(&spec, &argv, err);
    if (rc == RAY_OK) {
        rc = spawn(node, &argv, &pairs, err);
    }
    lab_argv_fini(&argv);
    close_pairs(pairs.theirs);
    if (rc == RAY_OK) {
        node->state = LAB_NODE_RUNNING;
        lab_event(node->lab, LAB_KIND_POWER, node, "on");
        lab_node_phase_event(node, LAB_EVENT_POWER_ON, lab_now_us(node->lab));
        rc = attach(node, &pairs, err);
        if (rc != RAY_OK) {
            lab_node_power_cut(node);
        }
    }
    close_pairs(pairs.ours);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "%s", node->who.name);
}

void lab_node_power_cut(struct lab_node *node)
{
    node->is_power_cut = true;
    lab_process_stop(&node->qemu, 0);
}

const char *lab_node_state_name(const struct lab_node *node)
{
    static const char *const names[] = {
        [LAB_NODE_OFF] = "off",
        [LAB_NODE_RUNNING] = "running",
        [LAB_NODE_PAUSED] = "paused",
        [LAB_NODE_FROZEN] = "frozen",
    };

    assert((size_t)node->state < sizeof names / sizeof names[0]);
    return names[node->state];
}
