/* principal.c - principals are objects of the registry: each verb is a query or one change. */
#include "clusterctl/verbs/principal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/context/operator_key.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/confirm.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/key.h"
#include "net/proto_codec.h"
#include "net/words.h"

enum { HEX_SIZE = 2 * RAY_KEY_SIZE + 1, NAMES_SIZE = 384 };

/* ---- keys ---- */

/* 64 digits, and at most a line's end. */
static bool parse_hex(const char *text, uint8_t out[static RAY_KEY_SIZE])
{
    const char *end = NULL;
    size_t size = 0;

    return sodium_hex2bin(out, RAY_KEY_SIZE, text, strlen(text), NULL, &size, &end) == 0 &&
           size == RAY_KEY_SIZE && (*end == '\0' || strcmp(end, "\n") == 0);
}

static int read_file(const char *path, char out[static HEX_SIZE + 1], struct ray_err *err)
{
    FILE *file = fopen(path, "re");
    size_t size;

    if (file == NULL) {
        return ray_fail_errno(err, errno, "--key %s", path);
    }
    size = fread(out, 1, HEX_SIZE, file);
    out[size] = '\0';
    (void)fclose(file); /* only read from */
    return RAY_OK;
}

/* --key: the digits, or a file with them. */
static int read_key(const struct ray_args *args, uint8_t out[static RAY_KEY_SIZE],
                    struct ray_err *err)
{
    const char *given = ray_args_value(args, "key");
    char text[HEX_SIZE + 1];
    int rc;

    if (given != NULL && parse_hex(given, out)) {
        return RAY_OK;
    }
    rc =
        given == NULL ? ray_fail(err, RAY_EUSAGE, "--key is missing") : read_file(given, text, err);
    if (rc == RAY_OK && !parse_hex(text, out)) {
        rc = ray_fail(err, RAY_EUSAGE, "--key: %s holds no key of %d digits", given,
                      2 * RAY_KEY_SIZE);
    }
    if (rc != RAY_OK) {
        (void)ray_next(err, "the operator's own 'clusterctl principal key' prints it");
    }
    return rc;
}

static int run_key(const struct ray_args *args, void *context)
{
    char path[OPERATOR_KEY_PATH_SIZE];
    struct ray_key *key = NULL;
    bool is_new = false;
    struct ray_err err = {0};
    char hex[HEX_SIZE];

    (void)args;
    (void)context;
    if (operator_key_open(&key, path, &is_new, &err) != RAY_OK) {
        return output_error(&err);
    }
    if (is_new) {
        (void)fprintf(stderr, "made the operator's key %s\n", path);
    }
    (void)printf("%s\n", sodium_bin2hex(hex, sizeof hex, ray_key_identity(key), RAY_KEY_SIZE));
    ray_key_destroy(key);
    return 0;
}

/* ---- what there is ---- */

/* They are few: one page has them. */
static int fetch(const struct ray_args *args, bool is_linearizable, struct registry_page *page,
                 struct ray_err *err)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;

    query.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    query.count_max = 1000;
    return registry_fetch(args, &query, is_linearizable, page, err);
}

static const Rayos__Registry__Object *principal_at(const struct registry_page *page, size_t i)
{
    const Rayos__Registry__Object *object = page->answer->entries[i]->object;

    return object != NULL && object->principal != NULL && object->principal->key.len == RAY_KEY_SIZE
               ? object
               : NULL;
}

static int find(const struct registry_page *page, const char *name,
                const Rayos__Registry__Object **out, struct ray_err *err)
{
    char names[NAMES_SIZE] = "";
    size_t used = 0;

    for (size_t i = 0; i < page->answer->n_entries; i++) {
        const Rayos__Registry__Object *object = principal_at(page, i);
        int n;

        if (object != NULL && strcmp(object->name, name) == 0) {
            *out = object;
            return RAY_OK;
        }
        n = object == NULL || used >= sizeof names
                ? 0
                : snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ",
                           object->name);
        used += n > 0 ? (size_t)n : 0;
    }
    (void)ray_fail(err, RAY_ENOTFOUND, "no principal '%s'; those that there are: %s", name, names);
    (void)ray_next(err, "clusterctl principal list");
    return RAY_ENOTFOUND;
}

static const char *const roles[] = {
    [RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_NONE] = "none",
    [RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN] = "admin",
    [RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_OPERATOR] = "operator",
    [RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_VIEWER] = "viewer",
};

/* Older data says only whether one is an admin. */
static const char *role_name(const Rayos__Registry__Principal *principal)
{
    size_t role = (size_t)principal->role;

    return principal->is_admin ? "admin" : role < RAY_ARRAY_COUNT(roles) ? roles[role] : "?";
}

static yyjson_mut_val *show(yyjson_mut_doc *doc, const Rayos__Registry__Object *object)
{
    yyjson_mut_val *value = yyjson_mut_obj(doc);
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
    char id_text[RAY_ID_TEXT_SIZE] = "";
    char hex[HEX_SIZE];
    struct ray_id id;

    ray_key_fingerprint(object->principal->key.data, fingerprint);
    (void)sodium_bin2hex(hex, sizeof hex, object->principal->key.data, RAY_KEY_SIZE);
    if (ray_id_from_bytes(object->id.data, object->id.len, &id, NULL) == RAY_OK) {
        (void)ray_id_format(&id, id_text);
    }
    return value != NULL && yyjson_mut_obj_add_strcpy(doc, value, "name", object->name) &&
                   yyjson_mut_obj_add_strcpy(doc, value, "id", id_text) &&
                   yyjson_mut_obj_add_bool(doc, value, "is_admin", object->principal->is_admin) &&
                   yyjson_mut_obj_add_str(doc, value, "role", role_name(object->principal)) &&
                   yyjson_mut_obj_add_strcpy(doc, value, "key", hex) &&
                   yyjson_mut_obj_add_strcpy(doc, value, "fingerprint",
                                             ray_words_format(fingerprint, words)) &&
                   yyjson_mut_obj_add_uint(doc, value, "revision", object->revision)
               ? value
               : NULL;
}

static int print(const struct ray_args *args, yyjson_mut_val *root, const struct output_view *view,
                 struct ray_err *err)
{
    enum output_form form = OUTPUT_TABLE;
    int rc = output_form_parse(ray_args_value(args, "output"), &form, err);

    if (rc == RAY_OK && root == NULL) {
        rc = ray_fail(err, RAY_ENOMEM, "the output");
    }
    return rc == RAY_OK ? output_print(stdout, form, root, view, err) : rc;
}

static yyjson_mut_val *show_all(yyjson_mut_doc *doc, const struct registry_page *page)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    bool is_ok = root != NULL && list != NULL;

    for (size_t i = 0; is_ok && i < page->answer->n_entries; i++) {
        const Rayos__Registry__Object *object = principal_at(page, i);

        is_ok = object == NULL || yyjson_mut_arr_append(list, show(doc, object));
    }
    return is_ok && yyjson_mut_obj_add_val(doc, root, "principals", list) &&
                   yyjson_mut_obj_add_uint(doc, root, "revision", page->revision) &&
                   yyjson_mut_obj_add_val(doc, root, "age_ms", output_age(doc, page->age_ms))
               ? root
               : NULL;
}

static int run_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"NAME", "name", OUTPUT_AS_TEXT},
                                                   {"ROLE", "role", OUTPUT_AS_TEXT},
                                                   {"FINGERPRINT", "fingerprint", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {.list_key = "principals", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct registry_page page;
    struct ray_err err = {0};
    int rc = fetch(args, ray_args_flag(args, "linearizable"), &page, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = print(args, show_all(doc, &page), &view, &err);
    }
    registry_page_fini(&page);
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

static int run_show(const struct ray_args *args, void *context)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    const Rayos__Registry__Object *object = NULL;
    struct registry_page page;
    struct ray_err err = {0};
    int rc = fetch(args, ray_args_flag(args, "linearizable"), &page, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = find(&page, args->positionals[0], &object, &err);
    }
    if (object != NULL) {
        rc = print(args, show(doc, object), NULL, &err);
    }
    registry_page_fini(&page);
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- changes ---- */

/* Of two with one key nobody could say which one speaks, and the removal of one would keep the key
 * in. */
static int check_new(const struct ray_args *args, const uint8_t key[static RAY_KEY_SIZE],
                     struct ray_err *err)
{
    struct registry_page page;
    int rc = fetch(args, true, &page, err);

    for (size_t i = 0; rc == RAY_OK && i < page.answer->n_entries; i++) {
        const Rayos__Registry__Object *object = principal_at(&page, i);

        if (object != NULL && memcmp(object->principal->key.data, key, RAY_KEY_SIZE) == 0) {
            rc = ray_fail(err, RAY_EEXISTS, "this is the key of %s", object->name);
            (void)ray_next(err, "clusterctl principal list");
        }
    }
    registry_page_fini(&page);
    return rc;
}

/* The choices of the option are the names. */
static Rayos__Registry__PrincipalRole role_of(const struct ray_args *args)
{
    const char *wanted = ray_args_flag(args, "admin") ? "admin" : ray_args_value(args, "role");
    size_t role = 0;

    while (role + 1 < RAY_ARRAY_COUNT(roles) && strcmp(roles[role], wanted) != 0) {
        role++;
    }
    return (Rayos__Registry__PrincipalRole)role;
}

static int put(const struct ray_args *args, uint8_t key[static RAY_KEY_SIZE],
               uint64_t *out_revision, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut request = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal principal = RAYOS__REGISTRY__PRINCIPAL__INIT;
    struct ray_id id;

    randombytes_buf(id.bytes, sizeof id.bytes);
    principal.key = ray_proto_bytes(key, RAY_KEY_SIZE);
    principal.role = role_of(args);
    principal.is_admin = principal.role == RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    object.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    object.id = ray_proto_id(&id);
    object.name = (char *)(uintptr_t)args->positionals[0]; /* protobuf-c only reads it */
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    object.principal = &principal;
    request.object = &object;
    request.is_create = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &request;
    return registry_change_once(args, &command, out_revision, err);
}

static int run_create(const struct ray_args *args, void *context)
{
    uint8_t key[RAY_KEY_SIZE];
    struct ray_err err = {0};
    uint64_t revision = 0;
    int rc = read_key(args, key, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = check_new(args, key, &err);
    }
    if (rc == RAY_OK) {
        rc = put(args, key, &revision, &err);
        if (rc == RAY_EEXISTS || rc == RAY_EINVAL) {
            (void)ray_next(&err, "give another name, of one word; 'clusterctl principal list'");
        }
    }
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("principal %s: revision %llu\n", args->positionals[0],
                 (unsigned long long)revision);
    return 0;
}

static int withdraw(const struct ray_args *args, const Rayos__Registry__Object *object,
                    uint64_t *out_revision, struct ray_err *err)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectDelete request = RAYOS__REGISTRY__OBJECT_DELETE__INIT;
    int rc;

    request.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    request.id = object->id;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE;
    command.object_delete = &request;
    rc = registry_change_once(args, &command, out_revision, err);
    if (rc == RAY_ECONFLICT) {
        (void)ray_next(err, "make another admin first: 'clusterctl principal create NAME --key HEX "
                            "--admin'");
    }
    return rc;
}

static int run_remove(const struct ray_args *args, void *context)
{
    const Rayos__Registry__Object *object = NULL;
    struct registry_page page;
    struct ray_err err = {0};
    uint64_t revision = 0;
    int rc = fetch(args, true, &page, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = find(&page, args->positionals[0], &object, &err);
    }
    if (object != NULL) {
        rc = confirm_name(args, "Its connections end at once.", object->name, &err);
        if (rc == RAY_OK) {
            rc = withdraw(args, object, &revision, &err);
        }
    }
    if (rc == RAY_OK) {
        (void)printf("principal %s: removed, revision %llu\n", args->positionals[0],
                     (unsigned long long)revision);
    }
    registry_page_fini(&page);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- tables ---- */

static const struct ray_args_option create_options[] = {
    {.name = "key",
     .value_name = "FILE|HEX",
     .help = "the operator's public key, as 'principal key' prints it"},
    {.name = "role",
     .value_name = "ROLE",
     .default_value = "viewer",
     .choices = "none|admin|operator|viewer",
     .help = "what the policy's rules go by: 'clusterctl policy show'"},
    {.name = "admin", .help = "the same as --role admin"},
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_option remove_options[] = {CONFIRM_YES_OPTION,
                                                        CLUSTER_REASON_OPTION,
                                                        CLUSTER_SOCKET_OPTION,
                                                        NODE_TIMEOUT_OPTION("30"),
                                                        {0}};

static const struct ray_args_command subcommands[] = {
    {.name = "create",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "let an operator in, by his public key",
     .options = create_options,
     .run = run_create},
    {.name = "list", .help = "who is let in", .options = cluster_read_options, .run = run_list},
    {.name = "show",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one of them, with the key",
     .options = cluster_read_options,
     .run = run_show,
     .complete = complete_principal},
    {.name = "remove",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "let one in no more",
     .options = remove_options,
     .run = run_remove,
     .complete = complete_principal},
    {.name = "key", .help = "the public half of your own key, made at first use", .run = run_key},
    {0}};

const struct ray_args_command principal_command = {
    .name = "principal", .help = "whose keys operate the cluster", .subcommands = subcommands};
