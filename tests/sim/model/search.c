#include "tests/sim/model/search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WALK_STEPS = 300 };

struct search {
    struct model_state *states;
    uint32_t *parents;
    uint8_t *actions;
    uint8_t *whos;
    uint32_t *table; /* index + 1; 0: empty */
    uint64_t table_mask;
    uint64_t count;
    uint64_t capacity;
};

/* What cannot matter any more is made equal, so that fewer states differ. */
static void reduce(struct model_state *state)
{
    for (int i = 0; i < MODEL_MACHINES; i++) {
        if (state->machines[i].slot_left == 0) {
            state->machines[i].slot_epoch = 0;
        }
    }
    for (int i = 0; i < MODEL_SEATS; i++) {
        struct model_seat *seat = &state->seats[i];

        /* Overtaken: it can append, but nothing that it appends is ever committed. */
        if (seat->is_stale) {
            seat->age = MODEL_AGE_MAX;
            seat->settle_age = MODEL_AGE_MAX;
            memset(seat->heard, MODEL_AGE_MAX, sizeof seat->heard);
        }
    }
}

static uint64_t hash_of(const struct model_state *state)
{
    const unsigned char *bytes = (const unsigned char *)state;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < sizeof *state; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ (hash >> 29);
}

static void free_search(struct search *search)
{
    free(search->states);
    free(search->parents);
    free(search->actions);
    free(search->whos);
    free(search->table);
}

static int create_search(struct search *search, uint64_t capacity, struct ray_err *err)
{
    uint64_t table_count = 1024;

    while (table_count < 2 * capacity) {
        table_count *= 2;
    }
    *search = (struct search){
        .states = malloc(capacity * sizeof *search->states),
        .parents = malloc(capacity * sizeof *search->parents),
        .actions = malloc(capacity),
        .whos = malloc(capacity),
        .table = calloc(table_count, sizeof *search->table),
        .table_mask = table_count - 1,
        .capacity = capacity,
    };
    if (search->states == NULL || search->parents == NULL || search->actions == NULL ||
        search->whos == NULL || search->table == NULL) {
        free_search(search);
        return ray_fail(err, RAY_ENOMEM, "%llu states", (unsigned long long)capacity);
    }
    return RAY_OK;
}

/* False: no room. */
static bool add(struct search *search, const struct model_step *step, uint32_t parent)
{
    uint64_t at = hash_of(&step->state) & search->table_mask;

    while (search->table[at] != 0) {
        if (memcmp(&search->states[search->table[at] - 1], &step->state, sizeof step->state) == 0) {
            return true;
        }
        at = (at + 1) & search->table_mask;
    }
    if (search->count == search->capacity) {
        return false;
    }
    search->states[search->count] = step->state;
    search->parents[search->count] = parent;
    search->actions[search->count] = step->action;
    search->whos[search->count] = step->who;
    search->count++;
    search->table[at] = (uint32_t)search->count;
    return true;
}

static void trace(const struct search *search, uint32_t last, struct model_result *out)
{
    uint32_t at = last;
    uint64_t count = 0;

    while (at != 0 && count < MODEL_TRACE_MAX) {
        count++;
        at = search->parents[at];
    }
    out->trace_count = count;
    for (at = last; count > 0; at = search->parents[at]) {
        count--;
        out->trace[count].state = search->states[at];
        out->trace[count].action = search->actions[at];
        out->trace[count].who = search->whos[at];
    }
}

static bool expand(struct search *search, const struct model_setup *setup,
                   const struct model_variant *variant, uint32_t at, struct model_step *steps,
                   struct model_result *out)
{
    struct model_state state = search->states[at];
    size_t count = model_next(setup, variant, &state, steps);

    for (size_t i = 0; i < count; i++) {
        reduce(&steps[i].state);
        if (!add(search, &steps[i], at)) {
            out->is_complete = false;
            return false;
        }
        if (steps[i].state.violation != MODEL_HOLDS) {
            out->violation = steps[i].state.violation;
            trace(search, (uint32_t)(search->count - 1), out);
            return false;
        }
    }
    return true;
}

int model_search(const struct model_setup *setup, const struct model_variant *variant,
                 uint64_t state_count_max, struct model_result *out, struct ray_err *err)
{
    struct model_step *steps = malloc(MODEL_SUCCESSORS_MAX * sizeof *steps);
    struct model_step first = {.action = 0};
    struct search search;
    int rc;

    assert(state_count_max > 0 && state_count_max < UINT32_MAX);
    if (steps == NULL) {
        return ray_fail(err, RAY_ENOMEM, "steps");
    }
    rc = create_search(&search, state_count_max, err);
    if (rc != RAY_OK) {
        free(steps);
        return rc;
    }
    out->violation = MODEL_HOLDS;
    out->is_complete = true;
    out->trace_count = 0;
    model_begin(setup, &first.state);
    reduce(&first.state);
    (void)add(&search, &first, 0);
    for (uint32_t at = 0; at < search.count; at++) {
        if (!expand(&search, setup, variant, at, steps, out)) {
            break;
        }
    }
    out->state_count = search.count;
    free_search(&search);
    free(steps);
    return RAY_OK;
}

/* ---- walk ---- */

static uint32_t below(uint64_t *random, uint32_t limit)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)((*random >> 11) % limit);
}

static uint32_t weight_of(const struct model_step *step)
{
    switch (step->action) {
    case MODEL_ACT_TICK:
        return step->who == 0 ? 12 : 1;
    case MODEL_ACT_ELECT:
    case MODEL_ACT_END:
    case MODEL_ACT_MONITOR_DIES:
    case MODEL_ACT_CRASH:
    case MODEL_ACT_BOOT:
    case MODEL_ACT_ADMIT:
    case MODEL_ACT_CHANGE_T:
    case MODEL_ACT_OPEN:
        return 1;
    case MODEL_ACT_RENEW:
    case MODEL_ACT_CONFIRM:
    case MODEL_ACT_ANSWER:
        return 10;
    default:
        return 5;
    }
}

static const struct model_step *pick(const struct model_step *steps, size_t count, uint64_t *random)
{
    uint32_t sum = 0;
    uint32_t at;

    for (size_t i = 0; i < count; i++) {
        sum += weight_of(&steps[i]);
    }
    assert(sum > 0); /* time can always pass */
    at = below(random, sum);
    for (size_t i = 0; i < count; i++) {
        if (at < weight_of(&steps[i])) {
            return &steps[i];
        }
        at -= weight_of(&steps[i]);
    }
    return &steps[count - 1];
}

void model_walk(const struct model_setup *setup, const struct model_variant *variant,
                uint64_t step_count, uint64_t seed, struct model_result *out)
{
    struct model_step *steps = malloc(MODEL_SUCCESSORS_MAX * sizeof *steps);
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct model_state state;
    uint64_t length = WALK_STEPS;

    assert(steps != NULL);
    out->violation = MODEL_HOLDS;
    out->is_complete = false;
    out->trace_count = 0;
    for (out->state_count = 0; out->state_count < step_count; out->state_count++) {
        const struct model_step *step;

        if (length >= WALK_STEPS) {
            model_begin(setup, &state);
            length = 0;
        }
        step = pick(steps, model_next(setup, variant, &state, steps), &random);
        state = step->state;
        if (length < MODEL_TRACE_MAX) {
            out->trace[length] = *step;
        }
        length++;
        if (state.violation != MODEL_HOLDS) {
            out->violation = state.violation;
            out->trace_count = length < MODEL_TRACE_MAX ? length : MODEL_TRACE_MAX;
            break;
        }
    }
    free(steps);
}
