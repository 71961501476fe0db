#include "coordinator/policy/policy_fixture.h"

#include "base/test.h"

enum { RULES_MAX = COORD_POLICY_RULES_MAX + 1 };

struct packed_rule {
    Rayos__Policy__Rule rule;
    Rayos__Policy__LabelMatch label;
    Rayos__Policy__LabelMatch *labels;
    Rayos__Policy__AtMost most;
    char *lists[5];
};

static void set_list(char **list, const char *text, char ***out, size_t *out_count)
{
    *list = (char *)(uintptr_t)text;
    *out = list;
    *out_count = text != NULL;
}

static void set_text(char **field, const char *text)
{
    if (text != NULL) {
        *field = (char *)(uintptr_t)text;
    }
}

static void fill(struct packed_rule *out, const struct policy_fix_rule *from)
{
    Rayos__Policy__Rule *rule = &out->rule;

    rayos__policy__rule__init(rule);
    set_text(&rule->name, from->name);
    set_text(&rule->reason, from->reason);
    rule->effect = from->effect;
    rule->line = from->line;
    set_list(&out->lists[0], from->who, &rule->who, &rule->n_who);
    set_list(&out->lists[1], from->action, &rule->action, &rule->n_action);
    set_list(&out->lists[2], from->object, &rule->object, &rule->n_object);
    set_list(&out->lists[3], from->on, &rule->on, &rule->n_on);
    set_list(&out->lists[4], from->approver, &rule->approvers, &rule->n_approvers);
    if (from->label_key != NULL) {
        rayos__policy__label_match__init(&out->label);
        set_text(&out->label.key, from->label_key);
        set_text(&out->label.value, from->label_value);
        out->labels = &out->label;
        rule->labels = &out->labels;
        rule->n_labels = 1;
    }
    if (from->vcpus > 0) {
        rayos__policy__at_most__init(&out->most);
        out->most.vcpus = from->vcpus;
        rule->at_most = &out->most;
    }
}

uint8_t *policy_fix_pack(const struct policy_fix_rule *rules, size_t count, size_t *out_size)
{
    Rayos__Policy__Policy message = RAYOS__POLICY__POLICY__INIT;
    struct packed_rule *packed = calloc(count + 1, sizeof(*packed));
    Rayos__Policy__Rule **list = calloc(count + 1, sizeof(*list));
    uint8_t *bytes;

    assert_true(count <= RULES_MAX && packed != NULL && list != NULL);
    for (size_t i = 0; i < count; i++) {
        fill(&packed[i], &rules[i]);
        list[i] = &packed[i].rule;
    }
    message.rules = list;
    message.n_rules = count;
    *out_size = rayos__policy__policy__get_packed_size(&message);
    bytes = malloc(*out_size + 1);
    assert_non_null(bytes);
    assert_int_equal(rayos__policy__policy__pack(&message, bytes), *out_size);
    free(list);
    free(packed);
    return bytes;
}

int policy_fix_make(const struct policy_fix_rule *rules, size_t count,
                    struct coord_policy **out_policy, struct ray_err *err)
{
    size_t size;
    uint8_t *bytes = policy_fix_pack(rules, count, &size);
    int rc = coord_policy_create(bytes, size, out_policy, err);

    free(bytes);
    return rc;
}
