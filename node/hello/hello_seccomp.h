/* node/hello/hello_seccomp.h - what rayos-hello may ask of the kernel once it knows its facts.
 *
 * Memory: none kept.  Threads: the whole process, for good.  Blocks: no.
 * Trust: none; any other system call kills the process. */
#ifndef RAY_NODE_HELLO_HELLO_SECCOMP_H
#define RAY_NODE_HELLO_HELLO_SECCOMP_H

#include "base/err.h"

/* To be called when all files are read and before the event loop is made. */
int hello_seccomp_enter(struct ray_err *err);

#endif
