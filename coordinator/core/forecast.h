/* coordinator/core/forecast.h - what the policy of members.h comes to, if nothing else happens:
 * its steps one after another, until it rests. Whoever drains or removes a node is told so before.
 *
 * It takes for granted that healthy nodes catch up, and that nobody comes or goes meanwhile.
 * Memory: plain structs.  Threads: any.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_CORE_FORECAST_H
#define RAY_COORDINATOR_CORE_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/core/members.h"

enum { COORD_FORECAST_STEPS_MAX = 32 };

enum coord_forecast_what {
    COORD_FORECAST_VOTES,
    COORD_FORECAST_STANDS_BY, /* from now on, without a vote */
    COORD_FORECAST_LEAVES,
    COORD_FORECAST_LEADS,
};

struct coord_forecast_step {
    enum coord_forecast_what what;
    uint64_t id;
};

struct coord_forecast {
    struct coord_forecast_step steps[COORD_FORECAST_STEPS_MAX];
    size_t step_count;
    struct coord_config config; /* at the end */
    bool is_settled;            /* false: so many steps do not reach it */
};

/* The nodes' match_index is not looked at. RAY_EINVAL as coord_members_next. */
int coord_forecast(const struct coord_members *members, struct coord_forecast *out,
                   struct ray_err *err);

/* Voters of `config`, and those of them that are healthy, as `members` says. */
size_t coord_forecast_healthy(const struct coord_members *members,
                              const struct coord_config *config);

#endif
