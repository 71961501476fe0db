/* provisioning/store/gc.h - which images nobody needs any more. Pure: time is a parameter.
 *
 * Memory: the caller's.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_PROVISIONING_STORE_GC_H
#define RAY_PROVISIONING_STORE_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct provision_gc_rule {
    size_t keep_count; /* so many sound images, the last added, stay */
    uint64_t keep_us;  /* so long after it was last served an image stays */
};

/* 3 images, 7 days. */
extern const struct provision_gc_rule provision_gc_rule_default;

/* What machines do with one image. An image without one is not in use. */
struct provision_gc_use {
    const char *id;
    bool is_assigned;        /* a machine, a group or the default names it */
    uint64_t last_served_us; /* realtime; 0: never. A time in the future counts as now */
};

struct provision_gc_image {
    const char *id;
    bool is_damaged; /* never counts among the kept, goes when not in use */
};

/* Whether an image is assigned or was served within the rule's time. */
bool provision_gc_is_in_use(const char *id, const struct provision_gc_rule *rule,
                            const struct provision_gc_use *uses, size_t use_count, uint64_t now_us);

/* `images`: the last added first. Sets out_remove[i] for each that may go; returns how many. */
size_t provision_gc_plan(const struct provision_gc_image *images, size_t image_count,
                         const struct provision_gc_rule *rule, const struct provision_gc_use *uses,
                         size_t use_count, uint64_t now_us, bool *out_remove);

#endif
