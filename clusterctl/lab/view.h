/* clusterctl/lab/view.h - a lab's boot for people: one line per node while it goes on, and
 * the table of phases afterwards. Pure: status in, text out.
 *
 * Memory: the caller's buffer.  Threads: any.  Blocks: never.
 * Trust: texts of the status may quote machines; they were escaped by the supervisor. */
#ifndef RAY_CLUSTERCTL_LAB_VIEW_H
#define RAY_CLUSTERCTL_LAB_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/proto/lab.pb-c.h"

/* One line per node, each at most `width` columns:
 *   "node1  kernel       3.2 s  last line of its console". */
int lab_view_lines(const Rayos__Lab__Status *status, size_t width, struct ray_buf *out);

/* The phases of all nodes in seconds, with a head line; "-" for one that did not happen. */
int lab_view_table(const Rayos__Lab__Status *status, struct ray_buf *out);

/* Moves a terminal's cursor up `line_count` lines, to paint them again. */
int lab_view_rewind(size_t line_count, struct ray_buf *out);

#endif
