/* node/rayosd_facts.h - what the registry is told of this machine: what placement and people need,
 * and nothing that changes while it runs.
 *
 * Memory: appended to the caller's buffer.  Threads: one.  Blocks: on pseudo files, for
 * milliseconds. Trust: as node/facts/read.h. */
#ifndef RAY_NODE_RAYOSD_FACTS_H
#define RAY_NODE_RAYOSD_FACTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* A packed rayos.node.Facts without disks, network cards, uptime and free memory; the space is that
 * of the file system of `data_dir`. *out_is_fit: its clock source is fit for grants. */
int rayosd_facts_read(int root_fd, const char *data_dir, struct ray_buf *out, bool *out_is_fit,
                      struct ray_err *err);

#endif
