/* net/dial.h - a TCP connection that begins, to an address in numbers.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: addresses come from tokens and files. */
#ifndef RAY_NET_DIAL_H
#define RAY_NET_DIAL_H

#include "base/err.h"

/* "10.0.0.1:7001" or "[fd00::1]:7001". RAY_EINVAL: it is neither. */
int ray_dial_check(const char *address, struct ray_err *err);
/* A non-blocking descriptor that connects or has connected. RAY_EINVAL, RAY_EUNAVAILABLE. */
int ray_dial(const char *address, int *out_fd, struct ray_err *err);

#endif
