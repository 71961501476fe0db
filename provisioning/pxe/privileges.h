/* provisioning/pxe/privileges.h - from root to an ordinary user that keeps three capabilities:
 * NET_ADMIN, NET_RAW and NET_BIND_SERVICE, which dnsmasq needs.
 *
 * Memory: none.  Threads: before the first (the pool's threads take what is there).
 * Blocks: drop does (user database, disk).  Trust: the operator's configuration. */
#ifndef RAY_PROVISIONING_PXE_PRIVILEGES_H
#define RAY_PROVISIONING_PXE_PRIVILEGES_H

#include "base/err.h"

/* Makes the state folder and gives it to the user, then becomes the user, for good. As another
 * ordinary user than `user`: RAY_EDENIED. RAY_ENOTFOUND: no such user. */
int provision_privileges_drop(const char *user, const char *state_dir, struct ray_err *err);

/* When all sockets are bound: nothing is effective any more. What is permitted stays for the
 * next dnsmasq. Harmless for who had nothing. */
int provision_privileges_rest(struct ray_err *err);
/* CAP_NET_RAW is effective where it is permitted, until the next rest. */
void provision_privileges_raise(void);

#endif
