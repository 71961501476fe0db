#include "coordinator/place/rules.h"

#include "coordinator/fsm/permit.h"

static uint32_t denied_by(const struct coord_policy *policy, const struct coord_policy_actor *actor,
                          enum coord_policy_action action, const struct coord_policy_object *object)
{
    struct coord_policy_decision decision = coord_fsm_decide(policy, actor, action, object);

    if (decision.effect != COORD_POLICY_DENY) {
        return 0;
    }
    if (decision.rule != COORD_POLICY_NO_RULE) {
        return decision.rule;
    }
    return policy != NULL ? coord_policy_rule_count(policy) + 1 : 1;
}

int coord_place_rules(struct coord_fsm *fsm, const struct coord_place_view *view,
                      const struct coord_policy_actor *actor, const struct coord_object *guest,
                      uint32_t *out_denied_by, struct ray_err *err)
{
    uint32_t node_count = coord_place_view_cluster(view)->node_count;
    enum coord_policy_action action =
        guest->guest.has_run ? COORD_POLICY_GUEST_MIGRATE : COORD_POLICY_GUEST_START;
    const struct coord_policy *policy;
    struct coord_fsm_described described;
    bool has_places;
    int rc = coord_fsm_policy(fsm, &policy, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (coord_fsm_describe(fsm, policy, guest, &described) != RAY_OK) {
        return ray_fail(err, RAY_ENOMEM, "what the rules say");
    }
    has_places = policy != NULL && coord_policy_has_places(policy);
    for (uint32_t i = 0; i < node_count; i++) {
        const struct coord_object *node = coord_place_view_node(view, i);

        described.object.node = node->name[0] != '\0' ? node->name : NULL;
        out_denied_by[i] = i > 0 && !has_places
                               ? out_denied_by[0]
                               : denied_by(policy, actor, action, &described.object);
    }
    for (uint32_t i = 0; i < node_count && guest->guest.has_run; i++) {
        if (ray_id_equal(&coord_place_view_node(view, i)->id, &guest->guest.home.node)) {
            out_denied_by[i] = 0; /* it does not move */
        }
    }
    return RAY_OK;
}

const char *coord_place_rule_name(struct coord_fsm *fsm, uint32_t rule)
{
    const struct coord_policy *policy = NULL;

    return coord_fsm_policy(fsm, &policy, NULL) == RAY_OK && policy != NULL && rule >= 1 &&
                   rule <= coord_policy_rule_count(policy)
               ? coord_policy_rule_name(policy, rule)
               : "default";
}
