/* registry.c - comparing what grants are made of. */
#include "coordinator/fsm/registry.h"

bool coord_home_equal(const struct coord_home *a, const struct coord_home *b)
{
    return ray_id_equal(&a->node, &b->node) && ray_id_equal(&a->incarnation, &b->incarnation);
}
