/* spec_object.c - read, change, write back: a put says which revision it was made of, so that no
 * change of somebody else is lost. */
#include "clusterctl/verbs/spec_object.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/confirm.h"
#include "clusterctl/verbs/node_call.h"
#include "net/proto_codec.h"

enum {
    ARENA_SIZE_MAX = 4 << 20,
    PAGE_COUNT = 1000,
    LABELS_MAX = 64, /* of one object, as the registry's */
    VALUE_SIZE_MAX = 16384,
};

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c packs from pointers without const */
}

/* ---- an object as a tree ---- */

static bool add_labels(yyjson_mut_doc *doc, yyjson_mut_val *tree,
                       const Rayos__Registry__Object *object)
{
    yyjson_mut_val *labels = yyjson_mut_obj(doc);
    bool is_ok = labels != NULL;
    char value[VALUE_SIZE_MAX + 1];

    for (size_t i = 0; is_ok && i < object->n_labels; i++) {
        const Rayos__Registry__Label *label = object->labels[i];

        (void)ray_escape(value, sizeof value, label->value.data, label->value.len);
        is_ok = yyjson_mut_obj_add(labels, yyjson_mut_strcpy(doc, label->key),
                                   yyjson_mut_strcpy(doc, value));
    }
    return is_ok && yyjson_mut_obj_add_val(doc, tree, "labels", labels);
}

static bool add_changes(yyjson_mut_doc *doc, yyjson_mut_val *tree,
                        const Rayos__Registry__Entry *entry)
{
    yyjson_mut_val *changes = yyjson_mut_arr(doc);

    for (size_t i = 0; i < entry->n_changes; i++) {
        if (!yyjson_mut_arr_append(changes, output_from_message(doc, &entry->changes[i]->base))) {
            return false;
        }
    }
    return yyjson_mut_obj_add_val(doc, tree, "changes", changes);
}

/* One that this version does not understand stays what it is: null beside its bytes. */
static bool add_spec(yyjson_mut_doc *doc, yyjson_mut_val *tree, const struct spec_noun *noun,
                     const Rayos__Registry__Object *object)
{
    ProtobufCMessage *spec = NULL;
    struct ray_arena arena;
    bool is_ok;

    ray_arena_init(&arena, ARENA_SIZE_MAX);
    (void)ray_spec_check(noun->spec_kind, RAY_SPEC_LEVEL, object->spec.data, object->spec.len,
                         &arena, &spec, NULL);
    is_ok = yyjson_mut_obj_add_val(
        doc, tree, "spec", spec == NULL ? yyjson_mut_null(doc) : output_from_message(doc, spec));
    ray_arena_fini(&arena);
    return is_ok;
}

static yyjson_mut_val *show(yyjson_mut_doc *doc, const struct spec_noun *noun,
                            const Rayos__Registry__Object *object)
{
    yyjson_mut_val *tree = yyjson_mut_obj(doc);
    char id_text[RAY_ID_TEXT_SIZE] = "";
    struct ray_id id;
    bool is_ok;

    if (ray_id_from_bytes(object->id.data, object->id.len, &id, NULL) == RAY_OK) {
        (void)ray_id_format(&id, id_text);
    }
    is_ok = tree != NULL && yyjson_mut_obj_add_strcpy(doc, tree, "name", object->name) &&
            yyjson_mut_obj_add_strcpy(doc, tree, "id", id_text) &&
            yyjson_mut_obj_add_uint(doc, tree, "revision", object->revision) &&
            (noun->add == NULL || noun->add(doc, tree, object)) && add_labels(doc, tree, object) &&
            add_spec(doc, tree, noun, object);
    return is_ok ? tree : NULL;
}

static int print(const struct ray_args *args, const struct spec_noun *noun, yyjson_mut_val *tree,
                 bool is_list, struct ray_err *err)
{
    const struct output_view list = {.list_key = noun->plural, .columns = noun->columns};
    enum output_form form = OUTPUT_TABLE;
    int rc = output_form_parse(ray_args_value(args, "output"), &form, err);

    return rc == RAY_OK ? output_print(stdout, form, tree, is_list ? &list : NULL, err) : rc;
}

/* ---- list, show ---- */

struct listing {
    const struct spec_noun *noun;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root;
    yyjson_mut_val *list;
};

static bool add_head(const struct listing *listing, const struct registry_page *page)
{
    return yyjson_mut_obj_add_uint(listing->doc, listing->root, "revision", page->revision) &&
           yyjson_mut_obj_add_val(listing->doc, listing->root, "age_ms",
                                  output_age(listing->doc, page->age_ms)) &&
           yyjson_mut_obj_add_val(listing->doc, listing->root, listing->noun->plural,
                                  listing->list);
}

/* The first one's revision and age are those of the list. */
static int add_page(void *arg, const struct registry_page *page, bool is_first, struct ray_err *err)
{
    const struct listing *listing = arg;

    if (is_first && !add_head(listing, page)) {
        return ray_fail(err, RAY_ENOMEM, "the output");
    }
    for (size_t i = 0; i < page->answer->n_entries; i++) {
        const Rayos__Registry__Object *object = page->answer->entries[i]->object;

        if (object == NULL) {
            return ray_fail(err, RAY_EMALFORMED, "the answer cannot be read");
        }
        if (!yyjson_mut_arr_append(listing->list, show(listing->doc, listing->noun, object))) {
            return ray_fail(err, RAY_ENOMEM, "the output");
        }
    }
    return RAY_OK;
}

static int collect(const struct ray_args *args, const struct spec_noun *noun, yyjson_mut_doc *doc,
                   yyjson_mut_val *root, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct listing listing = {.noun = noun, .doc = doc, .root = root, .list = yyjson_mut_arr(doc)};

    query.kind = noun->kind;
    query.count_max = PAGE_COUNT;
    return registry_fetch_all(args, &query, ray_args_flag(args, "linearizable"), add_page, &listing,
                              err);
}

int spec_list(const struct ray_args *args, void *context)
{
    const struct spec_noun *noun = args->command->subject;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct ray_err err = {0};
    int rc = root == NULL ? ray_fail(&err, RAY_ENOMEM, "the output")
                          : collect(args, noun, doc, root, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = print(args, noun, root, true, &err);
    }
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static int fetch_one(const struct spec_noun *noun, const struct ray_args *args, bool with_changes,
                     bool is_linearizable, struct registry_page *page, struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    int rc;

    query.kind = noun->kind;
    query.name = text(args->positionals[0]);
    query.with_changes = with_changes;
    rc = registry_fetch(args, &query, is_linearizable, page, err);
    if (rc == RAY_OK &&
        (page->answer->n_entries != 1 || page->answer->entries[0]->object == NULL)) {
        rc = ray_fail(err, RAY_EMALFORMED, "the answer cannot be read");
    }
    if (rc == RAY_ENOTFOUND) {
        (void)ray_fail(err, rc, "no %s '%s'", noun->name, args->positionals[0]);
        (void)ray_next(err, "'clusterctl %s list' shows them", noun->name);
    }
    return rc;
}

int spec_show(const struct ray_args *args, void *context)
{
    const struct spec_noun *noun = args->command->subject;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *tree = NULL;
    struct registry_page page;
    struct ray_err err = {0};
    int rc = fetch_one(noun, args, true, ray_args_flag(args, "linearizable"), &page, &err);

    (void)context;
    if (rc == RAY_OK) {
        tree = show(doc, noun, page.answer->entries[0]->object);
        if (tree == NULL || !add_changes(doc, tree, page.answer->entries[0])) {
            rc = ray_fail(&err, RAY_ENOMEM, "the output");
        }
    }
    if (rc == RAY_OK) {
        rc = print(args, noun, tree, false, &err);
    }
    registry_page_fini(&page);
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- create, set ---- */

static int begin(struct spec_object *object, const struct ray_args *args, bool is_new,
                 struct ray_err *err)
{
    const ProtobufCBinaryData none = {0};
    const ProtobufCBinaryData *bytes = &none;
    int rc;

    object->name = args->positionals[0];
    if (is_new) {
        randombytes_buf(object->id.bytes, sizeof object->id.bytes);
    } else {
        rc = fetch_one(object->noun, args, false, true, &object->page, err);
        if (rc != RAY_OK) {
            return rc;
        }
        object->old = object->page.answer->entries[0]->object;
        bytes = &object->old->spec;
        rc = ray_id_from_bytes(object->old->id.data, object->old->id.len, &object->id, err);
        if (rc != RAY_OK) {
            return rc;
        }
    }
    rc = ray_spec_check(object->noun->spec_kind, RAY_SPEC_LEVEL, bytes->data, bytes->len,
                        &object->arena, &object->spec, err);
    if (rc == RAY_OK) {
        return RAY_OK;
    }
    (void)ray_wrap(err, rc, "%s %s has a spec that this clusterctl cannot read", object->noun->name,
                   object->name);
    (void)ray_next(err, "use the clusterctl of the newest node");
    return rc;
}

int spec_object_open(struct spec_object *object, const struct spec_noun *noun,
                     const struct ray_args *args, bool is_new, struct ray_err *err)
{
    *object = (struct spec_object){.noun = noun};
    ray_arena_init(&object->arena, ARENA_SIZE_MAX);
    ray_buf_init(&object->page.bytes, 0);
    return begin(object, args, is_new, err);
}

void spec_object_close(struct spec_object *object)
{
    registry_page_fini(&object->page);
    ray_arena_fini(&object->arena);
}

static Rayos__Registry__Label **find_label(Rayos__Registry__Label **labels, size_t count,
                                           const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(labels[i]->key, key) == 0) {
            return &labels[i];
        }
    }
    return NULL;
}

/* KEY=VALUE or KEY-, on top of what is there. */
static int set_label(struct spec_object *object, const char *word, Rayos__Registry__Label **labels,
                     size_t *count, struct ray_err *err)
{
    size_t size = strlen(word);
    char *key = ray_arena_strndup(&object->arena, word, size);
    char *equals = key == NULL ? NULL : strchr(key, '=');
    Rayos__Registry__Label *label = ray_arena_alloc(&object->arena, sizeof *label);
    Rayos__Registry__Label **found;

    if (key == NULL || label == NULL) {
        return ray_fail(err, RAY_ENOMEM, "labels");
    }
    if (equals == NULL ? size < 2 || key[size - 1] != '-' : equals == key) {
        return ray_fail(err, RAY_EUSAGE, "--label %.64s: KEY=VALUE or KEY- is wanted", word);
    }
    key[equals == NULL ? size - 1 : (size_t)(equals - key)] = '\0';
    found = find_label(labels, *count, key);
    if (equals == NULL) {
        if (found != NULL) {
            *found = labels[--*count];
        }
        return RAY_OK;
    }
    rayos__registry__label__init(label);
    label->key = key;
    label->value = ray_proto_bytes(equals + 1, strlen(equals + 1));
    if (found == NULL) {
        if (*count == LABELS_MAX) {
            return ray_fail(err, RAY_EUSAGE, "at most %d labels", LABELS_MAX);
        }
        found = &labels[(*count)++];
    }
    *found = label;
    return RAY_OK;
}

/* The registry takes them in the order of their keys. */
static int compare_labels(const void *a, const void *b)
{
    const Rayos__Registry__Label *const *one = a;
    const Rayos__Registry__Label *const *other = b;

    return strcmp((*one)->key, (*other)->key);
}

static int set_labels(struct spec_object *object, const struct ray_args *args,
                      Rayos__Registry__Object *out, Rayos__Registry__Label **labels,
                      struct ray_err *err)
{
    const char *word;
    size_t count = 0;
    int rc = RAY_OK;

    for (size_t i = 0; object->old != NULL && i < object->old->n_labels && i < LABELS_MAX; i++) {
        labels[count++] = object->old->labels[i];
    }
    for (size_t i = 0; rc == RAY_OK && (word = ray_args_value_at(args, "label", i)) != NULL; i++) {
        rc = set_label(object, word, labels, &count, err);
    }
    qsort(labels, count, sizeof(*labels), compare_labels);
    out->labels = labels;
    out->n_labels = count;
    return rc;
}

/* The spec's bytes, as the registry would take them. */
static int pack_spec(struct spec_object *object, ProtobufCBinaryData *out, struct ray_err *err)
{
    ProtobufCMessage *checked = NULL;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_proto_pack(object->spec, ray_spec_size_max(object->noun->spec_kind),
                            &object->arena, &bytes, &size, err);

    if (rc == RAY_OK) {
        rc = ray_spec_check(object->noun->spec_kind, RAY_SPEC_LEVEL, bytes, size, &object->arena,
                            &checked, err);
    }
    if (rc == RAY_OK) {
        *out = ray_proto_bytes(bytes, size);
    }
    return rc;
}

static int propose(const struct spec_object *object, const struct ray_args *args,
                   Rayos__Registry__Object *message, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    int rc;

    put.object = message;
    put.is_create = object->old == NULL;
    put.is_update = object->old != NULL;
    put.expected_revision = object->old != NULL ? object->old->revision : 0;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    rc = registry_change_once(args, &command, &message->revision, err);
    if (rc == RAY_EEXISTS && object->old == NULL) {
        (void)ray_next(err, "another name, or 'clusterctl %s set %s' for the one that is there",
                       object->noun->name, object->name);
    }
    if (rc == RAY_ECONFLICT && object->old != NULL) {
        (void)ray_next(err, "somebody has changed it meanwhile; look at it and try again");
    }
    return rc;
}

static int put_and_print(struct spec_object *object, const struct ray_args *args,
                         Rayos__Registry__Object *message, struct ray_err *err)
{
    yyjson_mut_doc *doc = NULL;
    yyjson_mut_val *tree;
    int rc = RAY_OK;

    if (!ray_args_flag(args, "dry-run")) {
        rc = propose(object, args, message, err);
    }
    if (rc == RAY_OK) {
        doc = yyjson_mut_doc_new(NULL);
        tree = show(doc, object->noun, message);
        rc = tree == NULL ? ray_fail(err, RAY_ENOMEM, "the output")
                          : print(args, object->noun, tree, false, err);
    }
    yyjson_mut_doc_free(doc);
    return rc;
}

int spec_object_put(struct spec_object *object, const struct ray_args *args,
                    Rayos__Registry__Guest *body)
{
    Rayos__Registry__Object message = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Label *labels[LABELS_MAX];
    struct ray_err err = {0};
    int rc = set_labels(object, args, &message, labels, &err);

    message.kind = object->noun->kind;
    message.id = ray_proto_id(&object->id);
    message.name = text(object->name);
    if (object->old != NULL) {
        message.revision = object->old->revision;
    }
    if (body != NULL) {
        message.body_case = RAYOS__REGISTRY__OBJECT__BODY_GUEST;
        message.guest = body;
    }
    if (rc == RAY_OK) {
        rc = pack_spec(object, &message.spec, &err);
    }
    if (rc == RAY_OK) {
        rc = put_and_print(object, args, &message, &err);
    }
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- delete ---- */

static int delete_one(const struct spec_noun *noun, const struct ray_args *args,
                      uint64_t *out_revision, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectDelete body = RAYOS__REGISTRY__OBJECT_DELETE__INIT;
    struct registry_page page;
    int rc = fetch_one(noun, args, false, true, &page, err);

    if (rc == RAY_OK) {
        rc = confirm_name(args, "A deleted one does not come back.", args->positionals[0], err);
    }
    if (rc == RAY_OK && !ray_args_flag(args, "dry-run")) {
        const Rayos__Registry__Object *object = page.answer->entries[0]->object;

        body.kind = noun->kind;
        body.id = object->id;
        body.expected_revision = object->revision;
        command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE;
        command.object_delete = &body;
        rc = registry_change_once(args, &command, out_revision, err);
    }
    registry_page_fini(&page);
    return rc;
}

int spec_delete(const struct ray_args *args, void *context)
{
    const struct spec_noun *noun = args->command->subject;
    struct ray_err err = {0};
    uint64_t revision = 0;
    int rc = delete_one(noun, args, &revision, &err);

    (void)context;
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    if (ray_args_flag(args, "dry-run")) {
        (void)printf("%s %s: would be deleted\n", noun->name, args->positionals[0]);
    } else {
        (void)printf("%s %s: deleted, revision %llu\n", noun->name, args->positionals[0],
                     (unsigned long long)revision);
    }
    return 0;
}

/* ---- tables ---- */

const struct ray_args_option spec_delete_options[] = {
    CONFIRM_YES_OPTION,    SPEC_DRY_RUN_OPTION,       CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
