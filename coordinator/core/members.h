/* coordinator/core/members.h - who should be voter, standby or observer: the next single
 * change towards it, or why none can be made. A pure policy.
 *
 * The picture it works towards: as many voters as wanted (1, 3 or 5; always an odd number, at
 * most the number of healthy nodes) over as many failure domains as possible, up to four
 * standbys. Two nodes are one voter and one standby. From one voter to three it goes only with
 * two caught-up standbys, through two without pause. Replacing is add, then remove. A leader
 * hands over before it is removed or demoted. A change that leaves fewer healthy voters than a
 * majority is never proposed.
 *
 * Memory: plain structs.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_CORE_MEMBERS_H
#define RAY_COORDINATOR_CORE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/entry.h"

enum {
    COORD_STANDBYS_MAX = 4,
    COORD_MEMBERS_NODES_MAX = 4096,
    COORD_MEMBERS_WHY_SIZE = 160,
};

struct coord_member_node {
    uint64_t id;          /* its number in the log; not 0 */
    uint64_t domain;      /* equal numbers fail together; 0: a domain of its own */
    uint64_t match_index; /* stored there, as the leader knows; 0: unknown or observer */
    bool is_healthy;      /* the leader hears from it */
    bool is_wanted;       /* may hold the log (has a disk, is neither drained nor removed) */
};

struct coord_members {
    const struct coord_member_node *nodes; /* sorted by id; each server of config is there */
    size_t count;
    struct coord_config config; /* newest, committed */
    uint64_t leader_id;
    uint64_t last_index;  /* of the leader's log */
    size_t wanted_voters; /* 1, 3 or 5 */
};

enum coord_members_action {
    COORD_MEMBERS_NONE = 0, /* as it should be, or `why` says what it waits for */
    COORD_MEMBERS_CHANGE,   /* propose `next` */
    COORD_MEMBERS_TRANSFER, /* hand leadership to `transfer_id` first */
};

struct coord_members_step {
    enum coord_members_action action;
    struct coord_config next;
    uint64_t transfer_id;
    bool is_hurried; /* of a CHANGE: it leaves, or ends, an even number of voters */
    char why[COORD_MEMBERS_WHY_SIZE]; /* for people, also for NONE when it waits */
};

/* RAY_EINVAL: contradictory input (unsorted, a server without its node, wanted_voters). */
int coord_members_next(const struct coord_members *members, struct coord_members_step *out,
                       struct ray_err *err);

#endif
