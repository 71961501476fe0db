/* feature.c - see feature.h. */
#include "coordinator/core/feature.h"

void coord_feature_add(struct coord_feature_found *found, const struct coord_feature_node *node)
{
    uint32_t level = node->is_heard ? node->level : 0;

    if (!node->is_server && !node->is_heard) {
        return;
    }
    if (!found->is_any || level < found->level) {
        *found = (struct coord_feature_found){.is_any = true, .level = level, .holder = *node};
    }
}

uint32_t coord_feature_step(struct coord_feature_watch *watch, uint32_t found, uint32_t now,
                            uint64_t now_ns, uint64_t wait_ns)
{
    if (found != watch->level) {
        /* A higher one than before is waited for anew; what all had before is had still. */
        *watch = (struct coord_feature_watch){.level = found, .since_ns = now_ns};
    }
    if (found <= now || now_ns - watch->since_ns < wait_ns) {
        return 0;
    }
    return found;
}
