/* describe.c - objects as the rules see them: kind, name, labels, place, and how much they ask for.
 *
 * How much is measured only for rules that look at it; what cannot be measured is more than any
 * limit, so that no `at_most` lets it through. */
#include <assert.h>

#include "coordinator/fsm/state.h"
#include "net/spec.h"

static const char *const kinds[COORD_KIND_COUNT] = {
    "",      "cluster", "node",  "principal", "token",        "policy", "network",
    "image", "volume",  "guest", "migration", "presentation", "op",     "event",
};

const char *fsm_kind_text(enum coord_kind kind)
{
    assert((unsigned)kind < COORD_KIND_COUNT);
    return kinds[kind];
}

const char *fsm_node_name(const struct coord_fsm *fsm, const struct ray_id *id)
{
    const struct fsm_object *node = fsm_find(fsm, COORD_NODE, id);

    return node != NULL && node->pub.name[0] != '\0' ? node->pub.name : NULL;
}

static void set_labels(const struct coord_object *object, struct coord_fsm_described *out)
{
    assert(object->label_count <= COORD_LABELS_MAX);
    for (size_t i = 0; i < object->label_count; i++) {
        const struct coord_label *label = &object->labels[i];

        out->labels[i] = (struct coord_policy_label){.key = label->key,
                                                     .value = (const char *)label->value.data,
                                                     .value_size = label->value.size};
    }
    out->object.labels = out->labels;
    out->object.label_count = object->label_count;
}

/* Where it is. */
static const char *place_of(const struct coord_fsm *fsm, const struct coord_object *object)
{
    const struct fsm_object *guest;

    switch (object->kind) {
    case COORD_NODE:
        return object->name[0] != '\0' ? object->name : NULL;
    case COORD_GUEST:
        return fsm_node_name(fsm, &object->guest.home.node);
    case COORD_PRESENTATION:
        return fsm_node_name(fsm, &object->presentation.node);
    case COORD_VOLUME:
        guest = fsm_find(fsm, COORD_GUEST, &object->volume.guest);
        return guest != NULL ? fsm_node_name(fsm, &guest->pub.guest.home.node) : NULL;
    default:
        return NULL;
    }
}

/* ---- how much ---- */

void fsm_set_unmeasured(struct coord_policy_object *out)
{
    out->vcpus = UINT32_MAX;
    out->memory_mib = UINT64_MAX;
    out->disk_mib = UINT64_MAX;
}

int fsm_spec_read(struct coord_fsm *fsm, enum ray_spec_kind kind, const struct coord_bytes *spec,
                  ProtobufCMessage **out)
{
    uint32_t level = fsm->cluster != NULL ? fsm->cluster->pub.cluster.feature_level : 0;
    int rc;

    fsm_arena_reset(&fsm->scratch);
    *out = NULL;
    rc = ray_spec_check(kind, level, spec->data, spec->size, &fsm->scratch, out, NULL);
    if (rc != RAY_OK) {
        *out = NULL;
    }
    return rc == RAY_ENOMEM ? rc : RAY_OK; /* never another verdict: here alone it would be one */
}

/* What no disk size is given for has its image's. */
static int image_disk_mib(struct coord_fsm *fsm, const char *name, uint64_t *out)
{
    const struct fsm_object *image = fsm_find_name(fsm, COORD_IMAGE, name);
    ProtobufCMessage *message = NULL;
    int rc = RAY_OK;

    if (name[0] == '\0') {
        *out = 0;
        return RAY_OK;
    }
    if (image != NULL) {
        rc = fsm_spec_read(fsm, RAY_SPEC_IMAGE, &image->pub.spec, &message);
    }
    *out = message != NULL ? ((Rayos__Spec__ImageSpec *)message)->size_bytes / RAY_SPEC_MIB
                           : UINT64_MAX;
    return rc;
}

static int measure_guest(struct coord_fsm *fsm, const struct coord_bytes *bytes,
                         struct coord_policy_object *out)
{
    ProtobufCMessage *message;
    const Rayos__Spec__GuestSpec *spec;
    uint64_t memory;
    int rc = fsm_spec_read(fsm, RAY_SPEC_GUEST, bytes, &message);

    fsm_set_unmeasured(out);
    spec = (const Rayos__Spec__GuestSpec *)message;
    if (spec == NULL) {
        return rc;
    }
    memory = spec->memory_bytes != 0 ? spec->memory_bytes : RAY_SPEC_MEMORY_DEFAULT;
    out->vcpus = spec->vcpus != 0 ? spec->vcpus : 1;
    out->memory_mib = memory / RAY_SPEC_MIB;
    if (spec->disk_bytes != 0) {
        out->disk_mib = spec->disk_bytes / RAY_SPEC_MIB;
        return RAY_OK;
    }
    return image_disk_mib(fsm, spec->image, &out->disk_mib); /* the guest's spec is gone then */
}

int fsm_measure(struct coord_fsm *fsm, const struct coord_policy *policy, enum coord_kind kind,
                const struct coord_bytes *spec, struct coord_policy_object *out)
{
    ProtobufCMessage *message;
    int rc;

    if (policy == NULL || !coord_policy_has_limits(policy)) {
        return RAY_OK;
    }
    if (kind == COORD_GUEST) {
        return measure_guest(fsm, spec, out);
    }
    if (kind != COORD_VOLUME) {
        return RAY_OK;
    }
    rc = fsm_spec_read(fsm, RAY_SPEC_VOLUME, spec, &message);
    out->disk_mib = message != NULL
                        ? ((Rayos__Spec__VolumeSpec *)message)->size_bytes / RAY_SPEC_MIB
                        : UINT64_MAX;
    return rc;
}

int coord_fsm_describe(struct coord_fsm *fsm, const struct coord_policy *policy,
                       const struct coord_object *object, struct coord_fsm_described *out)
{
    out->object = (struct coord_policy_object){
        .kind = kinds[object->kind],
        .name = object->name[0] != '\0' ? object->name : ray_id_format(&object->id, out->id_text),
        .node = place_of(fsm, object)};
    set_labels(object, out);
    return fsm_measure(fsm, policy, object->kind, &object->spec, &out->object);
}

struct coord_policy_decision coord_fsm_decide(const struct coord_policy *policy,
                                              const struct coord_policy_actor *actor,
                                              enum coord_policy_action action,
                                              const struct coord_policy_object *object)
{
    if (policy != NULL) {
        return coord_policy_decide(policy, actor, action, object);
    }
    if ((actor->roles & COORD_POLICY_ADMIN) == 0) {
        return (struct coord_policy_decision){
            .effect = COORD_POLICY_DENY, .name = "default", .reason = "there are no rules"};
    }
    return (struct coord_policy_decision){
        .effect = COORD_POLICY_ALLOW, .name = "admins", .reason = ""};
}
