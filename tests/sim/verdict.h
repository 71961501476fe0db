/* tests/sim/verdict.h - the checkers by name, and the first thing that one of them found.
 *
 * Memory: plain struct.  Threads: one owner.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_VERDICT_H
#define RAY_TESTS_SIM_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

/* X(id, name, what must hold). The names are those of coordinator/mutant.h. */
#define SIM_CHECKER_MAP(X)                                                                         \
    X(ELECTION, "election_safety", "at most one leader in a term")                                 \
    X(LOG, "log_matching",                                                                         \
      "one entry per index and term, the same before it; one committed entry per index")           \
    X(STATE, "fsm_equality", "the same state after the same index everywhere")                     \
    X(LINEAR, "linearizability", "what clients saw could have happened one after another")         \
    X(WITNESS, "log_witness", "the log's own order explains what clients saw")                     \
    X(WATCH, "watch_order", "every event once, in order, without gaps")                            \
    X(ONCE, "exactly_once", "a request runs at one index, however often it is sent")               \
    X(DURABLE, "acked_durable", "what was acknowledged is still there at the end")                 \
    X(PROGRESS, "progress", "healed, everything goes on within a bound")                           \
    X(QUARANTINE, "quarantine", "no node without rot doubts itself")                               \
    X(SET_BACK, "set_back",                                                                        \
      "a disk that was set back to before a boot that the others know of is doubted")              \
    X(REMOVED, "removed_out",                                                                      \
      "a removed node is no member, leads nobody and runs nothing when all is healed")             \
    X(GRANT_ONE, "one_run", "grants 1: at most one machine runs a guest")                          \
    X(GRANT_MEMORY, "newest_memory", "grants 2: a copy goes on only if nobody ran since")          \
    X(GRANT_ENDED, "ended_epoch", "grants 3: a live slot's epoch was not ended, or is burned")     \
    X(GRANT_DEATH, "silent_death", "grants 4: nobody can run what is taken over by death")         \
    X(GRANT_FORK, "one_fork", "grants 5: an epoch is run once")                                    \
    X(GRANT_ANSWER, "granted_in_office",                                                           \
      "grants 6: no grant before the own no-op, or with an outcome pending")                       \
    X(GRANT_SENT, "asked_in_term", "grants 7: a grant was asked for before the next election")     \
    X(GRANT_VOLUME, "no_run_no_volume", "grants 8: without a run a guest holds no volume")         \
    X(GRANT_TIME, "longest_grant", "grants 9: no grant is longer than the registry's maximum")     \
    X(GRANT_RUNS, "wanted_runs",                                                                   \
      "grants 10: healed, each wanted guest runs, each other has ended")                           \
    X(GRANT_STOOD, "stood_still",                                                                  \
      "grants: a machine that stood still gives up what it had when it has looked twice")          \
    X(GRANT_KNOWN, "known_silent",                                                                 \
      "grants, recovery: who is known again runs nothing that was granted before")                 \
    X(VIEW, "observer_view",                                                                       \
      "what an observer shows is committed, goes forward only, and is what a member has")          \
    X(LEVEL, "feature_level", "the feature level rises when all members have it, not before")      \
    X(CRASH, "crash", "no assertion fails, no memory is misused")

enum sim_checker {
#define SIM_CHECKER_ENUM(id, name, text) SIM_CHECK_##id,
    SIM_CHECKER_MAP(SIM_CHECKER_ENUM)
#undef SIM_CHECKER_ENUM
        SIM_CHECKER_COUNT,
};

enum { SIM_VERDICT_TEXT_SIZE = 400 };

struct sim_verdict {
    bool is_bad;
    enum sim_checker checker;
    char text[SIM_VERDICT_TEXT_SIZE];
};

const char *sim_checker_name(enum sim_checker checker);
const char *sim_checker_text(enum sim_checker checker);
/* SIM_CHECKER_COUNT: no such name. */
enum sim_checker sim_checker_find(const char *name, size_t length);

/* Keeps the first one. */
void sim_verdict_fail(struct sim_verdict *verdict, enum sim_checker checker, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
