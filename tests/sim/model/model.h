/* tests/sim/model/model.h - section 8 of DESIGN.md as a small model: one guest, the machines A, B
 * and A' (A rebooted, or its clone), two members that may lead and a third that votes.
 *
 * Time is in ticks: T = 2 (or 1 after a change), M = 1; one tick may be slow for one node and one
 * fast for one leader, so W = T + M + 2. A renewal arrives when it is sent, the worst case (a
 * later arrival only makes the silence shorter); its answer takes any time and may be lost; the
 * page is written with the answer (t_send bounds it). Every rule has a switch that turns it into a
 * bad variant (variant.h); with all off nothing may be violated.
 *
 * The log is abstracted: the voter always holds exactly what is committed, a leader may hold one
 * entry more. It commits only at the newest term; a member whose entry nobody overtook may be
 * elected with it (a ghost).
 * Memory: plain values.  Threads: one.  Blocks: never.  Trust: tests only. */
#ifndef RAY_TESTS_SIM_MODEL_MODEL_H
#define RAY_TESTS_SIM_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_A = 0,
    MODEL_B = 1,
    MODEL_A2 = 2,
    MODEL_MACHINES = 3,
    MODEL_SEATS = 2,
    MODEL_EPOCHS = 8,
    MODEL_T = 2,
    MODEL_M = 1,
    MODEL_AGE_MAX = 5, /* W */
    MODEL_SUCCESSORS_MAX = 256,
};

enum model_outcome {
    MODEL_NO_OUTCOME = 0,
    MODEL_DEATH,
    MODEL_MIGRATION,
    MODEL_CANCEL,
    MODEL_STOPPED,
    MODEL_START,
    MODEL_RESTART,
    MODEL_CREATED,
};

struct model_registry {
    uint8_t home;
    uint8_t epoch;
    uint8_t is_stopped;
    uint8_t is_migrating;
    uint8_t destination;
    uint8_t admitted_a; /* MODEL_A or MODEL_A2 */
    uint8_t t;
    uint8_t t_max;
};

struct model_entry {
    uint8_t outcome;
    uint8_t expected;
    uint8_t target; /* new home, or who proposed */
};

enum model_copy { MODEL_NO_COPY = 0, MODEL_RUN, MODEL_FROZEN, MODEL_LOADED };

enum model_request {
    MODEL_IDLE = 0,
    MODEL_ARRIVED,
    MODEL_CONFIRMED,
};

struct model_machine {
    uint8_t is_on;
    uint8_t copy;
    uint8_t copy_epoch;
    uint8_t has_memory; /* a loaded copy is complete; a run copy has run */
    uint8_t is_current; /* nobody ran since this memory was frozen */
    uint8_t is_running;
    uint8_t overshoot; /* ticks run beyond the deadline */
    uint8_t slot_epoch;
    uint8_t slot_left; /* ticks */
    uint8_t burned;
    uint8_t request;
    uint8_t request_seat;
    uint8_t request_age;         /* since t_send */
    struct model_entry proposal; /* on its way */
    uint8_t has_reply;           /* to its outcome */
};

struct model_seat {
    uint8_t is_leader;
    uint8_t term;
    uint8_t is_open;  /* own no-op applied */
    uint8_t is_stale; /* others have committed since */
    uint8_t age;      /* since its election */
    uint8_t heard[MODEL_MACHINES];
    uint8_t settle_age; /* since it applied a change of T */
    struct model_entry entry;
    struct model_registry registry;
};

struct model_state {
    struct model_registry registry; /* committed */
    struct model_machine machines[MODEL_MACHINES];
    struct model_seat seats[MODEL_SEATS];
    uint8_t origin[MODEL_EPOCHS]; /* how an epoch was made, and of which */
    uint8_t from[MODEL_EPOCHS];
    uint8_t term;
    uint8_t slow_left;
    uint8_t fast_left;
    uint8_t elections_left;
    uint8_t migrations_left;
    uint8_t stops_left;
    uint8_t deaths_left; /* of monitors */
    uint8_t crashes_left;
    uint8_t boots_left; /* of A' */
    uint8_t changes_left;
    uint8_t epoch_max;
    uint8_t violation; /* enum model_violation */
};

enum model_violation { MODEL_HOLDS = 0, MODEL_X = 1, MODEL_L = 2 };

/* How much may go wrong in one run, and which rules are off. */
struct model_setup {
    const char *name;
    uint8_t epochs; /* the highest */
    uint8_t slow;
    uint8_t fast;
    uint8_t elections; /* after the first */
    uint8_t migrations;
    uint8_t stops;
    uint8_t deaths;
    uint8_t crashes;
    uint8_t boots;
    uint8_t changes;
    bool is_clone; /* A' may start while A is alive */
};

enum model_action {
    MODEL_ACT_TICK,
    MODEL_ACT_ELECT,
    MODEL_ACT_COMMIT,
    MODEL_ACT_RENEW,
    MODEL_ACT_CONFIRM,
    MODEL_ACT_ANSWER,
    MODEL_ACT_DEATH,
    MODEL_ACT_RESTART,
    MODEL_ACT_OPEN,
    MODEL_ACT_LOAD,
    MODEL_ACT_FREEZE,
    MODEL_ACT_TRANSFER,
    MODEL_ACT_PROPOSE,
    MODEL_ACT_APPEND,
    MODEL_ACT_FORK,
    MODEL_ACT_ADOPT,
    MODEL_ACT_THAW,
    MODEL_ACT_END,
    MODEL_ACT_MONITOR_DIES,
    MODEL_ACT_CRASH,
    MODEL_ACT_BOOT,
    MODEL_ACT_ADMIT,
    MODEL_ACT_REPLY,
    MODEL_ACT_CHANGE_T,
    MODEL_ACT_SETTLE,
    MODEL_ACT_COUNT,
};

struct model_step {
    struct model_state state;
    uint8_t action;
    uint8_t who;
};

/* One bad variant each; names and expectations in variant.c. */
struct model_variant {
    const char *name;
    const char *text;
    const char *setup; /* where it must be found, or hold */
    bool is_harmless;
    bool node_deadline;    /* a */
    bool grants_pending;   /* b */
    bool cancel_keeps;     /* c */
    bool no_margin;        /* d */
    bool late_stop;        /* d */
    bool no_drift;         /* d */
    bool clone_accepted;   /* e */
    bool no_election_wait; /* g */
    bool t_at_once;        /* i */
    bool heard_at_answer;  /* j */
    bool old_probe;        /* k */
    bool no_noop;          /* l */
    bool second_run;       /* hole 1, with the two below */
    bool frozen_thaws;
    bool stopped_unburned;
    bool stopped_keeps;
    bool outcome_grants;   /* hole 2 */
    bool admission_resets; /* hole 3 */
    bool agent_t;          /* hole 4 */
    bool foreign_copy;     /* hole 6 */
};

void model_begin(const struct model_setup *setup, struct model_state *out);
/* Every state one step on; returns the count. */
size_t model_next(const struct model_setup *setup, const struct model_variant *variant,
                  const struct model_state *state, struct model_step *out);
const char *model_action_name(enum model_action action);

#endif
