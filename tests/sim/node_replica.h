/* tests/sim/node_replica.h - the parts of the node that is the whole replica: node_replica.c (its
 * world, birth and life), node_replica_begin.c (the founder's first commands),
 * node_replica_client.c (what clients ask), node_replica_told.c (what the replica tells, for the
 * checkers).
 *
 * Memory, threads, trust: as node.h. */
#ifndef RAY_TESTS_SIM_NODE_REPLICA_H
#define RAY_TESTS_SIM_NODE_REPLICA_H

#include "coordinator/replica/replica.h"
#include "coordinator/store/checkpoint_mem.h"
#include "coordinator/watch/hub.h"
#include "net/proto/registry.pb-c.h"
#include "tests/sim/grants.h"
#include "tests/sim/node.h"

enum { SIM_REPLICA_ASKS_MAX = 64, SIM_REPLICA_COMMAND_SIZE_MAX = 2048 };

#define SIM_REPLICA_DEADLINE_NS UINT64_C(5000000000)

enum sim_replica_ask_state {
    SIM_REPLICA_FREE,
    SIM_REPLICA_READING,
    SIM_REPLICA_SWAP_READING,
    SIM_REPLICA_WRITING
};

struct sim_replica_ask {
    struct sim_node *node;
    struct sim_op op;
    uint64_t ticket;
    enum sim_replica_ask_state state;
};

struct sim_node {
    struct sim_node_world world;
    struct coord_mem_store *records; /* of this life */
    struct coord_checkpoint *checkpoint;
    struct coord_replica *replica; /* NULL: not born yet */
    struct coord_watch_hub *hub;   /* with it */
    struct sim_agent *agent;       /* NULL: no guests */
    struct sim_replica_ask asks[SIM_REPLICA_ASKS_MAX];
    uint64_t retry_ns;
    uint64_t replica_timer_ns;
    uint64_t watch_ns;
    struct coord_env env; /* the replica's: its timer is one of two */
    uint64_t opened_clients;
    uint32_t told_level; /* feature level */
    bool is_in_birth;
    bool is_to_recover;
    bool is_gone;
    bool is_commit_begun;
    bool has_failed;
    bool is_leader;
};

/* ---- node_replica.c ---- */

uint64_t sim_replica_now_ns(const struct sim_node *node);
void sim_replica_fail(struct sim_node *node, const char *why);
void sim_replica_log(void *arg, enum ray_log_level level, const char *module, const char *text);
struct ray_id sim_replica_key(uint32_t key);
/* `op`: of a client with a session; NULL none. `done` may be NULL. */
void sim_replica_propose(struct sim_node *node, Rayos__Registry__Command *command,
                         const char *reason, const struct sim_op *op, coord_replica_done *done,
                         void *arg);

/* The feature level that its registry shows; 0: no cluster yet. */
uint32_t sim_replica_level(const struct sim_node *node);

/* ---- node_replica_begin.c ---- */

/* The leader repeats whatever is missing. */
void sim_replica_begin_cluster(struct sim_node *node);

/* ---- node_replica_client.c ---- */

struct ray_id sim_replica_session(uint32_t client);
void sim_replica_ask(struct sim_node *node, const struct sim_op *op, uint64_t ticket);
/* The operation that made this entry; false: none of a client. */
bool sim_replica_read_reason(const struct coord_entry *entry, struct sim_op *op);

/* ---- node_replica_told.c ---- */

struct coord_replica_user sim_replica_user(struct sim_node *node);

#endif
