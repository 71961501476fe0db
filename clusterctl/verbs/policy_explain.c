/* policy_explain.c - what the rules would say, and why the rules before that one did not decide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/policy.h"
#include "clusterctl/verbs/policy_source.h"
#include "clusterctl/verbs/registry_call.h"

enum { LABELS_MAX = 16 };

struct question {
    struct coord_policy_actor actor;
    enum coord_policy_action action;
    struct coord_policy_object object;
    struct coord_policy_label labels[LABELS_MAX];
    char kind[32];
    char key[LABELS_MAX][128];
};

static int role_bits(const char *role, uint32_t *out, struct ray_err *err)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } roles[] = {{"admin", COORD_POLICY_ADMIN},
                 {"operator", COORD_POLICY_OPERATOR},
                 {"viewer", COORD_POLICY_VIEWER},
                 {"none", 0}};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(roles); i++) {
        if (strcmp(role, roles[i].name) == 0) {
            *out = roles[i].bits;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EUSAGE, "no role '%s'", role);
}

static const char *role_of(const Rayos__Registry__Principal *principal)
{
    if (principal->is_admin) {
        return "admin";
    }
    switch (principal->role) {
    case RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR:
        return "operator";
    case RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER:
        return "viewer";
    default:
        return "none";
    }
}

/* Of an answer about one principal; NULL: there is none. */
static const Rayos__Registry__Principal *principal_in(const Rayos__Registry__Answer *answer)
{
    const Rayos__Registry__Object *object =
        answer->n_entries == 1 ? answer->entries[0]->object : NULL;

    return object != NULL && object->body_case == RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL
               ? object->principal
               : NULL;
}

/* Root at a node's console is an admin without being in the registry. */
static int find_role(const struct ray_args *args, const char *name, uint32_t *out,
                     struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    const Rayos__Registry__Principal *principal = NULL;
    struct registry_page page;
    int rc;

    if (strncmp(name, "root@", 5) == 0) {
        return role_bits("admin", out, err);
    }
    query.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    query.name = (char *)(uintptr_t)name;
    rc = registry_fetch(args, &query, false, &page, err);
    if (rc == RAY_OK && page.answer != NULL) {
        principal = principal_in(page.answer);
    }
    if (principal != NULL) {
        rc = role_bits(role_of(principal), out, err);
    } else if (rc == RAY_OK || rc == RAY_ENOTFOUND) {
        rc = ray_fail(err, RAY_ENOTFOUND, "there is no principal '%s'", name);
        (void)ray_next(err, "give --role, to ask for one that is not there");
    }
    registry_page_fini(&page);
    return rc;
}

static int read_actor(const struct ray_args *args, struct question *question, struct ray_err *err)
{
    const char *role = ray_args_value(args, "role");

    question->actor.kind = "principal";
    question->actor.name = ray_args_value(args, "as");
    if (question->actor.name == NULL) {
        return ray_fail(err, RAY_EUSAGE, "--as says who would do it");
    }
    if (role != NULL) {
        return role_bits(role, &question->actor.roles, err);
    }
    if (ray_args_value(args, "file") != NULL) {
        (void)ray_fail(err, RAY_EUSAGE, "a file does not know the role of '%s'",
                       question->actor.name);
        (void)ray_next(err, "give --role");
        return RAY_EUSAGE;
    }
    return find_role(args, question->actor.name, &question->actor.roles, err);
}

static int read_labels(const struct ray_args *args, struct question *question, struct ray_err *err)
{
    const char *text;

    for (size_t i = 0; (text = ray_args_value_at(args, "label", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        size_t key_size = equals != NULL ? (size_t)(equals - text) : 0;

        if (i == LABELS_MAX || key_size == 0 || key_size >= sizeof question->key[0]) {
            return ray_fail(err, RAY_EUSAGE, "--label wants KEY=VALUE, at most %d times",
                            LABELS_MAX);
        }
        memcpy(question->key[i], text, key_size);
        question->labels[i] = (struct coord_policy_label){
            .key = question->key[i], .value = equals + 1, .value_size = strlen(equals + 1)};
        question->object.label_count++;
    }
    question->object.labels = question->labels;
    return RAY_OK;
}

static int read_object(const struct ray_args *args, struct question *question, struct ray_err *err)
{
    const char *text = args->positional_count > 1 ? args->positionals[1] : NULL;
    const char *colon = text != NULL ? strchr(text, ':') : NULL;

    question->object.kind = coord_policy_action_object(question->action);
    question->object.name = "";
    question->object.node = ray_args_value(args, "on");
    if (text != NULL &&
        (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof question->kind)) {
        (void)ray_fail(err, RAY_EUSAGE, "'%s' is no object", text);
        (void)ray_next(err, "write KIND:NAME, as guest:web-1");
        return RAY_EUSAGE;
    }
    if (text != NULL) {
        memcpy(question->kind, text, (size_t)(colon - text));
        question->object.kind = question->kind;
        question->object.name = colon + 1;
    }
    return read_labels(args, question, err);
}

static yyjson_mut_val *show_tried(yyjson_mut_doc *doc, const struct coord_policy *policy,
                                  const struct question *question, uint32_t decided)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    uint32_t end = decided != COORD_POLICY_NO_RULE ? decided : coord_policy_rule_count(policy) + 1;
    bool is_ok = list != NULL;

    for (uint32_t rule = 1; rule < end && is_ok; rule++) {
        const char *why = coord_policy_mismatch(policy, rule, &question->actor, question->action,
                                                &question->object);
        yyjson_mut_val *value = yyjson_mut_arr_add_obj(doc, list);

        is_ok =
            value != NULL && why != NULL &&
            yyjson_mut_obj_add_strcpy(doc, value, "rule", coord_policy_rule_name(policy, rule)) &&
            yyjson_mut_obj_add_str(doc, value, "mismatch", why);
    }
    return is_ok ? list : NULL;
}

static void print_text(const struct coord_policy_decision *decision, yyjson_mut_val *tried)
{
    yyjson_mut_arr_iter iter = yyjson_mut_arr_iter_with(tried);
    yyjson_mut_val *value;

    (void)printf("%s: rule '%s'%s%s\n", coord_policy_effect_text(decision->effect), decision->name,
                 decision->reason[0] != '\0' ? ": " : "", decision->reason);
    while ((value = yyjson_mut_arr_iter_next(&iter)) != NULL) {
        (void)printf("  not '%s': its '%s' does not match\n",
                     yyjson_mut_get_str(yyjson_mut_obj_get(value, "rule")),
                     yyjson_mut_get_str(yyjson_mut_obj_get(value, "mismatch")));
    }
}

static int show(const struct ray_args *args, const struct coord_policy *policy,
                const struct question *question, struct ray_err *err)
{
    const struct coord_policy_decision decision =
        coord_policy_decide(policy, &question->actor, question->action, &question->object);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *tried = show_tried(doc, policy, question, decision.rule);
    enum output_form form = OUTPUT_TABLE;
    int rc = output_form_parse(ray_args_value(args, "output"), &form, err);

    if (rc == RAY_OK &&
        (tried == NULL ||
         !yyjson_mut_obj_add_str(doc, root, "effect", coord_policy_effect_text(decision.effect)) ||
         !yyjson_mut_obj_add_strcpy(doc, root, "rule", decision.name) ||
         !yyjson_mut_obj_add_strcpy(doc, root, "reason", decision.reason) ||
         !yyjson_mut_obj_add_val(doc, root, "tried", tried))) {
        rc = ray_fail(err, RAY_ENOMEM, "the output");
    }
    if (rc == RAY_OK && form == OUTPUT_TABLE) {
        print_text(&decision, tried);
    } else if (rc == RAY_OK) {
        static const struct output_view view = {.name_key = "rule"};

        rc = output_print(stdout, form, root, &view, err);
    }
    yyjson_mut_doc_free(doc);
    return rc;
}

static int read_rules(const struct ray_args *args, struct coord_policy **out, struct ray_err *err)
{
    const char *file = ray_args_value(args, "file");
    struct ray_buf rules;
    uint64_t version;
    int rc;

    ray_buf_init(&rules, POLICY_SOURCE_SIZE_MAX);
    rc = file != NULL ? policy_source_file(file, &rules, err)
                      : policy_source_cluster(args, 0, &rules, &version, err);
    if (rc == RAY_OK) {
        rc = coord_policy_create(rules.data, rules.size, out, err);
    }
    ray_buf_fini(&rules);
    return rc;
}

int policy_run_test(const struct ray_args *args, void *context)
{
    struct question question = {.kind = ""};
    struct coord_policy *policy = NULL;
    struct ray_err err = {0};
    int rc = coord_policy_action_find(args->positionals[0], &question.action, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = read_object(args, &question, &err);
    }
    if (rc == RAY_OK) {
        rc = read_actor(args, &question, &err);
    }
    if (rc == RAY_OK) {
        rc = read_rules(args, &policy, &err);
    }
    if (rc == RAY_OK) {
        rc = show(args, policy, &question, &err);
    }
    coord_policy_destroy(policy);
    return rc == RAY_OK ? 0 : output_error(&err);
}
