/* clients.c - what each client does next, and the history. */
#include "tests/hosted/registry_clients/clients.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/hosted/history/history_file.h"

enum {
    TRY_AGAIN_MS = 60,
    AFTER_UNKNOWN_MS = 1000, /* many writes of unknown outcome would make the search long */
    WRITE_GIVE_UP_S = 60,
    READ_GIVE_UP_S = 15,
    HOME_ONE_IN = 2,
};

void clients_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "registry_clients: %s: %s\n", what, why);
    exit(1);
}

/* ---- the history ---- */

static void note(struct clients_one *one, enum history_event_kind kind, uint64_t value)
{
    const struct history_event event = {.kind = kind,
                                        .at_ns = ray_clock_monotonic_ns(),
                                        .client = one->number,
                                        .sequence = one->op.sequence,
                                        .op = one->op.kind,
                                        .key = one->op.key,
                                        .value = value,
                                        .expected = one->op.expected};

    if (!history_event_write(one->all->history, &event)) {
        clients_die("the history", "cannot be written");
    }
}

/* ---- attempts ---- */

static void wait_ms(struct clients_one *one, uint64_t mean_ms)
{
    ray_timer_start(&one->timer, sim_rng_wait(&one->all->rng, mean_ms), 0);
}

static uint64_t draw_patience_ms(struct clients *all)
{
    static const uint64_t patience_ms[] = {150, 300, 300, 600, 1000, 6000};

    return patience_ms[sim_rng_below(&all->rng, sizeof patience_ms / sizeof patience_ms[0])];
}

static uint32_t draw_member(struct clients_one *one)
{
    struct clients *all = one->all;

    if (all->is_ending) {
        return one->last_reads / all->key_count;
    }
    return !one->is_repeating && sim_rng_one_in(&all->rng, HOME_ONE_IN)
               ? one->home
               : (uint32_t)sim_rng_below(&all->rng, all->member_count);
}

static void finish(struct clients_one *one)
{
    one->is_busy = false;
    wait_ms(one, one->all->think_ms);
}

static void try_again(struct clients_one *one, bool may_repeat)
{
    if (!may_repeat || ray_clock_monotonic_ns() >= one->give_up_ns) {
        note(one, HISTORY_UNKNOWN, 0);
        one->all->unknown_count++;
        one->is_busy = false;
        wait_ms(one, AFTER_UNKNOWN_MS);
        return;
    }
    one->is_repeating = true;
    one->all->retry_count++;
    wait_ms(one, TRY_AGAIN_MS);
}

static void attempt(struct clients_one *one)
{
    one->member = draw_member(one);
    if (!clients_ask(one, draw_patience_ms(one->all))) {
        try_again(one, true);
    }
}

void clients_failed(struct clients_one *one, int code)
{
    clients_conn_heard(&one->all->members[one->member], code == RAY_ETIMEOUT);
    try_again(one, !one->is_plain || one->op.kind == SIM_OP_READ);
}

void clients_opened(struct clients_one *one)
{
    one->has_session = true;
    attempt(one);
}

void clients_answered(struct clients_one *one, uint64_t value, uint64_t revision, bool has_failed)
{
    struct clients *all = one->all;

    clients_conn_heard(&all->members[one->member], false);
    note(one, has_failed ? HISTORY_FAIL : HISTORY_OK, value);
    if (!has_failed) {
        one->seen[one->op.key] = (struct clients_seen){.value = value, .revision = revision};
    }
    all->ok_count++;
    one->last_reads += all->is_ending ? 1 : 0;
    finish(one);
}

/* ---- operations ---- */

static enum sim_op_kind draw_kind(struct clients *all)
{
    static const enum sim_op_kind kinds[] = {SIM_OP_READ, SIM_OP_READ, SIM_OP_SWAP, SIM_OP_WRITE,
                                             SIM_OP_WRITE};

    return kinds[sim_rng_below(&all->rng, sizeof kinds / sizeof kinds[0])];
}

static void begin(struct clients_one *one, enum sim_op_kind kind, uint32_t key)
{
    uint64_t limit_s = kind == SIM_OP_READ ? READ_GIVE_UP_S : WRITE_GIVE_UP_S;

    one->op = (struct sim_op){.kind = kind, .key = key, .sequence = ++one->sequence};
    if (kind != SIM_OP_READ) {
        one->op.value = (uint64_t)(one->number + 1) << 32 | one->sequence;
    }
    if (kind == SIM_OP_SWAP) {
        one->op.expected = one->seen[key].value;
        one->expected_revision = one->seen[key].revision;
    }
    one->is_busy = true;
    one->is_repeating = false;
    one->give_up_ns = ray_clock_monotonic_ns() + limit_s * RAY_NS_PER_S;
    one->all->op_count++;
    note(one, HISTORY_INVOKE, one->op.value);
    attempt(one);
}

/* Every register from every member: what was acknowledged is there, and all answer. */
static void read_last(struct clients_one *one)
{
    struct clients *all = one->all;

    if (one->last_reads < all->member_count * all->key_count) {
        begin(one, SIM_OP_READ, one->last_reads % all->key_count);
        return;
    }
    all->ended_count++;
    if (all->ended_count == all->count) {
        ray_loop_stop(&all->loop);
    }
}

static void on_timer(void *arg)
{
    struct clients_one *one = arg;
    struct clients *all = one->all;

    if (one->is_busy) {
        attempt(one);
        return;
    }
    all->is_ending = all->is_ending || (all->op_max != 0 && all->op_count >= all->op_max);
    if (all->is_ending) {
        read_last(one);
    } else {
        begin(one, draw_kind(all), (uint32_t)sim_rng_below(&all->rng, all->key_count));
    }
}

static void on_signal(void *arg, int signum)
{
    struct clients *all = arg;

    (void)signum;
    all->is_ending = true;
}

/* ---- life ---- */

static void make_one(struct clients *all, uint32_t number)
{
    struct clients_one *one = &all->one[number];
    struct ray_err err = {0};

    assert(all->member_count > 0);
    one->all = all;
    one->number = number;
    one->home = number % all->member_count;
    one->is_plain = number % 4 == 3;
    sim_rng_fill(&all->rng, one->session.bytes, sizeof one->session.bytes);
    if (ray_timer_init(&one->timer, &all->loop, on_timer, one, &err) != RAY_OK) {
        clients_die("a timer", err.text);
    }
    wait_ms(one, all->think_ms);
}

void clients_run(struct clients *all)
{
    struct ray_err err = {0};

    assert(all->member_count > 0 && all->key_count > 0 && all->think_ms > 0);
    if (ray_loop_init(&all->loop, &err) != RAY_OK ||
        ray_signal_init(&all->sigterm, &all->loop, SIGTERM, on_signal, all, &err) != RAY_OK) {
        clients_die("the loop", err.text);
    }
    for (uint32_t i = 0; i < all->member_count; i++) {
        all->members[i].all = all;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        make_one(all, i);
    }
    ray_loop_run(&all->loop);
    for (uint32_t i = 0; i < all->member_count; i++) {
        clients_conn_end(&all->members[i]);
    }
    for (uint32_t i = 0; i < all->count; i++) {
        ray_timer_fini(&all->one[i].timer);
        ray_buf_fini(&all->one[i].answer);
    }
    ray_signal_fini(&all->sigterm);
    ray_loop_fini(&all->loop);
}
