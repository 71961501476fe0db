/* clusterctl/lab/lab.h - the supervisor's one object: a running lab.
 *
 * The parts (node.c, services.c, chaos.c, control*.c) work on this struct; there is one per
 * process, owned by supervisor.c.
 * Memory: create/destroy by supervisor.c.  Threads: the loop's.  Blocks: see the parts.
 * Trust: see the parts. */
#ifndef RAY_CLUSTERCTL_LAB_LAB_H
#define RAY_CLUSTERCTL_LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "clusterctl/lab/cluster.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/events.h"
#include "clusterctl/lab/logfile.h"
#include "clusterctl/lab/node.h"
#include "clusterctl/lab/paths.h"
#include "clusterctl/lab/process.h"
#include "clusterctl/lab/services.h"

enum lab_state { LAB_STATE_STARTING, LAB_STATE_UP, LAB_STATE_STOPPING };

enum { LAB_REASON_SIZE = 512, LAB_CMDLINE_SIZE = 2048, LAB_VERSION_SIZE = 64 };

struct lab_control;

struct lab {
    struct lab_paths paths;
    struct lab_config config;
    int dir_fd;
    struct ray_loop loop;
    struct ray_logger *logger;
    struct ray_signal sigterm;
    struct ray_signal sigint;
    struct lab_processes processes;
    enum lab_state state;
    uint64_t start_ns;      /* CLOCK_MONOTONIC */
    uint64_t start_real_ns; /* the same moment on the wall */
    int32_t host_pid;       /* of this process, as the host sees it */
    struct ray_accel accel;
    char kernel_cmdline[LAB_CMDLINE_SIZE]; /* direct boot */
    char image_version[LAB_VERSION_SIZE];
    bool has_agent; /* the image is a test image */
    struct lab_events events;
    struct lab_logfile events_log;
    struct lab_services services;
    size_t preparing_count; /* steps that must end before the machines are switched on */
    struct lab_node nodes[LAB_NODE_COUNT_MAX];
    size_t node_count;             /* initialised so far */
    uint64_t ready_us;             /* all nodes ready for the first time; 0: not yet */
    struct lab_cluster cluster;    /* with config.makes_cluster */
    uint64_t quorate_us;           /* all nodes hear one quorum for the first time; 0: not yet */
    char failure[LAB_REASON_SIZE]; /* why it did not start; empty: nothing failed */
    struct ray_buf switch_stats;   /* its last counters, JSON; empty: none */
    struct lab_control *control;
};

/* Microseconds since the lab's start. */
uint64_t lab_now_us(const struct lab *lab);
/* Records what happened; `node` may be NULL. */
void lab_event(struct lab *lab, enum lab_event_kind kind, const struct lab_node *node,
               const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Something that must work does not: recorded once as the lab's failure. */
void lab_failed(struct lab *lab, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct lab_node *lab_node_by_name(struct lab *lab, const char *name, struct ray_err *err);
size_t lab_ready_count(const struct lab *lab);

/* One step of the preparation has ended; the last one switches the machines on. */
void lab_step_begin(struct lab *lab);
void lab_step_end(struct lab *lab);

/* Stops everything; the loop ends when all has ended. */
void lab_stop(struct lab *lab, const char *reason);
/* Called by parts whenever a process has ended. */
void lab_check_stopped(struct lab *lab);
/* Called by nodes that became ready, or hear a quorum. */
void lab_check_ready(struct lab *lab);

#endif
