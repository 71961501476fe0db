/* claim.c - the code is there while the node is nobody's. It is made by the timer, never within a
 * handshake: that costs a tenth of a second, which strangers must not spend at their own pace. */
#include "coordinator/api/claim.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/api/join.h"
#include "net/proto_codec.h"
#include "net/rpc_bulk.h"

enum { PAUSE_S_MAX = 64 }; /* doubles from a second on */

struct member_claim {
    struct ray_claim *code; /* NULL: none is shown */
    unsigned open_count;    /* handshakes that have it */
    bool is_spent;          /* it was used; those that are still open end by themselves */
    uint64_t pause_s;       /* the last one */
    uint64_t not_before_ns; /* nobody may try until then */
    struct ray_rpc_bulk_server *claimers;
    uint8_t holder[RAY_KEY_SIZE]; /* who proved the last code, and has not yet said what for */
    bool has_holder;
};

/* Also while it tries in vain to join by what somebody claimed it for. */
static bool is_claimable(const struct coord_member *m)
{
    return m->replica == NULL && m->creation == NULL &&
           (m->state == MEMBER_UNCLAIMED || (m->state == MEMBER_JOINING && m->was_claimed));
}

const char *member_claim_code(const struct coord_member *m)
{
    const struct member_claim *claim = m->claim;

    return claim == NULL || claim->code == NULL || claim->is_spent || !is_claimable(m)
               ? ""
               : ray_claim_code(claim->code);
}

/* ---- handshakes ---- */

int member_claim_hello(struct coord_member *m, struct ray_peer_terms *out_terms,
                       struct ray_err *err)
{
    struct member_claim *claim = m->claim;
    uint64_t now_ns = ray_clock_boottime_ns();
    int rc;

    if (!is_claimable(m)) {
        return ray_fail(err, RAY_EDENIED, "this node is claimed");
    }
    if (claim == NULL || claim->code == NULL || claim->is_spent) {
        return ray_fail(err, RAY_EUNAVAILABLE, "this node shows no code just now; look again");
    }
    if (now_ns < claim->not_before_ns) {
        return ray_fail(err, RAY_EUNAVAILABLE, "too many tries; wait %" PRIu64 " s, and look again",
                        (claim->not_before_ns - now_ns) / RAY_NS_PER_S + 1);
    }
    rc = ray_claim_begin(claim->code, out_terms->psk, err);
    claim->open_count += rc == RAY_OK;
    return rc;
}

static void drop_code(struct member_claim *claim)
{
    ray_claim_destroy(claim->code);
    claim->code = NULL;
    claim->is_spent = false;
}

/* The third failure makes another code, for which nobody may try at once. */
void member_claim_lost(struct coord_member *m)
{
    struct member_claim *claim = m->claim;
    int rc;

    if (claim == NULL || claim->open_count == 0) {
        return; /* the member ends */
    }
    claim->open_count--;
    rc = ray_claim_end(claim->code, false, NULL);
    ray_log(m->config.logger, RAY_LOG_WARN, "claim", "a try without the right code%s",
            rc == RAY_OK ? "" : ", the last one: another code is shown");
    if (rc == RAY_OK) {
        return;
    }
    if (rc != RAY_ECONFLICT) {
        drop_code(claim); /* the timer makes one */
    }
    claim->pause_s = claim->pause_s == 0                ? 1
                     : claim->pause_s < PAUSE_S_MAX / 2 ? claim->pause_s * 2
                                                        : PAUSE_S_MAX;
    claim->not_before_ns = ray_clock_boottime_ns() + claim->pause_s * RAY_NS_PER_S;
}

/* Of handshakes that ran at once with the same code the first one has it. */
int member_claim_proven(const struct coord_member *m, struct ray_err *err)
{
    if (!is_claimable(m)) {
        return ray_fail(err, RAY_EDENIED, "this node is claimed");
    }
    return m->claim != NULL && !m->claim->is_spent
               ? RAY_OK
               : ray_fail(err, RAY_EDENIED, "somebody else has used this code; look again");
}

static bool none_stays(void *arg, const struct ray_rpc_peer *peer)
{
    (void)arg;
    (void)peer;
    return false;
}

void member_claim_guest(struct coord_member *m, int fd, struct ray_seal *seal,
                        const struct ray_peer *peer)
{
    struct member_claim *claim = m->claim;
    struct ray_err err = {0};

    if (claim->open_count > 0) {
        claim->open_count--;
        (void)ray_claim_end(claim->code, true, NULL); /* it was one of those that may be */
    }
    claim->is_spent = true;
    claim->pause_s = 0;
    claim->not_before_ns = 0;
    ray_rpc_bulk_server_recheck(claim->claimers, none_stays, NULL); /* their codes are past */
    memcpy(claim->holder, peer->identity, sizeof claim->holder);
    claim->has_holder = true;
    ray_log(m->config.logger, RAY_LOG_NOTICE, "claim", "somebody has the code");
    if (ray_rpc_bulk_server_take(claim->claimers, fd, seal, peer, &err) != RAY_OK) {
        ray_log(m->config.logger, RAY_LOG_NOTICE, "claim", "a connection is refused: %s", err.text);
        ray_seal_destroy(seal);
        (void)close(fd); /* nothing was said */
    }
}

/* ---- what a claimer may call ---- */

/* A code is good for one cluster: whoever claimed needs the next one to claim again. */
static int require_claimable(const struct coord_member *m, const struct ray_rpc_peer *peer,
                             struct ray_err *err)
{
    if (!is_claimable(m)) {
        (void)ray_fail(err, RAY_ECONFLICT, "this node is %s already", member_state_name(m));
        (void)ray_next(err, "clusterctl node list, in its cluster");
        return RAY_ECONFLICT;
    }
    if (peer == NULL || m->claim == NULL || !m->claim->has_holder ||
        memcmp(m->claim->holder, peer->identity, RAY_KEY_SIZE) != 0) {
        (void)ray_fail(err, RAY_EDENIED, "the code of this connection is used up");
        (void)ray_next(err, "look at the words on the node's screen again");
        return RAY_EDENIED;
    }
    return RAY_OK;
}

/* What it tries in vain gives way to the newer word. */
static int end_joining(struct coord_member *m, struct ray_err *err)
{
    if (m->joining != NULL) {
        member_join_fini(m);
    }
    if (m->joining != NULL) {
        return ray_fail(err, RAY_ECONFLICT, "this node has joined already, and writes it down");
    }
    coord_credential_fini(&m->credential);
    m->state = MEMBER_UNCLAIMED;
    m->was_claimed = false;
    m->trouble = (struct ray_err){0};
    return RAY_OK;
}

/* The first admin is who has typed the code, nobody whom he names. */
static void run_create(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Cluster__CreateRequest *request = (const Rayos__Cluster__CreateRequest *)input;
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);
    const struct member_caller caller = {.name = "claimer", .is_admin = true};
    struct coord_member *m = arg;
    struct ray_err err = {0};
    int rc = require_claimable(m, peer, &err);

    if (rc == RAY_OK && (request->admin_key.len != RAY_KEY_SIZE ||
                         memcmp(request->admin_key.data, peer->identity, RAY_KEY_SIZE) != 0)) {
        rc = ray_fail(&err, RAY_EDENIED, "the first admin's key is the claimer's own");
    }
    if (rc == RAY_OK && m->state == MEMBER_JOINING) {
        rc = end_joining(m, &err);
    }
    if (rc != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    member_cluster_create(m, &caller, call, input);
    if (m->creation != NULL) {
        m->claim->has_holder = false;
    }
}

/* Joins with that token from now on, and not with the one of before. */
static int begin_joining(struct coord_member *m, struct ray_token *token, struct ray_err *err)
{
    int rc = end_joining(m, err);

    if (rc != RAY_OK) {
        return rc;
    }
    m->credential = (struct coord_credential){.kind = COORD_CREDENTIAL_JOIN, .token = token};
    rc = member_join_begin(m, err);
    if (rc != RAY_OK) {
        m->credential.token = NULL; /* the caller's again */
        coord_credential_fini(&m->credential);
        member_join_fini(m);
        m->state = MEMBER_UNCLAIMED;
    }
    m->was_claimed = rc == RAY_OK;
    return rc;
}

static void reply_claimed(const struct coord_member *m, struct ray_rpc_call *call)
{
    Rayos__Cluster__Claimed claimed = RAYOS__CLUSTER__CLAIMED__INIT;
    char id[RAY_ID_TEXT_SIZE];

    claimed.id = (char *)(uintptr_t)ray_id_format(&m->id, id);
    claimed.name = (char *)(uintptr_t)m->name;
    (void)ray_rpc_reply(call, &claimed.base); /* the caller is gone, or not */
}

static void run_claim(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Cluster__ClaimRequest *request = (const Rayos__Cluster__ClaimRequest *)input;
    struct coord_member *m = arg;
    struct ray_token *token = NULL;
    struct ray_err err = {0};
    int rc = require_claimable(m, ray_rpc_call_peer(call), &err);

    if (rc == RAY_OK) {
        rc = ray_token_parse(&token, request->token, strlen(request->token), &err);
    }
    if (rc == RAY_OK) {
        rc = begin_joining(m, token, &err);
        if (rc != RAY_OK) {
            ray_token_destroy(token);
        }
    }
    if (rc != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    m->claim->has_holder = false;
    ray_log(m->config.logger, RAY_LOG_NOTICE, "claim", "sent into a cluster by its code");
    reply_claimed(m, call);
}

/* Of the cluster that was made by his word: how it is reached. */
static void run_members(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const struct member_caller caller = {.name = "claimer"};
    const struct coord_member *m = arg;
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);
    struct member_caller operator= {.is_admin = false };
    struct ray_err err = {0};

    if (m->replica == NULL || peer == NULL || !member_operator(arg, peer->identity, &operator)) {
        (void)ray_fail(&err, RAY_EDENIED, "this node is in no cluster of yours");
        (void)ray_rpc_reply_err(call, &err); /* the caller is gone, or not */
        return;
    }
    member_cluster_members(arg, &caller, call, input);
}

static const struct ray_rpc_method claimer_methods[] = {
    {"cluster.create", &rayos__cluster__create_request__descriptor, run_create},
    {"cluster.members", &rayos__cluster__members_request__descriptor, run_members},
    {"node.claim", &rayos__cluster__claim_request__descriptor, run_claim},
    {NULL, NULL, NULL},
};

/* ---- the code ---- */

static int open_claim(struct coord_member *m, struct ray_err *err)
{
    struct member_claim *claim = m->claim != NULL ? m->claim : calloc(1, sizeof *claim);

    if (claim == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a one-time code");
    }
    m->claim = claim;
    return claim->claimers != NULL ? RAY_OK
                                   : ray_rpc_bulk_server_create(&claim->claimers, m->config.loop,
                                                                claimer_methods, m, err);
}

void member_claim_turn(struct coord_member *m)
{
    struct member_claim *claim = m->claim;
    struct ray_err err = {0};
    int rc;

    if (claim != NULL && claim->open_count == 0 && claim->code != NULL &&
        (claim->is_spent || !is_claimable(m))) {
        drop_code(claim);
    }
    if (!is_claimable(m) || (claim != NULL && claim->code != NULL)) {
        return;
    }
    rc = open_claim(m, &err);
    if (rc == RAY_OK) {
        rc = ray_claim_create(&m->claim->code, &err);
    }
    if (rc != RAY_OK && strcmp(m->trouble.text, err.text) != 0) {
        ray_log(m->config.logger, RAY_LOG_WARN, "claim", "no code: %s", err.text);
        m->trouble = err;
    }
}

void member_claim_fini(struct coord_member *m)
{
    if (m->claim == NULL) {
        return;
    }
    ray_rpc_bulk_server_destroy(m->claim->claimers);
    ray_claim_destroy(m->claim->code);
    free(m->claim);
    m->claim = NULL;
}

/* ---- node.code ---- */

void member_node_code(struct coord_member *m, const struct member_caller *caller,
                      struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    Rayos__Cluster__Code code = RAYOS__CLUSTER__CODE__INIT;

    (void)caller;
    (void)input; /* has no fields */
    code.words = (char *)(uintptr_t)member_claim_code(m);
    if (code.words[0] == '\0') {
        code.why = (char *)(uintptr_t)(is_claimable(m) ? "the next one is shown in a moment"
                                                       : "this node is not to be claimed");
    }
    (void)ray_rpc_reply(call, &code.base); /* the caller is gone, or not */
}
