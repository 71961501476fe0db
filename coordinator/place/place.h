/* coordinator/place/place.h - where a guest goes: hard constraints first, then an integer score
 * whose terms are the explanation.
 *
 * Pure: the same cluster and request give the same answer on every replica; nothing here reads a
 * clock, and equal scores go to the lower index. Whoever makes the view (view.h) sorts nodes by id.
 *
 *     score = sum of terms; a node with any barrier has none
 *
 * Memory: struct coord_place owns verdicts and counters, made once for a number of nodes; what it
 * gives out is borrowed until its next call. Cluster and request are borrowed during a call.
 * Threads: its owner's.  Blocks: never.
 * Trust: amounts, indexes and counts are checked (RAY_EINVAL); texts are not looked at.
 * Source: docs/explanation/placement.md for the weights and why. */
#ifndef RAY_COORDINATOR_PLACE_PLACE_H
#define RAY_COORDINATOR_PLACE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define COORD_PLACE_NOWHERE UINT32_MAX

enum {
    COORD_PLACE_NODES_MAX = 16384,
    COORD_PLACE_RELATIONS_MAX = 4096,
    COORD_PLACE_VOLUMES_MAX = 16,
    COORD_PLACE_FAILURES_COUNTED_MAX = 5,
};

/* No node is larger than this in any resource. */
#define COORD_PLACE_AMOUNT_MAX (UINT64_C(1) << 40)

enum coord_place_resource {
    COORD_PLACE_CPU,    /* thousandths of a CPU */
    COORD_PLACE_MEMORY, /* MiB */
    COORD_PLACE_DISK,   /* MiB */
    COORD_PLACE_RESOURCE_COUNT
};

struct coord_place_amount {
    uint64_t of[COORD_PLACE_RESOURCE_COUNT];
};

enum coord_place_standing {
    COORD_PLACE_STANDS, /* may get guests */
    COORD_PLACE_PENDING,
    COORD_PLACE_DRAINED,
    COORD_PLACE_REMOVED,
    COORD_PLACE_FAILED, /* by its own word */
    COORD_PLACE_SILENT, /* not heard of */
    COORD_PLACE_UNFIT,  /* no clock for grants */
    COORD_PLACE_NO_KVM, /* cannot run guests at all */
    COORD_PLACE_QUARANTINED,
    COORD_PLACE_UNKNOWN, /* has not said yet what it has */
    COORD_PLACE_ASSUMED, /* away, in a question "what if" */
    COORD_PLACE_STANDING_COUNT
};

struct coord_place_node {
    struct coord_place_amount total; /* for guests */
    struct coord_place_amount used;  /* by guests at home there; may be above total */
    uint32_t domain;                 /* nodes of one number fail together; below the node count */
    uint16_t architecture;           /* equal numbers run the same code */
    uint16_t cpu_level;              /* a guest that asks for at most this runs there */
    enum coord_place_standing standing;
    uint32_t failures; /* not long ago */
};

struct coord_place_cluster {
    const struct coord_place_node *nodes;
    uint32_t node_count;
};

/* How the guest stands to another one that has its place already. */
struct coord_place_relation {
    uint32_t node; /* the other guest's */
    bool is_together;
    bool is_for_domain; /* same or another domain; else node */
    bool is_required;   /* else it only counts in the score */
};

struct coord_place_volume {
    uint32_t node;     /* where its blocks are; COORD_PLACE_NOWHERE: not made yet */
    uint64_t size_mib; /* 0: takes no node's disk (a pool outside) */
    bool can_move;     /* may be copied for this */
};

struct coord_place_request {
    struct coord_place_amount needs; /* disk: beyond its volumes */
    uint16_t architecture;
    uint16_t cpu_level;
    uint32_t home; /* where it is now; its needs are part of that node's `used`; NOWHERE: none */
    const struct coord_place_relation *relations;
    uint32_t relation_count;
    const struct coord_place_volume *volumes;
    uint32_t volume_count;
    const uint32_t *denied_by; /* per node: the number of the policy's rule, 0: allowed; or NULL */
    const uint32_t *lacks;     /* per node: how many labels it lacks that it must have; or NULL */
    bool has_domain;           /* it stays in that failure domain: */
    uint32_t domain;           /* COORD_PLACE_NOWHERE: one that no node has */
};

/* Why a node is out; bits, for one repaired barrier is no use while another stands. */
enum coord_place_barrier {
    COORD_PLACE_BARRIER_STANDING,
    COORD_PLACE_BARRIER_ARCHITECTURE,
    COORD_PLACE_BARRIER_CPU_LEVEL,
    COORD_PLACE_BARRIER_CPU, /* in the order of resources */
    COORD_PLACE_BARRIER_MEMORY,
    COORD_PLACE_BARRIER_DISK,
    COORD_PLACE_BARRIER_POLICY,
    COORD_PLACE_BARRIER_APART,
    COORD_PLACE_BARRIER_TOGETHER,
    COORD_PLACE_BARRIER_VOLUMES,
    COORD_PLACE_BARRIER_DOMAIN,
    COORD_PLACE_BARRIER_LABELS,
    COORD_PLACE_BARRIER_COUNT
};

enum coord_place_term {
    COORD_PLACE_TERM_CPU, /* room left afterwards, in the order of resources */
    COORD_PLACE_TERM_MEMORY,
    COORD_PLACE_TERM_DISK,
    COORD_PLACE_TERM_BALANCE,  /* one resource scarce beside another */
    COORD_PLACE_TERM_VOLUMES,  /* blocks that are there, or must be copied */
    COORD_PLACE_TERM_TOGETHER, /* wished for */
    COORD_PLACE_TERM_APART,    /* wished for, and not so */
    COORD_PLACE_TERM_HOME,     /* it is there already */
    COORD_PLACE_TERM_RISK,     /* failures */
    COORD_PLACE_TERM_COUNT
};

struct coord_place_verdict {
    uint32_t barriers; /* 1u << enum coord_place_barrier; 0: possible */
    int32_t score;     /* only when possible */
    int32_t terms[COORD_PLACE_TERM_COUNT];
};

struct coord_place;

/* For at most `node_count_max` nodes. RAY_EINVAL, RAY_ENOMEM. */
int coord_place_create(uint32_t node_count_max, struct coord_place **out_place,
                       struct ray_err *err);
void coord_place_destroy(struct coord_place *place);

struct coord_place_answer {
    uint32_t best;                              /* COORD_PLACE_NOWHERE: no node is possible */
    uint32_t second;                            /* COORD_PLACE_NOWHERE: none */
    const struct coord_place_verdict *verdicts; /* one per node */
};

/* O(nodes + relations). RAY_EINVAL: an index, a count or an amount out of its range. */
int coord_place_find(struct coord_place *place, const struct coord_place_cluster *cluster,
                     const struct coord_place_request *request,
                     struct coord_place_answer *out_answer, struct ray_err *err);

/* What `request` takes of enum coord_place_resource on `node`; of its disk: also volumes that are
 * not there yet. */
uint64_t coord_place_needed(const struct coord_place_request *request, uint32_t node, int resource);

/* What one node would have to have, or lose, so that one barrier falls. */
struct coord_place_change {
    enum coord_place_barrier barrier;
    uint64_t lacking;  /* of the resource; of CPU_LEVEL: the level asked for */
    uint32_t count;    /* of APART, TOGETHER: relations that stand in the way; VOLUMES: volumes;
                          LABELS: labels */
    uint32_t relation; /* the first of them, an index of the request's */
    uint32_t rule;     /* of POLICY */
};

/* All that would have to change for `node`, together enough; returns their number, 0 when it is
 * possible. After a successful find of the same cluster and request. */
size_t coord_place_changes(const struct coord_place *place,
                           const struct coord_place_cluster *cluster,
                           const struct coord_place_request *request, uint32_t node,
                           struct coord_place_change out[static COORD_PLACE_BARRIER_COUNT]);

/* Words for tables and JSON; never NULL. */
const char *coord_place_barrier_name(enum coord_place_barrier barrier);
const char *coord_place_term_name(enum coord_place_term term);
const char *coord_place_standing_text(enum coord_place_standing standing);

enum { COORD_PLACE_TEXT_SIZE = 160 };
/* One sentence without a full stop: "needs 900 MiB more free memory"; returns `out`. */
const char *coord_place_change_text(const struct coord_place_change *change,
                                    const struct coord_place_cluster *cluster, uint32_t node,
                                    char out[static COORD_PLACE_TEXT_SIZE]);

#endif
