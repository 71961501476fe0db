/* coordinator/place/group.h - where several guests go at once: those of a node that is away, or is
 * to be drained.
 *
 * The hardest first (priority, then the share of the largest node that a guest takes), each to its
 * best node; when one does not fit, earlier choices are taken back, best first, for a limited
 * number of steps. Pure, as place.h.
 *
 * Memory: struct coord_place_group owns its scratch; places are the caller's.  Threads: its
 * owner's.  Blocks: never.  Trust: as place.h. */
#ifndef RAY_COORDINATOR_PLACE_GROUP_H
#define RAY_COORDINATOR_PLACE_GROUP_H

#include "coordinator/place/place.h"

enum { COORD_PLACE_MEMBERS_MAX = 4096, COORD_PLACE_BONDS_MAX = 16384 };

struct coord_place_member {
    struct coord_place_request request; /* relations: to guests that are not members */
    uint32_t priority;                  /* higher first */
};

/* A relation between two members. */
struct coord_place_bond {
    uint32_t a;
    uint32_t b;
    bool is_together;
    bool is_for_domain;
    bool is_required;
};

struct coord_place_question {
    const struct coord_place_member *members;
    uint32_t member_count;
    const struct coord_place_bond *bonds;
    uint32_t bond_count;
    uint32_t steps_max; /* nodes are looked at once per step; at least member_count are made */
};

struct coord_place_group_answer {
    uint32_t placed_count; /* all: every member has its place */
    uint32_t first_failed; /* a member without a place; COORD_PLACE_NOWHERE: none */
    bool is_proven;        /* not all can be placed, whatever is tried */
};

struct coord_place_group;

/* RAY_EINVAL, RAY_ENOMEM. */
int coord_place_group_create(uint32_t node_count_max, struct coord_place_group **out_group,
                             struct ray_err *err);
void coord_place_group_destroy(struct coord_place_group *group);

/* Fills places[member_count]: a node, or COORD_PLACE_NOWHERE. When not all fit, each that fits
 * beside those before it has its place. RAY_EINVAL, RAY_ENOMEM. */
int coord_place_group_find(struct coord_place_group *group,
                           const struct coord_place_cluster *cluster,
                           const struct coord_place_question *question, uint32_t *places,
                           struct coord_place_group_answer *out_answer, struct ray_err *err);

#endif
