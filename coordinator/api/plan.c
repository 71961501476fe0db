/* plan.c - node.plan: what becomes of the voters when a node holds no part of the log any more. The
 * leader decides by the same policy, step by step, and never takes one that costs the majority; so
 * what is refused here would not happen, it would only never end. */
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/api/impl.h"
#include "coordinator/core/config.h"

enum { STEP_SIZE = COORD_NAME_SIZE + 32, WHY_SIZE = 256 };

struct plan_ask {
    struct member_ask ask;
    struct ray_id node;
};

struct plan_answer {
    Rayos__Cluster__Plan plan;
    struct coord_replica_forecast forecast;
    char texts[COORD_FORECAST_STEPS_MAX][STEP_SIZE];
    char *steps[COORD_FORECAST_STEPS_MAX];
    char why[WHY_SIZE];
};

static void describe(struct coord_fsm *fsm, const struct coord_forecast_step *step,
                     char out[static STEP_SIZE])
{
    static const char *const words[] = {
        [COORD_FORECAST_VOTES] = "votes",
        [COORD_FORECAST_STANDS_BY] = "stands by without a vote",
        [COORD_FORECAST_LEAVES] = "gives up its part of the log",
        [COORD_FORECAST_LEADS] = "leads",
    };
    const struct coord_object *node = coord_fsm_find_raft_id(fsm, step->id);

    if (node != NULL) {
        (void)snprintf(out, STEP_SIZE, "%s %s", node->name, words[step->what]);
    } else {
        (void)snprintf(out, STEP_SIZE, "member %llu, whose node is gone, %s",
                       (unsigned long long)step->id, words[step->what]);
    }
}

static void show_steps(struct coord_fsm *fsm, struct plan_answer *answer)
{
    for (size_t i = 0; i < answer->forecast.forecast.step_count; i++) {
        describe(fsm, &answer->forecast.forecast.steps[i], answer->texts[i]);
        answer->steps[i] = answer->texts[i];
    }
    answer->plan.steps = answer->steps;
    answer->plan.n_steps = answer->forecast.forecast.step_count;
}

/* It would stay in: nobody can take its vote, or too few would be left. */
static void refuse(const char *name, struct plan_answer *answer)
{
    size_t voters = coord_config_voter_count(&answer->forecast.config);

    if (voters == 1) {
        (void)snprintf(answer->why, sizeof answer->why,
                       "%s is the only voter, and no other node can take its place", name);
        answer->plan.next_step = (char *)"let another node join first, or wait until it is up";
    } else {
        (void)snprintf(answer->why, sizeof answer->why,
                       "without %s no majority would be left: of %zu voters %zu are up", name,
                       voters, answer->forecast.healthy_voters);
        answer->plan.next_step = (char *)"bring the others back, or remove those that are gone "
                                         "for good first";
    }
    answer->plan.why = answer->why;
}

static uint64_t count_guests(struct coord_fsm *fsm, const struct ray_id *node)
{
    const struct coord_object *guest = coord_fsm_next(fsm, COORD_GUEST, NULL);
    uint64_t count = 0;

    while (guest != NULL) {
        struct ray_id id = guest->id;

        count += ray_id_equal(&guest->guest.home.node, node);
        guest = coord_fsm_next(fsm, COORD_GUEST, &id);
    }
    return count;
}

static int make_plan(struct coord_member *m, const struct coord_object *node,
                     struct plan_answer *answer, struct ray_err *err)
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    const struct coord_replica_forecast *forecast = &answer->forecast;
    int rc = coord_replica_forecast(m->replica, &node->id, &answer->forecast, err);

    if (rc != RAY_OK) {
        (void)ray_next(err, "ask a voter; 'clusterctl cluster status'");
        return rc;
    }
    rayos__cluster__plan__init(&answer->plan);
    answer->plan.voters = (uint32_t)coord_config_voter_count(&forecast->config);
    answer->plan.voters_up = (uint32_t)forecast->healthy_voters;
    answer->plan.voters_then = (uint32_t)coord_config_voter_count(&forecast->forecast.config);
    answer->plan.voters_up_then = (uint32_t)forecast->healthy_voters_then;
    answer->plan.guests = count_guests(fsm, &node->id);
    answer->plan.has_part = coord_config_find(&forecast->config, node->node.raft_id) != NULL;
    answer->plan.is_possible =
        coord_config_find(&forecast->forecast.config, node->node.raft_id) == NULL;
    answer->plan.revision = coord_fsm_index(fsm);
    show_steps(fsm, answer);
    if (!answer->plan.is_possible) {
        refuse(node->name, answer);
    }
    return RAY_OK;
}

static void on_shown(struct member_ask *ask, bool is_linearizable)
{
    const struct plan_ask *plan_ask = (const struct plan_ask *)ask;
    struct coord_member *m = ask->member;
    const struct coord_object *node =
        coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &plan_ask->node);
    struct plan_answer *answer = calloc(1, sizeof *answer);
    struct ray_err err = {0};
    int rc = RAY_OK;

    (void)is_linearizable;
    if (answer == NULL) {
        rc = ray_fail(&err, RAY_ENOMEM, "a plan");
    } else if (node == NULL) {
        rc = ray_fail(&err, RAY_ENOTFOUND, "no such node");
        (void)ray_next(&err, "clusterctl node list");
    } else {
        rc = make_plan(m, node, answer, &err);
    }
    if (rc == RAY_OK) {
        member_ask_reply(ask, &answer->plan.base);
    } else {
        member_ask_fail(ask, &err);
    }
    free(answer);
}

void member_node_plan(struct coord_member *m, const struct member_caller *caller,
                      struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__PlanRequest *request = (const Rayos__Cluster__PlanRequest *)input;
    struct plan_ask *plan_ask = member_ask_new(m, caller, call, sizeof *plan_ask);
    struct ray_err err = {0};

    if (plan_ask == NULL) {
        return;
    }
    if (ray_id_parse(request->id, &plan_ask->node, &err) != RAY_OK) {
        member_ask_fail(&plan_ask->ask, &err);
        return;
    }
    plan_ask->ask.on_shown = on_shown;
    member_ask_show(&plan_ask->ask, false);
}
