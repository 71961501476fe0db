/* model.c - all that can happen next. A function here is one kind of step: it copies the state,
 * changes it and emits it. */
#include "tests/sim/model/model.h"

#include <assert.h>
#include <string.h>

struct next {
    const struct model_setup *setup;
    const struct model_variant *variant;
    const struct model_state *state;
    struct model_step *steps;
    size_t count;
};

/* A copy of the state, to change; it is the next successor. */
static struct model_state *emit(struct next *next, enum model_action action, int who)
{
    struct model_step *step = &next->steps[next->count];

    assert(next->count < MODEL_SUCCESSORS_MAX);
    next->count++;
    step->state = *next->state;
    step->action = (uint8_t)action;
    step->who = (uint8_t)who;
    return &step->state;
}

static uint8_t older(uint8_t age, int by)
{
    return age + by >= MODEL_AGE_MAX ? MODEL_AGE_MAX : (uint8_t)(age + by);
}

static int wait_of(const struct model_variant *variant, const struct model_registry *registry)
{
    int t = variant->t_at_once ? registry->t : registry->t_max;

    return t + (variant->no_margin ? 0 : MODEL_M) + (variant->no_drift ? 0 : 2);
}

static bool is_other_node(uint8_t a, uint8_t b)
{
    return (a == MODEL_B) != (b == MODEL_B);
}

static bool is_admitted(const struct model_registry *registry, uint8_t machine)
{
    return machine == MODEL_B || registry->admitted_a == machine;
}

/* ---- registry ---- */

static bool is_allowed(const struct model_registry *registry, const struct model_entry *entry)
{
    if (registry->epoch != entry->expected || registry->epoch + 1 >= MODEL_EPOCHS) {
        return false;
    }
    switch (entry->outcome) {
    case MODEL_MIGRATION:
        return registry->is_migrating && registry->destination == entry->target;
    case MODEL_CANCEL:
        return registry->is_migrating && registry->home == entry->target;
    case MODEL_STOPPED:
    case MODEL_START:
        return registry->home == entry->target && !registry->is_stopped;
    case MODEL_RESTART:
        return registry->is_stopped != 0;
    case MODEL_DEATH:
        return !registry->is_stopped;
    default:
        return false;
    }
}

static void apply(const struct model_variant *variant, struct model_state *state,
                  const struct model_entry *entry)
{
    struct model_registry *registry = &state->registry;
    bool keeps = (variant->cancel_keeps && entry->outcome == MODEL_CANCEL) ||
                 (variant->stopped_keeps && entry->outcome == MODEL_STOPPED);

    if (!is_allowed(registry, entry) || registry->epoch >= state->epoch_max) {
        return;
    }
    if (!keeps) {
        state->from[registry->epoch + 1] = registry->epoch;
        state->origin[registry->epoch + 1] = entry->outcome;
        registry->epoch++;
    }
    registry->is_stopped = entry->outcome == MODEL_STOPPED;
    registry->is_migrating = 0;
    registry->home = entry->target;
    if (entry->outcome == MODEL_MIGRATION || entry->outcome == MODEL_START ||
        entry->outcome == MODEL_CANCEL) {
        state->machines[entry->target].has_reply = variant->outcome_grants;
    }
}

static void forget_entry(struct model_seat *seat)
{
    memset(&seat->entry, 0, sizeof seat->entry);
}

static void clear_request(struct model_machine *machine)
{
    machine->request = MODEL_IDLE;
    machine->request_seat = 0;
    machine->request_age = 0;
}

/* ---- time ---- */

static void age_machine(const struct model_variant *variant, struct model_machine *machine)
{
    int late = variant->late_stop ? 1 : 0;

    if (machine->request != MODEL_IDLE) {
        machine->request_age = older(machine->request_age, 1);
        if (machine->request_age >= MODEL_T) {
            /* It would only make a dead slot. */
            clear_request(machine);
        }
    }
    if (machine->slot_left > 0) {
        machine->slot_left--;
        return;
    }
    if (machine->is_running) {
        machine->overshoot++;
        if (machine->overshoot >= MODEL_M + late) {
            machine->is_running = 0;
            machine->overshoot = 0;
        }
    }
}

static void tick(struct next *next, int slow, int fast)
{
    struct model_state *state = emit(next, MODEL_ACT_TICK, slow * 4 + fast);

    for (int i = 0; i < MODEL_MACHINES; i++) {
        struct model_machine *machine = &state->machines[i];

        if (i + 1 == slow) {
            state->slow_left--;
        } else if (machine->is_on) {
            age_machine(next->variant, machine);
        }
    }
    for (int i = 0; i < MODEL_SEATS; i++) {
        struct model_seat *seat = &state->seats[i];
        int by = i + 1 == fast ? 2 : 1;

        if (!seat->is_leader) {
            continue;
        }
        seat->age = older(seat->age, by);
        seat->settle_age = older(seat->settle_age, by);
        for (int m = 0; m < MODEL_MACHINES; m++) {
            seat->heard[m] = older(seat->heard[m], by);
        }
    }
    state->fast_left = (uint8_t)(state->fast_left - (fast != 0));
}

/* A vCPU has left the guest when M is over: it stops before the tick in which it must not run. */
static void ticks(struct next *next)
{
    for (int slow = 0; slow <= (next->state->slow_left > 0 ? MODEL_MACHINES : 0); slow++) {
        for (int fast = 0; fast <= (next->state->fast_left > 0 ? MODEL_SEATS : 0); fast++) {
            bool is_sensible = (slow == 0 || next->state->machines[slow - 1].is_on) &&
                               (fast == 0 || next->state->seats[fast - 1].is_leader);

            if (is_sensible) {
                tick(next, slow, fast);
            }
        }
    }
}

/* ---- leaders ---- */

static void elect(struct next *next, int who)
{
    struct model_state *state;
    struct model_seat *seat;

    if (next->state->elections_left == 0) {
        return;
    }
    state = emit(next, MODEL_ACT_ELECT, who);
    seat = &state->seats[who];
    state->elections_left--;
    if (seat->is_stale) {
        seat->registry = state->registry;
        forget_entry(seat);
        seat->is_stale = 0;
    }
    state->term++;
    seat->is_leader = 1;
    seat->term = state->term;
    seat->is_open = 0;
    seat->age = 0;
    seat->settle_age = 0;
    for (int m = 0; m < MODEL_MACHINES; m++) {
        seat->heard[m] = MODEL_AGE_MAX;
        if (state->machines[m].request != MODEL_IDLE && state->machines[m].request_seat == who) {
            clear_request(&state->machines[m]); /* of an earlier term */
        }
    }
}

static void committed(struct model_state *state, int who)
{
    struct model_seat *seat = &state->seats[who];

    forget_entry(seat);
    seat->registry = state->registry;
    seat->is_open = 1;
    state->seats[1 - who].is_stale = 1;
}

static void commit(struct next *next, int who)
{
    const struct model_seat *seat = &next->state->seats[who];
    struct model_state *state;

    if (!seat->is_leader || seat->term != next->state->term ||
        (seat->is_open && seat->entry.outcome == MODEL_NO_OUTCOME)) {
        return;
    }
    state = emit(next, MODEL_ACT_COMMIT, who);
    if (seat->entry.outcome != MODEL_NO_OUTCOME) {
        apply(next->variant, state, &seat->entry);
    }
    committed(state, who);
}

/* An operator's change, by the newest leader, committed at once. */
static struct model_state *operate(struct next *next, enum model_action action)
{
    for (int i = 0; i < MODEL_SEATS; i++) {
        const struct model_seat *seat = &next->state->seats[i];

        if (seat->is_leader && seat->term == next->state->term && seat->is_open &&
            seat->entry.outcome == MODEL_NO_OUTCOME) {
            return emit(next, action, i);
        }
    }
    return NULL;
}

static void append_outcomes(struct next *next, int who)
{
    const struct model_seat *seat = &next->state->seats[who];
    const struct model_registry *registry = &seat->registry;
    int wait = wait_of(next->variant, registry);
    bool is_silent;

    if (!seat->is_leader || (!seat->is_open && !next->variant->no_noop) ||
        seat->entry.outcome != MODEL_NO_OUTCOME || registry->epoch >= next->state->epoch_max) {
        return;
    }
    is_silent = seat->heard[registry->home] >= wait &&
                (seat->age >= wait || next->variant->no_election_wait);
    for (int i = 0; i < MODEL_MACHINES; i++) {
        uint8_t target = (uint8_t)i;
        struct model_entry entry = {.expected = registry->epoch, .target = target};

        if (!is_admitted(registry, target)) {
            continue;
        }
        if (registry->is_stopped) {
            entry.outcome = MODEL_RESTART;
            emit(next, MODEL_ACT_RESTART, who)->seats[who].entry = entry;
        } else if (is_silent && target != registry->home) {
            entry.outcome = MODEL_DEATH;
            emit(next, MODEL_ACT_DEATH, who)->seats[who].entry = entry;
        }
    }
}

/* ---- renewals ---- */

static bool is_granted(const struct model_variant *variant, const struct model_registry *registry,
                       uint8_t machine)
{
    bool is_clone = variant->clone_accepted && machine == MODEL_A2 && registry->home == MODEL_A;

    if (registry->is_stopped) {
        return false;
    }
    return is_clone || (registry->home == machine && is_admitted(registry, machine));
}

/* Sent and heard. Whoever would not be granted anything need not ask. */
static void renew(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];

    for (int i = 0; i < MODEL_SEATS && machine->is_on && machine->request == MODEL_IDLE; i++) {
        const struct model_seat *seat = &next->state->seats[i];
        bool is_new = next->variant->admission_resets && who == MODEL_A2;
        struct model_state *state;

        if (!seat->is_leader ||
            (!is_new && !is_granted(next->variant, &seat->registry, (uint8_t)who))) {
            continue;
        }
        state = emit(next, MODEL_ACT_RENEW, who);
        state->machines[who].request = MODEL_ARRIVED;
        state->machines[who].request_age = 0;
        state->machines[who].request_seat = (uint8_t)i;
        if (!next->variant->heard_at_answer) {
            state->seats[i].heard[who] = 0;
        }
        if (is_new) {
            state->seats[i].heard[MODEL_A] = MODEL_AGE_MAX;
        }
    }
}

static void confirm(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    const struct model_seat *seat = &next->state->seats[machine->request_seat];

    if (machine->request == MODEL_ARRIVED && seat->is_leader &&
        (seat->is_open || next->variant->no_noop) &&
        (seat->term == next->state->term || next->variant->old_probe)) {
        emit(next, MODEL_ACT_CONFIRM, who)->machines[who].request = MODEL_CONFIRMED;
    }
}

static void write_slot(const struct model_variant *variant, struct model_machine *machine,
                       const struct model_registry *registry, int age)
{
    int left = (variant->agent_t ? MODEL_T : registry->t) - age;

    if (left <= 0) {
        return;
    }
    if (machine->slot_epoch != registry->epoch || left > machine->slot_left) {
        machine->slot_left = (uint8_t)left;
    }
    machine->slot_epoch = registry->epoch;
    if (machine->is_running && machine->copy_epoch == machine->slot_epoch) {
        machine->overshoot = 0;
    }
}

static void answer(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    const struct model_seat *seat = &next->state->seats[machine->request_seat];
    struct model_state *state;
    bool is_pending;

    if (machine->request != MODEL_CONFIRMED || !seat->is_leader) {
        return;
    }
    state = emit(next, MODEL_ACT_ANSWER, who);
    is_pending = seat->entry.outcome != MODEL_NO_OUTCOME && !next->variant->grants_pending;
    clear_request(&state->machines[who]);
    if (next->variant->heard_at_answer) {
        state->seats[machine->request_seat].heard[who] = 0;
    }
    if (!is_pending && is_granted(next->variant, &seat->registry, (uint8_t)who)) {
        write_slot(next->variant, &state->machines[who], &seat->registry, machine->request_age);
    }
}

/* ---- launcher and monitors ---- */

static uint8_t max_of(uint8_t a, uint8_t b)
{
    return a > b ? a : b;
}

static void clear_copy(struct model_machine *machine)
{
    machine->burned =
        max_of(machine->burned, machine->copy == MODEL_LOADED ? 0 : machine->copy_epoch);
    machine->copy = MODEL_NO_COPY;
    machine->copy_epoch = 0;
    machine->has_memory = 0;
    machine->is_current = 0;
    machine->is_running = 0;
    machine->overshoot = 0;
}

static void fork_copy(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    struct model_machine *changed;
    bool is_burned = next->variant->second_run ? machine->slot_epoch < machine->burned
                                               : machine->slot_epoch <= machine->burned;

    if (!machine->is_on || machine->slot_left == 0 || machine->copy != MODEL_NO_COPY || is_burned) {
        return;
    }
    changed = &emit(next, MODEL_ACT_FORK, who)->machines[who];
    changed->copy = MODEL_RUN;
    changed->copy_epoch = machine->slot_epoch;
    changed->burned = machine->slot_epoch;
    changed->is_current = 1;
}

static void adopt(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    uint8_t epoch = machine->slot_epoch;
    struct model_machine *changed;
    bool is_own;

    if (machine->slot_left == 0 || machine->copy == MODEL_NO_COPY || epoch <= machine->burned ||
        (machine->copy == MODEL_LOADED && !machine->has_memory)) {
        return;
    }
    is_own = next->state->from[epoch] == machine->copy_epoch &&
             ((machine->copy == MODEL_FROZEN && next->state->origin[epoch] == MODEL_CANCEL) ||
              (machine->copy == MODEL_LOADED && next->state->origin[epoch] == MODEL_MIGRATION));
    if (!is_own && !(next->variant->foreign_copy && epoch > machine->copy_epoch)) {
        return;
    }
    changed = &emit(next, MODEL_ACT_ADOPT, who)->machines[who];
    changed->copy = MODEL_RUN;
    changed->copy_epoch = epoch;
    changed->burned = epoch;
}

static void thaw(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    struct model_state *state;
    bool may_run = machine->copy == MODEL_RUN ||
                   (machine->copy == MODEL_FROZEN &&
                    (next->variant->frozen_thaws ||
                     (next->variant->cancel_keeps && !next->state->registry.is_migrating)));
    bool is_alive = machine->slot_left > 0 &&
                    (machine->slot_epoch == machine->copy_epoch || next->variant->node_deadline);

    if (machine->is_running || !may_run || !is_alive) {
        return;
    }
    state = emit(next, MODEL_ACT_THAW, who);
    if (machine->has_memory && !machine->is_current) {
        state->violation = MODEL_L;
    }
    state->machines[who].copy = MODEL_RUN;
    state->machines[who].is_running = 1;
    state->machines[who].has_memory = 1;
    state->machines[who].overshoot = 0;
    for (int i = 0; i < MODEL_MACHINES; i++) {
        if (i == who) {
            continue;
        }
        if (state->machines[i].is_running) {
            state->violation = MODEL_X;
        }
        if (state->machines[i].has_memory) {
            state->machines[i].is_current = 0;
        }
    }
    state->machines[who].is_current = 1;
}

static void end(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];

    if (machine->copy == MODEL_NO_COPY) {
        return;
    }
    if (next->state->stops_left > 0) {
        struct model_state *state = emit(next, MODEL_ACT_END, who);

        state->stops_left--;
        clear_copy(&state->machines[who]);
    } else if (machine->slot_epoch > machine->copy_epoch && machine->slot_left > 0) {
        clear_copy(&emit(next, MODEL_ACT_END, who)->machines[who]); /* of an older epoch */
    }
    if (next->state->deaths_left > 0) {
        struct model_state *state = emit(next, MODEL_ACT_MONITOR_DIES, who);

        state->deaths_left--;
        clear_copy(&state->machines[who]);
    }
}

/* ---- outcomes that nodes propose ---- */

static void propose_one(struct next *next, int who, uint8_t outcome, uint8_t expected)
{
    struct model_entry *entry = &emit(next, MODEL_ACT_PROPOSE, who)->machines[who].proposal;

    entry->outcome = outcome;
    entry->expected = expected;
    entry->target = (uint8_t)who;
}

static void propose(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    const struct model_registry *registry = &next->state->registry;
    bool is_ended = machine->copy == MODEL_NO_COPY || next->variant->stopped_unburned;

    if (!machine->is_on || machine->proposal.outcome != MODEL_NO_OUTCOME) {
        return;
    }
    if (machine->copy == MODEL_LOADED && machine->has_memory) {
        propose_one(next, who, MODEL_MIGRATION, machine->copy_epoch);
    }
    if (machine->copy == MODEL_FROZEN) {
        propose_one(next, who, MODEL_CANCEL, machine->copy_epoch);
    }
    if (registry->home != who || machine->burned == 0 || machine->burned != registry->epoch ||
        registry->is_stopped) {
        return; /* nothing that could be accepted */
    }
    if (is_ended && next->setup->stops > 0) {
        propose_one(next, who, MODEL_STOPPED, machine->burned);
    }
    if (machine->copy == MODEL_NO_COPY) {
        propose_one(next, who, MODEL_START, machine->burned);
    }
}

static void append(struct next *next, int who)
{
    const struct model_entry *entry = &next->state->machines[who].proposal;

    if (entry->outcome == MODEL_NO_OUTCOME) {
        return;
    }
    for (int i = 0; i < MODEL_SEATS; i++) {
        const struct model_seat *seat = &next->state->seats[i];
        struct model_state *state;

        if (!seat->is_leader || !seat->is_open || seat->entry.outcome != MODEL_NO_OUTCOME) {
            continue;
        }
        state = emit(next, MODEL_ACT_APPEND, who);
        memset(&state->machines[who].proposal, 0, sizeof *entry);
        if (is_allowed(&seat->registry, entry)) {
            state->seats[i].entry = *entry;
        }
    }
}

static void take_reply(struct next *next, int who)
{
    const struct model_machine *machine = &next->state->machines[who];
    struct model_machine *changed;

    if (!machine->has_reply) {
        return;
    }
    changed = &emit(next, MODEL_ACT_REPLY, who)->machines[who];
    changed->has_reply = 0;
    for (uint8_t epoch = MODEL_EPOCHS - 1; epoch > machine->slot_epoch; epoch--) {
        if (next->state->origin[epoch] == MODEL_MIGRATION ||
            next->state->origin[epoch] == MODEL_CANCEL ||
            next->state->origin[epoch] == MODEL_START) {
            changed->slot_epoch = epoch;
            changed->slot_left = MODEL_T;
            return;
        }
    }
}

/* ---- migration ---- */

static void migrate(struct next *next)
{
    const struct model_registry *registry = &next->state->registry;
    uint8_t home = registry->home;

    if (next->state->migrations_left > 0 && !registry->is_migrating && !registry->is_stopped) {
        for (int i = 0; i < MODEL_MACHINES; i++) {
            struct model_state *state = NULL;
            uint8_t to = (uint8_t)i;

            if (is_other_node(home, to) && is_admitted(registry, to)) {
                state = operate(next, MODEL_ACT_OPEN);
            }
            if (state != NULL) {
                state->migrations_left--;
                state->registry.is_migrating = 1;
                state->registry.destination = to;
                committed(state, next->steps[next->count - 1].who);
            }
        }
    }
    if (!registry->is_migrating) {
        return;
    }
    if (next->state->machines[registry->destination].copy == MODEL_NO_COPY &&
        next->state->machines[registry->destination].is_on) {
        struct model_machine *machine =
            &emit(next, MODEL_ACT_LOAD, registry->destination)->machines[registry->destination];

        machine->copy = MODEL_LOADED;
        machine->copy_epoch = registry->epoch;
    }
    if (next->state->machines[home].copy == MODEL_RUN &&
        next->state->machines[home].copy_epoch == registry->epoch &&
        next->state->machines[home].has_memory) {
        struct model_machine *machine = &emit(next, MODEL_ACT_FREEZE, home)->machines[home];

        machine->copy = MODEL_FROZEN;
        machine->is_running = 0;
        machine->overshoot = 0;
    }
}

static void transfer(struct next *next)
{
    for (int from = 0; from < MODEL_MACHINES; from++) {
        const struct model_machine *source = &next->state->machines[from];

        if (source->copy != MODEL_FROZEN) {
            continue;
        }
        for (int to = 0; to < MODEL_MACHINES; to++) {
            const struct model_machine *destination = &next->state->machines[to];

            if (destination->copy == MODEL_LOADED && !destination->has_memory &&
                destination->copy_epoch == source->copy_epoch) {
                struct model_machine *changed = &emit(next, MODEL_ACT_TRANSFER, to)->machines[to];

                changed->has_memory = 1;
                changed->is_current = source->is_current;
            }
        }
    }
}

/* ---- faults and operators ---- */

static void crash_and_boot(struct next *next)
{
    const struct model_state *now = next->state;
    struct model_state *state;

    for (int i = 0; i < MODEL_MACHINES && now->crashes_left > 0; i++) {
        if (now->machines[i].is_on) {
            state = emit(next, MODEL_ACT_CRASH, i);
            state->crashes_left--;
            memset(&state->machines[i], 0, sizeof state->machines[i]);
        }
    }
    if (now->boots_left > 0 && (next->setup->is_clone || !now->machines[MODEL_A].is_on)) {
        state = emit(next, MODEL_ACT_BOOT, MODEL_A2);
        state->boots_left--;
        state->machines[MODEL_A2].is_on = 1;
    }
    if (now->machines[MODEL_A2].is_on && now->registry.admitted_a == MODEL_A) {
        state = operate(next, MODEL_ACT_ADMIT);
        if (state != NULL) {
            state->registry.admitted_a = MODEL_A2;
            committed(state, next->steps[next->count - 1].who);
        }
    }
}

static void change_t(struct next *next)
{
    const struct model_registry *registry = &next->state->registry;
    struct model_state *state;

    if (next->state->changes_left > 0 && registry->t == registry->t_max) {
        state = operate(next, MODEL_ACT_CHANGE_T);
        if (state != NULL) {
            int who = next->steps[next->count - 1].who;

            state->changes_left--;
            state->registry.t = registry->t == MODEL_T ? 1 : MODEL_T;
            state->registry.t_max = max_of(state->registry.t, registry->t_max);
            committed(state, who);
            state->seats[who].settle_age = 0;
        }
    }
    if (registry->t == registry->t_max) {
        return;
    }
    for (int i = 0; i < MODEL_SEATS; i++) {
        const struct model_seat *seat = &next->state->seats[i];
        int wait = wait_of(next->variant, &seat->registry);

        if (seat->is_leader && seat->is_open && seat->term == next->state->term &&
            seat->entry.outcome == MODEL_NO_OUTCOME && seat->age >= wait &&
            seat->settle_age >= wait) {
            state = emit(next, MODEL_ACT_SETTLE, i);
            state->registry.t_max = state->registry.t;
            committed(state, i);
        }
    }
}

void model_begin(const struct model_setup *setup, struct model_state *out)
{
    memset(out, 0, sizeof *out);
    out->registry = (struct model_registry){
        .home = MODEL_A, .epoch = 1, .admitted_a = MODEL_A, .t = MODEL_T, .t_max = MODEL_T};
    out->origin[1] = MODEL_CREATED;
    out->term = 1;
    for (int i = 0; i < MODEL_SEATS; i++) {
        out->seats[i].registry = out->registry;
        for (int m = 0; m < MODEL_MACHINES; m++) {
            out->seats[i].heard[m] = MODEL_AGE_MAX;
        }
    }
    out->seats[0].is_leader = 1;
    out->seats[0].term = 1;
    out->seats[0].is_open = 1;
    out->machines[MODEL_A].is_on = 1;
    out->machines[MODEL_B].is_on = 1;
    out->slow_left = setup->slow;
    out->fast_left = setup->fast;
    out->elections_left = setup->elections;
    out->migrations_left = setup->migrations;
    out->stops_left = setup->stops;
    out->deaths_left = setup->deaths;
    out->crashes_left = setup->crashes;
    out->boots_left = setup->boots;
    out->changes_left = setup->changes;
    out->epoch_max = setup->epochs;
}

size_t model_next(const struct model_setup *setup, const struct model_variant *variant,
                  const struct model_state *state, struct model_step *out)
{
    struct next next = {.setup = setup, .variant = variant, .state = state, .steps = out};

    ticks(&next);
    for (int i = 0; i < MODEL_SEATS; i++) {
        elect(&next, i);
        commit(&next, i);
        append_outcomes(&next, i);
    }
    for (int i = 0; i < MODEL_MACHINES; i++) {
        renew(&next, i);
        confirm(&next, i);
        answer(&next, i);
        fork_copy(&next, i);
        adopt(&next, i);
        thaw(&next, i);
        end(&next, i);
        propose(&next, i);
        append(&next, i);
        take_reply(&next, i);
    }
    migrate(&next);
    transfer(&next);
    crash_and_boot(&next);
    change_t(&next);
    return next.count;
}

const char *model_action_name(enum model_action action)
{
    static const char *const names[MODEL_ACT_COUNT] = {
        "tick",
        "elected",
        "commits",
        "renews",
        "confirmed",
        "is answered",
        "appends death",
        "appends restart",
        "migration opens",
        "loads",
        "freezes",
        "has the memory",
        "proposes",
        "is appended",
        "forks",
        "adopts",
        "runs",
        "ends its monitor",
        "monitor dies",
        "crashes",
        "boots",
        "A' is admitted",
        "takes a reply for a grant",
        "T changes",
        "settled",
    };

    return names[action];
}
