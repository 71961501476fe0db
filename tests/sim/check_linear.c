/* Events (a call, a return) of one register lie in a list by time. An operation whose call comes
 * before the first return in the list may go next; it leaves the list with its return, and comes
 * back when the search turns round. Operations of unknown outcome return at the end of time, where
 * they disturb nobody. What was tried, as the set of operations gone and the register's value, is
 * remembered as two hashes of 64 bits. */
#include "tests/sim/check_linear.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/map.h"
#include "tests/sim/mem.h"

struct event {
    uint64_t at_ns;
    const struct sim_op *op;
    bool is_return;
    uint32_t number; /* of the operation */
    size_t partner;
    size_t previous;
    size_t next;
};

struct step {
    size_t event;
    uint64_t state;
};

struct search {
    struct event *events; /* [0] is the head, [count] the last */
    size_t count;
    struct step *steps;
    size_t step_count;
    struct sim_map tried;
    uint64_t hash_a;
    uint64_t hash_b;
    uint64_t state;
    size_t known_left; /* answered operations still in the list */
};

static int by_time(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;

    if (x->at_ns != y->at_ns) {
        return x->at_ns < y->at_ns ? -1 : 1;
    }
    /* At one time calls come first: then they overlap, the weaker claim. */
    if (x->is_return != y->is_return) {
        return x->is_return ? 1 : -1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static void link_events(struct search *search)
{
    size_t *calls = sim_alloc(search->count / 2 + 1, sizeof *calls);

    for (size_t i = 0; i <= search->count; i++) {
        struct event *event = &search->events[i];

        event->previous = i > 0 ? i - 1 : 0;
        event->next = i < search->count ? i + 1 : 0;
        if (i == 0) {
            continue;
        }
        if (!event->is_return) {
            calls[event->number] = i;
        } else {
            event->partner = calls[event->number];
            search->events[event->partner].partner = i;
        }
    }
    free(calls);
}

static void load(struct search *search, const struct sim_history *history, uint32_t key)
{
    uint32_t number = 0;

    search->events = sim_alloc(history->count * 2 + 1, sizeof *search->events);
    for (size_t i = 0; i < history->count; i++) {
        const struct sim_op *op = &history->ops[i];

        if (op->key != key || (op->kind == SIM_OP_READ && !op->is_known)) {
            continue;
        }
        search->events[++search->count] =
            (struct event){.at_ns = op->call_ns, .op = op, .number = number};
        search->events[++search->count] = (struct event){
            .at_ns = op->is_known ? op->return_ns : UINT64_MAX,
            .op = op,
            .is_return = true,
            .number = number,
        };
        number++;
        search->known_left += op->is_known;
    }
    qsort(search->events + 1, search->count, sizeof *search->events, by_time);
    link_events(search);
    search->steps = sim_alloc(number + 1U, sizeof *search->steps);
}

static void unlink_event(struct search *search, size_t at)
{
    const struct event *event = &search->events[at];

    search->events[event->previous].next = event->next;
    if (event->next != 0) {
        search->events[event->next].previous = event->previous;
    }
}

static void relink_event(struct search *search, size_t at)
{
    const struct event *event = &search->events[at];

    search->events[event->previous].next = at;
    if (event->next != 0) {
        search->events[event->next].previous = at;
    }
}

static void toggle(struct search *search, const struct event *event)
{
    search->hash_a ^= sim_hash_u64(UINT64_C(0x51), event->number);
    search->hash_b ^= sim_hash_u64(UINT64_C(0xa7f3), event->number + UINT64_C(0x100000000));
}

/* Takes the operation called at `at` next, if it can be and was not tried. */
static bool take(struct search *search, size_t at)
{
    const struct event *event = &search->events[at];
    uint64_t state = search->state;
    bool is_new;

    if (!sim_op_step(event->op, &state)) {
        return false;
    }
    toggle(search, event);
    (void)sim_map_put(&search->tried, search->hash_a ^ sim_hash_u64(3, state),
                      search->hash_b ^ sim_hash_u64(5, state), 0, &is_new);
    if (!is_new) {
        toggle(search, event);
        return false;
    }
    search->steps[search->step_count++] = (struct step){.event = at, .state = search->state};
    search->state = state;
    unlink_event(search, at);
    unlink_event(search, event->partner);
    search->known_left -= event->op->is_known;
    return true;
}

/* Takes the last step back; the event behind it is to be tried next. */
static size_t turn_round(struct search *search)
{
    const struct step *step = &search->steps[--search->step_count];
    const struct event *event = &search->events[step->event];

    search->state = step->state;
    toggle(search, event);
    relink_event(search, event->partner);
    relink_event(search, step->event);
    search->known_left += event->op->is_known;
    return event->next;
}

enum outcome { FOUND, NONE, TOO_LONG };

static enum outcome run(struct search *search, uint64_t step_max)
{
    size_t at = search->events[0].next;

    for (uint64_t i = 0; i < step_max; i++) {
        if (search->known_left == 0) {
            return FOUND;
        }
        assert(at != 0);
        if (!search->events[at].is_return) {
            at = take(search, at) ? search->events[0].next : search->events[at].next;
        } else if (search->step_count > 0) {
            at = turn_round(search);
        } else {
            return NONE;
        }
    }
    return TOO_LONG;
}

static enum outcome check_key(const struct sim_history *history, uint32_t key, uint64_t step_max)
{
    struct search search = {0};
    enum outcome outcome;

    load(&search, history, key);
    outcome = run(&search, step_max);
    sim_map_fini(&search.tried);
    free(search.steps);
    free(search.events);
    return outcome;
}

bool sim_check_linear(const struct sim_history *history, uint64_t step_max,
                      struct sim_verdict *verdict)
{
    struct sim_map keys = {0};
    bool is_complete = true;

    for (size_t i = 0; i < history->count; i++) {
        uint32_t key = history->ops[i].key;
        bool is_new;

        (void)sim_map_put(&keys, key, 0, 0, &is_new);
        if (!is_new) {
            continue;
        }
        enum outcome outcome = check_key(history, key, step_max);

        is_complete = is_complete && outcome != TOO_LONG;
        if (outcome == NONE) {
            sim_verdict_fail(verdict, SIM_CHECK_LINEAR,
                             "no order of the operations on key %" PRIu32 " explains their results",
                             key);
        }
    }
    sim_map_fini(&keys);
    return is_complete;
}
