/* tests/sim/grants_agent.h - the agent of a process, for grants_agent.c, grants_told.c and
 * grants_wishes.c.
 *
 * Memory: create and destroy.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_TESTS_SIM_GRANTS_AGENT_H
#define RAY_TESTS_SIM_GRANTS_AGENT_H

#include "net/proto/registry.pb-c.h"
#include "tests/sim/grants.h"

enum { SIM_AGENT_OUTCOMES_MAX = 256 };

/* An outcome in this member's log. */
struct sim_agent_outcome {
    uint64_t index;
    uint32_t guest;
};

struct sim_agent {
    struct sim_grants_machine *machine;
    struct sim_grants *grants;
    const struct coord_env *env;
    struct coord_replica *replica; /* of this turn; NULL before */
    struct coord_fsm *watched;     /* of this turn: the registry as this node sees it */
    uint64_t seen_index;           /* the newest registry that it has seen */
    uint64_t granted_ns;           /* true time of the last answer that counted */
    uint64_t due_ns;
    uint64_t report_ns; /* not before */
    bool is_begun;      /* the registry has shown its admission */
    bool is_renewal_due;
    uint64_t propose_ns[SIM_GUESTS_MAX]; /* not before, as the guest's home or destination */
    bool is_giving_up[SIM_GUESTS_MAX];   /* the source does not wait for its migration any longer */
    struct sim_agent_outcome outcomes[SIM_AGENT_OUTCOMES_MAX];
    size_t outcome_count;
    struct coord_lease_agent lease;
};

uint64_t sim_agent_now_ns(const struct sim_agent *agent);
/* `is_outcome`: a renewal follows when it is done. */
void sim_agent_propose(struct sim_agent *agent, Rayos__Registry__Command *command,
                       const char *reason, bool is_outcome);
/* An outcome about the guest as this node knows it; `to`: NULL none. */
void sim_agent_outcome(struct sim_agent *agent, uint32_t guest, struct ray_epoch expected,
                       enum ray_epoch_origin entry, const struct coord_home *to);

#endif
