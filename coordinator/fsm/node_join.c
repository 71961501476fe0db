/* node_join.c - how nodes come in: by a token, by approval, in the place of another one. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "coordinator/fsm/node.h"
#include "coordinator/fsm/state.h"

struct newcomer {
    struct ray_id id;
    char name[COORD_NAME_SIZE];
    char wanted_name[COORD_NAME_SIZE]; /* empty: that is the name */
    char address[COORD_ADDRESS_SIZE];
    char domain[COORD_DOMAIN_SIZE];
    uint8_t identity_key[COORD_KEY_SIZE];
    uint8_t link_key[COORD_KEY_SIZE];
    uint8_t link_key_signature[COORD_SIGNATURE_SIZE];
    struct coord_label *labels;
    size_t label_count;
    bool is_fit_for_leases;
    bool is_in_memory;
};

static int read_keys(struct fsm_apply *apply, const Rayos__Registry__Node *node,
                     struct newcomer *out)
{
    int rc = fsm_fixed(&node->identity_key, "identity key", out->identity_key,
                       sizeof out->identity_key, apply->err);

    if (rc == RAY_OK) {
        rc =
            fsm_fixed(&node->link_key, "link key", out->link_key, sizeof out->link_key, apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_fixed(&node->link_key_signature, "link key's signature", out->link_key_signature,
                       sizeof out->link_key_signature, apply->err);
    }
    return rc;
}

static int read_texts(struct fsm_apply *apply, const Rayos__Registry__Object *message,
                      struct newcomer *out)
{
    int rc = fsm_word(message->name, "name", out->name, sizeof out->name, apply->err);

    memset(out->wanted_name, 0, sizeof out->wanted_name);
    if (rc == RAY_OK && out->name[0] == '\0') {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "a node has a name");
    }
    if (rc == RAY_OK) {
        rc = fsm_word(message->node->address, "address", out->address, sizeof out->address,
                      apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_word(message->node->domain, "failure domain", out->domain, sizeof out->domain,
                      apply->err);
    }
    return rc;
}

static int read_newcomer(struct fsm_apply *apply, const Rayos__Registry__Object *message,
                         struct newcomer *out)
{
    int rc;

    if (message == NULL || message->kind != RAYOS__REGISTRY__KIND__KIND_NODE ||
        message->body_case != RAYOS__REGISTRY__OBJECT__BODY_NODE) {
        return fsm_refuse(apply->err, RAY_EINVAL, "no node is described");
    }
    rc = fsm_id(&message->id, "node", &out->id, apply->err);
    if (rc == RAY_OK) {
        rc = read_texts(apply, message, out);
    }
    if (rc == RAY_OK) {
        rc = read_keys(apply, message->node, out);
    }
    if (rc == RAY_OK) {
        out->is_in_memory = false;
        out->label_count = message->n_labels;
        out->is_fit_for_leases = message->node->is_fit_for_leases;
        rc = fsm_labels(message->labels, message->n_labels, &apply->fsm->arena, &out->labels,
                        apply->err);
    }
    return rc;
}

static int add_node(struct fsm_apply *apply, const struct newcomer *newcomer,
                    struct fsm_object **out)
{
    struct coord_node *node;
    int rc = fsm_object_new(apply, COORD_NODE, &newcomer->id, newcomer->name, out);

    if (rc != RAY_OK) {
        return rc;
    }
    node = &(*out)->pub.node;
    memcpy(node->identity_key, newcomer->identity_key, sizeof node->identity_key);
    memcpy(node->link_key, newcomer->link_key, sizeof node->link_key);
    memcpy(node->link_key_signature, newcomer->link_key_signature, sizeof node->link_key_signature);
    memcpy(node->address, newcomer->address, sizeof node->address);
    memcpy(node->domain, newcomer->domain, sizeof node->domain);
    memcpy(node->wanted_name, newcomer->wanted_name, sizeof node->wanted_name);
    node->is_fit_for_leases = newcomer->is_fit_for_leases;
    node->state = COORD_NODE_PENDING;
    return fsm_labels_set(&(*out)->pub, newcomer->labels, newcomer->label_count) ? RAY_OK
                                                                                 : RAY_ENOMEM;
}

int fsm_first_node_check(struct fsm_apply *apply, const Rayos__Registry__Object *message)
{
    struct newcomer newcomer;

    if (ray_id_is_none(&apply->incarnation)) {
        return fsm_refuse(apply->err, RAY_EINVAL, "the first node does not say its incarnation");
    }
    return read_newcomer(apply, message, &newcomer);
}

int fsm_first_node_add(struct fsm_apply *apply, const Rayos__Registry__Object *message,
                       uint64_t boot_counter)
{
    struct newcomer newcomer;
    struct fsm_object *object;
    int rc = read_newcomer(apply, message, &newcomer);

    if (rc == RAY_OK) {
        rc = add_node(apply, &newcomer, &object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    object->pub.node.state = COORD_NODE_MEMBER;
    object->pub.node.role = COORD_NODE_VOTER;
    object->pub.node.raft_id = apply->fsm->cluster->pub.cluster.last_raft_id;
    object->pub.node.numbered_revision = apply->index;
    fsm_node_admit_boot(apply, &object->pub.node, &apply->incarnation, boot_counter);
    return RAY_OK;
}

static void answer_join(struct fsm_apply *apply, const struct coord_node *node)
{
    apply->has_reply = true;
    apply->reply.raft_id = node->raft_id;
    apply->reply.node_state = (Rayos__Registry__NodeState)node->state;
}

static bool has_keys(const struct coord_node *node, const struct newcomer *newcomer)
{
    return memcmp(node->identity_key, newcomer->identity_key, sizeof node->identity_key) == 0 &&
           memcmp(node->link_key, newcomer->link_key, sizeof node->link_key) == 0;
}

/* A name beside `name`, for one of two nodes that have it; '.' is in no name that a node may ask
 * for. */
static void name_aside(const char *name, const struct ray_id *id, char out[static COORD_NAME_SIZE])
{
    enum { DIGITS = 8 };
    char text[RAY_ID_TEXT_SIZE];

    memset(out, 0, COORD_NAME_SIZE);
    (void)ray_id_format(id, text);
    (void)snprintf(out, COORD_NAME_SIZE, "%.*s.%s", COORD_NAME_SIZE - DIGITS - 2, name,
                   text + strlen(text) - DIGITS);
}

/* A machine that was installed anew has another key, and still its name: it waits until somebody
 * says that it takes the other's place. */
static int name_newcomer(struct fsm_apply *apply, struct newcomer *newcomer)
{
    if (fsm_find_name(apply->fsm, COORD_NODE, newcomer->name) == NULL) {
        return RAY_OK;
    }
    memcpy(newcomer->wanted_name, newcomer->name, sizeof newcomer->wanted_name);
    name_aside(newcomer->wanted_name, &newcomer->id, newcomer->name);
    return fsm_name_check(apply, COORD_NODE, newcomer->name, NULL);
}

/* Who is known already: NULL when the newcomer is new. */
static int find_known(struct fsm_apply *apply, struct newcomer *newcomer, struct fsm_object **out)
{
    struct fsm_object *known = fsm_find(apply->fsm, COORD_NODE, &newcomer->id);

    *out = known;
    if (known == NULL) {
        if (apply->fsm->order[COORD_NODE].count >= COORD_FSM_NODES_MAX) {
            return fsm_refuse(apply->err, RAY_ETOOBIG, "the cluster has %d nodes, its limit",
                              COORD_FSM_NODES_MAX);
        }
        return name_newcomer(apply, newcomer);
    }
    if (!has_keys(&known->pub.node, newcomer)) {
        return fsm_refuse(apply->err, RAY_EDENIED, "node %s is known with other keys",
                          known->pub.name);
    }
    if (known->pub.node.state == COORD_NODE_REMOVED) {
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "node %s was removed, its guests have not all "
                          "moved yet",
                          known->pub.name);
    }
    return RAY_OK;
}

static size_t count_pending(const struct coord_fsm *fsm)
{
    const struct fsm_order *nodes = &fsm->order[COORD_NODE];
    size_t count = 0;

    for (size_t i = 0; i < nodes->count; i++) {
        count += fsm_object_of(nodes->items[i])->pub.node.state == COORD_NODE_PENDING;
    }
    return count;
}

/* A number belongs to the boot that was told it first. Another one of the same node has lost its
 * disk, and what it voted with it: it waits for approval like anybody else, and gets a new one. */
static int bind_number(struct fsm_apply *apply, struct fsm_object *known,
                       const struct ray_id *incarnation, uint64_t boot_counter)
{
    struct coord_node *node = &known->pub.node;
    bool is_first = ray_id_is_none(&node->incarnation);
    int rc;

    if (node->state == COORD_NODE_PENDING || ray_id_equal(&node->incarnation, incarnation)) {
        return RAY_OK;
    }
    if (!is_first && boot_counter <= node->boot_counter) {
        return fsm_node_duplicate(apply, known, incarnation, boot_counter);
    }
    rc = fsm_touch(apply, known);
    if (rc != RAY_OK) {
        return rc;
    }
    fsm_node_admit_boot(apply, node, incarnation, boot_counter);
    if (is_first) {
        node->numbered_revision = apply->index;
    } else {
        node->state = COORD_NODE_PENDING;
        node->role = COORD_NODE_OBSERVER;
    }
    return RAY_OK;
}

static int remove_replaced(struct fsm_apply *apply, struct fsm_object *other)
{
    struct ray_id id = other->pub.id;
    char aside[COORD_NAME_SIZE];
    int rc = fsm_touch(apply, other);

    if (rc == RAY_OK) {
        rc = fsm_happen(apply, "node-removed", COORD_NODE, &id, other->pub.name);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    name_aside(other->pub.name, &id, aside);
    if (!fsm_object_rename(apply->fsm, other, aside)) {
        return RAY_ENOMEM;
    }
    other->pub.node.state = COORD_NODE_REMOVED;
    return fsm_node_release(apply, &id);
}

static int take_name(struct fsm_apply *apply, struct fsm_object *object)
{
    struct coord_node *node = &object->pub.node;

    if (node->wanted_name[0] != '\0' && !fsm_object_rename(apply->fsm, object, node->wanted_name)) {
        return RAY_ENOMEM;
    }
    memset(node->wanted_name, 0, sizeof node->wanted_name);
    return RAY_OK;
}

/* The place of another node: it is removed, and its name is free. */
static int take_place(struct fsm_apply *apply, struct fsm_object *object, struct fsm_object *other)
{
    int rc = remove_replaced(apply, other);

    return rc == RAY_OK ? take_name(apply, object) : rc;
}

/* Whose place it takes without a further word: that of the node that its token names, or that of an
 * earlier boot of a machine that has no disk. NULL: nobody's. */
static struct fsm_object *find_outlived(const struct coord_fsm *fsm, const char *wanted,
                                        bool is_in_memory, const struct coord_token *token)
{
    struct fsm_object *other = wanted[0] == '\0' ? NULL : fsm_find_name(fsm, COORD_NODE, wanted);
    const struct coord_node *node;

    if (other == NULL) {
        return NULL;
    }
    node = &other->pub.node;
    if (is_in_memory && node->is_in_memory && node->state == COORD_NODE_PENDING) {
        return other; /* it had no rights yet */
    }
    if (token->needs_approval) {
        return NULL;
    }
    return token->takes_place || ray_id_equal(&token->replaces, &other->pub.id) ||
                   (is_in_memory && node->is_in_memory)
               ? other
               : NULL;
}

const struct coord_object *coord_fsm_outlived(const struct coord_fsm *fsm,
                                              const struct ray_id *joiner, const char *name,
                                              bool is_ephemeral,
                                              const uint8_t token_hash[static COORD_KEY_SIZE])
{
    const struct fsm_object *known = fsm_find(fsm, COORD_NODE, joiner);
    const struct fsm_object *token;
    const struct fsm_object *other;
    struct ray_id id;

    memcpy(id.bytes, token_hash, RAY_ID_SIZE);
    token = fsm_find(fsm, COORD_TOKEN, &id);
    if (token == NULL || memcmp(token->pub.token.hash, token_hash, COORD_KEY_SIZE) != 0) {
        return NULL;
    }
    /* Who is known keeps the name that it asked for first, whatever it calls itself now. */
    other = find_outlived(fsm, known != NULL ? known->pub.node.wanted_name : name, is_ephemeral,
                          &token->pub.token);
    return other == NULL || ray_id_equal(&other->pub.id, joiner) ? NULL : &other->pub;
}

/* What it calls itself, also while it has to go by another name. */
static const char *called(const struct newcomer *newcomer)
{
    return newcomer->wanted_name[0] != '\0' ? newcomer->wanted_name : newcomer->name;
}

/* An earlier boot of a machine without a disk, which waits for the same name under another one. */
static struct fsm_object *find_waiting(const struct fsm_apply *apply,
                                       const struct newcomer *newcomer)
{
    const struct fsm_order *nodes = &apply->fsm->order[COORD_NODE];

    for (size_t i = 0; newcomer->is_in_memory && i < nodes->count; i++) {
        struct fsm_object *other = fsm_object_of(nodes->items[i]);

        if (other->pub.node.state == COORD_NODE_PENDING && other->pub.node.is_in_memory &&
            strcmp(other->pub.node.wanted_name, called(newcomer)) == 0) {
            return other;
        }
    }
    return NULL;
}

static int check_aside(struct fsm_apply *apply, const struct fsm_object *other)
{
    char aside[COORD_NAME_SIZE];

    name_aside(other->pub.name, &other->pub.id, aside);
    return fsm_name_check(apply, COORD_NODE, aside, NULL);
}

/* Without a token: it waits for somebody who approves. */
static int ask_in(struct fsm_apply *apply, const struct newcomer *newcomer,
                  struct fsm_object *known, const struct ray_id *incarnation, uint64_t boot_counter)
{
    int rc = RAY_OK;

    if (known != NULL) {
        rc = bind_number(apply, known, incarnation, boot_counter);
    } else {
        if (count_pending(apply->fsm) >= COORD_FSM_NODES_PENDING_MAX) {
            return fsm_refuse(apply->err, RAY_ETOOBIG, "%d nodes wait for approval already",
                              COORD_FSM_NODES_PENDING_MAX);
        }
        rc = add_node(apply, newcomer, &known);
        if (rc == RAY_OK) {
            known->pub.node.is_ephemeral = newcomer->is_in_memory;
            known->pub.node.is_in_memory = newcomer->is_in_memory;
        }
    }
    if (rc == RAY_OK) {
        answer_join(apply, &known->pub.node);
    }
    return rc;
}

static int find_token(struct fsm_apply *apply, const ProtobufCBinaryData *hash,
                      struct fsm_object **out)
{
    struct fsm_object *token = NULL;
    struct ray_id id;

    if (hash->len == COORD_KEY_SIZE) {
        memcpy(id.bytes, hash->data, RAY_ID_SIZE);
        token = fsm_find(apply->fsm, COORD_TOKEN, &id);
    }
    if (token == NULL || memcmp(token->pub.token.hash, hash->data, COORD_KEY_SIZE) != 0) {
        return fsm_refuse(apply->err, RAY_EDENIED,
                          "the token is not known: used up, expired or withdrawn");
    }
    *out = token;
    return RAY_OK;
}

static int use_token(struct fsm_apply *apply, struct fsm_object *token)
{
    int rc;

    assert(token->pub.token.uses_left > 0);
    rc = token->pub.token.uses_left == 1 ? fsm_remove(apply, token) : fsm_touch(apply, token);
    if (rc == RAY_OK) {
        token->pub.token.uses_left--;
    }
    return rc;
}

/* It has begun to join before, with this token, and was not heard of since: whatever became of its
 * disk, it gets another number, and the token is not used again. */
static int join_once_more(struct fsm_apply *apply, struct fsm_object *known,
                          const struct ray_id *incarnation, uint64_t boot_counter)
{
    struct coord_node *node = &known->pub.node;
    int rc = fsm_touch(apply, known);

    if (rc != RAY_OK) {
        return rc;
    }
    fsm_node_admit_boot(apply, node, incarnation, boot_counter);
    if (node->state != COORD_NODE_PENDING) {
        node->role = COORD_NODE_OBSERVER;
        rc = fsm_node_give_raft_id(apply, node);
    }
    answer_join(apply, node);
    return rc;
}

static int check_token(struct fsm_apply *apply, const struct coord_token *token,
                       const struct newcomer *newcomer)
{
    if (token->node_name[0] == '\0' || strcmp(token->node_name, called(newcomer)) == 0) {
        return RAY_OK;
    }
    (void)fsm_refuse(apply->err, RAY_EDENIED, "the token is for a node called %s, not for %s",
                     token->node_name, called(newcomer));
    (void)ray_next(apply->err, "clusterctl token create, for this one");
    return RAY_EDENIED;
}

/* It is in, or waits. */
static int let_in(struct fsm_apply *apply, struct fsm_object *known,
                  const struct coord_token *token)
{
    struct coord_node *node = &known->pub.node;
    int rc = RAY_OK;

    if (node->state != COORD_NODE_PENDING ||
        (!token->needs_approval && node->wanted_name[0] == '\0')) {
        node->state = node->state == COORD_NODE_PENDING ? COORD_NODE_MEMBER : node->state;
        node->role = COORD_NODE_OBSERVER;
        rc = fsm_node_give_raft_id(apply, node);
    }
    return rc == RAY_OK
               ? fsm_happen(apply, "node-joined", COORD_NODE, &known->pub.id, known->pub.name)
               : rc;
}

struct joining {
    const Rayos__Registry__NodeJoin *join;
    const struct newcomer *newcomer;
    struct ray_id incarnation;
    struct fsm_object *token;
    struct fsm_object *outlived; /* NULL: none */
    struct fsm_object *waiting;  /* the same */
};

/* Nobody is removed but who was named when members looked whether it still runs. */
static int check_outlived(struct fsm_apply *apply, const struct joining *joining)
{
    struct ray_id replaces;
    int rc = fsm_optional_id(&joining->join->replaces, "replaced node", &replaces, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!ray_id_equal(joining->outlived != NULL ? &joining->outlived->pub.id : &(struct ray_id){0},
                      &replaces)) {
        (void)fsm_refuse(apply->err, RAY_ECONFLICT,
                         "whose place node %s would take has changed meanwhile",
                         called(joining->newcomer));
        (void)ray_next(apply->err, "it asks again by itself");
        return RAY_ECONFLICT;
    }
    return joining->outlived == NULL ? RAY_OK : check_aside(apply, joining->outlived);
}

static int check_joining(struct fsm_apply *apply, const struct fsm_object *known,
                         struct joining *joining)
{
    const struct newcomer *newcomer = joining->newcomer;
    int rc = find_token(apply, &joining->join->token_hash, &joining->token);

    if (rc == RAY_OK) {
        rc = check_token(apply, &joining->token->pub.token, newcomer);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    joining->outlived = find_outlived(
        apply->fsm, known != NULL ? known->pub.node.wanted_name : newcomer->wanted_name,
        newcomer->is_in_memory, &joining->token->pub.token);
    joining->waiting = known == NULL ? find_waiting(apply, newcomer) : NULL;
    return check_outlived(apply, joining);
}

static int join_with_token(struct fsm_apply *apply, struct joining *joining,
                           struct fsm_object *known)
{
    const struct coord_token *token;
    struct coord_node *node;
    int rc = check_joining(apply, known, joining);

    if (rc == RAY_OK) {
        rc = use_token(apply, joining->token);
    }
    if (rc == RAY_OK) {
        rc = known != NULL ? fsm_touch(apply, known) : add_node(apply, joining->newcomer, &known);
    }
    if (rc == RAY_OK && joining->outlived != NULL) {
        rc = take_place(apply, known, joining->outlived);
    }
    if (rc == RAY_OK && joining->waiting != NULL) {
        rc = fsm_remove(apply, joining->waiting);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    token = &joining->token->pub.token;
    node = &known->pub.node;
    node->is_ephemeral = token->is_ephemeral || joining->newcomer->is_in_memory;
    node->is_in_memory = joining->newcomer->is_in_memory;
    node->has_join_token = true;
    memcpy(node->join_token, token->hash, sizeof node->join_token);
    fsm_node_admit_boot(apply, node, &joining->incarnation, joining->join->boot_counter);
    rc = let_in(apply, known, token);
    answer_join(apply, node);
    return rc;
}

static bool is_own_token(const struct coord_node *node, const ProtobufCBinaryData *hash)
{
    return node->has_join_token && hash->len == sizeof node->join_token &&
           memcmp(node->join_token, hash->data, sizeof node->join_token) == 0;
}

int fsm_node_join(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeJoin *join = command;
    struct newcomer newcomer;
    struct joining joining = {.join = join, .newcomer = &newcomer};
    struct ray_id incarnation;
    struct fsm_object *known;
    int rc = read_newcomer(apply, join->node, &newcomer);

    if (rc == RAY_OK) {
        rc = fsm_id(&join->incarnation, "incarnation", &incarnation, apply->err);
    }
    if (rc == RAY_OK) {
        newcomer.is_in_memory = join->is_ephemeral;
        joining.incarnation = incarnation;
        rc = find_known(apply, &newcomer, &known);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (join->token_hash.len == 0) {
        return ask_in(apply, &newcomer, known, &incarnation, join->boot_counter);
    }
    if (known != NULL && ray_id_equal(&known->pub.node.incarnation, &incarnation)) {
        answer_join(apply, &known->pub.node); /* its answer was lost: it has used the token */
        return RAY_OK;
    }
    if (known != NULL && !ray_id_is_none(&known->pub.node.incarnation) &&
        join->boot_counter <= known->pub.node.boot_counter) {
        return fsm_node_duplicate(apply, known, &incarnation, join->boot_counter);
    }
    if (known != NULL && is_own_token(&known->pub.node, &join->token_hash)) {
        return join_once_more(apply, known, &incarnation, join->boot_counter);
    }
    return join_with_token(apply, &joining, known);
}

/* Who has the name that the node is to have; NULL: nobody. */
static int find_replaced(struct fsm_apply *apply, const Rayos__Registry__NodeApprove *approve,
                         const struct fsm_object *node, struct fsm_object **out)
{
    const char *wanted = node->pub.node.wanted_name;
    struct fsm_object *other =
        wanted[0] == '\0' ? NULL : fsm_find_name(apply->fsm, COORD_NODE, wanted);
    struct ray_id replaces;
    int rc = fsm_optional_id(&approve->replaces, "replaced node", &replaces, apply->err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!ray_id_equal(other != NULL ? &other->pub.id : &(struct ray_id){0}, &replaces)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT,
                        other != NULL ? "the name %s is another node's, which would be removed"
                                      : "node %s takes nobody's place any more",
                        other != NULL ? wanted : node->pub.name);
        (void)ray_next(apply->err, "look at 'clusterctl node list', and approve it again");
        return rc;
    }
    if (other != NULL) {
        rc = check_aside(apply, other);
    }
    *out = other;
    return rc;
}

int fsm_node_approve(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__NodeApprove *approve = command;
    struct fsm_object *replaced = NULL;
    struct fsm_object *object;
    int rc = fsm_find_or_fail(apply, COORD_NODE, &approve->node, &object);

    if (rc != RAY_OK) {
        return rc;
    }
    if (object->pub.node.state != COORD_NODE_PENDING) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s does not wait for approval",
                          object->pub.name);
    }
    rc = find_replaced(apply, approve, object, &replaced);
    if (rc == RAY_OK && replaced != NULL) {
        rc = remove_replaced(apply, replaced);
    }
    if (rc == RAY_OK) {
        rc = fsm_touch(apply, object);
    }
    if (rc == RAY_OK) {
        rc = take_name(apply, object);
    }
    if (rc == RAY_OK) {
        object->pub.node.state = COORD_NODE_MEMBER;
        object->pub.node.is_ephemeral = object->pub.node.is_ephemeral || approve->is_ephemeral;
        rc = fsm_node_give_raft_id(apply, &object->pub.node);
    }
    if (rc == RAY_OK) {
        rc = fsm_happen(apply, "node-approved", COORD_NODE, &object->pub.id, object->pub.name);
    }
    return rc;
}
