/* tests/sim/cluster.h - the parts of a run, for run.c, machine.c, fault.c and client.c.
 *
 * Memory: all of it belongs to the run.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CLUSTER_H
#define RAY_TESTS_SIM_CLUSTER_H

#include "tests/sim/check_log.h"
#include "tests/sim/check_watch.h"
#include "tests/sim/check_witness.h"
#include "tests/sim/disk.h"
#include "tests/sim/history.h"
#include "tests/sim/net.h"
#include "tests/sim/node.h"
#include "tests/sim/run.h"
#include "tests/sim/world.h"

enum { SIM_MACHINES_MAX = 7, SIM_CLIENTS_MAX = 16, SIM_KEYS_MAX = 16, SIM_WATCHERS_MAX = 3 };
enum { SIM_VIEWERS_MAX = 2, SIM_VIEWERS_FIRST = 128 /* in numbers of watches */ };

struct sim_run;

enum { SIM_LEVEL_MAX = 2 }; /* the feature level of the newest builds */

struct sim_machine {
    struct sim_run *run;
    uint32_t index; /* also its place in the network */
    struct sim_clock clock;
    struct sim_disk *disk;
    struct sim_proc *proc;
    struct coord_disk *disk_user; /* these three: while it is up */
    struct ray_link *link;
    struct sim_node *node;
    uint64_t start_count;
    bool is_start_due;
    bool was_damaged;
    bool was_set_back; /* its disk */
    bool is_set_back;  /* and nobody has doubted it since */
    bool is_quarantined;
};

struct sim_client {
    struct sim_run *run;
    uint32_t number;
    uint64_t sequence;
    bool is_busy;
    size_t position; /* of its operation in the history */
    uint32_t attempt;
    uint64_t give_up_ns;
    bool is_plain;               /* writes without a session */
    uint32_t target;             /* the machine it believes in */
    uint64_t seen[SIM_KEYS_MAX]; /* last value by key */
};

/* Follows events at one replica after another. */
struct sim_watch_client {
    struct sim_run *run;
    uint32_t number;
    uint32_t target;
    uint32_t kinds; /* of its filter: bits; UINT32_MAX: no filter */
    uint32_t node;  /* a place, or SIM_WATCH_ANY_NODE */
    uint64_t watch_count;
    uint64_t heard_ns;
    uint64_t arrive_ns; /* of the last batch on its way */
    uint32_t owed_credit;
    bool is_lagging;
    bool is_generous; /* with credit, once all is healed */
    struct sim_watcher watcher;
};

#define SIM_WATCH_ANY_NODE UINT32_MAX

struct coord_fsm;

/* A node outside of the log, which shows what members tell it. */
struct sim_viewer {
    struct sim_run *run;
    uint32_t number;
    uint32_t node;   /* a place: whose part it shows */
    uint32_t target; /* the member that it talks to */
    uint64_t talk_count;
    struct coord_fsm *shown;   /* NULL: nothing yet */
    struct coord_fsm *listing; /* NULL: none is under way */
    struct ray_buf cursor;
    bool is_partial;        /* something is missing in what is shown: it is listed anew */
    uint64_t page_revision; /* of the last page that it took */
    uint64_t served_index;  /* that it has shown */
    uint64_t heard_ns;
    uint64_t arrive_ns; /* of the last batch on its way */
};

struct sim_grants;

struct sim_run {
    struct sim_world *world;
    struct sim_net *net;
    struct sim_grants *grants; /* NULL: no guests */
    const struct sim_node_ops *ops;
    struct sim_cluster cluster;
    struct sim_membership membership;
    bool was_recovered;
    struct sim_disk *older; /* a copy of a disk as it was */
    uint32_t older_of;      /* whose; SIM_MACHINES_MAX: none */
    uint64_t older_boot;
    uint64_t calm_until_ns; /* no other fault before that */
    struct sim_net_config net_config;
    struct sim_disk_config disk_config;
    struct sim_machine machines[SIM_MACHINES_MAX];
    struct sim_client clients[SIM_CLIENTS_MAX];
    struct sim_rng fault_rng;
    struct sim_rng client_rng;
    struct sim_rng watch_rng;
    struct sim_rng level_rng;
    bool has_levels;  /* machines begin with builds of different feature levels */
    bool is_upgraded; /* all of them, when all is healed */
    struct sim_watch_client watchers[SIM_WATCHERS_MAX];
    uint32_t watcher_count;
    struct sim_viewer viewers[SIM_VIEWERS_MAX];
    uint32_t viewer_count;
    struct sim_rng viewer_rng;
    struct sim_watch_log watch_log;
    uint64_t watch_index; /* committed by now: watchers must have it at the end */
    uint64_t think_ns;
    uint64_t heal_ns;
    uint64_t stop_ns; /* clients ask nothing more */
    uint64_t end_ns;
    bool is_healed;
    uint64_t settled_index; /* committed a while before the end */
    size_t damaged_max;
    bool has_changes;  /* of the configuration */
    bool is_splitting; /* the network, at each new leader */
    /* A leader was cut off: until then its clients read all the time, others write. */
    uint64_t hot_until_ns;
    uint32_t cut_off;
    struct sim_history history;
    struct sim_verdict verdict;
    struct sim_check_log log;
    struct sim_witness witness;
    struct sim_result *result;
};

/* ---- machine.c ---- */

void sim_machine_init(struct sim_run *run, uint32_t index);
void sim_machine_fini(struct sim_machine *machine);
/* Does nothing when it is up. */
void sim_machine_start(struct sim_machine *machine);
/* When its process is down already: the power alone. */
void sim_machine_stop(struct sim_machine *machine, bool is_power_cut);
/* Starts it after a while, once. */
void sim_machine_start_later(struct sim_machine *machine);
/* Stops it; its disk is gone for good. */
void sim_machine_wipe(struct sim_machine *machine);
bool sim_machine_is_up(const struct sim_machine *machine);

/* ---- fault.c ---- */

void sim_faults_begin(struct sim_run *run);
/* Everything works from now on. */
void sim_faults_heal(struct sim_run *run);

/* A machine leads since now. */
void sim_faults_led(struct sim_machine *machine);

/* ---- client.c ---- */

void sim_clients_begin(struct sim_run *run);
void sim_client_answered(struct sim_machine *machine, uint64_t ticket, int status,
                         const struct sim_answer *answer);

/* ---- watchers.c ---- */

void sim_watchers_begin(struct sim_run *run);
void sim_watchers_judge(struct sim_run *run);
/* A batch for a watch; as coord_watch_send says. */
int sim_watch_sent(struct sim_machine *machine, uint64_t number, const uint8_t *bytes, size_t size);

/* ---- viewers.c ---- */

void sim_viewers_begin(struct sim_run *run, uint64_t seed);
void sim_viewers_judge(struct sim_run *run);
void sim_viewers_end(struct sim_run *run);
/* As sim_watch_sent, for numbers from SIM_VIEWERS_FIRST on. */
int sim_viewer_sent(struct sim_machine *machine, uint64_t number, const uint8_t *bytes,
                    size_t size);

#endif
