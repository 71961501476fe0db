/* coordinator/api/dial.h - a TCP connection that begins, to an address in numbers.
 *
 * Private to coordinator/api.
 * Memory: none.  Threads: the loop's.  Blocks: never.  Trust: addresses come from tokens. */
#ifndef RAY_COORDINATOR_API_DIAL_H
#define RAY_COORDINATOR_API_DIAL_H

#include "base/err.h"

/* "10.0.0.1:7001" or "[fd00::1]:7001". A non-blocking descriptor that connects or has connected.
 * RAY_EINVAL: no address in numbers; RAY_EUNAVAILABLE. */
int member_dial(const char *address, int *out_fd, struct ray_err *err);

#endif
