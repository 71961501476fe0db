/* clusterctl/lab/node.h - one machine of a running lab: its QEMU, its console, markers, boot
 * phases and the two control channels (QMP, test agent).
 *
 * Memory: embedded in struct lab; init/fini.  Threads: the loop's.  Blocks: log writes.
 * Trust: everything that comes from the machine is hostile. */
#ifndef RAY_CLUSTERCTL_LAB_NODE_H
#define RAY_CLUSTERCTL_LAB_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/lines.h"
#include "clusterctl/lab/logfile.h"
#include "clusterctl/lab/markers.h"
#include "clusterctl/lab/output.h"
#include "clusterctl/lab/phases.h"
#include "clusterctl/lab/process.h"
#include "clusterctl/lab/ring.h"
#include "clusterctl/lab/stream.h"

struct lab;
struct ray_agent_client;
struct ray_qmp;

enum lab_node_state {
    LAB_NODE_OFF,
    LAB_NODE_RUNNING,
    LAB_NODE_PAUSED, /* QEMU is stopped by SIGSTOP: the machine's time goes on */
    LAB_NODE_FROZEN, /* QMP stop: the machine's time stands still */
};

/* How far a wipe has come (wipe.h). */
enum lab_wipe {
    LAB_WIPE_NONE,
    LAB_WIPE_CUT,
    LAB_WIPE_DISK, /* is being made */
    LAB_WIPE_MADE,
    LAB_WIPE_FAILED,
    LAB_WIPE_LATE, /* is being made, and nobody waits for it */
};

enum { LAB_NODE_HISTORY_SIZE = 256 << 10, LAB_NODE_LINE_SIZE = 160 };

struct lab_node {
    struct lab *lab;
    size_t index;
    struct lab_identity who;
    int dir_fd; /* its folder; -1: none */
    enum lab_node_state state;
    struct lab_process qemu;
    struct lab_output qemu_output;
    struct lab_stream console;
    struct lab_stream marker;
    struct lab_lines console_lines;
    struct lab_lines marker_lines;
    struct lab_logfile console_log;
    struct lab_logfile marker_log;
    struct lab_ring history; /* of the console, as it came */
    struct lab_markers markers;
    struct lab_phases phases;
    struct ray_qmp *qmp;            /* NULL while off */
    struct ray_agent_client *agent; /* NULL while off */
    bool is_link_up;
    bool is_power_cut;      /* its end was asked for */
    const char *credential; /* file below smbios/ beside rayos.name; NULL: none */
    enum lab_wipe wipe;
    uint32_t wipe_count;
    char ready_name[RAY_MARKER_LINE_SIZE_MAX];
    char last_exit[48];
    char last_line[LAB_NODE_LINE_SIZE]; /* of the console */
};

int lab_node_init(struct lab_node *node, struct lab *lab, size_t index, struct ray_err *err);
void lab_node_fini(struct lab_node *node);

/* Starts QEMU. RAY_ECONFLICT when the machine is on. */
int lab_node_power_on(struct lab_node *node, struct ray_err *err);
/* Kills QEMU: a power cut. Its end is an event. */
void lab_node_power_cut(struct lab_node *node);
void lab_node_phase_event(struct lab_node *node, enum lab_phase_event event, uint64_t t_us);
const char *lab_node_state_name(const struct lab_node *node);

#endif
