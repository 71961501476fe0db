/* create.c - an unclaimed node becomes the first member of a new cluster.
 *
 *   format (meta block, first entry) -> replica -> cluster-create in the log -> answer
 *
 * A crash after the format leaves a member of a cluster that nobody has created: the credential, or
 * the next cluster.create, goes on from there, with the id that the disk has. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/api/impl.h"
#include "net/proto_codec.h"

enum { CREATE_TIMEOUT_MS = 30000, FOUNDER_SERVER_ID = 1, FIRST_EPOCH = 1 };

static const char default_timing[] = "lan";

struct member_creation {
    struct coord_member *member;
    struct member_ask *ask; /* NULL: by credential, or the caller has gone */
    struct ray_id cluster_id;
    struct ray_id admin_id;
    char principal[COORD_NAME_SIZE];
    char name[COORD_NAME_SIZE];
    char admin[COORD_NAME_SIZE];
    uint8_t admin_key[COORD_KEY_SIZE];
    char timing[COORD_WORD_SIZE];
    char *reason;
};

static void end(struct member_creation *creation)
{
    creation->member->creation = NULL;
    free(creation->reason);
    free(creation);
}

static void fail(struct member_creation *creation, const struct ray_err *err)
{
    struct member_ask *ask = creation->ask;

    ray_log(creation->member->config.logger, RAY_LOG_ERROR, "member", "no cluster was created: %s",
            err->text);
    end(creation);
    if (ask != NULL) {
        member_ask_fail(ask, err);
    }
}

static void answer(struct member_creation *creation, uint64_t revision)
{
    struct coord_member *m = creation->member;
    struct member_ask *ask = creation->ask;
    Rayos__Cluster__Created created = RAYOS__CLUSTER__CREATED__INIT;
    char name[COORD_NAME_SIZE];
    char id[RAY_ID_TEXT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];

    memcpy(name, creation->name, sizeof name);
    (void)ray_id_format(&creation->cluster_id, id);
    (void)member_fingerprint_words(&creation->cluster_id, words);
    ray_log(m->config.logger, RAY_LOG_NOTICE, "member", "created cluster=%s id=%s", name, id);
    end(creation);
    if (ask != NULL) {
        created.id = id;
        created.name = name;
        created.node = m->name;
        created.fingerprint = words;
        created.revision = revision;
        member_ask_reply(ask, &created.base);
    }
}

static void on_created(void *arg, int status, const struct coord_fsm_result *result)
{
    struct member_creation *creation = arg;
    struct ray_err err = {0};

    if (member_explain(status, &err) == RAY_OK && result->code != RAY_OK) {
        (void)ray_fail(&err, result->code, "%s", result->text);
        (void)ray_next(&err, "%s", result->next_step);
    }
    if (err.code != RAY_OK) {
        fail(creation, &err);
    } else {
        answer(creation, result->revision);
    }
}

/* ---- the command ---- */

struct create_parts {
    Rayos__Registry__Command command;
    Rayos__Registry__ClusterCreate create;
    Rayos__Registry__Timing timing;
    struct member_self self;
    Rayos__Registry__Object admin;
    Rayos__Registry__Principal principal;
    Rayos__Registry__Object tokens[COORD_CREDENTIAL_TOKENS_MAX];
    Rayos__Registry__Object *token_pointers[COORD_CREDENTIAL_TOKENS_MAX];
    Rayos__Registry__Token token_bodies[COORD_CREDENTIAL_TOKENS_MAX];
    struct ray_buf policy;
};

/* A token's id is the beginning of its hash. */
static void add_tokens(struct coord_credential *credential, struct create_parts *parts)
{
    for (size_t i = 0; i < credential->token_count; i++) {
        rayos__registry__token__init(&parts->token_bodies[i]);
        rayos__registry__object__init(&parts->tokens[i]);
        parts->token_bodies[i].hash =
            ray_proto_bytes(credential->tokens[i], RAY_TOKEN_VERIFIER_SIZE);
        parts->token_bodies[i].uses_left = 1;
        parts->token_bodies[i].takes_place = credential->takes_place[i];
        parts->tokens[i].kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
        parts->tokens[i].id = ray_proto_bytes(credential->tokens[i], RAY_ID_SIZE);
        parts->tokens[i].body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
        parts->tokens[i].token = &parts->token_bodies[i];
        parts->token_pointers[i] = &parts->tokens[i];
    }
    parts->create.n_tokens = credential->token_count;
    parts->create.tokens = parts->token_pointers;
}

static int fill(struct member_creation *creation, struct create_parts *parts, struct ray_err *err)
{
    struct coord_member *m = creation->member;
    struct coord_replica_status status;
    int rc;

    coord_replica_status(m->replica, &status);
    rayos__registry__command__init(&parts->command);
    rayos__registry__cluster_create__init(&parts->create);
    rayos__registry__object__init(&parts->admin);
    rayos__registry__principal__init(&parts->principal);
    member_describe_self(m, &parts->self);
    parts->principal.key = ray_proto_bytes(creation->admin_key, sizeof creation->admin_key);
    parts->principal.is_admin = true;
    parts->principal.role = RAYOS__REGISTRY__PRINCIPAL_ROLE__PRINCIPAL_ADMIN;
    parts->admin.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    parts->admin.id = ray_proto_id(&creation->admin_id);
    parts->admin.name = creation->admin;
    parts->admin.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    parts->admin.principal = &parts->principal;
    parts->create.id = ray_proto_id(&creation->cluster_id);
    parts->create.name = creation->name;
    parts->create.timing = &parts->timing;
    parts->create.node = &parts->self.object;
    parts->create.boot_counter = status.boot_counter; /* not the first when it was resumed */
    parts->create.admin = &parts->admin;
    parts->command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;
    parts->command.cluster_create = &parts->create;
    if (creation->ask == NULL) {
        add_tokens(&m->credential, parts);
    }
    ray_buf_init(&parts->policy, COORD_POLICY_SIZE_MAX);
    rc = coord_policy_default(&parts->policy, err);
    parts->create.policy = ray_proto_bytes(parts->policy.data, parts->policy.size);
    return rc == RAY_OK ? member_timing(creation->timing, &parts->timing, err) : rc;
}

static void propose(struct member_creation *creation)
{
    struct coord_member *m = creation->member;
    struct create_parts *parts = calloc(1, sizeof *parts);
    struct member_caller creator = {.kind =
                                        RAYOS__REGISTRY__CALLER__CALLER_NONE}; /* no rules yet */
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct ray_err err = {0};
    int rc = parts == NULL ? ray_fail(&err, RAY_ENOMEM, "the first command")
                           : fill(creation, parts, &err);

    if (rc == RAY_OK) {
        memcpy(creator.name, creation->principal, sizeof creator.name);
        rc = member_command_pack(m, &parts->command, &creator, creation->reason, &bytes, &size,
                                 &err);
    }
    if (rc == RAY_OK) {
        rc = coord_replica_propose(m->replica, bytes, size,
                                   ray_clock_boottime_ns() + CREATE_TIMEOUT_MS * RAY_NS_PER_MS,
                                   on_created, creation, NULL, &err);
    }
    free(bytes);
    if (parts != NULL) {
        ray_buf_fini(&parts->policy);
    }
    free(parts);
    if (rc != RAY_OK) {
        fail(creation, &err);
    }
}

/* ---- the disk ---- */

static void on_formatted(void *arg, int status)
{
    struct member_creation *creation = arg;
    struct ray_err err = {0};

    if (status != RAY_OK) {
        (void)ray_fail(&err, status, "the first state could not be written: %s",
                       ray_err_text(status));
        fail(creation, &err);
        return;
    }
    if (member_open_replica(creation->member, &err) != RAY_OK) {
        struct coord_member *m = creation->member;

        fail(creation, &err);
        member_fail(m, &err);
        return;
    }
    propose(creation);
}

static void format(struct member_creation *creation)
{
    struct coord_member *m = creation->member;
    struct coord_replica_birth birth = {.node_id = m->id,
                                        .server_id = FOUNDER_SERVER_ID,
                                        .cluster_epoch = FIRST_EPOCH,
                                        .is_founder = true};
    struct ray_err err = {0};
    int rc = member_pin(m, NULL, &err);

    randombytes_buf(creation->cluster_id.bytes, sizeof creation->cluster_id.bytes);
    birth.cluster_id = creation->cluster_id;
    if (rc == RAY_OK) {
        rc = coord_replica_format(&m->world, &birth, on_formatted, creation, &err);
    }
    if (rc != RAY_OK) {
        fail(creation, &err);
    }
}

/* A replica is there: of a cluster that was begun and not created, or it is too late. */
static void go_on(struct member_creation *creation)
{
    struct coord_member *m = creation->member;
    struct coord_replica_status status;
    struct ray_err err = {0};

    coord_replica_status(m->replica, &status);
    if (coord_fsm_cluster(coord_replica_fsm(m->replica)) != NULL ||
        status.server_id != FOUNDER_SERVER_ID) {
        (void)ray_fail(&err, RAY_EEXISTS, "this node is a member of a cluster already");
        (void)ray_next(&err, "clusterctl cluster status");
        fail(creation, &err);
        return;
    }
    creation->cluster_id = status.cluster_id;
    propose(creation);
}

/* ---- beginnings ---- */

static int copy_word(char *out, size_t size, const char *text, const char *what,
                     struct ray_err *err)
{
    if (text[0] == '\0' || strlen(text) >= size) {
        return ray_fail(err, RAY_EINVAL, "%s: 1 to %zu characters", what, size - 1);
    }
    (void)snprintf(out, size, "%s", text);
    return RAY_OK;
}

static int check(const struct coord_member *m, const Rayos__Cluster__CreateRequest *request,
                 struct ray_err *err)
{
    Rayos__Registry__Timing timing;

    if (m->creation != NULL || m->state == MEMBER_JOINING) {
        (void)ray_fail(err, RAY_ECONFLICT, "this node is %s already", member_state_name(m));
        (void)ray_next(err, "clusterctl cluster status");
        return RAY_ECONFLICT;
    }
    if (m->config.is_ephemeral) {
        (void)ray_fail(err, RAY_EINVAL,
                       "this node has no data disk: its cluster would end with "
                       "this boot");
        (void)ray_next(err, "give it a disk, or create the cluster on a node that has one");
        return RAY_EINVAL;
    }
    if (!member_is_name(request->name)) {
        return ray_fail(err, RAY_EINVAL,
                        "a cluster's name has 1 to 32 of a-z, 0-9 and '-', not at its ends");
    }
    if (request->admin_key.len != COORD_KEY_SIZE) {
        return ray_fail(err, RAY_EINVAL, "the admin's key has %d bytes", COORD_KEY_SIZE);
    }
    return request->timing[0] == '\0' ? RAY_OK : member_timing(request->timing, &timing, err);
}

static int take(struct member_creation *creation, const Rayos__Cluster__CreateRequest *request,
                struct ray_err *err)
{
    const char *timing = request->timing[0] == '\0' ? default_timing : request->timing;
    int rc = copy_word(creation->name, sizeof creation->name, request->name, "name", err);

    if (rc == RAY_OK) {
        rc = copy_word(creation->admin, sizeof creation->admin, request->admin, "admin", err);
    }
    if (rc == RAY_OK) {
        rc = copy_word(creation->timing, sizeof creation->timing, timing, "timing", err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    memcpy(creation->admin_key, request->admin_key.data, sizeof creation->admin_key);
    randombytes_buf(creation->admin_id.bytes, sizeof creation->admin_id.bytes);
    creation->reason = strdup(request->reason);
    return creation->reason == NULL ? ray_fail(err, RAY_ENOMEM, "a cluster") : RAY_OK;
}

static struct member_creation *new_creation(struct coord_member *m,
                                            const Rayos__Cluster__CreateRequest *request,
                                            struct ray_err *err)
{
    struct member_creation *creation = calloc(1, sizeof *creation);

    if (creation == NULL) {
        (void)ray_fail(err, RAY_ENOMEM, "a cluster");
        return NULL;
    }
    if (check(m, request, err) != RAY_OK || take(creation, request, err) != RAY_OK) {
        free(creation);
        return NULL;
    }
    return creation;
}

void member_create_begin(struct coord_member *m, struct member_ask *ask,
                         const Rayos__Cluster__CreateRequest *request)
{
    struct ray_err err = {0};
    struct member_creation *creation = new_creation(m, request, &err);

    if (creation == NULL) {
        ray_log(m->config.logger, RAY_LOG_NOTICE, "api", "cluster.create refused: %s", err.text);
        if (ask != NULL) {
            member_ask_fail(ask, &err);
        }
        return;
    }
    creation->member = m;
    creation->ask = ask;
    (void)snprintf(creation->principal, sizeof creation->principal, "%s",
                   ask != NULL ? ask->caller.name : "credential");
    m->creation = creation;
    if (m->replica != NULL) {
        go_on(creation);
    } else {
        format(creation);
    }
}

void member_create_by_credential(struct coord_member *m)
{
    Rayos__Cluster__CreateRequest request = RAYOS__CLUSTER__CREATE_REQUEST__INIT;

    request.name = m->credential.name;
    request.admin = m->credential.admin;
    request.admin_key = ray_proto_bytes(m->credential.admin_key, sizeof m->credential.admin_key);
    request.timing = m->credential.timing;
    request.reason = (char *)(uintptr_t)"rayos.create";
    member_create_begin(m, NULL, &request);
}

/* All that this node's log has is applied: there is a cluster, or it is to be made. */
static void on_resume_read(void *arg, int status, uint64_t revision)
{
    struct coord_member *m = arg;

    (void)revision;
    m->is_resuming = false;
    if (status == RAY_OK && m->creation == NULL &&
        coord_fsm_cluster(coord_replica_fsm(m->replica)) == NULL) {
        member_create_by_credential(m);
    }
}

void member_create_resume(struct coord_member *m)
{
    struct coord_replica_status status;

    if (m->credential.kind != COORD_CREDENTIAL_CREATE || m->creation != NULL || m->is_resuming ||
        m->replica == NULL) {
        return;
    }
    coord_replica_status(m->replica, &status);
    if (coord_fsm_cluster(coord_replica_fsm(m->replica)) != NULL ||
        status.server_id != FOUNDER_SERVER_ID) {
        coord_credential_fini(&m->credential); /* it has had its say */
        return;
    }
    m->is_resuming =
        status.role == COORD_REPLICA_LEADER &&
        coord_replica_read(m->replica, ray_clock_boottime_ns() + CREATE_TIMEOUT_MS * RAY_NS_PER_MS,
                           on_resume_read, m, NULL, NULL) == RAY_OK;
}

/* The caller has gone; the cluster is made all the same. */
static void on_ask_gone(struct member_ask *ask)
{
    struct member_creation *creation = ask->member->creation;

    if (creation != NULL && creation->ask == ask) {
        creation->ask = NULL;
    }
}

void member_cluster_create(struct coord_member *m, const struct member_caller *caller,
                           struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    struct member_ask *ask = member_ask_new(m, caller, call, sizeof *ask);

    if (ask != NULL) {
        ask->on_release = on_ask_gone;
        member_create_begin(m, ask, (const Rayos__Cluster__CreateRequest *)input);
    }
}
