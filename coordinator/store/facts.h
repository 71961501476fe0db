/* coordinator/store/facts.h - a few small facts of this node alone, each durable when put returns.
 *
 * Facts are not replicated and outlive log and checkpoint: pinned fingerprints, highest epochs,
 * peers' boot counters. A struct of functions: LMDB with full sync, or memory for tests.
 * Memory: the implementation's constructor and destroy.  Threads: the loop's.  Blocks: always.
 * Trust: the disk is not trusted: a fact with a wrong checksum is RAY_EMALFORMED. */
#ifndef RAY_COORDINATOR_STORE_FACTS_H
#define RAY_COORDINATOR_STORE_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    COORD_FACTS_KEY_SIZE_MAX = 255, /* of text, not empty */
    COORD_FACTS_VALUE_SIZE_MAX = 64 << 10,
};

struct coord_facts;

struct coord_facts_ops {
    /* Replaces what `out` holds. RAY_ENOTFOUND, RAY_EMALFORMED. */
    int (*get)(struct coord_facts *facts, const char *key, struct ray_buf *out,
               struct ray_err *err);
    int (*put)(struct coord_facts *facts, const char *key, const void *value, size_t size,
               struct ray_err *err);
    /* RAY_ENOTFOUND. */
    int (*remove)(struct coord_facts *facts, const char *key, struct ray_err *err);
    /* Those whose key begins with `prefix`, in order; `each` must not change facts. */
    int (*list)(struct coord_facts *facts, const char *prefix,
                void (*each)(void *arg, const char *key, const uint8_t *value, size_t size),
                void *arg, struct ray_err *err);
    void (*destroy)(struct coord_facts *facts);
};

struct coord_facts {
    const struct coord_facts_ops *ops;
};

#endif
