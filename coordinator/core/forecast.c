#include "coordinator/core/forecast.h"

#include <stdlib.h>
#include <string.h>

#include "coordinator/core/config.h"

/* The one server in which they differ (coord_config_check_next). */
static struct coord_forecast_step difference(const struct coord_config *before,
                                             const struct coord_config *after)
{
    for (size_t i = 0; i < before->count; i++) {
        if (coord_config_find(after, before->servers[i].id) == NULL) {
            return (struct coord_forecast_step){COORD_FORECAST_LEAVES, before->servers[i].id};
        }
    }
    for (size_t i = 0; i < after->count; i++) {
        const struct coord_server *now = &after->servers[i];
        const struct coord_server *was = coord_config_find(before, now->id);

        if (was == NULL || was->role != now->role) {
            return (struct coord_forecast_step){now->role == COORD_VOTER ? COORD_FORECAST_VOTES
                                                                         : COORD_FORECAST_STANDS_BY,
                                                now->id};
        }
    }
    return (struct coord_forecast_step){COORD_FORECAST_STANDS_BY, 0};
}

static void take(struct coord_members *members, const struct coord_members_step *step,
                 struct coord_forecast *forecast)
{
    struct coord_forecast_step *next = &forecast->steps[forecast->step_count++];

    if (step->action == COORD_MEMBERS_TRANSFER) {
        *next = (struct coord_forecast_step){COORD_FORECAST_LEADS, step->transfer_id};
        members->leader_id = step->transfer_id;
        return;
    }
    *next = difference(&members->config, &step->next);
    members->config = step->next;
}

int coord_forecast(const struct coord_members *members, struct coord_forecast *out,
                   struct ray_err *err)
{
    struct coord_members world = *members;
    struct coord_forecast forecast = {.step_count = 0};
    struct coord_member_node *nodes = calloc(members->count + 1, sizeof(*nodes));
    int rc = RAY_OK;

    if (nodes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a forecast");
    }
    for (size_t i = 0; i < members->count; i++) {
        nodes[i] = members->nodes[i];
        nodes[i].match_index = members->last_index;
    }
    world.nodes = nodes;
    while (rc == RAY_OK && !forecast.is_settled && forecast.step_count < COORD_FORECAST_STEPS_MAX) {
        struct coord_members_step step;

        rc = coord_members_next(&world, &step, err);
        if (rc == RAY_OK && step.action == COORD_MEMBERS_NONE) {
            forecast.is_settled = true;
        } else if (rc == RAY_OK) {
            take(&world, &step, &forecast);
        }
    }
    free(nodes);
    if (rc == RAY_OK) {
        forecast.config = world.config;
        *out = forecast;
    }
    return rc;
}

size_t coord_forecast_healthy(const struct coord_members *members,
                              const struct coord_config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->count; i++) {
        for (size_t j = 0; j < members->count; j++) {
            count += config->servers[i].role == COORD_VOTER &&
                     members->nodes[j].id == config->servers[i].id && members->nodes[j].is_healthy;
        }
    }
    return count;
}
