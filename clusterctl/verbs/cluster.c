/* cluster.c - each verb is one call on one member and one view of its answer. */
#include "clusterctl/verbs/cluster.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/context/operator_key.h"
#include "clusterctl/verbs/claim.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/context.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/recovery.h"
#include "clusterctl/verbs/registry.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto_codec.h"

enum { REASON_SIZE = 128, LINE_SIZE = 2048 };

/* protobuf-c packs from pointers without const. */
static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

/* A verb that only shows what a method answers. */
static int show(const struct ray_args *args, const char *method, const ProtobufCMessage *input,
                const ProtobufCMessageDescriptor *output, const struct output_view *view)
{
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    int status;

    if (cluster_call(args, method, input, output, &body, &err) != RAY_OK) {
        return output_error(&err);
    }
    status = output_message(args, body, view);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

/* ---- cluster ---- */

/* Of the cluster that was just made there, while the door is open. */
static void keep_members(struct claim_session *session)
{
    Rayos__Cluster__MembersRequest request = RAYOS__CLUSTER__MEMBERS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};

    if (claim_call(session, "cluster.members", &request.base, &rayos__cluster__joined__descriptor,
                   &body, &err) != RAY_OK) {
        (void)fprintf(stderr, "no context was kept: %s\n", err.text);
        return;
    }
    context_of_members((const Rayos__Cluster__Joined *)body);
    protobuf_c_message_free_unpacked(body, NULL);
}

/* On another node, by the code that it shows. */
static int create_there(const struct ray_args *args, const struct ray_key *key,
                        const Rayos__Cluster__CreateRequest *request, ProtobufCMessage **out_body,
                        struct ray_err *err)
{
    struct claim_session session;
    int rc = claim_open(args, ray_args_value(args, "node"), key, &session, err);

    if (rc == RAY_OK) {
        rc = claim_call(&session, "cluster.create", &request->base,
                        &rayos__cluster__created__descriptor, out_body, err);
    }
    if (rc == RAY_OK) {
        keep_members(&session);
    }
    claim_close(&session);
    return rc;
}

static int create(const struct ray_args *args, const struct ray_key *key,
                  ProtobufCMessage **out_body, struct ray_err *err)
{
    Rayos__Cluster__CreateRequest request = RAYOS__CLUSTER__CREATE_REQUEST__INIT;
    char reason[REASON_SIZE];

    request.name = text(args->positionals[0]);
    request.admin = text(ray_args_value(args, "admin"));
    request.admin_key = ray_proto_bytes(ray_key_identity(key), RAY_KEY_SIZE);
    request.timing = text(ray_args_value(args, "timing"));
    request.reason = text(cluster_reason(args, reason, sizeof reason));
    return ray_args_value(args, "node") != NULL
               ? create_there(args, key, &request, out_body, err)
               : cluster_call_here(args, "cluster.create", &request.base,
                                   &rayos__cluster__created__descriptor, out_body, err);
}

static int run_create(const struct ray_args *args, void *context)
{
    char path[OPERATOR_KEY_PATH_SIZE];
    struct ray_key *key = NULL;
    ProtobufCMessage *body = NULL;
    bool is_new = false;
    struct ray_err err = {0};
    int status;
    int rc;

    (void)context;
    if (operator_key_open(&key, path, &is_new, &err) != RAY_OK) {
        return output_error(&err);
    }
    if (is_new) {
        (void)fprintf(stderr, "made the operator's key %s\n", path);
    }
    rc = create(args, key, &body, &err);
    ray_key_destroy(key);
    if (rc != RAY_OK) {
        return output_error(&err);
    }
    status = output_message(args, body, NULL);
    protobuf_c_message_free_unpacked(body, NULL);
    if (ray_args_value(args, "node") == NULL) {
        context_of_new_cluster(args);
    }
    return status;
}

static int run_status(const struct ray_args *args, void *context)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;

    (void)context;
    request.is_linearizable = ray_args_flag(args, "linearizable");
    return show(args, "cluster.status", &request.base, &rayos__cluster__status__descriptor, NULL);
}

static const struct ray_args_option create_options[] = {
    {.name = "node",
     .value_name = "HOST:PORT",
     .help = "on that unclaimed node, by the eight words that it shows"},
    CLAIM_CODE_OPTION,
    {.name = "admin",
     .value_name = "NAME",
     .default_value = "admin",
     .help = "name of the first admin, who has the operator's key"},
    {.name = "timing",
     .value_name = "PROFILE",
     .default_value = "lan",
     .choices = "lan|slow|wan",
     .help = "how fast members notice each other's silence"},
    CLUSTER_REASON_OPTION,
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_option voters_options[] = {
    CLUSTER_REASON_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};

static const struct ray_args_command cluster_subcommands[] = {
    {.name = "create",
     .positional = "NAME",
     .positional_min = 1,
     .positional_max = 1,
     .help = "make this node, or --node, the first member of a new cluster",
     .options = create_options,
     .run = run_create},
    {.name = "status",
     .help = "quorum, leader and nodes, as this member sees them",
     .options = cluster_read_options,
     .run = run_status},
    {.name = "voters",
     .positional = "1|3|5",
     .positional_min = 1,
     .positional_max = 1,
     .help = "how many nodes are to vote, as far as there are so many",
     .options = voters_options,
     .run = registry_run_voters},
    {.name = "inventory",
     .help = "what this member alone has: for the choice of who survives",
     .options = cluster_inventory_options,
     .run = cluster_inventory},
    {.name = "recover",
     .help = "a majority is lost for good: this member goes on alone",
     .options = cluster_recover_options,
     .run = cluster_recover},
    {0}};

const struct ray_args_command cluster_command = {
    .name = "cluster", .help = "the cluster as a whole", .subcommands = cluster_subcommands};

/* ---- token ---- */

/* As a credential of `rayosd --credential`. */
static int write_token(const char *path, const char *token, struct ray_err *err)
{
    char line[LINE_SIZE];
    int size = snprintf(line, sizeof line, "rayos.join=%s\n", token);
    int rc;

    if (size < 0 || (size_t)size >= sizeof line) {
        return ray_fail(err, RAY_ETOOBIG, "the token is too long");
    }
    rc = ray_atomic_write(AT_FDCWD, path, line, (size_t)size, S_IRUSR | S_IWUSR, err);
    sodium_memzero(line, sizeof line);
    return rc;
}

/* It has become "". */
static void wipe(char *secret)
{
    sodium_memzero(secret, strlen(secret));
}

static int hand_out(const struct ray_args *args, Rayos__Cluster__TokenMade *made)
{
    const char *path = ray_args_value(args, "file");
    struct ray_err err = {0};

    if (path != NULL) {
        if (write_token(path, made->text, &err) != RAY_OK) {
            return output_error(&err);
        }
        wipe(made->text); /* it is in the file alone */
    }
    return output_message(args, &made->base, &(const struct output_view){.name_key = "id"});
}

static int run_token_create(const struct ray_args *args, void *context)
{
    Rayos__Cluster__TokenRequest request = RAYOS__CLUSTER__TOKEN_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    char reason[REASON_SIZE];
    struct ray_err err = {0};
    uint64_t uses;
    int status;

    (void)context;
    if (ray_parse_u64(ray_args_value(args, "uses"), 1, 10000, &uses) != RAY_OK ||
        ray_parse_u64(ray_args_value(args, "ttl"), 1, UINT32_MAX, &request.ttl_s) != RAY_OK) {
        (void)ray_fail(&err, RAY_EUSAGE, "--uses wants 1 to 10000, --ttl a number of seconds");
        return output_error(&err);
    }
    request.uses = (uint32_t)uses;
    request.needs_approval = ray_args_flag(args, "needs-approval");
    request.is_ephemeral = ray_args_flag(args, "ephemeral");
    if (ray_args_value(args, "for") != NULL) {
        request.for_node = text(ray_args_value(args, "for"));
    }
    request.reason = text(cluster_reason(args, reason, sizeof reason));
    if (cluster_call(args, "token.create", &request.base, &rayos__cluster__token_made__descriptor,
                     &body, &err) != RAY_OK) {
        return output_error(&err);
    }
    status = hand_out(args, (Rayos__Cluster__TokenMade *)body);
    wipe(((Rayos__Cluster__TokenMade *)body)->text);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

/* Pages are put together: the first one gets the tokens of the others. */
static int fetch_tokens(const struct ray_args *args, Rayos__Cluster__Tokens *all,
                        struct ray_err *err)
{
    Rayos__Cluster__TokensRequest request = RAYOS__CLUSTER__TOKENS_REQUEST__INIT;

    request.is_linearizable = ray_args_flag(args, "linearizable");
    while (all->n_tokens > 0 && all->n_tokens < all->token_count) {
        Rayos__Cluster__TokenStatus **tokens;
        ProtobufCMessage *body = NULL;
        Rayos__Cluster__Tokens *page;
        size_t count;
        int rc;

        request.after_id = all->tokens[all->n_tokens - 1]->id;
        rc = cluster_call(args, "token.list", &request.base, &rayos__cluster__tokens__descriptor,
                          &body, err);
        if (rc != RAY_OK) {
            return rc;
        }
        page = (Rayos__Cluster__Tokens *)body;
        count = page->n_tokens;
        tokens = realloc(all->tokens, (all->n_tokens + count + 1) * sizeof(*tokens));
        if (tokens != NULL) {
            memcpy(tokens + all->n_tokens, page->tokens, count * sizeof(*tokens));
            all->tokens = tokens;
            all->n_tokens += count;
            page->n_tokens = 0;
        }
        protobuf_c_message_free_unpacked(body, NULL);
        if (tokens == NULL || count == 0) {
            return tokens == NULL ? ray_fail(err, RAY_ENOMEM, "a list of tokens") : RAY_OK;
        }
    }
    return RAY_OK;
}

static int run_token_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {{"ID", "id", OUTPUT_AS_TEXT},
                                                   {"USES LEFT", "uses_left", OUTPUT_AS_TEXT},
                                                   {"EXPIRES IN S", "expires_in_s", OUTPUT_AS_TEXT},
                                                   {"APPROVAL", "needs_approval", OUTPUT_AS_TEXT},
                                                   {"EPHEMERAL", "is_ephemeral", OUTPUT_AS_TEXT},
                                                   {"FOR", "for_node", OUTPUT_AS_TEXT},
                                                   {0}};
    static const struct output_view view = {
        .list_key = "tokens", .name_key = "id", .columns = columns};
    Rayos__Cluster__TokensRequest request = RAYOS__CLUSTER__TOKENS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    int status;

    (void)context;
    request.is_linearizable = ray_args_flag(args, "linearizable");
    if (cluster_call(args, "token.list", &request.base, &rayos__cluster__tokens__descriptor, &body,
                     &err) != RAY_OK) {
        return output_error(&err);
    }
    status = fetch_tokens(args, (Rayos__Cluster__Tokens *)body, &err) == RAY_OK
                 ? output_message(args, body, &view)
                 : output_error(&err);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

static int run_token_remove(const struct ray_args *args, void *context)
{
    Rayos__Cluster__TokenRemoveRequest request = RAYOS__CLUSTER__TOKEN_REMOVE_REQUEST__INIT;
    char reason[REASON_SIZE];

    (void)context;
    request.id = text(args->positionals[0]);
    request.reason = text(cluster_reason(args, reason, sizeof reason));
    return show(args, "token.remove", &request.base, &rayos__cluster__done__descriptor, NULL);
}

static const struct ray_args_option token_create_options[] = {
    {.name = "file",
     .value_name = "FILE",
     .help = "write the token as a credential file, readable for you alone, and do not print it"},
    {.name = "uses", .value_name = "N", .default_value = "1", .help = "how many nodes may join"},
    {.name = "ttl",
     .value_name = "SECONDS",
     .default_value = "3600",
     .help = "how long it is good"},
    {.name = "needs-approval", .help = "who joins with it waits for an admin"},
    {.name = "ephemeral", .help = "who joins with it never holds a part of the log"},
    {.name = "for",
     .value_name = "NAME",
     .help = "only the node of this name, in the place of the one that has it now"},
    CLUSTER_REASON_OPTION,
    OUTPUT_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("30"),
    {0}};

static const struct ray_args_option change_options[] = {
    CLUSTER_REASON_OPTION, OUTPUT_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};

static const struct ray_args_command token_subcommands[] = {
    {.name = "create",
     .help = "make a token that lets nodes join",
     .options = token_create_options,
     .run = run_token_create},
    {.name = "list",
     .help = "tokens that are still good",
     .options = cluster_read_options,
     .run = run_token_list},
    {.name = "remove",
     .positional = "ID",
     .positional_min = 1,
     .positional_max = 1,
     .help = "withdraw a token",
     .options = change_options,
     .run = run_token_remove,
     .complete = complete_token},
    {0}};

const struct ray_args_command token_command = {
    .name = "token", .help = "tokens that let nodes join", .subcommands = token_subcommands};
