/* node/init/log_tail.h - the answer to init.log_tail: the newest lines, as fast as the caller
 * reads them.
 *
 * Memory: a copy of the lines asked for (at most LOG_RING_SIZE) until the last one is sent or
 * the caller leaves.  Threads: the loop's.  Blocks: never.
 * Trust: the caller may stop reading; then the copy stays until it leaves. */
#ifndef RAY_NODE_INIT_LOG_TAIL_H
#define RAY_NODE_INIT_LOG_TAIL_H

#include <stddef.h>

#include "net/rpc.h"
#include "node/init/persist_log.h"

/* Sends the newest `count` lines, oldest first, and ends the call. */
void init_log_tail(struct ray_rpc_call *call, struct persist_log *log, size_t count);

#endif
