/* clusterctl/lab/control.h - the supervisor's rpc service on control.sock
 * (net/proto/lab.proto): what `clusterctl lab` talks to.
 *
 * Memory: create/destroy; calls in flight own their small state.  Threads: the loop's.
 * Blocks: never, except for files handed over by put and get, and commands to the switch.
 * Trust: callers run as the lab's owner (the socket has mode 0600); requests are checked. */
#ifndef RAY_CLUSTERCTL_LAB_CONTROL_H
#define RAY_CLUSTERCTL_LAB_CONTROL_H

#include "base/err.h"

struct lab;
struct lab_node;

int lab_control_create(struct lab *lab, struct ray_err *err);
void lab_control_destroy(struct lab *lab); /* ends open calls */

/* Something was added that callers may wait for. No-ops without a control. */
void lab_control_changed(struct lab *lab);
void lab_control_console_moved(struct lab *lab, struct lab_node *node);
/* Everything has stopped: answers lab.down. */
void lab_control_stopped(struct lab *lab);

#endif
