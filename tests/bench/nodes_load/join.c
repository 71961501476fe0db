/* join.c - a node becomes a member by the token, at the leader: handshake, one call. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proto/cluster.pb-c.h"
#include "net/proto_codec.h"
#include "net/rpc_bulk.h"
#include "tests/bench/nodes_load/nodes.h"

enum { NAME_SIZE = 32, TIMEOUT_MS = 30000 };

static void take(uint8_t *out, size_t size, const ProtobufCBinaryData *bytes)
{
    if (bytes->len != size) {
        nodes_die("node.join", "an answer with a key of another size");
    }
    memcpy(out, bytes->data, size);
}

/* The same in all answers. */
static void take_cluster(struct nodes *nodes, const Rayos__Cluster__Joined *joined)
{
    take(nodes->cluster.bytes, RAY_ID_SIZE, &joined->cluster_id);
    nodes->cluster_epoch = joined->cluster_epoch;
    for (size_t i = 0; i < joined->n_members; i++) {
        const Rayos__Cluster__Member *member = joined->members[i];

        if (strcmp(member->address, nodes->leader_address) == 0) {
            take(nodes->leader.bytes, RAY_ID_SIZE, &member->id);
            take(nodes->leader_static, RAY_KEY_SIZE, &member->link_key);
            take(nodes->leader_identity, RAY_KEY_SIZE, &member->identity_key);
            return;
        }
    }
    nodes_die("node.join", "the leader is none of the members");
}

static void on_joined(void *arg, const struct ray_rpc_result *result)
{
    struct node *node = arg;

    if (result->code != RAY_OK) {
        nodes_die("node.join", result->text);
    }
    take_cluster(node->nodes, (const Rayos__Cluster__Joined *)result->body);
    ray_rpc_client_destroy(node->client);
    node->client = NULL;
    ray_bulk_shake_destroy(node->shake);
    node->shake = NULL;
    node_link(node);
    nodes_next(node->nodes);
}

static void ask(struct node *node)
{
    Rayos__Cluster__JoinRequest request = RAYOS__CLUSTER__JOIN_REQUEST__INIT;
    uint8_t proof[RAY_KEY_PROOF_SIZE];
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];
    char name[NAME_SIZE];
    struct ray_err err = {0};

    ray_key_proof(node->key, proof);
    ray_token_verifier(node->nodes->token->secret, verifier);
    (void)snprintf(name, sizeof name, "load-%llu", (unsigned long long)node->number);
    request.name = name;
    request.incarnation = ray_proto_id(&node->incarnation);
    request.boot_counter = 1;
    request.is_fit_for_leases = true;
    request.key_proof = ray_proto_bytes(proof, sizeof proof);
    request.link_key = ray_proto_bytes(ray_key_static(node->key), RAY_KEY_SIZE);
    request.token_hash = ray_proto_bytes(verifier, sizeof verifier);
    if (ray_rpc_call_start(node->client, "node.join", &request.base, NULL, 0,
                           &rayos__cluster__joined__descriptor, TIMEOUT_MS, NULL, on_joined, node,
                           NULL, &err) != RAY_OK) {
        nodes_die("node.join", err.text);
    }
}

static void on_ready(void *arg, int fd, struct ray_seal *seal, const struct ray_peer *peer)
{
    struct node *node = arg;
    struct ray_err err = {0};

    (void)peer; /* it has the token */
    if (ray_rpc_client_create_bulk(&node->client, &node->nodes->loop, fd, seal, &err) != RAY_OK) {
        nodes_die("a connection to join by", err.text);
    }
    ask(node);
}

static void on_failed(void *arg, const struct ray_err *why)
{
    (void)arg;
    nodes_die("the handshake of a joiner", why->text);
}

static int dial(const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char host[NODES_ADDRESS_SIZE];
    unsigned port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (sscanf(text, "%63[0-9.]:%5u", host, &port) != 2 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        nodes_die("the leader's address", text);
    }
    to.sin_port = htons((uint16_t)port);
    if (fd < 0 ||
        (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)) {
        nodes_die(text, strerror(errno));
    }
    return fd;
}

void node_join(struct node *node)
{
    const struct ray_bulk_shake_user user = {
        .on_ready = on_ready, .on_failed = on_failed, .arg = node};
    struct nodes *nodes = node->nodes;
    struct ray_hello hello = {
        .kind = RAY_PEER_JOIN, .cluster = nodes->token->cluster, .from = node->id};
    struct ray_peer_terms terms = {.has_peer_identity = false};
    struct ray_peer_auth *auth = NULL;
    struct ray_err err = {0};

    ray_token_verifier(nodes->token->secret, terms.psk);
    ray_token_id(terms.psk, &hello.token);
    if (ray_peer_auth_open(&auth, node->key, &hello, &terms, NULL, 0, &err) != RAY_OK ||
        ray_bulk_shake_create(&node->shake, &nodes->loop, dial(nodes->leader_address), auth,
                              TIMEOUT_MS, &user, &err) != RAY_OK) {
        nodes_die("joining", err.text);
    }
}
