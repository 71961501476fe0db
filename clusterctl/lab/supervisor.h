/* clusterctl/lab/supervisor.h - the process behind a lab: PID 1 of the lab's namespaces,
 * parent of its switch, services and machines, server of its control socket.
 *
 * Memory: its own.  Threads: one.  Blocks: until the lab is down.
 * Trust: lab.json is read back from our own file, and checked. */
#ifndef RAY_CLUSTERCTL_LAB_SUPERVISOR_H
#define RAY_CLUSTERCTL_LAB_SUPERVISOR_H

#include "clusterctl/lab/paths.h"

/* Runs the lab that lab.json in paths->dir describes. Standard error is its log. On ready_fd
 * it writes one line, "ok" when the control socket serves or "error TEXT", and closes it.
 * Returns the exit status. */
int lab_supervisor_main(const struct lab_paths *paths, int ready_fd);

#endif
