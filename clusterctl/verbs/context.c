#include "clusterctl/verbs/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/context/enrol.h"
#include "clusterctl/context/store.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "net/words.h"

enum { TOKEN_FILE_SIZE_MAX = 16384, KEY_HEX_SIZE = 2 * RAY_KEY_SIZE + 1 };

/* ---- how one is shown ---- */

static void format_hex(const uint8_t key[static RAY_KEY_SIZE], char out[static KEY_HEX_SIZE])
{
    for (size_t i = 0; i < RAY_KEY_SIZE; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", key[i]);
    }
}

static yyjson_mut_val *show_member(yyjson_mut_doc *doc, const struct context_member *member)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
    char id_text[RAY_ID_TEXT_SIZE];
    char hex[KEY_HEX_SIZE];
    struct ray_id id;
    bool is_ok;

    ray_key_fingerprint(member->identity, fingerprint);
    ray_key_node_id(member->identity, &id);
    format_hex(member->link_key, hex);
    is_ok = yyjson_mut_obj_add_strcpy(doc, object, "address", member->address) &&
            yyjson_mut_obj_add_strcpy(doc, object, "id", ray_id_format(&id, id_text)) &&
            yyjson_mut_obj_add_strcpy(doc, object, "fingerprint",
                                      ray_words_format(fingerprint, words)) &&
            yyjson_mut_obj_add_strcpy(doc, object, "link_key", hex);
    return is_ok ? object : NULL;
}

static yyjson_mut_val *show_context(yyjson_mut_doc *doc, const struct context *context,
                                    bool is_current)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    yyjson_mut_val *members = yyjson_mut_arr(doc);
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
    char id[RAY_ID_TEXT_SIZE];
    bool is_ok;

    ray_cluster_fingerprint(&context->cluster_id, fingerprint);
    is_ok = yyjson_mut_obj_add_strcpy(doc, object, "name", context->name) &&
            yyjson_mut_obj_add_bool(doc, object, "is_current", is_current) &&
            yyjson_mut_obj_add_strcpy(doc, object, "cluster", context->cluster) &&
            yyjson_mut_obj_add_strcpy(doc, object, "id", ray_id_format(&context->cluster_id, id)) &&
            yyjson_mut_obj_add_strcpy(doc, object, "fingerprint",
                                      ray_words_format(fingerprint, words)) &&
            yyjson_mut_obj_add_strcpy(doc, object, "key", context->key_path) &&
            yyjson_mut_obj_add_uint(doc, object, "member_count", context->member_count) &&
            yyjson_mut_obj_add_str(doc, object, "trouble", "") &&
            yyjson_mut_obj_add_val(doc, object, "members", members);
    for (size_t i = 0; is_ok && i < context->member_count; i++) {
        is_ok = yyjson_mut_arr_append(members, show_member(doc, &context->members[i]));
    }
    return is_ok ? object : NULL;
}

/* One that cannot be read. */
static yyjson_mut_val *show_trouble(yyjson_mut_doc *doc, const char *name, bool is_current,
                                    const struct ray_err *why)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    bool is_ok = yyjson_mut_obj_add_strcpy(doc, object, "name", name) &&
                 yyjson_mut_obj_add_bool(doc, object, "is_current", is_current) &&
                 yyjson_mut_obj_add_strcpy(doc, object, "trouble", why->text);

    return is_ok ? object : NULL;
}

static bool is_chosen(const char *name)
{
    char chosen[CONTEXT_NAME_SIZE];

    return context_chosen(chosen, NULL) == RAY_OK && strcmp(chosen, name) == 0;
}

static int print_one(const struct ray_args *args, const struct context *context)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    int status = output_tree(
        args, doc == NULL ? NULL : show_context(doc, context, is_chosen(context->name)), NULL);

    yyjson_mut_doc_free(doc);
    return status;
}

/* ---- list, show, use, remove ---- */

static bool add_each(yyjson_mut_doc *doc, yyjson_mut_val *list, char (*names)[CONTEXT_NAME_SIZE],
                     size_t count)
{
    bool is_ok = list != NULL;

    for (size_t i = 0; is_ok && i < count; i++) {
        struct context context;
        struct ray_err why = {0};
        bool is_current = is_chosen(names[i]);

        is_ok = yyjson_mut_arr_append(list, context_load(names[i], &context, &why) == RAY_OK
                                                ? show_context(doc, &context, is_current)
                                                : show_trouble(doc, names[i], is_current, &why));
    }
    return is_ok;
}

static int run_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"NAME", "name", OUTPUT_AS_TEXT},
                                                   {"CURRENT", "is_current", OUTPUT_AS_TEXT},
                                                   {"CLUSTER", "cluster", OUTPUT_AS_TEXT},
                                                   {"MEMBERS", "member_count", OUTPUT_AS_TEXT},
                                                   {"FINGERPRINT", "fingerprint", OUTPUT_AS_TEXT},
                                                   {"TROUBLE", "trouble", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_column wide[] = {
        {"ID", "id", OUTPUT_AS_TEXT}, {"KEY", "key", OUTPUT_AS_TEXT}, {0}};
    static const struct output_view view = {
        .list_key = "contexts", .columns = columns, .wide = wide};
    char(*names)[CONTEXT_NAME_SIZE] = calloc(CONTEXT_LIST_MAX, CONTEXT_NAME_SIZE);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct ray_err err = {0};
    size_t count = 0;
    int rc = names == NULL ? ray_fail(&err, RAY_ENOMEM, "a list of contexts")
                           : context_list(names, &count, &err);
    int status;

    (void)context;
    if (rc == RAY_OK) {
        bool is_ok = add_each(doc, yyjson_mut_obj_add_arr(doc, root, "contexts"), names, count);

        status = output_tree(args, is_ok ? root : NULL, &view);
    } else {
        status = output_error(&err);
    }
    yyjson_mut_doc_free(doc);
    free(names);
    return status;
}

/* The one that is named, else the chosen one. */
static int load_named(const struct ray_args *args, struct context *out, struct ray_err *err)
{
    const char *option = ray_args_value(args, "context");
    const char *given = args->positional_count > 0 ? args->positionals[0] : option;
    char name[CONTEXT_NAME_SIZE];
    int rc;

    if (given != NULL) {
        return context_load(given, out, err);
    }
    rc = context_chosen(name, err);
    return rc == RAY_OK ? context_load(name, out, err) : rc;
}

static int run_show(const struct ray_args *args, void *context)
{
    struct context shown;
    struct ray_err err = {0};

    (void)context;
    return load_named(args, &shown, &err) == RAY_OK ? print_one(args, &shown) : output_error(&err);
}

static int run_use(const struct ray_args *args, void *context)
{
    struct context used;
    struct ray_err err = {0};
    int rc = context_load(args->positionals[0], &used, &err);

    (void)context;
    rc = rc == RAY_OK ? context_use(used.name, &err) : rc;
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("context %s: cluster %s\n", used.name, used.cluster);
    return 0;
}

static int run_remove(const struct ray_args *args, void *context)
{
    struct ray_err err = {0};

    (void)context;
    return context_remove(args->positionals[0], &err) == RAY_OK ? 0 : output_error(&err);
}

/* ---- new ones ---- */

/* One of another cluster stays, unless --replace says so. */
static int check_room(const struct context *context, bool may_replace, struct ray_err *err)
{
    struct context old;
    struct ray_err why = {0};
    int rc = context_load(context->name, &old, &why);

    if (may_replace || rc == RAY_ENOTFOUND ||
        (rc == RAY_OK && ray_id_equal(&old.cluster_id, &context->cluster_id))) {
        return RAY_OK;
    }
    if (rc == RAY_OK) {
        (void)ray_fail(err, RAY_EEXISTS, "the context '%s' is of another cluster", context->name);
    } else {
        (void)ray_fail(err, RAY_EEXISTS, "there is a context '%s': %s", context->name, why.text);
    }
    (void)ray_next(err, "give another name, or --replace");
    return RAY_EEXISTS;
}

/* The first one is the current one. */
static int keep(const struct context *context, bool may_replace, bool is_used, struct ray_err *err)
{
    char chosen[CONTEXT_NAME_SIZE];
    int rc = check_room(context, may_replace, err);

    rc = rc == RAY_OK ? context_save(context, err) : rc;
    if (rc == RAY_OK && (is_used || context_chosen(chosen, NULL) == RAY_ENOTFOUND)) {
        rc = context_use(context->name, err);
    }
    return rc;
}

static int keep_and_show(const struct ray_args *args, const struct context *context,
                         struct ray_err *err)
{
    int rc = keep(context, ray_args_flag(args, "replace"), ray_args_flag(args, "use"), err);

    return rc == RAY_OK ? print_one(args, context) : output_error(err);
}

/* The option's path, made absolute; "" without it. */
static int take_key_path(const struct ray_args *args, char out[static CONTEXT_PATH_SIZE],
                         struct ray_err *err)
{
    const char *given = ray_args_value(args, "key");
    char *path;

    out[0] = '\0';
    if (given == NULL) {
        return RAY_OK;
    }
    path = realpath(given, NULL);
    if (path == NULL) {
        return ray_fail_errno(err, errno, "%s", given);
    }
    if (strlen(path) >= CONTEXT_PATH_SIZE) {
        free(path);
        return ray_fail(err, RAY_EUSAGE, "the path of --key is too long");
    }
    memcpy(out, path, strlen(path) + 1);
    free(path);
    return RAY_OK;
}

/* A token's text, or a credential as `token create --file` writes it. */
static int load_token(const char *path, struct ray_token **out_token, struct ray_err *err)
{
    static const char prefix[] = "rayos.join=";
    uint8_t *data = NULL;
    size_t size = 0;
    const char *text;
    int rc = ray_file_read(AT_FDCWD, path, TOKEN_FILE_SIZE_MAX, &data, &size, err);

    if (rc != RAY_OK) {
        return rc;
    }
    text = (const char *)data;
    if (size > sizeof prefix - 1 && memcmp(text, prefix, sizeof prefix - 1) == 0) {
        rc = ray_token_parse(out_token, text + sizeof prefix - 1, size - (sizeof prefix - 1), err);
    } else {
        rc = ray_token_parse(out_token, text, size, err);
    }
    explicit_bzero(data, size);
    free(data);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, "%s", path);
}

static int enrol(const struct ray_args *args, struct context *out, struct ray_err *err)
{
    const char *addresses[RAY_ARGS_REPEATED_COUNT_MAX];
    char key_path[CONTEXT_PATH_SIZE];
    struct context_enrolment enrolment = {.name = args->positionals[0],
                                          .key_path = key_path,
                                          .addresses = addresses,
                                          .fingerprint = ray_args_value(args, "fingerprint")};
    struct ray_token *token = NULL;
    int rc = take_key_path(args, key_path, err);

    while (enrolment.address_count < RAY_ARRAY_COUNT(addresses) &&
           ray_args_value_at(args, "address", enrolment.address_count) != NULL) {
        addresses[enrolment.address_count] =
            ray_args_value_at(args, "address", enrolment.address_count);
        enrolment.address_count++;
    }
    if (rc == RAY_OK && !context_is_name(enrolment.name)) {
        rc = ray_fail(err, RAY_EUSAGE, "'%.64s' is no name of a context", enrolment.name);
    }
    rc = rc == RAY_OK ? node_call_timeout_ms(args, &enrolment.timeout_ms, err) : rc;
    rc = rc == RAY_OK ? load_token(ray_args_value(args, "token"), &token, err) : rc;
    if (rc == RAY_OK && enrolment.address_count == 0 && token->seed_count == 0) {
        rc = ray_fail(err, RAY_EUSAGE, "the token names no address: give --address");
    }
    enrolment.token = token;
    rc = rc == RAY_OK ? context_enrol(&enrolment, out, err) : rc;
    ray_token_destroy(token);
    return rc;
}

static int run_add(const struct ray_args *args, void *context)
{
    struct context made;
    struct ray_err err = {0};

    (void)context;
    if (ray_args_value(args, "token") == NULL) {
        (void)ray_fail(&err, RAY_EUSAGE,
                       "--token is wanted: by it cluster and operator trust "
                       "each other at first contact");
        (void)ray_next(&err, "clusterctl token create --file FILE on a node; or import a context");
        return output_error(&err);
    }
    return enrol(args, &made, &err) == RAY_OK ? keep_and_show(args, &made, &err)
                                              : output_error(&err);
}

/* Who the members are, of who is called now. */
static int ask_members(const struct ray_args *args, struct context *out, struct ray_err *err)
{
    Rayos__Cluster__MembersRequest request = RAYOS__CLUSTER__MEMBERS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    bool is_new;
    int rc = cluster_call(args, "cluster.members", &request.base,
                          &rayos__cluster__joined__descriptor, &body, err);

    if (rc == RAY_OK) {
        rc = context_take(out, (const Rayos__Cluster__Joined *)body, &is_new, err);
        protobuf_c_message_free_unpacked(body, NULL);
    }
    return rc;
}

static int run_save(const struct ray_args *args, void *context)
{
    struct context made = {.member_count = 0};
    struct ray_err err = {0};
    int rc = take_key_path(args, made.key_path, &err);

    (void)context;
    rc = rc == RAY_OK ? ask_members(args, &made, &err) : rc;
    if (rc == RAY_OK) {
        (void)snprintf(made.name, sizeof made.name, "%s",
                       args->positional_count > 0 ? args->positionals[0] : made.cluster);
    }
    return rc == RAY_OK ? keep_and_show(args, &made, &err) : output_error(&err);
}

/* By the cluster's name, when `rc` says that `made` is one. */
static void keep_new(struct context *made, int rc, struct ray_err *err)
{
    if (rc == RAY_OK) {
        (void)snprintf(made->name, sizeof made->name, "%s", made->cluster);
        rc = keep(made, false, false, err);
    }
    if (rc == RAY_OK) {
        (void)fprintf(stderr, "kept how it is reached as context %s\n", made->name);
    } else {
        (void)fprintf(stderr, "no context was kept: %s\nnext: clusterctl context save NAME\n",
                      err->text);
    }
}

void context_of_new_cluster(const struct ray_args *args)
{
    struct context made = {.member_count = 0};
    struct ray_err err = {0};

    keep_new(&made, ask_members(args, &made, &err), &err);
}

void context_of_members(const Rayos__Cluster__Joined *joined)
{
    struct context made = {.member_count = 0};
    struct ray_err err = {0};
    bool is_new;

    keep_new(&made, context_take(&made, joined, &is_new, &err), &err);
}

/* ---- from and to elsewhere ---- */

static int run_import(const struct ray_args *args, void *context)
{
    const char *name = ray_args_value(args, "name");
    const char *words = ray_args_value(args, "fingerprint");
    struct context read;
    struct ray_err err = {0};
    int rc = context_read(args->positionals[0], &read, &err);

    (void)context;
    if (rc == RAY_OK && name != NULL && !context_is_name(name)) {
        rc = ray_fail(&err, RAY_EUSAGE, "'%.64s' is no name of a context", name);
    }
    if (rc == RAY_OK && name != NULL) {
        memset(read.name, 0, sizeof read.name);
        memcpy(read.name, name, strlen(name));
    }
    /* A path of another machine says nothing here. */
    rc = rc == RAY_OK ? take_key_path(args, read.key_path, &err) : rc;
    rc = rc == RAY_OK && words != NULL ? context_check_words(&read, words, &err) : rc;
    return rc == RAY_OK ? keep_and_show(args, &read, &err) : output_error(&err);
}

static int run_export(const struct ray_args *args, void *context)
{
    struct context shown;
    struct ray_err err = {0};
    char *text = NULL;
    size_t size = 0;
    int rc = load_named(args, &shown, &err);

    (void)context;
    if (rc == RAY_OK) {
        shown.key_path[0] = '\0';
        rc = context_format(&shown, &text, &size, &err);
    }
    if (rc == RAY_OK && (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0)) {
        rc = ray_fail(&err, RAY_EIO, "cannot write the output");
    }
    free(text);
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- tables ---- */

static void complete_names(const struct ray_args *args, size_t index, void *context)
{
    char(*names)[CONTEXT_NAME_SIZE] = calloc(CONTEXT_LIST_MAX, CONTEXT_NAME_SIZE);
    size_t count = 0;

    (void)args;
    (void)context;
    if (index == 0 && names != NULL && context_list(names, &count, NULL) == RAY_OK) {
        for (size_t i = 0; i < count; i++) {
            (void)puts(names[i]);
        }
    }
    free(names);
}

#define KEY_OPTION                                                                                 \
    {.name = "key",                                                                                \
     .value_name = "FILE",                                                                         \
     .help = "the operator's key, when it is not the usual one"}
#define REPLACE_OPTION {.name = "replace", .help = "also one of that name of another cluster"}
#define USE_OPTION {.name = "use", .help = "make it the current one"}
#define FINGERPRINT_OPTION                                                                         \
    {.name = "fingerprint",                                                                        \
     .value_name = "WORDS",                                                                        \
     .help = "of the cluster, as its nodes show it: any other is refused"}

static const struct ray_args_option show_options[] = {OUTPUT_OPTION, {0}};

static const struct ray_args_option add_options[] = {
    {.name = "token", .value_name = "FILE", .help = "a join token of the cluster; not used up"},
    {.name = "address",
     .value_name = "HOST:PORT...",
     .help = "of a member; may be given more than once (default: those in the token)"},
    KEY_OPTION,
    FINGERPRINT_OPTION,
    USE_OPTION,
    REPLACE_OPTION,
    OUTPUT_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_option save_options[] = {KEY_OPTION,
                                                      USE_OPTION,
                                                      REPLACE_OPTION,
                                                      OUTPUT_OPTION,
                                                      CLUSTER_SOCKET_OPTION,
                                                      NODE_TIMEOUT_OPTION("30"),
                                                      {0}};

static const struct ray_args_option import_options[] = {
    {.name = "name", .value_name = "NAME", .help = "another name for it here"},
    KEY_OPTION,
    FINGERPRINT_OPTION,
    USE_OPTION,
    REPLACE_OPTION,
    OUTPUT_OPTION,
    {0}};

#define ONE_NAME .positional = "NAME", .positional_min = 1, .positional_max = 1
#define MAY_NAME .positional = "[NAME]", .positional_min = 0, .positional_max = 1

static const struct ray_args_command subcommands[] = {
    {.name = "list", .help = "the contexts of this user", .options = show_options, .run = run_list},
    {.name = "show",
     MAY_NAME,
     .help = "cluster, key and members of one (default: the current one)",
     .options = show_options,
     .run = run_show,
     .complete = complete_names},
    {.name = "use",
     ONE_NAME,
     .help = "make it the one that is called without --context",
     .run = run_use,
     .complete = complete_names},
    {.name = "add",
     ONE_NAME,
     .help = "by first contact with a member, proven by a join token",
     .options = add_options,
     .run = run_add},
    {.name = "save",
     MAY_NAME,
     .help = "of the cluster that is called now (default name: the cluster's)",
     .options = save_options,
     .run = run_save},
    {.name = "remove",
     ONE_NAME,
     .help = "forget one; the cluster does not notice",
     .run = run_remove,
     .complete = complete_names},
    {.name = "import",
     .positional = "FILE|-",
     .positional_min = 1,
     .positional_max = 1,
     .help = "one that was exported elsewhere",
     .options = import_options,
     .run = run_import},
    {.name = "export",
     MAY_NAME,
     .help = "print one for somebody else; it holds no secret",
     .run = run_export,
     .complete = complete_names},
    {0}};

const struct ray_args_command context_command = {
    .name = "context", .help = "the clusters that you call from here", .subcommands = subcommands};
