/* An image stays when it is in use or among the last sound ones that were added. */
#include "provisioning/store/gc.h"

#include <string.h>

const struct provision_gc_rule provision_gc_rule_default = {
    .keep_count = 3,
    .keep_us = UINT64_C(7) * 24 * 3600 * 1000000,
};

bool provision_gc_is_in_use(const char *id, const struct provision_gc_rule *rule,
                            const struct provision_gc_use *uses, size_t use_count, uint64_t now_us)
{
    for (size_t i = 0; i < use_count; i++) {
        uint64_t served_us = uses[i].last_served_us;

        if (strcmp(uses[i].id, id) != 0) {
            continue;
        }
        if (uses[i].is_assigned) {
            return true;
        }
        /* A clock that went back must not make an image look old. */
        if (served_us != 0 && (served_us >= now_us || now_us - served_us <= rule->keep_us)) {
            return true;
        }
    }
    return false;
}

size_t provision_gc_plan(const struct provision_gc_image *images, size_t image_count,
                         const struct provision_gc_rule *rule, const struct provision_gc_use *uses,
                         size_t use_count, uint64_t now_us, bool *out_remove)
{
    size_t kept_count = 0;
    size_t remove_count = 0;

    for (size_t i = 0; i < image_count; i++) {
        bool is_kept = !images[i].is_damaged && kept_count < rule->keep_count;

        kept_count += is_kept ? 1 : 0;
        out_remove[i] =
            !is_kept && !provision_gc_is_in_use(images[i].id, rule, uses, use_count, now_us);
        remove_count += out_remove[i] ? 1 : 0;
    }
    return remove_count;
}
