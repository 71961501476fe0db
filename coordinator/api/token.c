/* token.c - tokens that let nodes join. The secret is made here, told once, and kept nowhere. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto_codec.h"

enum { TOKEN_TTL_S = 3600, TOKEN_TTL_S_MAX = 365 * 24 * 3600, TOKENS_SHOWN_MAX = 512 };

struct token_ask {
    struct member_ask ask;
    struct ray_token *token;
    uint32_t uses;
    uint64_t ttl_s;
    struct ray_id replaces; /* none: nobody */
};

/* ---- token.create ---- */

static void on_token_release(struct member_ask *ask)
{
    ray_token_destroy(((struct token_ask *)ask)->token);
}

static void on_token_made(struct member_ask *ask, const struct coord_fsm_result *result)
{
    const struct token_ask *token_ask = (const struct token_ask *)ask;
    Rayos__Cluster__TokenMade made = RAYOS__CLUSTER__TOKEN_MADE__INIT;
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];
    char text[RAY_TOKEN_TEXT_SIZE_MAX];
    char id_text[RAY_ID_TEXT_SIZE];
    struct ray_id id;

    ray_token_verifier(token_ask->token->secret, verifier);
    memcpy(id.bytes, verifier, sizeof id.bytes);
    ray_token_format(token_ask->token, text);
    made.id = (char *)(uintptr_t)ray_id_format(&id, id_text);
    made.text = text;
    made.uses = token_ask->uses;
    made.ttl_s = token_ask->ttl_s;
    made.revision = result->revision;
    member_ask_reply(ask, &made.base);
    sodium_memzero(text, sizeof text);
    sodium_memzero(verifier, sizeof verifier);
}

/* Where a joiner may knock: ourselves, then other members that replicate. */
static int add_seeds(struct coord_member *m, struct ray_token *token, struct ray_err *err)
{
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    const struct coord_object *node = coord_fsm_next(fsm, COORD_NODE, NULL);
    int rc = ray_token_add_seed(token, m->address, err);

    while (rc == RAY_OK && node != NULL && token->seed_count < RAY_TOKEN_SEEDS_MAX) {
        struct ray_id id = node->id;

        if (node->node.role != COORD_NODE_OBSERVER && node->node.address[0] != '\0' &&
            !ray_id_equal(&id, &m->id)) {
            rc = ray_token_add_seed(token, node->node.address, err);
        }
        node = coord_fsm_next(fsm, COORD_NODE, &id);
    }
    return rc;
}

static int make_token(struct coord_member *m, struct token_ask *token_ask, struct ray_err *err)
{
    struct coord_replica_status status;
    int rc = ray_token_generate(&token_ask->token, err);

    if (rc != RAY_OK) {
        return rc;
    }
    coord_replica_status(m->replica, &status);
    token_ask->token->cluster = status.cluster_id;
    token_ask->token->has_fingerprint = true;
    ray_cluster_fingerprint(&status.cluster_id, token_ask->token->fingerprint);
    return add_seeds(m, token_ask->token, err);
}

static void put_token(struct token_ask *token_ask, const Rayos__Cluster__TokenRequest *request)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token token = RAYOS__REGISTRY__TOKEN__INIT;
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];

    ray_token_verifier(token_ask->token->secret, verifier);
    token.hash = ray_proto_bytes(verifier, sizeof verifier);
    token.uses_left = token_ask->uses;
    token.ttl_us = token_ask->ttl_s * 1000000;
    token.needs_approval = request->needs_approval;
    token.is_ephemeral = request->is_ephemeral;
    token.node_name = request->for_node;
    token.replaces = ray_proto_optional_id(&token_ask->replaces);
    object.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    object.id = ray_proto_bytes(verifier, RAY_ID_SIZE);
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    object.token = &token;
    put.object = &object;
    put.is_create = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    member_ask_propose(&token_ask->ask, &command, request->reason);
    sodium_memzero(verifier, sizeof verifier);
}

/* Whose place it is for, if somebody has that name already. */
static int find_place(struct coord_member *m, struct token_ask *token_ask,
                      const Rayos__Cluster__TokenRequest *request, struct ray_err *err)
{
    const struct coord_object *node;

    if (request->for_node[0] == '\0') {
        return RAY_OK;
    }
    if (!member_is_name(request->for_node)) {
        (void)ray_fail(err, RAY_EINVAL, "a node's name has 1 to 32 of a-z, 0-9 and '-'");
        (void)ray_next(err, "clusterctl node list shows the names that are there");
        return RAY_EINVAL;
    }
    if (token_ask->uses != 1) {
        (void)ray_fail(err, RAY_EINVAL, "a token for one node is used once");
        (void)ray_next(err, "one token for each node, or --uses without --for");
        return RAY_EINVAL;
    }
    node = coord_fsm_find_name(coord_replica_fsm(m->replica), COORD_NODE, request->for_node);
    if (node != NULL) {
        token_ask->replaces = node->id;
    }
    return RAY_OK;
}

void member_token_create(struct coord_member *m, const struct member_caller *caller,
                         struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__TokenRequest *request = (const Rayos__Cluster__TokenRequest *)input;
    struct token_ask *token_ask = member_ask_new(m, caller, call, sizeof *token_ask);
    struct ray_err err = {0};
    int rc;

    if (token_ask == NULL) {
        return;
    }
    token_ask->ask.on_release = on_token_release;
    token_ask->ask.on_result = on_token_made;
    token_ask->uses = request->uses == 0 ? 1 : request->uses;
    token_ask->ttl_s = request->ttl_s == 0 ? TOKEN_TTL_S : request->ttl_s;
    rc = member_require_cluster(m, &err);
    if (rc == RAY_OK && token_ask->ttl_s > TOKEN_TTL_S_MAX) {
        rc = ray_fail(&err, RAY_EINVAL, "a token is good for at most a year");
    }
    if (rc == RAY_OK) {
        rc = find_place(m, token_ask, request, &err);
    }
    if (rc == RAY_OK) {
        rc = make_token(m, token_ask, &err);
    }
    if (rc != RAY_OK) {
        member_ask_fail(&token_ask->ask, &err);
        return;
    }
    put_token(token_ask, request);
}

/* ---- token.list ---- */

struct token_line {
    Rayos__Cluster__TokenStatus status;
    char id[RAY_ID_TEXT_SIZE];
    char replaces[RAY_ID_TEXT_SIZE];
};

struct tokens_ask {
    struct member_ask ask;
    struct ray_id after; /* none: from the first on */
};

static size_t show_tokens(struct coord_fsm *fsm, const struct ray_id *after,
                          struct token_line *lines, Rayos__Cluster__TokenStatus **pointers)
{
    const struct coord_object *token = coord_fsm_next(fsm, COORD_TOKEN, after);
    uint64_t now_us = coord_fsm_clock_us(fsm);
    size_t count = 0;

    while (token != NULL && count < TOKENS_SHOWN_MAX) {
        struct token_line *line = &lines[count];
        struct ray_id id = token->id;
        uint64_t at_us = token->token.expires_at_us;

        rayos__cluster__token_status__init(&line->status);
        line->status.id = (char *)(uintptr_t)ray_id_format(&id, line->id);
        line->status.uses_left = token->token.uses_left;
        line->status.needs_approval = token->token.needs_approval;
        line->status.is_ephemeral = token->token.is_ephemeral;
        line->status.for_node = (char *)(uintptr_t)token->token.node_name;
        if (!ray_id_is_none(&token->token.replaces)) {
            line->status.replaces =
                (char *)(uintptr_t)ray_id_format(&token->token.replaces, line->replaces);
        }
        line->status.expires_in_s = at_us > now_us ? (at_us - now_us + 999999) / 1000000 : 0;
        pointers[count++] = &line->status;
        token = coord_fsm_next(fsm, COORD_TOKEN, &id);
    }
    return count;
}

static void on_tokens_shown(struct member_ask *ask, bool is_linearizable)
{
    const struct tokens_ask *tokens_ask = (const struct tokens_ask *)ask;
    struct coord_member *m = ask->member;
    struct coord_fsm *fsm = coord_replica_fsm(m->replica);
    Rayos__Cluster__Tokens tokens = RAYOS__CLUSTER__TOKENS__INIT;
    struct token_line *lines = calloc(TOKENS_SHOWN_MAX, sizeof *lines);
    Rayos__Cluster__TokenStatus **pointers = calloc(TOKENS_SHOWN_MAX, sizeof(*pointers));
    struct ray_err err = {0};

    if (lines == NULL || pointers == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "a list of tokens");
        member_ask_fail(ask, &err);
    } else {
        tokens.n_tokens = show_tokens(fsm, &tokens_ask->after, lines, pointers);
        tokens.token_count = coord_fsm_count(fsm, COORD_TOKEN);
        tokens.tokens = pointers;
        tokens.revision = coord_fsm_index(fsm);
        tokens.age_ms = is_linearizable ? 0 : member_age_ms(m);
        member_ask_reply(ask, &tokens.base);
    }
    free(lines);
    free(pointers);
}

void member_token_list(struct coord_member *m, const struct member_caller *caller,
                       struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__TokensRequest *request = (const Rayos__Cluster__TokensRequest *)input;
    struct tokens_ask *tokens_ask = member_ask_new(m, caller, call, sizeof *tokens_ask);
    struct ray_err err = {0};

    if (tokens_ask == NULL) {
        return;
    }
    if (request->after_id[0] != '\0' &&
        ray_id_parse(request->after_id, &tokens_ask->after, &err) != RAY_OK) {
        member_ask_fail(&tokens_ask->ask, &err);
        return;
    }
    tokens_ask->ask.on_shown = on_tokens_shown;
    member_ask_show(&tokens_ask->ask, request->is_linearizable);
}

/* ---- token.remove ---- */

static void on_token_removed(struct member_ask *ask, const struct coord_fsm_result *result)
{
    Rayos__Cluster__Done done = RAYOS__CLUSTER__DONE__INIT;

    (void)result;
    member_ask_reply(ask, &done.base);
}

void member_token_remove(struct coord_member *m, const struct member_caller *caller,
                         struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    const Rayos__Cluster__TokenRemoveRequest *request =
        (const Rayos__Cluster__TokenRemoveRequest *)input;
    struct member_ask *ask = member_ask_new(m, caller, call, sizeof *ask);
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectDelete removal = RAYOS__REGISTRY__OBJECT_DELETE__INIT;
    struct ray_err err = {0};
    struct ray_id id;

    if (ask == NULL) {
        return;
    }
    if (ray_id_parse(request->id, &id, &err) != RAY_OK) {
        member_ask_fail(ask, &err);
        return;
    }
    ask->on_result = on_token_removed;
    removal.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    removal.id = ray_proto_id(&id);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_DELETE;
    command.object_delete = &removal;
    member_ask_propose(ask, &command, request->reason);
}
