/* print.c - rules as TOML 1.0. What is shown is printed from the rules that are in force, never
 * kept as text beside them. */
#include "coordinator/policy/rules.h"

static int print_text(struct ray_buf *out, const char *text)
{
    int rc = ray_buf_append(out, "\"", 1);

    /* Printable ASCII, as the check has seen; two characters need their escape. */
    for (; *text != '\0' && rc == RAY_OK; text++) {
        rc = *text == '"' || *text == '\\' ? ray_buf_appendf(out, "\\%c", *text)
                                           : ray_buf_append(out, text, 1);
    }
    return rc == RAY_OK ? ray_buf_append(out, "\"", 1) : rc;
}

static int print_field(struct ray_buf *out, const char *key, const char *text)
{
    int rc = RAY_OK;

    if (text[0] != '\0') {
        rc = ray_buf_appendf(out, "%s = ", key);
        if (rc == RAY_OK) {
            rc = print_text(out, text);
        }
        if (rc == RAY_OK) {
            rc = ray_buf_append(out, "\n", 1);
        }
    }
    return rc;
}

static int print_list(struct ray_buf *out, const char *key, char *const *texts, size_t count)
{
    int rc = RAY_OK;

    for (size_t i = 0; i < count && rc == RAY_OK; i++) {
        rc = ray_buf_appendf(out, i == 0 ? "%s = [" : ", ", key);
        if (rc == RAY_OK) {
            rc = print_text(out, texts[i]);
        }
    }
    return rc == RAY_OK && count > 0 ? ray_buf_append(out, "]\n", 2) : rc;
}

static int print_labels(struct ray_buf *out, const Rayos__Policy__Rule *rule)
{
    int rc = RAY_OK;

    for (size_t i = 0; i < rule->n_labels && rc == RAY_OK; i++) {
        rc = ray_buf_appendf(out, "%s", i == 0 ? "labels = { " : ", ");
        if (rc == RAY_OK) {
            rc = print_text(out, rule->labels[i]->key);
        }
        if (rc == RAY_OK) {
            rc = ray_buf_append(out, " = ", 3);
        }
        if (rc == RAY_OK) {
            rc = print_text(out, rule->labels[i]->value);
        }
    }
    return rc == RAY_OK && rule->n_labels > 0 ? ray_buf_append(out, " }\n", 3) : rc;
}

static int print_at_most(struct ray_buf *out, const Rayos__Policy__AtMost *most)
{
    const char *comma = "";
    int rc;

    if (most == NULL || (most->vcpus == 0 && most->memory_mib == 0 && most->disk_mib == 0)) {
        return RAY_OK;
    }
    rc = ray_buf_appendf(out, "at_most = { ");
    if (rc == RAY_OK && most->vcpus > 0) {
        rc = ray_buf_appendf(out, "vcpus = %u", most->vcpus);
        comma = ", ";
    }
    if (rc == RAY_OK && most->memory_mib > 0) {
        rc = ray_buf_appendf(out, "%smemory_mib = %llu", comma,
                             (unsigned long long)most->memory_mib);
        comma = ", ";
    }
    if (rc == RAY_OK && most->disk_mib > 0) {
        rc = ray_buf_appendf(out, "%sdisk_mib = %llu", comma, (unsigned long long)most->disk_mib);
    }
    return rc == RAY_OK ? ray_buf_append(out, " }\n", 3) : rc;
}

static int print_rule(struct ray_buf *out, const Rayos__Policy__Rule *rule)
{
    int rc = ray_buf_appendf(out, "\n[[rule]]\n");

    if (rc == RAY_OK) {
        rc = print_field(out, "name", rule->name);
    }
    if (rc == RAY_OK) {
        rc = print_field(out, "effect",
                         coord_policy_effect_text((enum coord_policy_effect)rule->effect));
    }
    if (rc == RAY_OK) {
        rc = print_list(out, "who", rule->who, rule->n_who);
    }
    if (rc == RAY_OK) {
        rc = print_list(out, "action", rule->action, rule->n_action);
    }
    if (rc == RAY_OK) {
        rc = print_list(out, "object", rule->object, rule->n_object);
    }
    if (rc == RAY_OK) {
        rc = print_labels(out, rule);
    }
    if (rc == RAY_OK) {
        rc = print_list(out, "on", rule->on, rule->n_on);
    }
    if (rc == RAY_OK) {
        rc = print_at_most(out, rule->at_most);
    }
    if (rc == RAY_OK) {
        rc = print_list(out, "approvers", rule->approvers, rule->n_approvers);
    }
    return rc == RAY_OK ? print_field(out, "reason", rule->reason) : rc;
}

int coord_policy_print(const struct coord_policy *policy, struct ray_buf *out, struct ray_err *err)
{
    int rc = ray_buf_appendf(out, "# The first rule that matches decides; what none matches is "
                                  "denied.\n");

    for (size_t i = 0; i < policy->message->n_rules && rc == RAY_OK; i++) {
        rc = print_rule(out, policy->message->rules[i]);
    }
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "policy as text");
}
