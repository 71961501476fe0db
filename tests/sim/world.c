/* The queue is a binary heap by (time, number).
 *
 * Events of a paused process are posted anew at the time at which it goes on. They must come back
 * in the order in which they left, also when the pause is made longer meanwhile: so all of them
 * wait for one and the same time, and there they go before what was posted for just then. */
#include "tests/sim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mem.h"

enum { STOPPED_NS = 10000000, GATHERS_ONE_IN = 4 };

struct sim_event {
    uint64_t at_ns;
    uint64_t number;
    struct sim_proc *proc; /* NULL: nobody's */
    uint64_t life;
    sim_event_fn *fn;
    void *arg;
    uint64_t tag;
};

struct sim_world *sim_world_create(uint64_t seed)
{
    struct sim_world *world = sim_alloc(1, sizeof *world);

    sim_rng_init(&world->rng, seed);
    world->hash = seed;
    world->next_number = UINT64_C(1) << 62;
    return world;
}

void sim_world_destroy(struct sim_world *world)
{
    if (world == NULL) {
        return;
    }
    sim_world_drain(world);
    free(world->heap);
    free(world);
}

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void push(struct sim_world *world, struct sim_event event)
{
    world->heap =
        sim_grow(world->heap, world->heap_count, &world->heap_capacity, sizeof *world->heap);
    size_t hole = world->heap_count++;

    while (hole > 0 && is_before(&event, &world->heap[(hole - 1) / 2])) {
        world->heap[hole] = world->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    world->heap[hole] = event;
}

static struct sim_event pop(struct sim_world *world)
{
    assert(world->heap_count > 0);
    struct sim_event top = world->heap[0];
    struct sim_event last = world->heap[--world->heap_count];
    size_t hole = 0;

    for (;;) {
        size_t child = hole * 2 + 1;

        if (child >= world->heap_count) {
            break;
        }
        if (child + 1 < world->heap_count &&
            is_before(&world->heap[child + 1], &world->heap[child])) {
            child++;
        }
        if (!is_before(&world->heap[child], &last)) {
            break;
        }
        world->heap[hole] = world->heap[child];
        hole = child;
    }
    world->heap[hole] = last;
    return top;
}

static void post(struct sim_world *world, struct sim_event event)
{
    if (event.at_ns < world->now_ns) {
        event.at_ns = world->now_ns;
    }
    event.number = world->next_number++;
    push(world, event);
}

void sim_world_post(struct sim_world *world, uint64_t at_ns, sim_event_fn *fn, void *arg,
                    uint64_t tag)
{
    post(world, (struct sim_event){.at_ns = at_ns, .fn = fn, .arg = arg, .tag = tag});
}

static void begin_event(struct sim_proc *proc)
{
    assert(!proc->is_in_turn && sim_proc_is_live(proc));
    proc->is_in_turn = true;
}

/* The event alone is of use: it comes when the turn has to end. */
static void end_gathering(void *arg, uint64_t tag, bool is_alive)
{
    (void)arg;
    (void)tag;
    (void)is_alive;
}

/* Whether the turn stays open for what comes next. */
static bool gathers(struct sim_proc *proc)
{
    struct sim_world *world = proc->world;

    if (proc->is_dying || proc->gather_max_ns == 0) {
        return false;
    }
    if (proc->gather_until_ns == 0 && sim_rng_below(&world->rng, GATHERS_ONE_IN) == 0) {
        proc->gather_until_ns = world->now_ns + 1 + sim_rng_below(&world->rng, proc->gather_max_ns);
        sim_proc_post(proc, proc->gather_until_ns, end_gathering, NULL, 0);
    }
    return proc->gather_until_ns > world->now_ns;
}

static void end_turn(struct sim_proc *proc)
{
    proc->gather_until_ns = 0;
    if (proc->on_turn_end != NULL) {
        proc->on_turn_end(proc->arg);
    }
    if (proc->on_flush != NULL) {
        proc->on_flush(proc->flush_arg);
    }
}

static void end_event(struct sim_proc *proc)
{
    if (!gathers(proc)) {
        end_turn(proc);
    }
    proc->is_in_turn = false;
    if (proc->is_dying && proc->on_died != NULL) {
        proc->on_died(proc->arg);
    }
}

static void dispatch(struct sim_world *world, struct sim_event *event)
{
    struct sim_proc *proc = event->proc;

    if (proc == NULL) {
        event->fn(event->arg, event->tag, true);
        return;
    }
    if (!proc->is_up || proc->life != event->life) {
        event->fn(event->arg, event->tag, false);
        return;
    }
    if (proc->paused_until_ns > world->now_ns) {
        if (proc->deferred_to_ns <= world->now_ns) {
            proc->deferred_to_ns = proc->paused_until_ns;
        }
        event->at_ns = proc->deferred_to_ns;
        event->number = world->next_deferred++;
        push(world, *event);
        return;
    }
    begin_event(proc);
    event->fn(event->arg, event->tag, true);
    end_event(proc);
}

bool sim_world_step(struct sim_world *world, uint64_t end_ns)
{
    if (world->heap_count == 0 || world->heap[0].at_ns > end_ns) {
        world->now_ns = end_ns > world->now_ns ? end_ns : world->now_ns;
        return false;
    }
    struct sim_event event = pop(world);

    assert(event.at_ns >= world->now_ns);
    world->now_ns = event.at_ns;
    world->event_count++;
    sim_world_note(world, event.at_ns ^ (event.proc != NULL ? event.proc->index + 1 : 0));
    dispatch(world, &event);
    return true;
}

void sim_world_drain(struct sim_world *world)
{
    while (world->heap_count > 0) {
        struct sim_event event = pop(world);

        event.fn(event.arg, event.tag, false);
    }
}

void sim_world_note(struct sim_world *world, uint64_t value)
{
    world->hash = sim_hash_u64(world->hash, value);
}

void sim_trace(struct sim_world *world, const char *fmt, ...)
{
    va_list ap;

    if (world->trace == NULL) {
        return;
    }
    (void)fprintf(world->trace, "%10.6f ", (double)world->now_ns / 1e9);
    va_start(ap, fmt);
    (void)vfprintf(world->trace, fmt, ap);
    va_end(ap);
    (void)fputc('\n', world->trace);
}

/* ---- what a process sees ---- */

static uint64_t env_now_ns(void *arg)
{
    return sim_proc_now_ns(arg);
}

static uint64_t env_realtime_us(void *arg)
{
    const struct sim_proc *proc = arg;

    return sim_clock_wall_us(proc->clock, proc->world->now_ns);
}

static void env_random(void *arg, void *out, size_t size)
{
    struct sim_proc *proc = arg;

    sim_rng_fill(&proc->rng, out, size);
}

static void run_timer(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_proc *proc = arg;

    (void)tag;
    if (is_alive) {
        proc->on_timer(proc->arg);
    }
}

static void post_timer(struct sim_proc *proc);

/* Nobody's event, so that a timer that was replaced makes no turn. */
static void fire_timer(void *arg, uint64_t tag, bool is_alive)
{
    struct sim_proc *proc = arg;

    if (!is_alive || tag != proc->timer_number || !sim_proc_is_live(proc)) {
        return;
    }
    proc->timer_event_ns = UINT64_MAX;
    if (sim_proc_now_ns(proc) < proc->timer_at_ns) {
        /* Asked for later since, or the clock has become slower. */
        post_timer(proc);
        return;
    }
    proc->timer_at_ns = UINT64_MAX;
    sim_proc_post(proc, proc->world->now_ns, run_timer, proc, 0);
}

static void post_timer(struct sim_proc *proc)
{
    struct sim_world *world = proc->world;
    uint64_t true_ns = proc->timer_at_ns == UINT64_MAX
                           ? UINT64_MAX
                           : sim_clock_true(proc->clock, proc->timer_at_ns);

    if (true_ns == UINT64_MAX && proc->timer_at_ns != UINT64_MAX) {
        true_ns = world->now_ns + STOPPED_NS; /* the clock stands: look again */
    }
    if (true_ns >= proc->timer_event_ns) {
        return; /* the event that is there will ask again */
    }
    true_ns = true_ns > world->now_ns ? true_ns : world->now_ns;
    true_ns += sim_rng_below(&world->rng, proc->slack_max_ns + 1);
    proc->timer_event_ns = true_ns;
    proc->timer_number++;
    sim_world_post(world, true_ns, fire_timer, proc, proc->timer_number);
}

static void env_set_timer(void *arg, uint64_t at_ns)
{
    struct sim_proc *proc = arg;

    proc->timer_at_ns = at_ns;
    if (!proc->is_dying) {
        post_timer(proc);
    }
}

static void env_log(void *arg, enum ray_log_level level, const char *module, const char *text)
{
    struct sim_proc *proc = arg;

    if (proc->is_dying) {
        return;
    }
    sim_trace(proc->world, "p%" PRIu32 " %s %s: %s", proc->index, ray_log_level_name(level), module,
              text);
    if (proc->on_log != NULL) {
        proc->on_log(proc->arg, level, text);
    }
}

/* ---- processes ---- */

struct sim_proc *sim_proc_add(struct sim_world *world, struct sim_clock *clock)
{
    assert(world->proc_count < SIM_PROCS_MAX);
    struct sim_proc *proc = &world->procs[world->proc_count];

    *proc = (struct sim_proc){.world = world, .index = world->proc_count++, .clock = clock};
    sim_rng_fork(&world->rng, &proc->rng);
    proc->env = (struct coord_env){.now_ns = env_now_ns,
                                   .realtime_us = env_realtime_us,
                                   .random = env_random,
                                   .set_timer = env_set_timer,
                                   .log = env_log,
                                   .arg = proc};
    return proc;
}

void sim_proc_start(struct sim_proc *proc)
{
    assert(!proc->is_up);
    proc->is_up = true;
    proc->is_dying = false;
    proc->gather_until_ns = 0;
    proc->paused_until_ns = 0;
    proc->deferred_to_ns = 0;
    proc->timer_number++;
    proc->timer_at_ns = UINT64_MAX;
    proc->timer_event_ns = UINT64_MAX;
    proc->life++;
}

void sim_proc_kill(struct sim_proc *proc)
{
    assert(proc->is_up && !proc->is_in_turn);
    proc->is_up = false;
    proc->is_dying = false;
}

void sim_proc_die(struct sim_proc *proc)
{
    assert(proc->is_in_turn);
    proc->is_dying = true;
}

void sim_proc_pause(struct sim_proc *proc, uint64_t until_ns)
{
    if (until_ns > proc->paused_until_ns) {
        proc->paused_until_ns = until_ns;
    }
}

bool sim_proc_is_live(const struct sim_proc *proc)
{
    return proc->is_up && !proc->is_dying;
}

void sim_proc_post(struct sim_proc *proc, uint64_t at_ns, sim_event_fn *fn, void *arg, uint64_t tag)
{
    post(proc->world,
         (struct sim_event){
             .at_ns = at_ns, .proc = proc, .life = proc->life, .fn = fn, .arg = arg, .tag = tag});
}

bool sim_proc_run(struct sim_proc *proc, void (*fn)(void *arg), void *arg)
{
    if (!sim_proc_is_live(proc) || proc->paused_until_ns > proc->world->now_ns) {
        return false;
    }
    begin_event(proc);
    fn(arg);
    end_event(proc);
    return true;
}

uint64_t sim_proc_now_ns(const struct sim_proc *proc)
{
    return sim_clock_local(proc->clock, proc->world->now_ns);
}
