/* join.c - the joiner's end: one seed after another, a second apart, until one lets it in. */
#include "coordinator/api/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/api/roster.h"
#include "coordinator/api/seeds.h"
#include "net/bulk_shake.h"
#include "net/dial.h"
#include "net/proto_codec.h"
#include "net/rpc_bulk.h"

enum { RETRY_MS = 1000, ANSWER_TIMEOUT_MS = 15000 };

struct member_joining {
    struct coord_member *member;
    struct ray_timer timer;
    struct member_seeds seeds;
    size_t seed; /* the next to ask */
    uint64_t boot_counter;
    struct ray_bulk_shake *shake;
    struct ray_rpc_client *client;
    bool is_formatting;
    uint64_t raft_id;
};

static void hang_up(struct member_joining *joining)
{
    ray_bulk_shake_destroy(joining->shake);
    joining->shake = NULL;
    if (joining->client != NULL) {
        struct ray_rpc_client *client = joining->client;

        joining->client = NULL; /* what ends now is ended by ourselves */
        ray_rpc_client_destroy(client);
    }
}

/* Another seed, a little later. Said once for each new reason. */
static void retry(struct member_joining *joining, const struct ray_err *why)
{
    struct coord_member *m = joining->member;

    if (strcmp(m->trouble.text, why->text) != 0) {
        ray_log(m->config.logger, RAY_LOG_WARN, "join", "not yet: %s%s%s", why->text,
                why->next_step[0] != '\0' ? "; next: " : "", why->next_step);
    }
    m->trouble = *why;
    ray_timer_start(&joining->timer, RETRY_MS, 0);
}

/* ---- let in ---- */

static void on_formatted(void *arg, int status)
{
    struct member_joining *joining = arg;
    struct coord_member *m = joining->member;
    struct ray_err err = {0};

    joining->is_formatting = false;
    if (status == RAY_ECANCELED) {
        return; /* the member ends */
    }
    if (status != RAY_OK) {
        (void)ray_fail(&err, status, "the first state could not be written: %s",
                       ray_err_text(status));
        member_fail(m, &err);
        return;
    }
    if (member_open_replica(m, &err) != RAY_OK) {
        member_fail(m, &err);
        return;
    }
    ray_log(m->config.logger, RAY_LOG_NOTICE, "join", "joined cluster=%s raft_id=%llu",
            m->roster.cluster, (unsigned long long)joining->raft_id);
    m->trouble = (struct ray_err){0};
    member_join_fini(m);
}

static int check_cluster(const struct coord_member *m, const Rayos__Cluster__Joined *joined,
                         struct ray_id *out, struct ray_err *err)
{
    const struct ray_token *token = m->credential.token;
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    int rc = ray_id_from_bytes(joined->cluster_id.data, joined->cluster_id.len, out, err);

    if (rc != RAY_OK) {
        return rc;
    }
    ray_cluster_fingerprint(out, fingerprint);
    if ((!ray_id_is_none(&token->cluster) && !ray_id_equal(&token->cluster, out)) ||
        (token->has_fingerprint &&
         memcmp(token->fingerprint, fingerprint, sizeof fingerprint) != 0)) {
        return ray_fail(err, RAY_EDENIED, "the token is of another cluster");
    }
    return RAY_OK;
}

/* Whom to go to, until the registry is here. */
static int keep_roster(struct coord_member *m, const Rayos__Cluster__Joined *joined,
                       struct ray_err *err)
{
    struct member_roster *roster = calloc(1, sizeof *roster);
    int rc = roster == NULL ? ray_fail(err, RAY_ENOMEM, "a roster")
                            : member_roster_take(joined, roster, err);

    if (rc == RAY_OK) {
        rc = member_roster_keep(m, roster, err);
    }
    free(roster);
    return rc;
}

static int wait_for_approval(const struct coord_member *m, struct ray_err *err)
{
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];

    ray_key_fingerprint(ray_key_identity(m->key), fingerprint);
    ray_words_format(fingerprint, words);
    (void)ray_fail(err, RAY_EAGAIN, "waits for the approval of an admin; this node is %s", words);
    (void)ray_next(err, "clusterctl node approve %s --fingerprint %s", m->name, words);
    return RAY_EAGAIN;
}

static int take_in(struct member_joining *joining, const Rayos__Cluster__Joined *joined,
                   struct ray_err *err)
{
    struct coord_member *m = joining->member;
    /* The cluster has heard of this boot. Should it end before the first start as a member, the
     * next one comes after it. */
    struct coord_replica_birth birth = {.node_id = m->id,
                                        .server_id = joined->raft_id,
                                        .cluster_epoch = joined->cluster_epoch,
                                        .boot_counter = joining->boot_counter};
    int rc = check_cluster(m, joined, &birth.cluster_id, err);

    if (rc == RAY_OK && joined->raft_id == 0) {
        return wait_for_approval(m, err);
    }
    if (rc == RAY_OK) {
        rc = member_pin(m, &birth.cluster_id, err);
    }
    if (rc == RAY_OK) {
        rc = keep_roster(m, joined, err);
    }
    if (rc == RAY_OK) {
        joining->raft_id = joined->raft_id;
        joining->is_formatting = true;
        rc = coord_replica_format(&m->world, &birth, on_formatted, joining, err);
        joining->is_formatting = rc == RAY_OK;
    }
    return rc;
}

static void on_answer(void *arg, const struct ray_rpc_result *result)
{
    struct member_joining *joining = arg;
    struct ray_err err = {0};
    int rc = result->code;

    if (joining->client == NULL) {
        return;
    }
    if (rc == RAY_OK) {
        rc = take_in(joining, (const Rayos__Cluster__Joined *)result->body, &err);
    } else {
        (void)ray_fail(&err, rc, "%s", result->text);
        (void)ray_next(&err, "%s", result->next_step);
    }
    if (rc != RAY_OK) {
        retry(joining, &err);
    }
}

/* ---- asking ---- */

static int ask(struct member_joining *joining, struct ray_err *err)
{
    struct coord_member *m = joining->member;
    Rayos__Cluster__JoinRequest request = RAYOS__CLUSTER__JOIN_REQUEST__INIT;
    uint8_t proof[RAY_KEY_PROOF_SIZE];
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];

    ray_key_proof(m->key, proof);
    ray_token_verifier(m->credential.token->secret, verifier);
    request.name = m->name;
    request.address = m->address;
    request.domain = m->domain;
    request.incarnation = ray_proto_id(&m->incarnation);
    request.boot_counter = joining->boot_counter;
    request.feature_level = COORD_FSM_FEATURE_LEVEL;
    request.is_fit_for_leases = m->config.is_fit_for_leases;
    request.is_ephemeral = m->config.is_ephemeral;
    request.key_proof = ray_proto_bytes(proof, sizeof proof);
    request.link_key = ray_proto_bytes(ray_key_static(m->key), RAY_KEY_SIZE);
    request.token_hash = ray_proto_bytes(verifier, sizeof verifier);
    return ray_rpc_call_start(joining->client, "node.join", &request.base, NULL, 0,
                              &rayos__cluster__joined__descriptor, ANSWER_TIMEOUT_MS, NULL,
                              on_answer, joining, NULL, err);
}

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct member_joining *joining = arg;
    struct ray_err err = {0};
    int rc =
        ray_rpc_client_create_bulk(&joining->client, joining->member->config.loop, fd, seal, &err);

    (void)peer; /* has the token: that is all that a joiner can know */
    if (rc != RAY_OK) {
        ray_seal_destroy(seal);
        (void)close(fd); /* nothing was sent */
    } else {
        rc = ask(joining, &err);
    }
    if (rc != RAY_OK) {
        retry(joining, &err);
    }
}

static void on_failed(void *arg, const struct ray_err *why)
{
    retry(arg, why);
}

static int shake(struct member_joining *joining, int fd, struct ray_err *err)
{
    static const struct ray_bulk_shake_user template = {.on_ready = on_ready,
                                                        .on_failed = on_failed};
    struct coord_member *m = joining->member;
    const struct ray_token *token = m->credential.token;
    struct ray_bulk_shake_user user = template;
    struct ray_hello hello = {.kind = RAY_PEER_JOIN, .cluster = token->cluster, .from = m->id};
    struct ray_peer_terms terms = {.has_peer_identity = false};
    struct ray_peer_auth *auth = NULL;
    int rc;

    user.arg = joining;
    ray_token_verifier(token->secret, terms.psk);
    ray_token_id(terms.psk, &hello.token);
    rc = ray_peer_auth_open(&auth, m->key, &hello, &terms, NULL, 0, err);
    if (rc != RAY_OK) {
        return rc;
    }
    rc = ray_bulk_shake_create(&joining->shake, m->config.loop, fd, auth, RAY_BULK_SHAKE_TIMEOUT_MS,
                               &user, err);
    if (rc != RAY_OK) {
        ray_peer_auth_destroy(auth);
    }
    return rc;
}

static void try_next(void *arg)
{
    struct member_joining *joining = arg;
    const char *seed = joining->seeds.at[joining->seed % joining->seeds.count];
    struct ray_err err = {0};
    int fd = -1;
    int rc;

    hang_up(joining);
    if (joining->member->address[0] == '\0') {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "this node has no address yet");
        retry(joining, &err);
        return;
    }
    joining->seed++;
    rc = ray_dial(seed, &fd, &err);
    if (rc == RAY_OK) {
        rc = shake(joining, fd, &err);
        if (rc != RAY_OK) {
            (void)close(fd); /* nothing was sent */
        }
    }
    if (rc != RAY_OK) {
        retry(joining, &err);
    }
}

/* Of starts before there was a membership that counts them: a later one is a later boot. */
static int count_boot(struct coord_member *m, uint64_t *out, struct ray_err *err)
{
    struct ray_buf kept;
    uint64_t count = 0;
    int rc;

    ray_buf_init(&kept, COORD_FACTS_VALUE_SIZE_MAX);
    rc = m->facts->ops->get(m->facts, MEMBER_FACT_BOOTS, &kept, err);
    if (rc == RAY_OK && kept.size == sizeof count) {
        memcpy(&count, kept.data, sizeof count);
    }
    ray_buf_fini(&kept);
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        return rc;
    }
    count++;
    *out = count;
    return m->facts->ops->put(m->facts, MEMBER_FACT_BOOTS, &count, sizeof count, err);
}

static void say_seeds(const struct coord_member *m, const char *where, int rc,
                      const struct ray_err *why)
{
    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        ray_log(m->config.logger, RAY_LOG_WARN, "join", "not all seeds of %s are used: %s", where,
                why->text);
    }
}

/* The token's own, those that lie on the disk, those of the command line. */
static int find_seeds(struct member_joining *joining, struct ray_err *err)
{
    const struct coord_member *m = joining->member;
    const struct ray_token *token = m->credential.token;
    char path[MEMBER_PATH_SIZE + sizeof "/" MEMBER_SEEDS_FILE];
    struct ray_err why = {0};
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < token->seed_count; i++) {
        rc = member_seeds_add(&joining->seeds, token->seeds[i], err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(path, sizeof path, "%s/" MEMBER_SEEDS_FILE, m->data_dir);
    rc = member_seeds_load(&joining->seeds, path, &why);
    say_seeds(m, path, rc, &why);
    if (m->config.seeds != NULL) {
        rc = member_seeds_parse(&joining->seeds, m->config.seeds, strlen(m->config.seeds), &why);
        say_seeds(m, "the command line", rc, &why);
    }
    if (joining->seeds.count == 0) {
        (void)ray_fail(err, RAY_EINVAL, "the token names no member to go to");
        (void)ray_next(err, "write a member's HOST:PORT into %s", path);
        return RAY_EINVAL;
    }
    return RAY_OK;
}

int member_join_begin(struct coord_member *m, struct ray_err *err)
{
    struct member_joining *joining = calloc(1, sizeof *joining);
    int rc;

    if (joining == NULL) {
        return ray_fail(err, RAY_ENOMEM, "joining");
    }
    joining->member = m;
    m->joining = joining;
    m->state = MEMBER_JOINING;
    rc = find_seeds(joining, err);
    if (rc == RAY_OK) {
        rc = count_boot(m, &joining->boot_counter, err);
    }
    if (rc == RAY_OK) {
        rc = ray_timer_init(&joining->timer, m->config.loop, try_next, joining, err);
    }
    if (rc == RAY_OK) {
        ray_timer_start(&joining->timer, 0, 0);
    }
    return rc;
}

void member_join_fini(struct coord_member *m)
{
    struct member_joining *joining = m->joining;

    if (joining == NULL || joining->is_formatting) {
        return; /* the end of the disk comes first */
    }
    hang_up(joining);
    ray_timer_fini(&joining->timer);
    free(joining);
    m->joining = NULL;
}
