/* put.c - objects as clients write them: put, label, delete.
 *
 * A put sets name, labels, spec and those fields of the body that clients own; what the state
 * machine itself writes there (homes, epochs, writers) is ignored, so that an object that was
 * read can be written back. */
#include <assert.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "net/spec.h"

enum { TOKEN_USES_MAX = 1000000 };

static_assert((int)RAY_SPEC_SIZE_MAX == (int)COORD_FSM_SPEC_SIZE_MAX &&
                  (int)RAY_SPEC_VOLUME_SIZE_MAX == (int)COORD_FSM_VOLUME_SPEC_SIZE_MAX,
              "one limit");
static_assert((int)RAY_SPEC_LEVEL >= (int)COORD_FSM_FEATURE_LEVEL, "all fields of each level");

struct put {
    const Rayos__Registry__Object *message;
    enum coord_kind kind;
    struct ray_id id;
    char name[COORD_NAME_SIZE];
    struct coord_label *labels;
};

static int read_put(struct fsm_apply *apply, const Rayos__Registry__Object *message,
                    struct put *out)
{
    int rc;

    if (message == NULL || message->kind <= (int)COORD_NONE ||
        message->kind >= (int)COORD_KIND_COUNT) {
        return fsm_refuse(apply->err, RAY_EINVAL, "no object of a known kind");
    }
    out->message = message;
    out->kind = (enum coord_kind)message->kind;
    rc = fsm_id(&message->id, "object", &out->id, apply->err);
    if (rc == RAY_OK) {
        rc = fsm_word(message->name, "name", out->name, sizeof out->name, apply->err);
    }
    if (rc == RAY_OK) {
        rc = fsm_labels(message->labels, message->n_labels, &apply->fsm->arena, &out->labels,
                        apply->err);
    }
    if (rc == RAY_OK && message->spec.len > fsm_spec_size_max(out->kind)) {
        rc = fsm_refuse(apply->err, RAY_ETOOBIG, "a spec of %zu bytes, at most %zu",
                        message->spec.len, fsm_spec_size_max(out->kind));
    }
    return rc;
}

static int store_put(const struct put *put, struct fsm_object *object)
{
    const Rayos__Registry__Object *message = put->message;

    return fsm_labels_set(&object->pub, put->labels, message->n_labels) &&
                   fsm_bytes_set(&object->pub.spec, message->spec.data, message->spec.len)
               ? RAY_OK
               : RAY_ENOMEM;
}

/* A full registry takes what makes it no larger, so that what is in it can still be changed. */
static int check_room(struct fsm_apply *apply, const struct put *put,
                      const struct fsm_object *object)
{
    uint64_t after = apply->fsm->state_size + put->message->spec.len + COORD_LABELS_SIZE_MAX;

    if (object == NULL && apply->fsm->objects.count >= COORD_FSM_OBJECTS_MAX) {
        return fsm_refuse(apply->err, RAY_ETOOBIG, "the registry has %d objects, its limit",
                          COORD_FSM_OBJECTS_MAX);
    }
    if (after > COORD_FSM_STATE_SIZE_MAX &&
        (object == NULL || put->message->spec.len > object->pub.spec.size)) {
        return fsm_refuse(apply->err, RAY_ETOOBIG, "the registry has %llu bytes, its limit",
                          (unsigned long long)apply->fsm->state_size);
    }
    return RAY_OK;
}

static int check_principal_name(struct fsm_apply *apply, const char *name)
{
    return strchr(name, '@') == NULL
               ? RAY_OK
               : fsm_refuse(apply->err, RAY_EINVAL, "names with '@' are those of nodes' consoles");
}

int fsm_principal_check(struct fsm_apply *apply, const Rayos__Registry__Object *message)
{
    struct put put;
    uint8_t key[COORD_KEY_SIZE];
    int rc = read_put(apply, message, &put);

    if (rc == RAY_OK && (put.kind != COORD_PRINCIPAL ||
                         message->body_case != RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL)) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "no principal is described");
    }
    if (rc == RAY_OK && put.name[0] == '\0') {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "a principal has a name");
    }
    if (rc == RAY_OK) {
        rc = check_principal_name(apply, put.name);
    }
    if (rc == RAY_OK && !fsm_is_role(message->principal)) {
        rc = fsm_refuse(apply->err, RAY_EINVAL,
                        "a role is admin (and is_admin says so), operator or viewer");
    }
    return rc == RAY_OK
               ? fsm_fixed(&message->principal->key, "principal's key", key, sizeof key, apply->err)
               : rc;
}

/* Who is to be replaced has that name when the token is made: who takes it later is another one,
 * about whom nobody was asked. */
static int read_token_node(struct fsm_apply *apply, const Rayos__Registry__Token *in,
                           struct coord_token *out)
{
    struct fsm_object *node;
    int rc =
        fsm_word(in->node_name, "token's node", out->node_name, sizeof out->node_name, apply->err);

    if (rc == RAY_OK) {
        rc = fsm_optional_id(&in->replaces, "replaced node", &out->replaces, apply->err);
    }
    if (rc != RAY_OK || ray_id_is_none(&out->replaces)) {
        return rc;
    }
    node = fsm_find_name(apply->fsm, COORD_NODE, out->node_name);
    if (node == NULL || !ray_id_equal(&node->pub.id, &out->replaces)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT, "the node to be replaced is not called '%s'",
                        out->node_name);
        (void)ray_next(apply->err, "look at 'clusterctl node list', and make the token again");
    }
    return rc;
}

int fsm_token_check(struct fsm_apply *apply, const Rayos__Registry__Object *message)
{
    struct put put;
    uint8_t hash[COORD_KEY_SIZE];
    const Rayos__Registry__Token *token;
    struct coord_token said;
    int rc = read_put(apply, message, &put);

    if (rc != RAY_OK) {
        return rc;
    }
    if (put.kind != COORD_TOKEN || message->body_case != RAYOS__REGISTRY__OBJECT__BODY_TOKEN) {
        return fsm_refuse(apply->err, RAY_EINVAL, "no token is described");
    }
    token = message->token;
    rc = fsm_fixed(&token->hash, "token's hash", hash, sizeof hash, apply->err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (memcmp(hash, put.id.bytes, RAY_ID_SIZE) != 0) {
        return fsm_refuse(apply->err, RAY_EINVAL, "a token's id is the beginning of its hash");
    }
    if (token->uses_left == 0 || token->uses_left > TOKEN_USES_MAX ||
        token->ttl_us > UINT64_MAX / 2) {
        return fsm_refuse(apply->err, RAY_EINVAL, "a token is good for 1 to %d uses",
                          TOKEN_USES_MAX);
    }
    if (put.name[0] != '\0') {
        return fsm_refuse(apply->err, RAY_EINVAL, "tokens have no names");
    }
    return read_token_node(apply, token, &said);
}

static void set_principal(struct coord_principal *out, const Rayos__Registry__Principal *in)
{
    memcpy(out->key, in->key.data, COORD_KEY_SIZE);
    out->is_admin = in->is_admin;
    out->role = (enum coord_principal_role)in->role;
}

int fsm_put_principal(struct fsm_apply *apply, const Rayos__Registry__Object *message)
{
    struct put put;
    struct fsm_object *object;
    int rc = read_put(apply, message, &put);

    if (rc == RAY_OK) {
        rc = fsm_object_new(apply, COORD_PRINCIPAL, &put.id, put.name, &object);
    }
    if (rc == RAY_OK) {
        set_principal(&object->pub.principal, message->principal);
        rc = store_put(&put, object);
    }
    return rc;
}

int fsm_put_token(struct fsm_apply *apply, const Rayos__Registry__Object *message)
{
    const Rayos__Registry__Token *in = message->token;
    struct put put;
    struct fsm_object *object;
    struct coord_token *token;
    struct coord_token said;
    int rc = read_put(apply, message, &put);

    if (rc == RAY_OK) {
        rc = read_token_node(apply, in, &said);
    }
    if (rc == RAY_OK) {
        rc = fsm_object_new(apply, COORD_TOKEN, &put.id, "", &object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    token = &object->pub.token;
    memcpy(token->hash, in->hash.data, sizeof token->hash);
    token->uses_left = in->uses_left;
    token->needs_approval = in->needs_approval;
    token->is_ephemeral = in->is_ephemeral;
    memcpy(token->node_name, said.node_name, sizeof token->node_name);
    token->replaces = said.replaces;
    token->takes_place = in->takes_place;
    token->expires_at_us = in->ttl_us > 0 ? apply->fsm->clock_us + in->ttl_us : 0;
    return store_put(&put, object);
}

static size_t count_admins(const struct coord_fsm *fsm)
{
    const struct fsm_order *order = &fsm->order[COORD_PRINCIPAL];
    size_t count = 0;

    for (size_t i = 0; i < order->count; i++) {
        count += fsm_object_of(order->items[i])->pub.principal.is_admin;
    }
    return count;
}

/* `name` NULL: it is to go. */
static int check_not_last_admin(struct fsm_apply *apply, const struct fsm_object *principal,
                                const char *name, bool is_admin)
{
    if (principal->pub.principal.is_admin && !is_admin && count_admins(apply->fsm) == 1) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "%s is the last admin", principal->pub.name);
    }
    return fsm_policy_check_admin(apply, principal, name, is_admin);
}

/* A put that leaves its body or name out leaves them as they are. */
static int check_principal(struct fsm_apply *apply, const struct put *put,
                           const struct fsm_object *object)
{
    bool has_body = put->message->body_case == RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL;
    int rc = check_principal_name(apply, put->name);

    if (rc == RAY_OK && (object == NULL || has_body)) {
        rc = fsm_principal_check(apply, put->message);
    }
    if (rc != RAY_OK || object == NULL) {
        return rc;
    }
    return check_not_last_admin(apply, object, put->name[0] != '\0' ? put->name : object->pub.name,
                                has_body ? put->message->principal->is_admin
                                         : object->pub.principal.is_admin);
}

static int check_presentation(struct fsm_apply *apply, const struct put *put,
                              const struct fsm_object *object)
{
    const Rayos__Registry__Presentation *in = put->message->presentation;
    const struct fsm_order *order = &apply->fsm->order[COORD_PRESENTATION];
    char surface[COORD_NAME_SIZE];
    struct fsm_object *guest;
    struct fsm_object *node;
    size_t count = 0;
    int rc = fsm_find_or_fail(apply, COORD_GUEST, &in->guest, &guest);

    if (rc == RAY_OK) {
        rc = fsm_find_or_fail(apply, COORD_NODE, &in->node, &node);
    }
    if (rc == RAY_OK) {
        rc = fsm_line(in->surface, "surface", surface, sizeof surface, apply->err);
    }
    for (size_t i = 0; i < order->count && rc == RAY_OK; i++) {
        const struct fsm_object *other = fsm_object_of(order->items[i]);

        count += other != object && ray_id_equal(&other->pub.presentation.guest, &guest->pub.id);
    }
    if (rc == RAY_OK && (guest->pub.is_gone || count >= COORD_FSM_GUEST_PRESENTATIONS_MAX)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT,
                        "guest %s is being deleted, or has %d "
                        "presentations",
                        guest->pub.name, COORD_FSM_GUEST_PRESENTATIONS_MAX);
    }
    return rc;
}

static int check_operation(struct fsm_apply *apply, const struct put *put)
{
    const Rayos__Registry__Operation *in = put->message->operation;
    struct coord_operation operation;
    struct ray_id node;
    int rc = fsm_word(in->state, "operation's state", operation.state, sizeof operation.state,
                      apply->err);

    if (rc == RAY_OK) {
        rc = fsm_line(in->message, "message", operation.message, sizeof operation.message,
                      apply->err);
    }
    return rc == RAY_OK ? fsm_optional_id(&in->node, "operation's node", &node, apply->err) : rc;
}

static int refuse_policy(struct fsm_apply *apply)
{
    (void)ray_fail(apply->err, RAY_EINVAL, "a policy is set, confirmed and reverted, never put");
    (void)ray_next(apply->err, "clusterctl policy set FILE");
    return RAY_EINVAL;
}

/* What waits for approval, or did, is a record of that. */
static int refuse_asked(struct fsm_apply *apply, const struct fsm_object *operation)
{
    (void)ray_fail(apply->err, RAY_ECONFLICT, "operation %s is approved, denied or expires",
                   operation->pub.name);
    (void)ray_next(apply->err, "clusterctl op approve|deny %s", operation->pub.name);
    return RAY_ECONFLICT;
}

/* The body that a kind must have to be made, and what may be in it. */
static int check_body(struct fsm_apply *apply, const struct put *put,
                      const struct fsm_object *object)
{
    Rayos__Registry__Object__BodyCase body = put->message->body_case;

    if (body != RAYOS__REGISTRY__OBJECT__BODY__NOT_SET &&
        (int)body != (int)fsm_body_of(put->kind)) {
        return fsm_refuse(apply->err, RAY_EINVAL, "the body is that of another kind");
    }
    switch (put->kind) {
    case COORD_POLICY:
        return refuse_policy(apply);
    case COORD_NETWORK:
    case COORD_IMAGE:
    case COORD_VOLUME:
    case COORD_GUEST:
        return RAY_OK;
    case COORD_NODE:
        if (object == NULL) {
            return fsm_refuse(apply->err, RAY_EINVAL, "a node comes in by joining");
        }
        if (body != RAYOS__REGISTRY__OBJECT__BODY__NOT_SET) {
            char domain[COORD_DOMAIN_SIZE];

            return fsm_word(put->message->node->domain, "failure domain", domain, sizeof domain,
                            apply->err);
        }
        return RAY_OK;
    case COORD_PRINCIPAL:
        return check_principal(apply, put, object);
    case COORD_TOKEN:
        if (object != NULL) {
            return fsm_refuse(apply->err, RAY_EEXISTS, "a token is made once");
        }
        if (apply->fsm->order[COORD_TOKEN].count >= COORD_FSM_TOKENS_MAX) {
            return fsm_refuse(apply->err, RAY_ETOOBIG, "there are %d tokens, the limit",
                              COORD_FSM_TOKENS_MAX);
        }
        if (body == RAYOS__REGISTRY__OBJECT__BODY_TOKEN && put->message->token->takes_place) {
            return fsm_refuse(apply->err, RAY_EINVAL,
                              "a token names whom it replaces, but for the founder's");
        }
        return fsm_token_check(apply, put->message);
    case COORD_PRESENTATION:
        return body != RAYOS__REGISTRY__OBJECT__BODY__NOT_SET
                   ? check_presentation(apply, put, object)
                   : fsm_refuse(apply->err, RAY_EINVAL, "a presentation says guest and node");
    case COORD_OPERATION:
        if (object != NULL && object->pub.operation.asker[0] != '\0') {
            return refuse_asked(apply, object);
        }
        return body != RAYOS__REGISTRY__OBJECT__BODY__NOT_SET ? check_operation(apply, put)
                                                              : RAY_OK;
    default:
        return fsm_refuse(apply->err, RAY_EINVAL, "objects of this kind are not put");
    }
}

/* By the cluster's feature level, so that a replica of a newer version refuses the same. What was
 * put before that is not looked at again. */
static int check_spec(struct fsm_apply *apply, const struct put *put)
{
    const ProtobufCBinaryData *spec = &put->message->spec;
    ProtobufCMessage *message;
    enum ray_spec_kind kind;

    switch (put->kind) {
    case COORD_GUEST:
        kind = RAY_SPEC_GUEST;
        break;
    case COORD_IMAGE:
        kind = RAY_SPEC_IMAGE;
        break;
    case COORD_NETWORK:
        kind = RAY_SPEC_NETWORK;
        break;
    case COORD_VOLUME:
        kind = RAY_SPEC_VOLUME;
        break;
    default:
        return RAY_OK;
    }
    if (spec->len == 0) {
        return RAY_OK;
    }
    return ray_spec_check(kind, apply->fsm->cluster->pub.cluster.feature_level, spec->data,
                          spec->len, &apply->fsm->arena, &message, apply->err);
}

static void set_operation(struct coord_operation *out, const Rayos__Registry__Operation *in)
{
    *out = (struct coord_operation){0};
    memcpy(out->state, in->state, strlen(in->state));
    memcpy(out->message, in->message, strlen(in->message));
    if (in->node.len == RAY_ID_SIZE) {
        memcpy(out->node.bytes, in->node.data, RAY_ID_SIZE);
    }
}

static void set_presentation(struct fsm_apply *apply, struct coord_presentation *out,
                             const Rayos__Registry__Presentation *in)
{
    *out = (struct coord_presentation){0};
    memcpy(out->guest.bytes, in->guest.data, RAY_ID_SIZE);
    memcpy(out->node.bytes, in->node.data, RAY_ID_SIZE);
    memcpy(out->surface, in->surface, strlen(in->surface));
    out->epoch.cluster = apply->fsm->cluster->pub.cluster.cluster_epoch;
    out->epoch.index = apply->index;
}

/* What clients own of a body; checked before. */
static void set_body(struct fsm_apply *apply, const Rayos__Registry__Object *message,
                     struct coord_object *pub)
{
    switch (message->body_case) {
    case RAYOS__REGISTRY__OBJECT__BODY_GUEST:
        pub->guest.is_wanted = message->guest->wanted == RAYOS__REGISTRY__WANTED__WANTED_RUNNING;
        pub->guest.is_strict = message->guest->is_strict;
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_NODE:
        memset(pub->node.domain, 0, sizeof pub->node.domain);
        memcpy(pub->node.domain, message->node->domain, strlen(message->node->domain));
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_PRINCIPAL:
        set_principal(&pub->principal, message->principal);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_PRESENTATION:
        set_presentation(apply, &pub->presentation, message->presentation);
        break;
    case RAYOS__REGISTRY__OBJECT__BODY_OPERATION:
        set_operation(&pub->operation, message->operation);
        break;
    default:
        break;
    }
}

static int create(struct fsm_apply *apply, const struct put *put)
{
    struct fsm_object *object;
    int rc;

    if (put->kind == COORD_TOKEN) {
        return fsm_put_token(apply, put->message);
    }
    if (put->kind == COORD_PRINCIPAL) {
        return fsm_put_principal(apply, put->message);
    }
    rc = fsm_object_new(apply, put->kind, &put->id, put->name, &object);
    if (rc != RAY_OK) {
        return rc;
    }
    if (put->kind == COORD_GUEST) {
        object->pub.guest.state = RAYOS__REGISTRY__GUEST_STATE__GUEST_STOPPED;
    }
    set_body(apply, put->message, &object->pub);
    return store_put(put, object);
}

static int update(struct fsm_apply *apply, const struct put *put, struct fsm_object *object)
{
    int rc = fsm_touch(apply, object);

    if (rc != RAY_OK) {
        return rc;
    }
    if (put->name[0] != '\0' && !fsm_object_rename(apply->fsm, object, put->name)) {
        return RAY_ENOMEM;
    }
    set_body(apply, put->message, &object->pub);
    return store_put(put, object);
}

static int check_revision(struct fsm_apply *apply, const struct fsm_object *object,
                          uint64_t expected)
{
    if (expected != 0 && object->pub.revision != expected) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "its revision is %llu, not %llu",
                          (unsigned long long)object->pub.revision, (unsigned long long)expected);
    }
    return RAY_OK;
}

static int check_existing(struct fsm_apply *apply, const Rayos__Registry__ObjectPut *command,
                          const struct fsm_object *object)
{
    if (command->is_create) {
        return fsm_refuse(apply->err, RAY_EEXISTS, "the object is there already");
    }
    if (object->pub.is_gone) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "it is being deleted");
    }
    return check_revision(apply, object, command->expected_revision);
}

int fsm_object_put(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__ObjectPut *request = command;
    struct fsm_object *object;
    struct put put;
    int rc = read_put(apply, request->object, &put);

    if (rc != RAY_OK) {
        return rc;
    }
    object = fsm_find(apply->fsm, put.kind, &put.id);
    if (object != NULL) {
        rc = check_existing(apply, request, object);
    } else if (request->is_update || request->expected_revision != 0) {
        rc = fsm_refuse(apply->err, RAY_ENOTFOUND, "the object is not there");
    }
    if (rc == RAY_OK) {
        rc = check_body(apply, &put, object);
    }
    if (rc == RAY_OK) {
        rc = check_spec(apply, &put);
    }
    if (rc == RAY_OK) {
        rc = fsm_name_check(apply, put.kind, put.name, object);
    }
    if (rc == RAY_OK) {
        rc = check_room(apply, &put, object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    return object != NULL ? update(apply, &put, object) : create(apply, &put);
}

bool fsm_label_is_removed(const Rayos__Registry__ObjectLabel *command, const char *key)
{
    for (size_t i = 0; i < command->n_remove; i++) {
        if (strcmp(command->remove[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* Old labels without the removed ones, overlaid by the new; both are sorted. */
static size_t merge_labels(const struct coord_object *object,
                           const Rayos__Registry__ObjectLabel *command,
                           const struct coord_label *set, struct coord_label *out)
{
    size_t count = 0;
    size_t old = 0;
    size_t added = 0;

    while (old < object->label_count || added < command->n_set) {
        int order = 0;

        if (old == object->label_count) {
            order = 1;
        } else if (added == command->n_set) {
            order = -1;
        } else {
            order = strcmp(object->labels[old].key, set[added].key);
        }
        if (order < 0) {
            if (!fsm_label_is_removed(command, object->labels[old].key)) {
                out[count++] = object->labels[old];
            }
            old++;
        } else {
            old += order == 0;
            out[count++] = set[added++];
        }
    }
    return count;
}

static int check_merged(struct fsm_apply *apply, const struct coord_label *labels, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += strlen(labels[i].key) + labels[i].value.size;
    }
    if (count > COORD_LABELS_MAX || size > COORD_LABELS_SIZE_MAX) {
        return fsm_refuse(apply->err, RAY_ETOOBIG, "%zu labels of %zu bytes, at most %d of %d",
                          count, size, COORD_LABELS_MAX, COORD_LABELS_SIZE_MAX);
    }
    return RAY_OK;
}

static int find_by_kind(struct fsm_apply *apply, int kind, const ProtobufCBinaryData *id,
                        struct fsm_object **out)
{
    if (kind <= (int)COORD_NONE || kind >= (int)COORD_KIND_COUNT) {
        return fsm_refuse(apply->err, RAY_EINVAL, "no such kind: %d", kind);
    }
    return fsm_find_or_fail(apply, (enum coord_kind)kind, id, out);
}

int fsm_object_label(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__ObjectLabel *request = command;
    struct coord_label *set;
    struct coord_label *merged;
    struct fsm_object *object;
    size_t count;
    int rc = find_by_kind(apply, (int)request->kind, &request->id, &object);

    if (rc == RAY_OK) {
        rc = fsm_labels(request->set, request->n_set, &apply->fsm->arena, &set, apply->err);
    }
    if (rc == RAY_OK && request->n_remove > COORD_LABELS_MAX) {
        rc = fsm_refuse(apply->err, RAY_ETOOBIG, "at most %d labels are removed at once",
                        COORD_LABELS_MAX);
    }
    if (rc == RAY_OK) {
        rc = check_revision(apply, object, request->expected_revision);
    }
    if (rc == RAY_OK && (object->pub.kind == COORD_EVENT || object->pub.is_gone)) {
        rc = fsm_refuse(apply->err, RAY_ECONFLICT,
                        "events, and what is being deleted, stay as "
                        "they are");
    }
    if (rc != RAY_OK) {
        return rc;
    }
    merged = ray_arena_alloc(&apply->fsm->arena,
                             (request->n_set + object->pub.label_count + 1) * sizeof *merged);
    if (merged == NULL) {
        return RAY_ENOMEM;
    }
    count = merge_labels(&object->pub, request, set, merged);
    rc = check_merged(apply, merged, count);
    if (rc == RAY_OK) {
        rc = fsm_touch(apply, object);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    return fsm_labels_set(&object->pub, merged, count) ? RAY_OK : RAY_ENOMEM;
}

static int delete_guest(struct fsm_apply *apply, struct fsm_object *guest)
{
    int rc;

    if (!guest->pub.guest.has_run) {
        return fsm_guest_delete(apply, guest);
    }
    rc = fsm_touch(apply, guest);
    if (rc == RAY_OK) {
        guest->pub.is_gone = true;
        guest->pub.guest.is_wanted = false;
    }
    return rc;
}

int fsm_object_delete(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__ObjectDelete *request = command;
    struct fsm_object *object;
    int rc = find_by_kind(apply, (int)request->kind, &request->id, &object);

    if (rc == RAY_OK) {
        rc = check_revision(apply, object, request->expected_revision);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    switch (object->pub.kind) {
    case COORD_GUEST:
        return delete_guest(apply, object);
    case COORD_VOLUME:
        return fsm_volume_delete(apply, object);
    case COORD_PRINCIPAL:
        rc = check_not_last_admin(apply, object, NULL, false);
        return rc == RAY_OK ? fsm_remove(apply, object) : rc;
    case COORD_MIGRATION:
        return object->pub.migration.state != COORD_MIGRATION_OPEN
                   ? fsm_remove(apply, object)
                   : fsm_refuse(apply->err, RAY_ECONFLICT, "the migration is open");
    case COORD_NODE:
        return fsm_refuse(apply->err, RAY_EINVAL, "a node is removed by node-remove");
    case COORD_POLICY:
        return refuse_policy(apply);
    case COORD_OPERATION:
        return object->pub.operation.asker[0] != '\0' ? refuse_asked(apply, object)
                                                      : fsm_remove(apply, object);
    case COORD_CLUSTER:
    case COORD_EVENT:
        return fsm_refuse(apply->err, RAY_EINVAL, "objects of this kind are not deleted");
    default:
        return fsm_remove(apply, object);
    }
}
