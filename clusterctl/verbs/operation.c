/* operation.c - `clusterctl op`: what waits for approval, and deciding about it. */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/operation_command.h"
#include "clusterctl/verbs/policy.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/proto_codec.h"

static bool add_operation(yyjson_mut_doc *doc, yyjson_mut_val *value,
                          const Rayos__Registry__Object *object)
{
    const Rayos__Registry__Operation *operation = object->operation;

    return value != NULL && yyjson_mut_obj_add_strcpy(doc, value, "name", object->name) &&
           yyjson_mut_obj_add_strcpy(doc, value, "state", operation->state) &&
           yyjson_mut_obj_add_strcpy(doc, value, "asker", operation->asker) &&
           yyjson_mut_obj_add_strcpy(doc, value, "action", operation->action) &&
           yyjson_mut_obj_add_strcpy(doc, value, "rule", operation->rule) &&
           yyjson_mut_obj_add_strcpy(doc, value, "rules", operation->rules) &&
           yyjson_mut_obj_add_strcpy(doc, value, "decider", operation->decider) &&
           yyjson_mut_obj_add_strcpy(doc, value, "message", operation->message) &&
           yyjson_mut_obj_add_uint(doc, value, "revision", object->revision);
}

static bool is_operation(const Rayos__Registry__Object *object)
{
    return object != NULL && object->body_case == RAYOS__REGISTRY__OBJECT__BODY_OPERATION;
}

static bool is_wanted(const struct ray_args *args, const Rayos__Registry__Object *object)
{
    return ray_args_flag(args, "all") || strcmp(object->operation->state, "needs-approval") == 0 ||
           strcmp(object->operation->state, "running") == 0;
}

struct listing {
    const struct ray_args *args;
    yyjson_mut_doc *doc;
    yyjson_mut_val *list;
};

static int add_page(void *arg, const struct registry_page *page, bool is_first, struct ray_err *err)
{
    const struct listing *listing = arg;

    (void)is_first;
    for (size_t i = 0; i < page->answer->n_entries; i++) {
        const Rayos__Registry__Object *object = page->answer->entries[i]->object;

        if (is_operation(object) && is_wanted(listing->args, object) &&
            !add_operation(listing->doc, yyjson_mut_arr_add_obj(listing->doc, listing->list),
                           object)) {
            return ray_fail(err, RAY_ENOMEM, "the output");
        }
    }
    return RAY_OK;
}

static int collect(const struct ray_args *args, yyjson_mut_doc *doc, yyjson_mut_val *list,
                   struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct listing listing = {.args = args, .doc = doc, .list = list};

    query.kind = RAYOS__REGISTRY__KIND__KIND_OPERATION;
    return registry_fetch_all(args, &query, false, add_page, &listing, err);
}

static int run_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {
        {"NAME", "name", OUTPUT_AS_TEXT},       {"STATE", "state", OUTPUT_AS_TEXT},
        {"WHO", "asker", OUTPUT_AS_TEXT},       {"WHAT", "action", OUTPUT_AS_TEXT},
        {"RULE", "rule", OUTPUT_AS_TEXT},       {"DECIDED BY", "decider", OUTPUT_AS_TEXT},
        {"MESSAGE", "message", OUTPUT_AS_TEXT}, {0}};
    static const struct output_view view = {.list_key = "operations", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    enum output_form form = OUTPUT_TABLE;
    struct ray_err err = {0};
    int rc = output_form_parse(ray_args_value(args, "output"), &form, &err);

    (void)context;
    if (rc == RAY_OK && (list == NULL || !yyjson_mut_obj_add_val(doc, root, "operations", list))) {
        rc = ray_fail(&err, RAY_ENOMEM, "the output");
    }
    if (rc == RAY_OK) {
        rc = collect(args, doc, list, &err);
    }
    if (rc == RAY_OK) {
        rc = output_print(stdout, form, root, &view, &err);
    }
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* `page` is the caller's to fini, whatever is returned. */
static int fetch_one(const struct ray_args *args, struct registry_page *page,
                     const Rayos__Registry__Object **out, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    int rc;

    query.kind = RAYOS__REGISTRY__KIND__KIND_OPERATION;
    query.name = (char *)(uintptr_t)args->positionals[0];
    rc = registry_fetch(args, &query, false, page, err);
    if (rc == RAY_ENOTFOUND ||
        (rc == RAY_OK &&
         (page->answer->n_entries != 1 || !is_operation(page->answer->entries[0]->object)))) {
        rc = ray_fail(err, RAY_ENOTFOUND, "no operation '%s'", args->positionals[0]);
        (void)ray_next(err, "clusterctl op list --all");
    }
    if (rc == RAY_OK) {
        *out = page->answer->entries[0]->object;
    }
    return rc;
}

/* A tree within it, which tables cannot show, comes behind them as lines. */
static int print_one(enum output_form form, yyjson_mut_doc *doc, yyjson_mut_val *root,
                     yyjson_mut_val *command, struct ray_err *err)
{
    bool is_table = form == OUTPUT_TABLE || form == OUTPUT_WIDE;
    int rc;

    if (command != NULL && !is_table && !yyjson_mut_obj_add_val(doc, root, "command", command)) {
        return ray_fail(err, RAY_ENOMEM, "the output");
    }
    rc = output_print(stdout, form, root, NULL, err);
    if (rc == RAY_OK && command != NULL && is_table) {
        (void)printf("\n");
        rc = output_print(stdout, OUTPUT_YAML, command, NULL, err);
    }
    return rc;
}

static int run_show(const struct ray_args *args, void *context)
{
    const Rayos__Registry__Object *object = NULL;
    yyjson_mut_val *command = NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    enum output_form form = OUTPUT_TABLE;
    struct registry_page page;
    struct ray_err err = {0};
    int rc = fetch_one(args, &page, &object, &err);

    (void)context;
    if (rc == RAY_OK && !add_operation(doc, root, object)) {
        rc = ray_fail(&err, RAY_ENOMEM, "the output");
    }
    if (rc == RAY_OK && object->operation->command.len > 0) {
        rc = operation_command_show(doc, &object->operation->command, &command, &err);
    }
    if (rc == RAY_OK) {
        rc = output_form_parse(ray_args_value(args, "output"), &form, &err);
    }
    if (rc == RAY_OK) {
        rc = print_one(form, doc, root, command, &err);
    }
    registry_page_fini(&page);
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static int decide(const struct ray_args *args, bool is_approved)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__OperationDecide decision = RAYOS__REGISTRY__OPERATION_DECIDE__INIT;
    const Rayos__Registry__Object *object = NULL;
    struct registry_page page;
    struct ray_err err = {0};
    uint64_t revision = 0;
    int rc = fetch_one(args, &page, &object, &err);

    if (rc == RAY_OK) {
        decision.operation = object->id;
        decision.is_approved = is_approved;
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OPERATION_DECIDE;
        command.operation_decide = &decision;
        rc = registry_change_once(args, &command, &revision, &err);
    }
    registry_page_fini(&page);
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("%s: %s, revision %llu\n", args->positionals[0],
                 is_approved ? "approved and done" : "denied", (unsigned long long)revision);
    return 0;
}

static int run_approve(const struct ray_args *args, void *context)
{
    (void)context;
    return decide(args, true);
}

static int run_deny(const struct ray_args *args, void *context)
{
    (void)context;
    return decide(args, false);
}

static const struct ray_args_option list_options[] = {
    {.name = "all", .help = "also what was decided, or has expired"},
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};
static const struct ray_args_option show_options[] = {
    OUTPUT_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
static const struct ray_args_option decide_options[] = {
    CLUSTER_REASON_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};

static const struct ray_args_command operation_commands[] = {
    {.name = "list",
     .help = "what is under way or waits for approval",
     .options = list_options,
     .run = run_list},
    {.name = "show",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one of them, and what it will run",
     .options = show_options,
     .run = run_show,
     .complete = complete_operation},
    {.name = "approve",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "run what somebody else has asked for",
     .options = decide_options,
     .run = run_approve,
     .complete = complete_operation},
    {.name = "deny",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "let it be; who asked may, too",
     .options = decide_options,
     .run = run_deny,
     .complete = complete_operation},
    {0}};

const struct ray_args_command operation_command = {.name = "op",
                                                   .help =
                                                       "operations, and what waits for approval",
                                                   .subcommands = operation_commands};
