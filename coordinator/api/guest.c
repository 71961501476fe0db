/* guest.c - whoever comes to our port and is no member: a node with a token, an operator with a
 * key. Each gets a service of its own; a joiner may call node.join, and ask who the members are. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/api/claim.h"
#include "coordinator/api/join.h"
#include "net/proto_codec.h"
#include "net/rpc_bulk.h"

/* ---- the door ---- */

/* Tokens are few; their ids are hashes of what the registry keeps. */
static const struct coord_object *find_token(struct coord_fsm *fsm, const struct ray_id *token_id)
{
    const struct coord_object *token = coord_fsm_next(fsm, COORD_TOKEN, NULL);

    while (token != NULL) {
        struct ray_id id = token->id;
        struct ray_id public_id;

        ray_token_id(token->token.hash, &public_id);
        if (ray_id_equal(&public_id, token_id)) {
            return token;
        }
        token = coord_fsm_next(fsm, COORD_TOKEN, &id);
    }
    return NULL;
}

static const struct coord_object *find_principal(struct coord_fsm *fsm, const uint8_t *identity)
{
    const struct coord_object *principal = coord_fsm_next(fsm, COORD_PRINCIPAL, NULL);

    while (principal != NULL) {
        struct ray_id id = principal->id;

        if (memcmp(principal->principal.key, identity, COORD_KEY_SIZE) == 0) {
            return principal;
        }
        principal = coord_fsm_next(fsm, COORD_PRINCIPAL, &id);
    }
    return NULL;
}

/* A node that has begun to join comes again by the token that it came with, whatever has become of
 * that since: it waits for approval, or has not heard the answer. */
static const uint8_t *find_kept_token(struct coord_fsm *fsm, const struct ray_hello *hello)
{
    const struct coord_object *node = coord_fsm_find(fsm, COORD_NODE, &hello->from);
    struct ray_id public_id;

    if (node == NULL || !node->node.has_join_token) {
        return NULL;
    }
    ray_token_id(node->node.join_token, &public_id);
    return ray_id_equal(&public_id, &hello->token) ? node->node.join_token : NULL;
}

static int greet_joiner(struct coord_fsm *fsm, const struct ray_hello *hello,
                        struct ray_peer_terms *out_terms, struct ray_err *err)
{
    const struct coord_object *token = find_token(fsm, &hello->token);
    const uint8_t *hash = token != NULL ? token->token.hash : find_kept_token(fsm, hello);

    if (hash == NULL) {
        return ray_fail(err, RAY_EDENIED, "no such token: used up, expired or withdrawn");
    }
    memcpy(out_terms->psk, hash, sizeof out_terms->psk);
    return RAY_OK;
}

int member_guest_hello(void *arg, const struct ray_hello *hello, struct ray_peer_terms *out_terms,
                       struct ray_err *err)
{
    struct coord_member *m = arg;
    struct coord_replica_status status;
    int rc;

    if (hello->kind == RAY_PEER_CLAIM) {
        return member_claim_hello(m, out_terms, err);
    }
    rc = member_require_cluster(m, err);

    if (rc != RAY_OK) {
        return rc;
    }
    coord_replica_status(m->replica, &status);
    if (!ray_id_is_none(&hello->cluster) && !ray_id_equal(&hello->cluster, &status.cluster_id)) {
        return ray_fail(err, RAY_EDENIED, "this is another cluster");
    }
    if (hello->kind == RAY_PEER_JOIN) {
        return greet_joiner(coord_replica_fsm(m->replica), hello, out_terms, err);
    }
    return hello->kind == RAY_PEER_OPERATOR
               ? RAY_OK
               : ray_fail(err, RAY_EDENIED, "nobody comes to a member so");
}

void member_guest_lost(void *arg, const struct ray_hello *hello)
{
    if (hello->kind == RAY_PEER_CLAIM) {
        member_claim_lost(arg);
    }
}

int member_guest_proven(void *arg, const struct ray_peer *peer, struct ray_err *err)
{
    struct coord_member *m = arg;

    if (peer->hello.kind == RAY_PEER_CLAIM) {
        return member_claim_proven(m, err);
    }
    if (peer->hello.kind == RAY_PEER_OPERATOR &&
        find_principal(coord_replica_fsm(m->replica), peer->identity) == NULL) {
        ray_log(m->config.logger, RAY_LOG_WARN, "api", "an operator whose key is not known");
        return ray_fail(err, RAY_EDENIED, "no principal has this key");
    }
    return RAY_OK;
}

void member_guest(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct coord_member *m = arg;
    struct ray_rpc_bulk_server *server = peer->hello.kind == RAY_PEER_JOIN       ? m->joiners
                                         : peer->hello.kind == RAY_PEER_OPERATOR ? m->operators
                                                                                 : NULL;
    struct ray_err err = {0};

    if (peer->hello.kind == RAY_PEER_CLAIM) {
        member_claim_guest(m, fd, seal, peer);
        return;
    }
    if (server == NULL || ray_rpc_bulk_server_take(server, fd, seal, peer, &err) != RAY_OK) {
        ray_log(m->config.logger, RAY_LOG_NOTICE, "api", "a connection is refused: %s", err.text);
        ray_seal_destroy(seal);
        (void)close(fd); /* nothing was said */
    }
}

/* ---- node.join ---- */

struct join_ask {
    struct member_ask ask;
};

struct join_answer {
    struct member_roster roster;
    struct member_roster_message message;
};

/* The members as the registry here names them. */
static void reply_members(struct member_ask *ask, uint64_t raft_id)
{
    struct coord_member *m = ask->member;
    struct join_answer *answer = calloc(1, sizeof *answer);
    struct ray_err err = {0};

    if (answer == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "an answer");
        member_ask_fail(ask, &err);
    } else if (!member_roster_list(coord_replica_fsm(m->replica), &m->id, &answer->roster)) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "the registry here names no members yet");
        (void)ray_next(&err, "ask another member, or again in a moment");
        member_ask_fail(ask, &err);
    } else {
        member_roster_describe(&answer->roster, &answer->message);
        answer->message.joined.raft_id = raft_id;
        member_ask_reply(ask, &answer->message.joined.base);
    }
    free(answer);
}

static void on_joined(struct member_ask *ask, const struct coord_fsm_result *result)
{
    Rayos__Registry__Reply *reply =
        rayos__registry__reply__unpack(NULL, result->body_size, result->body);
    struct ray_err err = {0};

    if (reply == NULL) {
        (void)ray_fail(&err, RAY_ENOMEM, "an answer");
        member_ask_fail(ask, &err);
        return;
    }
    reply_members(ask, reply->raft_id);
    rayos__registry__reply__free_unpacked(reply, NULL);
}

/* Who waits for approval asks every second: that is no entry of the log each time. */
static bool is_waiting(struct coord_member *m, const Rayos__Cluster__JoinRequest *request,
                       const struct ray_id *id)
{
    const struct coord_object *node = coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, id);

    return node != NULL && node->node.state == COORD_NODE_PENDING &&
           request->incarnation.len == RAY_ID_SIZE &&
           memcmp(request->incarnation.data, node->node.incarnation.bytes, RAY_ID_SIZE) == 0;
}

/* The keys are those that the handshake has proven. */
static int check_joiner(const struct ray_rpc_peer *peer, const Rayos__Cluster__JoinRequest *request,
                        struct ray_id *out_id, struct ray_err *err)
{
    uint8_t identity[RAY_KEY_SIZE];
    int rc;

    if (peer == NULL || !peer->is_remote || request->link_key.len != RAY_KEY_SIZE ||
        request->key_proof.len != RAY_KEY_PROOF_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "no key is proven");
    }
    rc = ray_key_proof_check(request->key_proof.data, request->link_key.data, identity, err);
    if (rc == RAY_OK && memcmp(identity, peer->identity, sizeof identity) != 0) {
        rc = ray_fail(err, RAY_EDENIED, "the keys are of different nodes");
    }
    if (rc == RAY_OK) {
        ray_key_node_id(identity, out_id);
    }
    return rc;
}

static void propose_join(struct member_ask *ask, const Rayos__Cluster__JoinRequest *request,
                         const struct ray_id *id, const uint8_t *identity)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeJoin join = RAYOS__REGISTRY__NODE_JOIN__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Node node = RAYOS__REGISTRY__NODE__INIT;
    const struct coord_object *outlived =
        coord_fsm_outlived(coord_replica_fsm(ask->member->replica), id, request->name,
                           request->is_ephemeral, request->token_hash.data);

    node.identity_key = ray_proto_bytes(identity, RAY_KEY_SIZE);
    node.link_key = request->link_key;
    node.link_key_signature.data =
        request->key_proof.data + RAY_KEY_PROOF_SIZE - RAY_KEY_SIGNATURE_SIZE;
    node.link_key_signature.len = RAY_KEY_SIGNATURE_SIZE;
    node.address = request->address;
    node.domain = request->domain;
    node.is_fit_for_leases = request->is_fit_for_leases;
    object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    object.id = ray_proto_id(id);
    object.name = request->name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    object.node = &node;
    join.node = &object;
    join.token_hash = request->token_hash;
    join.incarnation = request->incarnation;
    join.boot_counter = request->boot_counter;
    join.is_ephemeral = request->is_ephemeral;
    if (outlived != NULL) {
        join.replaces = ray_proto_id(&outlived->id);
    }
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN;
    command.node_join = &join;
    ask->on_result = on_joined;
    member_ask_propose(ask, &command, "joins with a token");
}

/* Who joins is told whom to go to; we may be the only one. */
static int require_address(struct coord_member *m, struct ray_err *err)
{
    const struct coord_object *self =
        coord_fsm_find(coord_replica_fsm(m->replica), COORD_NODE, &m->id);

    if (self == NULL || self->node.address[0] != '\0') {
        return RAY_OK;
    }
    (void)ray_fail(err, RAY_EUNAVAILABLE, "the cluster has not heard of this member's address yet");
    (void)ray_next(err, "wait, or ask another member");
    return RAY_EUNAVAILABLE;
}

static int check_request(struct coord_member *m, const struct ray_rpc_peer *peer,
                         const Rayos__Cluster__JoinRequest *request, struct ray_id *out_id,
                         struct ray_err *err)
{
    int rc = check_joiner(peer, request, out_id, err);

    if (rc == RAY_OK && request->token_hash.len != RAY_TOKEN_VERIFIER_SIZE) {
        rc = ray_fail(err, RAY_EDENIED, "no token is shown"); /* approval is another method's */
    }
    if (rc == RAY_OK && !member_is_name(request->name)) {
        rc = ray_fail(err, RAY_EINVAL, "a node's name has 1 to 32 of a-z, 0-9 and '-'");
    }
    if (rc == RAY_OK) {
        rc = member_require_cluster(m, err);
    }
    if (rc == RAY_OK) {
        rc = require_address(m, err);
    }
    if (rc == RAY_OK) {
        rc = member_feature_admit(
            coord_fsm_cluster(coord_replica_fsm(m->replica))->cluster.feature_level,
            request->feature_level, err);
    }
    return rc == RAY_OK ? member_replace_check(m, request, out_id, err) : rc;
}

static void run_join(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Cluster__JoinRequest *request = (const Rayos__Cluster__JoinRequest *)input;
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);
    struct coord_member *m = arg;
    struct member_caller caller = {.name = "joiner"};
    struct join_ask *ask = member_ask_new(m, &caller, call, sizeof *ask);
    struct ray_err err = {0};
    struct ray_id id;
    int rc;

    if (ask == NULL) {
        return;
    }
    rc = check_request(m, peer, request, &id, &err);
    if (rc != RAY_OK) {
        member_ask_fail(&ask->ask, &err);
        return;
    }
    if (is_waiting(m, request, &id)) {
        reply_members(&ask->ask, 0);
    } else {
        propose_join(&ask->ask, request, &id, peer->identity);
    }
}

/* ---- cluster.members ---- */

static void on_members_shown(struct member_ask *ask, bool is_linearizable)
{
    (void)is_linearizable;
    reply_members(ask, 0);
}

void member_cluster_members(struct coord_member *m, const struct member_caller *caller,
                            struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    struct member_ask *ask = member_ask_new(m, caller, call, sizeof *ask);

    (void)input; /* has no fields */
    if (ask != NULL) {
        ask->on_shown = on_members_shown;
        member_ask_show(ask, false);
    }
}

/* For who has a token: node.join would tell it no less, and use the token up. */
static void run_members(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const struct member_caller caller = {.name = "joiner"};

    member_cluster_members(arg, &caller, call, input);
}

/* ---- services ---- */

static const struct ray_rpc_method joiner_methods[] = {
    {"node.join", &rayos__cluster__join_request__descriptor, run_join},
    {"cluster.members", &rayos__cluster__members_request__descriptor, run_members},
    {NULL, NULL, NULL},
};

int member_guests_init(struct coord_member *m, struct ray_err *err)
{
    int rc = ray_rpc_bulk_server_create(&m->joiners, m->config.loop, joiner_methods, m, err);

    if (rc == RAY_OK) {
        rc = ray_rpc_bulk_server_create(&m->operators, m->config.loop, coord_member_methods(), m,
                                        err);
    }
    if (rc == RAY_OK) {
        ray_rpc_bulk_server_take_large(m->operators);
    }
    return rc;
}

void member_guests_fini(struct coord_member *m)
{
    ray_rpc_bulk_server_destroy(m->joiners);
    ray_rpc_bulk_server_destroy(m->operators);
    m->joiners = NULL;
    m->operators = NULL;
}

static bool may_stay(void *arg, const struct ray_rpc_peer *peer)
{
    struct member_caller caller = {.is_admin = false};

    return member_operator(arg, peer->identity, &caller) && member_may_read(arg, &caller);
}

/* Who may not look any more may come again, for what everybody may see. */
void member_operators_recheck(struct coord_member *m)
{
    if (m->operators != NULL && m->replica != NULL) {
        ray_rpc_bulk_server_recheck(m->operators, may_stay, m);
    }
}

bool member_operator(struct coord_member *m, const uint8_t *identity, struct member_caller *out)
{
    const struct coord_object *principal =
        m->replica == NULL ? NULL : find_principal(coord_replica_fsm(m->replica), identity);

    if (principal == NULL) {
        return false;
    }
    memcpy(out->name, principal->name, sizeof out->name);
    out->is_admin = principal->principal.is_admin;
    out->roles = coord_fsm_roles(&principal->principal);
    out->kind = RAYOS__REGISTRY__CALLER__CALLER_PRINCIPAL;
    return true;
}
