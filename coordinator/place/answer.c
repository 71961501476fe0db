#include "coordinator/place/answer.h"

#include <string.h>

#include "coordinator/place/view.h"
#include "net/proto/place.pb-c.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { ARENA_SIZE_MAX = 64 << 20 };

struct answering {
    struct coord_fsm *fsm;
    struct ray_arena arena;
    struct coord_place_view *view;
    struct coord_place *place;
    struct coord_place_request request;
    struct coord_place_answer found;
    struct ray_err *err;
};

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c packs from pointers without const */
}

static int no_memory(const struct answering *answering)
{
    return ray_fail(answering->err, RAY_ENOMEM, "an answer about placement");
}

/* ---- the question ---- */

static int find_guest(struct answering *answering, const Rayos__Place__Ask *ask,
                      const struct coord_object **out_guest,
                      const Rayos__Spec__GuestSpec **out_spec)
{
    ProtobufCMessage *spec = NULL;
    int rc;

    if (ask->guest[0] == '\0') {
        rc =
            ray_spec_check(RAY_SPEC_GUEST, coord_fsm_cluster(answering->fsm)->cluster.feature_level,
                           ask->spec.data, ask->spec.len, &answering->arena, &spec, answering->err);
        *out_spec = (const Rayos__Spec__GuestSpec *)spec;
        return rc;
    }
    *out_guest = coord_fsm_find_name(answering->fsm, COORD_GUEST, ask->guest);
    if (*out_guest == NULL) {
        (void)ray_fail(answering->err, RAY_ENOTFOUND, "no guest '%.64s'", ask->guest);
        (void)ray_next(answering->err, "'clusterctl guest list' shows them");
        return RAY_ENOTFOUND;
    }
    return RAY_OK;
}

static int find_place(struct answering *answering, const Rayos__Place__Ask *ask)
{
    const struct coord_object *guest = NULL;
    const Rayos__Spec__GuestSpec *spec = NULL;
    int rc = find_guest(answering, ask, &guest, &spec);

    if (rc == RAY_OK) {
        rc = coord_place_view_create(answering->fsm, &answering->view, answering->err);
    }
    if (rc == RAY_OK) {
        rc = coord_place_view_request(answering->view, guest, spec, &answering->request,
                                      answering->err);
    }
    if (rc == RAY_OK) {
        rc = coord_place_create(coord_place_view_cluster(answering->view)->node_count,
                                &answering->place, answering->err);
    }
    return rc == RAY_OK
               ? coord_place_find(answering->place, coord_place_view_cluster(answering->view),
                                  &answering->request, &answering->found, answering->err)
               : rc;
}

/* ---- the answer ---- */

static int show_terms(struct answering *answering, const struct coord_place_verdict *verdict,
                      Rayos__Place__Verdict *out)
{
    Rayos__Place__Term *terms =
        ray_arena_alloc(&answering->arena, COORD_PLACE_TERM_COUNT * sizeof(*terms));

    out->terms = ray_arena_alloc(&answering->arena, COORD_PLACE_TERM_COUNT * sizeof(void *));
    if (terms == NULL || out->terms == NULL) {
        return no_memory(answering);
    }
    for (int i = 0; i < COORD_PLACE_TERM_COUNT; i++) {
        rayos__place__term__init(&terms[i]);
        terms[i].name = text(coord_place_term_name((enum coord_place_term)i));
        terms[i].value = verdict->terms[i];
        out->terms[out->n_terms++] = &terms[i];
    }
    return RAY_OK;
}

static int show_changes(struct answering *answering, uint32_t node, Rayos__Place__Verdict *out)
{
    const struct coord_place_cluster *cluster = coord_place_view_cluster(answering->view);
    struct coord_place_change changes[COORD_PLACE_BARRIER_COUNT];
    size_t count =
        coord_place_changes(answering->place, cluster, &answering->request, node, changes);
    Rayos__Place__Change *messages =
        ray_arena_alloc(&answering->arena, (count + 1) * sizeof(*messages));

    out->changes = ray_arena_alloc(&answering->arena, (count + 1) * sizeof(void *));
    if (messages == NULL || out->changes == NULL) {
        return no_memory(answering);
    }
    for (size_t i = 0; i < count; i++) {
        char sentence[COORD_PLACE_TEXT_SIZE];

        rayos__place__change__init(&messages[i]);
        messages[i].barrier = text(coord_place_barrier_name(changes[i].barrier));
        (void)coord_place_change_text(&changes[i], cluster, node, sentence);
        messages[i].text = ray_arena_strndup(&answering->arena, sentence, strlen(sentence));
        messages[i].lacking = changes[i].lacking;
        messages[i].count = changes[i].count;
        messages[i].rule = changes[i].rule;
        if (messages[i].text == NULL) {
            return no_memory(answering);
        }
        out->changes[out->n_changes++] = &messages[i];
    }
    return RAY_OK;
}

static int show_verdict(struct answering *answering, uint32_t node, Rayos__Place__Verdict *out)
{
    const struct coord_place_verdict *verdict = &answering->found.verdicts[node];
    const struct coord_object *object = coord_place_view_node(answering->view, node);
    char id[RAY_ID_TEXT_SIZE];

    rayos__place__verdict__init(out);
    (void)ray_id_format(&object->id, id);
    out->node = text(object->name);
    out->node_id = ray_arena_strndup(&answering->arena, id, strlen(id));
    out->is_possible = verdict->barriers == 0;
    if (out->node_id == NULL) {
        return no_memory(answering);
    }
    if (!out->is_possible) {
        return show_changes(answering, node, out);
    }
    out->score = verdict->score;
    return show_terms(answering, verdict, out);
}

static const char *name_of(const struct answering *answering, uint32_t node)
{
    return node == COORD_PLACE_NOWHERE ? "" : coord_place_view_node(answering->view, node)->name;
}

static int show(struct answering *answering, const Rayos__Place__Ask *ask, struct ray_buf *out)
{
    Rayos__Place__Answer answer = RAYOS__PLACE__ANSWER__INIT;
    uint32_t count = coord_place_view_cluster(answering->view)->node_count;
    Rayos__Place__Verdict *verdicts = ray_arena_alloc(&answering->arena, count * sizeof(*verdicts));
    size_t size;
    int rc = RAY_OK;

    answer.verdicts = ray_arena_alloc(&answering->arena, count * sizeof(void *));
    if (verdicts == NULL || answer.verdicts == NULL) {
        return no_memory(answering);
    }
    answer.guest = ask->guest;
    answer.best = text(name_of(answering, answering->found.best));
    answer.second = text(name_of(answering, answering->found.second));
    for (uint32_t i = 0; rc == RAY_OK && i < count; i++) {
        rc = show_verdict(answering, i, &verdicts[i]);
        answer.verdicts[answer.n_verdicts++] = &verdicts[i];
    }
    if (rc != RAY_OK) {
        return rc;
    }
    size = rayos__place__answer__get_packed_size(&answer);
    rc = ray_buf_reserve(out, size);
    if (rc != RAY_OK) {
        return ray_fail(answering->err, rc, "an answer of %zu bytes", size);
    }
    (void)rayos__place__answer__pack(&answer, out->data + out->size);
    out->size += size;
    return RAY_OK;
}

int coord_place_answer(struct coord_fsm *fsm, const uint8_t *ask, size_t ask_size,
                       struct ray_buf *out, struct ray_err *err)
{
    struct answering answering = {.fsm = fsm, .err = err};
    ProtobufCMessage *message = NULL;
    int rc;

    if (coord_fsm_cluster(fsm) == NULL) {
        return ray_fail(err, RAY_ECONFLICT, "there is no cluster yet");
    }
    if (ask_size > COORD_PLACE_ASK_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "a question of %zu bytes, at most %d", ask_size,
                        COORD_PLACE_ASK_SIZE_MAX);
    }
    ray_arena_init(&answering.arena, ARENA_SIZE_MAX);
    rc = ray_proto_unpack(&rayos__place__ask__descriptor, ask, ask_size, &answering.arena, &message,
                          err);
    if (rc == RAY_OK) {
        rc = find_place(&answering, (const Rayos__Place__Ask *)message);
    }
    if (rc == RAY_OK) {
        rc = show(&answering, (const Rayos__Place__Ask *)message, out);
    }
    coord_place_destroy(answering.place);
    coord_place_view_destroy(answering.view);
    ray_arena_fini(&answering.arena);
    return rc;
}
