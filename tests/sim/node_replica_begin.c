/* How the cluster begins: the founder creates it, lets the others in and makes the registers. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "net/proto_codec.h"
#include "tests/sim/mem.h"
#include "tests/sim/node_replica.h"

enum { TOKEN_USES = 1000 };

static void create_key(struct sim_node *node, uint32_t key)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    struct ray_id id = sim_replica_key(key);
    char name[16];

    (void)snprintf(name, sizeof name, "k%" PRIu32, key);
    object.kind = RAYOS__REGISTRY__KIND__KIND_IMAGE;
    object.id = ray_proto_id(&id);
    object.name = name;
    put.object = &object;
    put.is_create = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &put;
    sim_replica_propose(node, &command, "begin", NULL, NULL, NULL);
}

struct node_keys {
    uint8_t identity[COORD_KEY_SIZE];
    uint8_t link[COORD_KEY_SIZE];
    uint8_t signature[COORD_SIGNATURE_SIZE];
    char name[16];
};

static void fill_node(Rayos__Registry__Object *object, Rayos__Registry__Node *body,
                      struct node_keys *keys, const struct ray_id *id, uint32_t place)
{
    memset(keys, (int)place + 1, sizeof *keys);
    (void)snprintf(keys->name, sizeof keys->name, "n%" PRIu32, place);
    body->identity_key = ray_proto_bytes(keys->identity, sizeof keys->identity);
    body->link_key = ray_proto_bytes(keys->link, sizeof keys->link);
    body->link_key_signature = ray_proto_bytes(keys->signature, sizeof keys->signature);
    body->address = (char *)"sim:1";
    object->kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    object->id = ray_proto_id(id);
    object->name = keys->name;
    object->body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    object->node = body;
}

static const uint8_t token_hash[COORD_KEY_SIZE] = {7};

static void create_cluster(struct sim_node *node)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__ClusterCreate create = RAYOS__REGISTRY__CLUSTER_CREATE__INIT;
    Rayos__Registry__Timing timing = RAYOS__REGISTRY__TIMING__INIT;
    Rayos__Registry__Object self = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Node body = RAYOS__REGISTRY__NODE__INIT;
    Rayos__Registry__Object admin = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Principal principal = RAYOS__REGISTRY__PRINCIPAL__INIT;
    Rayos__Registry__Object token = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Token token_body = RAYOS__REGISTRY__TOKEN__INIT;
    Rayos__Registry__Object *tokens[] = {&token};
    struct node_keys keys;
    struct coord_replica_status status;
    uint8_t bytes[SIM_REPLICA_COMMAND_SIZE_MAX];
    uint8_t key[COORD_KEY_SIZE] = {9};
    struct ray_id admin_id = {{'a'}};

    coord_replica_status(node->replica, &status);
    timing.profile = (char *)"sim";
    timing.heartbeat_ms = node->world.cluster->heartbeat_ms;
    timing.election_ms = node->world.cluster->election_ms;
    timing.grant_ms = node->world.cluster->grant_ms;
    timing.renew_ms = node->world.cluster->renew_ms;
    timing.margin_ms = node->world.cluster->margin_ms;
    timing.drift_ppm = node->world.cluster->drift_ppm;
    fill_node(&self, &body, &keys, &node->world.cluster->nodes[0], 0);
    principal.key = ray_proto_bytes(key, sizeof key);
    principal.is_admin = true;
    admin.kind = RAYOS__REGISTRY__KIND__KIND_PRINCIPAL;
    admin.id = ray_proto_id(&admin_id);
    admin.name = (char *)"admin";
    admin.body_case = RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    admin.principal = &principal;
    token_body.hash = ray_proto_bytes(token_hash, sizeof token_hash);
    token_body.uses_left = TOKEN_USES;
    token.kind = RAYOS__REGISTRY__KIND__KIND_TOKEN;
    token.id = ray_proto_bytes(token_hash, RAY_ID_SIZE);
    token.body_case = RAYOS__REGISTRY__OBJECT__BODY_TOKEN;
    token.token = &token_body;
    create.id = ray_proto_id(&node->world.cluster->id);
    create.name = (char *)"sim";
    create.timing = &timing;
    create.node = &self;
    create.boot_counter = status.boot_counter;
    create.admin = &admin;
    create.n_tokens = 1;
    create.tokens = tokens;
    header.version = COORD_FSM_COMMAND_VERSION;
    header.principal = (char *)"admin";
    header.reason = (char *)"begin";
    header.incarnation = ray_proto_id(&status.incarnation);
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_CLUSTER_CREATE;
    command.cluster_create = &create;
    size_t size = rayos__registry__command__pack(&command, bytes);

    assert(size <= sizeof bytes);
    (void)coord_replica_propose(node->replica, bytes, size,
                                sim_replica_now_ns(node) + SIM_REPLICA_DEADLINE_NS, NULL, NULL,
                                NULL, NULL);
}

/* On behalf of a node that is not a member yet: it says which incarnation will be its first. */
static void join(struct sim_node *node, uint32_t place)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeJoin body = RAYOS__REGISTRY__NODE_JOIN__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Node newcomer = RAYOS__REGISTRY__NODE__INIT;
    struct node_keys keys;
    struct ray_id incarnation = {{'f', 'i', 'r', 's', 't'}};
    const struct coord_object *known = coord_fsm_find(coord_replica_fsm(node->replica), COORD_NODE,
                                                      &node->world.cluster->nodes[place]);

    /* One per disk that it had. */
    incarnation.bytes[RAY_ID_SIZE - 1] = (uint8_t)place;
    incarnation.bytes[RAY_ID_SIZE - 2] = (uint8_t)node->world.membership->lost_ids[place];
    body.boot_counter = known == NULL ? 0 : known->node.boot_counter + 1;
    fill_node(&object, &newcomer, &keys, &node->world.cluster->nodes[place], place);
    body.token_hash = ray_proto_bytes(token_hash, sizeof token_hash);
    body.node = &object;
    body.incarnation = ray_proto_id(&incarnation);
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_JOIN;
    command.node_join = &body;
    sim_replica_propose(node, &command, "begin", NULL, NULL, NULL);
}

/* The operator does not wait for its guests, or for itself. */
static void remove_by_force(struct sim_node *node, uint32_t place)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRemove body = RAYOS__REGISTRY__NODE_REMOVE__INIT;

    body.node = ray_proto_id(&node->world.cluster->nodes[place]);
    body.is_forced = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &body;
    sim_replica_propose(node, &command, "it does not answer", NULL, NULL, NULL);
}

static void let_in_or_out(struct sim_node *node, uint32_t place, const struct coord_object *object)
{
    bool is_out = (node->world.membership->removed >> place & 1) != 0;

    if (is_out && object != NULL && object->node.state != COORD_NODE_REMOVED) {
        remove_by_force(node, place);
    } else if (!is_out && (object == NULL ||
                           object->node.raft_id <= node->world.membership->lost_ids[place])) {
        join(node, place);
    }
}

/* The leader repeats whatever is missing. */
void sim_replica_begin_cluster(struct sim_node *node)
{
    struct coord_fsm *fsm = coord_replica_fsm(node->replica);

    if (!node->is_leader) {
        return;
    }
    if (coord_fsm_cluster(fsm) == NULL) {
        if (node->world.place == 0) {
            create_cluster(node);
        }
        return;
    }
    for (uint32_t i = 0; i < node->world.cluster->node_count; i++) {
        const struct coord_object *object =
            coord_fsm_find(fsm, COORD_NODE, &node->world.cluster->nodes[i]);

        let_in_or_out(node, i, object);
    }
    for (uint32_t i = 0; i < node->world.cluster->key_count; i++) {
        struct ray_id id = sim_replica_key(i);

        if (coord_fsm_find(fsm, COORD_IMAGE, &id) == NULL) {
            create_key(node, i);
        }
    }
}
