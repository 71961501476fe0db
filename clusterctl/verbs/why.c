/* why.c - from the state that the nearest member has applied: the object with its last changes, the
 * events about it, and the cluster's status. Each of the three says how old it is by the first. */
#include "clusterctl/verbs/why.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/events.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/registry_call.h"
#include "clusterctl/verbs/registry_kind.h"
#include "clusterctl/verbs/why_waits.h"
#include "net/proto_codec.h"

enum { ABOUT_SIZE = 64 };

/* ---- asking ---- */

/* The only one of that kind and name. */
static int find(const struct ray_args *args, struct registry_page *page,
                const Rayos__Registry__Entry **out, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    const char *kind = args->positionals[0];
    const char *name = args->positional_count > 1 ? args->positionals[1] : "";
    int rc = registry_kind_parse(kind, &query.kind, err);

    if (rc == RAY_OK && (query.kind == RAYOS__REGISTRY__KIND__KIND_NONE ||
                         (name[0] == '\0' && query.kind != RAYOS__REGISTRY__KIND__KIND_CLUSTER))) {
        rc = ray_fail(err, RAY_EUSAGE, "why wants a kind and a name: clusterctl why node NAME");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    query.name = (char *)(uintptr_t)name;
    query.with_changes = true;
    rc = registry_fetch(args, &query, ray_args_flag(args, "linearizable"), page, err);
    if (rc == RAY_OK &&
        (page->answer->n_entries != 1 || page->answer->entries[0]->object == NULL)) {
        rc = RAY_ENOTFOUND;
    }
    if (rc == RAY_ENOTFOUND) {
        (void)ray_fail(err, rc, "no %s '%s'", kind, name);
        (void)ray_next(err, "clusterctl query %s", kind);
    }
    if (rc == RAY_OK) {
        *out = page->answer->entries[0];
    }
    return rc;
}

/* ---- showing ---- */

struct telling {
    yyjson_mut_doc *doc;
    yyjson_mut_val *events;
    char about[ABOUT_SIZE]; /* as an event names the object */
    bool is_cluster;        /* events about nothing else are its own */
    bool is_short;          /* of memory */
};

static void on_event(void *arg, const Rayos__Cluster__Event *event)
{
    struct telling *telling = arg;
    yyjson_mut_doc *doc = telling->doc;
    yyjson_mut_val *line;

    if (strcmp(event->object, telling->about) != 0 &&
        !(telling->is_cluster && event->object[0] == '\0')) {
        return;
    }
    line = yyjson_mut_arr_add_obj(doc, telling->events);
    telling->is_short |= !(yyjson_mut_obj_add_uint(doc, line, "sequence", event->sequence) &&
                           yyjson_mut_obj_add_uint(doc, line, "revision", event->revision) &&
                           yyjson_mut_obj_add_uint(doc, line, "at_us", event->time_us) &&
                           yyjson_mut_obj_add_strcpy(doc, line, "what", event->what) &&
                           yyjson_mut_obj_add_strcpy(doc, line, "principal", event->principal) &&
                           yyjson_mut_obj_add_strcpy(doc, line, "text", event->text));
}

static bool add_object(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct registry_page *page,
                       const Rayos__Registry__Object *object)
{
    char state[WHY_TEXT_SIZE];
    char id_text[RAY_ID_TEXT_SIZE] = "";
    struct ray_id id;

    why_state(object, state);
    if (ray_id_from_bytes(object->id.data, object->id.len, &id, NULL) == RAY_OK) {
        (void)ray_id_format(&id, id_text);
    }
    return yyjson_mut_obj_add_str(doc, root, "kind", registry_kind_name(object->kind)) &&
           yyjson_mut_obj_add_strcpy(doc, root, "name", object->name) &&
           yyjson_mut_obj_add_strcpy(doc, root, "id", id_text) &&
           yyjson_mut_obj_add_strcpy(doc, root, "state", state) &&
           yyjson_mut_obj_add_uint(doc, root, "created_revision", object->created_revision) &&
           yyjson_mut_obj_add_uint(doc, root, "changed_revision", object->revision) &&
           yyjson_mut_obj_add_uint(doc, root, "revision", page->revision) &&
           yyjson_mut_obj_add_val(doc, root, "age_ms", output_age(doc, page->age_ms));
}

static bool add_changes(yyjson_mut_doc *doc, yyjson_mut_val *root,
                        const Rayos__Registry__Entry *entry)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "changes");
    bool is_ok = list != NULL;

    for (size_t i = 0; is_ok && i < entry->n_changes; i++) {
        const Rayos__Registry__Change *change = entry->changes[i];
        yyjson_mut_val *line = yyjson_mut_arr_add_obj(doc, list);

        is_ok = yyjson_mut_obj_add_uint(doc, line, "revision", change->revision) &&
                yyjson_mut_obj_add_uint(doc, line, "at_us", change->time_us) &&
                yyjson_mut_obj_add_strcpy(doc, line, "what", change->what) &&
                yyjson_mut_obj_add_strcpy(doc, line, "principal", change->principal) &&
                yyjson_mut_obj_add_strcpy(doc, line, "reason", change->reason);
    }
    return is_ok;
}

static bool add_waits(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct why_waits *waits)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "waits_for");
    bool is_ok = list != NULL;

    for (size_t i = 0; is_ok && i < waits->count; i++) {
        yyjson_mut_val *line = yyjson_mut_arr_add_obj(doc, list);

        is_ok = yyjson_mut_obj_add_strcpy(doc, line, "what", waits->list[i].what) &&
                yyjson_mut_obj_add_strcpy(doc, line, "next_step", waits->list[i].next_step);
    }
    return is_ok;
}

static int add_events(const struct ray_args *args, yyjson_mut_doc *doc, yyjson_mut_val *root,
                      const Rayos__Registry__Object *object, struct ray_err *err)
{
    struct telling telling = {.doc = doc,
                              .events = yyjson_mut_obj_add_arr(doc, root, "events"),
                              .is_cluster = object->kind == RAYOS__REGISTRY__KIND__KIND_CLUSTER};
    char id_text[RAY_ID_TEXT_SIZE] = "";
    struct ray_id id;
    int rc;

    if (ray_id_from_bytes(object->id.data, object->id.len, &id, NULL) == RAY_OK) {
        (void)ray_id_format(&id, id_text);
    }
    (void)snprintf(telling.about, sizeof telling.about, "%s %s", registry_kind_name(object->kind),
                   id_text);
    rc = telling.events == NULL ? RAY_ENOMEM : events_each(args, on_event, &telling, err);
    return rc == RAY_OK && telling.is_short ? RAY_ENOMEM : rc;
}

static int ask_status(const struct ray_args *args, const Rayos__Registry__Object *object,
                      struct why_waits *out, struct ray_err *err)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    int rc = cluster_call(args, "cluster.status", &request.base,
                          &rayos__cluster__status__descriptor, &body, err);

    if (rc == RAY_OK) {
        why_waits_find(object, (const Rayos__Cluster__Status *)body, out);
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

/* Without operations to be seen the rest is worth telling, too. */
static void ask_operations(const struct ray_args *args, const Rayos__Registry__Object *object,
                           struct why_waits *out)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct registry_page page;

    query.kind = RAYOS__REGISTRY__KIND__KIND_OPERATION;
    query.count_max = 1000;
    if (registry_fetch(args, &query, false, &page, NULL) == RAY_OK) {
        why_waits_add_operations(object, page.answer, out);
    }
    registry_page_fini(&page);
}

static int tell(const struct ray_args *args, const struct registry_page *page,
                const Rayos__Registry__Entry *entry)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct why_waits waits = {.count = 0};
    struct ray_err err = {0};
    bool is_ok;
    int status;
    int rc = ask_status(args, entry->object, &waits, &err);

    if (rc == RAY_OK) {
        ask_operations(args, entry->object, &waits);
    }
    is_ok = rc == RAY_OK && add_object(doc, root, page, entry->object) &&
            add_waits(doc, root, &waits) && add_changes(doc, root, entry);
    if (is_ok) {
        rc = add_events(args, doc, root, entry->object, &err);
    }
    status = rc == RAY_OK || rc == RAY_ENOMEM
                 ? output_tree(args, is_ok && rc == RAY_OK ? root : NULL, NULL)
                 : output_error(&err);
    yyjson_mut_doc_free(doc);
    return status;
}

static int run_why(const struct ray_args *args, void *context)
{
    const Rayos__Registry__Entry *entry = NULL;
    struct registry_page page = {.answer = NULL};
    struct ray_err err = {0};
    int status =
        find(args, &page, &entry, &err) == RAY_OK ? tell(args, &page, entry) : output_error(&err);

    (void)context;
    registry_page_fini(&page);
    return status;
}

static const struct ray_args_option options[] = {CLUSTER_LINEARIZABLE_OPTION,
                                                 OUTPUT_OPTION,
                                                 CLUSTER_SOCKET_OPTION,
                                                 NODE_TIMEOUT_OPTION("30"),
                                                 {0}};

const struct ray_args_command why_command = {
    .name = "why",
    .positional = "KIND [NAME]",
    .positional_min = 1,
    .positional_max = 2,
    .help = "who changed an object, when and why, and what it waits for",
    .options = options,
    .run = run_why,
    .complete = complete_kind_and_name};
