/* policy.c - rules of the cluster: looked at, set, confirmed, brought back. */
#include "clusterctl/verbs/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/policy_source.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/proto_codec.h"

enum { CONFIRM_WITHIN_S_MAX = 24 * 3600, NUMBER_SIZE = 24 };

/* ---- check ---- */

static int run_check(const struct ray_args *args, void *context)
{
    struct coord_policy *policy = NULL;
    struct ray_err err = {0};
    struct ray_buf rules;
    int rc;

    (void)context;
    ray_buf_init(&rules, POLICY_SOURCE_SIZE_MAX);
    rc = policy_source_file(args->positionals[0], &rules, &err);
    if (rc == RAY_OK) {
        rc = coord_policy_create(rules.data, rules.size, &policy, &err);
    }
    if (rc == RAY_OK) {
        (void)printf("%s: %u rules, no problems\n", args->positionals[0],
                     coord_policy_rule_count(policy));
    }
    coord_policy_destroy(policy);
    ray_buf_fini(&rules);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- set, confirm, revert ---- */

/* "60" or "60s"; not given: 0. */
static int confirm_within_us(const struct ray_args *args, uint64_t *out_us, struct ray_err *err)
{
    const char *text = ray_args_value(args, "confirm-within");
    size_t size = text != NULL ? strlen(text) : 0;
    char digits[NUMBER_SIZE];
    uint64_t seconds = 0;

    *out_us = 0;
    if (text == NULL) {
        return RAY_OK;
    }
    if (size > 0 && text[size - 1] == 's') {
        size--;
    }
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(size < sizeof digits ? size : 0), text);
    if (ray_parse_u64(digits, 1, CONFIRM_WITHIN_S_MAX, &seconds) != RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--confirm-within wants seconds, at most a day: 60s");
    }
    *out_us = seconds * 1000000;
    return RAY_OK;
}

static int change(const struct ray_args *args, Rayos__Registry__Command *command,
                  uint64_t within_us, struct ray_err *err)
{
    Rayos__Registry__Reply *reply = NULL;
    uint64_t revision = 0;
    int rc = registry_change_reply(args, command, &revision, &reply, err);
    unsigned long long version;

    if (rc != RAY_OK) {
        return rc;
    }
    version = reply->policy_version;
    rayos__registry__reply__free_unpacked(reply, NULL);
    (void)printf("policy: version %llu is in force\n", version);
    if (within_us > 0) {
        (void)printf("next: within %llu s 'clusterctl policy confirm %llu', else the rules of "
                     "before come back\n",
                     (unsigned long long)(within_us / 1000000), version);
    }
    return RAY_OK;
}

static int run_set(const struct ray_args *args, void *context)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__PolicySet set = RAYOS__REGISTRY__POLICY_SET__INIT;
    const char *expected = ray_args_value(args, "expect");
    struct ray_err err = {0};
    struct ray_buf rules;
    int rc = confirm_within_us(args, &set.confirm_within_us, &err);

    (void)context;
    ray_buf_init(&rules, POLICY_SOURCE_SIZE_MAX);
    if (rc == RAY_OK && expected != NULL &&
        !policy_source_is_version(expected, &set.expected_version)) {
        rc = ray_fail(&err, RAY_EUSAGE, "--expect wants the number of a version");
    }
    if (rc == RAY_OK) {
        rc = policy_source_file(args->positionals[0], &rules, &err);
    }
    if (rc == RAY_OK) {
        set.rules = ray_proto_bytes(rules.data, rules.size);
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET;
        command.policy_set = &set;
        rc = change(args, &command, set.confirm_within_us, &err);
    }
    ray_buf_fini(&rules);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static int run_revert(const struct ray_args *args, void *context)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__PolicyRevert revert = RAYOS__REGISTRY__POLICY_REVERT__INIT;
    struct ray_err err = {0};
    int rc = confirm_within_us(args, &revert.confirm_within_us, &err);

    (void)context;
    if (rc == RAY_OK && !policy_source_is_version(args->positionals[0], &revert.version)) {
        rc = ray_fail(&err, RAY_EUSAGE, "'%s' is no version", args->positionals[0]);
        (void)ray_next(&err, "clusterctl policy history");
    }
    if (rc == RAY_OK) {
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_POLICY_REVERT;
        command.policy_revert = &revert;
        rc = change(args, &command, revert.confirm_within_us, &err);
    }
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* Which version: said, or what is in force now. */
static int version_to_confirm(const struct ray_args *args, uint64_t *out, struct ray_err *err)
{
    struct ray_buf rules;
    int rc;

    if (args->positional_count > 0) {
        return policy_source_is_version(args->positionals[0], out)
                   ? RAY_OK
                   : ray_fail(err, RAY_EUSAGE, "'%s' is no version", args->positionals[0]);
    }
    ray_buf_init(&rules, POLICY_SOURCE_SIZE_MAX);
    rc = policy_source_cluster(args, 0, &rules, out, err);
    ray_buf_fini(&rules);
    return rc;
}

static int run_confirm(const struct ray_args *args, void *context)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__PolicyConfirm confirm = RAYOS__REGISTRY__POLICY_CONFIRM__INIT;
    struct ray_err err = {0};
    uint64_t revision = 0;
    int rc = version_to_confirm(args, &confirm.version, &err);

    (void)context;
    if (rc == RAY_OK) {
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_POLICY_CONFIRM;
        command.policy_confirm = &confirm;
        rc = registry_change_once(args, &command, &revision, &err);
    }
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("policy: version %llu stays\n", (unsigned long long)confirm.version);
    return 0;
}

/* ---- show ---- */

static int run_show(const struct ray_args *args, void *context)
{
    struct ray_err err = {0};
    struct ray_buf rules;
    struct ray_buf text;
    uint64_t wanted = 0;
    uint64_t version = 0;
    int rc = RAY_OK;

    (void)context;
    ray_buf_init(&rules, POLICY_SOURCE_SIZE_MAX);
    ray_buf_init(&text, POLICY_SOURCE_TEXT_SIZE_MAX);
    if (args->positional_count > 0 && !policy_source_is_version(args->positionals[0], &wanted)) {
        rc = ray_fail(&err, RAY_EUSAGE, "'%s' is no version", args->positionals[0]);
    }
    if (rc == RAY_OK) {
        rc = policy_source_cluster(args, wanted, &rules, &version, &err);
    }
    if (rc == RAY_OK) {
        rc = policy_source_print(&rules, &text, &err);
    }
    if (rc == RAY_OK) {
        (void)printf("# version %llu\n%s", (unsigned long long)version, (const char *)text.data);
    }
    ray_buf_fini(&rules);
    ray_buf_fini(&text);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- history ---- */

static bool add_version(yyjson_mut_doc *doc, yyjson_mut_val *list,
                        const Rayos__Registry__Entry *entry)
{
    const Rayos__Registry__PolicyVersion *policy = entry->object->policy;
    const Rayos__Registry__Change *made = entry->n_changes > 0 ? entry->changes[0] : NULL;
    yyjson_mut_val *value = yyjson_mut_obj(doc);

    return value != NULL && yyjson_mut_obj_add_uint(doc, value, "version", policy->version) &&
           yyjson_mut_obj_add_str(doc, value, "state",
                                  policy->confirm_by_us != 0 ? "unconfirmed" : "past") &&
           yyjson_mut_obj_add_uint(doc, value, "from", policy->from) &&
           yyjson_mut_obj_add_uint(doc, value, "restores", policy->restores) &&
           yyjson_mut_obj_add_strcpy(doc, value, "principal",
                                     made != NULL ? made->principal : "") &&
           yyjson_mut_obj_add_uint(doc, value, "time_us", made != NULL ? made->time_us : 0) &&
           yyjson_mut_obj_add_strcpy(doc, value, "reason", made != NULL ? made->reason : "") &&
           yyjson_mut_arr_append(list, value);
}

struct versions {
    yyjson_mut_doc *doc;
    yyjson_mut_val *list;
};

static int add_page(void *arg, const struct registry_page *page, bool is_first, struct ray_err *err)
{
    const struct versions *versions = arg;

    (void)is_first;
    for (size_t i = 0; i < page->answer->n_entries; i++) {
        const Rayos__Registry__Entry *entry = page->answer->entries[i];

        if (entry->object == NULL ||
            entry->object->body_case != RAYOS__REGISTRY__OBJECT__BODY_POLICY ||
            !add_version(versions->doc, versions->list, entry)) {
            return ray_fail(err, RAY_EMALFORMED, "the answer is not that of a policy");
        }
    }
    return RAY_OK;
}

/* Pages of few versions, as each has its rules with it. */
static int collect(const struct ray_args *args, yyjson_mut_doc *doc, yyjson_mut_val *list,
                   struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct versions versions = {.doc = doc, .list = list};

    query.kind = RAYOS__REGISTRY__KIND__KIND_POLICY;
    query.with_changes = true;
    query.count_max = 2;
    return registry_fetch_all(args, &query, false, add_page, &versions, err);
}

static int run_history(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"VERSION", "version", OUTPUT_AS_TEXT},
                                                   {"STATE", "state", OUTPUT_AS_TEXT},
                                                   {"FROM", "from", OUTPUT_AS_TEXT},
                                                   {"WHO", "principal", OUTPUT_AS_TEXT},
                                                   {"WHEN", "time_us", OUTPUT_AS_TIME},
                                                   {"REASON", "reason", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {
        .list_key = "versions", .name_key = "version", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    yyjson_mut_val *newest;
    enum output_form form = OUTPUT_TABLE;
    struct ray_err err = {0};
    int rc = output_form_parse(ray_args_value(args, "output"), &form, &err);

    (void)context;
    if (rc == RAY_OK && (list == NULL || !yyjson_mut_obj_add_val(doc, root, "versions", list))) {
        rc = ray_fail(&err, RAY_ENOMEM, "the output");
    }
    if (rc == RAY_OK) {
        rc = collect(args, doc, list, &err);
    }
    newest = rc == RAY_OK ? yyjson_mut_arr_get_last(list) : NULL;
    if (newest != NULL &&
        strcmp(yyjson_mut_get_str(yyjson_mut_obj_get(newest, "state")), "past") == 0) {
        (void)yyjson_mut_set_str(yyjson_mut_obj_get(newest, "state"), "in force");
    }
    if (rc == RAY_OK) {
        rc = output_print(stdout, form, root, &view, &err);
    }
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- tables ---- */

#define CONFIRM_WITHIN_OPTION                                                                      \
    {.name = "confirm-within",                                                                     \
     .value_name = "60s",                                                                          \
     .help = "the rules of before come back unless 'policy confirm' comes in time"}

static const struct ray_args_option set_options[] = {
    CONFIRM_WITHIN_OPTION,
    {.name = "expect", .value_name = "REV", .help = "only if this version is in force"},
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};
static const struct ray_args_option revert_options[] = {CONFIRM_WITHIN_OPTION,
                                                        CLUSTER_REASON_OPTION,
                                                        CLUSTER_SOCKET_OPTION,
                                                        NODE_TIMEOUT_OPTION("30"),
                                                        {0}};
static const struct ray_args_option confirm_options[] = {
    CLUSTER_REASON_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
static const struct ray_args_option show_options[] = {
    CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
static const struct ray_args_option history_options[] = {
    OUTPUT_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
static const struct ray_args_option test_options[] = {
    {.name = "as", .value_name = "WHO", .help = "the principal who would do it"},
    {.name = "role",
     .value_name = "ROLE",
     .choices = "admin|operator|viewer|none",
     .help = "his role (default: what the registry says)"},
    {.name = "file", .value_name = "FILE", .help = "these rules, without asking a cluster"},
    {.name = "on", .value_name = "NODE", .help = "the node where it happens"},
    {.name = "label", .value_name = "KEY=VALUE...", .help = "a label of the object"},
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_command policy_commands[] = {
    {.name = "check",
     .positional = "FILE",
     .positional_min = 1,
     .positional_max = 1,
     .help = "say what is wrong with rules in a file; asks nobody",
     .run = run_check},
    {.name = "set",
     .positional = "FILE",
     .positional_min = 1,
     .positional_max = 1,
     .help = "put rules in force",
     .options = set_options,
     .run = run_set},
    {.name = "confirm",
     .positional = "[REV]",
     .positional_max = 1,
     .help = "the rules in force stay",
     .options = confirm_options,
     .run = run_confirm},
    {.name = "show",
     .positional = "[REV]",
     .positional_max = 1,
     .help = "the rules in force, or of a version, as TOML",
     .options = show_options,
     .run = run_show},
    {.name = "diff",
     .positional = "FILE|REV",
     .positional_min = 1,
     .positional_max = 1,
     .help = "what differs from the rules in force",
     .options = show_options,
     .run = policy_run_diff},
    {.name = "history",
     .help = "versions that are kept",
     .options = history_options,
     .run = run_history},
    {.name = "revert",
     .positional = "REV",
     .positional_min = 1,
     .positional_max = 1,
     .help = "put the rules of an older version in force",
     .options = revert_options,
     .run = run_revert},
    {.name = "test",
     .positional = "ACTION [KIND:NAME]",
     .positional_min = 1,
     .positional_max = 2,
     .help = "which rule would decide, and why not those before it",
     .options = test_options,
     .run = policy_run_test},
    {0}};

const struct ray_args_command policy_command = {
    .name = "policy", .help = "who may do what", .subcommands = policy_commands};
