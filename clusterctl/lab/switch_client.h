/* clusterctl/lab/switch_client.h - one command to a running switch, and its reply.
 *
 * Memory: the reply is appended to the caller's buffer.  Threads: any.
 * Blocks: until the reply or the time limit; the switch answers within one turn of its loop.
 * Trust: the reply comes from our own switch; its size is bounded. */
#ifndef RAY_LAB_SWITCH_CLIENT_H
#define RAY_LAB_SWITCH_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* `reply` gets the text without the newline at its end: "ok 2 pairs", or JSON of stats.
 * The switch's "error CODE: text" becomes that code with that text. RAY_EUNAVAILABLE: no
 * switch listens there. RAY_ETIMEOUT. The socket path and a suffix of 24 bytes must fit into
 * a socket address. */
int ray_switch_client_call(const char *control_path, const char *command, uint64_t timeout_ms,
                           struct ray_buf *reply, struct ray_err *err);

#endif
