/* node/init/fd_store.h - descriptors that PID 1 keeps for one service over its restarts.
 *
 * Memory: fixed; owns the descriptors.  Threads: the loop's.  Blocks: never.
 * Trust: descriptors come from the service: they are only kept and given back, never read
 * or written. Names were checked by notify_message.h. */
#ifndef RAY_NODE_INIT_FD_STORE_H
#define RAY_NODE_INIT_FD_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "node/init/notify_message.h"

enum { FD_STORE_COUNT_MAX = 48 };

struct fd_store_entry {
    int fd;
    char name[NOTIFY_FD_NAME_SIZE_MAX];
};

struct fd_store {
    struct fd_store_entry entries[FD_STORE_COUNT_MAX];
    size_t count;
};

/* Takes over fd in any case: on refusal it is closed. A name may be given several times; the
 * same open file under the same name is kept once. RAY_ETOOBIG: it is full. */
int fd_store_add(struct fd_store *store, const char *name, int fd, struct ray_err *err);
/* Closes all of that name; returns how many. */
size_t fd_store_remove(struct fd_store *store, const char *name);
bool fd_store_has(const struct fd_store *store, const char *name);
void fd_store_fini(struct fd_store *store);

#endif
