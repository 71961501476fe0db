/* tests/sim/check_grants.h - the ten lemmas of grants (docs/explanation/grants.md), told by whoever
 * sees the whole world: who runs at an instant of true time, what was committed, what was answered.
 *
 * Guests are numbers that are never used again. Runs are told when they begin: two that overlap
 * are seen at the beginning of the later one.
 * Memory: init/fini.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_CHECK_GRANTS_H
#define RAY_TESTS_SIM_CHECK_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/epoch.h"
#include "tests/sim/map.h"
#include "tests/sim/verdict.h"

enum { SIM_GUESTS_MAX = 16 };

#define SIM_NOBODY UINT32_MAX

/* As committed. */
struct sim_grants_guest {
    bool is_there; /* false: not yet, or deleted */
    bool was_there;
    bool is_wanted;
    bool has_run;
    bool has_writer; /* one of its volumes */
    struct ray_epoch epoch;
};

struct sim_check_grants {
    struct sim_verdict *verdict;
    struct sim_grants_guest guests[SIM_GUESTS_MAX];
    uint64_t last_run[SIM_GUESTS_MAX]; /* stamp of the newest run; 0: none */
    uint64_t run_count;
    uint64_t grant_ns_max; /* committed; 0: not yet */
    uint64_t committed_index;
    struct sim_map forks;     /* {guest, epoch's index} */
    struct sim_map noops;     /* {term, 0}: index of its first entry */
    struct sim_map deaths;    /* {index, term}: 1: somebody ran or could when it was appended */
    struct sim_map elections; /* {term, 0}: when, true time */
    uint64_t term_max;
    uint32_t unknown; /* after a recovery: one bit per machine; committed */
};

void sim_check_grants_init(struct sim_check_grants *check, struct sim_verdict *verdict);
void sim_check_grants_fini(struct sim_check_grants *check);

/* A copy begins to run. `other`: a machine that runs the guest at this instant, or SIM_NOBODY;
 * `memory`: the newest run that the copy has seen (1, 2, 8); becomes this one. */
void sim_check_grants_run(struct sim_check_grants *check, uint32_t guest, uint32_t machine,
                          uint32_t other, bool is_fresh, uint64_t *memory);
/* A monitor is forked for, or adopts, an epoch (5). */
void sim_check_grants_forked(struct sim_check_grants *check, uint32_t guest,
                             struct ray_epoch epoch);
/* A slot lives for another left_ns of its clock (3, 9). */
void sim_check_grants_slot(struct sim_check_grants *check, uint32_t guest, uint32_t machine,
                           struct ray_epoch epoch, struct ray_epoch burned, uint64_t left_ns);

void sim_check_grants_led(struct sim_check_grants *check, uint64_t term, uint64_t now_ns);
/* An entry goes into some log; the first of a term is its leader's no-op. */
void sim_check_grants_appended(struct sim_check_grants *check, uint64_t index, uint64_t term);
/* A take-over by death goes into some log; the first time is its leader's (4). */
void sim_check_grants_death(struct sim_check_grants *check, uint64_t index, uint64_t term,
                            bool is_alive);
/* The leader of `term` grants, as of `applied_index`, what was asked at sent_ns (true time).
 * `pending`: a listed guest with an outcome behind applied_index in that leader's log, or
 * SIM_NOBODY (6, 7). */
void sim_check_grants_answer(struct sim_check_grants *check, uint64_t term, uint64_t applied_index,
                             uint64_t sent_ns, uint32_t pending);
/* The first time that an entry is applied anywhere. `took_over`: a death that took effect (4).
 * True: it was the first; then the guests are to be told. */
bool sim_check_grants_committed(struct sim_check_grants *check, uint64_t index, uint64_t term,
                                bool took_over);
/* `runner`: who runs it at this instant (8). */
void sim_check_grants_guest(struct sim_check_grants *check, uint32_t guest,
                            const struct sim_grants_guest *now, uint32_t runner);
/* `unknown` as committed by now; `alive`: machines that run, or have live slots of, an epoch of an
 * earlier cluster epoch. */
void sim_check_grants_unknown(struct sim_check_grants *check, uint32_t unknown, uint32_t alive);
/* Healed for long enough (10). */
void sim_check_grants_end(struct sim_check_grants *check, uint32_t guest, uint32_t runner);

#endif
