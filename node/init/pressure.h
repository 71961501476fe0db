/* node/init/pressure.h - watches /proc/pressure on the loop; pressure_core decides.
 *
 * Memory: fixed; owns a descriptor for each file.  Threads: the loop's.  Blocks: never.
 * Trust: the kernel. */
#ifndef RAY_NODE_INIT_PRESSURE_H
#define RAY_NODE_INIT_PRESSURE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "node/init/pressure_core.h"
#include "node/init/system/psi.h"

struct pressure;

struct pressure_watch {
    struct pressure *owner;
    enum pressure_kind kind;
    int fd; /* with the trigger, which lives as long as this; -1: not watched */
    struct ray_poll poll;
    struct pressure_level level;
};

struct pressure {
    int root_fd; /* borrowed */
    struct pressure_watch watches[PRESSURE_KIND_COUNT];
    struct ray_timer timer;
    /* It became high, or normal again. */
    void (*on_change)(void *arg, enum pressure_kind kind);
    void *arg;
};

/* Begins to watch what the kernel offers. RAY_EUNSUPPORTED: nothing (psi=0, or a kernel
 * without it); other failures are those of the last file when none could be watched. In each
 * case the struct is as good as one that never sees any pressure. */
int pressure_init(struct pressure *pressure, struct ray_loop *loop, int root_fd,
                  void (*on_change)(void *arg, enum pressure_kind kind), void *arg,
                  struct ray_err *err);
/* Safe on a zeroed struct. */
void pressure_fini(struct pressure *pressure);

bool pressure_is_watched(const struct pressure *pressure, enum pressure_kind kind);
const struct pressure_level *pressure_level(const struct pressure *pressure,
                                            enum pressure_kind kind);
/* The averages now. */
int pressure_read(const struct pressure *pressure, enum pressure_kind kind, struct init_psi *out,
                  struct ray_err *err);

#endif
