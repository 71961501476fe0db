/* claim.c - the code is proven before anything else is asked for, so that a mistyped one costs no
 * more than one of its tries. */
#include "clusterctl/verbs/claim.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/context/operator_key.h"
#include "clusterctl/context/reach.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/node_call.h"
#include "clusterctl/verbs/node_wait.h"
#include "net/claim.h"

enum { LINE_SIZE = 256, REASON_SIZE = 128, TEXT_SIZE = 256, TOKEN_TTL_S = 600 };

/* ---- the code ---- */

static int read_line(FILE *file, char out[static LINE_SIZE], struct ray_err *err)
{
    size_t size;

    if (fgets(out, LINE_SIZE, file) == NULL) {
        return ray_fail(err, RAY_EUSAGE, "no code was given");
    }
    size = strlen(out);
    while (size > 0 && strchr(" \t\r\n", out[size - 1]) != NULL) {
        out[--size] = '\0';
    }
    return RAY_OK;
}

static int ask_for_code(const struct ray_args *args, const char *address,
                        char out[static LINE_SIZE], struct ray_err *err)
{
    const char *path = ray_args_value(args, "code-file");
    FILE *file = path != NULL ? fopen(path, "re") : stdin;
    int rc;

    if (file == NULL) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    if (path == NULL && isatty(STDIN_FILENO) == 1) {
        (void)fprintf(stderr, "the eight words that %s shows: ", address);
    }
    rc = read_line(file, out, err);
    if (path != NULL) {
        (void)fclose(file); /* only read from */
    }
    return rc;
}

static int read_psk(const struct ray_args *args, const char *address,
                    uint8_t out[static RAY_CLAIM_PSK_SIZE], struct ray_err *err)
{
    char line[LINE_SIZE];
    int rc = ask_for_code(args, address, line, err);

    if (rc == RAY_OK) {
        rc = ray_claim_psk(line, out, err);
        if (rc == RAY_EINVAL) {
            rc = RAY_EUSAGE;
            err->code = rc;
        }
    }
    sodium_memzero(line, sizeof line);
    if (rc == RAY_EUSAGE) {
        (void)ray_next(err, "the node shows them on its screen; there, 'clusterctl node code'");
    }
    return rc;
}

/* ---- a session ---- */

int claim_open(const struct ray_args *args, const char *address, const struct ray_key *key,
               struct claim_session *out, struct ray_err *err)
{
    uint8_t psk[RAY_CLAIM_PSK_SIZE];
    int rc;

    *out = (struct claim_session){.client = NULL};
    rc = node_call_timeout_ms(args, &out->timeout_ms, err);
    rc = rc == RAY_OK ? read_psk(args, address, psk, err) : rc;
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_loop_init(&out->loop, err);
    if (rc == RAY_OK) {
        out->has_loop = true;
        rc = reach_by_code(&out->loop, address, psk, key, out->timeout_ms, &out->client, err);
    }
    sodium_memzero(psk, sizeof psk);
    if (rc != RAY_OK && err->next_step[0] == '\0') {
        (void)ray_next(err, "look at the words on the node's screen again: after three tries there "
                            "are others");
    }
    return rc;
}

void claim_close(struct claim_session *session)
{
    ray_rpc_client_destroy(session->client);
    if (session->has_loop) {
        ray_loop_fini(&session->loop);
    }
    *session = (struct claim_session){.client = NULL};
}

int claim_call(struct claim_session *session, const char *method, const ProtobufCMessage *input,
               const ProtobufCMessageDescriptor *output, ProtobufCMessage **out_body,
               struct ray_err *err)
{
    return reach_call(&session->loop, session->client, method, input, output, session->timeout_ms,
                      out_body, err);
}

/* ---- node claim ---- */

static int make_token(const struct ray_args *args, Rayos__Cluster__TokenMade **out,
                      struct ray_err *err)
{
    Rayos__Cluster__TokenRequest request = RAYOS__CLUSTER__TOKEN_REQUEST__INIT;
    const char *place = ray_args_value(args, "for");
    char reason[REASON_SIZE];
    ProtobufCMessage *body = NULL;
    int rc;

    request.uses = 1;
    request.ttl_s = TOKEN_TTL_S;
    request.is_ephemeral = ray_args_flag(args, "ephemeral");
    if (place != NULL) {
        request.for_node = (char *)(uintptr_t)place;
    }
    request.reason = (char *)(uintptr_t)cluster_reason(args, reason, sizeof reason);
    rc = cluster_call(args, "token.create", &request.base, &rayos__cluster__token_made__descriptor,
                      &body, err);
    *out = (Rayos__Cluster__TokenMade *)body;
    return rc;
}

/* It was told nobody. */
static void withdraw(const struct ray_args *args, const char *id)
{
    Rayos__Cluster__TokenRemoveRequest request = RAYOS__CLUSTER__TOKEN_REMOVE_REQUEST__INIT;
    ProtobufCMessage *body = NULL;

    request.id = (char *)(uintptr_t)id;
    request.reason = (char *)(uintptr_t)"the node was not claimed";
    if (cluster_call(args, "token.remove", &request.base, &rayos__cluster__done__descriptor, &body,
                     NULL) == RAY_OK) { /* else it expires */
        protobuf_c_message_free_unpacked(body, NULL);
    }
}

static int hand_over(const struct ray_args *args, struct claim_session *session,
                     Rayos__Cluster__Claimed **out, struct ray_err *err)
{
    Rayos__Cluster__ClaimRequest request = RAYOS__CLUSTER__CLAIM_REQUEST__INIT;
    Rayos__Cluster__TokenMade *token = NULL;
    ProtobufCMessage *body = NULL;
    int rc = make_token(args, &token, err);

    if (rc != RAY_OK) {
        return rc;
    }
    request.token = token->text;
    rc = claim_call(session, "node.claim", &request.base, &rayos__cluster__claimed__descriptor,
                    &body, err);
    if (rc != RAY_OK) {
        withdraw(args, token->id);
    }
    sodium_memzero(token->text, strlen(token->text));
    protobuf_c_message_free_unpacked(&token->base, NULL);
    *out = (Rayos__Cluster__Claimed *)body;
    return rc;
}

static int look_for_it(const void *arg, const struct ray_args *args,
                       const Rayos__Cluster__NodeStatus *node, bool *out_done,
                       char line[static NODE_WAIT_LINE_SIZE], struct ray_err *err)
{
    (void)arg;
    (void)args;
    (void)err;
    *out_done = node != NULL && strcmp(node->state, "member") == 0 && node->is_up;
    (void)snprintf(line, NODE_WAIT_LINE_SIZE, "%s",
                   *out_done      ? "member, it takes part"
                   : node == NULL ? "on its way"
                                  : node->state);
    return RAY_OK;
}

/* By its own word, which may be anything: whoever shows eight words is answered. */
static void say_claimed(const Rayos__Cluster__Claimed *claimed)
{
    char name[TEXT_SIZE];
    char id[TEXT_SIZE];

    (void)ray_escape(name, sizeof name, claimed->name, strlen(claimed->name));
    (void)ray_escape(id, sizeof id, claimed->id, strlen(claimed->id));
    (void)printf("node %s: claimed, id %s\n", name, id);
}

int node_claim(const struct ray_args *args, void *context)
{
    struct claim_session session = {.client = NULL};
    Rayos__Cluster__Claimed *claimed = NULL;
    char path[OPERATOR_KEY_PATH_SIZE];
    struct ray_key *key = NULL;
    bool is_new;
    struct ray_err err = {0};
    int rc = operator_key_open(&key, path, &is_new, &err);

    (void)context;
    rc = rc == RAY_OK ? claim_open(args, args->positionals[0], key, &session, &err) : rc;
    rc = rc == RAY_OK ? hand_over(args, &session, &claimed, &err) : rc;
    claim_close(&session);
    ray_key_destroy(key);
    if (rc == RAY_OK) {
        const struct node_wait wait = {
            .id = claimed->id, .name = claimed->name, .look = look_for_it};

        say_claimed(claimed);
        rc = ray_args_flag(args, "no-wait") ? RAY_OK : node_wait(args, &wait, &err);
        protobuf_c_message_free_unpacked(&claimed->base, NULL);
    }
    return rc == RAY_OK ? 0 : output_error(&err);
}

/* ---- node code ---- */

int node_code(const struct ray_args *args, void *context)
{
    Rayos__Cluster__CodeRequest request = RAYOS__CLUSTER__CODE_REQUEST__INIT;
    const Rayos__Cluster__Code *code;
    ProtobufCMessage *body = NULL;
    struct ray_err err = {0};
    int status = 0;

    (void)context;
    if (cluster_call_here(args, "node.code", &request.base, &rayos__cluster__code__descriptor,
                          &body, &err) != RAY_OK) {
        return output_error(&err);
    }
    code = (const Rayos__Cluster__Code *)body;
    if (code->words[0] == '\0') {
        (void)ray_fail(&err, RAY_ECONFLICT, "no code: %s", code->why);
        (void)ray_next(&err, "clusterctl cluster status");
        status = output_error(&err);
    } else {
        status = output_message(args, body, &(const struct output_view){.name_key = "words"});
        sodium_memzero(code->words, strlen(code->words));
    }
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

/* ---- tables ---- */

const struct ray_args_option node_claim_options[] = {
    CLAIM_CODE_OPTION,
    {.name = "for",
     .value_name = "NAME",
     .help = "it takes the place of the node that has this name, which is its own, too"},
    {.name = "ephemeral", .help = "it never holds a part of the log"},
    NODE_NO_WAIT_OPTION,
    CLUSTER_REASON_OPTION,
    CLUSTER_SOCKET_OPTION,
    NODE_TIMEOUT_OPTION("60"),
    {0}};

const struct ray_args_option node_code_options[] = {
    OUTPUT_OPTION, CLUSTER_SOCKET_OPTION, NODE_TIMEOUT_OPTION("30"), {0}};
