/* tests/sim/grants.h - guests over the whole replica: on each machine a grant page, a launcher's
 * table and monitors (they survive the process, not the power), in each process an agent, and
 * somebody who wants guests to be started, stopped, moved and deleted all the time.
 *
 *    registry --watch--> agent --page--> monitor, vCPU     what is granted runs, what is not
 *       ^                 |  ^                              stops by its own clock
 *       |              renew answer
 *    outcomes             v  |
 *       `------------- coord_replica
 *
 * Page, launcher, agent, choice and monitor are those of production; made up are the vCPU (runs
 * until its deadline and up to its machine's overshoot longer), the transfer of a migration, and
 * the scheduler, which knows nothing of silence and proposes take-overs at any time: the leader's
 * book has to refuse them.
 * Memory: create and destroy.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_GRANTS_H
#define RAY_TESTS_SIM_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/grant_monitor.h"
#include "base/grant_page.h"
#include "coordinator/fsm/fsm.h"
#include "coordinator/lease/agent.h"
#include "coordinator/lease/launcher.h"
#include "coordinator/replica/replica.h"
#include "tests/sim/check_grants.h"
#include "tests/sim/net.h"
#include "tests/sim/node.h"
#include "tests/sim/world.h"

struct sim_grants;
struct sim_agent;

struct sim_copy {
    bool is_there;
    bool is_fresh;  /* not run yet since its fork */
    bool has_state; /* a loaded copy is complete */
    bool is_running;
    uint64_t stop_at_ns; /* by the machine's clock: then at the latest its vCPU stands */
    uint64_t memory;     /* the newest run that it has seen */
    struct ray_grant_monitor monitor;
    struct ray_grant_vcpu vcpu;
};

struct sim_grants_machine {
    struct sim_grants *grants;
    uint32_t index;
    struct sim_proc *proc; /* borrowed; its clock is the machine's */
    bool is_on;
    uint64_t boot;
    struct ray_id incarnation;
    uint64_t overshoot_ns; /* of a vCPU beyond its deadline; less than M */
    struct ray_grant_page *page;
    struct coord_launcher *launcher;
    struct sim_copy copies[SIM_GUESTS_MAX];
    struct sim_agent *agent; /* of the process that is up; NULL */
    struct sim_map sent;     /* renewals: {t_send, boot}: true time */
    uint64_t rtc_offset_ns;
    struct {
        bool is_standing;
        bool is_excused;   /* woken, and has not noticed yet */
        uint64_t number;   /* of the standstill */
        uint64_t until_ns; /* true time */
        uint64_t at_ns;    /* its own time meanwhile */
        uint32_t looks;    /* at the clocks that its process still needs */
    } stand;
};

/* How often, on average, in agents' ticks; 0: never. */
struct sim_grants_wishes {
    uint32_t migrate_every;
    uint32_t toggle_every;
    uint32_t delete_every;
    uint32_t timing_every;
    uint32_t death_every;        /* a take-over that nobody has asked for */
    uint32_t monitor_dies_every; /* of monitors' ticks */
};

struct sim_grants {
    struct sim_world *world;
    struct sim_net *net;
    const struct sim_cluster *cluster;
    struct sim_verdict *verdict;
    struct sim_rng rng;
    struct sim_check_grants check;
    struct sim_grants_wishes wishes;
    struct sim_grants_machine machines[SIM_NET_PLACES_MAX];
    uint32_t machine_count;      /* of nodes, and one whose disk was cloned */
    struct sim_clock left_clock; /* that one's */
    uint32_t guest_count;        /* wanted at a time */
    uint64_t no_target_ns;       /* when the scheduler last found no node for a guest */
    bool is_healed;
    uint32_t removed;     /* by force: one bit per machine */
    uint64_t death_count; /* take-overs that took effect */
    uint64_t migration_count;
};

struct ray_id sim_guest_id(uint32_t guest);
/* SIM_GUESTS_MAX: not one of ours. */
uint32_t sim_guest_of(const struct ray_id *id);

/* ---- grants_machine.c ---- */

struct sim_grants *sim_grants_create(struct sim_world *world, struct sim_net *net,
                                     const struct sim_cluster *cluster,
                                     struct sim_verdict *verdict);
/* After the world was drained. */
void sim_grants_destroy(struct sim_grants *grants);
/* Its processes and its clock. */
void sim_grants_add(struct sim_grants *grants, uint32_t index, struct sim_proc *proc);
/* Its disk boots on another machine; this one runs on without a process, in a place of its own, and
 * nobody tells its guests. Once per run; false: it was done already. While the process is down. */
bool sim_grants_clone(struct sim_grants_machine *machine);
/* Power: off forgets all but the disk. On, when it is not: another incarnation. */
void sim_grants_off(struct sim_grants_machine *machine);
void sim_grants_on(struct sim_grants_machine *machine);
/* What a clock of whole seconds, which goes on always, says there. */
uint64_t sim_grants_rtc_ns(const struct sim_grants_machine *machine);
/* What the checkers say at the end of a run that was healed long before. */
void sim_grants_judge(struct sim_grants *grants);

/* The machine that runs the guest now, other than `but`; SIM_NOBODY. */
uint32_t sim_grants_runner(const struct sim_grants *grants, uint32_t guest, uint32_t but);
/* Whether the machine runs any guest. */
bool sim_grants_is_busy(const struct sim_grants *grants, uint32_t machine);
/* Whether anything on any machine runs or may run {guest, epoch} at this instant. */
bool sim_grants_is_alive(const struct sim_grants *grants, uint32_t guest, struct ray_epoch epoch);
/* Whether the machine runs, or has a live slot of, anything of an earlier cluster epoch. */
bool sim_grants_is_older_alive(const struct sim_grants *grants, uint32_t machine,
                               uint64_t cluster_epoch);
/* Lemmas 3 and 9, of all machines at this instant. */
void sim_grants_check_slots(struct sim_grants *grants);
void sim_machine_fork(struct sim_grants_machine *machine, struct coord_lease_agent *agent,
                      uint32_t guest, struct ray_epoch epoch);
void sim_machine_load(struct sim_grants_machine *machine, struct coord_lease_agent *agent,
                      uint32_t guest, struct ray_epoch from);
void sim_machine_adopt(struct sim_grants_machine *machine, uint32_t guest,
                       const struct coord_lease_pair *pair);
void sim_machine_freeze(struct sim_grants_machine *machine, uint32_t guest, struct ray_epoch epoch);
/* The monitor is gone and reaped. */
void sim_machine_end(struct sim_grants_machine *machine, uint32_t guest);
/* A frozen copy's memory goes to that incarnation, if it gets there. */
void sim_machine_send_state(struct sim_grants_machine *machine, uint32_t guest,
                            const struct ray_id *incarnation);

/* ---- grants_stand.c: a machine that stands still together with its clock ---- */

/* Nothing on it moves until then; its monitors wake with deadlines that have long passed. What they
 * do before their agent has looked at the clocks twice is not held against anybody; what they do
 * after that is. */
void sim_stand_begin(struct sim_grants_machine *machine, uint64_t until_ns);
/* The power fails: it stands no more. */
void sim_stand_end(struct sim_grants_machine *machine);
/* Its agent has compared the clocks. */
void sim_stand_looked(struct sim_grants_machine *machine);
/* Whether a slot or run that ends then is from before the standstill and still excused. */
bool sim_stand_excuses(const struct sim_grants_machine *machine, uint64_t deadline_ns);

/* ---- grants_agent.c: in a process ---- */

struct sim_agent *sim_agent_create(struct sim_grants_machine *machine, const struct coord_env *env);
/* After its replica: that calls back until it is gone. */
void sim_agent_destroy(struct sim_agent *agent);
/* When to call sim_agent_turn next, by its clock. */
uint64_t sim_agent_due_ns(const struct sim_agent *agent);
/* Before the replica's turn. */
void sim_agent_turn(struct sim_agent *agent, struct coord_replica *replica, bool is_leader);

/* ---- grants_told.c: what its replica tells ---- */

void sim_agent_appended(struct sim_agent *agent, const struct coord_entry *entry);
void sim_agent_applied(struct sim_agent *agent, struct coord_fsm *fsm,
                       const struct coord_entry *entry, const struct coord_fsm_outcome *outcome);
/* A leader answers a renewal. */
void sim_agent_answers(struct sim_agent *agent, uint64_t term,
                       const struct coord_lease_answer *answer);
void sim_agent_led(struct sim_agent *agent, uint64_t term);

/* ---- grants_wishes.c: scheduler and operator, in the agent's process ---- */

void sim_wishes_turn(struct sim_agent *agent, bool is_leader);

#endif
