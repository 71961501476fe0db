/* registry.c - comparing what grants are made of. */
#include "coordinator/fsm/registry.h"

bool coord_epoch_equal(struct coord_epoch a, struct coord_epoch b)
{
    return a.cluster == b.cluster && a.index == b.index;
}

int coord_epoch_compare(struct coord_epoch a, struct coord_epoch b)
{
    if (a.cluster != b.cluster) {
        return a.cluster < b.cluster ? -1 : 1;
    }
    if (a.index != b.index) {
        return a.index < b.index ? -1 : 1;
    }
    return 0;
}

bool coord_home_equal(const struct coord_home *a, const struct coord_home *b)
{
    return ray_id_equal(&a->node, &b->node) && ray_id_equal(&a->incarnation, &b->incarnation);
}
