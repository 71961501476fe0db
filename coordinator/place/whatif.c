/* whatif.c - the guests that have their home there become the members of a group (group.h): each
 * with its request but for the relations among them, which become bonds. */
#include "coordinator/place/whatif.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/place/group.h"

enum { ARENA_SIZE_MAX = 64 << 20 };

struct coord_place_whatif {
    struct coord_place_view *view;
    uint32_t node;
    bool is_drain;
    struct ray_arena arena; /* specs and requests */
    const struct coord_object **guests;
    const Rayos__Spec__GuestSpec **specs;
    struct coord_place_member *members;
    uint32_t count;
    struct coord_place_bond *bonds;
    uint32_t bond_count;
    uint32_t *places;
    struct coord_place_move *moves;
    struct coord_place_group_answer answer;
};

static int no_memory(struct ray_err *err)
{
    return ray_fail(err, RAY_ENOMEM, "guests of a node");
}

/* ---- who goes ---- */

static int compare_guests(const void *a, const void *b)
{
    const struct coord_object *const *one = a;
    const struct coord_object *const *other = b;

    return memcmp((*one)->id.bytes, (*other)->id.bytes, RAY_ID_SIZE);
}

static int list_guests(struct coord_place_whatif *whatif, struct coord_fsm *fsm,
                       struct ray_err *err)
{
    const struct ray_id *node = &coord_place_view_node(whatif->view, whatif->node)->id;
    const struct coord_object *guest = coord_fsm_next_at_home(fsm, node, NULL);
    uint32_t count = 0;

    for (; guest != NULL; guest = coord_fsm_next_at_home(fsm, node, guest)) {
        count++;
    }
    if (count > COORD_PLACE_MEMBERS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "%u guests have their home there, at most %d", count,
                        COORD_PLACE_MEMBERS_MAX);
    }
    whatif->guests = calloc(count + 1, sizeof(*whatif->guests));
    whatif->specs = calloc(count + 1, sizeof(*whatif->specs));
    whatif->members = calloc(count + 1, sizeof(*whatif->members));
    whatif->places = calloc(count + 1, sizeof(*whatif->places));
    whatif->moves = calloc(count + 1, sizeof(*whatif->moves));
    if (whatif->guests == NULL || whatif->specs == NULL || whatif->members == NULL ||
        whatif->places == NULL || whatif->moves == NULL) {
        return no_memory(err);
    }
    guest = coord_fsm_next_at_home(fsm, node, NULL);
    for (; guest != NULL; guest = coord_fsm_next_at_home(fsm, node, guest)) {
        whatif->guests[whatif->count++] = guest;
    }
    qsort(whatif->guests, whatif->count, sizeof(*whatif->guests), compare_guests);
    return RAY_OK;
}

/* ---- what they ask for ---- */

/* What the view gives out is its own until the next request. */
static const void *keep(struct coord_place_whatif *whatif, const void *from, size_t size)
{
    void *copy = ray_arena_alloc(&whatif->arena, size + 1);

    if (copy != NULL && size > 0) {
        memcpy(copy, from, size);
    }
    return copy;
}

/* Those to guests that go with it are bonds. */
static uint32_t without_companions(const struct coord_place_whatif *whatif,
                                   struct coord_place_relation *relations, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (relations[i].node != whatif->node) {
            relations[kept++] = relations[i];
        }
    }
    return kept;
}

static int keep_request(struct coord_place_whatif *whatif, uint32_t index,
                        const struct coord_place_request *from, struct ray_err *err)
{
    struct coord_place_request *out = &whatif->members[index].request;
    uint32_t node_count = coord_place_view_cluster(whatif->view)->node_count;
    struct coord_place_relation *relations;
    struct coord_place_volume *volumes;

    *out = *from;
    relations = (struct coord_place_relation *)(uintptr_t)keep(
        whatif, from->relations, from->relation_count * sizeof(*relations));
    volumes = (struct coord_place_volume *)(uintptr_t)keep(whatif, from->volumes,
                                                           from->volume_count * sizeof(*volumes));
    out->lacks = whatif->specs[index]->n_node_labels == 0
                     ? NULL
                     : keep(whatif, from->lacks, node_count * sizeof(*from->lacks));
    if (relations == NULL || volumes == NULL ||
        (out->lacks == NULL && whatif->specs[index]->n_node_labels > 0)) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < from->volume_count; i++) {
        volumes[i].can_move =
            volumes[i].can_move && (whatif->is_drain || volumes[i].node != whatif->node);
    }
    out->home = COORD_PLACE_NOWHERE;
    out->relations = relations;
    out->relation_count = without_companions(whatif, relations, from->relation_count);
    out->volumes = volumes;
    return RAY_OK;
}

static int ask_for(struct coord_place_whatif *whatif, uint32_t index, struct ray_err *err)
{
    const struct coord_object *guest = whatif->guests[index];
    struct coord_place_request request;
    int rc;

    whatif->specs[index] = coord_place_view_spec(guest, &whatif->arena);
    if (whatif->specs[index] == NULL) {
        return ray_fail(err, RAY_EINVAL, "the spec of guest %s cannot be read", guest->name);
    }
    rc = coord_place_view_request(whatif->view, guest, NULL, &request, err);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "guest %s", guest->name);
    }
    whatif->members[index].priority = whatif->specs[index]->priority;
    return keep_request(whatif, index, &request, err);
}

static int add_bond(struct coord_place_whatif *whatif, uint32_t a, uint32_t b,
                    const Rayos__Spec__Relation *relation, struct ray_err *err)
{
    if (whatif->bond_count == COORD_PLACE_BONDS_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "more than %d relations among the guests that go",
                        COORD_PLACE_BONDS_MAX);
    }
    whatif->bonds[whatif->bond_count++] = (struct coord_place_bond){
        .a = a,
        .b = b,
        .is_together = relation->is_together,
        .is_for_domain = relation->is_for_domain,
        .is_required = relation->is_required,
    };
    return RAY_OK;
}

static int bind(struct coord_place_whatif *whatif, uint32_t index, struct ray_err *err)
{
    const Rayos__Spec__GuestSpec *spec = whatif->specs[index];
    int rc = RAY_OK;

    for (size_t i = 0; i < spec->n_relations; i++) {
        for (uint32_t j = 0; rc == RAY_OK && j < whatif->count; j++) {
            if (j != index && coord_place_is_meant(spec->relations[i], whatif->guests[j])) {
                rc = add_bond(whatif, index, j, spec->relations[i], err);
            }
        }
    }
    return rc;
}

/* ---- where they go ---- */

static int find_places(struct coord_place_whatif *whatif, struct ray_err *err)
{
    const struct coord_place_cluster *cluster = coord_place_view_cluster(whatif->view);
    const struct coord_place_question question = {
        .members = whatif->members,
        .member_count = whatif->count,
        .bonds = whatif->bonds,
        .bond_count = whatif->bond_count,
        .steps_max = COORD_PLACE_WHATIF_STEPS,
    };
    struct coord_place_group *group = NULL;
    int rc = coord_place_group_create(cluster->node_count, &group, err);

    if (rc == RAY_OK) {
        rc =
            coord_place_group_find(group, cluster, &question, whatif->places, &whatif->answer, err);
    }
    coord_place_group_destroy(group);
    return rc;
}

/* What keeps it from each node, as if it went alone. */
static int say_why(struct coord_place_whatif *whatif, struct coord_place *place, uint32_t index,
                   struct ray_err *err)
{
    const struct coord_place_cluster *cluster = coord_place_view_cluster(whatif->view);
    struct coord_place_move *move = &whatif->moves[index];
    struct coord_place_answer answer;
    int rc = coord_place_find(place, cluster, &whatif->members[index].request, &answer, err);

    if (rc != RAY_OK) {
        return rc;
    }
    move->is_crowded = answer.best != COORD_PLACE_NOWHERE;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (int barrier = 0; barrier < COORD_PLACE_BARRIER_COUNT; barrier++) {
            move->barriers[barrier] += answer.verdicts[i].barriers >> barrier & 1U;
        }
    }
    return RAY_OK;
}

static int tell_moves(struct coord_place_whatif *whatif, struct ray_err *err)
{
    struct coord_place *place = NULL;
    int rc = coord_place_create(coord_place_view_cluster(whatif->view)->node_count, &place, err);

    for (uint32_t i = 0; rc == RAY_OK && i < whatif->count; i++) {
        whatif->moves[i].guest = whatif->guests[i];
        whatif->moves[i].to = whatif->places[i];
        if (whatif->places[i] == COORD_PLACE_NOWHERE) {
            rc = say_why(whatif, place, i, err);
        }
    }
    coord_place_destroy(place);
    return rc;
}

static int fill(struct coord_place_whatif *whatif, struct coord_fsm *fsm, struct ray_err *err)
{
    int rc = list_guests(whatif, fsm, err);

    if (rc == RAY_OK) {
        whatif->bonds = calloc(COORD_PLACE_BONDS_MAX, sizeof(*whatif->bonds));
        rc = whatif->bonds == NULL ? no_memory(err) : RAY_OK;
    }
    for (uint32_t i = 0; rc == RAY_OK && i < whatif->count; i++) {
        rc = ask_for(whatif, i, err);
    }
    for (uint32_t i = 0; rc == RAY_OK && i < whatif->count; i++) {
        rc = bind(whatif, i, err);
    }
    if (rc == RAY_OK && whatif->count > 0) {
        rc = find_places(whatif, err);
    }
    return rc == RAY_OK ? tell_moves(whatif, err) : rc;
}

int coord_place_whatif_create(struct coord_place_view *view, struct coord_fsm *fsm, uint32_t node,
                              bool is_drain, struct coord_place_whatif **out_whatif,
                              struct ray_err *err)
{
    struct coord_place_whatif *whatif = calloc(1, sizeof(*whatif));
    int rc;

    assert(node < coord_place_view_cluster(view)->node_count);
    if (whatif == NULL) {
        return no_memory(err);
    }
    whatif->view = view;
    whatif->node = node;
    whatif->is_drain = is_drain;
    ray_arena_init(&whatif->arena, ARENA_SIZE_MAX);
    coord_place_view_assume(view, node);
    rc = fill(whatif, fsm, err);
    if (rc != RAY_OK) {
        coord_place_whatif_destroy(whatif);
        return rc;
    }
    *out_whatif = whatif;
    return RAY_OK;
}

void coord_place_whatif_destroy(struct coord_place_whatif *whatif)
{
    if (whatif == NULL) {
        return;
    }
    free(whatif->moves);
    free(whatif->places);
    free(whatif->bonds);
    free(whatif->members);
    free((void *)whatif->specs);
    free((void *)whatif->guests);
    ray_arena_fini(&whatif->arena);
    free(whatif);
}

const struct coord_place_move *coord_place_whatif_moves(const struct coord_place_whatif *whatif,
                                                        uint32_t *out_count)
{
    *out_count = whatif->count;
    return whatif->moves;
}

bool coord_place_whatif_is_proven(const struct coord_place_whatif *whatif)
{
    return whatif->answer.is_proven;
}
