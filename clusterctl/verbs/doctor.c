/* doctor.c - asks for all that is to be judged; what cannot be had is a finding itself. */
#include "clusterctl/verbs/doctor.h"

#include <stdio.h>
#include <string.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/doctor_judge.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_find.h"
#include "clusterctl/verbs/registry_call.h"

/* All that was asked for; what is NULL could not be had, and that was said. */
struct visit {
    ProtobufCMessage *status;
    Rayos__Cluster__Nodes *nodes;
    ProtobufCMessage *tokens;
    ProtobufCMessage *health;
    struct registry_page cluster;
    struct registry_page node_objects;
    struct registry_page policies; /* the last page: versions come in their order */
    struct doctor_report report;
};

static void visit_fini(struct visit *visit)
{
    ProtobufCMessage *const bodies[] = {visit->status, visit->tokens, visit->health};

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (bodies[i] != NULL) {
            protobuf_c_message_free_unpacked(bodies[i], NULL);
        }
    }
    node_list_free(visit->nodes);
    registry_page_fini(&visit->cluster);
    registry_page_fini(&visit->node_objects);
    registry_page_fini(&visit->policies);
}

static void note_failure(struct visit *visit, const char *what, const struct ray_err *err)
{
    doctor_add(&visit->report, what, DOCTOR_FAILED,
               err->text[0] == '\0' ? ray_err_text(err->code) : err->text, err->next_step);
}

/* ---- asking ---- */

static void on_member(void *arg, const char *address, const struct ray_err *why)
{
    struct visit *visit = arg;
    char name[DOCTOR_NAME_SIZE];

    if (why->code != RAY_OK) {
        (void)snprintf(name, sizeof name, "member %s", address);
        doctor_add(&visit->report, name, DOCTOR_FAILED, why->text,
                   why->code == RAY_EDENIED
                       ? "compare its key with the context's: clusterctl context show"
                       : "look whether it runs and the network reaches it");
    }
}

static void ask_query(const struct ray_args *args, Rayos__Registry__Kind kind,
                      struct registry_page *page, struct visit *visit)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct ray_err err = {0};

    query.kind = kind;
    query.count_max = 1000;
    if (registry_fetch(args, &query, false, page, &err) != RAY_OK) {
        note_failure(visit, "registry", &err);
    }
}

/* Two versions a page, as each has its rules with it. */
static int keep_page(void *arg, const struct registry_page *page, bool is_first,
                     struct ray_err *err)
{
    struct visit *visit = arg;
    struct registry_page copy = {.revision = page->revision};

    (void)is_first;
    ray_buf_init(&copy.bytes, page->bytes.size);
    copy.answer = rayos__registry__answer__unpack(NULL, page->bytes.size, page->bytes.data);
    if (copy.answer == NULL) {
        registry_page_fini(&copy);
        return ray_fail(err, RAY_ENOMEM, "a page of the registry");
    }
    registry_page_fini(&visit->policies);
    visit->policies = copy;
    return RAY_OK;
}

static void ask_policies(const struct ray_args *args, struct visit *visit)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct ray_err err = {0};

    query.kind = RAYOS__REGISTRY__KIND__KIND_POLICY;
    query.count_max = 2;
    if (registry_fetch_all(args, &query, false, keep_page, visit, &err) != RAY_OK) {
        note_failure(visit, "policy", &err);
    }
}

static void ask_tokens(const struct ray_args *args, struct visit *visit)
{
    Rayos__Cluster__TokensRequest request = RAYOS__CLUSTER__TOKENS_REQUEST__INIT;
    struct ray_err err = {0};

    if (cluster_call(args, "token.list", &request.base, &rayos__cluster__tokens__descriptor,
                     &visit->tokens, &err) != RAY_OK) {
        note_failure(visit, "tokens", &err);
    }
}

/* Of the node whose socket is called. */
static void ask_health(const struct ray_args *args, struct visit *visit)
{
    Rayos__Node__HealthRequest request = RAYOS__NODE__HEALTH_REQUEST__INIT;
    struct ray_err err = {0};

    if (cluster_call_here(args, "node.health", &request.base, &rayos__node__health__descriptor,
                          &visit->health, &err) != RAY_OK) {
        note_failure(visit, "here", &err);
    }
}

/* RAY_OK: there is enough to judge. */
static int ask(const struct ray_args *args, struct visit *visit)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    struct ray_err err = {0};
    int rc = cluster_each_member(args, on_member, visit, &err);

    if (rc == RAY_OK && cluster_is_here(args)) {
        ask_health(args, visit);
    }
    rc = rc == RAY_OK ? cluster_call(args, "cluster.status", &request.base,
                                     &rayos__cluster__status__descriptor, &visit->status, &err)
                      : rc;
    rc = rc == RAY_OK ? node_list_fetch(args, false, &visit->nodes, &err) : rc;
    if (rc != RAY_OK) {
        note_failure(visit, "cluster", &err);
        return rc;
    }
    ask_query(args, RAYOS__REGISTRY__KIND__KIND_CLUSTER, &visit->cluster, visit);
    ask_query(args, RAYOS__REGISTRY__KIND__KIND_NODE, &visit->node_objects, visit);
    ask_policies(args, visit);
    ask_tokens(args, visit);
    return RAY_OK;
}

/* ---- telling ---- */

static yyjson_mut_val *show(yyjson_mut_doc *doc, const struct doctor_report *report)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list;
    bool is_ok = yyjson_mut_obj_add_str(doc, root, "state", doctor_state_name(report->state)) &&
                 yyjson_mut_obj_add_uint(doc, root, "left_out", report->left_out);

    list = yyjson_mut_obj_add_arr(doc, root, "checks");
    for (size_t i = 0; is_ok && i < report->count; i++) {
        const struct doctor_check *check = &report->list[i];
        yyjson_mut_val *line = yyjson_mut_arr_add_obj(doc, list);

        is_ok = yyjson_mut_obj_add_str(doc, line, "name", check->name) &&
                yyjson_mut_obj_add_str(doc, line, "state", doctor_state_name(check->state)) &&
                yyjson_mut_obj_add_str(doc, line, "message", check->message) &&
                yyjson_mut_obj_add_str(doc, line, "next_step", check->next_step);
    }
    return is_ok ? root : NULL;
}

static int tell(const struct ray_args *args, const struct doctor_report *report)
{
    static const struct output_column columns[] = {{"CHECK", "name", OUTPUT_AS_TEXT},
                                                   {"STATE", "state", OUTPUT_AS_TEXT},
                                                   {"MESSAGE", "message", OUTPUT_AS_TEXT},
                                                   {"NEXT", "next_step", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "checks", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    int status = output_tree(args, doc == NULL ? NULL : show(doc, report), &view);

    yyjson_mut_doc_free(doc);
    return status == 0 && report->state >= DOCTOR_DEGRADED ? 1 : status;
}

static int run_doctor(const struct ray_args *args, void *context)
{
    struct visit visit = {.status = NULL};
    int status;

    (void)context;
    if (ask(args, &visit) == RAY_OK) {
        const struct doctor_input input = {.status = (const Rayos__Cluster__Status *)visit.status,
                                           .nodes = visit.nodes,
                                           .tokens = (const Rayos__Cluster__Tokens *)visit.tokens,
                                           .cluster = visit.cluster.answer,
                                           .node_objects = visit.node_objects.answer,
                                           .policies = visit.policies.answer,
                                           .health = (const Rayos__Node__Health *)visit.health};

        doctor_judge(&input, &visit.report);
    }
    status = tell(args, &visit.report);
    visit_fini(&visit);
    return status;
}

static const struct ray_args_option options[] = {
    OUTPUT_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("10"), {0}};

const struct ray_args_command doctor_command = {
    .name = "doctor",
    .help = "what is wrong, each with the next step; status 1 when something is",
    .options = options,
    .run = run_doctor};
