/* node/init/system/core_pattern.h - who gets the memory of a process that crashes: our collector
 * (node/core), or nobody.
 *
 * The table of sysctl.c switches core dumps off; this turns them to the collector, where the
 * image has one. Memory: none.  Threads: PID 1's.  Blocks: never.
 * Trust: `rayos.cores` is a hint of the command line. */
#ifndef RAY_NODE_INIT_SYSTEM_CORE_PATTERN_H
#define RAY_NODE_INIT_SYSTEM_CORE_PATTERN_H

#include "base/err.h"

#define INIT_CORES_PROGRAM "usr/lib/rayos/rayos-core"

enum init_cores {
    INIT_CORES_INFO, /* what crashed and where; without its memory: the default */
    INIT_CORES_FULL, /* and its memory */
    INIT_CORES_OFF,
};

/* "off", "info" or "full"; RAY_EINVAL. */
int init_cores_parse(const char *text, enum init_cores *out);
const char *init_cores_word(enum init_cores cores);

/* Call after the table. RAY_ENOTFOUND: there is no collector, or `cores` is OFF; then nothing
 * was changed. After any other failure core dumps are off as well. */
int init_cores_setup(int root_fd, enum init_cores cores, struct ray_err *err);

#endif
