/* view.c - one pass over nodes, one over volumes, one over guests; then a request at a time. Guests
 * that have no home take nothing and stand in nobody's way. What facts and specs say is in cache.c.
 */
#include "coordinator/place/view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum {
    SCRATCH_SIZE_MAX = 4 << 20, /* facts or a spec, and an image */
    REQUEST_ARENA_SIZE_MAX = 4 << 20,
    ARCHITECTURE_UNKNOWN = 0,
    ARCHITECTURE_X86_64 = 1,
    ARCHITECTURE_AARCH64 = 2,
    MIB_SHIFT = 20,
};

struct coord_place_view {
    struct coord_fsm *fsm;
    struct coord_place_cache *cache;
    struct coord_place_cache *own_cache; /* where the owner gave none */
    struct coord_place_cluster cluster;
    struct coord_place_node *nodes;
    const struct coord_object **objects; /* of nodes, sorted by id */
    uint32_t *lacks;
    struct ray_arena scratch; /* facts and specs of others */
    struct ray_arena arena;   /* of a request */
    /* Of the request at hand. */
    struct coord_place_relation *relations;
    uint32_t relation_count;
};

/* ---- words ---- */

static uint16_t architecture_of(const char *name)
{
    if (strcmp(name, "x86_64") == 0) {
        return ARCHITECTURE_X86_64;
    }
    return strcmp(name, "aarch64") == 0 ? ARCHITECTURE_AARCH64 : ARCHITECTURE_UNKNOWN;
}

static bool has_feature(const Rayos__Node__Cpu *cpu, const char *name)
{
    for (size_t i = 0; i < cpu->n_features; i++) {
        if (strcmp(cpu->features[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_features(const Rayos__Node__Cpu *cpu, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_feature(cpu, names[i])) {
            return false;
        }
    }
    return true;
}

uint16_t coord_place_cpu_level(const Rayos__Node__Cpu *cpu)
{
    /* System V ABI, AMD64 supplement, section 3.1.1, by the kernel's names. */
    static const char *const v2[] = {"cx16",   "lahf_lm", "popcnt", "pni",
                                     "sse4_1", "sse4_2",  "ssse3"};
    static const char *const v3[] = {"avx", "avx2", "bmi1",  "bmi2", "f16c",
                                     "fma", "abm",  "movbe", "xsave"};
    static const char *const v4[] = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};

    if (strcmp(cpu->architecture, "x86_64") != 0 || !has_features(cpu, v2, RAY_ARRAY_COUNT(v2))) {
        return 1;
    }
    if (!has_features(cpu, v3, RAY_ARRAY_COUNT(v3))) {
        return 2;
    }
    return has_features(cpu, v4, RAY_ARRAY_COUNT(v4)) ? 4 : 3;
}

/* ---- amounts ---- */

static uint64_t at_most(uint64_t value)
{
    return value < COORD_PLACE_AMOUNT_MAX ? value : COORD_PLACE_AMOUNT_MAX;
}

static uint64_t mib(uint64_t bytes)
{
    return at_most(bytes >> MIB_SHIFT);
}

static void add(uint64_t *sum, uint64_t more)
{
    *sum = at_most(*sum + more); /* both at most 2^40 */
}

/* What a node has for guests; what it holds in RAM alone is no place for disks. */
static void set_total(struct coord_place_amount *out, const struct coord_object *node,
                      const Rayos__Node__Facts *facts)
{
    uint64_t memory = facts->memory == NULL ? 0 : mib(facts->memory->total_bytes);

    out->of[COORD_PLACE_CPU] =
        facts->cpu == NULL ? 0
                           : at_most(UINT64_C(1000) * COORD_PLACE_CPU_SHARE * facts->cpu->count);
    out->of[COORD_PLACE_MEMORY] =
        memory > COORD_PLACE_NODE_MEMORY_MIB ? memory - COORD_PLACE_NODE_MEMORY_MIB : 0;
    out->of[COORD_PLACE_DISK] = node->node.is_ephemeral ? 0 : mib(facts->data_bytes);
}

/* ---- nodes ---- */

static enum coord_place_standing standing_of(const struct place_record *record)
{
    const struct coord_object *node = record->object;

    switch (node->node.state) {
    case COORD_NODE_PENDING:
    case COORD_NODE_UNCLAIMED:
        return COORD_PLACE_PENDING;
    case COORD_NODE_DRAINED:
        return COORD_PLACE_DRAINED;
    case COORD_NODE_REMOVED:
        return COORD_PLACE_REMOVED;
    case COORD_NODE_MEMBER:
        break;
    }
    if (node->node.is_quarantined) {
        return COORD_PLACE_QUARANTINED;
    }
    if (strcmp(node->node.health, "failed") == 0) {
        return COORD_PLACE_FAILED;
    }
    if (ray_id_is_none(&node->node.incarnation)) {
        return COORD_PLACE_SILENT;
    }
    if (!record->has_cpu) {
        return COORD_PLACE_UNKNOWN;
    }
    if (!node->node.is_fit_for_leases) {
        return COORD_PLACE_UNFIT;
    }
    return record->has_kvm ? COORD_PLACE_STANDS : COORD_PLACE_NO_KVM;
}

/* NULL: it has not said any, or they cannot be read. */
static const Rayos__Node__Facts *facts_of(struct coord_place_view *view,
                                          const struct coord_object *node)
{
    const struct coord_bytes *bytes = &node->node.facts;
    ProtobufCMessage *message = NULL;

    ray_arena_reset(&view->scratch);
    if (bytes->size == 0 ||
        ray_proto_unpack(&rayos__node__facts__descriptor, bytes->data, bytes->size, &view->scratch,
                         &message, NULL) != RAY_OK) {
        return NULL;
    }
    return (const Rayos__Node__Facts *)message;
}

static void read_node(void *arg, const struct coord_object *node, struct place_record *out)
{
    const Rayos__Node__Facts *facts = facts_of(arg, node);

    if (facts != NULL) {
        set_total(&out->amount, node, facts);
    }
    if (facts != NULL && facts->cpu != NULL) {
        out->has_cpu = true;
        out->has_kvm = facts->cpu->has_kvm;
        out->architecture = architecture_of(facts->cpu->architecture);
        out->cpu_level = coord_place_cpu_level(facts->cpu);
    }
}

static void set_node(struct coord_place_view *view, uint32_t index,
                     const struct place_record *record)
{
    view->nodes[index] = (struct coord_place_node){.standing = standing_of(record),
                                                   .domain = index,
                                                   .total = record->amount,
                                                   .architecture = record->architecture,
                                                   .cpu_level = record->cpu_level};
}

static int compare_domains(const void *a, const void *b, void *arg)
{
    const struct coord_place_view *view = arg;
    uint32_t one = *(const uint32_t *)a;
    uint32_t other = *(const uint32_t *)b;
    int order = strcmp(view->objects[one]->node.domain, view->objects[other]->node.domain);

    return order != 0 ? order : (one > other) - (one < other);
}

/* Nodes of one name get the number of the first of them; without name each has its own. */
static int number_domains(struct coord_place_view *view)
{
    uint32_t count = view->cluster.node_count;
    uint32_t *order;

    assert(count > 0);
    order = malloc(count * sizeof(*order));
    if (order == NULL) {
        return RAY_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    qsort_r(order, count, sizeof(*order), compare_domains, view);
    for (uint32_t i = 1; i < count; i++) {
        const char *domain = view->objects[order[i]]->node.domain;

        if (domain[0] != '\0' && strcmp(domain, view->objects[order[i - 1]]->node.domain) == 0) {
            view->nodes[order[i]].domain = view->nodes[order[i - 1]].domain;
        }
    }
    free(order);
    return RAY_OK;
}

/* The objects are those of the records, in the same order. */
static void list_objects(struct coord_place_view *view)
{
    const struct place_records *records = place_cache_records(view->cache, PLACE_NODES);

    assert(records->count == view->cluster.node_count);
    for (uint32_t i = 0; i < view->cluster.node_count; i++) {
        view->objects[i] = records->items[i].object;
    }
}

static int list_nodes(struct coord_place_view *view)
{
    const struct place_records *records = place_cache_records(view->cache, PLACE_NODES);

    list_objects(view);
    for (uint32_t i = 0; i < view->cluster.node_count; i++) {
        set_node(view, i, &records->items[i]);
    }
    return number_domains(view);
}

uint32_t coord_place_view_index(const struct coord_place_view *view, const struct ray_id *node)
{
    uint32_t first = 0;
    uint32_t end = view->cluster.node_count;

    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        int order = memcmp(view->objects[middle]->id.bytes, node->bytes, RAY_ID_SIZE);

        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return COORD_PLACE_NOWHERE;
}

/* ---- what others take ---- */

/* In `arena`; NULL: it cannot be read. */
static const ProtobufCMessage *spec_of(const struct coord_object *object, enum ray_spec_kind kind,
                                       struct ray_arena *arena)
{
    ProtobufCMessage *message = NULL;

    return ray_spec_check(kind, RAY_SPEC_LEVEL, object->spec.data, object->spec.size, arena,
                          &message, NULL) == RAY_OK
               ? message
               : NULL;
}

const Rayos__Spec__GuestSpec *coord_place_view_spec(const struct coord_object *guest,
                                                    struct ray_arena *arena)
{
    return (const Rayos__Spec__GuestSpec *)spec_of(guest, RAY_SPEC_GUEST, arena);
}

static uint64_t image_size(struct coord_place_view *view, const char *name, struct ray_arena *arena)
{
    const struct coord_object *image =
        name[0] == '\0' ? NULL : coord_fsm_find_name(view->fsm, COORD_IMAGE, name);
    const ProtobufCMessage *spec = image == NULL ? NULL : spec_of(image, RAY_SPEC_IMAGE, arena);

    return spec == NULL ? 0 : ((const Rayos__Spec__ImageSpec *)spec)->size_bytes;
}

/* `spec` NULL: all defaults. */
static struct coord_place_amount
needs_of(struct coord_place_view *view, const Rayos__Spec__GuestSpec *spec, struct ray_arena *arena)
{
    static const Rayos__Spec__GuestSpec defaults = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct coord_place_amount needs;
    uint64_t disk;

    spec = spec == NULL ? &defaults : spec;
    disk = spec->disk_bytes > 0 ? spec->disk_bytes : image_size(view, spec->image, arena);
    needs.of[COORD_PLACE_CPU] = UINT64_C(1000) * (spec->vcpus == 0 ? 1 : spec->vcpus);
    needs.of[COORD_PLACE_MEMORY] =
        mib(spec->memory_bytes == 0 ? RAY_SPEC_MEMORY_DEFAULT : spec->memory_bytes) +
        COORD_PLACE_MONITOR_MEMORY_MIB;
    needs.of[COORD_PLACE_DISK] = mib(disk + RAY_SPEC_MIB - 1);
    return needs;
}

static void read_guest(void *arg, const struct coord_object *guest, struct place_record *out)
{
    struct coord_place_view *view = arg;
    const Rayos__Spec__GuestSpec *spec;

    ray_arena_reset(&view->scratch);
    spec = coord_place_view_spec(guest, &view->scratch);
    out->has_image = spec != NULL && spec->disk_bytes == 0 && spec->image[0] != '\0';
    out->has_relations = spec != NULL && spec->n_relations > 0;
    out->amount = needs_of(view, spec, &view->scratch);
}

static uint32_t home_of(const struct coord_place_view *view, const struct coord_object *guest)
{
    return guest->guest.has_run ? coord_place_view_index(view, &guest->guest.home.node)
                                : COORD_PLACE_NOWHERE;
}

static void add_guests(struct coord_place_view *view)
{
    const struct place_records *records = place_cache_records(view->cache, PLACE_GUESTS);

    for (size_t i = 0; i < records->count; i++) {
        uint32_t node = home_of(view, records->items[i].object);

        for (int r = 0; node != COORD_PLACE_NOWHERE && r < COORD_PLACE_RESOURCE_COUNT; r++) {
            add(&view->nodes[node].used.of[r], records->items[i].amount.of[r]);
        }
    }
}

/* Where a volume's blocks are. */
static uint32_t volume_node(const struct coord_place_view *view,
                            const Rayos__Spec__VolumeSpec *spec)
{
    struct ray_id id;

    return ray_id_from_bytes(spec->node.data, spec->node.len, &id, NULL) == RAY_OK
               ? coord_place_view_index(view, &id)
               : COORD_PLACE_NOWHERE;
}

static void read_volume(void *arg, const struct coord_object *volume, struct place_record *out)
{
    struct coord_place_view *view = arg;
    const Rayos__Spec__VolumeSpec *spec;

    ray_arena_reset(&view->scratch);
    spec = (const Rayos__Spec__VolumeSpec *)spec_of(volume, RAY_SPEC_VOLUME, &view->scratch);
    if (spec != NULL &&
        ray_id_from_bytes(spec->node.data, spec->node.len, &out->node, NULL) == RAY_OK) {
        out->amount.of[COORD_PLACE_DISK] = mib(spec->size_bytes);
    }
}

static void add_volumes(struct coord_place_view *view)
{
    const struct place_records *records = place_cache_records(view->cache, PLACE_VOLUMES);

    for (size_t i = 0; i < records->count; i++) {
        uint32_t node = coord_place_view_index(view, &records->items[i].node);

        if (node != COORD_PLACE_NOWHERE) {
            add(&view->nodes[node].used.of[COORD_PLACE_DISK],
                records->items[i].amount.of[COORD_PLACE_DISK]);
        }
    }
}

/* ---- life ---- */

static int read_all(struct coord_place_view *view)
{
    int rc = place_cache_renew(view->cache, view->fsm, PLACE_NODES, read_node, view);

    if (rc == RAY_OK) {
        rc = place_cache_renew(view->cache, view->fsm, PLACE_VOLUMES, read_volume, view);
    }
    return rc == RAY_OK ? place_cache_renew(view->cache, view->fsm, PLACE_GUESTS, read_guest, view)
                        : rc;
}

/* As it was at the last question, where nothing has happened since. */
static int fill(struct coord_place_view *view)
{
    uint32_t count = view->cluster.node_count;
    const struct coord_place_node *kept = place_cache_nodes(view->cache, view->fsm, count);
    int rc;

    if (kept != NULL) {
        list_objects(view);
        memcpy(view->nodes, kept, count * sizeof(*kept));
        return RAY_OK;
    }
    rc = read_all(view);
    if (rc == RAY_OK) {
        rc = list_nodes(view);
    }
    if (rc == RAY_OK) {
        add_volumes(view);
        add_guests(view);
        place_cache_keep_nodes(view->cache, view->fsm, view->nodes, count);
    }
    return rc;
}

static int allocate(struct coord_place_view *view, size_t count)
{
    view->nodes = calloc(count, sizeof(*view->nodes));
    view->objects = calloc(count, sizeof(*view->objects));
    view->lacks = calloc(count, sizeof(*view->lacks));
    view->cluster =
        (struct coord_place_cluster){.nodes = view->nodes, .node_count = (uint32_t)count};
    if (view->nodes == NULL || view->objects == NULL || view->lacks == NULL) {
        return RAY_ENOMEM;
    }
    if (view->cache == NULL && coord_place_cache_create(&view->own_cache, NULL) == RAY_OK) {
        view->cache = view->own_cache;
    }
    return view->cache == NULL ? RAY_ENOMEM : RAY_OK;
}

int coord_place_view_create(struct coord_fsm *fsm, struct coord_place_cache *cache,
                            struct coord_place_view **out_view, struct ray_err *err)
{
    size_t count = coord_fsm_count(fsm, COORD_NODE);
    struct coord_place_view *view;

    if (count == 0) {
        return ray_fail(err, RAY_ENOTFOUND, "there is no node");
    }
    if (count > COORD_PLACE_NODES_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "%zu nodes, at most %d", count, COORD_PLACE_NODES_MAX);
    }
    view = calloc(1, sizeof(*view));
    if (view == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a view of the cluster");
    }
    view->fsm = fsm;
    view->cache = cache;
    ray_arena_init(&view->scratch, SCRATCH_SIZE_MAX);
    ray_arena_init(&view->arena, REQUEST_ARENA_SIZE_MAX);
    if (allocate(view, count) != RAY_OK || fill(view) != RAY_OK) {
        coord_place_view_destroy(view);
        return ray_fail(err, RAY_ENOMEM, "a view of the cluster");
    }
    *out_view = view;
    return RAY_OK;
}

void coord_place_view_destroy(struct coord_place_view *view)
{
    if (view == NULL) {
        return;
    }
    coord_place_cache_destroy(view->own_cache);
    free(view->relations);
    free(view->lacks);
    free((void *)view->objects);
    free(view->nodes);
    ray_arena_fini(&view->arena);
    ray_arena_fini(&view->scratch);
    free(view);
}

const struct coord_place_cluster *coord_place_view_cluster(const struct coord_place_view *view)
{
    return &view->cluster;
}

const struct coord_object *coord_place_view_node(const struct coord_place_view *view,
                                                 uint32_t index)
{
    assert(index < view->cluster.node_count);
    return view->objects[index];
}

void coord_place_view_assume(struct coord_place_view *view, uint32_t index)
{
    assert(index < view->cluster.node_count);
    view->nodes[index].standing = COORD_PLACE_ASSUMED;
}

/* ---- relations ---- */

static bool has_label(const struct coord_object *object, const char *key,
                      const ProtobufCBinaryData *value)
{
    for (uint32_t i = 0; i < object->label_count; i++) {
        const struct coord_label *label = &object->labels[i];

        if (strcmp(label->key, key) == 0) {
            return label->value.size == value->len &&
                   (value->len == 0 || memcmp(label->value.data, value->data, value->len) == 0);
        }
    }
    return false;
}

bool coord_place_is_meant(const Rayos__Spec__Relation *relation, const struct coord_object *guest)
{
    return relation->guest[0] != '\0' ? strcmp(relation->guest, guest->name) == 0
                                      : has_label(guest, relation->label, &relation->value);
}

static int add_relation(struct coord_place_view *view, const Rayos__Spec__Relation *relation,
                        uint32_t node, struct ray_err *err)
{
    if (view->relation_count == COORD_PLACE_RELATIONS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "it stands to more than %d guests in relations",
                        COORD_PLACE_RELATIONS_MAX);
    }
    view->relations[view->relation_count++] = (struct coord_place_relation){
        .node = node,
        .is_together = relation->is_together,
        .is_for_domain = relation->is_for_domain,
        .is_required = relation->is_required,
    };
    return RAY_OK;
}

/* Those of the guest's own to `other`, and those by which `other` keeps away from it. */
static int relate(struct coord_place_view *view, const struct coord_object *guest,
                  const Rayos__Spec__GuestSpec *spec, const struct place_record *record,
                  uint32_t node, struct ray_err *err)
{
    const struct coord_object *other = record->object;
    const Rayos__Spec__GuestSpec *others;
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < spec->n_relations; i++) {
        if (coord_place_is_meant(spec->relations[i], other)) {
            rc = add_relation(view, spec->relations[i], node, err);
        }
    }
    if (guest == NULL || !record->has_relations || rc != RAY_OK) {
        return rc;
    }
    ray_arena_reset(&view->scratch);
    others = coord_place_view_spec(other, &view->scratch);
    for (size_t i = 0; rc == RAY_OK && others != NULL && i < others->n_relations; i++) {
        if (!others->relations[i]->is_together &&
            coord_place_is_meant(others->relations[i], guest)) {
            rc = add_relation(view, others->relations[i], node, err);
        }
    }
    return rc;
}

static int list_relations(struct coord_place_view *view, const struct coord_object *guest,
                          const Rayos__Spec__GuestSpec *spec, struct ray_err *err)
{
    const struct place_records *records = place_cache_records(view->cache, PLACE_GUESTS);
    int rc = RAY_OK;

    view->relation_count = 0;
    if (view->relations == NULL) {
        view->relations = calloc(COORD_PLACE_RELATIONS_MAX, sizeof(*view->relations));
    }
    if (view->relations == NULL) {
        return ray_fail(err, RAY_ENOMEM, "relations");
    }
    for (size_t i = 0; rc == RAY_OK && i < records->count; i++) {
        const struct place_record *record = &records->items[i];
        uint32_t node =
            record->object == guest ? COORD_PLACE_NOWHERE : home_of(view, record->object);

        if (node != COORD_PLACE_NOWHERE) {
            rc = relate(view, guest, spec, record, node, err);
        }
    }
    return rc;
}

/* Sorted, so that the first in the way is the same on each replica. */
static int compare_relations(const void *a, const void *b)
{
    const struct coord_place_relation *one = a;
    const struct coord_place_relation *other = b;
    unsigned one_kind = one->is_together * 4U + one->is_for_domain * 2U + one->is_required;
    unsigned other_kind = other->is_together * 4U + other->is_for_domain * 2U + other->is_required;

    if (one->node != other->node) {
        return one->node < other->node ? -1 : 1;
    }
    return (one_kind > other_kind) - (one_kind < other_kind);
}

/* ---- a request ---- */

static void set_domain(const struct coord_place_view *view, const char *domain,
                       struct coord_place_request *out)
{
    out->has_domain = domain[0] != '\0';
    out->domain = COORD_PLACE_NOWHERE;
    for (uint32_t i = 0; out->has_domain && i < view->cluster.node_count; i++) {
        if (strcmp(view->objects[i]->node.domain, domain) == 0) {
            out->domain = view->nodes[i].domain;
            return;
        }
    }
}

static void count_lacks(struct coord_place_view *view, const Rayos__Spec__GuestSpec *spec)
{
    for (uint32_t i = 0; i < view->cluster.node_count; i++) {
        view->lacks[i] = 0;
        for (size_t j = 0; j < spec->n_node_labels; j++) {
            const Rayos__Spec__NodeLabel *label = spec->node_labels[j];

            view->lacks[i] += !has_label(view->objects[i], label->key, &label->value);
        }
    }
}

static int list_volumes(struct coord_place_view *view, const struct coord_object *guest,
                        struct coord_place_request *out, struct ray_err *err)
{
    struct coord_place_volume *volumes =
        ray_arena_alloc(&view->arena, COORD_PLACE_VOLUMES_MAX * sizeof(*volumes));

    static_assert((int)COORD_GUEST_VOLUMES_MAX <= (int)COORD_PLACE_VOLUMES_MAX, "all of them");
    if (volumes == NULL) {
        return ray_fail(err, RAY_ENOMEM, "volumes");
    }
    for (uint32_t i = 0; guest != NULL && i < guest->guest.volume_count; i++) {
        const struct coord_object *volume =
            coord_fsm_find(view->fsm, COORD_VOLUME, &guest->guest.volumes[i]);
        const Rayos__Spec__VolumeSpec *spec =
            volume == NULL
                ? NULL
                : (const Rayos__Spec__VolumeSpec *)spec_of(volume, RAY_SPEC_VOLUME, &view->arena);

        if (spec == NULL) {
            return ray_fail(err, RAY_EINVAL, "the spec of one of its volumes cannot be read");
        }
        volumes[i] = (struct coord_place_volume){.node = volume_node(view, spec),
                                                 .size_mib = mib(spec->size_bytes),
                                                 .can_move = !spec->is_pinned};
    }
    out->volumes = volumes;
    out->volume_count = guest == NULL ? 0 : guest->guest.volume_count;
    return RAY_OK;
}

/* The guest's own word, else its image's, else the usual one. */
static int set_architecture(struct coord_place_view *view, const Rayos__Spec__GuestSpec *spec,
                            struct coord_place_request *out, struct ray_err *err)
{
    const char *name = spec->architecture;
    const struct coord_object *image = NULL;
    const ProtobufCMessage *image_spec;

    if (spec->image[0] != '\0') {
        image = coord_fsm_find_name(view->fsm, COORD_IMAGE, spec->image);
        if (image == NULL) {
            (void)ray_fail(err, RAY_ENOTFOUND, "its image '%s' is not there", spec->image);
            (void)ray_next(err, "'clusterctl image list' shows those that are");
            return RAY_ENOTFOUND;
        }
        image_spec = spec_of(image, RAY_SPEC_IMAGE, &view->arena);
        if (name[0] == '\0' && image_spec != NULL) {
            name = ((const Rayos__Spec__ImageSpec *)image_spec)->architecture;
        }
    }
    out->architecture = architecture_of(name[0] == '\0' ? RAY_SPEC_ARCHITECTURE_DEFAULT : name);
    out->cpu_level = ray_spec_cpu_level(spec->cpu_model);
    return RAY_OK;
}

int coord_place_view_request(struct coord_place_view *view, const struct coord_object *guest,
                             const Rayos__Spec__GuestSpec *spec,
                             struct coord_place_request *out_request, struct ray_err *err)
{
    struct coord_place_request request = {.home = COORD_PLACE_NOWHERE};
    int rc;

    assert(guest != NULL || spec != NULL);
    ray_arena_reset(&view->arena);
    if (spec == NULL) {
        spec = coord_place_view_spec(guest, &view->arena);
    }
    if (spec == NULL) {
        return ray_fail(err, RAY_EINVAL, "the spec of guest %s cannot be read", guest->name);
    }
    rc = set_architecture(view, spec, &request, err);
    if (rc == RAY_OK) {
        rc = list_volumes(view, guest, &request, err);
    }
    if (rc == RAY_OK) {
        rc = list_relations(view, guest, spec, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    if (guest != NULL && guest->guest.has_run) {
        request.home = coord_place_view_index(view, &guest->guest.home.node);
    }
    qsort(view->relations, view->relation_count, sizeof(*view->relations), compare_relations);
    count_lacks(view, spec);
    set_domain(view, spec->domain, &request);
    request.needs = needs_of(view, spec, &view->arena);
    request.relations = view->relations;
    request.relation_count = view->relation_count;
    request.lacks = view->lacks;
    *out_request = request;
    return RAY_OK;
}
