/* clusterctl/lab/services.h - the two processes beside the machines: the switch that is
 * their network, and rayos-provision that they boot from.
 *
 * Memory: embedded in struct lab.  Threads: the loop's.  Blocks: a command to the switch,
 * up to its time limit.  Trust: output of rayos-provision quotes the network. */
#ifndef RAY_CLUSTERCTL_LAB_SERVICES_H
#define RAY_CLUSTERCTL_LAB_SERVICES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "clusterctl/lab/lines.h"
#include "clusterctl/lab/logfile.h"
#include "clusterctl/lab/output.h"
#include "clusterctl/lab/process.h"
#include "clusterctl/lab/stream.h"

struct lab;

#define LAB_PROVISION_NAME "provision" /* among the names that chaos takes */

struct lab_service {
    struct lab_process process;
    struct lab_output output; /* its standard error */
    struct lab_stream stream; /* the descriptor on which it tells us what we wait for */
};

struct lab_services {
    struct lab_service net; /* the switch */
    bool is_switch_ready;
    struct lab_service provision;
    struct lab_lines provision_lines;
    struct lab_logfile provision_log;
    bool is_provision_ready;
    struct lab_process foreign_dhcp; /* only where the lab has one */
};

void lab_services_init(struct lab *lab);
void lab_services_fini(struct lab *lab);
/* Each is a step of the preparation (lab_step_begin, lab_step_end). */
int lab_switch_start(struct lab *lab, struct ray_err *err);
int lab_provision_start(struct lab *lab, struct ray_err *err); /* also again, after its end */
/* Kills it at once; its end comes as an event. RAY_ECONFLICT: it does not run. */
int lab_provision_kill(struct lab *lab, struct ray_err *err);
void lab_services_stop(struct lab *lab);
bool lab_services_are_running(const struct lab *lab);

/* A command to the switch; `reply` is the caller's, may be NULL. When it returns RAY_OK the
 * change is in force. */
int lab_switch_command(const struct lab *lab, struct ray_buf *reply, struct ray_err *err,
                       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
