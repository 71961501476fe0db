/* node/rayosd_seccomp.h - what rayosd may ask of the kernel once it serves.
 *
 * Memory: none kept.  Threads: the whole process, for good.  Blocks: no.
 * Trust: none; any other system call kills the process, PID 1 starts it again. */
#ifndef RAY_NODE_RAYOSD_SECCOMP_H
#define RAY_NODE_RAYOSD_SECCOMP_H

#include "base/err.h"

/* Sets no_new_privs and the filter. To be called when the listening socket is open and before
 * the event loop is made. */
int rayosd_seccomp_enter(struct ray_err *err);

/* The same for a process that is a member of a cluster: files below its data folder, threads of
 * its disk, and links over IP, too. */
int rayosd_seccomp_enter_member(struct ray_err *err);

#endif
