/* node/health/read.h - the numbers that health.h judges, but PID 1's.
 *
 * Memory: texts in the caller's arena.  Threads: the caller's.
 * Blocks: on pseudo files, and in statvfs as long as the data folder's file system does.
 * Trust: as node/facts/read.h. */
#ifndef RAY_NODE_HEALTH_READ_H
#define RAY_NODE_HEALTH_READ_H

#include "base/arena.h"
#include "base/err.h"
#include "node/health/health.h"

/* Fills all of `out` but init and init_error, which become NULL. */
int health_read(int root_fd, struct ray_arena *arena, struct health_input *out,
                struct ray_err *err);

/* avg10 of the line "full avg10=1.23 ..." of a pressure file, as whole percent; false when
 * there is none. */
bool health_pressure_parse(const char *text, unsigned *out_percent);

#endif
