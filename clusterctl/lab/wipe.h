/* clusterctl/lab/wipe.h - a machine loses all that it knew: power cut, empty disk, a credential of
 * its own, power on. To its cluster it is another node, so it has another name.
 *
 * Memory: the node's.  Threads: the loop's.  Blocks: small files.  Trust: none. */
#ifndef RAY_CLUSTERCTL_LAB_WIPE_H
#define RAY_CLUSTERCTL_LAB_WIPE_H

#include "base/err.h"

struct lab_node;

/* RAY_ECONFLICT: it has no disk, or is being wiped. */
int lab_wipe_begin(struct lab_node *node, struct ray_err *err);
/* To be called until it is not RAY_EAGAIN: the next step where the one before is done. */
int lab_wipe_step(struct lab_node *node, struct ray_err *err);
/* Nobody waits for it any more. */
void lab_wipe_end(struct lab_node *node);

#endif
