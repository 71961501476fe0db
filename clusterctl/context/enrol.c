#include "clusterctl/context/enrol.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "clusterctl/context/reach.h"
#include "clusterctl/context/store.h"
#include "clusterctl/context/troubles.h"

enum { RETRY_MS = 200 };

/* Whoever answered must be among those whom it names. */
static int check_answerer(const struct context *context, const struct ray_peer *peer,
                          struct ray_err *err)
{
    for (size_t i = 0; i < context->member_count; i++) {
        if (memcmp(context->members[i].link_key, peer->static_key, RAY_KEY_SIZE) == 0 &&
            memcmp(context->members[i].identity, peer->identity, RAY_KEY_SIZE) == 0) {
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EDENIED, "who answers is none of the members that it names");
}

/* The token may say which cluster it is of, the operator may, too. */
static int check_cluster(const struct context_enrolment *enrolment, const struct context *context,
                         struct ray_err *err)
{
    const struct ray_token *token = enrolment->token;
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];

    ray_cluster_fingerprint(&context->cluster_id, fingerprint);
    if ((!ray_id_is_none(&token->cluster) &&
         !ray_id_equal(&token->cluster, &context->cluster_id)) ||
        (token->has_fingerprint &&
         memcmp(token->fingerprint, fingerprint, sizeof fingerprint) != 0)) {
        return ray_fail(err, RAY_EDENIED, "the token is of another cluster");
    }
    return enrolment->fingerprint == NULL
               ? RAY_OK
               : context_check_words(context, enrolment->fingerprint, err);
}

static int ask_members(const struct context_enrolment *enrolment, struct ray_loop *loop,
                       struct ray_rpc_client *client, const struct ray_peer *peer,
                       uint64_t timeout_ms, struct context *context, struct ray_err *err)
{
    Rayos__Cluster__MembersRequest request = RAYOS__CLUSTER__MEMBERS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    bool is_new;
    int rc = reach_call(loop, client, "cluster.members", &request.base,
                        &rayos__cluster__joined__descriptor, timeout_ms, &body, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = context_take(context, (const Rayos__Cluster__Joined *)body, &is_new, err);
    protobuf_c_message_free_unpacked(body, NULL);
    rc = rc == RAY_OK ? check_answerer(context, peer, err) : rc;
    rc = rc == RAY_OK ? check_cluster(enrolment, context, err) : rc;
    if (rc != RAY_OK) { /* of no cluster again, for the next address */
        context->cluster_id = (struct ray_id){{0}};
        context->member_count = 0;
    }
    return rc;
}

static int ask(const struct context_enrolment *enrolment, const char *address,
               const struct ray_key *key, uint64_t timeout_ms, struct context *context,
               struct ray_err *err)
{
    struct ray_rpc_client *client = NULL;
    struct ray_peer peer = {.payload_size = 0};
    struct ray_loop loop;
    int rc = ray_loop_init(&loop, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rc = reach_by_token(&loop, address, enrolment->token, key, timeout_ms, &client, &peer, err);
    if (rc == RAY_OK) {
        rc = ask_members(enrolment, &loop, client, &peer, timeout_ms, context, err);
    }
    ray_rpc_client_destroy(client);
    ray_loop_fini(&loop);
    return rc;
}

/* Every address once. RAY_EDENIED: all of them deny. */
static int ask_all(const struct context_enrolment *enrolment, const struct ray_key *key,
                   uint64_t end_ns, struct context *context, struct context_troubles *troubles)
{
    const struct ray_token *token = enrolment->token;
    size_t count = enrolment->address_count > 0 ? enrolment->address_count : token->seed_count;
    bool is_denied = true;
    int rc = RAY_EUNAVAILABLE;

    for (size_t i = 0; i < count && rc != RAY_OK; i++) {
        const char *address =
            enrolment->address_count > 0 ? enrolment->addresses[i] : token->seeds[i];
        uint64_t now_ns = ray_clock_monotonic_ns();
        struct ray_err why = {0};

        if (now_ns >= end_ns) {
            return RAY_ETIMEOUT;
        }
        rc = ask(enrolment, address, key, (end_ns - now_ns) / RAY_NS_PER_MS + 1, context, &why);
        if (rc != RAY_OK) {
            context_troubles_add(troubles, address, &why);
            is_denied = is_denied && rc == RAY_EDENIED;
        }
    }
    return rc == RAY_OK ? RAY_OK : is_denied ? RAY_EDENIED : RAY_EUNAVAILABLE;
}

int context_enrol(const struct context_enrolment *enrolment, struct context *out,
                  struct ray_err *err)
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * (long)RAY_NS_PER_MS};
    uint64_t end_ns = ray_clock_monotonic_ns() + enrolment->timeout_ms * RAY_NS_PER_MS;
    struct context_troubles troubles = {.code = RAY_OK};
    struct context context = {.member_count = 0};
    struct ray_key *key = NULL;
    int rc;

    (void)snprintf(context.name, sizeof context.name, "%s", enrolment->name);
    (void)snprintf(context.key_path, sizeof context.key_path, "%s", enrolment->key_path);
    rc = context_open_key(&context, &key, err);
    if (rc == RAY_OK) {
        rc = ask_all(enrolment, key, end_ns, &context, &troubles);
        while (rc == RAY_EUNAVAILABLE) {   /* of a cluster that is only coming up, say */
            (void)nanosleep(&pause, NULL); /* a shorter one is as good */
            troubles.size = 0;
            rc = ask_all(enrolment, key, end_ns, &context, &troubles);
        }
        rc = rc == RAY_OK ? RAY_OK : context_troubles_fail(&troubles, "first contact", err);
    }
    if (rc == RAY_OK) {
        *out = context;
    }
    ray_key_destroy(key);
    return rc;
}
