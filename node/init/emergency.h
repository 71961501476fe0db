/* node/init/emergency.h - what PID 1 does when it crashes itself: a line on the console and in
 * the kernel's log, sync, and a reboot after a while. It does not exit: the kernel would
 * panic before anything is on disk.
 *
 * Memory: an alternate stack.  Threads: the handler runs in the thread that crashed.
 * Blocks: the handler sleeps, then reboots.  Trust: none. */
#ifndef RAY_NODE_INIT_EMERGENCY_H
#define RAY_NODE_INIT_EMERGENCY_H

#include "base/err.h"

enum { EMERGENCY_REBOOT_S = 10 };

/* Such a signal that another process has sent is ignored. Installs handlers for SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGABRT, SIGSYS and SIGTRAP. Only for a real PID 1. */
int emergency_install(struct ray_err *err);

#endif
