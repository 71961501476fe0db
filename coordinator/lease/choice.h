/* coordinator/lease/choice.h - what a node does next about one guest: from what it was granted,
 * what its launcher remembers and what is wanted, to one act. Pure; the agent asks again after
 * each act and each answer.
 *
 * Memory: plain values.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_LEASE_CHOICE_H
#define RAY_COORDINATOR_LEASE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/grant_monitor.h"
#include "coordinator/lease/grant.h"

enum coord_lease_act {
    COORD_LEASE_ACT_NONE,
    COORD_LEASE_ACT_FORK,            /* launcher fork at `epoch` */
    COORD_LEASE_ACT_ADOPT,           /* launcher adopt at `epoch`, then tell the monitor */
    COORD_LEASE_ACT_END,             /* launcher end at `epoch`, kill, reap */
    COORD_LEASE_ACT_PROPOSE_START,   /* start{guest, expected epoch} */
    COORD_LEASE_ACT_PROPOSE_STOPPED, /* stopped{guest, expected epoch} */
    COORD_LEASE_ACT_PROPOSE_CANCEL,  /* cancel{guest, expected epoch}, from its source */
};

struct coord_lease_facts {
    const struct coord_lease_pair *pair; /* of the newest list; NULL: not in it */
    bool is_alive;                       /* its slot, at the pair's epoch */
    bool is_wanted;                      /* should run; from the watch, of any age */
    bool is_migrating;                   /* a migration of this epoch is open and goes on */
    enum ray_grant_copy copy;            /* launcher: the monitor's copy, ENDED without one */
    struct ray_epoch copy_epoch;
    struct ray_epoch burned;      /* launcher */
    struct ray_epoch known_epoch; /* the newest that the watch has shown */
    uint64_t cluster_epoch;       /* current */
    bool is_home;                 /* as of known_epoch, home is this incarnation */
};

struct coord_lease_choice {
    enum coord_lease_act act;
    struct ray_epoch epoch;
};

struct coord_lease_choice coord_lease_choose(const struct coord_lease_facts *facts);

#endif
