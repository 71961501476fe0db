#include "clusterctl/context/reach.h"

#include <string.h>
#include <unistd.h>

#include "net/bulk_shake.h"
#include "net/dial.h"
#include "net/rpc_bulk.h"

struct reaching {
    struct ray_loop *loop;
    struct ray_rpc_client *client;
    struct ray_peer peer;
    bool is_over;
    struct ray_err err;
};

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct reaching *reaching = arg;

    reaching->peer = *peer;
    reaching->is_over = true;
    if (ray_rpc_client_create_bulk(&reaching->client, reaching->loop, fd, seal, &reaching->err) !=
        RAY_OK) {
        ray_seal_destroy(seal);
        (void)close(fd); /* nothing was sent */
    }
}

static void on_failed(void *arg, const struct ray_err *why)
{
    struct reaching *reaching = arg;

    reaching->err = *why;
    reaching->is_over = true;
}

/* What the kernel says of a connection that did not come about. */
static int unavailable(int code)
{
    return code == RAY_EDENIED || code == RAY_ETIMEOUT || code == RAY_EMALFORMED ||
                   code == RAY_ENOMEM
               ? code
               : RAY_EUNAVAILABLE;
}

static int shake(struct reaching *reaching, const char *address, const struct ray_key *key,
                 const struct ray_hello *hello, const struct ray_peer_terms *terms,
                 uint64_t timeout_ms, struct ray_err *err)
{
    const struct ray_bulk_shake_user user = {
        .on_ready = on_ready, .on_failed = on_failed, .arg = reaching};
    struct ray_peer_auth *auth = NULL;
    struct ray_bulk_shake *made = NULL;
    int fd = -1;
    int rc = ray_dial(address, &fd, err);

    rc = rc == RAY_OK ? ray_peer_auth_open(&auth, key, hello, terms, NULL, 0, err) : rc;
    if (rc == RAY_OK) {
        rc = ray_bulk_shake_create(&made, reaching->loop, fd, auth,
                                   timeout_ms < REACH_ONE_MS_MAX ? timeout_ms : REACH_ONE_MS_MAX,
                                   &user, err);
    }
    if (rc != RAY_OK) {
        ray_peer_auth_destroy(auth);
        if (fd >= 0) {
            (void)close(fd); /* nothing was sent */
        }
        return rc;
    }
    while (!reaching->is_over) {
        ray_loop_once(reaching->loop);
    }
    ray_bulk_shake_destroy(made);
    if (reaching->client == NULL) {
        rc = ray_fail(err, unavailable(reaching->err.code), "%s", reaching->err.text);
    }
    return rc;
}

int reach_member(struct ray_loop *loop, const struct context_member *member,
                 const struct ray_id *cluster, const struct ray_key *key, uint64_t timeout_ms,
                 struct ray_rpc_client **out_client, struct ray_err *err)
{
    const struct ray_hello hello = {.kind = RAY_PEER_OPERATOR, .cluster = *cluster};
    struct ray_peer_terms terms = {.has_peer_identity = true};
    struct reaching reaching = {.loop = loop};
    int rc;

    memcpy(terms.peer_static, member->link_key, sizeof terms.peer_static);
    memcpy(terms.peer_identity, member->identity, sizeof terms.peer_identity);
    rc = shake(&reaching, member->address, key, &hello, &terms, timeout_ms, err);
    if (rc == RAY_OK) {
        *out_client = reaching.client;
    }
    return rc;
}

int reach_by_token(struct ray_loop *loop, const char *address, const struct ray_token *token,
                   const struct ray_key *key, uint64_t timeout_ms,
                   struct ray_rpc_client **out_client, struct ray_peer *out_peer,
                   struct ray_err *err)
{
    struct ray_hello hello = {.kind = RAY_PEER_JOIN, .cluster = token->cluster};
    struct ray_peer_terms terms = {.has_peer_identity = false};
    struct reaching reaching = {.loop = loop};
    int rc;

    ray_key_node_id(ray_key_identity(key), &hello.from);
    ray_token_verifier(token->secret, terms.psk);
    ray_token_id(terms.psk, &hello.token);
    rc = shake(&reaching, address, key, &hello, &terms, timeout_ms, err);
    explicit_bzero(&terms, sizeof terms);
    if (rc == RAY_OK) {
        *out_client = reaching.client;
        *out_peer = reaching.peer;
    }
    return rc;
}

int reach_by_code(struct ray_loop *loop, const char *address,
                  const uint8_t psk[static RAY_PEER_AUTH_PSK_SIZE], const struct ray_key *key,
                  uint64_t timeout_ms, struct ray_rpc_client **out_client, struct ray_err *err)
{
    const struct ray_hello hello = {.kind = RAY_PEER_CLAIM};
    struct ray_peer_terms terms = {.has_peer_identity = false};
    struct reaching reaching = {.loop = loop};
    int rc;

    memcpy(terms.psk, psk, sizeof terms.psk);
    rc = shake(&reaching, address, key, &hello, &terms, timeout_ms, err);
    explicit_bzero(&terms, sizeof terms);
    if (rc == RAY_OK) {
        *out_client = reaching.client;
    }
    return rc;
}

/* ---- a call ---- */

struct calling {
    const ProtobufCMessageDescriptor *output;
    ProtobufCMessage *body;
    bool is_over;
    struct ray_err err;
};

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct calling *calling = arg;

    calling->is_over = true;
    if (result->code != RAY_OK) {
        (void)ray_fail(&calling->err, result->code, "%s", result->text);
        (void)ray_next(&calling->err, "%s", result->next_step);
        return;
    }
    calling->body =
        protobuf_c_message_unpack(calling->output, NULL, result->packed_size, result->packed);
    if (calling->body == NULL) {
        (void)ray_fail(&calling->err, RAY_ENOMEM, "an answer");
    }
}

int reach_call(struct ray_loop *loop, struct ray_rpc_client *client, const char *method,
               const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
               uint64_t timeout_ms, ProtobufCMessage **out_body, struct ray_err *err)
{
    struct calling calling = {.output = output};
    int rc = ray_rpc_call_start(client, method, input, NULL, 0, output, timeout_ms, NULL, on_end,
                                &calling, NULL, err);

    if (rc != RAY_OK) {
        return rc;
    }
    while (!calling.is_over) {
        ray_loop_once(loop);
    }
    if (calling.body == NULL) {
        if (err != NULL) {
            *err = calling.err;
        }
        return calling.err.code;
    }
    *out_body = calling.body;
    return RAY_OK;
}
