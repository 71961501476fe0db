/* node/init/kernel_tail.h - the answer to init.kernel_log: the kernel's messages as it still has
 * them, read for this caller alone; nothing is held back, as it is in the node's log.
 *
 * Memory, threads, trust: as log_tail.h.  Blocks: never; the first look reads all that the kernel
 * has, at most KERNEL_TAIL_RECORDS_MAX records. */
#ifndef RAY_NODE_INIT_KERNEL_TAIL_H
#define RAY_NODE_INIT_KERNEL_TAIL_H

#include "node/init/log_tail.h"

enum { KERNEL_TAIL_RECORDS_MAX = 20000 };

void init_kernel_tail(struct log_tails *tails, struct ray_rpc_call *call, size_t count,
                      bool is_following);
/* The same of a stand-in for /dev/kmsg, which it takes. */
void init_kernel_tail_fd(struct log_tails *tails, struct ray_rpc_call *call, int fd, size_t count,
                         bool is_following);

#endif
