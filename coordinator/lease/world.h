/* coordinator/lease/world.h - a small world around the pure parts of grants, for their test: three
 * nodes with clocks that drift, an abstract Raft (real elections, real logs, messages at once or
 * not at all), an abstract registry, and the book, agents, pages, launchers and monitors as they
 * are. A walk from one seed does common things often and faults rarely; after each tick the ten
 * lemmas of docs/explanation/grants.md are checked.
 *
 * Memory: create and destroy.  Threads: one.  Blocks: never.  Trust: tests only. */
#ifndef RAY_COORDINATOR_LEASE_WORLD_H
#define RAY_COORDINATOR_LEASE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/grant_monitor.h"
#include "base/grant_page.h"
#include "base/id.h"
#include "coordinator/lease/agent.h"
#include "coordinator/lease/book.h"
#include "coordinator/lease/choice.h"
#include "coordinator/lease/launcher.h"

enum {
    WORLD_NODES = 3,    /* each a member of the log and a machine */
    WORLD_MACHINES = 4, /* the last is a clone of one of them, or off */
    WORLD_GUESTS = 3,
    WORLD_LOG_MAX = 1024,
    WORLD_MESSAGES_MAX = 96,
    WORLD_TERMS_MAX = 256,
    WORLD_FORKS_MAX = 1024,
    WORLD_TICK_NS = 1000,
};

/* ---- registry ---- */

enum world_kind {
    WORLD_NOOP = 1,
    WORLD_ADMIT,
    WORLD_OPEN_MIGRATION,
    WORLD_OUTCOME,
    WORLD_WANT,
    WORLD_TIMING,
    WORLD_SETTLED,
    WORLD_DELETE,
    WORLD_RECOVER,
    WORLD_CONFIRM_OFF,
};

struct world_entry {
    uint64_t term;
    enum world_kind kind;
    int guest;
    int node; /* new home, destination, admitted, confirmed off */
    struct ray_id incarnation;
    struct ray_id proposer;
    struct ray_epoch expected;
    enum ray_epoch_origin origin;
    bool is_wanted;
    uint64_t grant_ns;
    bool was_alive; /* of a death take-over at its append: somebody ran or could (lemma 4) */
};

struct world_guest {
    int home;
    struct ray_id home_incarnation;
    struct ray_epoch epoch;
    struct ray_epoch from;
    enum ray_epoch_origin origin;
    bool is_wanted;
    bool is_stopped;
    bool is_deleted;
    bool is_migrating;
    int destination;
    struct ray_id destination_incarnation;
};

struct world_registry {
    uint64_t index; /* applied */
    uint64_t cluster_epoch;
    unsigned unknown; /* mask of nodes */
    struct ray_id admitted[WORLD_NODES];
    struct world_guest guests[WORLD_GUESTS];
    struct coord_lease_timing timing;
    struct coord_lease_timing maxima;
    bool is_settled;
};

/* ---- one member of the log ---- */

struct world_member {
    struct world *world;
    int node;
    uint64_t term;
    uint64_t cluster_epoch;
    unsigned config; /* mask */
    bool is_leader;
    uint64_t log_count;
    uint64_t commit;
    uint64_t heard_tick; /* a leader, or its own election */
    uint64_t noop_index;
    uint64_t match[WORLD_NODES];
    uint64_t echo[WORLD_NODES]; /* newest probe that it echoed */
    uint64_t probe;             /* begun last */
    struct coord_lease_book *book;
    struct world_registry registry;
    struct world_entry log[WORLD_LOG_MAX + 1]; /* from 1 */
};

/* ---- one machine ---- */

struct world_copy {
    bool is_there;
    struct ray_grant_monitor monitor;
    struct ray_grant_vcpu vcpu;
    bool is_running;
    uint64_t stop_at_ns; /* latest, by its clock; from the last deadline that let it run */
    uint64_t memory;     /* stamp of the last run that this memory has seen; 0: none yet */
    bool has_state;      /* a loaded copy is complete */
    bool is_fresh;       /* not run yet since its fork */
};

struct world_machine {
    int node;
    bool is_on;
    struct ray_id incarnation;
    uint64_t clock_offset;
    uint64_t clock_ppm; /* 1e6: exact */
    uint64_t overshoot_ns;
    struct ray_grant_page *page;
    struct coord_launcher *launcher;
    struct coord_lease_agent agent;
    struct world_copy copies[WORLD_GUESTS];
    bool is_clone;                   /* takes itself for the one that it was copied from */
    bool is_giving_up[WORLD_GUESTS]; /* the source does not wait for its migration any longer */
    struct world_registry seen;      /* by its watch */
    uint64_t watch_stalled_until;
};

/* ---- messages ---- */

enum world_message_kind {
    WORLD_HANDLED = 0,
    WORLD_RENEW,
    WORLD_ANSWER,
    WORLD_PROPOSE, /* carries a renewal */
    WORLD_REPLY,
    WORLD_STATE, /* of a migration */
};

struct world_message {
    enum world_message_kind kind;
    int from; /* machine or member */
    int to;
    uint64_t term; /* of whoever answers */
    uint64_t true_send_tick;
    struct coord_lease_renew renew;
    struct coord_lease_answer answer;
    struct coord_lease_pair pairs[WORLD_GUESTS];
    struct world_entry entry;
    struct ray_epoch epoch;
    uint64_t memory;
    struct ray_id incarnation; /* of the addressed machine */
};

struct world_fork {
    int guest;
    struct ray_epoch epoch;
};

struct world {
    uint64_t random;
    uint64_t tick; /* true time */
    uint64_t incarnation_count;
    bool is_calm; /* healed: no more faults */
    bool has_recovered;
    bool cut[WORLD_MACHINES][WORLD_MACHINES]; /* [from][to] */
    struct world_member *members[WORLD_NODES];
    struct world_machine machines[WORLD_MACHINES];
    struct world_message messages[WORLD_MESSAGES_MAX];
    int message_count;
    uint64_t election_tick[WORLD_TERMS_MAX];
    uint64_t run_stamp;
    uint64_t last_run[WORLD_GUESTS];
    struct world_fork forks[WORLD_FORKS_MAX];
    int fork_count;
    uint64_t checked_commit[2]; /* of cluster epochs 1 and 2 */
    uint64_t run_ticks;         /* in which some guest ran: the walk is worth something */
    uint64_t takeover_count;
    uint64_t migration_count;
    const char *lemma; /* the first that was violated; NULL: none */
    char detail[160];
};

struct ray_id world_guest_id(int guest);
struct ray_id world_node_id(int node);
uint64_t world_local(const struct world *world, const struct world_machine *machine);
uint32_t world_below(struct world *world, uint32_t limit);
bool world_chance(struct world *world, uint32_t percent);
void world_violate(struct world *world, const char *lemma, int guest, int machine);
void world_send(struct world *world, const struct world_message *message);

/* world_registry.c */
void world_registry_init(struct world_registry *registry);
void world_registry_apply(struct world_registry *registry, const struct world_entry *entry,
                          uint64_t index);
struct coord_lease_view world_view(struct world_member *member);

/* world_raft.c */
bool world_append(struct world *world, struct world_member *member, struct world_entry entry);
void world_raft_tick(struct world *world);
void world_elect(struct world *world, struct world_member *member);
void world_depose(struct world_member *member);
void world_receive(struct world *world, struct world_member *member,
                   const struct world_message *message);
const struct world_member *world_newest(const struct world *world, uint64_t cluster_epoch);

/* world_machine.c */
void world_machine_boot(struct world *world, int machine, int node, bool has_clock);
void world_machine_off(struct world *world, int machine);
void world_machine_restart_agent(struct world *world, int machine);
void world_machine_kill_copy(struct world *world, int machine, int guest);
void world_machine_tick(struct world *world, int machine);
void world_machine_take(struct world *world, int machine, const struct world_message *message);

/* world_check.c */
void world_check_tick(struct world *world);
void world_check_answer(struct world *world, const struct world_member *member,
                        const struct coord_lease_answer *answer);
void world_check_taken(struct world *world, int machine, const struct world_message *message);
void world_check_death(struct world *world, struct world_entry *entry);
void world_note_run(struct world *world, int guest, struct ray_epoch epoch);
void world_check_resume(struct world *world, int machine, int guest);
void world_check_progress(struct world *world);

/* world.c: one walk; lemma is NULL when all held. */
struct world *world_create(uint64_t seed);
void world_destroy(struct world *world);
void world_walk(struct world *world, unsigned ticks);
void world_heal(struct world *world);

#endif
