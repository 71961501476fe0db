/* node/core/core_sandbox.h - the collector gives up what it does not need before it reads the
 * first hostile byte: root, capabilities, the file system, and most system calls.
 *
 * Memory: none.  Threads: one.  Blocks: never.  Trust: none needed. */
#ifndef RAY_NODE_CORE_CORE_SANDBOX_H
#define RAY_NODE_CORE_CORE_SANDBOX_H

#include <sys/types.h>

#include "base/err.h"

enum { CORE_SANDBOX_ID = 903 }; /* user and group rayos-core of provisioning/image/users.list */

/* `cores_fd` becomes the root folder; -1: the root stays. After a failure the process is in
 * between and must end. */
int core_sandbox_enter(int cores_fd, uid_t uid, gid_t gid, struct ray_err *err);
/* Only the last step, for tests: what is not on the list ends the process. */
int core_sandbox_filter(struct ray_err *err);

#endif
