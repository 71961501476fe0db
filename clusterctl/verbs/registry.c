/* registry.c - objects of the registry as they are, and labels of theirs. */
#include "clusterctl/verbs/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/registry_call.h"
#include "clusterctl/verbs/registry_kind.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto_codec.h"

enum { LABELS_MAX = 16, TEXT_SIZE_MAX = 16384 };

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c packs from pointers without const */
}

/* ---- query ---- */

yyjson_mut_val *registry_show_labels(yyjson_mut_doc *doc, Rayos__Registry__Label *const *list,
                                     size_t count)
{
    yyjson_mut_val *labels = yyjson_mut_obj(doc);
    char value[TEXT_SIZE_MAX];

    for (size_t i = 0; labels != NULL && i < count; i++) {
        const Rayos__Registry__Label *label = list[i];

        (void)ray_escape(value, sizeof value, label->value.data, label->value.len);
        if (!yyjson_mut_obj_add(labels, yyjson_mut_strcpy(doc, label->key),
                                yyjson_mut_strcpy(doc, value))) {
            return NULL;
        }
    }
    return labels;
}

/* The object's own fields, its kind as a word, its labels as texts, and its changes. */
static yyjson_mut_val *show_entry(yyjson_mut_doc *doc, const Rayos__Registry__Entry *entry)
{
    const Rayos__Registry__Object *object = entry->object;
    yyjson_mut_val *value = output_from_message(doc, &object->base);
    yyjson_mut_val *changes = yyjson_mut_arr(doc);
    bool is_ok = value != NULL && changes != NULL;

    for (size_t i = 0; is_ok && i < entry->n_changes; i++) {
        is_ok = yyjson_mut_arr_append(changes, output_from_message(doc, &entry->changes[i]->base));
    }
    is_ok = is_ok &&
            yyjson_mut_obj_replace(value, yyjson_mut_str(doc, "kind"),
                                   yyjson_mut_str(doc, registry_kind_name(object->kind))) &&
            yyjson_mut_obj_replace(value, yyjson_mut_str(doc, "labels"),
                                   registry_show_labels(doc, object->labels, object->n_labels)) &&
            yyjson_mut_obj_add_val(doc, value, "changes", changes);
    return is_ok ? value : NULL;
}

struct listing {
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
    yyjson_mut_val *list;
};

static bool add_page_to(const struct listing *listing, const struct registry_page *page,
                        bool is_first)
{
    bool is_ok =
        !is_first ||
        (yyjson_mut_obj_add_uint(listing->doc, listing->root, "revision", page->revision) &&
         yyjson_mut_obj_add_val(listing->doc, listing->root, "age_ms",
                                output_age(listing->doc, page->age_ms)) &&
         yyjson_mut_obj_add_val(listing->doc, listing->root, "objects", listing->list));

    for (size_t i = 0; is_ok && i < page->answer->n_entries; i++) {
        const Rayos__Registry__Entry *entry = page->answer->entries[i];

        is_ok = entry->object != NULL &&
                yyjson_mut_arr_append(listing->list, show_entry(listing->doc, entry));
    }
    return is_ok;
}

static int add_page(void *arg, const struct registry_page *page, bool is_first, struct ray_err *err)
{
    return add_page_to(arg, page, is_first) ? RAY_OK : ray_fail(err, RAY_ENOMEM, "the output");
}

/* All pages; a later one may show a later revision, so the oldest is told. */
static int collect(const struct ray_args *args, Rayos__Registry__Query *query, yyjson_mut_doc *doc,
                   yyjson_mut_val *root, struct ray_err *err)
{
    struct listing listing = {.doc = doc, .root = root, .list = yyjson_mut_arr(doc)};

    return registry_fetch_all(args, query, ray_args_flag(args, "linearizable"), add_page, &listing,
                              err);
}

static int run_query(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"KIND", "kind", OUTPUT_AS_TEXT},
                                                   {"NAME", "name", OUTPUT_AS_TEXT},
                                                   {"ID", "id", OUTPUT_AS_TEXT},
                                                   {"REVISION", "revision", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_column wide[] = {{"CREATED", "created_revision", OUTPUT_AS_TEXT},
                                                {0}};
    static const struct output_view view = {
        .list_key = "objects", .columns = columns, .wide = wide};
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    const char *id_text = ray_args_value(args, "id");
    struct ray_err err = {0};
    struct ray_id id;
    int status;
    int rc = registry_kind_parse(args->positionals[0], &query.kind, &err);

    (void)context;
    if (rc == RAY_OK && id_text != NULL) {
        rc = ray_id_parse(id_text, &id, &err);
        query.id = ray_proto_id(&id);
    }
    if (args->positional_count > 1) {
        query.name = text(args->positionals[1]);
    }
    query.with_changes = ray_args_flag(args, "changes");
    if (rc == RAY_OK && root == NULL) {
        rc = ray_fail(&err, RAY_ENOMEM, "the output");
    }
    if (rc == RAY_OK) {
        rc = collect(args, &query, doc, root, &err);
    }
    status = rc == RAY_OK ? output_tree(args, root, &view) : output_error(&err);
    yyjson_mut_doc_free(doc);
    return status;
}

/* ---- label ---- */

struct labelling {
    Rayos__Registry__Label labels[LABELS_MAX];
    Rayos__Registry__Label *set[LABELS_MAX];
    char *removed[LABELS_MAX];
    size_t set_count;
    size_t removed_count;
};

/* KEY=VALUE sets, KEY- removes. Cuts the words of argv. */
static int read_label(struct labelling *labelling, char *word, struct ray_err *err)
{
    char *equals = strchr(word, '=');
    size_t size = strlen(word);
    Rayos__Registry__Label *label;

    if (labelling->set_count + labelling->removed_count >= LABELS_MAX) {
        return ray_fail(err, RAY_EUSAGE, "at most %d labels at once", LABELS_MAX);
    }
    if (equals == NULL) {
        if (size < 2 || word[size - 1] != '-') {
            return ray_fail(err, RAY_EUSAGE, "KEY=VALUE or KEY- is wanted, not '%s'", word);
        }
        word[size - 1] = '\0';
        labelling->removed[labelling->removed_count++] = word;
        return RAY_OK;
    }
    *equals = '\0';
    label = &labelling->labels[labelling->set_count];
    rayos__registry__label__init(label);
    label->key = word;
    label->value = ray_proto_bytes(equals + 1, strlen(equals + 1));
    labelling->set[labelling->set_count++] = label;
    return RAY_OK;
}

/* The registry takes them in the order of their keys. */
static int compare_labels(const void *a, const void *b)
{
    const Rayos__Registry__Label *const *one = a;
    const Rayos__Registry__Label *const *other = b;

    return strcmp((*one)->key, (*other)->key);
}

static int find_id(const struct ray_args *args, Rayos__Registry__Kind kind, struct ray_id *out,
                   struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    const Rayos__Registry__Object *object;
    struct registry_page page;
    int rc;

    query.kind = kind;
    query.name = text(args->positionals[1]);
    rc = registry_fetch(args, &query, false, &page, err);
    if (rc == RAY_OK) {
        object = page.answer->n_entries == 1 ? page.answer->entries[0]->object : NULL;
        rc = object == NULL ? ray_fail(err, RAY_ENOTFOUND, "no %s '%s'", args->positionals[0],
                                       args->positionals[1])
                            : ray_id_from_bytes(object->id.data, object->id.len, out, err);
    }
    registry_page_fini(&page);
    return rc;
}

static int label(const struct ray_args *args, struct labelling *labelling,
                 Rayos__Registry__Kind kind, uint64_t *out_revision, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectLabel change = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    struct ray_id id;
    int rc = find_id(args, kind, &id, err);

    if (rc != RAY_OK) {
        return rc;
    }
    change.kind = kind;
    change.id = ray_proto_id(&id);
    qsort(labelling->set, labelling->set_count, sizeof(*labelling->set), compare_labels);
    change.n_set = labelling->set_count;
    change.set = labelling->set;
    change.n_remove = labelling->removed_count;
    change.remove = labelling->removed;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.object_label = &change;
    return registry_change_once(args, &command, out_revision, err);
}

static int run_label(const struct ray_args *args, void *context)
{
    struct labelling labelling = {.set_count = 0};
    Rayos__Registry__Kind kind = RAYOS__REGISTRY__KIND__KIND_NONE;
    struct ray_err err = {0};
    uint64_t revision = 0;
    int rc = registry_kind_parse(args->positionals[0], &kind, &err);

    (void)context;
    for (size_t i = 2; rc == RAY_OK && i < args->positional_count; i++) {
        rc = read_label(&labelling, text(args->positionals[i]), &err);
    }
    if (rc == RAY_OK) {
        rc = label(args, &labelling, kind, &revision, &err);
    }
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("%s %s: revision %llu\n", args->positionals[0], args->positionals[1],
                 (unsigned long long)revision);
    return 0;
}

/* ---- cluster voters ---- */

int registry_run_voters(const struct ray_args *args, void *context)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__VotersSet set = RAYOS__REGISTRY__VOTERS_SET__INIT;
    struct ray_err err = {0};
    uint64_t revision = 0;
    uint64_t count = 0;
    int rc = ray_parse_u64(args->positionals[0], 1, UINT32_MAX, &count);

    (void)context;
    if (rc != RAY_OK) {
        rc = ray_fail(&err, RAY_EUSAGE, "'%s' is no number of voters", args->positionals[0]);
    } else {
        set.wanted_voters = (uint32_t)count;
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_VOTERS_SET;
        command.voters_set = &set;
        rc = registry_change_once(args, &command, &revision, &err);
    }
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("voters: %llu wanted, revision %llu\n", (unsigned long long)count,
                 (unsigned long long)revision);
    return 0;
}

/* ---- tables ---- */

static const struct ray_args_option query_options[] = {
    {.name = "id", .value_name = "ID", .help = "the object with this id"},
    {.name = "changes", .help = "with the last 32 changes of each"},
    CLUSTER_LINEARIZABLE_OPTION,
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_option label_options[] = {
    CLUSTER_REASON_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};

const struct ray_args_command query_command = {.name = "query",
                                               .positional = "KIND [NAME]",
                                               .positional_min = 1,
                                               .positional_max = 2,
                                               .help = "objects of the registry",
                                               .options = query_options,
                                               .run = run_query,
                                               .complete = complete_kind_and_name};

const struct ray_args_command label_command = {.name = "label",
                                               .positional = "KIND NAME KEY=VALUE|KEY-...",
                                               .positional_min = 3,
                                               .positional_max = 2 + LABELS_MAX,
                                               .help = "set and remove labels of an object",
                                               .options = label_options,
                                               .run = run_label,
                                               .complete = complete_kind_and_name};
