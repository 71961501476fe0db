/* clusterctl/lab/foreign_dhcp.h - a DHCP server that knows nothing of RayOS, on a port of the
 * switch of its own: what rayos-provision meets on a network that is there already. It gives
 * the machines the addresses that they have in every lab, and no boot file.
 *
 * Memory: the lab's.  Threads: the loop's.  Blocks: for a small file.
 * Trust: see services.h. */
#ifndef RAY_CLUSTERCTL_LAB_FOREIGN_DHCP_H
#define RAY_CLUSTERCTL_LAB_FOREIGN_DHCP_H

#include "base/err.h"

struct lab;

/* Nothing to do (RAY_OK) where the lab has none. Stopped with the machines. */
int lab_foreign_dhcp_start(struct lab *lab, struct ray_err *err);

#endif
