#include <assert.h>
#include <string.h>

#include "coordinator/policy/rules.h"

/* Of "KIND:PATTERN": what follows when the kind is `kind`; NULL when it is another. */
static const char *pattern_for(const char *selector, const char *kind)
{
    size_t size = strlen(kind);

    if (strncmp(selector, kind, size) != 0 || selector[size] != ':') {
        return NULL;
    }
    return selector + size + 1;
}

static bool is_actor(const char *selector, const struct coord_policy_actor *actor)
{
    const char *role = pattern_for(selector, "role");
    const char *name = pattern_for(selector, actor->kind);
    uint32_t bit;

    if (strcmp(selector, "*") == 0) {
        return true;
    }
    if (role != NULL) {
        return strcmp(role, "*") == 0
                   ? actor->roles != 0
                   : coord_policy_role_find(role, &bit) && (actor->roles & bit) != 0;
    }
    return name != NULL && coord_policy_glob(name, actor->name, strlen(actor->name));
}

static bool is_one_of(char *const *selectors, size_t count, const struct coord_policy_actor *actor)
{
    for (size_t i = 0; i < count; i++) {
        if (is_actor(selectors[i], actor)) {
            return true;
        }
    }
    return false;
}

static bool has_action(const Rayos__Policy__Rule *rule, const char *action)
{
    for (size_t i = 0; i < rule->n_action; i++) {
        if (coord_policy_glob(rule->action[i], action, strlen(action))) {
            return true;
        }
    }
    return rule->n_action == 0;
}

static bool has_object(const Rayos__Policy__Rule *rule, const struct coord_policy_object *object)
{
    for (size_t i = 0; i < rule->n_object; i++) {
        const char *name = pattern_for(rule->object[i], object->kind);

        if (strcmp(rule->object[i], "*") == 0 ||
            (name != NULL && coord_policy_glob(name, object->name, strlen(object->name)))) {
            return true;
        }
    }
    return rule->n_object == 0;
}

static bool has_label(const Rayos__Policy__LabelMatch *match,
                      const struct coord_policy_object *object)
{
    for (size_t i = 0; i < object->label_count; i++) {
        const struct coord_policy_label *label = &object->labels[i];

        if (strcmp(label->key, match->key) == 0) {
            return coord_policy_glob(match->value, label->value, label->value_size);
        }
    }
    return false;
}

static bool has_labels(const Rayos__Policy__Rule *rule, const struct coord_policy_object *object)
{
    for (size_t i = 0; i < rule->n_labels; i++) {
        if (!has_label(rule->labels[i], object)) {
            return false;
        }
    }
    return true;
}

/* What happens on no node matches no rule that names nodes. */
static bool is_on(const Rayos__Policy__Rule *rule, const char *node)
{
    for (size_t i = 0; i < rule->n_on && node != NULL; i++) {
        if (coord_policy_glob(rule->on[i], node, strlen(node))) {
            return true;
        }
    }
    return rule->n_on == 0;
}

static bool is_at_most(const Rayos__Policy__AtMost *most, const struct coord_policy_object *object)
{
    if (most == NULL) {
        return true;
    }
    return (most->vcpus == 0 || object->vcpus <= most->vcpus) &&
           (most->memory_mib == 0 || object->memory_mib <= most->memory_mib) &&
           (most->disk_mib == 0 || object->disk_mib <= most->disk_mib);
}

static const char *mismatch(const Rayos__Policy__Rule *rule, const struct coord_policy_actor *actor,
                            const char *action, const struct coord_policy_object *object)
{
    if (!has_action(rule, action)) {
        return "action";
    }
    if (rule->n_who > 0 && !is_one_of(rule->who, rule->n_who, actor)) {
        return "who";
    }
    if (!has_object(rule, object)) {
        return "object";
    }
    if (!has_labels(rule, object)) {
        return "labels";
    }
    if (!is_on(rule, object->node)) {
        return "on";
    }
    return is_at_most(rule->at_most, object) ? NULL : "at_most";
}

struct coord_policy_decision coord_policy_decide(const struct coord_policy *policy,
                                                 const struct coord_policy_actor *actor,
                                                 enum coord_policy_action action,
                                                 const struct coord_policy_object *object)
{
    const char *text = coord_policy_action_text(action);

    for (size_t i = 0; i < policy->message->n_rules; i++) {
        const Rayos__Policy__Rule *rule = policy->message->rules[i];

        if (mismatch(rule, actor, text, object) == NULL) {
            return (struct coord_policy_decision){
                .effect = (enum coord_policy_effect)rule->effect,
                .rule = (uint32_t)i + 1,
                .name = rule->name,
                .reason = rule->reason,
            };
        }
    }
    return (struct coord_policy_decision){
        .effect = COORD_POLICY_DENY,
        .rule = COORD_POLICY_NO_RULE,
        .name = "default",
        .reason = "no rule allows it",
    };
}

static const Rayos__Policy__Rule *rule_at(const struct coord_policy *policy, uint32_t rule)
{
    assert(rule >= 1 && rule <= policy->message->n_rules);
    return policy->message->rules[rule - 1];
}

bool coord_policy_may_approve(const struct coord_policy *policy, uint32_t rule,
                              const struct coord_policy_actor *actor)
{
    const Rayos__Policy__Rule *asking = rule_at(policy, rule);

    if (asking->effect != RAYOS__POLICY__EFFECT__EFFECT_ASK) {
        return false;
    }
    return asking->n_approvers > 0 ? is_one_of(asking->approvers, asking->n_approvers, actor)
                                   : (actor->roles & COORD_POLICY_ADMIN) != 0;
}

const char *coord_policy_mismatch(const struct coord_policy *policy, uint32_t rule,
                                  const struct coord_policy_actor *actor,
                                  enum coord_policy_action action,
                                  const struct coord_policy_object *object)
{
    return mismatch(rule_at(policy, rule), actor, coord_policy_action_text(action), object);
}

bool coord_policy_has_limits(const struct coord_policy *policy)
{
    return policy->has_limits;
}

bool coord_policy_has_places(const struct coord_policy *policy)
{
    return policy->has_places;
}

const char *coord_policy_rule_name(const struct coord_policy *policy, uint32_t rule)
{
    return rule_at(policy, rule)->name;
}
