#include "coordinator/place/answer.h"

#include <stdio.h>
#include <string.h>

#include "coordinator/place/rules.h"
#include "coordinator/place/view.h"
#include "coordinator/place/whatif.h"
#include "net/proto/place.pb-c.h"
#include "net/proto_codec.h"
#include "net/spec.h"

enum { ARENA_SIZE_MAX = 64 << 20, WHY_SIZE = 256 };

struct answering {
    struct coord_fsm *fsm;
    struct coord_place_cache *cache;
    const struct coord_policy_actor *actor; /* NULL: the rules are not asked */
    struct ray_arena arena;
    struct coord_place_view *view;
    struct coord_place *place;
    struct coord_place_whatif *whatif;
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

/* Of one that is not there yet nobody knows the name, which rules go by. */
static int ask_rules(struct answering *answering, const struct coord_object *guest)
{
    uint32_t count = coord_place_view_cluster(answering->view)->node_count;
    uint32_t *denied_by;

    if (guest == NULL || answering->actor == NULL) {
        return RAY_OK;
    }
    denied_by = ray_arena_alloc(&answering->arena, count * sizeof *denied_by);
    if (denied_by == NULL) {
        return no_memory(answering);
    }
    answering->request.denied_by = denied_by;
    return coord_place_rules(answering->fsm, answering->view, answering->actor, guest, denied_by,
                             answering->err);
}

static int find_place(struct answering *answering, const Rayos__Place__Ask *ask)
{
    const struct coord_object *guest = NULL;
    const Rayos__Spec__GuestSpec *spec = NULL;
    int rc = find_guest(answering, ask, &guest, &spec);

    if (rc == RAY_OK) {
        rc = coord_place_view_create(answering->fsm, answering->cache, &answering->view,
                                     answering->err);
    }
    if (rc == RAY_OK) {
        rc = coord_place_view_request(answering->view, guest, spec, &answering->request,
                                      answering->err);
    }
    if (rc == RAY_OK) {
        rc = ask_rules(answering, guest);
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

/* Rules have names that only the registry knows. */
static void say_change(struct answering *answering, const struct coord_place_change *change,
                       uint32_t node, char out[static COORD_PLACE_TEXT_SIZE])
{
    if (change->barrier == COORD_PLACE_BARRIER_POLICY) {
        (void)snprintf(out, COORD_PLACE_TEXT_SIZE, "denied by rule '%s'",
                       coord_place_rule_name(answering->fsm, change->rule));
    } else {
        (void)coord_place_change_text(change, coord_place_view_cluster(answering->view), node, out);
    }
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
        say_change(answering, &changes[i], node, sentence);
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

static int pack(const struct answering *answering, const Rayos__Place__Answer *answer,
                struct ray_buf *out)
{
    size_t size = rayos__place__answer__get_packed_size(answer);
    int rc = ray_buf_reserve(out, size);

    if (rc != RAY_OK) {
        return ray_fail(answering->err, rc, "an answer of %zu bytes", size);
    }
    (void)rayos__place__answer__pack(answer, out->data + out->size);
    out->size += size;
    return RAY_OK;
}

static int show(struct answering *answering, const Rayos__Place__Ask *ask, struct ray_buf *out)
{
    Rayos__Place__Answer answer = RAYOS__PLACE__ANSWER__INIT;
    uint32_t count = coord_place_view_cluster(answering->view)->node_count;
    Rayos__Place__Verdict *verdicts = ray_arena_alloc(&answering->arena, count * sizeof(*verdicts));
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
    return rc == RAY_OK ? pack(answering, &answer, out) : rc;
}

/* ---- what if a node went ---- */

static int find_moves(struct answering *answering, const Rayos__Place__Ask *ask)
{
    const struct coord_object *node = coord_fsm_find_name(answering->fsm, COORD_NODE, ask->node);
    int rc;

    if (node == NULL) {
        (void)ray_fail(answering->err, RAY_ENOTFOUND, "no node '%.64s'", ask->node);
        (void)ray_next(answering->err, "'clusterctl node list' shows them");
        return RAY_ENOTFOUND;
    }
    rc =
        coord_place_view_create(answering->fsm, answering->cache, &answering->view, answering->err);
    return rc == RAY_OK
               ? coord_place_whatif_create(answering->view, answering->fsm,
                                           coord_place_view_index(answering->view, &node->id),
                                           ask->is_drain, &answering->whatif, answering->err)
               : rc;
}

/* "no node can take it: memory 2, apart 1", or that the others take its place. */
static char *why_nowhere(struct answering *answering, const struct coord_place_move *move)
{
    char words[WHY_SIZE] = "no room for it beside the others";
    size_t size = 0;

    for (int i = 0; !move->is_crowded && i < COORD_PLACE_BARRIER_COUNT && size < sizeof words;
         i++) {
        int length = 0;

        if (move->barriers[i] > 0) {
            length =
                snprintf(words + size, sizeof words - size, "%s%s %u",
                         size == 0 ? "no node can take it: " : ", ",
                         coord_place_barrier_name((enum coord_place_barrier)i), move->barriers[i]);
        }
        size += length > 0 ? (size_t)length : 0;
    }
    return ray_arena_strndup(&answering->arena, words, strlen(words));
}

static int show_moves(struct answering *answering, const Rayos__Place__Ask *ask,
                      struct ray_buf *out)
{
    Rayos__Place__Answer answer = RAYOS__PLACE__ANSWER__INIT;
    uint32_t count = 0;
    const struct coord_place_move *moves = coord_place_whatif_moves(answering->whatif, &count);
    Rayos__Place__Move *messages =
        ray_arena_alloc(&answering->arena, (count + 1) * sizeof(*messages));

    answer.moves = ray_arena_alloc(&answering->arena, (count + 1) * sizeof(void *));
    if (messages == NULL || answer.moves == NULL) {
        return no_memory(answering);
    }
    answer.node = ask->node;
    answer.is_proven = coord_place_whatif_is_proven(answering->whatif);
    for (uint32_t i = 0; i < count; i++) {
        rayos__place__move__init(&messages[i]);
        messages[i].guest = text(moves[i].guest->name);
        messages[i].to = text(name_of(answering, moves[i].to));
        if (moves[i].to == COORD_PLACE_NOWHERE) {
            messages[i].why = why_nowhere(answering, &moves[i]);
        }
        if (messages[i].why == NULL) {
            return no_memory(answering);
        }
        answer.moves[answer.n_moves++] = &messages[i];
    }
    return pack(answering, &answer, out);
}

static int answer_ask(struct answering *answering, const Rayos__Place__Ask *ask,
                      struct ray_buf *out)
{
    int rc;

    if (ask->node[0] != '\0') {
        rc = find_moves(answering, ask);
        return rc == RAY_OK ? show_moves(answering, ask, out) : rc;
    }
    rc = find_place(answering, ask);
    return rc == RAY_OK ? show(answering, ask, out) : rc;
}

int coord_place_answer(struct coord_fsm *fsm, struct coord_place_cache *cache,
                       const struct coord_policy_actor *actor, const uint8_t *ask, size_t ask_size,
                       struct ray_buf *out, struct ray_err *err)
{
    struct answering answering = {.fsm = fsm, .cache = cache, .actor = actor, .err = err};
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
        rc = answer_ask(&answering, (const Rayos__Place__Ask *)message, out);
    }
    coord_place_whatif_destroy(answering.whatif);
    coord_place_destroy(answering.place);
    coord_place_view_destroy(answering.view);
    ray_arena_fini(&answering.arena);
    return rc;
}
