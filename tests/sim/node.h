/* tests/sim/node.h - what the simulator runs in a process: consensus alone (node_raft.c), or the
 * whole replica of production (node_replica.c).
 *
 * A node gets its world as production does and tells an observer what it did; the observer is of
 * the simulator and is not told anything by a ghost (world.h).
 * Memory: create and destroy; a crash is destroy without anything before it.
 * Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_NODE_H
#define RAY_TESTS_SIM_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "coordinator/api/roster_list.h"
#include "coordinator/entry.h"
#include "coordinator/env.h"
#include "coordinator/store/disk.h"
#include "net/link.h"
#include "tests/sim/history.h"
#include "tests/sim/net.h"

struct sim_node;
struct sim_grants_machine;

/* What all nodes of a run share. */
struct sim_cluster {
    struct ray_id id;
    struct ray_id nodes[SIM_NET_PLACES_MAX];
    uint32_t node_count;
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t segment_size;
    uint32_t key_count;
    uint32_t client_count;
    uint32_t grant_ms; /* T, between renewals, M, d */
    uint32_t renew_ms;
    uint32_t margin_ms;
    uint32_t drift_ppm;
    bool is_standing; /* machines stand still together with their clocks */
};

struct sim_answer {
    uint64_t index; /* where it ran; a read: the revision it saw */
    uint64_t value; /* of a read */
    bool has_failed;
};

#define SIM_WATCH_FOR_ALL (UINT64_C(1) << 63)

struct sim_observer {
    void (*leads)(void *arg, uint64_t server, uint64_t term);
    void (*appended)(void *arg, uint64_t index, uint64_t term, uint64_t hash,
                     uint64_t previous_term);
    void (*applied)(void *arg, uint64_t index, uint64_t term, uint64_t hash);
    void (*state)(void *arg, uint64_t index, uint64_t state_hash);
    /* Not for a request that was only found to have run before. */
    void (*executed)(void *arg, const struct sim_op *op);
    /* RAY_OK: `answer` is the result. Otherwise it may or may not have run, or may yet. */
    void (*answered)(void *arg, uint64_t ticket, int status, const struct sim_answer *answer);
    /* One event of an entry as it is applied. `subject`: its kind, from bit 8 on the places that
     * it concerns, SIM_WATCH_FOR_ALL. */
    void (*emitted)(void *arg, uint64_t revision, uint32_t sub, uint64_t hash, uint64_t subject);
    /* A batch for a watcher; as coord_watch_send says. */
    int (*watched)(void *arg, uint64_t number, const uint8_t *bytes, size_t size);
    void (*quarantined)(void *arg, const char *why);
    /* It applied what makes this the feature level. `members`: of its configuration, by place. */
    void (*raised)(void *arg, uint32_t level, uint32_t members);
    /* It cannot go on and is to be started anew. */
    void (*failed)(void *arg, const char *why);
    void *arg;
};

/* Of the run, by place: what machines know of each other besides their disks. Only the whole
 * replica uses it. */
struct sim_membership {
    uint64_t server_ids[SIM_NET_PLACES_MAX];    /* that the log knows nodes by; 0: none yet */
    uint64_t lost_ids[SIM_NET_PLACES_MAX];      /* the number that its lost disk had; 0: none was */
    uint64_t boot_counters[SIM_NET_PLACES_MAX]; /* that the registry has */
    uint64_t admitted[SIM_NET_PLACES_MAX];      /* boots, by now */
    uint64_t admitted_index[SIM_NET_PLACES_MAX];
    struct member_roster rosters[SIM_NET_PLACES_MAX]; /* kept beside log and checkpoint */
    uint64_t cluster_epoch;
    uint32_t recovered;                  /* one bit per place: it is to become the only voter */
    uint32_t removed;                    /* an operator removes it by force */
    uint32_t levels[SIM_NET_PLACES_MAX]; /* feature levels of the builds on the machines */
    bool is_founded;
};

struct sim_node_world {
    const struct coord_env *env;
    struct coord_disk *disk;
    struct ray_link *link;
    const struct sim_cluster *cluster;
    uint32_t place;
    struct sim_membership *membership;
    struct sim_grants_machine *grants; /* what its machine may run; NULL: no guests */
    struct sim_observer observer;
};

struct sim_node_status {
    bool is_leader;
    uint32_t members; /* of the newest configuration that it knows: one bit per place */
    bool is_quarantined;
    bool is_member; /* of the newest configuration that it knows */
    uint64_t boot_counter;
    uint64_t term;
    uint64_t applied_index;
    uint64_t commit_index;
    uint64_t stored_index; /* durable in its log; only of the whole replica */
    uint32_t leader;       /* place; UINT32_MAX: not known */
    size_t voter_count;
    /* Of the whole replica only. */
    uint32_t voters; /* those of the newest configuration that it knows: one bit per place */
    uint64_t last_index;
    uint64_t last_term;
    uint32_t feature_level; /* of its registry; 0: no cluster yet */
    size_t server_count;    /* of that configuration, also of numbers that are nobody's any more */
};

struct sim_node_ops {
    const char *name;
    /* It needs what net/link.h promises: no datagram mode. */
    bool needs_promises;
    /* Who is damaged gets a new number and is whole again at the end. */
    bool comes_back;
    bool has_guests;
    /* Faults begin after that: a cluster of one voter loses everything with its disk. */
    uint64_t warm_up_ns;
    /* On an empty disk it becomes the node that its place says. */
    int (*create)(struct sim_node **out, const struct sim_node_world *world, struct ray_err *err);
    void (*destroy)(struct sim_node *node);
    void (*on_timer)(struct sim_node *node);
    void (*turn)(struct sim_node *node);
    /* Answered later through the observer, or never. */
    void (*ask)(struct sim_node *node, const struct sim_op *op, uint64_t ticket);
    void (*status)(const struct sim_node *node, struct sim_node_status *out);
    /* Where it leads: some change of the configuration, drawn from `draw`; otherwise nothing. */
    void (*change)(struct sim_node *node, uint64_t draw);
    /* Where it leads: hands over. */
    void (*transfer)(struct sim_node *node);
    /* Packed requests of a watcher (net/proto/registry.proto); NULL: it has no events. */
    void (*watch)(struct sim_node *node, uint64_t number, const uint8_t *bytes, size_t size);
    void (*watch_credit)(struct sim_node *node, uint64_t number, const uint8_t *bytes, size_t size);
    void (*watch_end)(struct sim_node *node, uint64_t number);
    /* A page of the registry (net/proto/registry.proto) into `out`; other than RAY_OK: it holds no
     * registry of its own, or takes no part. NULL: it has none. */
    int (*query)(struct sim_node *node, const uint8_t *bytes, size_t size, struct ray_buf *out);
};

extern const struct sim_node_ops sim_node_raft;
extern const struct sim_node_ops sim_node_replica;
extern const struct sim_node_ops sim_node_grants; /* the replica, with guests */

#endif
