/* tests/sim/node_raft.h - the parts of the node that is consensus and log alone: node_raft.c
 * (consensus, links, life), node_raft_start.c (from a disk to a member), node_raft_client.c (what
 * clients ask, what is committed).
 *
 * Memory, threads, trust: as node.h. */
#ifndef RAY_TESTS_SIM_NODE_RAFT_H
#define RAY_TESTS_SIM_NODE_RAFT_H

#include "base/arena.h"
#include "coordinator/core/core.h"
#include "coordinator/core/readindex.h"
#include "coordinator/store/meta.h"
#include "coordinator/store/wal.h"
#include "tests/sim/node.h"
#include "tests/sim/toy.h"

enum { SIM_RAFT_ASKS_MAX = 64 };

struct sim_raft_request {
    struct sim_op op;
    uint64_t ticket;
    uint64_t index; /* appended there; a read: needs this to be applied */
    uint64_t term;
    uint64_t probe;
    enum sim_raft_request_state {
        SIM_RAFT_FREE,
        SIM_RAFT_NEW,
        SIM_RAFT_APPENDED,
        SIM_RAFT_PROBED
    } state;
};

enum { SIM_RAFT_STATES = SIM_RAFT_PROBED + 1 };

struct sim_node {
    struct sim_node_world world;
    struct coord_meta_store meta;
    struct coord_wal *wal;
    struct coord_core *core; /* NULL until the first entry is durable, and after a failure */
    struct coord_readindex reads;
    struct sim_toy *toy;
    struct ray_arena arena;
    uint8_t *frame;
    struct sim_raft_request asks[SIM_RAFT_ASKS_MAX];
    size_t ask_counts[SIM_RAFT_STATES];
    struct coord_probe asked[SIM_NET_PLACES_MAX]; /* the newest probe heard, by place */
    uint64_t applied_index;
    uint64_t commit_index;
    uint64_t durable_index;
    uint64_t space_tried_ms;
    bool is_leader;
    bool is_quarantined;
    bool has_failed;
    bool is_in_birth; /* the disk still has our address */
    bool is_gone;
};

/* ---- node_raft.c ---- */

/* Servers of the log are places, counted from 1. */
uint64_t sim_raft_server(uint32_t place);
uint64_t sim_raft_now_ms(const struct sim_node *node);
void sim_raft_fail(struct sim_node *node, const char *why);
void sim_raft_quarantine(struct sim_node *node, const char *why);
bool sim_raft_is_running(const struct sim_node *node);
uint64_t sim_raft_entry_hash(const struct coord_entry *entry);
/* Frames with a probe, to all. */
void sim_raft_probe_all(struct sim_node *node);
/* Result and output of a call of the core; the order is core.h's. */
void sim_raft_drive(struct sim_node *node, int rc, const struct coord_core_out *out);

/* ---- node_raft_start.c ---- */

/* An empty disk becomes a member's; that ends later. */
int sim_raft_start(struct sim_node *node, struct ray_err *err);

/* ---- node_raft_client.c ---- */

extern const struct sim_answer sim_raft_no_answer;

void sim_raft_ask(struct sim_node *node, const struct sim_op *op, uint64_t ticket);
void sim_raft_answer(struct sim_node *node, struct sim_raft_request *ask, int status,
                     const struct sim_answer *result);
void sim_raft_submit(struct sim_node *node);
void sim_raft_begin_reads(struct sim_node *node);
void sim_raft_finish_reads(struct sim_node *node);
void sim_raft_apply(struct sim_node *node);

#endif
