/* clusterctl/lab/node_qmp.h - a machine's QEMU monitor: what its events mean for the lab.
 *
 * Memory: the connection belongs to the node.  Threads: the loop's.  Blocks: never.
 * Trust: see qmp.h. */
#ifndef RAY_CLUSTERCTL_LAB_NODE_QMP_H
#define RAY_CLUSTERCTL_LAB_NODE_QMP_H

#include "base/err.h"

struct lab_node;

/* Takes over `fd`. */
int lab_node_qmp_open(struct lab_node *node, int fd, struct ray_err *err);
/* Pending commands end before it returns. */
void lab_node_qmp_close(struct lab_node *node);

#endif
