/* coordinator/lease/grant.h - the words of grants: times, pairs, renewals and answers
 * (DESIGN.md section 8; docs/explanation/grants.md has the arithmetic).
 *
 * Memory: plain structs; pair arrays are borrowed.  Threads: any.  Blocks: never.
 * Trust: messages are checked by grant_codec.h before they get here. */
#ifndef RAY_COORDINATOR_LEASE_GRANT_H
#define RAY_COORDINATOR_LEASE_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/grant_page.h"
#include "base/id.h"

enum {
    COORD_LEASE_PAIRS_MAX = RAY_GRANT_SLOTS_MAX, /* of one node */
    COORD_LEASE_HASH_SIZE = 16,
    COORD_LEASE_DRIFT_PPM_MAX = 100000, /* 10 % */
};

#define COORD_LEASE_TIME_MAX_NS (UINT64_C(600) * 1000000000) /* of T and of M, each */

/* A replicated setting. Every clock is taken to be within drift_ppm of true time. */
struct coord_lease_timing {
    uint64_t grant_ns;  /* T: a slot lives this long from t_send */
    uint64_t margin_ns; /* M: a vCPU has stopped this long after its deadline */
    uint32_t drift_ppm; /* d */
};

/* RAY_EINVAL: a time is 0 or above its limit. */
int coord_lease_timing_check(const struct coord_lease_timing *timing, struct ray_err *err);
/* Each value the larger of both. */
struct coord_lease_timing coord_lease_timing_max(const struct coord_lease_timing *a,
                                                 const struct coord_lease_timing *b);
/* W = (T + M)(1 + d)/(1 - d), rounded up: silence after which nothing granted before it can run,
 * whatever the clocks of both sides did within d. */
uint64_t coord_lease_wait_ns(const struct coord_lease_timing *timing);

enum coord_lease_kind {
    COORD_LEASE_GUEST = 1,
    COORD_LEASE_PRESENTATION = 2,
};

/* What one incarnation may run: an epoch, and the entry that made it. */
struct coord_lease_pair {
    struct ray_id id;
    struct ray_epoch epoch;
    struct ray_epoch from;        /* the epoch that it ended */
    enum ray_epoch_origin origin; /* the entry that ended it */
    enum coord_lease_kind kind;
};

struct coord_lease_hash {
    uint8_t bytes[COORD_LEASE_HASH_SIZE];
};

void coord_lease_sort(struct coord_lease_pair *pairs, size_t count);
/* Of a sorted list. No list is all zeros; the empty one is not. */
struct coord_lease_hash coord_lease_hash_of(const struct coord_lease_pair *pairs, size_t count);
bool coord_lease_hash_equal(const struct coord_lease_hash *a, const struct coord_lease_hash *b);

/* Agent to leader. An outcome's proposal carries one, too. */
struct coord_lease_renew {
    struct ray_id node;
    struct ray_id incarnation;
    uint64_t cluster_epoch;
    uint64_t t_send_ns; /* the agent's CLOCK_BOOTTIME, read before queueing */
    struct coord_lease_hash hash;
};

/* On the wire; never renumbered. */
enum coord_lease_status {
    COORD_LEASE_GRANTED = 1,
    COORD_LEASE_DUPLICATE = 2, /* another incarnation is admitted: granted nothing, ever */
    COORD_LEASE_REMOVED = 3,   /* the node is no member, or is being removed */
};

/* Leader to agent. */
struct coord_lease_answer {
    struct ray_id node;
    struct ray_id incarnation;
    enum coord_lease_status status;
    uint64_t cluster_epoch;
    uint64_t t_send_ns;           /* of the renewal that it answers */
    uint64_t grant_ns;            /* T; agents use no other */
    uint64_t revision;            /* log index as of which the list holds */
    struct coord_lease_hash hash; /* of the list, also when it is left out */
    bool is_unchanged;            /* the list is the one that the renewal hashed; no pairs follow */
    const struct coord_lease_pair *pairs;
    size_t pair_count;
};

#endif
